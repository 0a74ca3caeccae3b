// Crops, label maps and augmentation of faces against plain loops.
#include "tests/data/helpers.h"

#include <math.h>

#include "data/faces/augment.h"

static mcf_error err;

enum { W = 90, H = 70, SIZE = 64 };

// A picture whose label map is a function of its pixels: red is 16 times the label.
static void draw(uint8_t *rgbx, uint8_t *labels)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const int label = (x / 15 + y / 20) % 7;
            uint8_t *p = rgbx + 4 * (y * W + x);
            labels[y * W + x] = (uint8_t)label;
            p[0] = (uint8_t)(16 * label);
            p[1] = (uint8_t)(2 * x);
            p[2] = (uint8_t)(3 * y);
        }
}

typedef struct {
    mcf_face_set set;
    mcf_face faces[1];
    double xy[38];
    uint8_t rgbx[W * H * 4 + 64], labels[W * H];
    mcf_image image;
} one_face;

static void make_face(one_face *f)
{
    *f = (one_face){.set = {.layout = mcf_face_layout_find("aflw-19"), .points = 19, .count = 1},
                    .faces = {{.box = {20, 10, 70, 60}}}};
    f->set.faces = f->faces;
    f->set.xy = f->xy;
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, 0);
    for (int i = 0; i < 38; i++)
        f->xy[i] = 25 + 30 * mcf_rng_double(&rng);
    draw(f->rgbx, f->labels);
    f->image = (mcf_image){.width = W, .height = H, .channels = 4, .stride = W * 4, .pixels = f->rgbx};
}

// What the crop's pixel should be, by plain loops in double.
static double expected_at(const one_face *f, const double at[2], int channel)
{
    double sum = 0;
    for (int tap = 0; tap < 4; tap++) {
        const double u = floor(at[0]) + (tap & 1), v = floor(at[1]) + (tap >> 1);
        const double weight = (1 - fabs(at[0] - u)) * (1 - fabs(at[1] - v));
        if (u >= 0 && u < W && v >= 0 && v < H)
            sum += weight * f->rgbx[4 * ((int)v * W + (int)u) + channel];
    }
    return sum;
}

static void crops_follow_the_map(void **state)
{
    one_face f;
    mcf_face_scratch scratch = {0};
    uint8_t out[SIZE * SIZE * 3], labels[SIZE * SIZE];
    make_face(&f);
    for (int trial = 0; trial < 12; trial++) {
        mcf_face_augment a = mcf_face_augment_align(f.set.layout);
        a = mcf_face_augment_still(&a);
        a.size = a.out_size = SIZE;
        a.scale = 0.4;
        a.rotation = 1;
        a.shift = 0.2;
        a.flip = 0.5;
        a.warp = trial % 3 ? 0 : 0.8;
        a.crop = trial % 4 == 1 ? MCF_CROP_OF_POINTS : trial % 4 == 2 ? MCF_CROP_OF_IMAGE : MCF_CROP_OF_BOX;
        a.mirror[2] = 3;
        a.mirror[3] = 2;
        mcf_rng rng = mcf_rng_make(5, MCF_RNG_AUGMENT1, 0, (uint64_t)trial);
        const mcf_face_draws d = mcf_face_draw(&a, &rng);
        mcf_face_map map;
        assert_int_equal(mcf_face_map_of(&f.set, 0, &a, &d, W, H, &map, &err), MCF_OK);
        assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, out, &err), MCF_OK);
        assert_int_equal(mcf_face_labels(&a, &map, d.flip, f.labels, W, H, W, H, &scratch, labels, &err), MCF_OK);
        for (int i = 0; i < SIZE * SIZE; i++) {
            double at[2];
            mcf_face_map_back(&map, i % SIZE, i / SIZE, at);
            for (int c = 0; c < 3; c++)
                assert_true(fabs(out[3 * i + c] - expected_at(&f, at, c)) < 0.51);
            const double u = floor(at[0] + 0.5), v = floor(at[1] + 0.5);
            uint8_t want = u >= 0 && u < W && v >= 0 && v < H ? f.labels[(int)v * W + (int)u] : 0;
            want = d.flip && (want == 2 || want == 3) ? 5 - want : want;
            // Rounding may put a point that lies between two pixels on either side.
            assert_true(labels[i] == want || fabs(at[0] + 0.5 - u) < 1e-6 || fabs(at[1] + 0.5 - v) < 1e-6);
        }
        float shares[38];
        double back[38];
        assert_int_equal(mcf_face_points_of(&f.set, 0, &map, d.flip, shares, &err), MCF_OK);
        mcf_face_points_back(&map, shares, 19, back);
        for (int p = 0; p < 19; p++) {
            const int from = d.flip ? mcf_face_mirror(19)[p] : p;
            // Beyond the tanh warp's clamp a point does not come back.
            if (a.warp == 0 || (fabs(shares[2 * p] - 0.5) < 0.45 && fabs(shares[2 * p + 1] - 0.5) < 0.45))
                for (int axis = 0; axis < 2; axis++)
                    assert_true(fabs(back[2 * p + axis] - f.xy[2 * from + axis]) < 2e-3);
        }
    }
    mcf_face_scratch_free(&scratch);
}

static void flipping_mirrors_the_crop(void **state)
{
    one_face f;
    mcf_face_scratch scratch = {0};
    uint8_t plain[SIZE * SIZE * 3], mirrored[SIZE * SIZE * 3];
    make_face(&f);
    mcf_face_augment a = mcf_face_augment_align(f.set.layout);
    a.size = a.out_size = SIZE;
    mcf_face_draws d = {.scale = 0.8, .gamma = 1};
    mcf_face_map map;
    assert_int_equal(mcf_face_map_of(&f.set, 0, &a, &d, W, H, &map, &err), MCF_OK);
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, plain, &err), MCF_OK);
    d.flip = true;
    assert_int_equal(mcf_face_map_of(&f.set, 0, &a, &d, W, H, &map, &err), MCF_OK);
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, mirrored, &err), MCF_OK);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            for (int c = 0; c < 3; c++)
                assert_true(abs(plain[3 * (y * SIZE + x) + c] - mirrored[3 * (y * SIZE + SIZE - 1 - x) + c]) <= 1);
    mcf_face_scratch_free(&scratch);
}

static int mirrored_index(int i, int n)
{
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

static void blur_grey_gamma_and_resize(void **state)
{
    one_face f;
    mcf_face_scratch scratch = {0};
    uint8_t plain[SIZE * SIZE * 3], out[SIZE * SIZE * 3];
    make_face(&f);
    mcf_face_augment a = mcf_face_augment_align(f.set.layout);
    a.size = a.out_size = SIZE;
    mcf_face_draws d = {.scale = 0.8, .gamma = 1};
    mcf_face_map map;
    assert_int_equal(mcf_face_map_of(&f.set, 0, &a, &d, W, H, &map, &err), MCF_OK);
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, plain, &err), MCF_OK);
    for (d.blur = 2; d.blur <= 5; d.blur++) {
        assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, out, &err), MCF_OK);
        for (int i = 0; i < SIZE * SIZE * 3; i++) {
            const int x = i / 3 % SIZE, y = i / 3 / SIZE;
            double sum = 0;
            for (int j = 0; j < d.blur * d.blur; j++) {
                const int u = mirrored_index(x - d.blur / 2 + j % d.blur, SIZE);
                const int v = mirrored_index(y - d.blur / 2 + j / d.blur, SIZE);
                sum += plain[3 * (v * SIZE + u) + i % 3];
            }
            assert_true(fabs(out[i] - sum / (d.blur * d.blur)) < 0.501);
        }
    }
    d.blur = 0;
    d.gamma = 2;
    d.occlusion[0] = 5, d.occlusion[1] = 7, d.occlusion[2] = 20, d.occlusion[3] = 9;
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, out, &err), MCF_OK);
    for (int i = 0; i < SIZE * SIZE * 3; i++) {
        const int x = i / 3 % SIZE, y = i / 3 / SIZE;
        const bool hidden = x >= 5 && x < 20 && y >= 7 && y < 9;
        assert_true(fabs(out[i] - (hidden ? 0 : plain[i] * plain[i] / 255.0)) < 0.501);
    }
    d = (mcf_face_draws){.scale = 0.8, .gamma = 1, .grey = true, .noise = 0.25, .seed = 9};
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, out, &err), MCF_OK);
    double moved = 0;
    for (int i = 0; i < SIZE * SIZE; i++) {
        assert_true(out[3 * i] == out[3 * i + 1] && out[3 * i] == out[3 * i + 2]);
        moved += out[3 * i] - 0.75 * (0.299 * plain[3 * i] + 0.587 * plain[3 * i + 1] + 0.114 * plain[3 * i + 2]);
    }
    assert_true(fabs(moved / (SIZE * SIZE) - 0.25 * 127.5) < 1);
    // a smaller picture: every 2 x 2 pixels become their mean
    a.out_size = SIZE / 2;
    d = (mcf_face_draws){.scale = 0.8, .gamma = 1};
    assert_int_equal(mcf_face_pixels(&a, &map, &d, &f.image, &scratch, out, &err), MCF_OK);
    for (int i = 0; i < SIZE * SIZE / 4 * 3; i++) {
        const int x = i / 3 % (SIZE / 2), y = i / 3 / (SIZE / 2);
        const uint8_t *p = plain + 3 * (2 * y * SIZE + 2 * x) + i % 3;
        assert_true(fabs(out[i] - (p[0] + p[3] + p[3 * SIZE] + p[3 * SIZE + 3]) / 4.0) < 0.501);
    }
    mcf_face_scratch_free(&scratch);
}

// Draws keep to their bounds, reach them, and depend on nothing but their key.
static void draws(void **state)
{
    mcf_face_augment a = mcf_face_augment_align(mcf_face_layout_find("wflw"));
    double low = 9, high = 0, turned = 0;
    int grey = 0, root = 0, square = 0, noise = 0, blurred = 0;
    enum { N = 4000 };
    for (int i = 0; i < N; i++) {
        mcf_rng rng = mcf_rng_make(3, MCF_RNG_AUGMENT1, 1, (uint64_t)i), again = rng;
        const mcf_face_draws d = mcf_face_draw(&a, &rng), same = mcf_face_draw(&a, &again);
        assert_memory_equal(d.occlusion, same.occlusion, sizeof d.occlusion);
        assert_true(d.scale == same.scale && d.seed == same.seed);
        low = fmin(low, d.scale);
        high = fmax(high, d.scale);
        turned = fmax(turned, fabs(d.angle));
        assert_true(fabs(d.shift[0]) <= 25.6 && fabs(d.shift[1]) <= 25.6 && d.noise <= 0.5 && d.blur <= 5 && !d.flip);
        assert_true(d.occlusion[2] > d.occlusion[0] && d.occlusion[3] > d.occlusion[1]);
        assert_true(d.occlusion[3] - d.occlusion[1] <= 205 && d.occlusion[2] - d.occlusion[0] <= 257);
        grey += d.grey;
        root += d.gamma == 0.5;
        square += d.gamma == 2;
        noise += d.noise > 0;
        blurred += d.blur > 1;
    }
    assert_true(low > 0.7 - 1e-9 && low < 0.701 && high < 0.9 + 1e-9 && high > 0.899);
    assert_true(turned <= 0.174 && turned > 0.173);
    assert_true(abs(grey - N / 10) < 100 && abs(root - N / 3) < 150 && abs(square - N / 3) < 150);
    assert_true(abs(noise - N / 2) < 150 && blurred > N / 2);
    a = mcf_face_augment_parse(mcf_face_layout_find("lapa"));
    double squares = 0;
    for (int i = 0; i < N; i++) {
        mcf_rng rng = mcf_rng_make(3, MCF_RNG_AUGMENT1, 1, (uint64_t)i);
        const mcf_face_draws d = mcf_face_draw(&a, &rng);
        squares += d.angle * d.angle / N;
        assert_true(d.noise == 0 && d.occlusion[2] == 0);
    }
    assert_true(fabs(sqrt(squares) - 0.314) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_follow_the_map),
        cmocka_unit_test(flipping_mirrors_the_crop),
        cmocka_unit_test(blur_grey_gamma_and_resize),
        cmocka_unit_test(draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
