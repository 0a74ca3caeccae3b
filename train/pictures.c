// Small pictures made at every checkpoint, so that a run's progress can be seen after the checkpoints are gone:
//   RUN/pictures/original.jpg, masked.jpg, step-00001234.jpg
// each the same few images side by side, the last as the decoder paints them. Nothing of the training depends on
// them: a failure is told once, and the run goes on without.
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "data/samples.h"
#include "model/reconstruct.h"
#include "train/run_state.h"
#include "run/config/data.h"

enum { IMAGES = 6, SIDE_MOST = 160, QUALITY = 92, KEPT = 64, MASK_GREY = 128 };

struct mcf_run_pictures {
    bool off;
    int count, side, shown; // side of the network's images and of those that are kept
    uint8_t *images;        // [count, side, side, 3]
    int64_t *ids;           // [count, L]
    float *pseudo;          // [count, side, side, 3]
    uint8_t *drawn;         // [count, side, side, 3]
};

void mcf_run_pictures_free(mcf_run *run)
{
    struct mcf_run_pictures *p = run->pictures;
    if (!p)
        return;
    free(p->images);
    free(p->ids);
    free(p->pseudo);
    free(p->drawn);
    free(p);
    run->pictures = NULL;
}

// --- files

// count images [side,side,3] side by side, smaller where they are large, as RUN/pictures/NAME.
static mcf_status write_strip(const mcf_run *run, const struct mcf_run_pictures *p, const uint8_t *images,
                              const char *name, mcf_error *err)
{
    const size_t n = (size_t)p->count, to = (size_t)p->shown, row = to * 3;
    char file[4200];
    snprintf(file, sizeof file, "%s/pictures/%s", run->options->run, name);
    uint8_t *small = malloc(n * to * row), *strip = malloc(n * to * row);
    mcf_bytes jpeg = {0};
    mcf_status status = small && strip ? mcf_samples_resize(images, p->count, p->side, small, p->shown, err)
                                       : mcf_fail(err, MCF_ERR_NOMEM, "no memory for pictures");
    if (status == MCF_OK) {
        for (size_t i = 0; i < n; i++)
            for (size_t y = 0; y < to; y++)
                memcpy(strip + (y * n + i) * row, small + (i * to + y) * row, row);
        const mcf_image image = {
            .width = (int)(n * to), .height = (int)to, .channels = 3, .stride = n * row, .pixels = strip};
        status = mcf_image_encode_jpeg(&image, QUALITY, &jpeg, err);
    }
    if (status == MCF_OK)
        status = mcf_file_write(file, jpeg.data, jpeg.size, err);
    mcf_bytes_free(&jpeg);
    free(small);
    free(strip);
    return status;
}

static int by_step(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Removes pictures of steps after `last`, which a resumed run makes anew, and where there are more than KEPT every
// second one, the first kept.
static void tidy(const char *folder, int64_t last)
{
    DIR *directory = opendir(folder);
    int64_t *steps = NULL;
    size_t count = 0, capacity = 0;
    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        int64_t step;
        char path[4700], canonical[32];
        if (sscanf(entry->d_name, "step-%" SCNd64, &step) != 1 || step < 0)
            continue;
        snprintf(canonical, sizeof canonical, "step-%08" PRId64 ".jpg", step);
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(canonical, entry->d_name) != 0)
            continue;
        if (step > last) {
            remove(path);
            continue;
        }
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 128;
            int64_t *more = realloc(steps, capacity * sizeof *more);
            if (!more)
                break;
            steps = more;
        }
        steps[count++] = step;
    }
    closedir(directory);
    if (count > KEPT) {
        qsort(steps, count, sizeof *steps, by_step);
        for (size_t i = 1; i + 1 < count; i += 2) {
            char path[4400];
            snprintf(path, sizeof path, "%s/step-%08" PRId64 ".jpg", folder, steps[i]);
            remove(path);
        }
    }
    free(steps);
}

// --- the network

static mcf_status reconstruct(mcf_run *run, mcf_error *err)
{
    struct mcf_run_pictures *p = run->pictures;
    const mcf_engine *e = run->engine;
    const mcf_pretrain_model *model = e->objective.model;
    const mcf_reconstruct_graph_options options = {
        .batch = p->count, .compute = e->compute, .image_u8 = true, .world = e->world};
    mcf_program *program = mcf_runtime_cached(e->runtime[0], "pictures");
    if (!program) {
        mcf_graph *graph;
        MCF_TRY(mcf_reconstruct_graph(model, &options, &graph, err));
        MCF_TRY(mcf_program_create(e->runtime[0], graph, &program, err));
        MCF_TRY(mcf_runtime_cache(e->runtime[0], "pictures", program, err));
    }
    const uint8_t flip[IMAGES] = {0};
    mcf_inputs inputs = {0};
    mcf_inputs_begin(&inputs, p->count);
    mcf_status status = mcf_inputs_point(&inputs, "image", p->images, (size_t)p->side * (size_t)p->side * 3, err);
    if (status == MCF_OK)
        status = mcf_inputs_point(&inputs, "flip", flip, 1, err);
    if (status == MCF_OK)
        status = mcf_reconstruct_inputs(model, p->ids, &inputs, err);
    if (status == MCF_OK)
        status = mcf_inputs_write(&inputs, program, 0, p->count, err);
    mcf_inputs_free(&inputs);
    MCF_TRY(status);
    MCF_TRY(mcf_program_run(program, false, false, err));
    return mcf_program_read(program, "pseudo", p->pseudo, (int64_t)p->count * 3 * p->side * p->side, err);
}

typedef struct {
    mcf_run *run;
    mcf_status status;
    mcf_error *err;
} paint_task;

// A task that fails ends the group of devices: the status is kept beside it.
static mcf_status paint(int rank, void *context, mcf_error *err)
{
    paint_task *t = context;
    if (rank == 0)
        t->status = reconstruct(t->run, t->err);
    return MCF_OK;
}

static mcf_status open_pictures(mcf_run *run, mcf_error *err)
{
    const mcf_model_options *m = &run->config->model;
    const mcf_pretrain_model *model = run->engine->objective.model;
    const size_t side = (size_t)m->image_size, patches = (size_t)model->patches;
    struct mcf_run_pictures *p = run->pictures;
    int64_t samples[IMAGES];
    p->side = m->image_size;
    p->shown = p->side < SIDE_MOST ? p->side : SIDE_MOST;
    p->images = malloc(IMAGES * side * side * 3);
    p->drawn = malloc(IMAGES * side * side * 3);
    p->pseudo = malloc(IMAGES * side * side * 3 * sizeof *p->pseudo);
    p->ids = malloc(IMAGES * patches * sizeof *p->ids);
    if (!p->images || !p->drawn || !p->pseudo || !p->ids)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for pictures");
    const mcf_center_crop_options crop = mcf_data_crop(&run->config->data, p->side);
    MCF_TRY(mcf_samples_read(run->validation ? run->validation : run->source, IMAGES, &crop, p->images, samples,
                             &p->count, err));
    if (p->count == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "none of the images can be read");
    for (int i = 0; i < p->count; i++) {
        mcf_rng rng = mcf_rng_make(run->config->seed, MCF_RNG_MASK_ONLINE, 0, (uint64_t)samples[i]);
        mcf_rng_permutation(&rng, p->ids + (size_t)i * patches, (int64_t)patches);
    }
    char folder[4200];
    snprintf(folder, sizeof folder, "%s/pictures", run->options->run);
    MCF_TRY(mcf_directory_make(folder, err));
    MCF_TRY(write_strip(run, p, p->images, "original.jpg", err));
    memcpy(p->drawn, p->images, (size_t)p->count * side * side * 3);
    const size_t patch = (size_t)m->patch_size, columns = side / patch;
    for (size_t i = 0; i < (size_t)p->count; i++)
        for (size_t j = (size_t)model->visible; j < patches; j++) {
            const size_t at = (size_t)p->ids[i * patches + j];
            for (size_t y = 0; y < patch; y++)
                memset(p->drawn + ((i * side + at / columns * patch + y) * side + at % columns * patch) * 3, MASK_GREY,
                       patch * 3);
        }
    return write_strip(run, p, p->drawn, "masked.jpg", err);
}

static mcf_status make_pictures(mcf_run *run, mcf_error *err)
{
    struct mcf_run_pictures *p = run->pictures;
    char name[64], folder[4200];
    float mean[3], std[3];
    mcf_normalisation(&run->config->model, mean, std);
    snprintf(folder, sizeof folder, "%s/pictures", run->options->run);
    if (!p->images)
        MCF_TRY(open_pictures(run, err));
    tidy(folder, run->step);
    paint_task task = {run, MCF_OK, err};
    MCF_TRY(mcf_job_run(run->engine->job, paint, &task, err));
    MCF_TRY(task.status);
    const size_t pixels = (size_t)p->side * (size_t)p->side;
    for (size_t i = 0; i < (size_t)p->count * pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            const double made = p->pseudo[i * 3 + c];
            const double x = 255 * (made * std[c] + mean[c]) + 0.5;
            p->drawn[i * 3 + c] = isnan(x) ? 0 : (uint8_t)fmax(0, fmin(255, x));
        }
    snprintf(name, sizeof name, "step-%08" PRId64 ".jpg", run->step);
    return write_strip(run, p, p->drawn, name, err);
}

bool mcf_run_lacks_picture(const mcf_run *run)
{
    char path[4400];
    const mcf_pretrain_model *model = run->engine->objective.model;
    snprintf(path, sizeof path, "%s/pictures/step-%08" PRId64 ".jpg", run->options->run, run->step);
    return model && model->decodes && !mcf_path_exists(path);
}

void mcf_run_make_pictures(mcf_run *run)
{
    mcf_error err = {0};
    const mcf_pretrain_model *model = run->engine->objective.model;
    if (!model->decodes)
        return;
    if (!run->pictures && !(run->pictures = calloc(1, sizeof *run->pictures)))
        return;
    if (run->pictures->off)
        return;
    if (make_pictures(run, &err) != MCF_OK) {
        run->pictures->off = true;
        mcf_run_notice(run, "no more pictures in %s/pictures, training goes on: %s", run->options->run, err.message);
    }
}
