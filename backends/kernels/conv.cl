// Convolutions of images [B,H,W,C] with a weight [O,C/groups,kh,kw].
//   columns       what each output pixel sees, as rows [kh,kw,C] for a product with the weight
//   columns_back  what of dy reaches each input pixel, as rows [kh,kw,O]
//   *_words       the same for channels that are whole words of 8 bytes, whatever they hold
//   order_*       the weight's axes in the order of the rows, and a gradient's back
//   grouped*      several groups: sums without a product
#include "device.h"

// image: H, W, C of what is read; out: H', W' of the rows; first: the number of the first row of this piece.
typedef struct {
    I64 height, width, channels, out_height, out_width, rows, columns, stride, pad, groups, outputs, first;
} convolution;

#if defined(MCF_COLUMNS)
// Group (row, place in the kernel).
KERNEL void columns(GRID INPUT(T0, x), TENSOR(TO, out), convolution k)
{
    const I64 taps = k.rows * k.columns, tap = GROUP_ID(0) % taps, row = GROUP_ID(0) / taps, pixel = row + k.first;
    const I64 b = pixel / k.out_width / k.out_height;
    const I64 y = pixel / k.out_width % k.out_height * k.stride + tap / k.columns - k.pad;
    const I64 w = pixel % k.out_width * k.stride + tap % k.columns - k.pad;
    AT(x);
    AT(out);
    out += GROUP_ID(0) * k.channels;
    if (y >= 0 && y < k.height && w >= 0 && w < k.width) {
        x += ((b * k.height + y) * k.width + w) * k.channels;
        EACH(c, k.channels)
        STORE(TO, out, c, LOAD(T0, x, c));
    } else {
        EACH(c, k.channels)
        STORE(TO, out, c, 0.0f);
    }
}

// Group (row, place in the kernel); rows are the pixels of dx [height, width], dy is [out_height, out_width, channels].
KERNEL void columns_back(GRID INPUT(T0, dy), TENSOR(TO, out), convolution k)
{
    const I64 taps = k.rows * k.columns, tap = GROUP_ID(0) % taps, row = GROUP_ID(0) / taps, pixel = row + k.first;
    const I64 b = pixel / k.width / k.height;
    const I64 y = pixel / k.width % k.height + k.pad - tap / k.columns, w = pixel % k.width + k.pad - tap % k.columns;
    AT(dy);
    AT(out);
    out += GROUP_ID(0) * k.channels;
    if (y >= 0 && w >= 0 && y % k.stride == 0 && w % k.stride == 0 && y / k.stride < k.out_height &&
        w / k.stride < k.out_width) {
        dy += ((b * k.out_height + y / k.stride) * k.out_width + w / k.stride) * k.channels;
        EACH(c, k.channels)
        STORE(TO, out, c, LOAD(T0, dy, c));
    } else {
        EACH(c, k.channels)
        STORE(TO, out, c, 0.0f);
    }
}

// Item (o C + c) of a weight [O,C,taps]: to the places o * o_step + tap * tap_step + c.
KERNEL void order_weight(GRID INPUT(T0, weight), TENSOR(TO, out), I64 count, I64 channels, I64 taps, I64 o_step,
                         I64 tap_step)
{
    const I64 i = GLOBAL_ID(0), to = i / channels * o_step + i % channels;
    AT(weight);
    AT(out);
    if (i < count)
        for (I64 tap = 0; tap < taps; tap++)
            STORE(TO, out, to + tap * tap_step, LOAD(T0, weight, i * taps + tap));
}

// Back from [O,taps,C].
KERNEL void order_gradient(GRID INPUT(T0, sums), TENSOR(TO, out), I64 count, I64 channels, I64 taps, int add)
{
    const I64 i = GLOBAL_ID(0), from = i / channels * taps * channels + i % channels;
    AT(sums);
    AT(out);
    if (i < count)
        for (I64 tap = 0; tap < taps; tap++) {
            float value = LOAD(T0, sums, from + tap * channels);
            if (add)
                value += LOAD(TO, out, i * taps + tap);
            STORE(TO, out, i * taps + tap, value);
        }
}
#endif

#if defined(MCF_COLUMNS_WORDS)
// Group: a row with all places of the kernel, so that its pixel is looked for once; 32 bits hold all counts but places in
// memory. `channels` counts words.
KERNEL void columns_words(GRID INPUT(i64, x), TENSOR(i64, out), convolution k)
{
    const int row = (int)GROUP_ID(0), pixel = row + (int)k.first, channels = (int)k.channels;
    const int height = (int)k.height, width = (int)k.width, rows = (int)k.rows, columns = (int)k.columns;
    const int line = pixel / (int)k.out_width, b = line / (int)k.out_height;
    const int top = line % (int)k.out_height * (int)k.stride - (int)k.pad;
    const int left = pixel % (int)k.out_width * (int)k.stride - (int)k.pad;
    AT(x);
    AT(out);
    x += (I64)b * height * width * channels;
    out += (I64)row * rows * columns * channels;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            const int y = top + i, w = left + j;
            const int inside = y >= 0 && y < height && w >= 0 && w < width;
            const I64 from = ((I64)y * width + w) * channels;
            EACH(c, channels)
            out[c] = inside ? x[from + c] : 0;
            out += channels;
        }
}

KERNEL void columns_back_words(GRID INPUT(i64, dy), TENSOR(i64, out), convolution k)
{
    const int row = (int)GROUP_ID(0), pixel = row + (int)k.first, channels = (int)k.channels, stride = (int)k.stride;
    const int height = (int)k.out_height, width = (int)k.out_width, rows = (int)k.rows, columns = (int)k.columns;
    const int line = pixel / (int)k.width, b = line / (int)k.height;
    const int bottom = line % (int)k.height + (int)k.pad, right = pixel % (int)k.width + (int)k.pad;
    AT(dy);
    AT(out);
    dy += (I64)b * height * width * channels;
    out += (I64)row * rows * columns * channels;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            const int y = bottom - i, w = right - j;
            const int inside =
                y >= 0 && w >= 0 && y % stride == 0 && w % stride == 0 && y / stride < height && w / stride < width;
            const I64 from = ((I64)(y / stride) * width + w / stride) * channels;
            EACH(c, channels)
            out[c] = inside ? dy[from + c] : 0;
            out += channels;
        }
}
#endif

#if defined(MCF_GROUPED)
// Item (x O + o, y, b) of the output.
KERNEL void grouped(GRID INPUT(T0, x), INPUT(T1, weight), INPUT(f32, bias), TENSOR(TO, out), convolution k, int biased)
{
    const I64 o = GLOBAL_ID(0) % k.outputs, ox = GLOBAL_ID(0) / k.outputs, oy = GLOBAL_ID(1), b = GLOBAL_ID(2);
    const I64 inner = k.channels / k.groups, first = o / (k.outputs / k.groups) * inner;
    float sum = 0;
    AT(x);
    AT(weight);
    AT(bias);
    AT(out);
    if (ox >= k.out_width)
        return;
    for (I64 i = 0; i < k.rows; i++)
        for (I64 j = 0; j < k.columns; j++) {
            const I64 y = oy * k.stride + i - k.pad, w = ox * k.stride + j - k.pad;
            if (y < 0 || y >= k.height || w < 0 || w >= k.width)
                continue;
            for (I64 c = 0; c < inner; c++)
                sum += LOAD(T0, x, ((b * k.height + y) * k.width + w) * k.channels + first + c) *
                       LOAD(T1, weight, ((o * inner + c) * k.rows + i) * k.columns + j);
        }
    if (biased)
        sum += bias[o];
    STORE(TO, out, ((b * k.out_height + oy) * k.out_width + ox) * k.outputs + o, sum);
}

// Item (x C + c, y, b) of dx.
KERNEL void grouped_grad_x(GRID INPUT(T0, dy), INPUT(T1, weight), TENSOR(TO, dx), convolution k)
{
    const I64 c = GLOBAL_ID(0) % k.channels, x = GLOBAL_ID(0) / k.channels, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    const I64 inner = k.channels / k.groups, each = k.outputs / k.groups, first = c / inner * each;
    float sum = 0;
    AT(dy);
    AT(weight);
    AT(dx);
    if (x >= k.width)
        return;
    for (I64 i = 0; i < k.rows; i++)
        for (I64 j = 0; j < k.columns; j++) {
            const I64 oy = y + k.pad - i, ox = x + k.pad - j;
            if (oy < 0 || ox < 0 || oy % k.stride || ox % k.stride || oy / k.stride >= k.out_height ||
                ox / k.stride >= k.out_width)
                continue;
            const I64 from = ((b * k.out_height + oy / k.stride) * k.out_width + ox / k.stride) * k.outputs;
            for (I64 o = first; o < first + each; o++)
                sum +=
                    LOAD(T0, dy, from + o) * LOAD(T1, weight, ((o * inner + c % inner) * k.rows + i) * k.columns + j);
        }
    STORE(TO, dx, ((b * k.height + y) * k.width + x) * k.channels + c, sum);
}

#endif

#if defined(MCF_GROUPED_WEIGHT)
// Item (element of the weight, row of dy): its part of the sum. part [B H', elements].
KERNEL void grouped_grad_weight(GRID INPUT(T0, x), INPUT(T1, dy), TENSOR(f32, part), convolution k, I64 elements)
{
    const I64 e = GLOBAL_ID(0), row = GLOBAL_ID(1), oy = row % k.out_height, b = row / k.out_height;
    const I64 inner = k.channels / k.groups, j = e % k.columns, i = e / k.columns % k.rows;
    const I64 o = e / k.columns / k.rows / inner,
              c = o / (k.outputs / k.groups) * inner + e / k.columns / k.rows % inner;
    const I64 y = oy * k.stride + i - k.pad;
    float sum = 0;
    AT(x);
    AT(dy);
    AT(part);
    if (e >= elements)
        return;
    for (I64 ox = 0; y >= 0 && y < k.height && ox < k.out_width; ox++) {
        const I64 w = ox * k.stride + j - k.pad;
        if (w >= 0 && w < k.width)
            sum += LOAD(T0, x, ((b * k.height + y) * k.width + w) * k.channels + c) *
                   LOAD(T1, dy, ((b * k.out_height + oy) * k.out_width + ox) * k.outputs + o);
    }
    part[row * elements + e] = sum;
}
#endif
