// Matrix products c = act(alpha a b + bias) (+ c), batched, any steps:
//   element (i, k) of a matrix is at at + i * row + k * column, and its batch b = (b0, b1) begins at
//   b0 * batch0 + b1 * batch1.
// Two ways:
//   product_tile     groups of SIDE x SIDE items with tiles of both operands in local memory, 4 x 4 sums an item: for
//                    devices with many small cores. Each element of a tile is read once from memory and used 4 SIDE times.
//   product_panels   for processors: the operands are first packed (pack) into panels of PANEL_M rows and PANEL_N
//                    columns, fp32, k by k; then an item holds PANEL_M x PANEL_N sums in vector registers and walks
//                    along k with PANEL_N/VECTOR vector loads and PANEL_M broadcasts for PANEL_M * PANEL_N FMAs.
//                    A panel of b stays in the second cache while the panels of a pass by.
#include "device.h"
#include "functions.h"

typedef struct {
    I64 row, column, batch0, batch1;
} steps;

#define BATCH_PLACE(s, b, inner) ((b) / (inner) * (s).batch0 + (b) % (inner) * (s).batch1)

#if defined(MCF_PRODUCT_EPILOGUE)
// c [rows, n] with steps: act(c + bias) in TO from T0, for products that a library made.
KERNEL void epilogue(GRID INPUT(T0, from), INPUT(f32, bias), TENSOR(TO, to), I64 n, I64 from_row, steps sc,
                     int has_bias, int activation, int add)
{
    const I64 j = GLOBAL_ID(0), i = GLOBAL_ID(1);
    AT(from);
    AT(bias);
    AT(to);
    if (j < n) {
        float value = LOAD(T0, from, i * from_row + j);
        if (has_bias)
            value += bias[j];
        value = ACTIVATE(value, activation);
        if (add)
            value += LOAD(TO, to, i * sc.row + j * sc.column);
        STORE(TO, to, i * sc.row + j * sc.column, value);
    }
}
#endif

#if defined(MCF_PRODUCT_TILE)
#ifndef SIDE
#define SIDE 16 // a group is SIDE x SIDE items
#endif
#define TILE (4 * SIDE)
#define DEPTH 16
KERNEL void product_tile(GRID INPUT(T0, a), INPUT(T1, b), INPUT(f32, bias), TENSOR(TO, c), steps sa, steps sb, steps sc,
                         I64 m, I64 n, I64 depth, I64 inner, float alpha, int has_bias, int activation, int add)
{
    LOCAL_ARRAY(float, ta, DEPTH *(TILE + 1));
    LOCAL_ARRAY(float, tb, DEPTH *(TILE + 1));
    const int x = (int)LOCAL_ID(0), y = (int)LOCAL_ID(1), me = y * SIDE + x;
    const I64 i0 = GROUP_ID(1) * TILE, j0 = GROUP_ID(0) * TILE, batch = GROUP_ID(2);
    float sum[4][4];
    AT(a);
    AT(b);
    AT(bias);
    AT(c);
    a += BATCH_PLACE(sa, batch, inner);
    b += BATCH_PLACE(sb, batch, inner);
    c += BATCH_PLACE(sc, batch, inner);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = 0;
    for (I64 k0 = 0; k0 < depth; k0 += DEPTH) {
        // Neighbouring items read neighbouring elements, whichever way the operand lies.
        for (int t = me; t < TILE * DEPTH; t += SIDE * SIDE) {
            const int ai = sa.column == 1 ? t / DEPTH : t % TILE, ak = sa.column == 1 ? t % DEPTH : t / TILE;
            const int bj = sb.row == 1 ? t / DEPTH : t % TILE, bk = sb.row == 1 ? t % DEPTH : t / TILE;
            float va = 0, vb = 0;
            if (i0 + ai < m && k0 + ak < depth)
                va = LOAD(T0, a, (i0 + ai) * sa.row + (k0 + ak) * sa.column);
            if (j0 + bj < n && k0 + bk < depth)
                vb = LOAD(T1, b, (k0 + bk) * sb.row + (j0 + bj) * sb.column);
            ta[ak * (TILE + 1) + ai] = va;
            tb[bk * (TILE + 1) + bj] = vb;
        }
        BARRIER;
        for (int k = 0; k < DEPTH; k++) {
            float va[4], vb[4];
            for (int i = 0; i < 4; i++) {
                va[i] = ta[k * (TILE + 1) + y + i * SIDE];
                vb[i] = tb[k * (TILE + 1) + x + i * SIDE];
            }
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++)
                    sum[i][j] = FMA(va[i], vb[j], sum[i][j]);
        }
        BARRIER;
    }
    // Unrolled, so that the sums stay in registers.
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const I64 row = i0 + y + i * SIDE, column = j0 + x + j * SIDE;
            if (row < m && column < n) {
                float value = sum[i][j] * alpha;
                if (has_bias)
                    value += bias[column];
                value = ACTIVATE(value, activation);
                if (add)
                    value += LOAD(TO, c, row * sc.row + column * sc.column);
                STORE(TO, c, row * sc.row + column * sc.column, value);
            }
        }
}
#endif

#if defined(MCF_PRODUCT_PACK)
// Item (block of DEPTH_BLOCK k, panel, batch): x's rows [panel * PANEL, ...) to out[batch][panel][k][PANEL], zeros
// past the last row. x is a for its rows and b, transposed, for its columns.
#define DEPTH_BLOCK 64
#define ROW_OF_4(i) (float4)(LOAD(T0, x, i), LOAD(T0, x, (i) + 1), LOAD(T0, x, (i) + 2), LOAD(T0, x, (i) + 3))
KERNEL void pack(GRID INPUT(T0, x), TENSOR(f32, out), steps s, I64 rows, I64 depth, I64 inner, I64 panels)
{
    const I64 k0 = GROUP_ID(0) * DEPTH_BLOCK, panel = GROUP_ID(1), batch = GROUP_ID(2), first = panel * PANEL;
    const int count = (int)(depth - k0 < DEPTH_BLOCK ? depth - k0 : DEPTH_BLOCK);
    const int live = (int)(rows - first < PANEL ? rows - first : PANEL);
    AT(x);
    AT(out);
    x += BATCH_PLACE(s, batch, inner) + first * s.row + k0 * s.column;
    out += ((batch * panels + panel) * depth + k0) * PANEL;
    if (live < PANEL)
        for (int k = 0; k < count; k++)
            for (int l = live; l < PANEL; l++)
                out[k * PANEL + l] = 0;
    if (s.row == 1 && live == PANEL) {
        for (int k = 0; k < count; k++)
            for (int l = 0; l < PANEL; l++)
                out[k * PANEL + l] = LOAD(T0, x, k * s.column + l);
#if defined(__OPENCL_VERSION__) && PANEL % 4 == 0
    } else if (s.column == 1 && live == PANEL && count % 4 == 0) {
        // Blocks of 4 x 4 are transposed in registers.
        for (int l = 0; l < PANEL; l += 4)
            for (int k = 0; k < count; k += 4) {
                const float4 r0 = ROW_OF_4(l * s.row + k), r1 = ROW_OF_4((l + 1) * s.row + k);
                const float4 r2 = ROW_OF_4((l + 2) * s.row + k), r3 = ROW_OF_4((l + 3) * s.row + k);
                GLOBAL float *to = out + k * PANEL + l;
                vstore4((float4)(r0.x, r1.x, r2.x, r3.x), 0, to);
                vstore4((float4)(r0.y, r1.y, r2.y, r3.y), 0, to + PANEL);
                vstore4((float4)(r0.z, r1.z, r2.z, r3.z), 0, to + 2 * PANEL);
                vstore4((float4)(r0.w, r1.w, r2.w, r3.w), 0, to + 3 * PANEL);
            }
#endif
    } else if (s.column == 1) {
        for (int l = 0; l < live; l++)
            for (int k = 0; k < count; k++)
                out[k * PANEL + l] = LOAD(T0, x, l * s.row + k);
    } else {
        for (int k = 0; k < count; k++)
            for (int l = 0; l < live; l++)
                out[k * PANEL + l] = LOAD(T0, x, k * s.column + l * s.row);
    }
}
#endif

#if defined(MCF_PRODUCT_PANELS)
#if defined(__OPENCL_VERSION__)
#define VECTOR_TYPE JOIN(float, VECTOR)
#define VECTOR_LOAD(p) JOIN(vload, VECTOR)(0, p)
#define VECTOR_STORE(p, v) JOIN(vstore, VECTOR)(v, 0, p)
#define VECTOR_FMA(a, b, c) fma((VECTOR_TYPE)(a), b, c)
#else
typedef float vector_type __attribute__((vector_size(4 * VECTOR), aligned(4)));
#define VECTOR_TYPE vector_type
#define VECTOR_LOAD(p) (*(const vector_type *)(p))
#define VECTOR_STORE(p, v) (*(vector_type *)(p) = (v))
#define VECTOR_FMA(a, b, c) ((a) * (b) + (c))
#endif
#define WIDE (PANEL_N / VECTOR)

// Item (panels of a, panel of b, batch): `few` panels of a one after the other. Long, since its sums stay in registers
// from the first load to the store.
KERNEL void product_panels(GRID INPUT(f32, a), INPUT(f32, b), INPUT(f32, bias), TENSOR(TO, c), steps sc, I64 m, I64 n,
                           I64 depth, I64 inner, I64 panels_m, I64 panels_n, I64 few, float alpha, int has_bias,
                           int activation, int add)
{
    const I64 pn = GROUP_ID(1), batch = GROUP_ID(2);
    const I64 begin = GROUP_ID(0) * few, end = begin + few < panels_m ? begin + few : panels_m;
    const I64 j0 = pn * PANEL_N;
    const int columns = (int)(n - j0 < PANEL_N ? n - j0 : PANEL_N);
    AT(a);
    AT(b);
    AT(bias);
    AT(c);
    GLOBAL const float *pb = b + (batch * panels_n + pn) * depth * PANEL_N;
    c += BATCH_PLACE(sc, batch, inner) + j0 * sc.column;
    for (I64 pm = begin; pm < end; pm++) {
        GLOBAL const float *pa = a + (batch * panels_m + pm) * depth * PANEL_M;
        VECTOR_TYPE sum[PANEL_M][WIDE];
        float tile[PANEL_M * PANEL_N];
#pragma unroll
        for (int i = 0; i < PANEL_M; i++)
#pragma unroll
            for (int v = 0; v < WIDE; v++)
                sum[i][v] = (VECTOR_TYPE)(0.0f);
        for (I64 k = 0; k < depth; k++) {
            VECTOR_TYPE vb[WIDE];
#pragma unroll
            for (int v = 0; v < WIDE; v++)
                vb[v] = VECTOR_LOAD(pb + k * PANEL_N + v * VECTOR);
#pragma unroll
            for (int i = 0; i < PANEL_M; i++)
#pragma unroll
                for (int v = 0; v < WIDE; v++)
                    sum[i][v] = VECTOR_FMA(pa[k * PANEL_M + i], vb[v], sum[i][v]);
        }
#pragma unroll
        for (int i = 0; i < PANEL_M; i++)
#pragma unroll
            for (int v = 0; v < WIDE; v++)
                VECTOR_STORE(tile + i * PANEL_N + v * VECTOR, sum[i][v]);
        const int rows = (int)(m - pm * PANEL_M < PANEL_M ? m - pm * PANEL_M : PANEL_M);
        for (int i = 0; i < rows; i++) {
            GLOBAL TYPE(TO) *line = c + (pm * PANEL_M + i) * sc.row;
            float *values = tile + i * PANEL_N;
            if (columns == PANEL_N && sc.column == 1) {
                // The usual case in loops that become vector code.
                if (alpha != 1.0f)
                    for (int j = 0; j < PANEL_N; j++)
                        values[j] *= alpha;
                if (has_bias)
                    for (int j = 0; j < PANEL_N; j++)
                        values[j] += bias[j0 + j];
                if (activation == 1)
                    for (int j = 0; j < PANEL_N; j++)
                        values[j] = ACTIVATE(values[j], 1);
                if (activation == 2)
                    for (int j = 0; j < PANEL_N; j++)
                        values[j] = gelu_value(values[j]);
                if (add)
                    for (int j = 0; j < PANEL_N; j++)
                        values[j] += LOAD(TO, line, j);
                for (int j = 0; j < PANEL_N; j++)
                    STORE(TO, line, j, values[j]);
            } else {
                for (int j = 0; j < columns; j++) {
                    float value = values[j] * alpha;
                    if (has_bias)
                        value += bias[j0 + j];
                    value = ACTIVATE(value, activation);
                    if (add)
                        value += LOAD(TO, line, j * sc.column);
                    STORE(TO, line, j * sc.column, value);
                }
            }
        }
    }
}
#endif
