// The list of cases from its parts.
#include "backends/check/cases.h"

mcf_status mcf_check_make_cases(mcf_case_maker *maker, mcf_op op, mcf_error *err)
{
    const mcf_case_row *const parts[] = {mcf_plain_cases, mcf_network_cases, mcf_image_cases};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const mcf_case_row *row = parts[i]; row->make; row++)
            if (row->op == op)
                return row->make(maker, op, err);
    return MCF_OK; // no case: the check counts that as a failure
}
