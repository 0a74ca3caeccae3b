// matmul: batch dimensions joined into two, which products know; more are looped over.
#include "backends/kernels/host.h"

static void move(mcf_operand *operand, int64_t elements)
{
    operand->offset += (size_t)elements * mcf_dtype_size(operand->dtype);
}

// Joins the batch dimensions of a launch into two; the rest is for the caller to loop over.
static int join_batch(const mcf_launch *l, int64_t dim[4], int64_t step[3][4])
{
    const mcf_operand *operands[] = {&l->in[MATMUL_IN_a], &l->in[MATMUL_IN_b], &l->out[MATMUL_OUT_out]};
    int rank = l->in[MATMUL_IN_a].shape.rank - 2, kept = 0;
    for (int i = 0; i < rank; i++) {
        int64_t n = l->in[MATMUL_IN_a].shape.dim[i];
        bool joins = kept > 0;
        if (n == 1)
            continue;
        for (int o = 0; o < 3; o++)
            joins = joins && step[o][kept - 1] == n * operands[o]->stride[i];
        int to = joins ? kept - 1 : kept++;
        dim[to] = joins ? dim[to] * n : n;
        for (int o = 0; o < 3; o++)
            step[o][to] = operands[o]->stride[i];
    }
    return kept;
}

mcf_status dev_op_matmul(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int rank = l->in[MATMUL_IN_a].shape.rank, ta = l->attr.matmul.trans_a != 0, tb = l->attr.matmul.trans_b != 0;
    const int64_t *sa = l->in[MATMUL_IN_a].stride + rank - 2, *sb = l->in[MATMUL_IN_b].stride + rank - 2;
    int64_t dim[4], step[3][4] = {{0}};
    if (!mcf_shape_count(&l->out[MATMUL_OUT_out].shape))
        return MCF_OK;
    int kept = join_batch(l, dim, step);
    int inner = kept > 0 ? kept - 1 : -1, next = kept > 1 ? kept - 2 : -1;
    mcf_operand a = l->in[MATMUL_IN_a], b = l->in[MATMUL_IN_b], c = l->out[MATMUL_OUT_out];
    dev_product p = {
        .a = {&a, {sa[ta], sa[!ta], next < 0 ? 0 : step[0][next], inner < 0 ? 0 : step[0][inner]}},
        .b = {&b, {sb[tb], sb[!tb], next < 0 ? 0 : step[1][next], inner < 0 ? 0 : step[1][inner]}},
        .c = {&c,
              {l->out[MATMUL_OUT_out].stride[rank - 2], 1, next < 0 ? 0 : step[2][next],
               inner < 0 ? 0 : step[2][inner]}},
        .batch0 = next < 0 ? 1 : dim[next],
        .batch1 = inner < 0 ? 1 : dim[inner],
        .m = l->out[MATMUL_OUT_out].shape.dim[rank - 2],
        .n = l->out[MATMUL_OUT_out].shape.dim[rank - 1],
        .k = l->in[MATMUL_IN_a].shape.dim[rank - 1 - ta],
        .alpha = 1,
        .bias = dev_present(l, MATMUL_IN_bias) ? &l->in[MATMUL_IN_bias] : NULL,
        .activation = l->attr.matmul.activation,
        .add = l->accumulate & 1,
    };
    int64_t loops = 1;
    for (int i = 0; i < kept - 2; i++)
        loops *= dim[i];
    for (int64_t loop = 0; loop < loops; loop++) {
        a.offset = l->in[MATMUL_IN_a].offset;
        b.offset = l->in[MATMUL_IN_b].offset;
        c.offset = l->out[MATMUL_OUT_out].offset;
        int64_t rest = loop;
        for (int i = kept - 3; i >= 0; i--) {
            move(&a, rest % dim[i] * step[0][i]);
            move(&b, rest % dim[i] * step[1][i]);
            move(&c, rest % dim[i] * step[2][i]);
            rest /= dim[i];
        }
        MCF_TRY(dev_multiply(stream, &p, err));
    }
    return MCF_OK;
}
