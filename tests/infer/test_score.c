// mcf_answer against cases that an independent program made: tests/score/cases (tests/score/generate.py) and, where they
// are there, those of ../shared/score. NAME.in.safetensors is asked; beside it stand NAME.expected.safetensors,
// NAME.expected.json or NAME.refuse.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/formats/safetensors.h"
#include "infer/score/answer.h"
#include "data/score/points.h"

static char answer_path[256];

// Scores agree to 1e-9.
static bool close_enough(const json_t *a, const json_t *b)
{
    if (json_is_array(a)) {
        bool same = json_is_array(b) && json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = close_enough(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    if (json_is_number(a))
        return json_is_number(b) && fabs(json_number_value(a) - json_number_value(b)) <= 1e-9;
    return json_equal(a, b);
}

static int differs_json(const char *expected)
{
    json_t *want = json_load_file(expected, 0, NULL), *got = json_load_file(answer_path, 0, NULL), *value;
    const char *key;
    int wrong = !want || !got;
    json_object_foreach(want, key, value) if (!close_enough(value, json_object_get(got, key)))
    {
        print_error("%s: %s differs\n", expected, key);
        wrong++;
    }
    json_decref(want);
    json_decref(got);
    return wrong;
}

// Doubles agree to 1e-6 of the largest, or of 1; classes but for ties.
static int differs_tensor(const mcf_safetensors_entry *e, const double *want, const double *got)
{
    double largest = 1, most = 0;
    int64_t other = 0;
    for (uint64_t i = 0; i < e->count; i++) {
        largest = fmax(largest, fabs(want[i]));
        most = fmax(most, fabs(want[i] - got[i]));
        other += want[i] != got[i];
    }
    const bool classes = strcmp(e->name, "prediction") == 0 || strcmp(e->name, "warped_label") == 0;
    return classes ? (double)other > 2e-3 * (double)e->count : !(most <= 1e-6 * largest);
}

static int differs_tensors(const char *expected)
{
    mcf_safetensors *want, *got;
    mcf_error err;
    int wrong = 0;
    assert_int_equal(mcf_safetensors_open(&want, expected, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_open(&got, answer_path, &err), MCF_OK);
    for (size_t i = 0; i < mcf_safetensors_count(want); i++) {
        const mcf_safetensors_entry *e = mcf_safetensors_at(want, i), *g = mcf_safetensors_find(got, e->name);
        double *a = malloc(e->size), *b = malloc(e->size);
        if (!g || g->dtype != MCF_F64 || g->count != e->count) {
            wrong++;
        } else {
            assert_int_equal(mcf_safetensors_read(want, e, a, &err), MCF_OK);
            assert_int_equal(mcf_safetensors_read(got, g, b, &err), MCF_OK);
            wrong += differs_tensor(e, a, b);
        }
        if (wrong)
            print_error("%s: %s differs\n", expected, e->name);
        free(a);
        free(b);
    }
    mcf_safetensors_close(want);
    mcf_safetensors_close(got);
    return wrong;
}

static int ask(const char *folder, const char *name)
{
    char in[1200], expected[1200], kind[64];
    mcf_safetensors *file;
    mcf_error err;
    snprintf(in, sizeof in, "%s/%s.in.safetensors", folder, name);
    assert_int_equal(mcf_safetensors_open(&file, in, &err), MCF_OK);
    snprintf(kind, sizeof kind, "%s", mcf_safetensors_metadata(file, "kind"));
    mcf_safetensors_close(file);
    unlink(answer_path);
    const mcf_status status = mcf_answer(kind, in, answer_path, &err);
    snprintf(expected, sizeof expected, "%s/%s.refuse", folder, name);
    if (mcf_path_exists(expected)) {
        const bool refused =
            status != MCF_OK && err.message[0] && !strchr(err.message, '\n') && !mcf_path_exists(answer_path);
        if (!refused)
            print_error("%s: not refused\n", name);
        return !refused;
    }
    if (status != MCF_OK) {
        print_error("%s: %s\n", name, err.message);
        return 1;
    }
    snprintf(expected, sizeof expected, "%s/%s.expected.json", folder, name);
    if (mcf_path_exists(expected))
        return differs_json(expected);
    snprintf(expected, sizeof expected, "%s/%s.expected.safetensors", folder, name);
    return differs_tensors(expected);
}

static int ask_all(const char *folder, int *asked)
{
    static const char ending[] = ".in.safetensors";
    DIR *directory = opendir(folder);
    int wrong = 0;
    *asked = 0;
    if (!directory)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        const size_t length = strlen(entry->d_name);
        if (length <= sizeof ending - 1 || strcmp(entry->d_name + length - (sizeof ending - 1), ending) != 0)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(length - (sizeof ending - 1)), entry->d_name);
        wrong += ask(folder, name);
        (*asked)++;
    }
    closedir(directory);
    return wrong;
}

static void own_cases(void **state)
{
    int asked;
    assert_int_equal(ask_all(MCF_SOURCE_DIR "/tests/score/cases", &asked), 0);
    assert_true(asked > 25);
}

static void shared_cases(void **state)
{
    int asked;
    const int wrong = ask_all(MCF_SOURCE_DIR "/../shared/score/cases", &asked);
    if (asked == 0) {
        print_message("../shared/score/cases is not there: skipped\n");
        skip();
    }
    assert_int_equal(wrong, 0);
}

static void refusals(void **state)
{
    mcf_error err;
    assert_int_equal(mcf_answer("guess", "nothing", answer_path, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "align_score"));
    assert_int_not_equal(mcf_answer("pool", "/nowhere", answer_path, &err), MCF_OK);
    assert_int_equal(mcf_answer("pool", MCF_SOURCE_DIR "/tests/score/cases/resize_0.in.safetensors", answer_path, &err),
                     MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "resize"));
}

static void normalisers(void **state)
{
    assert_int_equal(mcf_norm_find(19, "inter-ocular")->left[0], 6);
    assert_int_equal(mcf_norm_find(98, "inter-pupil")->right[0], 97);
    assert_int_equal(mcf_norm_find(68, "inter-pupil")->left_count, 6);
    assert_int_equal(mcf_norm_find(5, "diagonal")->kind, MCF_NORM_DIAGONAL);
    assert_null(mcf_norm_find(106, "inter-ocular"));
}

int main(void)
{
    snprintf(answer_path, sizeof answer_path, "%s/mcf-answer.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (int)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_cases), cmocka_unit_test(shared_cases),
                                       cmocka_unit_test(refusals), cmocka_unit_test(normalisers)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(answer_path);
    return failed;
}
