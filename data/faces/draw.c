#include "data/faces/draw.h"

#include <math.h>

void mcf_draw_colour(int number, uint8_t rgb[3])
{
    if (number <= 0) {
        rgb[0] = rgb[1] = rgb[2] = 128;
        return;
    }
    // Hues by the golden angle; two levels of lightness tell apart those that come near each other again.
    const double hue = fmod(number * 0.61803398875, 1) * 6, light = number % 2 ? 1 : 0.75;
    const double shape[3] = {fabs(hue - 3) - 1, 2 - fabs(hue - 2), 2 - fabs(hue - 4)};
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(255 * light * fmin(fmax(shape[c], 0.12), 1));
}

static void put(const mcf_canvas *canvas, int x, int y, const uint8_t rgb[3], double weight)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height || weight <= 0)
        return;
    uint8_t *p = canvas->pixels + (size_t)y * canvas->stride + (size_t)x * 3;
    for (int c = 0; c < 3; c++)
        p[c] = (uint8_t)(p[c] + (rgb[c] - p[c]) * fmin(weight, 1) + 0.5);
}

void mcf_draw_point(const mcf_canvas *canvas, double x, double y, double radius, const uint8_t rgb[3])
{
    static const uint8_t dark[3] = {0, 0, 0};
    const double rim = radius + fmax(radius / 3, 0.8);
    if (!(x > -rim - 1 && y > -rim - 1 && x < canvas->width + rim + 1 && y < canvas->height + rim + 1))
        return;
    for (int v = (int)floor(y - rim - 1); v <= (int)ceil(y + rim + 1); v++)
        for (int u = (int)floor(x - rim - 1); u <= (int)ceil(x + rim + 1); u++) {
            const double r = hypot(u - x, v - y);
            put(canvas, u, v, dark, (rim + 0.5 - r) * 0.8);
            put(canvas, u, v, rgb, radius + 0.5 - r);
        }
}

void mcf_draw_line(const mcf_canvas *canvas, double x0, double y0, double x1, double y1, const uint8_t rgb[3])
{
    const double length = fmax(fabs(x1 - x0), fabs(y1 - y0));
    if (!(length < 1e5))
        return;
    for (int i = 0, n = (int)ceil(length) + 1; i <= n; i++) {
        const double t = (double)i / n;
        put(canvas, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)), rgb, 1);
    }
}

void mcf_draw_classes(const mcf_canvas *canvas, const uint8_t *labels, int columns, int rows, double weight)
{
    uint8_t colours[256][3];
    for (int c = 0; c < 256; c++)
        mcf_draw_colour(c, colours[c]);
    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            const int u = (int)((x + 0.5) * columns / canvas->width), v = (int)((y + 0.5) * rows / canvas->height);
            const uint8_t label = labels[(size_t)v * (size_t)columns + (size_t)u];
            if (label)
                put(canvas, x, y, colours[label], weight);
        }
}
