// The linear probe: ridge regression equal to numpy's (tests/probe), labels read and refused by line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "data/faces/labels.h"
#include "data/formats/safetensors.h"
#include "infer/score/ridge.h"

static void *tensor(const mcf_safetensors *file, const char *name, const char *key, int64_t *rows, int64_t *columns)
{
    mcf_error err = {0};
    char whole[64];
    snprintf(whole, sizeof whole, "%s.%s", name, key);
    const mcf_safetensors_entry *e = mcf_safetensors_find(file, whole);
    assert_non_null(e);
    void *bytes = malloc((size_t)e->size);
    assert_int_equal(mcf_safetensors_read(file, e, bytes, &err), MCF_OK);
    *rows = e->shape.dim[0];
    if (columns)
        *columns = e->shape.dim[1];
    return bytes;
}

static void ridge_equals_numpys(void **state)
{
    static const char *const cases[] = {"plain", "noisy", "wide", "dead", "small"};
    mcf_error err = {0};
    mcf_safetensors *file;
    (void)state;
    assert_int_equal(mcf_safetensors_open(&file, MCF_SOURCE_DIR "/tests/probe/ridge.safetensors", &err), MCF_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n, d, t, m, one;
        float *x = tensor(file, cases[i], "x", &n, &d), *y = tensor(file, cases[i], "y", &n, &t);
        float *more = tensor(file, cases[i], "more", &m, NULL), *got = malloc((size_t)(m * t) * sizeof *got);
        double *want = tensor(file, cases[i], "predicted", &m, NULL);
        double *penalty = tensor(file, cases[i], "penalty", &one, NULL),
               *error = tensor(file, cases[i], "error", &one, NULL);
        mcf_ridge ridge;
        assert_int_equal(mcf_ridge_fit(&ridge, x, y, n, (int)d, (int)t, &err), MCF_OK);
        // The fit is in double from the same floats; only the guesses are rounded to float.
        if (ridge.penalty != *penalty || fabs(ridge.error - *error) > 1e-9 * *error)
            fail_msg("%s: penalty %g, error %.12g; numpy: %g, %.12g", cases[i], ridge.penalty, ridge.error, *penalty,
                     *error);
        mcf_ridge_predict(&ridge, more, m, got);
        for (int64_t k = 0; k < m * t; k++)
            if (fabs(got[k] - want[k]) > 1e-6 * (1 + fabs(want[k])))
                fail_msg("%s: guess %lld is %.9g, numpy's %.9g", cases[i], (long long)k, got[k], want[k]);
        mcf_ridge_free(&ridge);
        void *all[] = {x, y, more, got, want, penalty, error};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free(all[k]);
    }
    mcf_safetensors_close(file);
}

static void ridge_refuses_what_it_cannot_fit(void **state)
{
    mcf_error err = {0};
    mcf_ridge ridge;
    const float x[] = {1, 2, 3, 4}, bad[] = {1, NAN, 3, 4}, y[] = {1, 2, 3, 4};
    (void)state;
    assert_int_equal(mcf_ridge_fit(&ridge, x, y, 2, 1, 1, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_ridge_fit(&ridge, bad, y, 4, 1, 1, &err), MCF_ERR_NUMERIC);
    assert_null(ridge.weights);
    assert_int_equal(mcf_ridge_fit(&ridge, x, bad, 4, 1, 1, &err), MCF_ERR_NUMERIC);
}

#define LINE(image, identity, size, points)                                                                            \
    "{\"image\": " image ", \"identity\": " identity ", \"size\": " size ", \"points\": {\"2\": " points "}}\n"
#define GOOD LINE("\"images/0/a.jpg\"", "4", "64", "[[16, 32, 1], [-8, 48.5, 0]]")

static mcf_status parse(const char *text, mcf_labels *labels, mcf_error *err)
{
    return mcf_labels_parse(labels, text, strlen(text), "faces", "faces/labels.jsonl", 2, err);
}

static void labels_are_read(void **state)
{
    mcf_error err = {0};
    mcf_labels l;
    (void)state;
    assert_int_equal(parse(GOOD LINE("\"/b.png\"", "0", "2", "[[1, 1], [2, 2]]"), &l, &err), MCF_OK);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.images[0], "faces/images/0/a.jpg");
    assert_string_equal(l.images[1], "/b.png");
    assert_int_equal(l.identity[0], 4);
    const float want[] = {0.25f, 0.5f, -0.125f, 48.5f / 64, 0.5f, 0.5f, 1, 1};
    for (int i = 0; i < 8; i++)
        assert_true(l.xy[i] == want[i]);
    mcf_labels_free(&l);
}

static void wrong_labels_are_named_by_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is empty"},
        {GOOD "{\"image\": ", "line 2: "},
        {GOOD "\n", "line 2: "},
        {GOOD GOOD "[]\n", "line 3: \"image\" is no path"},
        {LINE("7", "4", "64", "[[1, 1], [2, 2]]"), "line 1: \"image\" is no path"},
        {LINE("\"\"", "4", "64", "[[1, 1], [2, 2]]"), "line 1: \"image\" is no path"},
        {LINE("\"a\"", "-1", "64", "[[1, 1], [2, 2]]"), "\"identity\" is no whole number"},
        {LINE("\"a\"", "1.5", "64", "[[1, 1], [2, 2]]"), "\"identity\" is no whole number"},
        {LINE("\"a\"", "1", "0", "[[1, 1], [2, 2]]"), "\"size\" is no side"},
        {LINE("\"a\"", "1", "\"64\"", "[[1, 1], [2, 2]]"), "\"size\" is no side"},
        {LINE("\"a\"", "1", "64", "[[1, 1]]"), "has not this many points under their number (2)"},
        {LINE("\"a\"", "1", "64", "[[1, 1], [2]]"), "holds what is no [x, y, visible]"},
        {LINE("\"a\"", "1", "64", "[[1, 1], [2, 1e9]]"), "holds what is no [x, y, visible]"},
        {LINE("\"a\"", "1", "64", "[[1, 1], \"p\"]"), "holds what is no [x, y, visible]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mcf_error err = {0};
        mcf_labels l;
        assert_int_equal(parse(cases[i].text, &l, &err), MCF_ERR_FORMAT);
        if (!strstr(err.message, cases[i].says) || !strstr(err.message, "faces/labels.jsonl"))
            fail_msg("case %zu says: %s", i, err.message);
        mcf_labels_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ridge_equals_numpys),
        cmocka_unit_test(ridge_refuses_what_it_cannot_fit),
        cmocka_unit_test(labels_are_read),
        cmocka_unit_test(wrong_labels_are_named_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
