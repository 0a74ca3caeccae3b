// Augmentations: equal to PIL's and torchvision's on the same draws (tests/augment); draws have the promised
// distribution and depend on nothing but seed, epoch, sample and view.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment.h"
#include "data/formats/safetensors.h"

enum { SIDE = 48, DRAWS = 17 };

static mcf_augment_draws draws_of(const double *v)
{
    mcf_augment_draws d = {.left = (int)v[0],
                           .top = (int)v[1],
                           .width = (int)v[2],
                           .height = (int)v[3],
                           .jitter = v[5] != 0,
                           .brightness = v[10],
                           .contrast = v[11],
                           .saturation = v[12],
                           .hue = v[13],
                           .grey = v[14] != 0,
                           .sigma = v[15],
                           .solarise = v[16] != 0};
    for (int i = 0; i < 4; i++)
        d.order[i] = (mcf_jitter)(int)v[6 + i];
    return d;
}

static uint8_t *read_bytes(const mcf_safetensors *file, const char *name)
{
    mcf_error err = {0};
    const mcf_safetensors_entry *e = mcf_safetensors_find(file, name);
    assert_non_null(e);
    uint8_t *bytes = malloc((size_t)e->size + 64);
    assert_int_equal(mcf_safetensors_read(file, e, bytes, &err), MCF_OK);
    return bytes;
}

static void views_equal_torchvisions(void **state)
{
    mcf_error err = {0};
    mcf_safetensors *file;
    (void)state;
    assert_int_equal(mcf_safetensors_open(&file, MCF_SOURCE_DIR "/tests/augment/views.safetensors", &err), MCF_OK);
    const mcf_safetensors_entry *p = mcf_safetensors_find(file, "picture");
    uint8_t *picture = read_bytes(file, "picture");
    const mcf_image image = {.width = (int)p->shape.dim[1],
                             .height = (int)p->shape.dim[0],
                             .channels = 3,
                             .stride = (size_t)p->shape.dim[1] * 3,
                             .pixels = picture};
    mcf_transform_scratch scratch = {0};
    int cases = 0, bad = 0;
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        char name[64], other[72];
        const char *whole = mcf_safetensors_at(file, i)->name, *end = strstr(whole, ".draws");
        if (!end)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - whole), whole);
        snprintf(other, sizeof other, "%s.view", name);
        double *numbers = (double *)read_bytes(file, whole);
        uint8_t *want = read_bytes(file, other), got[SIDE * SIDE * 3];
        assert_int_equal(mcf_safetensors_at(file, i)->count, DRAWS);
        const mcf_augment_draws d = draws_of(numbers);
        const mcf_filter filter = numbers[4] != 0 ? MCF_FILTER_BICUBIC : MCF_FILTER_BILINEAR;
        assert_int_equal(mcf_augment_apply(&d, filter, &image, SIDE, &scratch, got, &err), MCF_OK);
        int worst = 0, off = 0;
        for (int k = 0; k < SIDE * SIDE * 3; k++) {
            int difference = abs(got[k] - want[k]);
            worst = difference > worst ? difference : worst;
            off += difference > 0;
        }
        if (off)
            fprintf(stderr, "%s: %d of %d bytes off, by %d at most\n", name, off, SIDE * SIDE * 3, worst);
        bad += worst > 0;
        cases++;
        free(numbers);
        free(want);
    }
    assert_true(cases >= 30);
    assert_int_equal(bad, 0);
    mcf_transform_scratch_free(&scratch);
    mcf_safetensors_close(file);
    free(picture);
}

static void crops_outside_are_refused(void **state)
{
    (void)state;
    mcf_error err = {0};
    uint8_t pixels[12 * 10 * 3 + 64] = {0}, out[4 * 4 * 3];
    const mcf_image image = {.width = 12, .height = 10, .channels = 3, .stride = 36, .pixels = pixels};
    mcf_transform_scratch scratch = {0};
    const int crops[][4] = {{-1, 0, 4, 4}, {0, -1, 4, 4}, {9, 0, 4, 4}, {0, 7, 4, 4}, {0, 0, 0, 4}, {0, 0, 4, 0}};
    for (size_t i = 0; i < sizeof crops / sizeof *crops; i++) {
        mcf_augment_draws d = {.left = crops[i][0], .top = crops[i][1], .width = crops[i][2], .height = crops[i][3]};
        assert_int_equal(mcf_augment_apply(&d, MCF_FILTER_BILINEAR, &image, 4, &scratch, out, &err), MCF_ERR_SHAPE);
    }
    mcf_transform_scratch_free(&scratch);
}

// Shares and ranges over many draws; bounds of four standard deviations of a binomial.
static void draws_are_as_promised(void **state)
{
    (void)state;
    enum { N = 4000 };
    const int sizes[][2] = {{256, 256}, {640, 200}, {33, 500}, {1, 1}};
    for (int view = 0; view < 2; view++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int w = sizes[s][0], h = sizes[s][1];
            const mcf_augment_view v = mcf_augment_moco(view, 0.08, MCF_FILTER_BILINEAR);
            int jitter = 0, grey = 0, blur = 0, solarise = 0, flip = 0, first[4] = {0};
            double least = 1, most = 0;
            for (int i = 0; i < N; i++) {
                mcf_rng rng = mcf_rng_make(5, view ? MCF_RNG_AUGMENT2 : MCF_RNG_AUGMENT1, 3, (uint64_t)i);
                const mcf_augment_draws d = mcf_augment_draw(&v, &rng, w, h);
                assert_true(d.left >= 0 && d.top >= 0 && d.width >= 1 && d.height >= 1);
                assert_true(d.left + d.width <= w && d.top + d.height <= h);
                assert_true(d.brightness >= 0.6 && d.brightness <= 1.4 && d.contrast >= 0.6 && d.contrast <= 1.4);
                assert_true(d.saturation >= 0.8 && d.saturation <= 1.2 && d.hue >= -0.1 && d.hue <= 0.1);
                assert_true(d.sigma == 0 || (d.sigma >= 0.1 && d.sigma <= 2));
                assert_true(d.order[0] + d.order[1] + d.order[2] + d.order[3] == 6);
                const double area = (double)d.width * d.height / ((double)w * h);
                least = area < least ? area : least;
                most = area > most ? area : most;
                jitter += d.jitter, grey += d.grey, blur += d.sigma > 0, solarise += d.solarise, flip += d.flip;
                first[d.order[0]]++;
            }
#define SHARE(count, p) assert_true(((count)-N * (p)) * ((count)-N * (p)) <= 16.0 * N * (p) * (1 - (p)))
            SHARE(jitter, 0.8);
            SHARE(grey, 0.2);
            SHARE(blur, view ? 0.1 : 1.0);
            SHARE(solarise, view ? 0.2 : 0.0);
            SHARE(flip, 0.5);
            for (int i = 0; i < 4; i++)
                SHARE(first[i], 0.25);
            if (s == 0)
                assert_true(least < 0.1 && least > 0.07 && most > 0.9);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_equal_torchvisions),
        cmocka_unit_test(crops_outside_are_refused),
        cmocka_unit_test(draws_are_as_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
