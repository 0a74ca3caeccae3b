// The training loop on cpu-reference with a network of a few thousand parameters: what must not change the result,
// what must stop a run, and how it goes on.
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/rng.h"
#include "base/file.h"
#include "data/image/image.h"
#include "data/formats/safetensors.h"
#include "run/checkpoint.h"
#include "train/loop.h"

enum { IMAGES = 48, SIDE = 20 };

static char work[256];

static const char base[] = "seed: 3\n"
                           "data: {workers: 1}\n"
                           "model:\n"
                           "  image_size: 16\n"
                           "  patch_size: 4\n"
                           "  encoder: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2}\n"
                           "  decoder: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2}\n"
                           "  teacher: {dim: 16, depth: 1, heads: 2, mlp_ratio: 2, blocks: [1], checkpoint: random}\n"
                           "  projector: {hidden: 16, out: 8}\n"
                           "objective: {feature: {weight: 0}, pixel: {weight: 1}, contrastive: {weight: 1}}\n"
                           "optimizer: {lr: 1e-2, eps: 1e-4}\n"
                           "schedule: {epochs: 2, warmup_epochs: 1}\n"
                           "batch: {per_device: 8, accumulate: 1}\n"
                           "checkpoint: {every: 4 steps, keep: 2}\n";

static char *in_work(const char *name)
{
    char *path = mcf_path_join(work, name);
    assert_non_null(path);
    return path;
}

// Pictures of one colour with another in a corner: something to learn, quickly drawn.
static int draw_faces(void **state)
{
    snprintf(work, sizeof work, "%s/mcf-train.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(work));
    char *folder = in_work("faces");
    assert_int_equal(mcf_directory_make(folder, NULL), MCF_OK);
    for (int i = 0; i < IMAGES; i++) {
        uint8_t pixels[SIDE * SIDE * 3];
        mcf_rng rng = mcf_rng_make(9, MCF_RNG_TEST, 0, (uint64_t)i);
        uint8_t colours[2][3];
        for (int c = 0; c < 6; c++)
            colours[c / 3][c % 3] = (uint8_t)mcf_rng_u32(&rng);
        for (int p = 0; p < SIDE * SIDE; p++)
            memcpy(pixels + 3 * p, colours[p % SIDE > i % SIDE && p / SIDE > i % 7], 3);
        const mcf_image image = {SIDE, SIDE, 3, SIDE * 3, pixels};
        mcf_bytes png = {0};
        assert_int_equal(mcf_image_encode_png(&image, &png, NULL), MCF_OK);
        char name[512];
        snprintf(name, sizeof name, "%s/%03d.png", folder, i);
        assert_int_equal(mcf_file_write(name, png.data, png.size, NULL), MCF_OK);
        mcf_bytes_free(&png);
    }
    free(folder);
    return 0;
}

static int remove_all(void **state)
{
    return mcf_tree_remove(work, NULL) == MCF_OK ? 0 : -1;
}

typedef struct {
    volatile sig_atomic_t stop;
    int64_t stop_after; // steps; 0: never
    int steps;
    char notices[4096];
    mcf_train_progress last;
} watcher;

static void on_progress(void *context, const mcf_train_progress *p)
{
    watcher *w = context;
    w->steps++;
    w->last = *p;
    if (p->step == w->stop_after)
        w->stop = 1;
}

static void on_notice(void *context, const char *line)
{
    watcher *w = context;
    if (strlen(w->notices) + strlen(line) + 2 < sizeof w->notices)
        strcat(strcat(w->notices, line), "\n");
}

// Trains into WORK/run with extra settings (one string, separated by blanks).
static mcf_status train(const char *run, const char *devices, bool resume, const char *sets, watcher *w, mcf_error *err)
{
    char data[400], text[1024];
    const char *set[32] = {data};
    size_t count = 1;
    snprintf(data, sizeof data, "data.train=[%s/faces]", work);
    snprintf(text, sizeof text, "%s", sets);
    for (char *s = strtok(text, " "); s; s = strtok(NULL, " "))
        set[count++] = s;
    mcf_config config;
    mcf_status status = mcf_config_parse(&config, base, strlen(base), "base", set, count, err);
    if (status != MCF_OK)
        return status;
    watcher ignored = {0};
    w = w ? w : &ignored;
    char *path = in_work(run);
    mcf_train_options options = {.job = {.backend = "cpu-reference"},
                                 .run = path,
                                 .resume = resume,
                                 .stop = &w->stop,
                                 .progress = on_progress,
                                 .notice = on_notice,
                                 .context = w};
    assert_int_equal(mcf_job_parse_devices(&options.job, devices, NULL), MCF_OK);
    status = mcf_train(&config, &options, err);
    mcf_config_free(&config);
    free(path);
    return status;
}

static void must_train(const char *run, const char *devices, bool resume, const char *sets, watcher *w)
{
    mcf_error err = {0};
    if (train(run, devices, resume, sets, w, &err) != MCF_OK)
        fail_msg("%s: %s", run, err.message);
}

static char *newest(const char *run)
{
    char *at = in_work(run), *path = NULL;
    int64_t step;
    assert_int_equal(mcf_checkpoint_latest(at, &path, &step, NULL), MCF_OK);
    assert_non_null(path);
    free(at);
    return path;
}

static void same_bytes(const char *a, const char *b, const char *name)
{
    char *left = mcf_path_join(a, name), *right = mcf_path_join(b, name), *x, *y;
    size_t n, m;
    assert_int_equal(mcf_file_read(left, 1 << 24, &x, &n, NULL), MCF_OK);
    assert_int_equal(mcf_file_read(right, 1 << 24, &y, &m, NULL), MCF_OK);
    if (n != m || memcmp(x, y, n) != 0)
        fail_msg("%s and %s differ", left, right);
    free(x);
    free(y);
    free(left);
    free(right);
}

static void same_checkpoints(const char *run_a, const char *run_b)
{
    char *a = newest(run_a), *b = newest(run_b);
    same_bytes(a, b, "model.safetensors");
    same_bytes(a, b, "optimizer.safetensors");
    same_bytes(a, b, "state.json");
    free(a);
    free(b);
}

// Largest relative L2 difference of a tensor of `file` between two runs' newest checkpoints.
static double difference_in(const char *file, const char *run_a, const char *run_b)
{
    char *a = newest(run_a), *b = newest(run_b);
    char *left = mcf_path_join(a, file), *right = mcf_path_join(b, file);
    mcf_safetensors *x, *y;
    assert_int_equal(mcf_safetensors_open(&x, left, NULL), MCF_OK);
    assert_int_equal(mcf_safetensors_open(&y, right, NULL), MCF_OK);
    assert_int_equal(mcf_safetensors_count(x), mcf_safetensors_count(y));
    double worst = 0;
    for (size_t i = 0; i < mcf_safetensors_count(x); i++) {
        const mcf_safetensors_entry *e = mcf_safetensors_at(x, i), *f = mcf_safetensors_find(y, e->name);
        assert_non_null(f);
        float *p = malloc(e->count * sizeof *p), *q = malloc(e->count * sizeof *q);
        assert_int_equal(mcf_safetensors_read_f32(x, e, p, NULL), MCF_OK);
        assert_int_equal(mcf_safetensors_read_f32(y, f, q, NULL), MCF_OK);
        double d = 0, n = 0;
        for (uint64_t k = 0; k < e->count; k++) {
            d += ((double)p[k] - q[k]) * ((double)p[k] - q[k]);
            n += (double)p[k] * p[k];
        }
        if (sqrt(d) / (sqrt(n) + 1e-3) > worst)
            worst = sqrt(d) / (sqrt(n) + 1e-3);
        free(p);
        free(q);
    }
    mcf_safetensors_close(x);
    mcf_safetensors_close(y);
    free(left);
    free(right);
    free(a);
    free(b);
    return worst;
}

static double difference(const char *run_a, const char *run_b)
{
    return difference_in("model.safetensors", run_a, run_b);
}

// For runs whose configs, which the files hold, differ.
static void same_tensors(const char *run_a, const char *run_b)
{
    assert_true(difference_in("model.safetensors", run_a, run_b) == 0);
    assert_true(difference_in("optimizer.safetensors", run_a, run_b) == 0);
}

// Line `line` (from 0; negative: from the end) of a run's log.
static json_t *log_line(const char *run, int line)
{
    char *at = in_work(run), *path = mcf_path_join(at, "log.jsonl"), *text;
    size_t size;
    assert_int_equal(mcf_file_read(path, 1 << 24, &text, &size, NULL), MCF_OK);
    int lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    line = line < 0 ? lines + line : line;
    char *start = text;
    for (int i = 0; i < line && start; i++)
        start = strchr(start, '\n') + 1;
    json_t *object = start && *start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    free(text);
    free(path);
    free(at);
    return object;
}

static double logged(const char *run, int line, const char *key)
{
    json_t *object = log_line(run, line);
    assert_non_null(object);
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("%s: line %d has no number %s", run, line, key);
    const double number = json_number_value(value);
    json_decref(object);
    return number;
}

// --- what must not change the result

static void interruption(void **state)
{
    must_train("whole", "0", false, "", NULL);
    watcher w = {.stop_after = 5};
    mcf_error err = {0};
    assert_int_equal(train("parts", "0", false, "", &w, &err), MCF_ERR_INTERRUPTED);
    assert_non_null(strstr(err.message, "--resume"));
    w = (watcher){.stop_after = 9};
    assert_int_equal(train("parts", "0", true, "", &w, &err), MCF_ERR_INTERRUPTED);
    assert_int_equal(w.steps, 4);
    w = (watcher){0};
    must_train("parts", "0", true, "", &w);
    assert_int_equal(w.steps, 3);
    same_checkpoints("whole", "parts");
    for (int i = 0; i < 12; i++)
        assert_true(logged("whole", i, "loss") == logged("parts", i, "loss"));
    assert_null(log_line("parts", 12));
    // Once more: there is nothing left to do, and nothing changes.
    w = (watcher){0};
    must_train("parts", "0", true, "", &w);
    assert_int_equal(w.steps, 0);
    assert_non_null(strstr(w.notices, "complete"));
    same_checkpoints("whole", "parts");
}

// What a killed run leaves: steps in the log that no checkpoint has.
static void lost_steps(void **state)
{
    watcher w = {.stop_after = 6};
    assert_int_equal(train("lost", "0", false, "", &w, NULL), MCF_ERR_INTERRUPTED);
    char *last = newest("lost");
    assert_int_equal(mcf_tree_remove(last, NULL), MCF_OK); // back to step 4
    free(last);
    w = (watcher){0};
    must_train("lost", "0", true, "", &w);
    assert_int_equal(w.steps, 8);
    same_checkpoints("whole", "lost");
    assert_null(log_line("lost", 12));
    assert_true(logged("lost", 4, "step") == 5);
}

// Killed before the first checkpoint: config.yaml and a log are there, nothing to go on from.
static void no_checkpoint_yet(void **state)
{
    char *folder = in_work("early"), *config = mcf_path_join(folder, "config.yaml");
    char *log = mcf_path_join(folder, "log.jsonl");
    static const char line[] = "{\"step\":1,\"loss\":1}\n{\"step\":2,\"lo";
    assert_int_equal(mcf_directory_make(folder, NULL), MCF_OK);
    assert_int_equal(mcf_file_write(config, "seed: 3\n", 8, NULL), MCF_OK);
    assert_int_equal(mcf_file_write(log, line, sizeof line - 1, NULL), MCF_OK);
    must_train("early", "0", true, "", NULL);
    same_checkpoints("whole", "early");
    assert_true(logged("early", 0, "loss") == logged("whole", 0, "loss"));
    free(folder);
    free(config);
    free(log);
}

static void workers(void **state)
{
    must_train("workers", "0", false, "data.workers=3", NULL);
    same_tensors("whole", "workers");
}

// Without BatchNorm a step's gradient is the mean over images however they are cut up.
static void accumulation(void **state)
{
    static const char pixels[] = "objective.contrastive.weight=0 objective.feature.weight=10 ";
    char sets[256];
    snprintf(sets, sizeof sets, "%sbatch.per_device=24", pixels);
    must_train("at_once", "0", false, sets, NULL);
    snprintf(sets, sizeof sets, "%sbatch.accumulate=3", pixels);
    must_train("in_three", "0", false, sets, NULL);
    assert_true(difference("at_once", "in_three") < 2e-5);
    assert_true(fabs(logged("at_once", -1, "loss") / logged("in_three", -1, "loss") - 1) < 1e-5);
    snprintf(sets, sizeof sets, "%sbatch.per_device=8", pixels);
    must_train("devices3", "0,1,2", false, sets, NULL);
    assert_true(difference("at_once", "devices3") < 2e-5);
}

static void devices(void **state)
{
    must_train("one_sync", "0", false, "batch.per_device=16 model.sync_batchnorm=true", NULL);
    must_train("two_sync", "0,1", false, "model.sync_batchnorm=true", NULL);
    assert_true(difference("one_sync", "two_sync") < 2e-4);
    must_train("one_grouped", "0", false, "batch.per_device=16 model.batchnorm_groups=2", NULL);
    must_train("two_plain", "0,1", false, "", NULL);
    assert_true(difference("one_grouped", "two_plain") < 2e-4);
    // The two kinds are not the same thing.
    assert_true(difference("one_sync", "one_grouped") > 1e-3);
}

// Resuming on another number of devices is allowed, and said.
static void other_devices(void **state)
{
    watcher w = {.stop_after = 4};
    assert_int_equal(train("moved", "0", false, "", &w, NULL), MCF_ERR_INTERRUPTED);
    w = (watcher){0};
    must_train("moved", "0,1", true, "", &w);
    assert_non_null(strstr(w.notices, "devices: 2 was 1"));
    assert_int_equal(w.steps, 1 + 3); // 32 of 48 images were used up; then an epoch of 3 steps
}

static void validation_only_looks(void **state)
{
    char sets[512];
    snprintf(sets, sizeof sets, "data.validation=[%s/faces]", work);
    must_train("validated", "0", false, sets, NULL);
    same_tensors("whole", "validated");
    assert_true(logged("validated", -1, "validation.loss") > 0);
    assert_true(logged("validated", -1, "step") == 12);
    assert_true(logged("validated", 6, "validation.loss") > logged("validated", -1, "validation.loss"));
}

// --- options that must show

static void schedule(void **state)
{
    assert_true(logged("whole", 0, "lr") == 0);
    assert_true(fabs(logged("whole", 3, "lr") - 5e-3) < 1e-9);
    assert_true(fabs(logged("whole", 6, "lr") - 1e-2) < 1e-9);
    assert_true(logged("whole", 11, "lr") < 1e-2 * 0.1);
    assert_true(logged("whole", -1, "loss") < logged("whole", 0, "loss"));
    assert_true(fabs(logged("whole", -1, "loss") - logged("whole", -1, "loss.pixel") -
                     logged("whole", -1, "loss.contrastive")) < 1e-5);
}

static void average_by_step(void **state)
{
    must_train("by_micro", "0", false, "batch.accumulate=2", NULL);
    must_train("by_step", "0", false, "batch.accumulate=2 objective.contrastive.momentum_update=step", NULL);
    assert_true(difference("by_micro", "by_step") > 1e-4);
    must_train("by_step1", "0", false, "objective.contrastive.momentum_update=step", NULL);
    assert_true(difference("whole", "by_step1") < 1e-6);
}

static void clipping(void **state)
{
    must_train("loose", "0", false, "optimizer.clip_norm=1e6", NULL);
    same_tensors("whole", "loose");
    must_train("tight", "0", false, "optimizer.clip_norm=1e-3", NULL);
    assert_true(difference("whole", "tight") > 1e-3);
}

static void half_precision(void **state)
{
    must_train("fp16", "0", false, "precision=fp16", NULL);
    assert_true(logged("fp16", 0, "loss_scale") <= 65536);
    assert_true(fabs(logged("fp16", 0, "loss") / logged("whole", 0, "loss") - 1) < 0.02);
    assert_true(fabs(logged("fp16", -1, "loss") / logged("whole", -1, "loss") - 1) < 0.2);
    must_train("bf16", "0", false, "precision=bf16", NULL);
    assert_true(logged("bf16", -1, "loss_scale") == 1);
    assert_true(fabs(logged("bf16", -1, "loss") / logged("whole", -1, "loss") - 1) < 0.2);
}

// Largest difference of a tensor with this in its name between two checkpoints of one run; -1: there is none.
static double moved(const char *run, const char *file, const char *of, int64_t from, int64_t to)
{
    char *at = in_work(run), left[600], right[600];
    mcf_safetensors *x, *y;
    snprintf(left, sizeof left, "%s/checkpoints/step-%08lld/%s", at, (long long)from, file);
    snprintf(right, sizeof right, "%s/checkpoints/step-%08lld/%s", at, (long long)to, file);
    assert_int_equal(mcf_safetensors_open(&x, left, NULL), MCF_OK);
    assert_int_equal(mcf_safetensors_open(&y, right, NULL), MCF_OK);
    double most = -1;
    for (size_t i = 0; i < mcf_safetensors_count(x); i++) {
        const mcf_safetensors_entry *e = mcf_safetensors_at(x, i), *f = mcf_safetensors_find(y, e->name);
        if (!strstr(e->name, of))
            continue;
        float *p = malloc(e->count * sizeof *p), *q = malloc(e->count * sizeof *q);
        assert_int_equal(mcf_safetensors_read_f32(x, e, p, NULL), MCF_OK);
        assert_int_equal(mcf_safetensors_read_f32(y, f, q, NULL), MCF_OK);
        for (uint64_t k = 0; k < e->count; k++)
            most = fmax(most, fabs((double)p[k] - q[k]));
        free(p);
        free(q);
    }
    mcf_safetensors_close(x);
    mcf_safetensors_close(y);
    free(at);
    return most;
}

// A term so heavy that fp16 gradients overflow until the scale has come down: those steps leave weights and moments
// alone, the running statistics move on, and the scale, its counts and all the rest survive an interruption.
static void overflows(void **state)
{
    const char *const sets = "precision=fp16 objective.pixel.weight=1e5 schedule.warmup_epochs=0";
    watcher w = {.stop_after = 1};
    mcf_error err = {0};
    assert_int_equal(train("overflow", "0", false, sets, &w, &err), MCF_ERR_INTERRUPTED);
    assert_true(w.last.skipped && w.last.loss_scale == 32768);
    w = (watcher){.stop_after = 2};
    assert_int_equal(train("overflow", "0", true, sets, &w, &err), MCF_ERR_INTERRUPTED);
    assert_true(w.last.skipped && w.last.loss_scale == 16384);
    assert_true(moved("overflow", "model.safetensors", "online_encoder.blocks", 1, 2) == 0);
    assert_true(moved("overflow", "model.safetensors", "decoder", 1, 2) == 0);
    assert_true(moved("overflow", "model.safetensors", "running_mean", 1, 2) > 0);
    assert_true(moved("overflow", "optimizer.safetensors", "moment", 1, 2) == 0);
    must_train("overflow", "0", true, sets, NULL);
    must_train("overflow_whole", "0", false, sets, NULL);
    same_checkpoints("overflow", "overflow_whole");
    int steps = 0;
    int64_t skipped = 0;
    double scale = 65536;
    for (json_t *line; steps < 12 && (line = log_line("overflow", steps)); steps++) {
        const bool skip = json_is_true(json_object_get(line, "skipped"));
        skipped += skip;
        scale /= skip ? 2 : 1;
        assert_true(logged("overflow", steps, "loss_scale") == scale && logged("overflow", steps, "skips") == skipped);
        assert_int_equal(skip, json_integer_value(json_object_get(line, "nonfinite")) > 0);
        assert_int_equal(skip, json_string_value(json_object_get(line, "nonfinite_in")) != NULL);
        json_decref(line);
    }
    assert_true(skipped >= 2 && skipped < steps);
}

static void keeps_two(void **state)
{
    char *at = in_work("whole/checkpoints");
    DIR *folder = opendir(at);
    assert_non_null(folder);
    int found = 0;
    for (const struct dirent *e; (e = readdir(folder));)
        found += e->d_name[0] != '.';
    closedir(folder);
    free(at);
    assert_int_equal(found, 2);
}

// --- what must stop a run

static void refuses(const char *run, bool resume, const char *sets, mcf_status status, const char *words)
{
    mcf_error err = {0};
    const mcf_status got = train(run, "0", resume, sets, NULL, &err);
    if (got != status || !strstr(err.message, words))
        fail_msg("status %d, wanted %d; \"%s\" should say \"%s\"", got, status, err.message, words);
}

static void refusals(void **state)
{
    refuses("whole", false, "", MCF_ERR_USAGE, "--resume");
    refuses("whole", true, "seed=4", MCF_ERR_USAGE, "seed: 4");
    refuses("whole", true, "schedule.epochs=3", MCF_ERR_USAGE, "epochs: 3");
    refuses("none", false, "batch.per_device=64", MCF_ERR_USAGE, "48");
    refuses("none", false, "model.teacher.checkpoint=nothing.safetensors objective.feature.weight=1", MCF_ERR_IO,
            "nothing.safetensors");
    refuses("none", false, "method=moco-v3", MCF_ERR_USAGE, "moco-v3");
    char *lost = in_work("whole/checkpoints/step-00000012/model.safetensors"), *bytes;
    size_t size;
    assert_int_equal(mcf_file_read(lost, 1 << 24, &bytes, &size, NULL), MCF_OK);
    bytes[size / 2] ^= 1;
    assert_int_equal(mcf_file_write(lost, bytes, size, NULL), MCF_OK);
    refuses("whole", true, "", MCF_ERR_FORMAT, "model.safetensors");
    bytes[size / 2] ^= 1;
    assert_int_equal(mcf_file_write(lost, bytes, size, NULL), MCF_OK);
    must_train("whole", "0", true, "", NULL);
    free(bytes);
    free(lost);
}

static void one_at_a_time(void **state)
{
    char *at = in_work("whole");
    int fd = open(at, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    refuses("whole", true, "", MCF_ERR_USAGE, "another process");
    close(fd);
    free(at);
}

static void bad_loss(void **state)
{
    mcf_error err = {0};
    watcher w = {0};
    assert_int_equal(train("diverged", "0", false, "optimizer.lr=1e30 schedule.warmup_epochs=0", &w, &err),
                     MCF_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "step 2"));
    assert_non_null(strstr(err.message, ".png"));
    assert_int_equal(w.steps, 1);
}

static void changed_data(void **state)
{
    watcher w = {.stop_after = 4};
    assert_int_equal(train("grown", "0", false, "", &w, NULL), MCF_ERR_INTERRUPTED);
    char *from = in_work("faces/000.png"), *to = in_work("faces/999.png"), *bytes;
    size_t size;
    assert_int_equal(mcf_file_read(from, 1 << 20, &bytes, &size, NULL), MCF_OK);
    assert_int_equal(mcf_file_write(to, bytes, size, NULL), MCF_OK);
    refuses("grown", true, "", MCF_ERR_USAGE, "48 then, 49 now");
    unlink(to);
    must_train("grown", "0", true, "", NULL);
    same_checkpoints("whole", "grown");
    free(from);
    free(to);
    free(bytes);
}

static void broken_images(void **state)
{
    char *path = in_work("faces/005.png"), *bytes;
    size_t size;
    assert_int_equal(mcf_file_read(path, 1 << 20, &bytes, &size, NULL), MCF_OK);
    assert_int_equal(mcf_file_write(path, bytes, size / 2, NULL), MCF_OK);
    watcher w = {0};
    must_train("broken", "0", false, "", &w);
    assert_int_equal(w.last.broken, 2); // once an epoch
    assert_non_null(strstr(w.notices, "005.png"));
    assert_true(logged("broken", -1, "broken") == 2);
    w = (watcher){.stop_after = 7};
    assert_int_equal(train("broken2", "0", false, "", &w, NULL), MCF_ERR_INTERRUPTED);
    must_train("broken2", "0", true, "", NULL);
    same_checkpoints("broken", "broken2");
    assert_int_equal(mcf_file_write(path, bytes, size, NULL), MCF_OK);
    free(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruption),      cmocka_unit_test(lost_steps),
        cmocka_unit_test(no_checkpoint_yet), cmocka_unit_test(workers),
        cmocka_unit_test(accumulation),      cmocka_unit_test(devices),
        cmocka_unit_test(other_devices),     cmocka_unit_test(validation_only_looks),
        cmocka_unit_test(schedule),          cmocka_unit_test(average_by_step),
        cmocka_unit_test(clipping),          cmocka_unit_test(half_precision),
        cmocka_unit_test(overflows),         cmocka_unit_test(keeps_two),
        cmocka_unit_test(refusals),          cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(bad_loss),          cmocka_unit_test(changed_data),
        cmocka_unit_test(broken_images),
    };
    return cmocka_run_group_tests(tests, draw_faces, remove_all);
}
