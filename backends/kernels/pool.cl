// Pools over images [B,H,W,C].
//   max_pool           largest of kernel x kernel, NaN before all; back: to the first of the largest, gathered by dx
//   adaptive_avg_pool  mean over rows floor(i H/h) to ceil((i+1) H/h), columns alike; back: gathered by dx
#include "device.h"

typedef struct {
    I64 height, width, channels, out_height, out_width, kernel_size, stride;
} pool;

#if defined(MCF_MAX_POOL)
// Item (x C + c, y, b) of the output.
KERNEL void max_pool(GRID INPUT(T0, x), TENSOR(TO, out), pool k)
{
    const I64 c = GLOBAL_ID(0) % k.channels, ox = GLOBAL_ID(0) / k.channels, oy = GLOBAL_ID(1), b = GLOBAL_ID(2);
    const I64 top = oy * k.stride, left = ox * k.stride;
    const I64 bottom = top + k.kernel_size < k.height ? top + k.kernel_size : k.height;
    const I64 right = left + k.kernel_size < k.width ? left + k.kernel_size : k.width;
    AT(x);
    AT(out);
    if (ox >= k.out_width)
        return;
    float best = LOAD(T0, x, ((b * k.height + top) * k.width + left) * k.channels + c);
    for (I64 i = top; i < bottom; i++)
        for (I64 j = left; j < right; j++) {
            const float v = LOAD(T0, x, ((b * k.height + i) * k.width + j) * k.channels + c);
            best = v > best || v != v ? v : best;
        }
    STORE(TO, out, ((b * k.out_height + oy) * k.out_width + ox) * k.channels + c, best);
}
#endif

#if defined(MCF_MAX_POOL_GRAD)
// Item (x C + c, y, b) of dx: the windows that reach the pixel and in which it is the first of the largest.
KERNEL void max_pool_grad(GRID INPUT(T0, x), INPUT(T1, dy), TENSOR(TO, dx), pool k)
{
    const I64 c = GLOBAL_ID(0) % k.channels, px = GLOBAL_ID(0) / k.channels, py = GLOBAL_ID(1), b = GLOBAL_ID(2);
    const I64 first_y = py < k.kernel_size ? 0 : (py - k.kernel_size) / k.stride + 1;
    const I64 first_x = px < k.kernel_size ? 0 : (px - k.kernel_size) / k.stride + 1;
    float sum = 0;
    AT(x);
    AT(dy);
    AT(dx);
    if (px >= k.width)
        return;
    for (I64 oy = first_y; oy < k.out_height && oy * k.stride <= py; oy++)
        for (I64 ox = first_x; ox < k.out_width && ox * k.stride <= px; ox++) {
            const I64 top = oy * k.stride, left = ox * k.stride;
            const I64 bottom = top + k.kernel_size < k.height ? top + k.kernel_size : k.height;
            const I64 right = left + k.kernel_size < k.width ? left + k.kernel_size : k.width;
            I64 at_y = top, at_x = left;
            float best = LOAD(T0, x, ((b * k.height + top) * k.width + left) * k.channels + c);
            for (I64 i = top; i < bottom; i++)
                for (I64 j = left; j < right; j++) {
                    const float v = LOAD(T0, x, ((b * k.height + i) * k.width + j) * k.channels + c);
                    if (v > best || (v != v && best == best)) {
                        best = v;
                        at_y = i;
                        at_x = j;
                    }
                }
            if (at_y == py && at_x == px)
                sum += LOAD(T1, dy, ((b * k.out_height + oy) * k.out_width + ox) * k.channels + c);
        }
    STORE(TO, dx, ((b * k.height + py) * k.width + px) * k.channels + c, sum);
}
#endif

#if defined(MCF_ADAPTIVE_AVG_POOL)
// Item (x C + c, y, b) of the output; out_height x out_width bins of height x width.
KERNEL void adaptive_avg_pool(GRID INPUT(T0, x), TENSOR(TO, out), pool k)
{
    const I64 c = GLOBAL_ID(0) % k.channels, ox = GLOBAL_ID(0) / k.channels, oy = GLOBAL_ID(1), b = GLOBAL_ID(2);
    const I64 top = oy * k.height / k.out_height, left = ox * k.width / k.out_width;
    const I64 bottom = ((oy + 1) * k.height + k.out_height - 1) / k.out_height;
    const I64 right = ((ox + 1) * k.width + k.out_width - 1) / k.out_width;
    float sum = 0;
    AT(x);
    AT(out);
    if (ox >= k.out_width)
        return;
    for (I64 i = top; i < bottom; i++)
        for (I64 j = left; j < right; j++)
            sum += LOAD(T0, x, ((b * k.height + i) * k.width + j) * k.channels + c);
    STORE(TO, out, ((b * k.out_height + oy) * k.out_width + ox) * k.channels + c,
          sum / (float)((bottom - top) * (right - left)));
}

// Item (x C + c, y, b) of dx. Bin i holds pixel y where floor(i H/h) <= y < ceil((i + 1) H/h), which is
// floor(y h/H) <= i <= floor(((y + 1) h - 1)/H).
KERNEL void adaptive_avg_pool_grad(GRID INPUT(T0, dy), TENSOR(TO, dx), pool k)
{
    const I64 c = GLOBAL_ID(0) % k.channels, x = GLOBAL_ID(0) / k.channels, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    float sum = 0;
    AT(dy);
    AT(dx);
    if (x >= k.width)
        return;
    for (I64 i = y * k.out_height / k.height; i <= ((y + 1) * k.out_height - 1) / k.height; i++) {
        const I64 rows = ((i + 1) * k.height + k.out_height - 1) / k.out_height - i * k.height / k.out_height;
        for (I64 j = x * k.out_width / k.width; j <= ((x + 1) * k.out_width - 1) / k.width; j++) {
            const I64 columns = ((j + 1) * k.width + k.out_width - 1) / k.out_width - j * k.width / k.out_width;
            sum += LOAD(T0, dy, ((b * k.out_height + i) * k.out_width + j) * k.channels + c) / (float)(rows * columns);
        }
    }
    STORE(TO, dx, ((b * k.height + y) * k.width + x) * k.channels + c, sum);
}
#endif
