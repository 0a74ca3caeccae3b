// mcf check: every operation of a backend against the CPU reference.
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "backends/check/check.h"

enum { MAX_ROWS = 128, MAX_SHOWN = 20 };

// What the cases of one operation gave together.
typedef struct {
    char op[48];
    int passed, failed, unsupported;
    double worst; // largest error / tolerance
} row;

typedef struct {
    row rows[MAX_ROWS];
    int row_count, shown, device;
    bool verbose;
    mcf_bar *progress;
    uint64_t seed;
    double done;
} tally;

static row *row_of(tally *t, const char *op)
{
    for (int i = 0; i < t->row_count; i++)
        if (!strcmp(t->rows[i].op, op))
            return &t->rows[i];
    if (t->row_count == MAX_ROWS)
        return &t->rows[MAX_ROWS - 1];
    row *r = &t->rows[t->row_count++];
    snprintf(r->op, sizeof r->op, "%s", op);
    return r;
}

static void on_case(void *context, const mcf_check_result *result)
{
    static const char *const words[] = {"passed", "FAILED", "not supported"};
    tally *t = context;
    row *r = row_of(t, result->op);
    double share = result->tolerance > 0 ? result->error / result->tolerance : 0;
    if (result->verdict == MCF_CHECK_PASSED) {
        r->passed++;
        if (share > r->worst)
            r->worst = share;
    } else if (result->verdict == MCF_CHECK_FAILED) {
        r->failed++;
    } else {
        r->unsupported++;
    }
    if (t->verbose || (result->verdict == MCF_CHECK_FAILED && t->shown++ < MAX_SHOWN))
        printf("%s: %s %s: error %.2e, allowed %.2e%s%s (device %d, seed %llu)\n", words[result->verdict], result->op,
               result->text, result->error, result->tolerance, *result->message ? ": " : "", result->message, t->device,
               (unsigned long long)t->seed);
    mcf_bar_update(t->progress, ++t->done, 0, 0, result->op);
}

static void cell_unless_zero(mcf_table *table, int count)
{
    if (count)
        mcf_table_cell(table, "%d", count);
    else
        mcf_table_cell(table, "%s", "");
}

static void print(const mcf_call *call, const tally *t, const char *backend, int passed, int failed)
{
    if (mcf_call_flag(call, "json")) {
        json_t *list = json_array();
        for (int i = 0; i < t->row_count; i++) {
            const row *r = &t->rows[i];
            json_array_append_new(list,
                                  json_pack("{s:s, s:i, s:i, s:i, s:f}", "operation", r->op, "passed", r->passed,
                                            "failed", r->failed, "unsupported", r->unsupported, "worst", r->worst));
        }
        json_t *json = json_pack("{s:s, s:i, s:i, s:o}", "backend", backend, "passed", passed, "failed", failed,
                                 "operations", list);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
        putchar('\n');
        json_decref(json);
        return;
    }
    mcf_table *table = mcf_table_create("operation|>cases|>failed|>not supported|>error / tolerance");
    for (int i = 0; i < t->row_count; i++) {
        const row *r = &t->rows[i];
        mcf_table_cell(table, "%s", r->op);
        mcf_table_cell(table, "%d", r->passed + r->failed);
        cell_unless_zero(table, r->failed);
        cell_unless_zero(table, r->unsupported);
        mcf_table_cell(table, "%.3f", r->worst);
    }
    mcf_table_print(table);
    mcf_table_free(table);
    printf("%s: %d cases passed, %d failed\n", backend, passed, failed);
}

static mcf_status parse_precision(const char *text, uint32_t *dtypes, mcf_error *err)
{
    static const struct {
        const char *name;
        mcf_dtype dtype;
    } rows[] = {{"fp32", MCF_F32}, {"bf16", MCF_BF16}, {"fp16", MCF_F16}};
    *dtypes = 0;
    if (!text)
        return MCF_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strcmp(text, rows[i].name))
            *dtypes = 1u << rows[i].dtype;
    if (!*dtypes)
        return mcf_fail(err, MCF_ERR_USAGE, "check: --precision %s is none of fp32, bf16, fp16", text);
    return MCF_OK;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const mcf_backend *backend;
    mcf_check_options options = {
        .only = mcf_call_value(call, "op"), .tiny = mcf_call_flag(call, "tiny"), .stop = mcf_interrupt_flag()};
    mcf_check_summary sum = {0};
    tally t = {.verbose = mcf_call_flag(call, "verbose")};
    int64_t seed, seeds;
    mcf_status status = MCF_OK;

    MCF_TRY(mcf_call_integer(call, "seed", 0, 0, INT64_MAX, &seed, err));
    MCF_TRY(mcf_call_integer(call, "seeds", 1, 1, 1000000, &seeds, err));
    MCF_TRY(parse_precision(mcf_call_value(call, "precision"), &options.dtypes, err));
    MCF_TRY(mcf_backend_find(call->job.backend, &backend, err));
    mcf_interrupt_install(MCF_PATIENCE);
    t.progress = mcf_bar_start(call->quiet, "cases");
    const int devices = call->job.device_count ? call->job.device_count : 1;
    for (int64_t turn = 0; turn < seeds * devices && status == MCF_OK; turn++) {
        const int64_t i = turn / devices;
        mcf_check_summary one;
        t.device = call->job.device_count ? call->job.devices[turn % devices] : 0;
        t.seed = options.seed = (uint64_t)(seed + i);
        status = mcf_check_backend(backend, t.device, &options, on_case, &t, &one, err);
        sum.passed += one.passed;
        sum.failed += one.failed;
        if (status == MCF_ERR_INTERRUPTED)
            mcf_fail(err, status, "check: interrupted after %d cases of seed %lld, seed %lld of %lld; %d cases failed",
                     one.passed + one.failed, (long long)(seed + i), (long long)i + 1, (long long)seeds, sum.failed);
    }
    mcf_bar_end(t.progress);
    if (status != MCF_OK)
        return status;
    print(call, &t, backend->name, sum.passed, sum.failed);
    if (sum.failed)
        return mcf_fail(err, MCF_ERR_NUMERIC, "check: %s differs from cpu-reference in %d cases", backend->name,
                        sum.failed);
    if (!sum.passed)
        return mcf_fail(err, MCF_ERR_USAGE, "check: --op %s names no operation; `mcf check` lists them",
                        options.only ? options.only : "");
    return MCF_OK;
}

static const mcf_option options[] = {
    {"op", "NAME", "Only this operation; also: memory, group", false},
    {"precision", "NAME", "Only fp32, bf16 or fp16 (default: all that the device computes in)", false},
    {"seed", "S", "Of the operands' values (default 0)", false},
    {"seeds", "N", "Repeat with N seeds from S on (default 1)", false},
    {"tiny", NULL, "The smallest shapes only: a second in place of a minute", false},
    {"verbose", NULL, "Print every case", false},
    {"json", NULL, "Print JSON in place of the table", false},
    {0},
};

const mcf_command mcf_command_check = {
    .name = "check",
    .arguments = "",
    .summary = "Check every operation of a backend against the CPU reference",
    .description =
        "Runs every operation of the table over odd shapes, strides and types, the memory functions and the "
        "collectives, and compares with `cpu-reference` in double precision within the table's tolerances. "
        "Any difference is printed with its case, and the exit code is 1. With several `--devices` each is checked.",
    .options = options,
    .common = MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf check --backend cpu\nmcf check --backend cpu --op attention --seeds 20",
    .run = run,
};
