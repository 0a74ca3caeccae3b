// What the tests of ONNX files need.
//
//   onnx_case draw CONFIG.yaml FILE   a checkpoint of that network with drawn weights, moving statistics that are no
//                                     zeros and ones, and an averaged network (ema.*) that differs from the trained one
//   onnx_case ask CHECKPOINT FILE [BACKEND]
//                                     image f32 [3,3,S,S], drawn, and what `mcf embed` and `mcf predict` compute of it
//                                     (on cpu-reference): cls, mean, tokens; points; logits
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/formats/safetensors.h"
#include "infer/dense.h"
#include "infer/embed.h"
#include "model/dense.h"
#include "model/pretrain.h"

enum { IMAGES = 3 };

static int failed(const mcf_error *err)
{
    fprintf(stderr, "onnx_case: %s\n", err->message);
    return 1;
}

// --- draw

// Every value a little off where training starts; variances stay positive.
static void disturb(const mcf_store *store, const mcf_params *params)
{
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *e = &store->entries[i];
        mcf_rng rng = mcf_rng_make(7, MCF_RNG_TEST, 0, (uint64_t)i);
        float *values = mcf_params_at(params, store, i);
        const bool is_variance = strstr(e->name, "running_var") != NULL;
        for (int64_t k = 0; k < e->count; k++) {
            const float drawn = (float)mcf_rng_normal(&rng);
            values[k] = is_variance ? 0.5f + fabsf(drawn) : values[k] + 0.1f * drawn;
        }
    }
}

static mcf_status save(const mcf_store *store, const mcf_params *params, const mcf_config *config, const char *path,
                       mcf_error *err)
{
    char *text;
    mcf_named_tensor *tensors = calloc((size_t)store->count, sizeof *tensors);
    MCF_TRY(mcf_config_dump(config, &text, err));
    const char *const metadata[] = {"config", text, "step", "12", NULL};
    for (int i = 0; i < store->count; i++)
        tensors[i] = (mcf_named_tensor){store->entries[i].name, MCF_F32, store->entries[i].shape,
                                        mcf_params_at(params, store, i)};
    mcf_status status = mcf_safetensors_save(path, tensors, (size_t)store->count, metadata, NULL, NULL, err);
    free(tensors);
    free(text);
    return status;
}

static mcf_status draw(const char *path, const char *out, mcf_error *err)
{
    mcf_config config;
    mcf_params params;
    MCF_TRY(mcf_config_load(&config, path, NULL, 0, err));
    if (config.task == MCF_TASK_PRETRAIN) {
        mcf_pretrain_model *model;
        MCF_TRY(mcf_pretrain_create(&config.model, &config.objective, &model, err));
        MCF_TRY(mcf_params_create(&model->store, &params, err));
        mcf_pretrain_init(model, 1, &params);
        disturb(&model->store, &params);
        MCF_TRY(save(&model->store, &params, &config, out, err));
        mcf_pretrain_destroy(model);
    } else {
        mcf_dense_model *model;
        MCF_TRY(mcf_dense_create(&config.model, &config.dense, true, &model, err));
        MCF_TRY(mcf_params_create(&model->store, &params, err));
        mcf_dense_init(model, 1, &params);
        disturb(&model->store, &params);
        MCF_TRY(save(&model->store, &params, &config, out, err));
        mcf_dense_destroy(model);
    }
    mcf_params_free(&params);
    mcf_config_free(&config);
    return MCF_OK;
}

// --- ask

typedef struct {
    mcf_named_tensor tensors[4];
    size_t count;
} answers;

static float *add(answers *a, const char *name, mcf_shape shape)
{
    float *data = calloc((size_t)mcf_shape_count(&shape), sizeof *data);
    a->tensors[a->count++] = (mcf_named_tensor){name, MCF_F32, shape, data};
    return data;
}

// Bytes [IMAGES,side,side,3], and the same as the file's input.
static uint8_t *images(answers *a, int64_t side)
{
    uint8_t *bytes = malloc((size_t)(IMAGES * side * side * 3));
    float *input = add(a, "image", MCF_SHAPE(IMAGES, 3, side, side));
    mcf_rng rng = mcf_rng_make(3, MCF_RNG_TEST, 0, 0);
    for (int64_t i = 0; bytes && i < IMAGES; i++)
        for (int64_t p = 0; p < side * side; p++)
            for (int64_t c = 0; c < 3; c++) {
                const uint8_t byte = (uint8_t)(mcf_rng_float(&rng) * 256);
                bytes[(i * side * side + p) * 3 + c] = byte;
                input[(i * 3 + c) * side * side + p] = (float)byte / 255;
            }
    return bytes;
}

static mcf_status ask_encoder(const char *path, const mcf_job_options *job, answers *a, mcf_error *err)
{
    mcf_embedder *embedder;
    MCF_TRY(mcf_embedder_open(&embedder, &(mcf_embedder_options){.job = *job, .checkpoint = path}, err));
    const mcf_model_options *m = &mcf_embedder_config(embedder)->model;
    const int64_t dim = m->encoder.dim, grid = m->image_size / m->patch_size;
    uint8_t *bytes = images(a, m->image_size);
    float *cls = add(a, "cls", MCF_SHAPE(IMAGES, dim)), *mean = add(a, "mean", MCF_SHAPE(IMAGES, dim));
    float *tokens = add(a, "tokens", MCF_SHAPE(IMAGES, 1 + grid * grid, dim));
    mcf_status status = mcf_embedder_tokens(embedder, bytes, IMAGES, cls, mean, tokens, err);
    mcf_embedder_close(embedder);
    free(bytes);
    return status;
}

static mcf_status ask_dense(const char *path, const mcf_job_options *job, answers *a, mcf_error *err)
{
    mcf_dense_inference in;
    MCF_TRY(mcf_dense_open(&in, job, path, IMAGES, err));
    const mcf_config *c = mcf_dense_config(&in);
    const int64_t side = c->data.crop_size, outputs = c->dense.head.outputs;
    uint8_t *bytes = images(a, side);
    float *out = c->task == MCF_TASK_ALIGN ? add(a, "points", MCF_SHAPE(IMAGES, outputs, 2))
                                           : add(a, "logits", MCF_SHAPE(IMAGES, outputs, side, side));
    mcf_status status = mcf_dense_run(&in, bytes, IMAGES, out, err);
    mcf_dense_close(&in);
    free(bytes);
    return status;
}

static mcf_status ask(const char *path, const char *out, const char *backend, mcf_error *err)
{
    const mcf_job_options job = {.backend = backend, .device_count = 1};
    answers a = {.count = 0};
    mcf_weights weights;
    MCF_TRY(mcf_weights_open(&weights, path, err));
    const bool encoder = weights.config.task == MCF_TASK_PRETRAIN;
    mcf_weights_close(&weights);
    MCF_TRY((encoder ? ask_encoder : ask_dense)(path, &job, &a, err));
    mcf_status status = mcf_safetensors_save(out, a.tensors, a.count, NULL, NULL, NULL, err);
    for (size_t i = 0; i < a.count; i++)
        free(a.tensors[i].data);
    return status;
}

int main(int argc, char **argv)
{
    mcf_error err = {0};
    if (argc == 4 && strcmp(argv[1], "draw") == 0)
        return draw(argv[2], argv[3], &err) == MCF_OK ? 0 : failed(&err);
    if ((argc == 4 || argc == 5) && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3], argc == 5 ? argv[4] : "cpu-reference", &err) == MCF_OK ? 0 : failed(&err);
    fprintf(stderr, "usage: onnx_case draw CONFIG FILE | onnx_case ask CHECKPOINT FILE [BACKEND]\n");
    return 2;
}
