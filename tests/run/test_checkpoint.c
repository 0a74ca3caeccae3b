// Checkpoints: complete or not there, whatever fails; damage is named.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/checkpoint.h"

enum { N = 50000 };

static char directory[32];
static float weights[N], moments[N];
static int64_t counter;

static const mcf_named_tensor *model(void)
{
    static mcf_named_tensor tensors[2];
    tensors[0] = (mcf_named_tensor){"encoder.w", MCF_F32, MCF_SHAPE(100, N / 100), weights};
    tensors[1] = (mcf_named_tensor){"fc.1.num_batches_tracked", MCF_I64, {0, {0}}, &counter};
    return tensors;
}

static const mcf_named_tensor *optimizer(void)
{
    static mcf_named_tensor tensors[1];
    tensors[0] = (mcf_named_tensor){"exp_avg.encoder.w", MCF_F32, MCF_SHAPE(100, N / 100), moments};
    return tensors;
}

static void fill(int64_t step)
{
    counter = step;
    for (int i = 0; i < N; i++) {
        weights[i] = (float)(step * 1000 + i);
        moments[i] = (float)-(step * 1000 + i);
    }
}

static mcf_status save(const char *run, int64_t step, int keep, mcf_error *err)
{
    json_t *state = json_pack("{s:i, s:I, s:f}", "epoch", 3, "index", (json_int_t)step, "loss_scale", 65536.0);
    fill(step);
    mcf_checkpoint checkpoint = {step, model(), 2, optimizer(), 1, state, "task: pretrain\n"};
    mcf_status status = mcf_checkpoint_save(run, &checkpoint, keep, NULL, err);
    json_decref(state);
    return status;
}

static void assert_reads_back(const char *run, int64_t step)
{
    mcf_error err = {0};
    char *path;
    int64_t latest, stored;
    json_t *state;
    assert_int_equal(mcf_checkpoint_latest(run, &path, &latest, &err), MCF_OK);
    assert_non_null(path);
    assert_int_equal(latest, step);
    if (mcf_checkpoint_read_state(path, &stored, &state, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(stored, step);
    assert_int_equal(json_integer_value(json_object_get(state, "index")), step);
    json_decref(state);
    fill(-1);
    assert_int_equal(mcf_checkpoint_read_model(path, model(), 2, &err), MCF_OK);
    assert_int_equal(mcf_checkpoint_read_optimizer(path, optimizer(), 1, &err), MCF_OK);
    assert_true(weights[7] == step * 1000 + 7 && moments[N - 1] == -(step * 1000 + N - 1) && counter == step);
    free(path);
}

// Names in RUN/checkpoints, sorted, separated by blanks.
static const char *names(const char *run)
{
    static char text[1024];
    char path[256];
    struct dirent **entries;
    snprintf(path, sizeof(path), "%s/checkpoints", run);
    text[0] = '\0';
    int count = scandir(path, &entries, NULL, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0) {
            if (text[0])
                strcat(text, " ");
            strcat(text, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return text;
}

static int setup(void **state)
{
    strcpy(directory, "/tmp/mcf_checkpoint_XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    return mcf_tree_remove(directory, NULL) == MCF_OK ? 0 : -1;
}

static void saved_is_read_back_and_old_ones_go(void **state)
{
    mcf_error err = {0};
    char *path;
    int64_t step;
    assert_int_equal(mcf_checkpoint_latest(directory, &path, &step, &err), MCF_OK);
    assert_null(path);
    assert_int_equal(mcf_checkpoint_clean(directory, &err), MCF_OK);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(save(directory, 10 * i, 2, &err), MCF_OK);
        assert_reads_back(directory, 10 * i);
    }
    assert_string_equal(names(directory), "step-00000040 step-00000050");
    assert_int_equal(save(directory, 50, 2, &err), MCF_OK); // the same step again
    assert_string_equal(names(directory), "step-00000040 step-00000050");
    assert_int_equal(save(directory, 1234567890123, 1, &err), MCF_OK);
    assert_string_equal(names(directory), "step-1234567890123");
    assert_reads_back(directory, 1234567890123);

    char file[256];
    mcf_safetensors *weights_file;
    snprintf(file, sizeof(file), "%s/checkpoints/step-1234567890123/model.safetensors", directory);
    assert_int_equal(mcf_safetensors_open(&weights_file, file, &err), MCF_OK);
    assert_string_equal(mcf_safetensors_metadata(weights_file, "config"), "task: pretrain\n");
    assert_string_equal(mcf_safetensors_metadata(weights_file, "step"), "1234567890123");
    assert_string_equal(mcf_safetensors_metadata(weights_file, "format_version"), "1");
    mcf_safetensors_close(weights_file);
}

static void leftovers_are_ignored_and_removed(void **state)
{
    mcf_error err = {0};
    char path[256];
    static const char *const left[] = {".tmp-step-00000099-1", ".tmp-old-step-00000001"};
    assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/checkpoints/%s/deep", directory, left[i]);
        assert_int_equal(mcf_directory_make(path, &err), MCF_OK);
        strcat(path, "/state.json");
        assert_int_equal(mcf_file_write(path, "{}", 2, &err), MCF_OK);
    }
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000077", directory); // not ours: no state
    assert_int_equal(mcf_directory_make(path, &err), MCF_OK);
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000088x", directory);
    assert_int_equal(mcf_directory_make(path, &err), MCF_OK);
    assert_reads_back(directory, 10);
    assert_int_equal(mcf_checkpoint_clean(directory, &err), MCF_OK);
    assert_string_equal(names(directory), "step-00000010 step-00000077 step-00000088x");
}

// Changes one byte, or cuts the file there when `cut`.
static void damage(const char *name, long at, bool cut)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000010/%s", directory, name);
    if (cut) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    FILE *file = fopen(path, "r+");
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ 1, file);
    fclose(file);
}

static void damage_is_named(void **state)
{
    static const struct {
        const char *name;
        long at;
        bool cut;
        const char *words;
    } cases[] = {
        {"model.safetensors", 5000, false, "model.safetensors is not what was written"},
        {"model.safetensors", 0, false, "model.safetensors is not what was written"},
        {"optimizer.safetensors", 5000, true, "optimizer.safetensors has 5000 bytes, not "},
        {"config.yaml", 3, false, "config.yaml is not what was written"},
        {"state.json", 10, true, "state.json is no valid JSON"},
        {"state.json", 0, true, "state.json is no valid JSON"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mcf_error err = {0};
        json_t *json;
        int64_t step;
        char path[256];
        assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
        damage(cases[i].name, cases[i].at, cases[i].cut);
        snprintf(path, sizeof(path), "%s/checkpoints/step-00000010", directory);
        assert_int_equal(mcf_checkpoint_read_state(path, &step, &json, &err), MCF_ERR_FORMAT);
        if (!strstr(err.message, cases[i].words) || !strstr(err.message, "remove this directory"))
            fail_msg("case %zu: %s", i, err.message);
        assert_null(json);
    }
}

static void hostile_states_are_refused(void **state)
{
    static const char *const texts[] = {
        "[]",
        "{}",
        "null",
        "{\"format_version\":1,\"step\":-1,\"state\":{},\"files\":{}}",
        "{\"format_version\":1,\"step\":1,\"state\":[],\"files\":{}}",
        "{\"format_version\":1,\"step\":1,\"state\":{}}",
        "{\"format_version\":1,\"step\":1,\"state\":{},\"files\":{\"model.safetensors\":{\"xxh64\":1,"
        "\"size\":2}}}",
        "{\"format_version\":1,\"step\":1,\"step\":2,\"state\":{}}",
        "{\"format_version\":99,\"step\":1,\"state\":{},\"files\":{}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mcf_error err = {0};
        json_t *json;
        int64_t step;
        char path[256], file[300];
        snprintf(path, sizeof(path), "%s/checkpoints/step-00000010", directory);
        snprintf(file, sizeof(file), "%s/state.json", path);
        assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
        assert_int_equal(mcf_file_write(file, texts[i], strlen(texts[i]), &err), MCF_OK);
        assert_int_equal(mcf_checkpoint_read_state(path, &step, &json, &err), MCF_ERR_FORMAT);
        assert_non_null(strstr(err.message, path));
    }
}

// Every single bit of state.json: refused, or it was white space and nothing changed.
static void no_bit_of_the_state_changes_in_silence(void **state)
{
    mcf_error err = {0};
    char path[256], file[300], *text;
    size_t size, taken = 0;
    json_t *json, *right;
    int64_t step;
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000010", directory);
    snprintf(file, sizeof(file), "%s/state.json", path);
    assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
    assert_int_equal(mcf_checkpoint_read_state(path, &step, &right, &err), MCF_OK);
    assert_int_equal(mcf_file_read(file, 1 << 20, &text, &size, &err), MCF_OK);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        text[bit / 8] ^= (char)(1 << bit % 8);
        FILE *out = fopen(file, "w"); // not mcf_file_write: thousands of syncs
        assert_int_equal(fwrite(text, 1, size, out), size);
        assert_int_equal(fclose(out), 0);
        text[bit / 8] ^= (char)(1 << bit % 8);
        if (mcf_checkpoint_read_state(path, &step, &json, &err) != MCF_OK)
            continue;
        if (step != 10 || !json_equal(json, right))
            fail_msg("bit %zu of byte %zu ('%c') changes the state in silence", bit % 8, bit / 8, text[bit / 8]);
        json_decref(json);
        taken++;
    }
    assert_true(taken < size / 2); // white space for white space
    json_decref(right);
    free(text);
}

// A state under another step's name, and one of the version without a sum of its own, with a sum and without.
static void states_stand_under_their_own_name(void **state)
{
    mcf_error err = {0};
    char path[256], other[256], file[300], *text;
    size_t size;
    json_t *json;
    int64_t step;
    assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000010", directory);
    snprintf(other, sizeof(other), "%s/checkpoints/step-00000092", directory);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(mcf_checkpoint_read_state(other, &step, &json, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "state.json is of step 10, the directory's name of step 92"));
    assert_int_equal(rename(other, path), 0);

    snprintf(file, sizeof(file), "%s/state.json", path);
    assert_int_equal(mcf_file_read(file, 1 << 20, &text, &size, &err), MCF_OK);
    json_t *root = json_loads(text, 0, NULL);
    free(text);
    json_object_set_new(root, "format_version", json_integer(1));
    assert_int_equal(json_dump_file(root, file, 0), 0);
    assert_int_equal(mcf_checkpoint_read_state(path, &step, &json, &err), MCF_ERR_FORMAT);
    json_object_del(root, "xxh64");
    assert_int_equal(json_dump_file(root, file, 0), 0);
    assert_int_equal(mcf_checkpoint_read_state(path, &step, &json, &err), MCF_OK);
    json_decref(json);
    json_object_set_new(root, "format_version", json_integer(2));
    assert_int_equal(json_dump_file(root, file, 0), 0);
    assert_int_equal(mcf_checkpoint_read_state(path, &step, &json, &err), MCF_ERR_FORMAT);
    json_decref(root);
}

static void other_networks_are_refused(void **state)
{
    mcf_error err = {0};
    char path[256];
    float x[6];
    assert_int_equal(save(directory, 10, 3, &err), MCF_OK);
    snprintf(path, sizeof(path), "%s/checkpoints/step-00000010", directory);
    mcf_named_tensor other[] = {{"encoder.w", MCF_F32, MCF_SHAPE(2, 3), x}, {"encoder.b", MCF_F32, MCF_SHAPE(6), x}};
    assert_int_equal(mcf_checkpoint_read_model(path, other, 2, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "missing: encoder.b"));
    assert_non_null(strstr(err.message, "not expected: fc.1.num_batches_tracked"));
    assert_non_null(strstr(err.message, "different: encoder.w [100, 500] where the config needs [2, 3]"));
    mcf_named_tensor many[100];
    char many_names[100][40];
    for (int i = 0; i < 100; i++) {
        snprintf(many_names[i], sizeof(many_names[i]), "decoder_blocks.%d", i);
        many[i] = (mcf_named_tensor){many_names[i], MCF_F32, MCF_SHAPE(1), x};
    }
    assert_int_equal(mcf_checkpoint_read_model(path, many, 100, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "decoder_blocks.0, decoder_blocks.1"));
    assert_non_null(strstr(err.message, " more; not expected: encoder.w"));
    assert_int_equal(mcf_checkpoint_read_model("/nowhere", many, 1, &err), MCF_ERR_IO);
}

// The run has steps 10 and 20; the saving of 30 fails: both are intact and nothing else is left.
static void assert_failure_harmless(const char *run, mcf_status status, const mcf_error *err, const char *words)
{
    assert_int_equal(status, MCF_ERR_IO);
    if (!strstr(err->message, words) || !strstr(err->message, "the checkpoint of step 30 is not saved"))
        fail_msg("%s", err->message);
    assert_string_equal(names(run), "step-00000010 step-00000020");
    assert_reads_back(run, 20);
}

static void file_limit_leaves_old_ones(void **state)
{
    mcf_error err = {0};
    struct rlimit old, small;
    assert_int_equal(save(directory, 10, 2, &err), MCF_OK);
    assert_int_equal(save(directory, 20, 2, &err), MCF_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    static const rlim_t limits[] = {0, 100, 4096, N * 4 - 1};
    for (int i = 0; i < 4; i++) {
        small = old;
        small.rlim_cur = limits[i];
        setrlimit(RLIMIT_FSIZE, &small);
        mcf_status status = save(directory, 30, 2, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_failure_harmless(directory, status, &err, "(ulimit -f)");
    }
    assert_int_equal(save(directory, 30, 2, &err), MCF_OK);
    assert_string_equal(names(directory), "step-00000020 step-00000030");
}

static void full_disk_leaves_old_ones(void **state)
{
    mcf_error err = {0};
    if (geteuid() != 0 || mount("tmpfs", directory, "tmpfs", 0, "size=1m") != 0)
        skip();
    assert_int_equal(save(directory, 10, 2, &err), MCF_OK);
    assert_int_equal(save(directory, 20, 2, &err), MCF_OK);
    mcf_status status = save(directory, 30, 2, &err);
    assert_failure_harmless(directory, status, &err, "and its disk has");
    umount(directory);
}

// As another user, in a child: a run directory that belongs to root.
static void no_permission_is_said(void **state)
{
    mcf_error err = {0};
    if (geteuid() != 0)
        skip();
    assert_int_equal(save(directory, 10, 2, &err), MCF_OK);
    assert_int_equal(save(directory, 20, 2, &err), MCF_OK);
    assert_int_equal(chmod(directory, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(3);
        mcf_status status = save(directory, 30, 2, &err);
        bool words = strstr(err.message, "Permission denied") && strstr(err.message, "check the permissions");
        _exit(status == MCF_ERR_IO && words ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    assert_string_equal(names(directory), "step-00000010 step-00000020");
    assert_reads_back(directory, 20);
}

// Killed while saving, again and again: what is there is always complete.
static void kills_leave_whole_checkpoints(void **state)
{
    mcf_error err = {0};
    assert_int_equal(save(directory, 1, 2, &err), MCF_OK);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (int64_t step = 2;; step++)
                if (save(directory, step, 2, NULL) != MCF_OK)
                    _exit(1);
        }
        usleep((useconds_t)(1000 + round * 700));
        kill(child, SIGKILL);
        int code;
        waitpid(child, &code, 0);
        assert_true(WIFSIGNALED(code));
        char *path;
        int64_t step;
        assert_int_equal(mcf_checkpoint_latest(directory, &path, &step, &err), MCF_OK);
        free(path);
        assert_reads_back(directory, step);
        assert_int_equal(mcf_checkpoint_clean(directory, &err), MCF_OK);
        assert_null(strstr(names(directory), ".tmp-"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(saved_is_read_back_and_old_ones_go, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_are_ignored_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_states_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(no_bit_of_the_state_changes_in_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(states_stand_under_their_own_name, setup, teardown),
        cmocka_unit_test_setup_teardown(other_networks_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(file_limit_leaves_old_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(full_disk_leaves_old_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(no_permission_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(kills_leave_whole_checkpoints, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
