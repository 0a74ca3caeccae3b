// Sums: out = scale * sum of f(x), f(x) = x or x^2.
//   reduce_lines    x [R,C] -> a sum for each chunk of each line; with one chunk that is the sum of the line
//   reduce_columns  x [O,R,C] -> for each chunk of R rows and each column
//   reduce_any      any axes and steps, an item for each output
// Long sums are made in two calls: chunks into fp32 scratch, then the sum of those. Both orders are fixed.
#include "device.h"

// Group (chunk, r): elements [chunk * length, (chunk + 1) * length) of line r.
#define LINES(name, term)                                                                                              \
    KERNEL void name(GRID INPUT(T0, x), TENSOR(TO, out), I64 width, I64 length, I64 chunks, float scale, int add)      \
    {                                                                                                                  \
        VECTOR_SUMS                                                                                                    \
        GROUP_ROOM(room);                                                                                              \
        const I64 r = GROUP_ID(0) / chunks, chunk = GROUP_ID(0) % chunks;                                              \
        const I64 begin = chunk * length, left = width - begin, count = left < length ? left : length;                 \
        float sum = 0;                                                                                                 \
        AT(x);                                                                                                         \
        AT(out);                                                                                                       \
        x += r * width + begin;                                                                                        \
        EACH(i, count)                                                                                                 \
        {                                                                                                              \
            const float v = LOAD(T0, x, i);                                                                            \
            sum += term;                                                                                               \
        }                                                                                                              \
        sum = GROUP_SUM(sum, room) * scale;                                                                            \
        if (FIRST_ITEM) {                                                                                              \
            if (add)                                                                                                   \
                sum += LOAD(TO, out, GROUP_ID(0));                                                                     \
            STORE(TO, out, GROUP_ID(0), sum);                                                                          \
        }                                                                                                              \
    }
LINES(reduce_lines, v)
LINES(reduce_squares, v *v)

// Item (strip of columns, chunk of rows, o); out is [O, chunks, C].
KERNEL void reduce_columns(GRID INPUT(T0, x), TENSOR(TO, out), I64 rows, I64 columns, I64 length, float scale, int add)
{
    const I64 first = GLOBAL_ID(0) * STRIP, chunk = GLOBAL_ID(1), o = GLOBAL_ID(2), chunks = GROUP_COUNT(1);
    const I64 begin = chunk * length, end = begin + length < rows ? begin + length : rows;
    const int live = (int)(columns - first < STRIP ? columns - first : STRIP);
    float sum[STRIP];
    AT(x);
    AT(out);
    if (live <= 0)
        return;
    for (int l = 0; l < STRIP; l++)
        sum[l] = 0;
    x += o * rows * columns + first;
    if (live == STRIP) {
        for (I64 r = begin; r < end; r++)
            for (int l = 0; l < STRIP; l++)
                sum[l] += LOAD(T0, x, r * columns + l);
    } else {
        for (I64 r = begin; r < end; r++)
            for (int l = 0; l < live; l++)
                sum[l] += LOAD(T0, x, r * columns + l);
    }
    out += (o * chunks + chunk) * columns + first;
    for (int l = 0; l < live; l++) {
        float value = sum[l] * scale;
        if (add)
            value += LOAD(TO, out, l);
        STORE(TO, out, l, value);
    }
}

// kept.dim are the output's dimensions with the input's steps in kept.a; summed likewise for the axes that go.
KERNEL void reduce_any(GRID INPUT(T0, x), TENSOR(TO, out), layout kept, layout summed, I64 count, I64 terms,
                       float scale, int add)
{
    const I64 i = GLOBAL_ID(0);
    float sum = 0;
    AT(x);
    AT(out);
    if (i >= count)
        return;
    I64 rest = i;
    for (int axis = (int)kept.rank - 1; axis >= 0; axis--) {
        x += rest % kept.dim[axis] * kept.a[axis];
        rest /= kept.dim[axis];
    }
    // In blocks: what rounding loses grows with the longer of a block and their number.
    for (I64 block = 0; block < terms; block += 64) {
        float part = 0;
        for (I64 j = block; j < block + 64 && j < terms; j++) {
            I64 place = 0;
            rest = j;
            for (int axis = (int)summed.rank - 1; axis >= 0; axis--) {
                place += rest % summed.dim[axis] * summed.a[axis];
                rest /= summed.dim[axis];
            }
            part += LOAD(T0, x, place);
        }
        sum += part;
    }
    sum *= scale;
    if (add)
        sum += LOAD(TO, out, i);
    STORE(TO, out, i, sum);
}
