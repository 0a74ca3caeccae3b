// Images [B,H,W,C]: bytes to normalised floats, nearest resizing.
#include <string.h>

#include "backends/cpu/cpu.h"

mcf_status mcf_cpu_op_normalize_image(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *image = &l->in[NORMALIZE_IMAGE_IN_image], *out = &l->out[NORMALIZE_IMAGE_OUT_out];
    const uint8_t *flip = mcf_cpu_address(&l->in[NORMALIZE_IMAGE_IN_flip]), *pixels = mcf_cpu_address(image);
    const mcf_cpu_kernels *k = device->kernels;
    int64_t batch = image->shape.dim[0], height = image->shape.dim[1], width = image->shape.dim[2];
    float table[3][256]; // of every byte
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++)
            table[c][i] = ((float)i / 255.0f - l->attr.normalize_image.mean[c]) / l->attr.normalize_image.std[c];
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, batch *height *width))
    for (int64_t job = 0; job < batch * height; job++) {
        const uint8_t *row = pixels + job * width * 3;
        const bool mirrored = flip[job / height];
        for (int64_t x0 = 0; x0 < width; x0 += MCF_CPU_LINE / 3) {
            float line[MCF_CPU_LINE];
            int64_t count = mcf_cpu_min(width - x0, MCF_CPU_LINE / 3);
            for (int64_t i = 0; i < count; i++) {
                const uint8_t *pixel = row + 3 * (mirrored ? width - 1 - x0 - i : x0 + i);
                for (int c = 0; c < 3; c++)
                    line[3 * i + c] = table[c][pixel[c]];
            }
            mcf_cpu_write(k, mcf_cpu_at(out, (job * width + x0) * 3), out->dtype, line, 3 * count);
        }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_resize_nearest(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *in = &l->in[RESIZE_NEAREST_IN_x], *out = &l->out[RESIZE_NEAREST_OUT_y];
    const int64_t *from = in->shape.dim, *to = out->shape.dim, channels = to[3];
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, mcf_shape_count(&out->shape)))
    for (int64_t job = 0; job < to[0] * to[1]; job++) {
        int64_t row = job / to[1] * from[1] + job % to[1] * from[1] / to[1];
        for (int64_t x = 0; x < to[2]; x++)
            mcf_cpu_copy_line(device->kernels, mcf_cpu_at(out, (job * to[2] + x) * channels), out->dtype, 1,
                              mcf_cpu_at(in, (row * from[2] + x * from[2] / to[2]) * channels), in->dtype, 1, channels);
    }
    return MCF_OK;
}

// A row of dx is a job: it adds the rows of dy that show it, in the order of their pixels.
mcf_status mcf_cpu_op_resize_nearest_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[RESIZE_NEAREST_GRAD_IN_dy], *dx = &l->out[RESIZE_NEAREST_GRAD_OUT_dx];
    const int64_t *from = dy->shape.dim, *to = dx->shape.dim, channels = to[3];
    const int64_t longest = (from[2] > to[2] ? from[2] : to[2]) * channels, width = to[2] * channels;
    const mcf_cpu_kernels *k = device->kernels;
    float *room;
    MCF_TRY(mcf_cpu_row_room(device, longest, 2, &room, err));
    int shares = mcf_cpu_team(device, mcf_shape_count(&dy->shape));
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        float *sums = room + share * 2 * longest, *line = sums + longest;
        int64_t begin, end;
        mcf_cpu_share(to[0] * to[1], shares, share, &begin, &end);
        for (int64_t job = begin; job < end; job++) {
            const int64_t b = job / to[1], i = job % to[1];
            // y with y h/H in [i, i + 1)
            const int64_t top = (i * from[1] + to[1] - 1) / to[1], bottom = ((i + 1) * from[1] + to[1] - 1) / to[1];
            memset(sums, 0, (size_t)width * sizeof *sums);
            for (int64_t y = top; y < bottom; y++) {
                const float *d = mcf_cpu_read(k, line, mcf_cpu_at(dy, (b * from[1] + y) * from[2] * channels),
                                              dy->dtype, 1, from[2] * channels);
                for (int64_t x = 0; x < from[2]; x++)
                    for (int64_t c = 0; c < channels; c++)
                        sums[x * to[2] / from[2] * channels + c] += d[x * channels + c];
            }
            mcf_cpu_write(k, mcf_cpu_at(dx, job * width), dx->dtype, sums, width);
        }
    }
    return MCF_OK;
}
