// Images: bytes to normalised planes, nearest resizing.
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
        int64_t b = job / height, y = job % height;
        const uint8_t *row = pixels + job * width * 3;
        for (int c = 0; c < 3; c++)
            for (int64_t x0 = 0; x0 < width; x0 += MCF_CPU_LINE) {
                float line[MCF_CPU_LINE];
                int64_t count = mcf_cpu_min(width - x0, MCF_CPU_LINE);
                for (int64_t i = 0; i < count; i++) {
                    int64_t x = flip[b] ? width - 1 - x0 - i : x0 + i;
                    line[i] = table[c][row[x * 3 + c]];
                }
                mcf_cpu_write(k, mcf_cpu_at(out, ((b * 3 + c) * height + y) * width + x0), out->dtype, line, count);
            }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_resize_nearest(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *in = &l->in[RESIZE_NEAREST_IN_x], *out = &l->out[RESIZE_NEAREST_OUT_y];
    const int64_t *from = in->shape.dim, *to = out->shape.dim;
    int64_t planes = from[0] * from[1];
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, planes *to[2] * to[3]))
    for (int64_t job = 0; job < planes * to[2]; job++) {
        int64_t plane = job / to[2], y = job % to[2] * from[2] / to[2];
        for (int64_t x = 0; x < to[3]; x++) {
            float value =
                mcf_cpu_read_one(mcf_cpu_at(in, (plane * from[2] + y) * from[3] + x * from[3] / to[3]), in->dtype);
            mcf_cpu_write(device->kernels, mcf_cpu_at(out, job * to[3] + x), out->dtype, &value, 1);
        }
    }
    return MCF_OK;
}

// Every plane is its own: a plane's gradients are added in the order of its pixels.
mcf_status mcf_cpu_op_resize_nearest_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[RESIZE_NEAREST_GRAD_IN_dy], *dx = &l->out[RESIZE_NEAREST_GRAD_OUT_dx];
    const int64_t *large = dy->shape.dim, *small = dx->shape.dim;
    int64_t planes = small[0] * small[1], size = small[2] * small[3];
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(planes * size) * sizeof(float), &memory, err));
    float *sums = memory;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, planes *large[2] * large[3]))
    for (int64_t plane = 0; plane < planes; plane++) {
        float *to = sums + plane * size;
        memset(to, 0, (size_t)size * sizeof(float));
        for (int64_t y = 0; y < large[2]; y++)
            for (int64_t x = 0; x < large[3]; x++)
                to[y * small[2] / large[2] * small[3] + x * small[3] / large[3]] +=
                    mcf_cpu_read_one(mcf_cpu_at(dy, (plane * large[2] + y) * large[3] + x), dy->dtype);
        mcf_cpu_write(device->kernels, mcf_cpu_at(dx, plane * size), dx->dtype, to, size);
    }
    return MCF_OK;
}
