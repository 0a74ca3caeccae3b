// Pixels and label maps of a crop. Vectors of four floats are GCC's own (clang has them too): one pixel each.
#include <math.h>
#include <string.h>

#include "data/faces/augment.h"

typedef float pixel __attribute__((vector_size(16)));
typedef uint8_t bytes4 __attribute__((vector_size(4)));
typedef int32_t ints4 __attribute__((vector_size(16)));

void mcf_face_scratch_free(mcf_face_scratch *s)
{
    mcf_bytes_free(&s->crop);
    mcf_bytes_free(&s->blur);
    mcf_bytes_free(&s->noise);
    mcf_bytes_free(&s->table);
}

static inline pixel load(const uint8_t *p, int channels)
{
    bytes4 b = {0, 0, 0, 0};
    memcpy(&b, p, channels == 4 ? 4 : 3);
    return __builtin_convertvector(b, pixel);
}

static inline void store(uint8_t *out, pixel value)
{
    const ints4 v = __builtin_convertvector(value + 0.5f, ints4);
    out[0] = (uint8_t)v[0];
    out[1] = (uint8_t)v[1];
    out[2] = (uint8_t)v[2];
}

// A sample whose four taps are not all inside: those outside are black.
static pixel at_edge(const mcf_image *image, double x, double y)
{
    const double x0 = floor(x), y0 = floor(y);
    pixel sum = {0, 0, 0, 0};
    for (int tap = 0; tap < 4; tap++) {
        const double u = x0 + (tap & 1), v = y0 + (tap >> 1);
        const double weight = (tap & 1 ? x - x0 : 1 - x + x0) * (tap >> 1 ? y - y0 : 1 - y + y0);
        if (u >= 0 && u < image->width && v >= 0 && v < image->height)
            sum += (float)weight *
                   load(image->pixels + (size_t)v * image->stride + (size_t)u * (size_t)image->channels, 3);
    }
    return sum;
}

// One row of the crop; the picture's x of column i is a[0] qx[i] + a[1], its y a[2] qx[i] + a[3].
static inline void sample_row(const mcf_image *image, int channels, const double *qx, int n, const double a[4],
                              uint8_t *out)
{
    const double right = image->width - 1, bottom = image->height - 1;
    for (int i = 0; i < n; i++, out += 3) {
        const double x = a[0] * qx[i] + a[1], y = a[2] * qx[i] + a[3];
        if (x >= 0 && y >= 0 && x < right && y < bottom) {
            const int u = (int)x, v = (int)y;
            const float fx = (float)(x - u), fy = (float)(y - v);
            const uint8_t *p = image->pixels + (size_t)v * image->stride + (size_t)(u * channels);
            const pixel p00 = load(p, channels), p01 = load(p + channels, channels);
            p += image->stride;
            const pixel p10 = load(p, channels), p11 = load(p + channels, channels);
            const pixel top = p00 + fx * (p01 - p00), low = p10 + fx * (p11 - p10);
            store(out, top + fy * (low - top));
        } else if (x > -1 && y > -1 && x < right + 1 && y < bottom + 1) {
            store(out, at_edge(image, x, y));
        } else {
            out[0] = out[1] = out[2] = 0;
        }
    }
}

static void sample(const mcf_face_map *map, const mcf_image *image, const double *q, uint8_t *out)
{
    const double *m = map->inverse.m, *qx = q, *qy = q + map->width;
    for (int y = 0; y < map->height; y++, out += (size_t)map->width * 3) {
        const double a[4] = {m[0], m[1] * qy[y] + m[2], m[3], m[4] * qy[y] + m[5]};
        if (image->channels == 4)
            sample_row(image, 4, qx, map->width, a, out);
        else
            sample_row(image, 3, qx, map->width, a, out);
    }
}

static void blacken(const int box[4], int size, uint8_t *pixels)
{
    for (int y = box[1]; y < box[3] && box[0] < box[2]; y++)
        memset(pixels + ((size_t)y * (size_t)size + (size_t)box[0]) * 3, 0, (size_t)(box[2] - box[0]) * 3);
}

static void add_noise(const mcf_face_draws *d, size_t n, const uint8_t *noise, uint8_t *p)
{
    const unsigned w = (unsigned)(d->noise * 256 + 0.5);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((p[i] * (256 - w) + noise[i] * w + 128) >> 8);
}

static void make_grey(size_t pixels, uint8_t *p)
{
    for (size_t i = 0; i < pixels; i++, p += 3)
        p[0] = p[1] = p[2] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

static void change_gamma(double gamma, size_t n, uint8_t *p)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(255 * pow(i / 255.0, gamma) + 0.5);
    for (size_t i = 0; i < n; i++)
        p[i] = table[p[i]];
}

// --- blur: out[x] = mean of in[x - k / 2 .. x - k / 2 + k - 1] on both axes

static int mirrored(int i, int n)
{
    while (i < 0 || i >= n) // 1 0 1 2 ... n-2 n-1 n-2
        i = n == 1 ? 0 : i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

// Sums of k neighbours in a row. padded: room for (n + k) 3 bytes.
static void sum_row(const uint8_t *in, int n, int k, uint8_t *padded, uint16_t *out)
{
    for (int i = -(k / 2); i < 0; i++, padded += 3)
        memcpy(padded, in + 3 * mirrored(i, n), 3);
    memcpy(padded, in, (size_t)n * 3);
    for (int i = n; i < n + k - k / 2; i++)
        memcpy(padded + 3 * i, in + 3 * mirrored(i, n), 3);
    padded -= 3 * (k / 2);
    memset(out, 0, (size_t)n * 3 * sizeof *out);
    for (int j = 0; j < k; j++)
        for (int i = 0; i < 3 * n; i++)
            out[i] = (uint16_t)(out[i] + padded[i + 3 * j]);
}

static mcf_status blur(uint8_t *pixels, int n, int k, mcf_bytes *room, mcf_error *err)
{
    const size_t row = (size_t)n * 3;
    // the sums of all rows, those of columns, one padded row
    MCF_TRY(mcf_bytes_resize(room, (size_t)n * row * 2 + row * 4 + ((size_t)n + (size_t)k) * 3, err));
    uint16_t *sums = (uint16_t *)(void *)room->data;
    uint32_t *column = (uint32_t *)(void *)(room->data + (size_t)n * row * 2);
    uint8_t *padded = room->data + (size_t)n * row * 2 + row * 4;
    const float share = 1.0f / (float)(k * k);
    for (int y = 0; y < n; y++)
        sum_row(pixels + (size_t)y * row, n, k, padded, sums + (size_t)y * row);
    memset(column, 0, row * 4);
    for (int j = 0; j < k; j++) {
        const uint16_t *s = sums + (size_t)mirrored(j - k / 2, n) * row;
        for (size_t i = 0; i < row; i++)
            column[i] += s[i];
    }
    for (int y = 0; y < n; y++) {
        const uint16_t *leaves = sums + (size_t)mirrored(y - k / 2, n) * row;
        const uint16_t *enters = sums + (size_t)mirrored(y - k / 2 + k, n) * row;
        uint8_t *out = pixels + (size_t)y * row;
        for (size_t i = 0; i < row; i++) {
            out[i] = (uint8_t)((float)(int32_t)column[i] * share + 0.5f);
            column[i] += (uint32_t)enters[i] - leaves[i];
        }
    }
    return MCF_OK;
}

// --- resize

// Bilinear, align_corners false, no antialiasing, rounded once.
static mcf_status resize(const uint8_t *in, int n, int to, mcf_bytes *room, uint8_t *out, mcf_error *err)
{
    MCF_TRY(mcf_bytes_resize(room, (size_t)n * 3 * sizeof(float) + (size_t)to * (sizeof(int) + sizeof(float)), err));
    float *row = (float *)(void *)room->data, *part = row + (size_t)n * 3;
    int *first = (int *)(void *)(part + to);
    for (int i = 0; i < to; i++) {
        const double at = fmin(fmax((i + 0.5) * n / to - 0.5, 0), n - 1);
        first[i] = (int)at < n - 1 ? (int)at : n > 1 ? n - 2 : 0;
        part[i] = n > 1 ? (float)(at - first[i]) : 0;
    }
    const size_t step = n > 1 ? 3 : 0;
    for (int y = 0; y < to; y++) {
        const uint8_t *a = in + (size_t)first[y] * (size_t)n * 3, *b = a + (n > 1 ? (size_t)n * 3 : 0);
        const float f = part[y];
        for (size_t i = 0; i < (size_t)n * 3; i++)
            row[i] = (float)a[i] + f * (float)(b[i] - a[i]);
        for (int x = 0; x < to; x++, out += 3) {
            const float *p = row + 3 * (size_t)first[x], g = part[x];
            for (int c = 0; c < 3; c++)
                out[c] = (uint8_t)(p[c] + g * (p[c + step] - p[c]) + 0.5f);
        }
    }
    return MCF_OK;
}

// --- all together

static mcf_status tables(const mcf_face_map *map, mcf_bytes *room, double **q, mcf_error *err)
{
    MCF_TRY(mcf_bytes_resize(room, (size_t)(map->width + map->height) * sizeof **q, err));
    *q = (double *)(void *)room->data;
    mcf_face_map_table(map->factor, map->width, 0, *q);
    mcf_face_map_table(map->factor, map->height, 0, *q + map->width);
    return MCF_OK;
}

mcf_status mcf_face_pixels(const mcf_face_augment *a, const mcf_face_map *map, const mcf_face_draws *d,
                           const mcf_image *image, mcf_face_scratch *s, uint8_t *out, mcf_error *err)
{
    const size_t pixels = (size_t)a->size * (size_t)a->size;
    const bool smaller = a->out_size != a->size;
    uint8_t *crop = out;
    double *q;
    if (smaller) {
        MCF_TRY(mcf_bytes_resize(&s->crop, pixels * 3, err));
        crop = s->crop.data;
    }
    MCF_TRY(tables(map, &s->table, &q, err));
    sample(map, image, q, crop);
    if (d) {
        blacken(d->occlusion, a->size, crop);
        if (d->noise > 0) {
            MCF_TRY(mcf_bytes_resize(&s->noise, pixels * 3 + 4, err));
            mcf_rng rng = mcf_rng_make(d->seed, MCF_RNG_NOISE, 0, 0);
            for (size_t i = 0; i < pixels * 3; i += 4) {
                const uint32_t word = mcf_rng_u32(&rng);
                memcpy(s->noise.data + i, &word, 4);
            }
            add_noise(d, pixels * 3, s->noise.data, crop);
        }
        if (d->grey)
            make_grey(pixels, crop);
        if (d->gamma != 1)
            change_gamma(d->gamma, pixels * 3, crop);
        if (d->blur > 1)
            MCF_TRY(blur(crop, a->size, d->blur, &s->blur, err));
    }
    return smaller ? resize(crop, a->size, a->out_size, &s->blur, out, err) : MCF_OK;
}

mcf_status mcf_face_labels(const mcf_face_augment *a, const mcf_face_map *map, bool flip, const uint8_t *labels,
                           int label_width, int label_height, int width, int height, mcf_face_scratch *s, uint8_t *out,
                           mcf_error *err)
{
    double *q;
    MCF_TRY(tables(map, &s->table, &q, err));
    // Pixels of the picture to pixels of the label map: edges meet edges.
    const double sx = (double)label_width / width, sy = (double)label_height / height;
    const mcf_face_affine to_map = {{sx, 0, 0.5 * sx - 0.5, 0, sy, 0.5 * sy - 0.5}};
    const mcf_face_affine from_crop = mcf_face_affine_then(&map->inverse, &to_map);
    const double *m = from_crop.m;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++) {
            const double u = floor(m[0] * q[x] + m[1] * q[map->width + y] + m[2] + 0.5);
            const double v = floor(m[3] * q[x] + m[4] * q[map->width + y] + m[5] + 0.5);
            const bool inside = u >= 0 && v >= 0 && u < label_width && v < label_height;
            const uint8_t label = inside ? labels[(size_t)v * (size_t)label_width + (size_t)u] : 0;
            *out++ = flip ? a->mirror[label] : label;
        }
    return MCF_OK;
}

void mcf_face_unwarp(const mcf_face_map *map, const float *logits, int h, int w, int classes, double shift, int width,
                     int height, uint8_t *pred)
{
    float sum[MCF_FACE_MAX_CLASSES];
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double at[2];
            mcf_face_map_forward(map, x + shift, y + shift, at);
            const double x0 = floor(at[0]), y0 = floor(at[1]);
            memset(sum, 0, (size_t)classes * sizeof *sum);
            for (int tap = 0; tap < 4; tap++) {
                const double u = x0 + (tap & 1), v = y0 + (tap >> 1);
                const float weight =
                    (float)((tap & 1 ? at[0] - x0 : 1 - at[0] + x0) * (tap >> 1 ? at[1] - y0 : 1 - at[1] + y0));
                if (!(u >= 0 && u < w && v >= 0 && v < h))
                    continue;
                const float *row = logits + ((size_t)v * (size_t)w + (size_t)u) * (size_t)classes;
                for (int c = 0; c < classes; c++)
                    sum[c] += weight * row[c];
            }
            int best = 0;
            for (int c = 1; c < classes; c++)
                best = sum[c] > sum[best] ? c : best;
            *pred++ = (uint8_t)best;
        }
}
