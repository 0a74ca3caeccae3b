// Plans, weights and the plain code; resize_avx2.c and resize_avx512.c have the same two passes in vector
// code.
#include "data/image/resize.h"
#include "data/image/resize_passes.h"

#include <math.h>
#include <string.h>

enum { WEIGHT_BITS = 22 }; // 32 - 8 - 2: sums of bytes times weights stay in an int32, overshoot included

static double filter_support(mcf_filter filter)
{
    return filter == MCF_FILTER_BOX ? 0.5 : filter == MCF_FILTER_BICUBIC ? 2.0 : 1.0;
}

static double filter_value(mcf_filter filter, double x)
{
    const double a = -0.5;
    switch (filter) {
    case MCF_FILTER_BOX:
        return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    case MCF_FILTER_BICUBIC:
        x = fabs(x);
        if (x < 1.0)
            return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
        return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
    default:
        x = fabs(x);
        return x < 1.0 ? 1.0 - x : 0.0;
    }
}

mcf_resize_plan mcf_resize_whole(const mcf_image *image, int width, int height, mcf_filter filter)
{
    return (mcf_resize_plan){.filter = filter,
                             .box_width = image->width,
                             .box_height = image->height,
                             .full_width = width,
                             .full_height = height,
                             .out_width = width,
                             .out_height = height};
}

static int half_even(int n)
{
    return n % 2 == 0 ? n / 2 : (n - 1) / 2 % 2 == 0 ? (n - 1) / 2 : (n + 1) / 2;
}

mcf_resize_plan mcf_resize_center_crop(const mcf_decoded *decoded, int side, mcf_filter filter)
{
    return mcf_resize_then_crop(decoded, side, side, filter);
}

mcf_resize_plan mcf_resize_then_crop(const mcf_decoded *decoded, int shorter, int side, mcf_filter filter)
{
    int64_t width = decoded->original_width, height = decoded->original_height;
    int64_t full_width = width <= height ? shorter : shorter * width / height;
    int64_t full_height = width <= height ? shorter * height / width : shorter;
    return (mcf_resize_plan){.filter = filter,
                             .box_width = decoded->scaled_width,
                             .box_height = decoded->scaled_height,
                             .full_width = (int)full_width,
                             .full_height = (int)full_height,
                             .left = half_even((int)full_width - side),
                             .top = half_even((int)full_height - side),
                             .out_width = side,
                             .out_height = side};
}

void mcf_resize_inverse(const mcf_decoded *decoded, const mcf_resize_plan *plan, double m[6])
{
    double to_original_x = decoded->original_width / decoded->scaled_width;
    double to_original_y = decoded->original_height / decoded->scaled_height;
    double step_x = plan->box_width / plan->full_width, step_y = plan->box_height / plan->full_height;
    m[0] = step_x * to_original_x;
    m[1] = 0;
    m[2] = (plan->box_left + plan->left * step_x) * to_original_x;
    m[3] = 0;
    m[4] = step_y * to_original_y;
    m[5] = (plan->box_top + plan->top * step_y) * to_original_y;
}

// Weights of outputs start..start+count-1 of an axis that takes box [from, from + length) of `size` inputs to
// `full` outputs. One allocation holds all of it.
static mcf_status make_weights(mcf_filter filter, int size, double from, double length, int full, int start, int count,
                               mcf_bytes *memory, mcf_resize_weights *out, mcf_error *err)
{
    double scale = length / full, stretch = scale < 1.0 ? 1.0 : scale;
    double support = filter_support(filter) * stretch;
    int taps = (int)ceil(support) * 2 + 1;
    int pairs = (taps + 1) / 2;
    size_t per_output = 2 * sizeof(int) + (size_t)taps * sizeof(int32_t) + (size_t)pairs * 2 * sizeof(int32_t);
    MCF_TRY(mcf_bytes_resize(memory, (size_t)count * per_output + (size_t)taps * sizeof(double) + 64, err));
    double *real = (double *)memory->data; // first: it needs the strictest alignment
    *out = (mcf_resize_weights){.outputs = count, .taps = taps, .pairs = pairs};
    out->first = (int *)(real + taps);
    out->count = out->first + count;
    out->weight = (int32_t *)(out->count + count);
    out->pair = out->weight + (size_t)count * (size_t)taps;

    for (int i = 0; i < count; i++) {
        double centre = from + (start + i + 0.5) * scale, inverse = 1.0 / stretch, sum = 0;
        int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
        first = first < 0 ? 0 : first;
        last = last > size ? size : last;
        if (first >= size)
            first = size - 1;
        if (last <= first)
            last = first + 1;
        int n = last - first < taps ? last - first : taps;
        for (int k = 0; k < n; k++) {
            real[k] = filter_value(filter, (k + first - centre + 0.5) * inverse);
            sum += real[k];
        }
        int32_t *weight = out->weight + (size_t)i * (size_t)taps;
        memset(weight, 0, (size_t)taps * sizeof *weight);
        for (int k = 0; k < n; k++) {
            double w = (sum != 0.0 ? real[k] / sum : real[k]) * (1 << WEIGHT_BITS);
            weight[k] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        out->first[i] = first;
        out->count[i] = n;
    }
    return MCF_OK;
}

// For code that multiplies pairs of 16-bit numbers: w = 256 high + low, two taps in one 32-bit word. Every
// output takes the same number of pairs, missing taps weigh 0; where the last would lie past the end of the
// axis (stay_inside), all begin earlier.
static void split_weights(mcf_resize_weights *w, int size, bool stay_inside)
{
    int most = 0;
    for (int i = 0; i < w->outputs; i++)
        most = w->count[i] > most ? w->count[i] : most;
    w->pairs = (most + 1) / 2;
    for (int i = 0; i < w->outputs; i++) {
        const int32_t *weight = w->weight + (size_t)i * (size_t)w->taps;
        int32_t *pair = w->pair + (size_t)i * (size_t)w->pairs * 2;
        int shift = stay_inside && w->first[i] + 2 * w->pairs > size ? w->first[i] + 2 * w->pairs - size : 0;
        for (int p = 0; p < w->pairs; p++) {
            int k0 = 2 * p - shift, k1 = k0 + 1;
            int32_t w0 = k0 >= 0 && k0 < w->count[i] ? weight[k0] : 0;
            int32_t w1 = k1 >= 0 && k1 < w->count[i] ? weight[k1] : 0;
            pair[2 * p] = (int32_t)((uint32_t)(w0 >> 8 & 0xffff) | (uint32_t)(w1 >> 8) << 16);
            pair[2 * p + 1] = (w0 & 255) | (w1 & 255) << 16;
        }
        w->first[i] -= shift;
    }
}

static uint8_t round_to_byte(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void horizontal_plain(const mcf_image *image, int first_row, int rows, const mcf_resize_weights *w, uint8_t *out,
                             size_t out_stride)
{
    for (int y = 0; y < rows; y++) {
        const uint8_t *line = image->pixels + (size_t)(first_row + y) * image->stride;
        uint8_t *to = out + (size_t)y * out_stride;
        for (int x = 0; x < w->outputs; x++, to += 3) {
            const uint8_t *from = line + (size_t)w->first[x] * (size_t)image->channels;
            const int32_t *weight = w->weight + (size_t)x * (size_t)w->taps;
            int32_t sum[3] = {1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1)};
            for (int k = 0; k < w->count[x]; k++, from += image->channels)
                for (int c = 0; c < 3; c++)
                    sum[c] += from[c] * weight[k];
            for (int c = 0; c < 3; c++)
                to[c] = round_to_byte(sum[c]);
        }
    }
}

static void vertical_plain(const uint8_t *in, size_t in_stride, int first_row, size_t bytes,
                           const mcf_resize_weights *w, uint8_t *out, size_t out_stride)
{
    for (int y = 0; y < w->outputs; y++) {
        const uint8_t *from = in + (size_t)(w->first[y] - first_row) * in_stride;
        const int32_t *weight = w->weight + (size_t)y * (size_t)w->taps;
        uint8_t *to = out + (size_t)y * out_stride;
        for (size_t x = 0; x < bytes; x++) {
            int32_t sum = 1 << (WEIGHT_BITS - 1);
            for (int k = 0; k < w->count[y]; k++)
                sum += from[(size_t)k * in_stride + x] * weight[k];
            to[x] = round_to_byte(sum);
        }
    }
}

static const mcf_resize_passes plain_passes = {"plain", horizontal_plain, vertical_plain};
static const mcf_resize_passes *forced_passes;

static const mcf_resize_passes *choose_passes(void)
{
    const mcf_resize_passes *passes = __atomic_load_n(&forced_passes, __ATOMIC_RELAXED);
    passes = passes ? passes : mcf_resize_avx512();
    passes = passes ? passes : mcf_resize_avx2();
    return passes ? passes : &plain_passes;
}

const char *mcf_resize_isa(void)
{
    return choose_passes()->name;
}

bool mcf_resize_force_isa(const char *name)
{
    const mcf_resize_passes *const all[] = {&plain_passes, mcf_resize_avx2(), mcf_resize_avx512()};
    const mcf_resize_passes *found = NULL;
    for (int i = 0; name && i < 3; i++)
        if (all[i] && strcmp(all[i]->name, name) == 0)
            found = all[i];
    __atomic_store_n(&forced_passes, found, __ATOMIC_RELAXED);
    return found || !name;
}

void mcf_resizer_free(mcf_resizer *resizer)
{
    mcf_bytes_free(&resizer->rows);
    mcf_bytes_free(&resizer->weights[0]);
    mcf_bytes_free(&resizer->weights[1]);
}

static mcf_status check_plan(const mcf_image *image, const mcf_resize_plan *p, mcf_error *err)
{
    if (image->width < 1 || image->height < 1 || (image->channels != 3 && image->channels != 4))
        return mcf_fail(err, MCF_ERR_SHAPE, "resize: an image of %dx%d with %d channels", image->width, image->height,
                        image->channels);
    if (!(p->box_left >= 0 && p->box_top >= 0 && p->box_width > 0 && p->box_height > 0 &&
          p->box_left + p->box_width <= image->width && p->box_top + p->box_height <= image->height))
        return mcf_fail(err, MCF_ERR_SHAPE, "resize: box %g,%g %gx%g lies outside an image of %dx%d", p->box_left,
                        p->box_top, p->box_width, p->box_height, image->width, image->height);
    if (p->out_width < 1 || p->out_height < 1 || p->left < 0 || p->top < 0 || p->left > p->full_width - p->out_width ||
        p->top > p->full_height - p->out_height)
        return mcf_fail(err, MCF_ERR_SHAPE, "resize: window %d,%d %dx%d lies outside %dx%d", p->left, p->top,
                        p->out_width, p->out_height, p->full_width, p->full_height);
    return MCF_OK;
}

// Copies the columns of the window where the width does not change, dropping a fourth channel.
static void copy_columns(const mcf_image *image, int first_row, int rows, int left, int width, uint8_t *out,
                         size_t out_stride)
{
    for (int y = 0; y < rows; y++) {
        const uint8_t *from =
            image->pixels + (size_t)(first_row + y) * image->stride + (size_t)left * (size_t)image->channels;
        uint8_t *to = out + (size_t)y * out_stride;
        if (image->channels == 3) {
            memcpy(to, from, (size_t)width * 3);
            continue;
        }
        for (int x = 0; x < width; x++, from += 4, to += 3) {
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
    }
}

mcf_status mcf_resize(mcf_resizer *resizer, const mcf_image *image, const mcf_resize_plan *plan, uint8_t *out,
                      size_t out_stride, mcf_error *err)
{
    MCF_TRY(check_plan(image, plan, err));
    const mcf_resize_passes *passes = choose_passes();
    bool horizontal = plan->full_width != image->width || plan->box_left != 0 || plan->box_width != image->width;
    bool vertical = plan->full_height != image->height || plan->box_top != 0 || plan->box_height != image->height;

    mcf_resize_weights columns, lines;
    int first_row = plan->top, rows = plan->out_height;
    if (vertical) {
        MCF_TRY(make_weights(plan->filter, image->height, plan->box_top, plan->box_height, plan->full_height, plan->top,
                             plan->out_height, &resizer->weights[1], &lines, err));
        int end = 0;
        first_row = image->height;
        for (int y = 0; y < lines.outputs; y++) {
            first_row = lines.first[y] < first_row ? lines.first[y] : first_row;
            end = lines.first[y] + lines.count[y] > end ? lines.first[y] + lines.count[y] : end;
        }
        rows = end - first_row;
        split_weights(&lines, image->height, false);
    }
    // A horizontal pass may write up to 16 bytes past a row's own: rows have room for them.
    size_t bytes = (size_t)plan->out_width * 3, stride = (bytes + 16 + 63) / 64 * 64;
    uint8_t *between = out;
    if (vertical || horizontal) {
        MCF_TRY(mcf_bytes_resize(&resizer->rows, stride * (size_t)rows, err));
        between = resizer->rows.data;
    } else {
        stride = out_stride;
    }
    if (horizontal) {
        MCF_TRY(make_weights(plan->filter, image->width, plan->box_left, plan->box_width, plan->full_width, plan->left,
                             plan->out_width, &resizer->weights[0], &columns, err));
        // Vector code reads two pixels at a time: a picture narrower than that takes the plain way.
        bool fast = passes != &plain_passes && image->channels == 4 && image->width >= 2 * columns.pairs;
        if (fast)
            split_weights(&columns, image->width, true);
        (fast ? passes : &plain_passes)->horizontal(image, first_row, rows, &columns, between, stride);
    } else {
        copy_columns(image, first_row, rows, plan->left, plan->out_width, between, stride);
    }
    if (vertical) {
        (bytes >= 16 ? passes : &plain_passes)->vertical(between, stride, first_row, bytes, &lines, out, out_stride);
    } else if (between != out) {
        for (int y = 0; y < rows; y++)
            memcpy(out + (size_t)y * out_stride, between + (size_t)y * stride, bytes);
    }
    return MCF_OK;
}
