// Networks of pre-training: start, tables, masks, loading, evaluation graphs, recomputation, what is kept for
// M_1. One network is made for all of them: hence the length.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/embed.h"
#include "model/load.h"
#include "model/masks.h"
#include "model/position.h"
#include "model/pretrain.h"
#include "model/reconstruct.h"
#include "tests/judge.h"
#include "train/trace.h"

// --- a small model and a runtime of the reference
static const mcf_model_options small_model = {
    .image_size = 16,
    .patch_size = 4,
    .encoder = {.dim = 16, .depth = 2, .heads = 2, .mlp_ratio = 4},
    .decoder = {.dim = 12, .depth = 1, .heads = 3, .mlp_ratio = 4},
    .teacher = {.dim = 12, .depth = 3, .heads = 2, .mlp_ratio = 4},
    .teacher_blocks = {1, 3},
    .teacher_block_count = 2,
    .teacher_checkpoint = "random",
    .projector_hidden = 24,
    .projector_out = 8,
    .batchnorm_groups = 1,
};
static const mcf_objective_options feature_contrast = {
    .mask_ratio = 0.75, .feature_weight = 1000, .contrastive_weight = 1, .temperature = 0.2, .momentum = 0.99};
static const mcf_objective_options encoder_only = {.mask_ratio = 0.75};

static mcf_pretrain_model *make(const mcf_model_options *options, const mcf_objective_options *objective)
{
    mcf_error err = {0};
    mcf_pretrain_model *model;
    if (mcf_pretrain_create(options, objective, &model, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return model;
}

static mcf_params start(const mcf_pretrain_model *model, uint64_t seed)
{
    mcf_error err = {0};
    mcf_params params;
    if (mcf_params_create(&model->store, &params, &err) != MCF_OK ||
        mcf_pretrain_start(model, seed, &params, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return params;
}

static mcf_runtime *run_on_reference(const mcf_pretrain_model *model, const mcf_params *params, bool training)
{
    mcf_error err = {0};
    mcf_runtime *runtime;
    const mcf_runtime_options options = {.backend = mcf_backend_reference(),
                                         .device = {.opened = 1},
                                         .member = {.world = 1},
                                         .low_precision = MCF_F32,
                                         .training = training};
    if (mcf_runtime_create(&model->store, &options, NULL, &runtime, &err) != MCF_OK ||
        mcf_params_upload(params, runtime, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return runtime;
}

static mcf_program *program_of(mcf_runtime *runtime, mcf_graph *graph)
{
    mcf_error err = {0};
    mcf_program *program;
    if (mcf_program_create(runtime, graph, &program, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return program;
}

#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        mcf_error err = {0};                                                                                           \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s: %s", #expression, err.message);                                                              \
    } while (0)

static float *at(const mcf_pretrain_model *model, const mcf_params *params, const char *name)
{
    int entry = mcf_store_find(&model->store, name);
    if (entry < 0)
        fail_msg("no parameter %s", name);
    return mcf_params_at(params, &model->store, entry);
}

static float *random_floats(int64_t count, uint64_t stream)
{
    float *values = malloc((size_t)count * sizeof *values);
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, stream);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)mcf_rng_normal(&rng);
    return values;
}

// --- start
static void layout(void **state)
{
    (void)state;
    mcf_pretrain_model *model = make(&small_model, &feature_contrast);
    const mcf_store *store = &model->store;
    assert_int_equal(store->averaged_count, store->role_count[MCF_ROLE_TARGET]);
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        assert_int_equal(entry->decay, entry->shape.rank > 1);
        if (entry->role != MCF_ROLE_TARGET)
            continue;
        char name[256];
        snprintf(name, sizeof name, "online%s", entry->name + strlen("target"));
        const mcf_entry *online = &store->entries[mcf_store_find(store, name)];
        assert_int_equal(online->role, MCF_ROLE_TRAINED);
        assert_int_equal(online->offset, entry->offset);
    }
    const mcf_entry *last = &store->entries[mcf_store_find(store, "online_encoder.fc.3.weight")];
    assert_true(last->offset + last->count <= store->averaged_count);
    assert_true(store->entries[mcf_store_find(store, "predictor.0.weight")].offset >= store->averaged_count);
    mcf_pretrain_destroy(model);

    // Terms that are off leave nothing behind.
    model = make(&small_model, &encoder_only);
    for (int i = 0; i < model->store.count; i++)
        assert_non_null(mcf_backbone_name(model, i));
    assert_string_equal(mcf_backbone_name(model, mcf_store_find(&model->store, "online_encoder.blocks.1.norm2.bias")),
                        "blocks.1.norm2.bias");
    mcf_pretrain_destroy(model);
}

static void moments(const float *x, int64_t count, double *mean, double *deviation, double *largest)
{
    double sum = 0, squares = 0;
    *largest = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        *largest = fmax(*largest, fabs(x[i]));
    }
    *mean = sum / (double)count;
    *deviation = sqrt(squares / (double)count - *mean * *mean);
}

static void first_values(void **state)
{
    (void)state;
    mcf_model_options options = small_model;
    options.encoder.dim = 64;
    mcf_pretrain_model *model = make(&options, &feature_contrast), *bare = make(&options, &encoder_only);
    mcf_params params = start(model, 7), same = start(bare, 7), other = start(bare, 8);
    double mean, deviation, largest, bound = sqrt(6.0 / (64 + 192));
    int64_t count = 192 * 64;
    moments(at(model, &params, "online_encoder.blocks.1.attn.qkv.weight"), count, &mean, &deviation, &largest);
    assert_true(largest <= bound && largest > 0.99 * bound);
    assert_true(fabs(mean) < 4 * bound / sqrt(3.0 * (double)count));
    assert_true(fabs(deviation / (bound / sqrt(3)) - 1) < 0.03);
    bound = sqrt(6.0 / (64 + 48)); // the patch projection as a matrix
    moments(at(model, &params, "online_encoder.patch_embed.proj.weight"), 64 * 48, &mean, &deviation, &largest);
    assert_true(largest <= bound && largest > 0.98 * bound);
    bound = 1 / sqrt(48);
    moments(at(model, &params, "online_encoder.patch_embed.proj.bias"), 64, &mean, &deviation, &largest);
    assert_true(largest <= bound && largest > 0.8 * bound);
    moments(at(model, &params, "online_encoder.cls_token"), 64, &mean, &deviation, &largest);
    assert_true(deviation > 0.012 && deviation < 0.028);
    assert_true(at(model, &params, "decoder_blocks.0.norm1.weight")[3] == 1);
    assert_true(at(model, &params, "decoder_blocks.0.norm1.bias")[3] == 0);
    assert_true(at(model, &params, "decoder_pred.bias")[5] == 0);
    assert_true(at(model, &params, "online_encoder.fc.4.running_var")[2] == 1);
    assert_true(at(model, &params, "target_encoder.fc.1.running_var")[2] == 1);
    // Numbers of a tensor depend on seed and name, not on what else is built.
    const char *name = "online_encoder.blocks.0.mlp.fc1.weight";
    size_t bytes = 256 * 64 * sizeof(float);
    assert_memory_equal(at(model, &params, name), at(bare, &same, name), bytes);
    assert_true(memcmp(at(bare, &other, name), at(bare, &same, name), bytes) != 0);
    assert_true(memcmp(at(model, &params, "online_encoder.blocks.1.mlp.fc1.weight"), at(model, &params, name), bytes));
    assert_memory_equal(at(model, &params, "target_encoder.blocks.0.mlp.fc1.weight"), at(model, &params, name), bytes);
    assert_memory_equal(at(model, &params, "target_encoder.pos_embed"), at(model, &params, "online_encoder.pos_embed"),
                        17 * 64 * sizeof(float));
    mcf_params_free(&params);
    mcf_params_free(&same);
    mcf_params_free(&other);
    mcf_pretrain_destroy(model);
    mcf_pretrain_destroy(bare);
}

static void options_refused(void **state)
{
    (void)state;
    mcf_error err;
    mcf_pretrain_model *model = (void *)1;
    mcf_model_options options = small_model;
    mcf_objective_options objective = feature_contrast;
    options.encoder.heads = 3;
    assert_int_equal(mcf_pretrain_create(&options, &objective, &model, &err), MCF_ERR_USAGE);
    assert_null(model);
    assert_non_null(strstr(err.message, "model.encoder.heads (3)"));
    options = small_model;
    options.teacher_blocks[1] = 4;
    assert_int_equal(mcf_pretrain_create(&options, &objective, &model, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "names block 4"));
    options = small_model;
    options.image_size = 18;
    assert_int_equal(mcf_pretrain_create(&options, &objective, &model, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "multiple of model.patch_size"));
    objective.mask_ratio = 0.97;
    assert_int_equal(mcf_pretrain_create(&small_model, &objective, &model, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "mask_ratio"));
    options = small_model;
    options.teacher_checkpoint[0] = 0;
    model = make(&options, &feature_contrast);
    mcf_params params;
    OK(mcf_params_create(&model->store, &params, &err));
    assert_int_equal(mcf_pretrain_start(model, 0, &params, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "model.teacher.checkpoint"));
    mcf_params_free(&params);
    mcf_pretrain_destroy(model);
}

// --- tables. The example's table was made by the examples' own program.
static void sine_cosine(void **state)
{
    (void)state;
    const char *const names[] = {"online_encoder.pos_embed", "decoder_pos_embed"};
    mcf_safetensors *file;
    OK(mcf_safetensors_open(&file, MCF_SOURCE_DIR "/tests/golden/odd_width/params.safetensors", &err));
    for (int i = 0; i < 2; i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_find(file, names[i]);
        int64_t dim = entry->shape.dim[2], side = (int64_t)lround(sqrt((double)(entry->shape.dim[1] - 1)));
        float *want = judge_read(file, names[i], -1), *table = malloc((size_t)entry->count * sizeof *table);
        mcf_position_table(table, dim, side, side);
        for (uint64_t k = 0; k < entry->count; k++)
            assert_true(fabsf(table[k] - want[k]) < 1e-6f);
        free(want);
        free(table);
    }
    mcf_safetensors_close(file);
}

static void resized_table(void **state)
{
    (void)state;
    mcf_safetensors *file;
    OK(mcf_safetensors_open(&file, MCF_SOURCE_DIR "/tests/position/resize.safetensors", &err));
    float *from = judge_read(file, "from", -1);
    int compared = 0;
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(file, i);
        int rows, columns;
        if (sscanf(entry->name, "to_%dx%d", &rows, &columns) != 2)
            continue;
        float *want = judge_read(file, entry->name, -1), *to = malloc((size_t)entry->count * sizeof *to);
        mcf_position_resize(from, 6, 6, to, rows, columns, 8);
        for (uint64_t k = 0; k < entry->count; k++)
            assert_true(fabsf(to[k] - want[k]) < 2e-6f);
        compared++;
        free(want);
        free(to);
    }
    assert_int_equal(compared, 6);
    free(from);
    mcf_safetensors_close(file);
}

// --- masks
static void masks(void **state)
{
    (void)state;
    int64_t ids[] = {2, 0, 3, 1, 4, 4, 3, 2, 1, 0}, keep[4], mask[6], restore[10];
    OK(mcf_mask_split(ids, 2, 5, 2, keep, mask, restore, &err));
    assert_memory_equal(keep, ((int64_t[]){2, 0, 4, 3}), sizeof keep);
    assert_memory_equal(mask, ((int64_t[]){3, 1, 4, 2, 1, 0}), sizeof mask);
    assert_memory_equal(restore, ((int64_t[]){1, 3, 0, 2, 4, 4, 3, 2, 1, 0}), sizeof restore);
    mcf_error err;
    ids[7] = 3;
    assert_int_equal(mcf_mask_split(ids, 2, 5, 2, keep, mask, restore, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "image 1"));
    ids[7] = 5;
    assert_int_equal(mcf_mask_split(ids, 2, 5, 2, NULL, NULL, NULL, &err), MCF_ERR_FORMAT);
    ids[7] = -1;
    assert_int_equal(mcf_mask_split(ids, 2, 5, 2, NULL, NULL, NULL, &err), MCF_ERR_FORMAT);
    assert_int_equal(mcf_visible_count(196, 0.75), 49);
    assert_int_equal(mcf_visible_count(25, 0.8), 4); // 25*(1 - 0.8) is below 5 in doubles
}

// --- loading
static const char *temporary(const char *name)
{
    static char path[MCF_MAX_PATH];
    snprintf(path, sizeof path, "%s/model-%d-%s.safetensors", MCF_BINARY_DIR, (int)getpid(), name);
    return path;
}

// Saves the online encoder with names under `prefix`; change: 1 drops a tensor and adds one, 2 gives one
// another shape.
static void save_backbone(const mcf_pretrain_model *model, const mcf_params *params, const char *prefix, int change,
                          const char *path)
{
    mcf_named_tensor tensors[128];
    static char names[128][128];
    size_t count = 0;
    for (int i = 0; i < model->store.count; i++) {
        const char *name = mcf_backbone_name(model, i);
        if (!name)
            continue;
        snprintf(names[count], sizeof names[count], "%s%s", prefix, name);
        if (change == 1 && !strcmp(name, "norm.bias"))
            snprintf(names[count], sizeof names[count], "%shead.bias", prefix);
        tensors[count] = (mcf_named_tensor){names[count], MCF_F32, model->store.entries[i].shape,
                                            mcf_params_at(params, &model->store, i)};
        if (change == 2 && !strcmp(name, "blocks.0.mlp.fc1.bias"))
            tensors[count].shape = MCF_SHAPE(tensors[count].shape.dim[0] / 2, 2);
        count++;
    }
    OK(mcf_safetensors_save(path, tensors, count, NULL, NULL, NULL, &err));
}

static mcf_status load_into(const mcf_pretrain_model *model, const mcf_params *params, const char *path, mcf_error *err)
{
    mcf_safetensors *file;
    MCF_TRY(mcf_safetensors_open(&file, path, err));
    mcf_status status = mcf_vit_load(&model->store, &model->online, file, NULL, params, err);
    mcf_safetensors_close(file);
    return status;
}

static void loading(void **state)
{
    (void)state;
    mcf_model_options larger = small_model;
    larger.image_size = 24;
    mcf_pretrain_model *model = make(&small_model, &feature_contrast), *grown = make(&larger, &encoder_only);
    mcf_params params = start(model, 1), other = start(model, 2), wide = start(grown, 3);
    const char *path = temporary("backbone"), *weight = "online_encoder.blocks.1.attn.proj.weight";
    const char *const prefixes[] = {"", "backbone.", "online_encoder."};
    size_t bytes = 16 * 16 * sizeof(float);
    mcf_error err;
    for (int i = 0; i < 3; i++) {
        mcf_pretrain_init(model, 2, &other);
        assert_true(memcmp(at(model, &other, weight), at(model, &params, weight), bytes) != 0);
        save_backbone(model, &params, prefixes[i], 0, path);
        OK(load_into(model, &other, path, &err));
        assert_memory_equal(at(model, &other, weight), at(model, &params, weight), bytes);
    }
    // Another grid: 4 x 4 to 6 x 6.
    float *want = malloc(37 * 16 * sizeof *want);
    mcf_position_resize(at(model, &params, "online_encoder.pos_embed"), 4, 4, want, 6, 6, 16);
    OK(load_into(grown, &wide, path, &err));
    assert_memory_equal(at(grown, &wide, "online_encoder.pos_embed"), want, 37 * 16 * sizeof *want);
    free(want);
    // As a run's start: `init`, the target a copy of it; and as M_1, whose sizes it does not have.
    mcf_model_options started = small_model;
    snprintf(started.init, sizeof started.init, "%.1023s", path);
    mcf_pretrain_model *run = make(&started, &feature_contrast);
    mcf_params first = start(run, 9);
    assert_memory_equal(at(run, &first, "target_encoder.blocks.1.attn.proj.weight"), at(model, &params, weight), bytes);
    mcf_pretrain_destroy(run);
    snprintf(started.teacher_checkpoint, sizeof started.teacher_checkpoint, "%.1023s", path);
    run = make(&started, &feature_contrast);
    assert_int_equal(mcf_pretrain_start(run, 9, &first, &err), MCF_ERR_SHAPE);
    assert_non_null(strstr(err.message, "model.teacher.checkpoint"));
    assert_non_null(strstr(err.message, "missing: online_encoder.blocks.2.norm1.weight"));
    assert_non_null(strstr(err.message, "instead of [1, 1, 12]"));
    assert_non_null(strstr(err.message, " more"));
    mcf_pretrain_destroy(run);
    mcf_params_free(&first);

    save_backbone(model, &params, "", 1, path);
    assert_int_equal(load_into(model, &other, path, &err), MCF_ERR_SHAPE);
    assert_non_null(strstr(err.message, "1 missing: norm.bias"));
    assert_non_null(strstr(err.message, "1 not of this network: head.bias"));
    save_backbone(model, &params, "", 2, path);
    assert_int_equal(load_into(model, &other, path, &err), MCF_ERR_SHAPE);
    assert_non_null(strstr(err.message, "online_encoder.blocks.0.mlp.fc1.bias is [32, 2] instead of [64]"));

    // Which encoder a file has.
    save_backbone(grown, &wide, "backbone.", 0, path);
    mcf_safetensors *file;
    OK(mcf_safetensors_open(&file, path, &err));
    assert_string_equal(mcf_vit_prefix(file, NULL), "backbone.");
    mcf_safetensors_close(file);
    unlink(path);
    mcf_params_free(&params);
    mcf_params_free(&other);
    mcf_params_free(&wide);
    mcf_pretrain_destroy(model);
    mcf_pretrain_destroy(grown);
}

// --- evaluation
static void embed(const mcf_pretrain_model *model, mcf_runtime *runtime, const mcf_embed_graph_options *options,
                  const void *image, float *cls, float *mean)
{
    mcf_graph *graph;
    int64_t pixels = options->batch * options->height * options->width * 3, dim = model->online.stack.dim;
    OK(mcf_embed_graph(model, options, &graph, &err));
    mcf_program *program = program_of(runtime, graph);
    OK(mcf_program_write(program, "image", image, (size_t)pixels * (options->image_u8 ? 1 : sizeof(float)), &err));
    if (options->image_u8)
        OK(mcf_program_write(program, "flip", "\0\1", 2, &err));
    if (mcf_embed_needs_position(model, options))
        OK(mcf_embed_position(model, options, runtime, program, &err));
    OK(mcf_program_run(program, false, false, &err));
    OK(mcf_program_read(program, "cls", cls, options->batch * dim, &err));
    OK(mcf_program_read(program, "mean", mean, options->batch * dim, &err));
    mcf_program_destroy(program);
}

static void close_to(const float *a, const float *b, int count)
{
    double difference = 0, size = 0;
    for (int i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    assert_true(size > 0);
    if (!(sqrt(difference / size) < 1e-5))
        fail_msg("relative error %g", sqrt(difference / size));
}

static void embedding(void **state)
{
    (void)state;
    mcf_model_options larger = small_model;
    larger.image_size = 24;
    mcf_pretrain_model *model = make(&small_model, &encoder_only), *grown = make(&larger, &encoder_only);
    mcf_params params = start(model, 4), wide = start(grown, 5);
    mcf_runtime *runtime = run_on_reference(model, &params, false);
    float cls[32], mean[32], cls2[32], mean2[32];
    // Pixels and their mirror image, normalised on the device or here.
    uint8_t pixels[2 * 16 * 16 * 3];
    float image[2 * 3 * 16 * 16];
    mcf_rng rng = mcf_rng_make(2, MCF_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)mcf_rng_below(&rng, 256);
    for (int b = 0; b < 2; b++)
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 16; y++)
                for (int x = 0; x < 16; x++) {
                    float value = pixels[((b * 16 + y) * 16 + (b ? 15 - x : x)) * 3 + c] / 255.0f;
                    image[((b * 3 + c) * 16 + y) * 16 + x] = (value - mcf_image_mean[c]) / mcf_image_std[c];
                }
    mcf_embed_graph_options options = {.batch = 2, .height = 16, .width = 16, .compute = MCF_F32};
    embed(model, runtime, &options, image, cls, mean);
    options.image_u8 = true;
    embed(model, runtime, &options, pixels, cls2, mean2);
    close_to(cls2, cls, 32);
    close_to(mean2, mean, 32);
    // A larger image: the same as a network of that size that loads these weights.
    const char *path = temporary("embed");
    save_backbone(model, &params, "", 0, path);
    OK(load_into(grown, &wide, path, &err));
    unlink(path);
    mcf_runtime *second = run_on_reference(grown, &wide, false);
    float *big = random_floats(2 * 3 * 24 * 24, 1);
    options = (mcf_embed_graph_options){.batch = 2, .height = 24, .width = 24, .compute = MCF_F32};
    assert_true(mcf_embed_needs_position(model, &options));
    assert_false(mcf_embed_needs_position(grown, &options));
    embed(model, runtime, &options, big, cls, mean);
    embed(grown, second, &options, big, cls2, mean2);
    close_to(cls2, cls, 32);
    close_to(mean2, mean, 32);
    options.width = 12;
    embed(model, runtime, &options, big, cls, mean);
    assert_true(isfinite(cls[0]) && memcmp(cls, cls2, sizeof cls) != 0);
    mcf_error err;
    mcf_graph *graph;
    options.width = 13;
    assert_int_equal(mcf_embed_graph(model, &options, &graph, &err), MCF_ERR_SHAPE);
    free(big);
    mcf_runtime_destroy(runtime);
    mcf_runtime_destroy(second);
    mcf_params_free(&params);
    mcf_params_free(&wide);
    mcf_pretrain_destroy(model);
    mcf_pretrain_destroy(grown);
}

// The pseudo image is the prediction put in place; a decoder of normalised patches is brought back to their
// scale.
static void reconstruction(void **state)
{
    (void)state;
    enum { B = 2, L = 16, N = 48, S = 16, P = 4 };
    mcf_error err;
    float *image = random_floats(B * 3 * S * S, 2);
    int64_t ids[B * L];
    mcf_rng rng = mcf_rng_make(3, MCF_RNG_TEST, 0, 0);
    for (int b = 0; b < B; b++)
        mcf_rng_permutation(&rng, ids + b * L, L);
    for (int norm = 0; norm < 2; norm++) {
        mcf_objective_options objective = {.mask_ratio = 0.75, .pixel_weight = 1, .per_patch_norm = norm};
        mcf_pretrain_model *model = make(&small_model, &objective);
        mcf_params params = start(model, 6);
        mcf_runtime *runtime = run_on_reference(model, &params, false);
        mcf_reconstruct_graph_options options = {.batch = B, .compute = MCF_F32};
        mcf_graph *graph;
        OK(mcf_reconstruct_graph(model, &options, &graph, &err));
        mcf_program *program = program_of(runtime, graph);
        mcf_inputs inputs = {0};
        mcf_inputs_begin(&inputs, B);
        OK(mcf_inputs_point(&inputs, "image", image, 3 * S * S * sizeof *image, &err));
        OK(mcf_reconstruct_inputs(model, ids, &inputs, &err));
        OK(mcf_inputs_write(&inputs, program, 0, B, &err));
        mcf_inputs_free(&inputs);
        OK(mcf_program_run(program, false, false, &err));
        float pred[B * L * N], pseudo[B * 3 * S * S];
        OK(mcf_program_read(program, "out.pred", pred, B * L * N, &err));
        OK(mcf_program_read(program, "pseudo", pseudo, B * 3 * S * S, &err));
        for (int b = 0; b < B; b++)
            for (int l = 0; l < L; l++) {
                double sum = 0, squares = 0;
                for (int k = 0; k < N; k++) {
                    double v = image[((b * 3 + k % 3) * S + l / 4 * P + k / 12) * S + l % 4 * P + k / 3 % 4];
                    sum += v;
                    squares += v * v;
                }
                double mean = sum / N, deviation = sqrt((squares - sum * mean) / (N - 1));
                for (int k = 0; k < N; k++) {
                    double want = pred[(b * L + l) * N + k];
                    float got = pseudo[((b * S + l / 4 * P + k / 12) * S + l % 4 * P + k / 3 % 4) * 3 + k % 3];
                    want = norm ? want * deviation + mean : want;
                    assert_true(fabs(got - want) < 1e-4);
                }
            }
        mcf_program_destroy(program);
        mcf_runtime_destroy(runtime);
        mcf_params_free(&params);
        mcf_pretrain_destroy(model);
    }
    mcf_pretrain_model *model = make(&small_model, &encoder_only);
    mcf_graph *graph;
    assert_int_equal(mcf_reconstruct_graph(model, &(mcf_reconstruct_graph_options){.batch = 1}, &graph, &err),
                     MCF_ERR_USAGE);
    assert_int_equal(mcf_pretrain_graph(model, &(mcf_step_graph_options){.batch = 1, .world = 1}, &graph, &err),
                     MCF_ERR_USAGE);
    mcf_pretrain_destroy(model);
    free(image);
}

// --- what is kept
static void gradients_only_of_trained(void **state)
{
    (void)state;
    mcf_pretrain_model *model = make(&small_model, &feature_contrast);
    const mcf_store *store = &model->store;
    mcf_step_graph_options options = {.batch = 3, .world = 1, .compute = MCF_F32, .backward = true, .average = true};
    mcf_graph *graph;
    OK(mcf_pretrain_graph(model, &options, &graph, &err));
    for (int i = 0; i < store->count; i++) {
        bool trained = store->entries[i].role == MCF_ROLE_TRAINED;
        bool has = mcf_gradient(graph, mcf_param(graph, store, i)) != MCF_NO_VALUE;
        if (trained != has)
            fail_msg("%s has %s gradient", store->entries[i].name, has ? "a" : "no");
    }
    mcf_graph_destroy(graph);
    mcf_pretrain_destroy(model);
}

// Arena of a training step without contrastive term, depth of the parts as given.
static double arena(int encoder, int decoder, int teacher, mcf_recompute recompute)
{
    mcf_model_options options = small_model;
    mcf_objective_options objective = {.mask_ratio = 0.75, .feature_weight = 1};
    options.encoder = options.decoder = options.teacher =
        (mcf_vit_options){.dim = 32, .depth = 2, .heads = 2, .mlp_ratio = 4};
    options.encoder.depth = encoder;
    options.decoder.depth = decoder;
    options.teacher.depth = teacher;
    options.teacher_blocks[0] = teacher;
    options.teacher_block_count = 1;
    options.recompute = recompute;
    mcf_pretrain_model *model = make(&options, &objective);
    mcf_params params = start(model, 0);
    mcf_runtime *runtime = run_on_reference(model, &params, true);
    mcf_step_graph_options graph_options = {.batch = 4, .world = 1, .compute = MCF_F32, .backward = true};
    mcf_graph *graph;
    OK(mcf_pretrain_graph(model, &graph_options, &graph, &err));
    mcf_program *program = program_of(runtime, graph);
    mcf_program_stats stats;
    mcf_program_describe(program, &stats);
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_params_free(&params);
    mcf_pretrain_destroy(model);
    return (double)stats.arena_bytes;
}

// In units of tokens x width x 4 bytes a block of M_1 needs for its input's gradient qkv (3), the attention's
// result (1), both sums (2) and the hidden layer before GELU (4): 10 and the rows' statistics, once, for the
// pseudo image. A block that is trained needs the inputs of its products as well: both norms (2); GELU's
// result, another 4, is made again from what stands before it.
static void frozen_blocks_keep_little(void **state)
{
    (void)state;
    double unit = 4 * 17 * 32 * 4.0;
    double frozen = (arena(2, 2, 6, MCF_RECOMPUTE_NONE) - arena(2, 2, 4, MCF_RECOMPUTE_NONE)) / 2 / unit;
    double trained = (arena(2, 6, 2, MCF_RECOMPUTE_NONE) - arena(2, 4, 2, MCF_RECOMPUTE_NONE)) / 2 / unit;
    print_message("kept a block: M_1 %.2f, decoder %.2f units\n", frozen, trained);
    assert_true(frozen > 9 && frozen < 11);
    assert_true(trained > 11 && trained < 13.5);
    double recomputed = (arena(2, 6, 2, MCF_RECOMPUTE_BLOCKS) - arena(2, 4, 2, MCF_RECOMPUTE_BLOCKS)) / 2 / unit;
    print_message("with recompute: decoder %.2f units\n", recomputed);
    assert_true(recomputed > 1.9 && recomputed < 2.3); // the sum and the branch that is added next
}

// recompute: blocks gives the same bits.
static void recompute_is_exact(void **state)
{
    (void)state;
    const char *const backends[] = {"cpu-reference", "cpu"}, *const cases[] = {"all_terms", "teacher_narrow"};
    const char *const sets[] = {"model.recompute=none", "model.recompute=blocks", "precision=bf16"};
    for (int i = 0; i < 8; i++) {
        char config_path[4096], init[4096], batch[4096], out[2][4096];
        const char *name = cases[i / 2 % 2], *backend = backends[i / 4];
        bool bf16 = i % 2;
        snprintf(config_path, sizeof config_path, "%s/tests/golden/%s/config.yaml", MCF_SOURCE_DIR, name);
        snprintf(init, sizeof init, "%s/tests/golden/%s/params.safetensors", MCF_SOURCE_DIR, name);
        snprintf(batch, sizeof batch, "%s/tests/golden/%s/batch.safetensors", MCF_SOURCE_DIR, name);
        for (int k = 0; k < 2; k++) {
            mcf_config config;
            const char *const chosen[] = {sets[k], sets[2]};
            OK(mcf_config_load(&config, config_path, chosen, bf16 ? 2 : 1, &err));
            snprintf(out[k], sizeof out[k], "%s", temporary(k ? "recomputed" : "kept"));
            mcf_step_options options = {
                .job = {.backend = backend}, .init = init, .batch = batch, .out = out[k], .steps = 2};
            OK(mcf_step(&config, &options, NULL, &err));
            mcf_config_free(&config);
        }
        mcf_safetensors *a, *b;
        OK(mcf_safetensors_open(&a, out[0], &err));
        OK(mcf_safetensors_open(&b, out[1], &err));
        assert_int_equal(mcf_safetensors_count(a), mcf_safetensors_count(b));
        for (size_t t = 0; t < mcf_safetensors_count(a); t++) {
            const mcf_safetensors_entry *entry = mcf_safetensors_at(a, t);
            float *x = judge_read(a, entry->name, -1), *y = judge_read(b, entry->name, (int64_t)entry->count);
            if (!x || !y || memcmp(x, y, (size_t)entry->size))
                fail_msg("%s, %s on %s%s: differs", name, entry->name, backend, bf16 ? ", bf16" : "");
            free(x);
            free(y);
        }
        mcf_safetensors_close(a);
        mcf_safetensors_close(b);
        unlink(out[0]);
        unlink(out[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test(first_values),
        cmocka_unit_test(options_refused),
        cmocka_unit_test(sine_cosine),
        cmocka_unit_test(resized_table),
        cmocka_unit_test(masks),
        cmocka_unit_test(loading),
        cmocka_unit_test(embedding),
        cmocka_unit_test(reconstruction),
        cmocka_unit_test(gradients_only_of_trained),
        cmocka_unit_test(frozen_blocks_keep_little),
        cmocka_unit_test(recompute_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
