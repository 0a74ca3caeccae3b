// Passes over memory by 16 bytes a lane: GELU and its gradient between products (kernels/functions.h has the formulas),
// and sums over the rows of [R, C], which gradients of biases are.
#include "backends/cuda/vector.h"

namespace
{

enum { THREADS = 256, WARPS = THREADS / 32 };

template <typename T>
__global__ void __launch_bounds__(THREADS)
    gelu_vectors(const grid_shape grid_, const T *x, I64 x_at, T *y, I64 y_at, I64 vectors)
{
    enum { N = 16 / sizeof(T) };
    const I64 i = GLOBAL_ID(0);
    if (i < vectors) {
        float v[N];
        load_packed(v, x + x_at + i * N);
#pragma unroll
        for (int k = 0; k < N; k++)
            v[k] = gelu_value(v[k]);
        store_packed(y + y_at + i * N, v);
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS) gelu_grad_vectors(const grid_shape grid_, const T *x, I64 x_at, const T *dy,
                                                             I64 dy_at, T *dx, I64 dx_at, I64 vectors)
{
    enum { N = 16 / sizeof(T) };
    const I64 i = GLOBAL_ID(0);
    if (i < vectors) {
        float v[N], d[N];
        load_packed(v, x + x_at + i * N);
        load_packed(d, dy + dy_at + i * N);
#pragma unroll
        for (int k = 0; k < N; k++)
            v[k] = d[k] * gelu_slope(v[k]);
        store_packed(dx + dx_at + i * N, v);
    }
}

// Group (columns of a warp's vectors, chunk of rows): out [chunks, columns] = scale * sums, added where `add` is. The
// warps of a block take turns with the rows of the chunk and are added in order.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    column_sums(const grid_shape grid_, const T *x, I64 x_at, float *out, I64 out_at, I64 rows, I64 columns, I64 length,
                float scale, int add)
{
    enum { N = 16 / sizeof(T), ROOM = 32 * N };
    SHARED_ALIGNED(float, room, WARPS *ROOM);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const I64 first = GROUP_ID(0) * ROOM, c = first + lane * N, begin = GROUP_ID(1) * length;
    const I64 end = begin + length < rows ? begin + length : rows;
    float sum[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        sum[i] = 0;
    if (c < columns) {
        x += x_at + c;
#pragma unroll 4
        for (I64 r = begin + warp; r < end; r += WARPS) {
            float v[N];
            load_packed(v, x + r * columns);
#pragma unroll
            for (int i = 0; i < N; i++)
                sum[i] += v[i];
        }
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        room[warp * ROOM + i * 32 + lane] = sum[i];
    __syncthreads();
    for (int t = (int)threadIdx.x; t < ROOM; t += THREADS) {
        const I64 column = first + t;
        if (column >= columns)
            continue;
        float total = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++)
            total += room[w * ROOM + t % N * 32 + t / N];
        const I64 place = out_at + GROUP_ID(1) * columns + column;
        out[place] = add ? total * scale + out[place] : total * scale;
    }
}

} // namespace

#define EACH_TYPE(type, number)                                                                                        \
    {"gelu_vectors", {number, -1, -1, -1}, MCF_CUDA_KERNEL(gelu_vectors<type>)},                                       \
        {"gelu_grad_vectors", {number, -1, -1, -1}, MCF_CUDA_KERNEL(gelu_grad_vectors<type>)},                         \
    {                                                                                                                  \
        "column_sums", {number, -1, -1, -1}, MCF_CUDA_KERNEL(column_sums<type>)                                        \
    }

extern "C" cuda_kernel_table cuda_kernels_vectors(void)
{
    static const cuda_kernel rows[] = {
        EACH_TYPE (float, MCF_F32),
        EACH_TYPE (__half, MCF_F16),
        EACH_TYPE (__nv_bfloat16, MCF_BF16),
    };
    return {rows, (int)(sizeof rows / sizeof *rows)};
}
