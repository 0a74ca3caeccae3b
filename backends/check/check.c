// Runs cases on a backend and judges what comes back.
#include "backends/check/check.h"

#include "backends/host/elements.h"
#include "backends/check/cases.h"
#include "backends/check/group.h"
#include "ops/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GUARD = 1024, // bytes before and behind each operand; a multiple of any alignment asked for
    GUARD_BYTE = 0xA5,
    POISON_BYTE = 0xFF // NaN in every float type
};

typedef struct {
    const mcf_backend *backend;
    mcf_device *device;
    mcf_stream *stream;
    const mcf_check_options *options;
    uint32_t dtypes; // that must work
    mcf_check_callback callback;
    void *context;
    mcf_check_summary *summary;
    uint64_t number; // of the case
    bool skewed;     // operands begin at elements that suit no vector
    int cases_of_op;
} check;

// --- reports

static void report(check *k, const mcf_check_result *result)
{
    if (result->verdict == MCF_CHECK_FAILED)
        k->summary->failed++;
    else if (result->verdict == MCF_CHECK_UNSUPPORTED)
        k->summary->unsupported++;
    else
        k->summary->passed++;
    if (result->verdict == MCF_CHECK_PASSED && result->tolerance > 0)
        k->summary->worst = fmax(k->summary->worst, result->error / result->tolerance);
    if (k->callback)
        k->callback(k->context, result);
}

static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void append_operand(char *text, size_t size, const mcf_operand *operand)
{
    char shape[100];
    append(text, size, " %s%s", mcf_dtype_name(operand->dtype), mcf_shape_print(&operand->shape, shape, sizeof shape));
    if (!mcf_operand_is_contiguous(operand)) {
        append(text, size, " by");
        for (int i = 0; i < operand->shape.rank; i++)
            append(text, size, "%c%lld", i ? ',' : ' ', (long long)operand->stride[i]);
    }
}

static void describe(const mcf_check_case *c, char *text, size_t size)
{
    const mcf_launch *l = &c->launch;
    text[0] = '\0';
    for (int i = 0; i < l->n_in; i++) {
        if (mcf_input_is_present(l, i))
            append_operand(text, size, &l->in[i]);
        else
            append(text, size, " -");
    }
    append(text, size, " ->");
    for (int i = 0; i < l->n_out; i++) {
        if (c->unwanted >> i & 1)
            append(text, size, " -");
        else
            append_operand(text, size, &l->out[i]);
    }
    if (l->op == MCF_OP_matmul)
        append(text, size, "%s%s%s", l->attr.matmul.trans_a ? " a^T" : "", l->attr.matmul.trans_b ? " b^T" : "",
               l->attr.matmul.activation == MCF_ACT_RELU   ? " relu"
               : l->attr.matmul.activation == MCF_ACT_GELU ? " gelu"
                                                           : "");
    if (l->op == MCF_OP_reduce_sum)
        append(text, size, " axes 0x%x", l->attr.reduce_sum.axes);
    if (l->op == MCF_OP_l2_normalize || l->op == MCF_OP_l2_normalize_grad)
        append(text, size, " axis %d", l->attr.l2_normalize.axis);
    if (l->accumulate)
        append(text, size, " adding to 0x%x", l->accumulate);
}

// --- operands on the device

// One operand with the guards around it, as it was before the launch and as it is after.
typedef struct {
    mcf_buffer *buffer;
    unsigned char *before, *after;
    size_t begin, bytes; // between the guards
} placed;

static size_t operand_bytes(const mcf_operand *operand)
{
    int64_t last = 0;
    for (int i = 0; i < operand->shape.rank; i++) {
        if (operand->shape.dim[i] == 0)
            return 0;
        last += (operand->shape.dim[i] - 1) * operand->stride[i];
    }
    return (size_t)(last + 1) * mcf_dtype_size(operand->dtype);
}

static int64_t place_of(const mcf_operand *operand, int64_t i)
{
    int64_t place = 0;
    for (int axis = operand->shape.rank - 1; axis >= 0; axis--) {
        place += i % operand->shape.dim[axis] * operand->stride[axis];
        i /= operand->shape.dim[axis];
    }
    return place;
}

// values NULL: poison. Skewed, operands of a case begin 1 to 7 elements apart from where every vector would suit.
static mcf_status place(check *k, mcf_operand *operand, const double *values, placed *p, int i, mcf_error *err)
{
    p->bytes = operand_bytes(operand);
    p->begin = GUARD + (k->skewed ? (1 + (k->number + (uint64_t)i) % 7) * mcf_dtype_size(operand->dtype) : 0);
    size_t total = p->bytes + 2 * GUARD;
    p->before = malloc(total);
    p->after = malloc(total);
    if (!p->before || !p->after)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu bytes", total);
    memset(p->before, GUARD_BYTE, total);
    memset(p->before + p->begin, POISON_BYTE, p->bytes);
    int64_t count = mcf_shape_count(&operand->shape);
    for (int64_t j = 0; values && j < count; j++)
        mcf_store_element(p->before + p->begin, operand->dtype, place_of(operand, j), values[j]);
    MCF_TRY(k->backend->buffer_create(k->device, total, &p->buffer, err));
    operand->buffer = p->buffer;
    operand->offset = p->begin;
    return k->backend->upload(k->stream, p->buffer, 0, p->before, total, err);
}

static mcf_status fetch(check *k, placed *p, mcf_error *err)
{
    return p->buffer ? k->backend->download(k->stream, p->after, p->buffer, 0, p->bytes + 2 * GUARD, err) : MCF_OK;
}

static void release(check *k, placed *p)
{
    if (p->buffer)
        k->backend->buffer_destroy(p->buffer);
    free(p->before);
    free(p->after);
}

// --- judgement

// Says where bytes changed that must not; "" when none did. `whole`: the operand itself, besides its guards.
static void judge_bytes(const placed *p, const char *what, int i, bool whole, char *message, size_t size)
{
    size_t total = p->bytes + 2 * GUARD;
    for (size_t at = 0; at < total && !message[0]; at++) {
        if (p->before[at] == p->after[at])
            continue;
        if (at < p->begin)
            snprintf(message, size, "wrote %zu bytes before %s %d", p->begin - at, what, i);
        else if (at >= p->begin + p->bytes)
            snprintf(message, size, "wrote %zu bytes behind %s %d", at - p->begin - p->bytes + 1, what, i);
        else if (whole)
            snprintf(message, size, "changed %s %d at byte %zu", what, i, at - p->begin);
        else
            at = p->begin + p->bytes - 1;
    }
}

static double rounded(double x, mcf_dtype dtype)
{
    double stored;
    mcf_store_element(&stored, dtype, 0, x);
    return mcf_load_element(&stored, dtype, 0);
}

// Relative L2 error of an operand; a message when it, or one element, is too large.
static double judge_values(const mcf_operand *operand, const placed *p, const double *want, double tolerance,
                           double floor, const char *what, int number, char *message, size_t size)
{
    int64_t count = mcf_shape_count(&operand->shape);
    double squares = 0, error_squares = 0;
    bool exact = tolerance == 0, odd = false;
    for (int64_t i = 0; i < count; i++) {
        double w = exact ? rounded(want[i], operand->dtype) : want[i];
        double got = mcf_load_element(p->after + p->begin, operand->dtype, place_of(operand, i));
        if (isfinite(w) && isfinite(got)) {
            squares += w * w;
            error_squares += (got - w) * (got - w);
        } else if (!(isnan(w) && isnan(got)) && w != got && !odd) {
            odd = true;
            if (!message[0])
                snprintf(message, size, "%s %d, element %lld is %g and should be %.9g", what, number, (long long)i, got,
                         w);
        }
    }
    if (odd)
        return INFINITY;
    if (error_squares == 0)
        return 0;
    double scale = fmax(sqrt(squares), floor * sqrt((double)count));
    double error = scale > 0 ? sqrt(error_squares) / scale : INFINITY;
    if (error > tolerance && !message[0])
        snprintf(message, size, "%s %d is off by %.3g, allowed are %.3g", what, number, error, tolerance);
    double typical = scale / sqrt((double)count);
    for (int64_t i = 0; i < count && !message[0]; i++) {
        double w = exact ? rounded(want[i], operand->dtype) : want[i];
        double got = mcf_load_element(p->after + p->begin, operand->dtype, place_of(operand, i));
        if (fabs(got - w) > MCF_CHECK_WORST * tolerance * (fabs(w) + typical))
            snprintf(message, size, "%s %d, element %lld is %.9g and should be %.9g", what, number, (long long)i, got,
                     w);
    }
    return error;
}

static double tolerance_of(const mcf_check_case *c)
{
    const mcf_launch *l = &c->launch;
    bool low = false;
    for (int i = 0; i < l->n_in; i++)
        low |= mcf_input_is_present(l, i) && (l->in[i].dtype == MCF_BF16 || l->in[i].dtype == MCF_F16);
    for (int i = 0; i < l->n_out; i++)
        low |= l->out[i].dtype == MCF_BF16 || l->out[i].dtype == MCF_F16;
    const mcf_op_info *info = mcf_op_describe(l->op);
    return low ? info->tolerance16 : info->tolerance32;
}

// --- a case

typedef struct {
    double *values[MCF_MAX_INPUTS];
    double *before[MCF_MAX_OUTPUTS]; // what accumulated outputs hold
    double *results[MCF_MAX_OUTPUTS];
    placed in[MCF_MAX_INPUTS], out[MCF_MAX_OUTPUTS];
} work;

static mcf_status draw_before(check *k, const mcf_check_case *c, work *w, mcf_error *err)
{
    for (int i = 0; i < c->launch.n_out; i++) {
        if (!(c->launch.accumulate >> i & 1))
            continue;
        mcf_check_case only = {.launch = {.op = MCF_OP_relu, .n_in = 1}};
        only.launch.in[0] = c->launch.out[i];
        double *values[MCF_MAX_INPUTS] = {NULL};
        mcf_status status = mcf_check_draw(&only, k->options->seed + 1, k->number, values, err);
        w->before[i] = values[0];
        MCF_TRY(status);
    }
    return MCF_OK;
}

// Runs the case on the backend; w->*.after hold what is there then.
static mcf_status run(check *k, const mcf_check_case *c, mcf_launch *l, work *w, mcf_error *err)
{
    for (int i = 0; i < l->n_in; i++)
        if (w->values[i])
            MCF_TRY(place(k, &l->in[i], w->values[i], &w->in[i], i, err));
    for (int i = 0; i < l->n_out; i++) {
        if (c->unwanted >> i & 1) {
            l->out[i] = (mcf_operand){.buffer = NULL};
            continue;
        }
        if (i == 0 && mcf_op_describe(c->launch.op)->changed & 1)
            l->out[0] = l->in[0];
        else
            MCF_TRY(place(k, &l->out[i], w->before[i], &w->out[i], MCF_MAX_INPUTS + i, err));
    }
    MCF_TRY(k->backend->launch(k->stream, l, err));
    MCF_TRY(k->backend->stream_synchronize(k->stream, err));
    for (int i = 0; i < l->n_in; i++)
        MCF_TRY(fetch(k, &w->in[i], err));
    for (int i = 0; i < l->n_out; i++)
        MCF_TRY(fetch(k, &w->out[i], err));
    return k->backend->stream_synchronize(k->stream, err);
}

static void judge(const mcf_check_case *c, const mcf_launch *l, const work *w, mcf_check_result *result, char *message,
                  size_t size)
{
    for (int i = 0; i < l->n_in; i++) {
        bool changes = mcf_op_describe(c->launch.op)->changed >> i & 1;
        if (!w->in[i].buffer)
            continue;
        judge_bytes(&w->in[i], "input", i, !changes, message, size);
        if (changes)
            result->error = fmax(result->error, judge_values(&l->in[i], &w->in[i], w->values[i], result->tolerance,
                                                             c->floor, "changed input", i, message, size));
    }
    for (int i = 0; i < l->n_out; i++) {
        if (!w->out[i].buffer)
            continue;
        judge_bytes(&w->out[i], "output", i, false, message, size);
        result->error = fmax(result->error, judge_values(&l->out[i], &w->out[i], w->results[i], result->tolerance,
                                                         c->floor, "output", i, message, size));
    }
}

static mcf_status go_on(const check *k, mcf_error *err)
{
    return k->options->stop && *k->options->stop ? mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped") : MCF_OK;
}

static mcf_status run_at(check *k, const mcf_check_case *c, mcf_error *err)
{
    char text[512], message[512] = "";
    describe(c, text, sizeof text);
    if (k->skewed)
        append(text, sizeof text, " at odd offsets");
    mcf_check_result result = {.op = mcf_op_describe(c->launch.op)->name, .text = text, .message = message};
    result.tolerance = tolerance_of(c);
    mcf_launch l = c->launch;
    if (!k->backend->supports(k->device, &l)) {
        result.verdict = c->required ? MCF_CHECK_FAILED : MCF_CHECK_UNSUPPORTED;
        snprintf(message, sizeof message, "not supported%s", c->required ? ", but must be" : "");
        report(k, &result);
        return MCF_OK;
    }
    work w;
    memset(&w, 0, sizeof w);
    mcf_error error = {.status = MCF_OK};
    mcf_status status = mcf_check_draw(c, k->options->seed, k->number, w.values, err);
    if (status == MCF_OK)
        status = draw_before(k, c, &w, err);
    if (status == MCF_OK && run(k, c, &l, &w, &error) != MCF_OK)
        snprintf(message, sizeof message, "%.500s", error.message);
    if (status == MCF_OK)
        status = mcf_check_reference(c, w.values, w.before, w.results, err);
    if (status == MCF_OK) {
        if (!message[0])
            judge(c, &l, &w, &result, message, sizeof message);
        result.verdict = message[0] ? MCF_CHECK_FAILED : MCF_CHECK_PASSED;
        report(k, &result);
    }
    for (int i = 0; i < MCF_MAX_INPUTS; i++) {
        release(k, &w.in[i]);
        free(w.values[i]);
    }
    for (int i = 0; i < MCF_MAX_OUTPUTS; i++) {
        release(k, &w.out[i]);
        free(w.before[i]);
        free(w.results[i]);
    }
    return status == MCF_OK ? status : mcf_add_context(err, status, "check of %s%s", result.op, text);
}

// Fails only where the check itself cannot go on; an operation that fails is a result. Every third case runs once more
// with its operands at odd offsets: kernels that read vectors have to look where an operand begins.
static mcf_status run_case(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err)
{
    check *k = maker->context;
    MCF_TRY(go_on(k, err));
    k->number++;
    k->cases_of_op++;
    MCF_TRY(run_at(k, c, err));
    k->skewed = k->number % 3 == 0;
    mcf_status status = k->skewed ? run_at(k, c, err) : MCF_OK;
    k->skewed = false;
    return status;
}

// --- everything

static mcf_status check_op(check *k, mcf_op op, mcf_error *err)
{
    k->cases_of_op = 0;
    for (int type = 0; type < MCF_DTYPE_COUNT; type++) {
        if (!(k->dtypes >> type & 1))
            continue;
        mcf_case_maker maker = {(mcf_dtype)type, k->options->tiny, run_case, k};
        MCF_TRY(mcf_check_make_cases(&maker, op, err));
    }
    // Optimiser state is fp32 whatever the precision.
    bool fp32_only = op == MCF_OP_ema || op == MCF_OP_adamw;
    if (!k->cases_of_op && !(fp32_only && !(k->dtypes >> MCF_F32 & 1)))
        report(k,
               &(mcf_check_result){
                   .op = mcf_op_describe(op)->name, .text = "", .verdict = MCF_CHECK_FAILED, .message = "has no case"});
    return MCF_OK;
}

static void report_part(void *context, const char *op, const char *text, double error, double tolerance,
                        const char *message)
{
    report(context, &(mcf_check_result){.op = op,
                                        .text = text,
                                        .verdict = message[0] ? MCF_CHECK_FAILED : MCF_CHECK_PASSED,
                                        .error = error,
                                        .tolerance = tolerance,
                                        .message = message});
}

static mcf_status check_all(check *k, int device_index, mcf_error *err)
{
    const char *only = k->options->only;
    mcf_op op = only ? mcf_op_find(only) : MCF_OP_COUNT;
    mcf_check_job job = {.backend = k->backend,
                         .device_index = device_index,
                         .seed = k->options->seed,
                         .members = k->options->members,
                         .tiny = k->options->tiny,
                         .dtypes = k->dtypes,
                         .report = report_part,
                         .context = k};
    if (only && op == MCF_OP_COUNT && strcmp(only, "memory") && strcmp(only, "group"))
        return mcf_fail(err, MCF_ERR_USAGE, "no operation is called '%.64s'", only);
    if (!only || !strcmp(only, "memory"))
        MCF_TRY(mcf_check_memory(&job, k->device, err));
    for (int i = 0; i < MCF_OP_COUNT; i++)
        if ((!only || op == (mcf_op)i) && !mcf_op_is_collective((mcf_op)i))
            MCF_TRY(check_op(k, (mcf_op)i, err));
    MCF_TRY(go_on(k, err));
    if (!only || !strcmp(only, "group") || (op != MCF_OP_COUNT && mcf_op_is_collective(op)))
        MCF_TRY(mcf_check_group(&job, op, err));
    return MCF_OK;
}

mcf_status mcf_check_backend(const mcf_backend *backend, int device_index, const mcf_check_options *options,
                             mcf_check_callback callback, void *context, mcf_check_summary *summary, mcf_error *err)
{
    memset(summary, 0, sizeof *summary);
    check k = {.backend = backend, .options = options, .callback = callback, .context = context, .summary = summary};
    mcf_device_info info;
    MCF_TRY(backend->device_info(device_index, &info, err));
    uint32_t checkable = 1u << MCF_F32 | 1u << MCF_BF16 | 1u << MCF_F16;
    k.dtypes = (options->dtypes ? options->dtypes : info.dtypes | 1u << MCF_F32) & checkable;
    if (!k.dtypes)
        return mcf_fail(err, MCF_ERR_USAGE, "nothing to check: types are f32, bf16 and f16");
    MCF_TRY(backend->device_open(device_index, &(mcf_device_options){.opened = 1}, &k.device, err));
    mcf_status status = backend->stream_create(k.device, &k.stream, err);
    if (status == MCF_OK) {
        status = check_all(&k, device_index, err);
        backend->stream_destroy(k.stream);
    }
    backend->device_close(k.device);
    return status;
}
