// YuNet over a picture, and over it halved again and again: its range ends at about 300 pixels, so larger faces are found
// on a smaller picture.
#include "infer/detect_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

// Sides of canvases are multiples of this: a program is made for each size once.
enum { MULTIPLE = 128, LONGEST = 2048, SHORTEST = 160, BEST = 1000 };

static mcf_status program_of(mcf_detector *d, int height, int width, mcf_program **program, mcf_error *err)
{
    char key[64];
    snprintf(key, sizeof key, "Y %dx%d", height, width);
    *program = mcf_runtime_cached(d->device.runtime, key);
    if (*program)
        return MCF_OK;
    mcf_graph *graph;
    MCF_TRY(mcf_yunet_graph(&d->yunet, &d->store, height, width, &graph, err));
    MCF_TRY(mcf_program_create(d->device.runtime, graph, program, err));
    return mcf_runtime_cache(d->device.runtime, key, *program, err);
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

// Faces of one map. factor: pixels of the picture per pixel of the level.
static bool collect(const mcf_detector *d, const float *out, int rows, int columns, float stride,
                    const double factor[2], mcf_candidates *list)
{
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++, out += MCF_YUNET_OUT) {
            const float score = sqrtf(sigmoid(out[0]) * sigmoid(out[1]));
            if (!(score > (float)d->options.threshold[0]))
                continue;
            const float x = out[2] * stride + (float)column * stride, y = out[3] * stride + (float)row * stride;
            const float w = expf(out[4]) * stride, h = expf(out[5]) * stride;
            mcf_candidate face = {.score = score,
                                  .x1 = (float)((x - w / 2) * factor[0]),
                                  .y1 = (float)((y - h / 2) * factor[1]),
                                  .x2 = (float)((x + w / 2) * factor[0]),
                                  .y2 = (float)((y + h / 2) * factor[1])};
            for (int k = 0; k < 5; k++) {
                face.points[k][0] = (float)((out[6 + 2 * k] * stride + (float)column * stride) * factor[0]);
                face.points[k][1] = (float)((out[7 + 2 * k] * stride + (float)row * stride) * factor[1]);
            }
            if (!mcf_candidates_add(list, &face))
                return false;
        }
    return true;
}

// The picture at width x height on its canvas, blue first, values as they are.
static mcf_status fill_canvas(mcf_detector *d, const mcf_image *image, int width, int height, int canvas_width,
                              int canvas_height, mcf_error *err)
{
    MCF_TRY(mcf_bytes_resize(&d->image, (size_t)canvas_width * (size_t)canvas_height * 3 * sizeof(float), err));
    float *pixels = (float *)d->image.data;
    memset(pixels, 0, d->image.size);
    MCF_TRY(mcf_area_resize(&d->area, image, (mcf_window){.width = image->width, .height = image->height}, width,
                            height, (mcf_window){.width = width, .height = height}, pixels, (size_t)canvas_width * 3,
                            err));
    for (int y = 0; y < height; y++) {
        float *row = pixels + (size_t)y * (size_t)canvas_width * 3;
        for (int x = 0; x < width; x++, row += 3) {
            const float red = row[0] * 128 + 127.5f, green = row[1] * 128 + 127.5f, blue = row[2] * 128 + 127.5f;
            row[0] = blue;
            row[1] = green;
            row[2] = red;
        }
    }
    return MCF_OK;
}

static mcf_status run_level(mcf_detector *d, mcf_detection *picture, int width, int height, mcf_error *err)
{
    const int canvas_width = (width + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
    const int canvas_height = (height + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
    const double factor[2] = {(double)picture->image->width / width, (double)picture->image->height / height};
    double begin = mcf_now();
    MCF_TRY(fill_canvas(d, picture->image, width, height, canvas_width, canvas_height, err));
    d->spent.resize += mcf_now() - begin;
    mcf_program *program;
    MCF_TRY(program_of(d, canvas_height, canvas_width, &program, err));
    begin = mcf_now();
    MCF_TRY(mcf_program_write(program, "image", d->image.data, d->image.size, err));
    MCF_TRY(mcf_program_run(program, false, false, err));
    for (int level = 0; level < MCF_YUNET_LEVELS; level++) {
        const int stride = 8 << level, rows = canvas_height / stride, columns = canvas_width / stride;
        char name[8];
        snprintf(name, sizeof name, "out%d", level);
        MCF_TRY(mcf_bytes_resize(&d->out, (size_t)rows * (size_t)columns * MCF_YUNET_OUT * sizeof(float), err));
        MCF_TRY(mcf_program_read(program, name, (float *)d->out.data, (int64_t)rows * columns * MCF_YUNET_OUT, err));
        if (!collect(d, (const float *)d->out.data, rows, columns, (float)stride, factor, &picture->boxes))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's candidates");
    }
    d->spent.p += mcf_now() - begin;
    return MCF_OK;
}

mcf_status mcf_detect_yunet(mcf_detector *d, mcf_detection *picture, mcf_error *err)
{
    double width = picture->image->width, height = picture->image->height;
    const double longer = width > height ? width : height;
    if ((width < height ? width : height) < d->options.min_face)
        return MCF_OK;
    if (longer > LONGEST) {
        width *= LONGEST / longer;
        height *= LONGEST / longer;
    }
    do {
        MCF_TRY(run_level(d, picture, width < 1 ? 1 : (int)width, height < 1 ? 1 : (int)height, err));
        width /= 2;
        height /= 2;
    } while ((width > height ? width : height) >= SHORTEST);
    if (!mcf_suppress(&picture->boxes, 0, MCF_OVERLAP_UNION, 0.45f))
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's candidates");
    int kept = 0;
    for (int i = 0; i < picture->boxes.count && kept < BEST; i++) {
        const mcf_candidate *box = &picture->boxes.items[i];
        const float side = box->x2 - box->x1 > box->y2 - box->y1 ? box->x2 - box->x1 : box->y2 - box->y1;
        if (side >= (float)d->options.min_face)
            picture->boxes.items[kept++] = *box;
    }
    picture->boxes.count = kept;
    return MCF_OK;
}
