// Moving elements: out[place'(i)] = x[place(i)], converted to the output's type, for
//   fill          out[i] = value
//   copy          out[i] = x[i], or out[i] + x[i]; pad, concat and views are copies with steps
//   gather_rows   out[b,i,:] = x[b, ids[b,i], :]
//   scatter_rows  out[b,l,:] = sum of x[b,i,:] over the i with ids[b,i] = l, in the order of i
#include "device.h"

KERNEL void fill(GRID TENSOR(TO, out), I64 n, VALUE(TO) value)
{
    const I64 i = GLOBAL_ID(0);
    AT(out);
    if (i < n)
        STORE(TO, out, i, value);
}

#ifdef T0
KERNEL void copy_flat(GRID INPUT(T0, x), TENSOR(TO, out), I64 n, int add)
{
    const I64 i = GLOBAL_ID(0);
    AT(x);
    AT(out);
    if (i < n) {
        VALUE(TO) value = LOAD(T0, x, i);
        if (add)
            value += LOAD(TO, out, i);
        STORE(TO, out, i, value);
    }
}

// An item for each element: along the last dimension, and the row of the others.
KERNEL void copy_strided(GRID INPUT(T0, x), TENSOR(TO, out), layout s, int add)
{
    const I64 i = GLOBAL_ID(0), row = GLOBAL_ID(1), last = s.rank - 1;
    I64 from, to;
    AT(x);
    AT(out);
    ROW_PLACE(from, s, a, row);
    ROW_PLACE(to, s, out, row);
    if (i < s.dim[last]) {
        VALUE(TO) value = LOAD(T0, x, from + i * s.a[last]);
        if (add)
            value += LOAD(TO, out, to + i * s.out[last]);
        STORE(TO, out, to + i * s.out[last], value);
    }
}

// An item for each row: short rows on processors.
KERNEL void copy_rows(GRID INPUT(T0, x), TENSOR(TO, out), layout s, int add, I64 rows)
{
    const I64 row = GLOBAL_ID(0), last = s.rank - 1, n = s.dim[last], a = s.a[last], o = s.out[last];
    I64 from, to;
    AT(x);
    AT(out);
    if (row >= rows)
        return;
    ROW_PLACE(from, s, a, row);
    ROW_PLACE(to, s, out, row);
    x += from;
    out += to;
    if (add) {
        for (I64 i = 0; i < n; i++)
            STORE(TO, out, i * o, LOAD(T0, x, i * a) + LOAD(TO, out, i * o));
    } else if (a == 1 && o == 1) {
        for (I64 i = 0; i < n; i++)
            STORE(TO, out, i, LOAD(T0, x, i));
    } else {
        for (I64 i = 0; i < n; i++)
            STORE(TO, out, i * o, LOAD(T0, x, i * a));
    }
}

// x [B,L,D] with steps; an id outside of [0,L) gives NaN. rows counts b * n + i.
KERNEL void gather_rows(GRID INPUT(T0, x), INPUT(i64, ids), TENSOR(TO, out), I64 n, I64 length, I64 width, I64 step_b,
                        I64 step_l, I64 step_d)
{
    const I64 d = GLOBAL_ID(0), row = GLOBAL_ID(1);
    AT(x);
    AT(ids);
    AT(out);
    const I64 id = ids[row];
    if (d < width) {
        float value = NOT_A_NUMBER;
        if (id >= 0 && id < length)
            value = LOAD(T0, x, row / n * step_b + id * step_l + d * step_d);
        STORE(TO, out, row * width + d, value);
    }
}

// A group for each row (b, l) of the output. Most rows have one source or none.
KERNEL void scatter_rows(GRID INPUT(T0, x), INPUT(i64, ids), TENSOR(TO, out), I64 n, I64 rows, I64 width)
{
    const I64 b = GROUP_ID(0) / rows, l = GROUP_ID(0) % rows;
    AT(x);
    AT(ids);
    AT(out);
    I64 found = 0, first = 0;
    x += b * n * width;
    ids += b * n;
    out += (b * rows + l) * width;
    for (I64 i = n - 1; i >= 0; i--)
        if (ids[i] == l) {
            first = i;
            found++;
        }
    if (found <= 1) {
        EACH(d, width)
        STORE(TO, out, d, found ? LOAD(T0, x, first * width + d) : 0.0f);
        return;
    }
    EACH(d, width)
    {
        float sum = 0;
        for (I64 i = first; i < n; i++)
            if (ids[i] == l)
                sum += LOAD(T0, x, i * width + d);
        STORE(TO, out, d, sum);
    }
}
#endif
