// The detector against facenet-pytorch with drawn weights, its box arithmetic, pyramid and area resizing. The same program
// runs for every instruction set the processor has.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "infer/detect.h"
#include "infer/detect_area.h"
#include "infer/detect_boxes.h"
#include "tests/infer/detector_weights.h"

static char weights[64];

static int write_weights(void **state)
{
    (void)state;
    mcf_error err;
    snprintf(weights, sizeof weights, "/tmp/mcf-test-detector-%d.safetensors", (int)getpid());
    return write_drawn_detector(weights, 4, 0, &err) == MCF_OK ? 0 : -1;
}

static int remove_weights(void **state)
{
    (void)state;
    return unlink(weights);
}

// The picture of make_detector_fixtures.py.
static mcf_image make_picture(int width, int height)
{
    uint8_t *pixels = malloc((size_t)(width * height * 3));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *p = pixels + 3 * (y * width + x);
            p[0] = (uint8_t)((x * x * 3 + y * y * 7 + x * y * 5) >> 5);
            p[1] = (uint8_t)((x * 11 + y * y * 2) >> 1);
            p[2] = (uint8_t)((x * y * 3 + x * x) >> 4);
        }
    return (mcf_image){.width = width, .height = height, .channels = 3, .stride = (size_t)width * 3, .pixels = pixels};
}

static mcf_detector *open_detector(const char *backend, mcf_error *err)
{
    const mcf_detector_options options = {
        .path = weights, .job = {.backend = backend, .threads = 1}, .threshold = {0.6, 0.6, 0.6}};
    mcf_detector *detector = NULL;
    mcf_detector_open(&detector, &options, err);
    return detector;
}

static void expect_faces(const mcf_faces *got, const json_t *expected)
{
    const json_t *boxes = json_object_get(expected, "boxes"), *points = json_object_get(expected, "points");
    assert_int_equal(got->count, json_array_size(boxes));
    for (int i = 0; i < got->count; i++) {
        const json_t *box = json_array_get(boxes, (size_t)i);
        for (int k = 0; k < 4; k++)
            assert_true(fabs(got->faces[i].box[k] - json_number_value(json_array_get(box, (size_t)k))) < 5e-3);
        assert_true(fabs(got->faces[i].score - json_number_value(json_array_get(box, 4))) < 2e-4);
        for (int k = 0; k < 10; k++) {
            const json_t *point = json_array_get(json_array_get(points, (size_t)i), (size_t)(k / 2));
            const double want = json_number_value(json_array_get(point, (size_t)(k % 2)));
            assert_true(fabs(got->faces[i].points[k / 2][k % 2] - want) < 5e-3);
        }
    }
}

static void expect_on(const char *backend)
{
    mcf_error err = {0};
    mcf_detector *detector = open_detector(backend, &err);
    if (!detector) {
        print_message("%s: %s\n", backend, err.message);
        skip();
    }
    json_t *expected = json_load_file(MCF_SOURCE_DIR "/tests/infer/detector/expected.json", 0, NULL);
    enum { COUNT = 3 };
    assert_int_equal(json_array_size(expected), COUNT);
    mcf_image pictures[COUNT];
    mcf_faces alone[COUNT], together[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const json_t *one = json_array_get(expected, i);
        pictures[i] = make_picture((int)json_integer_value(json_object_get(one, "width")),
                                   (int)json_integer_value(json_object_get(one, "height")));
        mcf_status status = mcf_detector_run(detector, &pictures[i], 1, &alone[i], &err);
        if (status == MCF_ERR_UNSUPPORTED) {
            print_message("%s: %s\n", backend, err.message);
            mcf_detector_close(detector);
            skip();
        }
        if (status != MCF_OK)
            fail_msg("%s: %s", backend, err.message);
        expect_faces(&alone[i], one);
    }
    // The answer does not depend on what else is looked at: the same bits.
    assert_int_equal(mcf_detector_run(detector, pictures, COUNT, together, &err), MCF_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(together[i].count, alone[i].count);
        assert_memory_equal(together[i].faces, alone[i].faces, (size_t)alone[i].count * sizeof *alone[i].faces);
        mcf_faces_free(&alone[i]);
        mcf_faces_free(&together[i]);
        free((void *)pictures[i].pixels);
    }
    json_decref(expected);
    mcf_detector_close(detector);
}

static void equals_facenet_pytorch_on_the_reference(void **state)
{
    (void)state;
    expect_on("cpu-reference");
}

static void equals_facenet_pytorch_on_the_cpu(void **state)
{
    (void)state;
    expect_on("cpu");
}

static void pictures_below_the_smallest_face_have_none(void **state)
{
    (void)state;
    mcf_error err = {0};
    mcf_detector *detector = open_detector("cpu-reference", &err);
    assert_non_null(detector);
    static const int sizes[][2] = {{1, 1}, {19, 200}, {200, 19}, {12, 12}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mcf_image picture = make_picture(sizes[i][0], sizes[i][1]);
        mcf_faces faces;
        assert_int_equal(mcf_detector_run(detector, &picture, 1, &faces, &err), MCF_OK);
        assert_int_equal(faces.count, 0);
        mcf_faces_free(&faces);
        free((void *)picture.pixels);
    }
    mcf_detector_close(detector);
}

static void no_weights_say_how_to_get_them(void **state)
{
    (void)state;
    mcf_error err = {0};
    mcf_detector *detector;
    const mcf_detector_options options = {.path = "/nowhere/mtcnn.safetensors"};
    assert_int_not_equal(mcf_detector_open(&detector, &options, &err), MCF_OK);
    assert_non_null(strstr(err.message, "ci/detector-weights"));
}

static void area_resize_is_the_mean_of_whole_pixels(void **state)
{
    (void)state;
    mcf_error err;
    mcf_area_scratch scratch = {0};
    mcf_image picture = make_picture(37, 29);
    const mcf_window window = {.left = 3, .top = 2, .width = 31, .height = 26};
    static const int sizes[][2] = {{19, 15}, {31, 26}, {48, 48}, {1, 1}, {60, 7}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int w = sizes[s][0], h = sizes[s][1];
        const mcf_window part = {.left = w / 3, .top = h / 4, .width = w - w / 3, .height = h - h / 4};
        float out[60 * 60 * 3];
        assert_int_equal(mcf_area_resize(&scratch, &picture, window, w, h, part, out, (size_t)part.width * 3, &err),
                         MCF_OK);
        for (int y = 0; y < part.height; y++)
            for (int x = 0; x < part.width; x++)
                for (int c = 0; c < 3; c++) {
                    double sum = 0;
                    int count = 0;
                    const int x0 = (part.left + x) * window.width / w, y0 = (part.top + y) * window.height / h;
                    for (int v = y0; v * h < (part.top + y + 1) * window.height; v++)
                        for (int u = x0; u * w < (part.left + x + 1) * window.width; u++, count++)
                            sum += picture.pixels[((window.top + v) * 37 + window.left + u) * 3 + c];
                    const double want = (sum / count - 127.5) / 128;
                    assert_true(fabs(out[(y * part.width + x) * 3 + c] - want) < 1e-6);
                }
    }
    mcf_area_scratch_free(&scratch);
    free((void *)picture.pixels);
}

static void quotients_are_float32_before_the_floor(void **state)
{
    (void)state;
    mcf_candidate box;
    // 9/0.6 is 15 in double; in float32 it rounds to just below
    mcf_cell_box(4, 0, (float)0.6, &box);
    assert_true(box.x1 == 14 && box.x2 == 33 && box.y1 == 1 && box.y2 == 20);
}

static void equal_scores_keep_their_order(void **state)
{
    (void)state;
    const mcf_candidate a = {.x1 = 0, .y1 = 0, .x2 = 10, .y2 = 10, .score = 1};
    mcf_candidate b = a, c = a;
    b.x1 = 1;
    c.x1 = 40;
    c.x2 = 50;
    c.score = 0.5f;
    mcf_candidates list = {0};
    assert_true(mcf_candidates_add(&list, &c) && mcf_candidates_add(&list, &a) && mcf_candidates_add(&list, &b));
    assert_true(mcf_suppress(&list, 0, MCF_OVERLAP_UNION, 0.7f));
    assert_int_equal(list.count, 2);
    assert_true(list.items[0].x1 == 0 && list.items[1].x1 == 40);
    list.count = 0;
    assert_true(mcf_candidates_add(&list, &c) && mcf_candidates_add(&list, &a) && mcf_candidates_add(&list, &b));
    assert_true(mcf_suppress(&list, 0, MCF_OVERLAP_LEAST, 0.7f));
    assert_int_equal(list.count, 2);
    assert_true(list.items[0].x1 == 1); // of equals the later
    mcf_candidates_free(&list);
}

static void windows_reach_one_pixel_up_and_left(void **state)
{
    (void)state;
    mcf_window window;
    const mcf_candidate inside = {.x1 = 5.9f, .y1 = 7.2f, .x2 = 20.7f, .y2 = 30.1f};
    assert_true(mcf_box_window(&inside, 100, 100, &window));
    assert_true(window.left == 4 && window.top == 6 && window.width == 16 && window.height == 24);
    const mcf_candidate beyond = {.x1 = -9.9f, .y1 = -0.5f, .x2 = 130, .y2 = 99};
    assert_true(mcf_box_window(&beyond, 100, 98, &window));
    assert_true(window.left == 0 && window.top == 0 && window.width == 100 && window.height == 98);
    const mcf_candidate outside = {.x1 = 120, .y1 = 1, .x2 = 130, .y2 = 20};
    assert_false(mcf_box_window(&outside, 100, 100, &window));
    const mcf_candidate wild = {.x1 = NAN, .y1 = -INFINITY, .x2 = INFINITY, .y2 = 1e30f};
    assert_true(mcf_box_window(&wild, 100, 100, &window));
    assert_true(window.left >= 0 && window.width <= 100 && window.height <= 100);
}

static void pyramid_levels(void **state)
{
    (void)state;
    mcf_level levels[MCF_PYRAMID_MAX];
    assert_int_equal(mcf_pyramid(250, 250, 20, levels), 8);
    assert_true(levels[0].width == 151 && levels[1].width == 107 && levels[7].width == 14);
    assert_int_equal(mcf_pyramid(19, 500, 20, levels), 0);
    assert_int_equal(mcf_pyramid(20, 500, 20, levels), 1);
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"portable", "avx2", "avx512", "avx512_bf16"};
    for (size_t i = 0; argc == 1 && i < sizeof isas / sizeof *isas; i++) {
        char command[4200];
        snprintf(command, sizeof command, "MCF_CPU_ISA=%s '%s' child", isas[i], argv[0]);
        fprintf(stderr, "with %s:\n", isas[i]);
        if (system(command) != 0)
            return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_facenet_pytorch_on_the_reference),
        cmocka_unit_test(equals_facenet_pytorch_on_the_cpu),
        cmocka_unit_test(pictures_below_the_smallest_face_have_none),
        cmocka_unit_test(no_weights_say_how_to_get_them),
        cmocka_unit_test(area_resize_is_the_mean_of_whole_pixels),
        cmocka_unit_test(quotients_are_float32_before_the_floor),
        cmocka_unit_test(equal_scores_keep_their_order),
        cmocka_unit_test(windows_reach_one_pixel_up_and_left),
        cmocka_unit_test(pyramid_levels),
    };
    return cmocka_run_group_tests(tests, write_weights, remove_weights);
}
