#include "data/augment.h"

#include <math.h>
#include <string.h>

mcf_augment_view mcf_augment_crop(double scale_min, mcf_filter filter)
{
    return (mcf_augment_view){.scale_min = scale_min, .filter = filter};
}

mcf_augment_view mcf_augment_moco(int view, double scale_min, mcf_filter filter)
{
    return (mcf_augment_view){.scale_min = scale_min,
                              .filter = filter,
                              .jitter_p = 0.8,
                              .brightness = 0.4,
                              .contrast = 0.4,
                              .saturation = 0.2,
                              .hue = 0.1,
                              .grey_p = 0.2,
                              .blur_p = view == 0 ? 1.0 : 0.1,
                              .sigma_min = 0.1,
                              .sigma_max = 2,
                              .solarise_p = view == 0 ? 0 : 0.2};
}

// --- drawing

static double between(mcf_rng *rng, double low, double high)
{
    return low + (high - low) * mcf_rng_double(rng);
}

// torchvision's RandomResizedCrop: ten attempts, then the largest middle of a fitting aspect.
static void draw_crop(double scale_min, mcf_rng *rng, int width, int height, mcf_augment_draws *d)
{
    static const double narrow = 3.0 / 4, wide = 4.0 / 3;
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = (double)width * height * between(rng, scale_min, 1);
        double aspect = exp(between(rng, log(narrow), log(wide)));
        d->width = (int)rint(sqrt(area * aspect));
        d->height = (int)rint(sqrt(area / aspect));
        if (d->width < 1 || d->height < 1 || d->width > width || d->height > height)
            continue;
        d->top = (int)mcf_rng_below(rng, (uint64_t)(height - d->height + 1));
        d->left = (int)mcf_rng_below(rng, (uint64_t)(width - d->width + 1));
        return;
    }
    double aspect = (double)width / height;
    d->width = aspect > wide ? (int)rint(height * wide) : width;
    d->height = aspect < narrow ? (int)rint(width / narrow) : height;
    d->top = (height - d->height) / 2;
    d->left = (width - d->width) / 2;
}

mcf_augment_draws mcf_augment_draw(const mcf_augment_view *view, mcf_rng *rng, int width, int height)
{
    mcf_augment_draws d = {0};
    int64_t order[4];
    draw_crop(view->scale_min, rng, width, height, &d);
    d.jitter = mcf_rng_double(rng) < view->jitter_p;
    mcf_rng_permutation(rng, order, 4);
    for (int i = 0; i < 4; i++)
        d.order[i] = (mcf_jitter)order[i];
    d.brightness = between(rng, 1 - view->brightness, 1 + view->brightness);
    d.contrast = between(rng, 1 - view->contrast, 1 + view->contrast);
    d.saturation = between(rng, 1 - view->saturation, 1 + view->saturation);
    d.hue = between(rng, -view->hue, view->hue);
    d.grey = mcf_rng_double(rng) < view->grey_p;
    bool blur = mcf_rng_double(rng) < view->blur_p;
    double sigma = between(rng, view->sigma_min, view->sigma_max);
    d.sigma = blur ? sigma : 0;
    d.solarise = mcf_rng_double(rng) < view->solarise_p;
    d.flip = mcf_rng_u32(rng) >> 31;
    return d;
}

// --- colours. n: pixels of 3 bytes.

// ITU-R 601-2 luma in 16 bits, as PIL's convert("L").
static uint8_t luma(const uint8_t *p)
{
    return (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

// from + factor (to - from), cut off to a byte: PIL's Image.blend.
static uint8_t blend(int from, int to, float factor)
{
    float value = (float)from + factor * (float)(to - from);
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

static void brighten(uint8_t *p, size_t n, float factor)
{
    for (size_t i = 0; i < 3 * n; i++)
        p[i] = blend(0, p[i], factor);
}

static void change_contrast(uint8_t *p, size_t n, float factor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += luma(p + 3 * i);
    int mean = (int)((double)sum / (double)n + 0.5);
    for (size_t i = 0; i < 3 * n; i++)
        p[i] = blend(mean, p[i], factor);
}

static void saturate(uint8_t *p, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++) {
        int grey = luma(p + 3 * i);
        for (int c = 0; c < 3; c++)
            p[3 * i + c] = blend(grey, p[3 * i + c], factor);
    }
}

static int clip_byte(int x)
{
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

// Hexcone model (Smith 1978) in bytes, with PIL's roundings: hue and saturation are cut off, the way back rounds.
static void turn_hue_of(uint8_t *p, uint8_t turn)
{
    int r = p[0], g = p[1], b = p[2];
    int most = r > g ? r : g, least = r < g ? r : g;
    most = b > most ? b : most;
    least = b < least ? b : least;
    if (most == least)
        return; // grey: no hue, no saturation
    float range = (float)(most - least), s = range / (float)most;
    float rc = (float)(most - r) / range, gc = (float)(most - g) / range, bc = (float)(most - b) / range;
    float h = r == most ? bc - gc : (float)(g == most ? 2.0 + rc - bc : 4.0 + gc - rc);
    h = (float)fmod(h / 6.0 + 1.0, 1.0);
    uint8_t hue = (uint8_t)clip_byte((int)(h * 255.0)), saturation = (uint8_t)clip_byte((int)(s * 255.0));
    hue = (uint8_t)(hue + turn);
    if (saturation == 0) {
        p[0] = p[1] = p[2] = (uint8_t)most;
        return;
    }
    double place = (float)hue * 6.0 / 255.0;
    int sector = (int)floor(place);
    float f = (float)(place - sector), fs = (float)saturation / 255.0f;
    uint8_t v = (uint8_t)most;
    uint8_t x = (uint8_t)clip_byte((int)round((float)v * (1.0 - fs)));
    uint8_t q = (uint8_t)clip_byte((int)round((float)v * (1.0 - fs * f)));
    uint8_t t = (uint8_t)clip_byte((int)round((float)v * (1.0 - fs * (1.0 - f))));
    const uint8_t colours[6][3] = {{v, t, x}, {q, v, x}, {x, v, t}, {x, q, v}, {t, x, v}, {v, x, q}};
    memcpy(p, colours[sector % 6], 3);
}

static void turn_hue(uint8_t *p, size_t n, double hue)
{
    const uint8_t turn = (uint8_t)(int)(hue * 255);
    for (size_t i = 0; i < n; i++)
        turn_hue_of(p + 3 * i, turn);
}

static void jitter(const mcf_augment_draws *d, uint8_t *p, size_t n)
{
    for (int i = 0; i < 4; i++)
        switch (d->order[i]) {
        case MCF_JITTER_BRIGHTNESS:
            brighten(p, n, (float)d->brightness);
            break;
        case MCF_JITTER_CONTRAST:
            change_contrast(p, n, (float)d->contrast);
            break;
        case MCF_JITTER_SATURATION:
            saturate(p, n, (float)d->saturation);
            break;
        case MCF_JITTER_HUE:
            turn_hue(p, n, d->hue);
            break;
        }
}

// --- blur: a Gaussian as three box filters of fractional radius (Gwosdek et al. 2011, "Theoretical foundations of
// Gaussian convolution by extended box filtering"), as PIL's GaussianBlur has it.

enum { PASSES = 3 };

// Box radius whose three-fold filter has the variance sigma^2: integer part and the share of the next pixel.
static float box_radius(float sigma)
{
    float variance = sigma * sigma / PASSES;
    float length = (float)sqrt(12.0 * variance + 1.0);
    float whole = (float)floor((length - 1.0) / 2.0);
    float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
    part /= 6 * (variance - (whole + 1) * (whole + 1));
    return whole + part;
}

// One line of n bytes, `step` apart, edges repeated; in 8.24 fixed point.
static void box_line(const uint8_t *from, uint8_t *to, int n, size_t step, int radius, uint32_t weight, uint32_t edge)
{
    uint32_t sum = 0;
#define AT(x) ((uint32_t)from[(size_t)((x) < 0 ? 0 : (x) >= n ? n - 1 : (x)) * step])
    for (int k = -radius; k <= radius; k++)
        sum += AT(k);
    for (int x = 0; x < n; x++) {
        uint32_t value = sum * weight + (AT(x - radius - 1) + AT(x + radius + 1)) * edge;
        to[(size_t)x * step] = (uint8_t)((value + (1u << 23)) >> 24);
        sum += AT(x + radius + 1) - AT(x - radius);
    }
#undef AT
}

static void blur(uint8_t *pixels, uint8_t *other, int side, double sigma)
{
    const float box = box_radius((float)sigma);
    const int radius = (int)box;
    const uint32_t weight = (uint32_t)((float)(1 << 24) / (box * 2 + 1));
    const uint32_t edge = ((1u << 24) - (uint32_t)(radius * 2 + 1) * weight) / 2;
    const size_t row = (size_t)side * 3;
    uint8_t *from = pixels, *to = other;
    for (int pass = 0; pass < 2 * PASSES; pass++) {
        for (int line = 0; line < side; line++)
            for (int c = 0; c < 3; c++) {
                size_t at = pass < PASSES ? (size_t)line * row + (size_t)c : (size_t)line * 3 + (size_t)c;
                box_line(from + at, to + at, side, pass < PASSES ? 3 : row, radius, weight, edge);
            }
        uint8_t *swap = from;
        from = to;
        to = swap;
    } // an even number of passes: the result is in `pixels`
}

// --- a view

mcf_status mcf_augment_apply(const mcf_augment_draws *d, mcf_filter filter, const mcf_image *image, int side,
                             mcf_transform_scratch *scratch, uint8_t *out, mcf_error *err)
{
    const size_t n = (size_t)side * (size_t)side;
    if (d->left < 0 || d->top < 0 || d->width < 1 || d->height < 1 || d->left > image->width - d->width ||
        d->top > image->height - d->height)
        return mcf_fail(err, MCF_ERR_SHAPE, "crop %d,%d %dx%d lies outside of a picture of %dx%d", d->left, d->top,
                        d->width, d->height, image->width, image->height);
    // Cut out first: the resize must not see what lies outside.
    mcf_image cut = *image;
    cut.pixels += (size_t)d->top * image->stride + (size_t)d->left * (size_t)image->channels;
    cut.width = d->width;
    cut.height = d->height;
    mcf_resize_plan plan = mcf_resize_whole(&cut, side, side, filter);
    MCF_TRY(mcf_resize(&scratch->resizer, &cut, &plan, out, (size_t)side * 3, err));
    if (d->jitter)
        jitter(d, out, n);
    if (d->grey)
        for (size_t i = 0; i < n; i++)
            memset(out + 3 * i, luma(out + 3 * i), 3);
    if (d->sigma > 0) {
        MCF_TRY(mcf_bytes_resize(&scratch->extra[0], 3 * n, err));
        blur(out, scratch->extra[0].data, side, d->sigma);
    }
    if (d->solarise)
        for (size_t i = 0; i < 3 * n; i++)
            out[i] = out[i] < 128 ? out[i] : (uint8_t)(255 - out[i]);
    return MCF_OK;
}

static mcf_status augment(const void *user, const mcf_transform_input *in, mcf_transform_output *out, mcf_error *err)
{
    static const mcf_rng_purpose purposes[2] = {MCF_RNG_AUGMENT1, MCF_RNG_AUGMENT2};
    const mcf_augment_options *options = user;
    const mcf_decode_options decode = {.channels = 4};
    mcf_decoded decoded;
    MCF_TRY(mcf_image_decode(in->bytes, in->size, &decode, &in->scratch->decoded, &decoded, err));
    out->original[0] = decoded.original_width;
    out->original[1] = decoded.original_height;
    for (int v = 0; v < options->views; v++) {
        mcf_rng rng = mcf_rng_make(in->seed, purposes[v], in->epoch, (uint64_t)in->sample);
        const mcf_augment_draws d =
            mcf_augment_draw(&options->view[v], &rng, decoded.image.width, decoded.image.height);
        MCF_TRY(mcf_augment_apply(&d, options->view[v].filter, &decoded.image, options->side, in->scratch,
                                  out->view[v].pixels, err));
        *out->view[v].flip = d.flip;
        const double scale_x = (double)d.width / options->side, scale_y = (double)d.height / options->side;
        memcpy(out->view[v].inverse, (double[]){scale_x, 0, d.left, 0, scale_y, d.top}, 6 * sizeof(double));
    }
    return MCF_OK;
}

mcf_transform mcf_transform_augment(const mcf_augment_options *options)
{
    return (mcf_transform){
        .views = options->views, .width = options->side, .height = options->side, .apply = augment, .options = options};
}
