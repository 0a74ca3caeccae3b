// The run directory: claiming it, taking a run up again, saving.
//
// RUN/config.yaml       the configuration as run
// RUN/checkpoints/      run/checkpoint.h
// RUN/log.jsonl         run/log.h
// RUN/machine.json      train/machine.c
// RUN/pictures/         train/pictures.c
#include <math.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/output.h"
#include "model/load.h"
#include "run/checkpoint.h"
#include "run/output.h"
#include "run/weights.h"
#include "train/run_state.h"

static bool has(const char *run, const char *name)
{
    char *path = mcf_path_join(run, name);
    const bool there = path && mcf_path_exists(path);
    free(path);
    return there;
}

static mcf_status check_place(const mcf_run *run, mcf_error *err)
{
    const mcf_data_options *data = &run->config->data;
    MCF_TRY(mcf_check_output_folder(run->options->run, (const char *const *)data->train.items,
                                    (size_t)data->train.count, err));
    return mcf_check_output_folder(run->options->run, (const char *const *)data->validation.items,
                                   (size_t)data->validation.count, err);
}

// Whether it is a file that a process of ours was writing when it was killed: NAME.tmp-PID-NUMBER (base/file.c).
static bool is_leftover(const char *name)
{
    const char *tail = strstr(name, ".tmp-");
    int pid, number, used = 0;
    return tail && tail > name && sscanf(tail, ".tmp-%d-%d%n", &pid, &number, &used) == 2 && !tail[used];
}

// With the run's lock held nobody else writes there.
static void remove_leftovers(const char *folder)
{
    DIR *directory = opendir(folder);
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        if (is_leftover(entry->d_name))
            unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
}

mcf_status mcf_run_open(mcf_run *run, mcf_error *err)
{
    const char *at = run->options->run;
    if (!run->options->resume)
        MCF_TRY(check_place(run, err));
    MCF_TRY(mcf_directory_make(at, err));
    run->lock = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", at, strerror(errno));
    // The lock goes with the process, however it ends. File systems without locks are fine too.
    if (flock(run->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: another process trains there now; wait for it or give another --out",
                        at);
    if (!run->options->resume && (has(at, "config.yaml") || has(at, "log.jsonl") || has(at, "checkpoints") ||
                                  has(at, "best.safetensors") || has(at, "machine.json")))
        return mcf_fail(err, MCF_ERR_USAGE, "%s: holds a run already; give --resume to continue it or another --out",
                        at);
    remove_leftovers(at);
    char *pictures = mcf_path_join(at, "pictures");
    if (pictures)
        remove_leftovers(pictures);
    free(pictures);
    return mcf_checkpoint_clean(at, err);
}

// --- taking up

// What may differ between two starts of one run without changing its results.
static mcf_status dump_comparable(const char *text, const mcf_config *now, char **out, mcf_error *err)
{
    mcf_config config;
    MCF_TRY(mcf_config_parse(&config, text, strlen(text), "config.yaml of the checkpoint", NULL, 0, err));
    config.data.workers = now->data.workers;
    config.checkpoint = now->checkpoint;
    mcf_status status = mcf_config_dump(&config, out, err);
    mcf_config_free(&config);
    return status;
}

// The line at `at` of a dumped config with the sections it stands in: "schedule.epochs: 16".
static void name_line(const char *text, const char *at, char *to, size_t size)
{
    const int indent = (int)strspn(at, " ");
    size_t used = 0;
    for (int depth = 0; depth <= indent; depth += 2) {
        // the last line up to here that is indented by depth
        const char *found = NULL;
        for (const char *line = text; line <= at; line += strcspn(line, "\n") + 1)
            if ((int)strspn(line, " ") == depth)
                found = line;
        if (found && used < size)
            used += (size_t)snprintf(to + used, size - used, "%s%.*s", depth ? "." : "",
                                     (int)strcspn(found + depth, depth < indent ? ":" : "\n"), found + depth);
    }
}

// Both texts come from mcf_config_dump: the same keys stand in the same order.
static mcf_status first_difference(const mcf_run *run, const char *then, const char *now, mcf_error *err)
{
    const char *const old = then, *const new = now;
    while (*then && *now) {
        const size_t a = strcspn(then, "\n"), b = strcspn(now, "\n");
        if (a != b || strncmp(then, now, a) != 0) {
            char x[400] = "", y[400] = "";
            name_line(new, now, x, sizeof x);
            name_line(old, then, y, sizeof y);
            return mcf_fail(
                err, MCF_ERR_USAGE,
                "%s: cannot resume with another config: '%s' was '%s'; give the old config or another --out",
                run->options->run, x, y);
        }
        then += a + (then[a] == '\n');
        now += b + (now[b] == '\n');
    }
    if (*then || *now)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: cannot resume with another config; give the old one or another --out",
                        run->options->run);
    return MCF_OK;
}

static mcf_status check_config(const mcf_run *run, const char *checkpoint, mcf_error *err)
{
    char *path = mcf_path_join(checkpoint, "config.yaml"), *text = NULL, *then = NULL, *now = NULL;
    size_t size;
    mcf_status status =
        path ? mcf_file_read(path, 1 << 20, &text, &size, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    if (status == MCF_OK)
        status = dump_comparable(text, run->config, &then, err);
    if (status == MCF_OK)
        status = mcf_config_dump(run->config, &now, err);
    if (status == MCF_OK)
        status = first_difference(run, then, now, err);
    free(path);
    free(text);
    free(then);
    free(now);
    return status;
}

static mcf_status device_detail(const mcf_run *run, mcf_device_info *info, mcf_error *err)
{
    const mcf_job *job = run->engine->job;
    return mcf_job_backend(job)->device_info(mcf_job_device_index(job, 0), info, err);
}

static const char *const contents_keys[2] = {"data_contents", "validation_contents"};

// Of data.train and data.validation, with the validation's names: read once, before the first step.
static uint64_t contents_of(mcf_run *run, int which)
{
    if (!run->contents[which]) {
        const mcf_source *source = which ? run->validation : run->source;
        run->contents[which] = mcf_source_contents(source) ^ (which ? mcf_source_fingerprint(source) : 0);
        run->contents[which] += !run->contents[which];
    }
    return run->contents[which];
}

static mcf_status state_of(mcf_run *run, json_t **state, mcf_error *err)
{
    const mcf_job *job = run->engine->job;
    mcf_device_info info;
    MCF_TRY(device_detail(run, &info, err));
    char fingerprint[32];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, mcf_source_fingerprint(run->source));
    const int64_t broken = run->broken + run->broken_now;
    *state = json_pack("{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:s, s:I, s:s, s:i, s:i, s:i, s:s}", "updates",
                       (json_int_t)run->updates, "epoch", (json_int_t)run->epoch, "index", (json_int_t)run->index,
                       "loss_scale", run->loss_scale, "good_steps", (json_int_t)run->good_steps, "skips",
                       (json_int_t)run->skips, "nonfinite", (json_int_t)run->nonfinite, "broken", (json_int_t)broken,
                       "data", fingerprint, "images", (json_int_t)mcf_source_count(run->source), "backend",
                       mcf_job_backend(job)->name, "devices", mcf_job_world(job), "machines",
                       mcf_job_world(job) / mcf_job_size(job), "threads", mcf_job_threads(job), "device", info.detail);
    char contents[2][32];
    const mcf_source *sources[2] = {run->source, run->validation};
    for (int i = 0; *state && i < 2; i++) {
        if (!sources[i])
            continue;
        snprintf(contents[i], sizeof contents[i], "%016" PRIx64, contents_of(run, i));
        json_object_set_new(*state, contents_keys[i], json_string(contents[i]));
    }
    const int64_t unsupported = run->unsupported + run->unsupported_now;
    if (*state && unsupported)
        json_object_set_new(*state, "unsupported", json_integer((json_int_t)unsupported));
    if (*state && !isnan(run->best)) {
        json_object_set_new(*state, "best", json_real(run->best));
        json_object_set_new(*state, "best_epoch", json_integer((json_int_t)run->best_epoch));
    }
    return *state ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the state");
}

// Says what differs in the machine: the run goes on, but not bit for bit.
static void tell_changes(mcf_run *run, const json_t *then, const json_t *now)
{
    static const char *const keys[] = {"backend", "devices", "machines", "threads", "device"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *a = json_object_get(then, keys[i]), *b = json_object_get(now, keys[i]);
        // Checkpoints from before there were several machines do not name them.
        if (json_equal(a, b) || (!a && json_integer_value(b) == 1))
            continue;
        char *x = json_dumps(a, JSON_ENCODE_ANY), *y = json_dumps(b, JSON_ENCODE_ANY);
        mcf_run_notice(run, "resumed with other %s: %s was %s; the results will not be the same bits", keys[i],
                       y ? y : "?", x ? x : "?");
        const size_t used = strlen(run->changes);
        snprintf(run->changes + used, sizeof run->changes - used, "%s%s: %s was %s", used ? "; " : "", keys[i],
                 y ? y : "?", x ? x : "?");
        free(x);
        free(y);
    }
    const int before = (int)json_integer_value(json_object_get(then, "devices")), world = run->engine->world;
    if (before < 1 || before == world)
        return;
    mcf_run_notice(
        run,
        "an optimiser step now has %lld images instead of %lld, and the highest rate is %.3g instead of %.3g; as "
        "many devices as before keep both",
        (long long)mcf_config_effective_batch(run->config, world),
        (long long)mcf_config_effective_batch(run->config, before), mcf_config_peak_rate(run->config, world),
        mcf_config_peak_rate(run->config, before));
}

// Pictures under the same names that are others than they were: the run goes on, and says so.
static void tell_contents(mcf_run *run, const json_t *then, const json_t *now)
{
    static const char *const words[2] = {
        "data.train: pictures have other contents than when the run was saved, under the same names",
        "data.validation: the pictures are others than when the run was saved; scores from here on are not to be "
        "compared"};
    for (int i = 0; i < 2; i++) {
        const json_t *a = json_object_get(then, contents_keys[i]), *b = json_object_get(now, contents_keys[i]);
        const bool told = i == 0 ? a && b : (a || b) && json_object_get(then, contents_keys[0]);
        if (!told || json_equal(a, b)) // checkpoints from before this was kept say nothing
            continue;
        mcf_run_notice(run, "%s", words[i]);
        const size_t used = strlen(run->changes);
        snprintf(run->changes + used, sizeof run->changes - used, "%s%s", used ? "; " : "", words[i]);
    }
}

// The state's numbers are those of a file: whatever does not fit is damage.
static mcf_status take_state(mcf_run *run, const char *path, const json_t *state, const json_t *now, mcf_error *err)
{
    json_int_t updates, epoch, index, good_steps, broken, images, skips = 0, nonfinite = 0, unsupported = 0;
    int devices;
    const char *data;
    if (json_unpack((json_t *)state, "{s:I, s:I, s:I, s:F, s:I, s?I, s?I, s:I, s?I, s:s, s:I, s:i}", "updates",
                    &updates, "epoch", &epoch, "index", &index, "loss_scale", &run->loss_scale, "good_steps",
                    &good_steps, "skips", &skips, "nonfinite", &nonfinite, "broken", &broken, "unsupported",
                    &unsupported, "data", &data, "images", &images, "devices", &devices) != 0 ||
        updates < 0 || epoch < 0 || index < 0 || devices < 1 || !(run->loss_scale > 0) || skips < 0 ||
        (json_object_get(state, "skips") && updates + skips != run->step))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s/state.json: not the state of a training run", path);
    if (strcmp(data, json_string_value(json_object_get(now, "data"))) != 0)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: the images of data.train changed (%lld then, %lld now): a run goes on only with its own "
                        "images, in the same places",
                        run->options->run, (long long)images, (long long)mcf_source_count(run->source));
    const json_t *best = json_object_get(state, "best");
    run->best = best ? json_number_value(best) : NAN;
    run->best_epoch = (int64_t)json_integer_value(json_object_get(state, "best_epoch"));
    run->updates = updates;
    run->epoch = epoch;
    run->good_steps = good_steps;
    run->skips = skips;
    run->nonfinite = nonfinite;
    run->broken = broken;
    run->unsupported = unsupported;
    // With another number of devices a global batch is another size: go on at the last whole step before the place.
    const int world = run->engine->world, accumulate = run->config->batch.accumulate;
    run->index = devices == world ? index : (int64_t)index * devices / world / accumulate * accumulate;
    tell_changes(run, state, now);
    tell_contents(run, state, now);
    return MCF_OK;
}

// --- tensors of a checkpoint: views of the host arrays

typedef struct {
    mcf_named_tensor *model, *optimizer;
    size_t model_count, optimizer_count;
    char *names; // of the optimiser's
} tensor_lists;

static void free_lists(tensor_lists *lists)
{
    free(lists->model);
    free(lists->optimizer);
    free(lists->names);
}

static mcf_status list_tensors(mcf_run *run, tensor_lists *lists, mcf_error *err)
{
    enum { LONGEST = 256 };
    const mcf_store *store = run->engine->objective.store;
    const size_t count = (size_t)store->count;
    *lists = (tensor_lists){.model = calloc(count, sizeof *lists->model),
                            .optimizer = calloc(2 * count, sizeof *lists->optimizer),
                            .names = calloc(2 * count, LONGEST)};
    if (!lists->model || !lists->optimizer || !lists->names)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a checkpoint");
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *e = &store->entries[i];
        lists->model[lists->model_count++] =
            (mcf_named_tensor){e->name, MCF_F32, e->shape, mcf_params_at(&run->engine->params, store, i)};
        if (e->role != MCF_ROLE_TRAINED)
            continue;
        for (int m = 0; m < 2; m++) {
            char *name = lists->names + lists->optimizer_count * LONGEST;
            snprintf(name, LONGEST, "moment%d.%s", m + 1, e->name);
            lists->optimizer[lists->optimizer_count++] =
                (mcf_named_tensor){name, MCF_F32, e->shape, (m ? run->moment2 : run->moment1) + e->offset};
        }
    }
    return MCF_OK;
}

static mcf_status load(mcf_run *run, const char *path, mcf_error *err)
{
    json_t *state = NULL, *now = NULL;
    tensor_lists lists = {0};
    mcf_status status = mcf_checkpoint_read_state(path, &run->step, &state, err);
    if (status == MCF_OK)
        status = check_config(run, path, err);
    if (status == MCF_OK)
        status = state_of(run, &now, err);
    if (status == MCF_OK)
        status = take_state(run, path, state, now, err);
    if (status == MCF_OK)
        status = mcf_run_moments(run, err);
    if (status == MCF_OK)
        status = list_tensors(run, &lists, err);
    if (status == MCF_OK)
        status = mcf_checkpoint_read_model(path, lists.model, lists.model_count, err);
    for (size_t i = 0; status == MCF_OK && !run->config->model.allow_nonfinite && i < lists.model_count; i++)
        status = mcf_check_finite(path, lists.model[i].name, lists.model[i].data,
                                  mcf_shape_count(&lists.model[i].shape), err);
    if (status == MCF_OK)
        status = mcf_checkpoint_read_optimizer(path, lists.optimizer, lists.optimizer_count, err);
    run->last_saved = run->step;
    free_lists(&lists);
    json_decref(state);
    json_decref(now);
    return status;
}

mcf_status mcf_run_write_config(const mcf_run *run, mcf_error *err)
{
    char *path = mcf_path_join(run->options->run, "config.yaml"), *text = NULL;
    mcf_status status =
        path ? mcf_config_dump(run->config, &text, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    if (status == MCF_OK)
        status = mcf_file_write(path, text, strlen(text), err);
    free(path);
    free(text);
    return status;
}

// Host arrays and position, on rank 0.
static mcf_status begin(mcf_run *run, mcf_error *err)
{
    char *path = NULL;
    int64_t step;
    MCF_TRY(mcf_checkpoint_latest(run->options->run, &path, &step, err));
    if (path) {
        mcf_status status = load(run, path, err);
        free(path);
        if (status == MCF_OK)
            mcf_run_notice(run, "%s: going on after step %lld", run->options->run, (long long)run->step);
        return status;
    }
    return run->task->start(run, err);
}

// Asked before the first step: a run whose checkpoints do not fit would lose its work at the first of them.
static mcf_status check_room(mcf_run *run, mcf_error *err)
{
    const mcf_store *store = run->engine->objective.store;
    uint64_t model = 1 << 16, trained = 0, room;
    for (int i = 0; i < store->count; i++) {
        const uint64_t bytes = (uint64_t)mcf_shape_count(&store->entries[i].shape) * sizeof(float);
        model += bytes;
        trained += store->entries[i].role == MCF_ROLE_TRAINED ? bytes : 0;
    }
    const uint64_t one = model + 2 * trained, most = one * ((uint64_t)run->config->checkpoint.keep + 1);
    mcf_status status = mcf_output_check_room(run->options->run, one, model > 2 * trained ? model : 2 * trained, err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "a checkpoint of this run");
    // Those that are there take their room already.
    if (mcf_output_room(run->options->run, &room) && run->last_saved < 0 && room < most)
        mcf_run_notice(run,
                       "%s: its disk has %.1f GB left, and the %d checkpoints that are kept, with the one that is "
                       "written, take %.1f; set checkpoint.keep or make room",
                       run->options->run, (double)room / 1e9, run->config->checkpoint.keep, (double)most / 1e9);
    return MCF_OK;
}

mcf_status mcf_run_start(mcf_run *run, mcf_error *err)
{
    if (mcf_run_rank(run) == 0) {
        MCF_TRY(begin(run, err));
        MCF_TRY(check_room(run, err));
    }
    return mcf_run_share_start(run, err);
}

static mcf_status save(mcf_run *run, mcf_error *err)
{
    mcf_engine *e = run->engine;
    char *config = NULL;
    json_t *state = NULL;
    tensor_lists lists = {0};
    MCF_TRY(mcf_log_sync(run->log, err));
    MCF_TRY(mcf_run_moments(run, err));
    MCF_TRY(mcf_engine_download(e, err));
    MCF_TRY(mcf_engine_read_role(e, MCF_ARRAY_MOMENT1, MCF_ROLE_TRAINED, run->moment1, err));
    MCF_TRY(mcf_engine_read_role(e, MCF_ARRAY_MOMENT2, MCF_ROLE_TRAINED, run->moment2, err));
    mcf_status status = list_tensors(run, &lists, err);
    if (status == MCF_OK)
        status = state_of(run, &state, err);
    if (status == MCF_OK)
        status = mcf_config_dump(run->config, &config, err);
    if (status == MCF_OK) {
        const mcf_checkpoint checkpoint = {.step = run->step,
                                           .model = lists.model,
                                           .model_count = lists.model_count,
                                           .optimizer = lists.optimizer,
                                           .optimizer_count = lists.optimizer_count,
                                           .state = state,
                                           .config_text = config};
        status = mcf_checkpoint_save(run->options->run, &checkpoint, run->config->checkpoint.keep, NULL, err);
    }
    if (status == MCF_OK && run->task->pictures)
        run->task->pictures(run);
    free_lists(&lists);
    json_decref(state);
    free(config);
    return status;
}

mcf_status mcf_run_save_best(mcf_run *run, mcf_error *err)
{
    mcf_engine *e = run->engine;
    const mcf_store *store = e->objective.store;
    char *path = mcf_path_join(run->options->run, MCF_RUN_BEST), *config = NULL, step[32], epoch[32];
    mcf_named_tensor *tensors = calloc((size_t)store->count, sizeof *tensors);
    size_t count = 0;
    mcf_status status = path && tensors ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the best network");
    if (status == MCF_OK)
        status = mcf_engine_download(e, err);
    if (status == MCF_OK)
        status = mcf_config_dump(run->config, &config, err);
    for (int i = 0; status == MCF_OK && i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        if (entry->role == MCF_ROLE_TARGET || entry->role == MCF_ROLE_TARGET_STATS)
            tensors[count++] = (mcf_named_tensor){entry->name + strlen("ema."), MCF_F32, entry->shape,
                                                  mcf_params_at(&e->params, store, i)};
    }
    snprintf(step, sizeof step, "%lld", (long long)run->step);
    snprintf(epoch, sizeof epoch, "%lld", (long long)run->best_epoch);
    const char *const metadata[] = {"format", "pt", "step", step, "epoch", epoch, "config", config, NULL};
    if (status == MCF_OK)
        status = mcf_safetensors_save(path, tensors, count, metadata, NULL, NULL, err);
    free(path);
    free(tensors);
    free(config);
    return status;
}

mcf_status mcf_run_save(mcf_run *run, mcf_error *err)
{
    if (mcf_run_rank(run) == 0)
        MCF_TRY(save(run, err));
    run->last_saved = run->step;
    return mcf_run_meet(run, err);
}
