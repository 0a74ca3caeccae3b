#include "data/faces/crop_face.h"

#include <math.h>
#include <string.h>

const char *const mcf_template_names[MCF_TEMPLATE_COUNT] = {"lapa", "ffhq", "arcface"};
const char *const mcf_border_names[MCF_BORDER_COUNT] = {"black", "edge", "reflect"};

// --- templates

#define LAPA(x, y)                                                                                                     \
    {                                                                                                                  \
        x * 511.0 / 512, y * 511.0 / 512                                                                               \
    }
#define ARCFACE(x, y)                                                                                                  \
    {                                                                                                                  \
        x * 256.0 / 112, y * 256.0 / 112                                                                               \
    }
static const double templates[MCF_TEMPLATE_COUNT][5][2] = {
    [MCF_TEMPLATE_LAPA] = {LAPA(98, 113), LAPA(158, 113), LAPA(128, 143), LAPA(110, 180.2), LAPA(146, 180.2)},
    [MCF_TEMPLATE_ARCFACE] = {ARCFACE(38.2946, 51.6963), ARCFACE(73.5318, 51.5014), ARCFACE(56.0252, 71.7366),
                              ARCFACE(41.5493, 92.3655), ARCFACE(70.7299, 92.2041)},
};

mcf_status mcf_similarity_fit(const double (*from)[2], const double (*to)[2], int n, mcf_similarity *fit,
                              mcf_error *err)
{
    double ms[2] = {0}, md[2] = {0}, squares = 0, along = 0, across = 0;
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            ms[c] += from[i][c] / n;
            md[c] += to[i][c] / n;
        }
    for (int i = 0; i < n; i++) {
        const double sx = from[i][0] - ms[0], sy = from[i][1] - ms[1], dx = to[i][0] - md[0], dy = to[i][1] - md[1];
        squares += sx * sx + sy * sy;
        along += sx * dx + sy * dy;
        across += sx * dy - sy * dx;
    }
    if (!isfinite(squares) || !isfinite(along) || !isfinite(across) || squares < 1e-8)
        return mcf_fail(err, MCF_ERR_NUMERIC, "the points of a face coincide or are not finite");
    const double a = along / squares, b = across / squares;
    if (a * a + b * b < 1e-16)
        return mcf_fail(err, MCF_ERR_NUMERIC, "no similarity fits the points of a face");
    *fit =
        (mcf_similarity){.a = a, .b = b, .tx = md[0] - (a * ms[0] - b * ms[1]), .ty = md[1] - (b * ms[0] + a * ms[1])};
    return MCF_OK;
}

// The square of Karras et al. 2019 (FFHQ): e between the eyes, v from there to the mouth.
static mcf_status fit_ffhq(const float p[5][2], mcf_similarity *fit, mcf_error *err)
{
    double e[2], d[2], v[2];
    for (int c = 0; c < 2; c++) {
        e[c] = ((double)p[0][c] + p[1][c]) / 2;
        d[c] = (double)p[1][c] - p[0][c];
        v[c] = ((double)p[3][c] + p[4][c]) / 2 - e[c];
    }
    double x[2] = {d[0] + v[1], d[1] - v[0]};
    const double length = hypot(x[0], x[1]), by_eyes = 2 * hypot(d[0], d[1]), by_mouth = 1.8 * hypot(v[0], v[1]);
    if (!(length > 0) || !isfinite(length))
        return mcf_fail(err, MCF_ERR_NUMERIC, "the points of a face coincide or are not finite");
    const double half = by_eyes > by_mouth ? by_eyes : by_mouth;
    x[0] *= half / length;
    x[1] *= half / length;
    const double y[2] = {-x[1], x[0]}, c[2] = {e[0] + 0.1 * v[0], e[1] + 0.1 * v[1]};
    const double from[3][2] = {{c[0] - x[0] - y[0], c[1] - x[1] - y[1]},
                               {c[0] + x[0] - y[0], c[1] + x[1] - y[1]},
                               {c[0] - x[0] + y[0], c[1] - x[1] + y[1]}};
    const double low = -0.5, high = MCF_CROP_SIDE - 0.5;
    const double to[3][2] = {{low, low}, {high, low}, {low, high}};
    return mcf_similarity_fit(from, to, 3, fit, err);
}

mcf_status mcf_template_fit(mcf_face_template name, const float points[5][2], mcf_similarity *fit, mcf_error *err)
{
    if (name == MCF_TEMPLATE_FFHQ)
        return fit_ffhq(points, fit, err);
    double from[5][2];
    for (int i = 0; i < 10; i++)
        from[i / 2][i % 2] = points[i / 2][i % 2];
    return mcf_similarity_fit(from, templates[name], 5, fit, err);
}

void mcf_similarity_apply(const mcf_similarity *f, const double from[2], double to[2])
{
    const double x = from[0], y = from[1];
    to[0] = f->a * x - f->b * y + f->tx;
    to[1] = f->b * x + f->a * y + f->ty;
}

double mcf_template_residual(mcf_face_template name, const float points[5][2], const mcf_similarity *fit)
{
    double sum = 0;
    if (name == MCF_TEMPLATE_FFHQ)
        return -1;
    for (int i = 0; i < 5; i++) {
        const double from[2] = {points[i][0], points[i][1]};
        double to[2];
        mcf_similarity_apply(fit, from, to);
        sum += hypot(to[0] - templates[name][i][0], to[1] - templates[name][i][1]);
    }
    return sum / 5;
}

double mcf_similarity_side(const mcf_similarity *fit)
{
    return MCF_CROP_SIDE / hypot(fit->a, fit->b);
}

// From the crop to the picture.
static mcf_similarity invert(const mcf_similarity *f)
{
    const double n = f->a * f->a + f->b * f->b, a = f->a / n, b = -f->b / n;
    return (mcf_similarity){.a = a, .b = b, .tx = -(a * f->tx - b * f->ty), .ty = -(b * f->tx + a * f->ty)};
}

// --- sampling

// A pixel's place in the picture by the border's rule; -1: black.
static int64_t settle(int64_t i, int64_t n, mcf_border border)
{
    if (i >= 0 && i < n)
        return i;
    if (border == MCF_BORDER_BLACK)
        return -1;
    if (border == MCF_BORDER_EDGE)
        return i < 0 ? 0 : n - 1;
    if (n == 1)
        return 0;
    i = (i < 0 ? -i : i) % (2 * n - 2);
    return i >= n ? 2 * n - 2 - i : i;
}

static void add_at_border(const mcf_image *image, int64_t x0, int64_t y0, float fx, float fy, mcf_border border,
                          float sum[3])
{
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            const int64_t x = settle(x0 + i, image->width, border), y = settle(y0 + j, image->height, border);
            if (x < 0 || y < 0)
                continue;
            const float weight = (i ? fx : 1 - fx) * (j ? fy : 1 - fy);
            const uint8_t *pixel = image->pixels + (size_t)y * image->stride + (size_t)x * (size_t)image->channels;
            for (int c = 0; c < 3; c++)
                sum[c] += weight * pixel[c];
        }
}

static void add_inside(const mcf_image *image, int64_t x0, int64_t y0, float fx, float fy, float sum[3])
{
    const size_t step = (size_t)image->channels;
    const uint8_t *top = image->pixels + (size_t)y0 * image->stride + (size_t)x0 * step, *bottom = top + image->stride;
    for (int c = 0; c < 3; c++) {
        const float above = top[c] + fx * (float)(top[step + (size_t)c] - top[c]);
        const float below = bottom[c] + fx * (float)(bottom[step + (size_t)c] - bottom[c]);
        sum[c] += above + fy * (below - above);
    }
}

static void add_sample(const mcf_image *image, double x, double y, mcf_border border, float sum[3])
{
    const double limit = 1e15; // beyond it a float has no fraction and an int no room
    if (!(x > -limit && x < limit && y > -limit && y < limit))
        return;
    int64_t x0 = (int64_t)x, y0 = (int64_t)y; // floor, without a call a sample
    x0 -= (double)x0 > x;
    y0 -= (double)y0 > y;
    const float fx = (float)(x - (double)x0), fy = (float)(y - (double)y0);
    if (x0 >= 0 && y0 >= 0 && x0 + 1 < image->width && y0 + 1 < image->height)
        add_inside(image, x0, y0, fx, fy, sum);
    else
        add_at_border(image, x0, y0, fx, fy, border, sum);
}

void mcf_crop_sample(const mcf_image *image, const mcf_similarity *fit, mcf_border border, uint8_t *out)
{
    const mcf_similarity back = invert(fit);
    const double step = hypot(back.a, back.b);
    const int k = step <= 1 ? 1 : step >= 8 ? 8 : (int)ceil(step - 1e-9);
    for (int v = 0; v < MCF_CROP_SIDE; v++)
        for (int u = 0; u < MCF_CROP_SIDE; u++, out += 3) {
            float sum[3] = {0};
            for (int j = 0; j < k; j++)
                for (int i = 0; i < k; i++) {
                    const double x = u + (i + 0.5) / k - 0.5, y = v + (j + 0.5) / k - 0.5;
                    add_sample(image, back.a * x - back.b * y + back.tx, back.b * x + back.a * y + back.ty, border,
                               sum);
                }
            for (int c = 0; c < 3; c++) {
                const float value = sum[c] / (float)(k * k) + 0.5f; // never negative: the cast is the floor
                out[c] = value >= 255 ? 255 : (uint8_t)value;
            }
        }
}

// --- measures

double mcf_crop_inside(const mcf_similarity *fit, int width, int height)
{
    enum { GRID = 64 };
    const mcf_similarity back = invert(fit);
    int inside = 0;
    for (int j = 0; j < GRID; j++)
        for (int i = 0; i < GRID; i++) {
            const double at[2] = {(i + 0.5) * MCF_CROP_SIDE / GRID - 0.5, (j + 0.5) * MCF_CROP_SIDE / GRID - 0.5};
            double p[2];
            mcf_similarity_apply(&back, at, p);
            inside += p[0] >= -0.5 && p[0] <= width - 0.5 && p[1] >= -0.5 && p[1] <= height - 0.5;
        }
    return (double)inside / (GRID * GRID);
}

// Thousandths of a grey level: whole numbers, so that equal pictures have equal measures everywhere.
static int32_t grey(const uint8_t *pixel)
{
    return 299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2];
}

double mcf_crop_sharpness(const uint8_t *crop)
{
    enum { S = MCF_CROP_SIDE };
    int64_t sum = 0;
    double squares = 0;
    for (int y = 1; y < S - 1; y++)
        for (int x = 1; x < S - 1; x++) {
            const uint8_t *p = crop + 3 * (y * S + x);
            const int64_t l = (int64_t)grey(p - 3) + grey(p + 3) + grey(p - 3 * S) + grey(p + 3 * S) - 4 * grey(p);
            sum += l;
            squares += (double)l * (double)l;
        }
    const double n = (S - 2) * (S - 2), mean = (double)sum / n;
    return (squares / n - mean * mean) * 1e-6;
}

uint64_t mcf_crop_dhash(const uint8_t *crop)
{
    enum { S = MCF_CROP_SIDE, COLUMNS = 9, ROWS = 8 };
    uint64_t hash = 0;
    for (int row = 0; row < ROWS; row++) {
        int64_t column_sum[S] = {0};
        for (int y = row * S / ROWS; y < (row + 1) * S / ROWS; y++)
            for (int x = 0; x < S; x++)
                column_sum[x] += grey(crop + 3 * (y * S + x));
        int64_t cell[COLUMNS];
        int width[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            const int from = c * S / COLUMNS, to = ((c + 1) * S + COLUMNS - 1) / COLUMNS;
            width[c] = to - from;
            cell[c] = 0;
            for (int x = from; x < to; x++)
                cell[c] += column_sum[x];
        }
        for (int c = 0; c + 1 < COLUMNS; c++) // means compared as cross products: no rounding
            hash = hash << 1 | (cell[c] * width[c + 1] < cell[c + 1] * width[c]);
    }
    return hash;
}
