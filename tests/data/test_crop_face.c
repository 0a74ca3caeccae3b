// Aligned crops against an independent program in float64: similarities, pixels to a grey level, measures.
#include "tests/data/helpers.h"

#include <jansson.h>
#include <math.h>

#include "data/faces/crop_face.h"

enum { WIDTH = 180, HEIGHT = 140, EVERY = 13 };

static mcf_image make_picture(void)
{
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *p = pixels + 3 * (y * WIDTH + x);
            p[0] = (uint8_t)((x * x * 3 + y * y * 7 + x * y * 5) >> 7);
            p[1] = (uint8_t)((x * 11 + y * y * 2) >> 3);
            p[2] = (uint8_t)((x * y * 3 + x * x) >> 6);
        }
    return (mcf_image){.width = WIDTH, .height = HEIGHT, .channels = 3, .stride = WIDTH * 3, .pixels = pixels};
}

static int index_of(const char *const *names, int count, const json_t *word)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], json_string_value(word)))
            return i;
    fail_msg("%s is no name", json_string_value(word));
    return 0;
}

static double at(const json_t *list, int i)
{
    return json_number_value(json_array_get(list, (size_t)i));
}

static void crops_equal_the_independent_program(void **state)
{
    (void)state;
    static uint8_t crop[MCF_CROP_SIDE * MCF_CROP_SIDE * 3];
    json_t *cases = json_load_file(MCF_SOURCE_DIR "/tests/data/crop_face.json", 0, NULL);
    const mcf_image picture = make_picture();
    assert_int_equal(json_array_size(cases), 36);
    for (size_t n = 0; n < json_array_size(cases); n++) {
        const json_t *one = json_array_get(cases, n), *wanted = json_object_get(one, "transform");
        float points[5][2];
        for (int i = 0; i < 10; i++)
            points[i / 2][i % 2] = (float)at(json_array_get(json_object_get(one, "points"), (size_t)(i / 2)), i % 2);
        const int template = index_of(mcf_template_names, MCF_TEMPLATE_COUNT, json_object_get(one, "template"));
        const int border = index_of(mcf_border_names, MCF_BORDER_COUNT, json_object_get(one, "border"));
        mcf_similarity fit;
        mcf_error err;
        assert_int_equal(mcf_template_fit((mcf_face_template) template, points, &fit, &err), MCF_OK);
        const double got[6] = {fit.a, -fit.b, fit.tx, fit.b, fit.a, fit.ty};
        for (int i = 0; i < 6; i++)
            assert_true(fabs(got[i] - at(json_array_get(wanted, (size_t)(i / 3)), i % 3)) < 1e-9 * (1 + fabs(got[i])));
        mcf_crop_sample(&picture, &fit, (mcf_border)border, crop);
        const json_t *pixels = json_object_get(one, "pixels");
        int i = 0;
        for (int y = 0; y < MCF_CROP_SIDE; y += EVERY)
            for (int x = 0; x < MCF_CROP_SIDE; x += EVERY)
                for (int c = 0; c < 3; c++, i++)
                    if (fabs(crop[3 * (y * MCF_CROP_SIDE + x) + c] - at(pixels, i)) > 1)
                        fail_msg("case %zu: pixel %d,%d is %d, not %g", n, x, y, crop[3 * (y * MCF_CROP_SIDE + x) + c],
                                 at(pixels, i));
        assert_int_equal(i, json_array_size(pixels));
        assert_true(fabs(mcf_crop_inside(&fit, WIDTH, HEIGHT) - json_number_value(json_object_get(one, "inside"))) <
                    1e-3);
        const double sharp = json_number_value(json_object_get(one, "sharpness"));
        assert_true(fabs(mcf_crop_sharpness(crop) - sharp) < 0.02 * sharp + 0.02);
        const uint64_t hash = strtoull(json_string_value(json_object_get(one, "dhash")), NULL, 16);
        assert_true(__builtin_popcountll(hash ^ mcf_crop_dhash(crop)) <= 1);
    }
    json_decref(cases);
}

// The mean of a one-pixel checkerboard is grey: without area sampling it would fall to its corners.
static void fine_patterns_become_grey(void **state)
{
    (void)state;
    enum { SIDE = 900 };
    uint8_t *pixels = malloc(SIDE * SIDE * 3), *crop = malloc(MCF_CROP_SIDE * MCF_CROP_SIDE * 3);
    for (int i = 0; i < SIDE * SIDE; i++)
        memset(pixels + 3 * i, (i / SIDE + i % SIDE) % 2 ? 255 : 0, 3);
    const mcf_image picture = {.width = SIDE, .height = SIDE, .channels = 3, .stride = SIDE * 3, .pixels = pixels};
    const mcf_similarity fit = {.a = 1 / 3.3, .tx = -3, .ty = -2};
    mcf_crop_sample(&picture, &fit, MCF_BORDER_BLACK, crop);
    double sum = 0, squares = 0;
    const int n = MCF_CROP_SIDE * MCF_CROP_SIDE;
    for (int i = 0; i < n; i++) {
        sum += crop[3 * i];
        squares += (double)crop[3 * i] * crop[3 * i];
    }
    assert_true(sqrt(squares / n - sum / n * sum / n) < 3);
    free(pixels);
    free(crop);
}

static void impossible_points_are_refused(void **state)
{
    (void)state;
    mcf_similarity fit;
    mcf_error err;
    const float same[5][2] = {{5, 5}, {5, 5}, {5, 5}, {5, 5}, {5, 5}};
    float wild[5][2] = {{1, 1}, {9, 1}, {5, 5}, {2, 9}, {8, 9}};
    for (int t = 0; t < MCF_TEMPLATE_COUNT; t++) {
        wild[2][0] = 5;
        assert_int_equal(mcf_template_fit((mcf_face_template)t, wild, &fit, &err), MCF_OK);
        assert_int_not_equal(mcf_template_fit((mcf_face_template)t, same, &fit, &err), MCF_OK);
        wild[0][0] = NAN;
        assert_int_not_equal(mcf_template_fit((mcf_face_template)t, wild, &fit, &err), MCF_OK);
        wild[0][0] = 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_equal_the_independent_program),
        cmocka_unit_test(fine_patterns_become_grey),
        cmocka_unit_test(impossible_points_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
