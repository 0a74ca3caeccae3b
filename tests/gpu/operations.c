// Every operation of the table, the memory functions and the collectives against cpu-reference: core/check.h.
#include <stdio.h>

#include "core/check.h"
#include "tests/gpu/gpu.h"

enum { SHOWN = 20 };

typedef struct {
    int shown;
    double worst;
    char worst_op[48];
} tally;

static void on_case(void *context, const mcf_check_result *r)
{
    tally *t = context;
    const double share = r->tolerance > 0 ? r->error / r->tolerance : 0;
    if (r->verdict == MCF_CHECK_PASSED && share > t->worst) {
        t->worst = share;
        snprintf(t->worst_op, sizeof t->worst_op, "%s", r->op);
    }
    if (r->verdict == MCF_CHECK_FAILED && t->shown++ < SHOWN)
        printf("FAILED %s %s: error %.2e, allowed %.2e %s\n", r->op, r->text, r->error, r->tolerance, r->message);
}

mcf_status gpu_operations(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    static const struct {
        mcf_dtype dtype;
        const char *name;
    } types[] = {{MCF_F32, "fp32"}, {MCF_F16, "fp16"}, {MCF_BF16, "bf16"}};
    char line[300] = "";
    int failed = 0, length = 0, passed = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tally t = {0};
        mcf_check_summary sum;
        const mcf_check_options options = {.tiny = o->tiny, .dtypes = 1u << types[i].dtype, .members = 8};
        MCF_TRY(mcf_check_backend(o->backend, o->device, &options, on_case, &t, &sum, err));
        printf("%s: %d cases passed, %d failed, %d not supported; worst %.2f of its tolerance (%s)\n", types[i].name,
               sum.passed, sum.failed, sum.unsupported, t.worst, t.worst_op);
        length += snprintf(line + length, sizeof line - (size_t)length, "%s%s%s %d cases, worst %.2f of tolerance (%s)",
                           i ? "; " : "", types[i].name,
                           types[i].dtype == MCF_BF16 && !gpu_computes(o, MCF_BF16) ? " (as fp32)" : "", sum.passed,
                           t.worst, t.worst_op);
        failed += sum.failed;
        passed += sum.passed;
    }
    *verdict = failed || !passed ? GPU_FAILED : GPU_PASSED;
    if (failed)
        printf("= %d cases FAILED; %s\n", failed, line);
    else
        printf("= %s\n", line);
    return MCF_OK;
}
