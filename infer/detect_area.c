#include "infer/detect_area.h"

#include <string.h>

int mcf_pyramid(int width, int height, double min_face, mcf_level levels[MCF_PYRAMID_MAX])
{
    const double factor = 0.709;
    double scale = 12.0 / min_face, least = (double)(width < height ? width : height) * scale;
    int count = 0;
    while (least >= 12 && count < MCF_PYRAMID_MAX) {
        levels[count++] = (mcf_level){
            .scale = scale, .width = (int)((double)width * scale + 1), .height = (int)((double)height * scale + 1)};
        scale = scale * factor;
        least = least * factor;
    }
    return count;
}

void mcf_area_scratch_free(mcf_area_scratch *scratch)
{
    mcf_bytes_free(&scratch->sums);
    mcf_bytes_free(&scratch->spans);
}

static int64_t first_of(int64_t i, int64_t n, int64_t m)
{
    return i * n / m;
}

static int64_t end_of(int64_t i, int64_t n, int64_t m)
{
    return ((i + 1) * n + m - 1) / m;
}

typedef struct {
    int first, count; // pixels from the left edge of what is summed
} span;

// sums[i] = rows added up, count bytes of each. Fits 16 bits for up to 257 rows.
static void add_rows_16(const uint8_t *row, size_t stride, int rows, size_t count, uint16_t *sums)
{
    for (size_t i = 0; i < count; i++)
        sums[i] = row[i];
    for (int r = 1; r < rows; r++) {
        row += stride;
        for (size_t i = 0; i < count; i++)
            sums[i] = (uint16_t)(sums[i] + row[i]);
    }
}

static void add_rows_32(const uint8_t *row, size_t stride, int rows, size_t count, uint32_t *sums)
{
    memset(sums, 0, count * sizeof *sums);
    for (int r = 0; r < rows; r++, row += stride)
        for (size_t i = 0; i < count; i++)
            sums[i] += row[i];
}

// 65,500 rows by 65,500 columns of 255 do not fit 32 bits: columns are added in 64.
#define ADD_COLUMNS(sums, channels, outputs, spans, rows, out)                                                         \
    for (int x = 0; x < (outputs); x++) {                                                                              \
        uint64_t total[3] = {0};                                                                                       \
        for (int i = 0; i < (spans)[x].count; i++)                                                                     \
            for (int c = 0; c < 3; c++)                                                                                \
                total[c] += (sums)[((spans)[x].first + i) * (channels) + c];                                           \
        const float area = (float)((int64_t)(spans)[x].count * (rows));                                                \
        for (int c = 0; c < 3; c++)                                                                                    \
            (out)[3 * x + c] = ((float)total[c] / area - 127.5f) * 0.0078125f;                                         \
    }

mcf_status mcf_area_resize(mcf_area_scratch *scratch, const mcf_image *image, mcf_window window, int width, int height,
                           mcf_window part, float *out, size_t out_stride, mcf_error *err)
{
    const int channels = image->channels;
    const int64_t left = first_of(part.left, window.width, width);
    const int64_t right = end_of(part.left + part.width - 1, window.width, width);
    const size_t count = (size_t)(right - left) * (size_t)channels;
    MCF_TRY(mcf_bytes_resize(&scratch->sums, count * sizeof(uint32_t), err));
    MCF_TRY(mcf_bytes_resize(&scratch->spans, (size_t)part.width * sizeof(span), err));
    span *spans = (span *)scratch->spans.data;
    for (int x = 0; x < part.width; x++) {
        const int64_t first = first_of(part.left + x, window.width, width);
        spans[x] =
            (span){.first = (int)(first - left), .count = (int)(end_of(part.left + x, window.width, width) - first)};
    }
    const uint8_t *corner =
        image->pixels + (size_t)window.top * image->stride + (size_t)(window.left + left) * (size_t)channels;
    for (int y = 0; y < part.height; y++) {
        const int64_t first = first_of(part.top + y, window.height, height);
        const int rows = (int)(end_of(part.top + y, window.height, height) - first);
        const uint8_t *row = corner + (size_t)first * image->stride;
        float *to = out + (size_t)y * out_stride;
        if (rows <= 257) {
            uint16_t *sums = (uint16_t *)scratch->sums.data;
            add_rows_16(row, image->stride, rows, count, sums);
            ADD_COLUMNS(sums, channels, part.width, spans, rows, to)
        } else {
            uint32_t *sums = (uint32_t *)scratch->sums.data;
            add_rows_32(row, image->stride, rows, count, sums);
            ADD_COLUMNS(sums, channels, part.width, spans, rows, to)
        }
    }
    return MCF_OK;
}
