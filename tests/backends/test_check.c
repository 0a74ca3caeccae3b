// The check judges cpu-reference by itself (fp32 and 16 bit against f64) and catches backends that are wrong.
#include "backends/check/check.h"

#include "backends/host/elements.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    char op[32], message[600]; // of the first failure
    int results[MCF_OP_COUNT];
} seen;

static void note(void *context, const mcf_check_result *result)
{
    seen *s = context;
    mcf_op op = mcf_op_find(result->op);
    if (op != MCF_OP_COUNT && result->verdict == MCF_CHECK_PASSED)
        s->results[op]++;
    if (result->verdict == MCF_CHECK_FAILED && !s->message[0]) {
        snprintf(s->op, sizeof s->op, "%s", result->op);
        snprintf(s->message, sizeof s->message, "%s:%s", result->text, result->message);
    }
}

static mcf_check_summary run_sizes(const mcf_backend *backend, const char *only, bool tiny, seen *s)
{
    mcf_check_options options = {.seed = 1, .only = only, .tiny = tiny};
    mcf_check_summary summary;
    mcf_error err = {.message = ""};
    memset(s, 0, sizeof *s);
    if (mcf_check_backend(backend, 0, &options, note, s, &summary, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return summary;
}

static mcf_check_summary run(const mcf_backend *backend, const char *only, seen *s)
{
    return run_sizes(backend, only, true, s);
}

static void reference_passes(void **state)
{
    seen s;
    mcf_check_summary summary = run(mcf_backend_reference(), NULL, &s);
    if (summary.failed)
        fail_msg("%d failed, first %s%s", summary.failed, s.op, s.message);
    assert_true(summary.passed > 1000);
    assert_int_equal(summary.unsupported, 0);
    assert_true(summary.worst <= 1);
    for (int op = 0; op < MCF_OP_COUNT; op++)
        if (!s.results[op])
            fail_msg("%s was not checked", mcf_op_describe((mcf_op)op)->name);
}

// In all sizes, and with every operation in every plain type.
static void cpu_passes(void **state)
{
    seen s;
    const mcf_backend *backend;
    mcf_error err;
    if (mcf_backend_find("cpu", &backend, &err) != MCF_OK)
        fail_msg("%s", err.message);
    mcf_check_summary summary = run_sizes(backend, NULL, false, &s);
    if (summary.failed)
        fail_msg("%d failed, first %s%s", summary.failed, s.op, s.message);
    assert_true(summary.passed > 5000);
    for (int op = 0; op < MCF_OP_COUNT; op++)
        if (!s.results[op])
            fail_msg("%s was not checked", mcf_op_describe((mcf_op)op)->name);
}

// --- wrong backends: the reference with one thing broken

static mcf_op broken_op;
static enum { WRONG_ELEMENT, WRONG_SCALE, WRITES_BEHIND, WRITES_BEFORE, CHANGES_INPUT, WRITES_NOTHING, FAILS } flaw;

// Takes effect on float outputs of the operation with at least 3 elements.
static mcf_status broken_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    const mcf_backend *reference = mcf_backend_reference();
    const mcf_operand *out = &launch->out[0];
    int64_t count = mcf_shape_count(&out->shape);
    if (launch->op != broken_op || count < 3 || launch->accumulate)
        return reference->launch(stream, launch, err);
    if (flaw == FAILS)
        return mcf_fail(err, MCF_ERR_DEVICE, "the device has left");
    if (flaw == WRITES_NOTHING)
        return MCF_OK;
    MCF_TRY(reference->launch(stream, launch, err));
    char *data = (char *)reference->buffer_host(out->buffer) + out->offset;
    double last = mcf_load_element(data, out->dtype, count - 1);
    if (flaw == WRONG_ELEMENT)
        mcf_store_element(data, out->dtype, count - 1, last + 1);
    else if (flaw == WRITES_BEHIND)
        mcf_store_element(data, out->dtype, count, last);
    else if (flaw == WRITES_BEFORE)
        mcf_store_element(data, out->dtype, -1, last);
    else if (flaw == CHANGES_INPUT)
        ((char *)reference->buffer_host(launch->in[0].buffer))[launch->in[0].offset] ^= 1;
    else
        for (int64_t i = 0; i < count; i++)
            mcf_store_element(data, out->dtype, i, 1.02 * mcf_load_element(data, out->dtype, i));
    return MCF_OK;
}

static void expect_caught(mcf_backend *backend, const char *only, const char *words)
{
    seen s;
    mcf_check_summary summary = run(backend, only, &s);
    assert_true(summary.failed > 0);
    assert_string_equal(s.op, only);
    if (!strstr(s.message, words))
        fail_msg("expected '%s' in: %s", words, s.message);
}

static void wrong_operations_are_caught(void **state)
{
    static const struct {
        int flaw;
        const char *words;
    } flaws[] = {{WRONG_ELEMENT, "output 0"},        {WRONG_SCALE, "off by"},
                 {WRITES_BEHIND, "behind output 0"}, {WRITES_BEFORE, "before output 0"},
                 {CHANGES_INPUT, "changed input 0"}, {WRITES_NOTHING, "nan"},
                 {FAILS, "the device has left"}};
    static const mcf_op ops[] = {MCF_OP_matmul, MCF_OP_layer_norm, MCF_OP_attention, MCF_OP_gelu};
    mcf_backend backend = *mcf_backend_reference();
    backend.launch = broken_launch;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t j = 0; j < sizeof flaws / sizeof *flaws; j++) {
            broken_op = ops[i];
            flaw = flaws[j].flaw;
            expect_caught(&backend, mcf_op_describe(broken_op)->name, flaws[j].words);
        }
}

// Reads one element past a row of a strided input, where a gap is.
static mcf_status reads_gaps(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    mcf_launch plain = *launch;
    mcf_contiguous_strides(&plain.in[0].shape, plain.in[0].stride);
    return mcf_backend_reference()->launch(stream, &plain, err);
}

static void ignored_strides_are_caught(void **state)
{
    mcf_backend backend = *mcf_backend_reference();
    backend.launch = reads_gaps;
    expect_caught(&backend, "copy", "output 0");
}

static bool refuses_softmax(const mcf_device *device, const mcf_launch *launch)
{
    return launch->op != MCF_OP_softmax && mcf_backend_reference()->supports(device, launch);
}

static void a_missing_operation_is_caught(void **state)
{
    mcf_backend backend = *mcf_backend_reference();
    backend.supports = refuses_softmax;
    expect_caught(&backend, "softmax", "not supported");
}

static mcf_status wrong_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                   mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                   mcf_reduce reduce, mcf_error *err)
{
    return mcf_backend_reference()->all_reduce(group, rank, stream, to, to_offset, from, from_offset, count, dtype,
                                               MCF_REDUCE_SUM, err);
}

static void wrong_collectives_are_caught(void **state)
{
    mcf_backend backend = *mcf_backend_reference();
    backend.all_reduce = wrong_all_reduce;
    expect_caught(&backend, "all_reduce", "off by");
}

static void unknown_names_are_refused(void **state)
{
    mcf_check_options options = {.only = "matmult"};
    mcf_check_summary summary;
    mcf_error err;
    assert_int_equal(mcf_check_backend(mcf_backend_reference(), 0, &options, NULL, NULL, &summary, &err),
                     MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "matmult"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_passes),
        cmocka_unit_test(cpu_passes),
        cmocka_unit_test(wrong_operations_are_caught),
        cmocka_unit_test(ignored_strides_are_caught),
        cmocka_unit_test(a_missing_operation_is_caught),
        cmocka_unit_test(wrong_collectives_are_caught),
        cmocka_unit_test(unknown_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
