// Resizing: PIL's bytes, on every instruction set; crops, boxes and the way back.
#include "tests/data/helpers.h"

#include "base/rng.h"
#include "data/image/resize.h"

static mcf_image view(const ppm *p)
{
    return (mcf_image){p->width, p->height, 3, (size_t)p->width * 3, p->pixels};
}

static uint8_t *four_channels(const ppm *p)
{
    size_t count = (size_t)p->width * (size_t)p->height;
    uint8_t *out = malloc(count * 4); // exactly: ASan sees a read past the last pixel
    for (size_t i = 0; i < count; i++)
        memcpy(out + 4 * i, p->pixels + 3 * i, 3), out[4 * i + 3] = 99;
    return out;
}

static const char *const isas[] = {"avx512", "avx2", "plain"}; // those the processor has

static void expect_bytes(const ppm *from, const mcf_resize_plan *plan, const ppm *expected, const char *what)
{
    mcf_resizer resizer = {0};
    uint8_t *four = four_channels(from), *out = malloc((size_t)(expected->width * expected->height) * 3);
    mcf_image images[2] = {view(from), {from->width, from->height, 4, (size_t)from->width * 4, four}};
    for (int isa = 0; isa < 3; isa++) {
        if (!mcf_resize_force_isa(isas[isa]))
            continue;
        for (int k = 0; k < 2; k++) {
            mcf_error err = {0};
            if (mcf_resize(&resizer, &images[k], plan, out, (size_t)expected->width * 3, &err) != MCF_OK)
                fail_msg("%s: %s", what, err.message);
            for (int i = 0; i < expected->width * expected->height * 3; i++)
                if (out[i] != expected->pixels[i])
                    fail_msg("%s with %s, %d channels: byte %d is %d, PIL has %d", what, mcf_resize_isa(),
                             images[k].channels, i, out[i], expected->pixels[i]);
        }
    }
    mcf_resize_force_isa(NULL);
    mcf_resizer_free(&resizer);
    free(four);
    free(out);
}

static void resize_equals_pil(void **state)
{
    (void)state;
    const int sizes[][2] = {{30, 20}, {23, 15}, {5, 4}, {90, 59}, {1, 1}, {30, 40}, {61, 57}, {61, 40}, {17, 66}};
    const char *const filters[] = {"bilinear", "bicubic"};
    ppm source = read_ppm("resize");
    mcf_image image = view(&source);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int f = 0; f < 2; f++) {
            char name[64];
            snprintf(name, sizeof name, "resize_%s_%dx%d", filters[f], sizes[s][0], sizes[s][1]);
            ppm expected = read_ppm(name);
            mcf_resize_plan plan = mcf_resize_whole(&image, sizes[s][0], sizes[s][1], (mcf_filter)f);
            expect_bytes(&source, &plan, &expected, name);
            free(expected.pixels);
        }
    free(source.pixels);
}

static void center_crop_equals_torchvision(void **state)
{
    (void)state;
    const int sizes[][2] = {{57, 91}, {91, 57}, {64, 64}, {31, 33}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int side = 32; side <= 33; side++) {
            char name[64];
            snprintf(name, sizeof name, "crop_%dx%d", sizes[s][0], sizes[s][1]);
            ppm source = read_ppm(name);
            snprintf(name, sizeof name, "crop_%dx%d_%d", sizes[s][0], sizes[s][1], side);
            ppm expected = read_ppm(name);
            mcf_decoded decoded = {.image = view(&source),
                                   .original_width = source.width,
                                   .original_height = source.height,
                                   .scaled_width = source.width,
                                   .scaled_height = source.height};
            mcf_resize_plan plan = mcf_resize_center_crop(&decoded, side, MCF_FILTER_BILINEAR);
            expect_bytes(&source, &plan, &expected, name);
            free(source.pixels);
            free(expected.pixels);
        }
}

// Vector and plain code agree on sizes nobody chose.
static void isas_agree(void **state)
{
    (void)state;
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, 0);
    mcf_resizer resizer = {0};
    for (int round = 0; round < 300; round++) {
        int size[4];
        for (int i = 0; i < 4; i++)
            size[i] = 1 + (int)mcf_rng_below(&rng, round % 3 ? 90 : 9);
        size_t in = (size_t)size[0] * (size_t)size[1] * 4, out = (size_t)size[2] * (size_t)size[3] * 3;
        uint8_t *pixels = malloc(in), *a = malloc(out), *b = malloc(out);
        for (size_t i = 0; i < in; i++)
            pixels[i] = (uint8_t)mcf_rng_u32(&rng);
        mcf_image image = {size[0], size[1], 4, (size_t)size[0] * 4, pixels};
        mcf_resize_plan plan = mcf_resize_whole(&image, size[2], size[3], (mcf_filter)(round % 3));
        assert_true(mcf_resize_force_isa("plain"));
        assert_int_equal(mcf_resize(&resizer, &image, &plan, a, (size_t)size[2] * 3, NULL), MCF_OK);
        for (int isa = 0; isa < 2; isa++) {
            if (!mcf_resize_force_isa(isas[isa]))
                continue;
            assert_int_equal(mcf_resize(&resizer, &image, &plan, b, (size_t)size[2] * 3, NULL), MCF_OK);
            assert_memory_equal(a, b, out);
        }
        mcf_resize_force_isa(NULL);
        free(pixels);
        free(a);
        free(b);
    }
    mcf_resizer_free(&resizer);
}

// A crop of a resize is the window of the whole; a box is the picture cut out first.
static void windows_and_boxes(void **state)
{
    (void)state;
    ppm source = read_ppm("resize");
    mcf_image image = view(&source);
    mcf_resizer resizer = {0};
    uint8_t whole[40 * 27 * 3], part[11 * 9 * 3], boxed[10 * 8 * 3], cut[10 * 8 * 3];
    mcf_resize_plan plan = mcf_resize_whole(&image, 40, 27, MCF_FILTER_BICUBIC);
    assert_int_equal(mcf_resize(&resizer, &image, &plan, whole, 120, NULL), MCF_OK);
    plan.left = 13, plan.top = 5, plan.out_width = 11, plan.out_height = 9;
    assert_int_equal(mcf_resize(&resizer, &image, &plan, part, 33, NULL), MCF_OK);
    for (int y = 0; y < 9; y++)
        assert_memory_equal(part + y * 33, whole + (y + 5) * 120 + 39, 33);

    // Enlarging by whole factors looks at no pixel outside but at the rim: the inner ones are equal.
    mcf_resize_plan box = {MCF_FILTER_BOX, 8, 4, 20, 16, 10, 8, 0, 0, 10, 8};
    assert_int_equal(mcf_resize(&resizer, &image, &box, boxed, 30, NULL), MCF_OK);
    mcf_image inner = {20, 16, 3, image.stride, image.pixels + 4 * image.stride + 8 * 3};
    mcf_resize_plan all = mcf_resize_whole(&inner, 10, 8, MCF_FILTER_BOX);
    assert_int_equal(mcf_resize(&resizer, &inner, &all, cut, 30, NULL), MCF_OK);
    assert_memory_equal(boxed, cut, sizeof cut);

    plan.left = 30;
    assert_int_equal(mcf_resize(&resizer, &image, &plan, part, 33, NULL), MCF_ERR_SHAPE);
    box.box_left = 50;
    assert_int_equal(mcf_resize(&resizer, &image, &box, boxed, 30, NULL), MCF_ERR_SHAPE);
    mcf_resizer_free(&resizer);
    free(source.pixels);
}

// A picture whose red is its column, green its row: the inverse transform tells where a pixel came from, also
// through a DCT scale.
static void inverse_leads_back(void **state)
{
    (void)state;
    enum { W = 240, H = 180, SIDE = 40 };
    uint8_t *pixels = malloc(W * H * 3), out[SIDE * SIDE * 3];
    for (int i = 0; i < W * H; i++) {
        pixels[3 * i] = (uint8_t)(i % W);
        pixels[3 * i + 1] = (uint8_t)(i / W);
        pixels[3 * i + 2] = 128;
    }
    mcf_image image = {W, H, 3, W * 3, pixels};
    mcf_bytes jpeg = {0}, buffer = {0};
    mcf_resizer resizer = {0};
    assert_int_equal(mcf_image_encode_jpeg(&image, 100, &jpeg, NULL), MCF_OK);
    for (int fast = 0; fast <= 1; fast++) {
        mcf_decode_options options = {.channels = 4, .min_side = fast ? SIDE : 0};
        mcf_decoded decoded;
        assert_int_equal(mcf_image_decode(jpeg.data, jpeg.size, &options, &buffer, &decoded, NULL), MCF_OK);
        assert_int_equal(decoded.image.width, fast ? W / 4 : W);
        mcf_resize_plan plan = mcf_resize_center_crop(&decoded, SIDE, MCF_FILTER_BILINEAR);
        assert_int_equal(mcf_resize(&resizer, &decoded.image, &plan, out, SIDE * 3, NULL), MCF_OK);
        double m[6];
        mcf_resize_inverse(&decoded, &plan, m);
        for (int v = 2; v < SIDE - 2; v += 7)
            for (int u = 2; u < SIDE - 2; u += 7) {
                double x = m[0] * (u + 0.5) + m[1] * (v + 0.5) + m[2], y = m[3] * (u + 0.5) + m[4] * (v + 0.5) + m[5];
                assert_true(abs(out[(v * SIDE + u) * 3] - (int)(x - 0.5)) <= 3);
                assert_true(abs(out[(v * SIDE + u) * 3 + 1] - (int)(y - 0.5)) <= 3);
            }
    }
    free(pixels);
    mcf_bytes_free(&jpeg);
    mcf_bytes_free(&buffer);
    mcf_resizer_free(&resizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_pil),  cmocka_unit_test(center_crop_equals_torchvision),
        cmocka_unit_test(isas_agree),         cmocka_unit_test(windows_and_boxes),
        cmocka_unit_test(inverse_leads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
