// Operations that treat each element by itself.
#include "backends/cpu/cpu.h"

enum { MAX_OPERANDS = 2 };

// What a line of one or two inputs becomes.
typedef void (*line_function)(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                              int64_t n);

// Axes of size 1 go, and neighbours that are one run in all operands are joined; the result is contiguous.
typedef struct {
    int rank;
    int64_t dim[MCF_MAX_RANK], stride[MAX_OPERANDS][MCF_MAX_RANK];
} loops;

static loops collapse(const mcf_launch *l)
{
    loops s = {0};
    const mcf_shape *shape = &l->out[ELEMENTWISE_OUT].shape;
    for (int i = 0; i < shape->rank; i++) {
        int64_t size = shape->dim[i];
        if (size == 1)
            continue;
        bool join = s.rank > 0;
        for (int j = 0; j < l->n_in && join; j++)
            join = s.stride[j][s.rank - 1] == l->in[j].stride[i] * size;
        if (join) {
            s.dim[s.rank - 1] *= size;
        } else {
            s.dim[s.rank++] = size;
        }
        for (int j = 0; j < l->n_in; j++)
            s.stride[j][s.rank - 1] = l->in[j].stride[i];
    }
    if (s.rank == 0) {
        s.rank = 1;
        s.dim[0] = 1;
    }
    return s;
}

// A contiguous a, and a b that repeats each of its values along a short last axis (a mask over few channels): several rows
// make a line, with b's values repeated.
static bool is_short_repeat(const mcf_launch *l, const loops *s)
{
    const int last = s->rank - 1;
    if (l->n_in != 2 || s->rank != 2 || s->dim[last] > MCF_CPU_LINE / 4)
        return false;
    return s->stride[ELEMENTWISE_IN_a][last] == 1 && s->stride[ELEMENTWISE_IN_a][0] == s->dim[last] &&
           s->stride[ELEMENTWISE_IN_b][last] == 0 && s->stride[ELEMENTWISE_IN_b][0] == 1;
}

static void each_short_repeat(mcf_device *device, const mcf_launch *l, const loops *s, line_function function)
{
    const mcf_operand *out = &l->out[ELEMENTWISE_OUT], *a = &l->in[ELEMENTWISE_IN_a], *b = &l->in[ELEMENTWISE_IN_b];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t n = s->dim[1], rows = s->dim[0], most = MCF_CPU_LINE / n;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, rows *n))
    for (int64_t row = 0; row < rows; row += most) {
        float room[MAX_OPERANDS + 1][MCF_CPU_LINE], values[MCF_CPU_LINE];
        const int64_t count = mcf_cpu_min(rows - row, most), elements = count * n;
        const float *short_b = mcf_cpu_read(k, values, mcf_cpu_at(b, row), b->dtype, 1, count);
        for (int64_t i = 0; i < count; i++)
            for (int64_t c = 0; c < n; c++)
                room[1][i * n + c] = short_b[i];
        void *to = mcf_cpu_at(out, row * n);
        float *result = mcf_cpu_place(room[MAX_OPERANDS], to, out->dtype);
        function(k, l, result, mcf_cpu_read(k, room[0], mcf_cpu_at(a, row * n), a->dtype, 1, elements), room[1],
                 elements);
        mcf_cpu_write(k, to, out->dtype, result, elements);
    }
}

static mcf_status each_line(mcf_device *device, const mcf_launch *l, line_function function)
{
    const mcf_operand *out = &l->out[ELEMENTWISE_OUT];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t total = mcf_shape_count(&out->shape);
    if (total == 0)
        return MCF_OK;
    const loops s = collapse(l);
    if (is_short_repeat(l, &s)) {
        each_short_repeat(device, l, &s, function);
        return MCF_OK;
    }
    int64_t n = s.dim[s.rank - 1], lines = total / n, pieces = (n + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < lines * pieces; job++) {
        float room[MAX_OPERANDS + 1][MCF_CPU_LINE];
        const float *in[MAX_OPERANDS] = {NULL};
        int64_t line = job / pieces, begin = job % pieces * MCF_CPU_LINE;
        int64_t count = mcf_cpu_min(n - begin, MCF_CPU_LINE);
        for (int j = 0; j < l->n_in; j++) {
            int64_t step = s.stride[j][s.rank - 1], at = begin * step, rest = line;
            for (int i = s.rank - 2; i >= 0; i--) {
                at += rest % s.dim[i] * s.stride[j][i];
                rest /= s.dim[i];
            }
            in[j] = mcf_cpu_read(k, room[j], mcf_cpu_at(&l->in[j], at), l->in[j].dtype, step, count);
        }
        void *to = mcf_cpu_at(out, line * n + begin);
        float *result = mcf_cpu_place(room[MAX_OPERANDS], to, out->dtype);
        function(k, l, result, in[ELEMENTWISE_IN_a], in[ELEMENTWISE_IN_b], count);
        mcf_cpu_write(k, to, out->dtype, result, count);
    }
    return MCF_OK;
}

static void add_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                     int64_t n)
{
    k->add(out, a, b, (float)l->attr.add.alpha, (float)l->attr.add.beta, n);
}

static void mul_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                     int64_t n)
{
    k->mul(out, a, b, n);
}

static void scale_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                       int64_t n)
{
    k->scale(out, a, (float)l->attr.scale.alpha, (float)l->attr.scale.beta, n);
}

static void relu_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                      int64_t n)
{
    k->relu(out, a, n);
}

static void relu_grad_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                           int64_t n)
{
    k->relu_grad(out, a, b, n);
}

static void gelu_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                      int64_t n)
{
    (l->out[ELEMENTWISE_OUT].dtype == MCF_BF16 ? k->gelu_low : k->gelu)(out, a, n);
}

static void gelu_grad_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                           int64_t n)
{
    (l->out[ELEMENTWISE_OUT].dtype == MCF_BF16 ? k->gelu_grad_low : k->gelu_grad)(out, a, b, n);
}

static void sigmoid_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                         int64_t n)
{
    k->sigmoid(out, a, n);
}

static void sigmoid_grad_line(const mcf_cpu_kernels *k, const mcf_launch *l, float *out, const float *a, const float *b,
                              int64_t n)
{
    k->sigmoid_grad(out, a, b, n);
}

#define ELEMENTWISE(name)                                                                                              \
    mcf_status mcf_cpu_op_##name(mcf_device *device, const mcf_launch *launch, mcf_error *err)                         \
    {                                                                                                                  \
        return each_line(device, launch, name##_line);                                                                 \
    }
ELEMENTWISE(add)
ELEMENTWISE(mul)
ELEMENTWISE(scale)
ELEMENTWISE(relu)
ELEMENTWISE(relu_grad)
ELEMENTWISE(gelu)
ELEMENTWISE(gelu_grad)
ELEMENTWISE(sigmoid)
ELEMENTWISE(sigmoid_grad)
