#include "infer/reconstruct.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/file.h"
#include "base/output.h"
#include "infer/network.h"
#include "model/reconstruct.h"
#include "run/output.h"

enum { BATCH = 16, GAP = 4 }; // GAP: white pixels between the pictures

typedef struct {
    mcf_inference network;
    mcf_image_set set;
    mcf_inputs inputs;
    int64_t *ids;     // [BATCH, L]
    float *pseudo;    // [BATCH, S, S, 3]
    uint8_t *picture; // [S, 3 S + 2 GAP, 3]
    mcf_bytes png;
    double error;   // sum of squares over masked pixels
    int64_t pixels; // and their number
} reconstruction;

typedef struct {
    reconstruction *r;
    const mcf_batch *batch;
    int rows;
} run_task;

static mcf_status run(int rank, void *context, mcf_error *err)
{
    run_task *t = context;
    reconstruction *r = t->r;
    mcf_inference *n = &r->network;
    if (rank != 0)
        return MCF_OK;
    const mcf_reconstruct_graph_options options = {.batch = t->rows, .compute = n->device.compute, .image_u8 = true};
    char key[64];
    snprintf(key, sizeof key, "reconstruct b%d", t->rows);
    mcf_program *program = mcf_runtime_cached(n->device.runtime, key);
    if (!program) {
        mcf_graph *graph;
        MCF_TRY(mcf_reconstruct_graph(n->model, &options, &graph, err));
        MCF_TRY(mcf_program_create(n->device.runtime, graph, &program, err));
        MCF_TRY(mcf_runtime_cache(n->device.runtime, key, program, err));
    }
    const int64_t side = n->config.model.image_size;
    mcf_inputs_begin(&r->inputs, t->rows);
    MCF_TRY(mcf_inputs_point(&r->inputs, "image", t->batch->pixels, (size_t)(side * side * 3), err));
    MCF_TRY(mcf_inputs_point(&r->inputs, "flip", t->batch->flip, 1, err));
    MCF_TRY(mcf_reconstruct_inputs(n->model, r->ids, &r->inputs, err));
    MCF_TRY(mcf_inputs_write(&r->inputs, program, 0, t->rows, err));
    MCF_TRY(mcf_program_run(program, false, false, err));
    return mcf_program_read(program, "pseudo", r->pseudo, t->rows * 3 * side * side, err);
}

static uint8_t to_byte(double x)
{
    x = x * 255 + 0.5;
    return x < 0 || isnan(x) ? 0 : x > 255 ? 255 : (uint8_t)x;
}

// Draws row `row` of the batch: masked input, pseudo image, original.
static void draw(reconstruction *r, const mcf_batch *batch, int row, const bool *masked)
{
    const int side = r->network.config.model.image_size, patch = r->network.config.model.patch_size;
    const int columns = side / patch, width = 3 * side + 2 * GAP;
    const uint8_t *image = batch->pixels + (size_t)row * side * side * 3;
    const float *pseudo = r->pseudo + (size_t)row * 3 * side * side;
    float mean[3], std[3];
    mcf_normalisation(&r->network.config.model, mean, std);
    memset(r->picture, 255, (size_t)side * (size_t)width * 3);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            const bool hidden = masked[y / patch * columns + x / patch];
            for (int c = 0; c < 3; c++) {
                const uint8_t value = image[(y * side + x) * 3 + c];
                const float made = pseudo[(y * side + x) * 3 + c];
                uint8_t *at = r->picture + ((size_t)y * width + x) * 3 + c;
                at[0] = hidden ? 128 : value;
                at[(side + GAP) * 3] = to_byte(made * std[c] + mean[c]);
                at[2 * (side + GAP) * 3] = value;
                if (hidden) {
                    const double d = made - (value / 255.0 - mean[c]) / std[c];
                    r->error += d * d;
                    r->pixels++;
                }
            }
        }
}

// OUT/000012-NAME.png; the number keeps files of one name in different folders apart.
static mcf_status write_picture(reconstruction *r, const char *out, int64_t sample, mcf_error *err)
{
    const int side = r->network.config.model.image_size;
    const mcf_image image = {.width = 3 * side + 2 * GAP,
                             .height = side,
                             .channels = 3,
                             .stride = (size_t)(3 * side + 2 * GAP) * 3,
                             .pixels = r->picture};
    MCF_TRY(mcf_image_encode_png(&image, &r->png, err));
    char name[8192], file[256];
    mcf_source_name(r->set.source, sample, name, sizeof name);
    char *base = name;
    for (char *c = name; *c; c++)
        if (*c == '/' || *c == ':')
            base = c + 1;
    char *dot = strrchr(base, '.');
    if (dot && dot != base)
        *dot = '\0';
    // Names have 255 bytes at most, and the file is written under a longer one first.
    enum { LONGEST = 180 };
    size_t length = strlen(base);
    if (length > LONGEST)
        for (length = LONGEST; length > 0 && (base[length] & 0xc0) == 0x80;)
            length--;
    snprintf(file, sizeof file, "%06lld-%.*s.png", (long long)sample, (int)length, base);
    char *path = mcf_path_join(out, file);
    if (!path)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    mcf_status status = mcf_file_write(path, r->png.data, r->png.size, err);
    free(path);
    return status;
}

static mcf_status one_batch(reconstruction *r, const mcf_reconstruct_options *options, const mcf_batch *batch, int rows,
                            mcf_error *err)
{
    const mcf_inference *n = &r->network;
    const int64_t patches = n->model->patches;
    for (int i = 0; i < rows; i++) {
        mcf_rng rng = mcf_rng_make(n->config.seed, MCF_RNG_MASK_ONLINE, 0, (uint64_t)batch->sample[i]);
        mcf_rng_permutation(&rng, r->ids + i * patches, patches);
    }
    run_task task = {r, batch, rows};
    MCF_TRY(mcf_job_run(n->device.job, run, &task, err));
    bool *masked = malloc((size_t)patches * sizeof *masked);
    if (!masked)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a mask");
    mcf_status status = MCF_OK;
    for (int i = 0; i < rows && status == MCF_OK; i++) {
        for (int64_t p = 0; p < patches; p++)
            masked[r->ids[i * patches + p]] = p >= n->model->visible;
        draw(r, batch, i, masked);
        status = write_picture(r, options->out, batch->sample[i], err);
    }
    free(masked);
    return status;
}

static mcf_status reconstruct(reconstruction *r, const mcf_reconstruct_options *options, mcf_reconstruct_result *result,
                              mcf_error *err)
{
    MCF_TRY(mcf_check_output_folder(options->out, options->paths, options->path_count, err));
    const mcf_inference_options network = {.job = options->job,
                                           .checkpoint = options->checkpoint,
                                           .sets = options->sets,
                                           .set_count = options->set_count,
                                           .allow_nonfinite = options->allow_nonfinite};
    MCF_TRY(mcf_inference_open(&r->network, &network, MCF_PART_DECODER, err));
    const mcf_config *c = &r->network.config;
    const mcf_image_set_options images = {.paths = options->paths,
                                          .count = options->path_count,
                                          .data = &c->data,
                                          .format = options->format,
                                          .side = c->model.image_size,
                                          .batch = BATCH,
                                          .notice = options->notice,
                                          .context = options->context};
    MCF_TRY(mcf_image_set_open(&r->set, &images, err));
    MCF_TRY(mcf_directory_make(options->out, err));
    MCF_TRY(mcf_source_check_folder(r->set.source, options->out, err));
    const size_t side = (size_t)c->model.image_size;
    r->ids = malloc(BATCH * (size_t)r->network.model->patches * sizeof *r->ids);
    r->pseudo = malloc(BATCH * 3 * side * side * sizeof *r->pseudo);
    r->picture = malloc(side * (3 * side + 2 * GAP) * 3);
    if (!r->ids || !r->pseudo || !r->picture)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for pictures");
    int64_t total = mcf_source_count(r->set.source);
    total = options->limit > 0 && options->limit < total ? options->limit : total;
    while (result->images + r->set.broken < total) {
        const mcf_batch *batch;
        int rows;
        MCF_TRY(mcf_image_set_next(&r->set, &batch, &rows, err));
        if (!batch)
            break;
        if (options->limit > 0 && rows > options->limit - result->images)
            rows = (int)(options->limit - result->images);
        if (rows > 0)
            MCF_TRY(one_batch(r, options, batch, rows, err));
        result->images += rows;
        result->broken = r->set.broken;
        if (options->progress)
            options->progress(options->context, result->images + result->broken, total);
        if (options->stop && *options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld pictures", (long long)result->images);
    }
    MCF_TRY(mcf_image_set_check(&r->set, result->images, err));
    result->unsupported = r->set.unsupported;
    result->first_unsupported = r->set.first_unsupported;
    r->set.first_unsupported = NULL;
    result->first_broken = r->set.first_broken;
    r->set.first_broken = NULL;
    result->pixel_mse = r->pixels ? r->error / (double)r->pixels : 0;
    return MCF_OK;
}

mcf_status mcf_reconstruct(const mcf_reconstruct_options *options, mcf_reconstruct_result *result, mcf_error *err)
{
    *result = (mcf_reconstruct_result){0};
    reconstruction r = {0};
    mcf_status status = reconstruct(&r, options, result, err);
    mcf_inputs_free(&r.inputs);
    free(r.ids);
    free(r.pseudo);
    free(r.picture);
    mcf_bytes_free(&r.png);
    mcf_image_set_close(&r.set);
    mcf_inference_close(&r.network);
    return status;
}
