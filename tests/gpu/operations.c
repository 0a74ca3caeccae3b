// Every operation of the table, the memory functions and the collectives against cpu-reference: backends/check/check.h.
#include <stdio.h>
#include <string.h>

#include "backends/check/check.h"
#include "tests/gpu/gpu.h"

enum { SHOWN = 20, TYPES = 3 };
static const char *const names[TYPES] = {"fp32", "fp16", "bf16"};

typedef struct {
    int shown, passed[TYPES], failed[TYPES];
    double worst[TYPES];
    char worst_op[TYPES][48];
} tally;

// A case belongs to the 16-bit type that is in it.
static void on_case(void *context, const mcf_check_result *r)
{
    tally *t = context;
    const int type = strstr(r->text, "bf16") ? 2 : strstr(r->text, "f16") ? 1 : 0;
    const double share = r->tolerance > 0 ? r->error / r->tolerance : 0;
    t->passed[type] += r->verdict == MCF_CHECK_PASSED;
    t->failed[type] += r->verdict == MCF_CHECK_FAILED;
    if (r->verdict == MCF_CHECK_PASSED && share > t->worst[type]) {
        t->worst[type] = share;
        snprintf(t->worst_op[type], sizeof t->worst_op[type], "%s", r->op);
    }
    if (r->verdict == MCF_CHECK_FAILED && t->shown++ < SHOWN)
        printf("FAILED %s %s: error %.2e, allowed %.2e %s\n", r->op, r->text, r->error, r->tolerance, r->message);
}

mcf_status gpu_operations(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    tally t = {0};
    mcf_check_summary sum;
    const mcf_check_options options = {.tiny = o->tiny, .members = 8};
    MCF_TRY(mcf_check_backend(o->backend, o->device, &options, on_case, &t, &sum, err));
    *verdict = sum.failed ? GPU_FAILED : GPU_PASSED;
    printf("= ");
    if (sum.failed)
        printf("%d cases FAILED; ", sum.failed);
    for (int i = 0; i < TYPES; i++) {
        if (!t.passed[i])
            *verdict = GPU_FAILED;
        printf("%s%s%s %d cases, worst %.2f of tolerance (%s)", i ? "; " : "", names[i],
               i == 2 && !gpu_computes(o, MCF_BF16) ? " (as fp32)" : "", t.passed[i], t.worst[i], t.worst_op[i]);
    }
    printf("\n");
    return MCF_OK;
}
