#include "train/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "train/engine.h"
#include "run/output.h"

typedef struct {
    mcf_engine *engine;
    mcf_safetensors *init, *inputs;
    int64_t batch, patches, side; // whole batch
    float *image, *image2;        // image2: MoCo-v3's second view
    int64_t *ids, *ids_target;
    float *target, *stats; // copies, so that an attempt that does not count leaves no trace
    // results
    mcf_named_tensor *tensors;
    size_t count, capacity;
} step_job;

static void *take(size_t count, size_t size, const char *what, mcf_error *err)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for %s", what);
    return memory;
}

// --- inputs

// Names the file lacks and names nobody asked for, all in one message.
static mcf_status check_names(const step_job *s, mcf_error *err)
{
    const bool target = s->engine->model->contrastive, moco = s->engine->model->moco;
    const char *const of_mcf[] = {"image", "ids_shuffle", "ids_shuffle_target"}, *const of_moco[] = {"image1",
                                                                                                     "image2"};
    const char *const *known = moco ? of_moco : of_mcf;
    const int names = moco ? 2 : 3;
    char missing[128] = "", extra[512] = "";
    for (int i = 0; i < names; i++)
        if ((i < 2 || target) && !mcf_safetensors_find(s->inputs, known[i]))
            snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s", known[i]);
    for (size_t i = 0; i < mcf_safetensors_count(s->inputs); i++) {
        const char *name = mcf_safetensors_at(s->inputs, i)->name;
        bool found = false;
        for (int k = 0; k < names; k++)
            found = found || strcmp(name, known[k]) == 0;
        if (!found && strlen(extra) + strlen(name) + 6 < sizeof extra)
            sprintf(extra + strlen(extra), " %s", name);
        else if (!found && strlen(extra) > 4 && strcmp(extra + strlen(extra) - 4, " ...") != 0)
            strcat(extra, " ...");
    }
    if (missing[0] || extra[0])
        return mcf_fail(err, MCF_ERR_FORMAT, "%s:%s%s%s%s%s; a pre-training batch holds %s%s",
                        mcf_safetensors_path(s->inputs), missing[0] ? " missing:" : "", missing,
                        missing[0] && extra[0] ? ";" : "", extra[0] ? " extra:" : "", extra,
                        moco ? "image1 and image2" : "image, ids_shuffle", target ? " and ids_shuffle_target" : "");
    return MCF_OK;
}

static mcf_status read_image(step_job *s, const char *name, float **pixels, mcf_error *err)
{
    const mcf_safetensors_entry *image = mcf_safetensors_find(s->inputs, name);
    const mcf_shape expected = MCF_SHAPE(s->batch, 3, s->side, s->side);
    char got[128], want[128];
    if (!mcf_shape_equal(&image->shape, &expected) || s->batch < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: %s is %s; model.image_size asks for %s",
                        mcf_safetensors_path(s->inputs), name, mcf_shape_print(&image->shape, got, sizeof got),
                        mcf_shape_print(&expected, want, sizeof want));
    *pixels = take((size_t)image->count, sizeof **pixels, "the images", err);
    return *pixels ? mcf_safetensors_read_f32(s->inputs, image, *pixels, err) : MCF_ERR_NOMEM;
}

static mcf_status read_batch(step_job *s, mcf_error *err)
{
    MCF_TRY(check_names(s, err));
    const bool moco = s->engine->model->moco;
    const mcf_safetensors_entry *image = mcf_safetensors_find(s->inputs, moco ? "image1" : "image");
    s->side = s->engine->model->model.image_size;
    s->patches = s->engine->model->patches;
    s->batch = image->shape.rank > 0 ? image->shape.dim[0] : 0;
    MCF_TRY(read_image(s, moco ? "image1" : "image", &s->image, err));
    if (s->batch % s->engine->world)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: a batch of %lld cannot be split evenly among %d devices",
                        mcf_safetensors_path(s->inputs), (long long)s->batch, s->engine->world);
    if (moco)
        return read_image(s, "image2", &s->image2, err);
    const mcf_shape ids = MCF_SHAPE(s->batch, s->patches);
    s->ids = take((size_t)(s->batch * s->patches), sizeof *s->ids, "the masks", err);
    s->ids_target = take((size_t)(s->batch * s->patches), sizeof *s->ids_target, "the masks", err);
    if (!s->ids || !s->ids_target)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_safetensors_read_exact(s->inputs, "ids_shuffle", MCF_I64, &ids, s->ids, err));
    if (mcf_safetensors_find(s->inputs, "ids_shuffle_target"))
        return mcf_safetensors_read_exact(s->inputs, "ids_shuffle_target", MCF_I64, &ids, s->ids_target, err);
    memcpy(s->ids_target, s->ids, (size_t)(s->batch * s->patches) * sizeof *s->ids);
    return MCF_OK;
}

// --- the steps

static bool averages(const mcf_engine *e, const mcf_config *config)
{
    return e->model->moco || (e->model->contrastive && config->objective.momentum_update == MCF_EMA_MICRO_BATCH);
}

// The batch from this row on.
static mcf_pretrain_batch part_of(const step_job *s, const mcf_config *config, int64_t row)
{
    const int64_t pixels = row * 3 * s->side * s->side, ids = row * s->patches;
    if (s->engine->model->moco)
        return (mcf_pretrain_batch){
            .image = s->image + pixels, .image2 = s->image2 + pixels, .momentum = (float)config->objective.momentum};
    return (mcf_pretrain_batch){
        .image = s->image + pixels, .ids_shuffle = s->ids + ids, .ids_shuffle_target = s->ids_target + ids};
}

static mcf_status one_step(step_job *s, const mcf_config *config, int step, float *scale, mcf_losses *losses,
                           mcf_error *err)
{
    mcf_engine *e = s->engine;
    const int64_t share = s->batch / e->world;
    const bool average = averages(e, config);
    const mcf_micro_options options = {
        .batch = share, .outputs = true, .backward = true, .average = average, .reduce = true, .loss_scale = *scale};
    mcf_pretrain_batch batches[MCF_MAX_DEVICES];
    for (int i = 0; i < e->local; i++)
        batches[i] = part_of(s, config, (e->first + i) * share);
    if (e->model->contrastive && !average)
        MCF_TRY(mcf_engine_ema(e, config->objective.momentum, err));
    mcf_status status = mcf_engine_run(e, &options, batches, losses, err);
    if (status == MCF_ERR_FORMAT)
        return mcf_add_context(err, status, "%s", mcf_safetensors_path(s->inputs));
    MCF_TRY(status);
    if (!isfinite(losses->total))
        return mcf_fail(err, MCF_ERR_NUMERIC, "step %d: the loss is %g (feature %g, contrastive %g, pixel %g)", step,
                        losses->total, losses->feature, losses->contrastive, losses->pixel);
    return MCF_OK;
}

static mcf_status run_steps(step_job *s, const mcf_config *config, int steps, float *scale, mcf_losses *losses,
                            mcf_error *err)
{
    mcf_engine *e = s->engine;
    const bool scaled = config->precision == MCF_PRECISION_FP16;
    const double lr = mcf_config_peak_rate(config, 1);
    *scale = scaled ? 65536 : 1;
    for (int step = 1; step <= steps; step++) {
        for (;;) {
            if (scaled) {
                MCF_TRY(mcf_engine_read_role(e, MCF_ARRAY_MASTER, MCF_ROLE_TARGET, s->target, err));
                MCF_TRY(mcf_engine_read_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, s->stats, err));
            }
            MCF_TRY(one_step(s, config, step, scale, losses, err));
            const mcf_optimizer_options *o = &config->optimizer;
            const mcf_adamw_step update = {.lr = lr,
                                           .beta1 = o->betas[0],
                                           .beta2 = o->betas[1],
                                           .eps = o->eps,
                                           .weight_decay = o->weight_decay,
                                           .step = step,
                                           .grad_scale = 1 / (double)*scale,
                                           .rate_factor = {1, 1, 1, 1}};
            MCF_TRY(mcf_engine_adamw(e, &update, err));
            double norm2;
            MCF_TRY(mcf_engine_gradient_norm2(e, &norm2, err));
            if (isfinite(norm2))
                break;
            // The optimiser has left everything alone; target and statistics go back to where they were.
            if (!scaled || *scale < 1e-6f)
                return mcf_fail(err, MCF_ERR_NUMERIC, "step %d: the loss is %g but its gradients are not finite", step,
                                losses->total);
            *scale /= 2;
            MCF_TRY(mcf_engine_write_role(e, MCF_ARRAY_MASTER, MCF_ROLE_TARGET, s->target, err));
            MCF_TRY(mcf_engine_write_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, s->stats, err));
            MCF_TRY(mcf_engine_refresh(e, err));
        }
    }
    return MCF_OK;
}

// --- results

// Adds a result of `count` floats and gives its memory to the caller to fill; NULL: no memory.
static float *add(step_job *s, const char *prefix, const char *name, mcf_shape shape, mcf_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        mcf_named_tensor *grown = realloc(s->tensors, capacity * sizeof *grown);
        if (!grown) {
            mcf_fail(err, MCF_ERR_NOMEM, "no memory for the results");
            return NULL;
        }
        s->tensors = grown;
        s->capacity = capacity;
    }
    char *full = malloc(strlen(prefix) + strlen(name) + 1);
    float *values = take((size_t)mcf_shape_count(&shape), sizeof *values, "the results", err);
    if (!full || !values) {
        free(full);
        free(values);
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for the results");
        return NULL;
    }
    strcat(strcpy(full, prefix), name);
    s->tensors[s->count++] = (mcf_named_tensor){full, MCF_F32, shape, values};
    return values;
}

static mcf_status add_loss(step_job *s, const char *name, double value, mcf_error *err)
{
    if (isnan(value))
        return MCF_OK;
    float *to = add(s, "", name, MCF_SHAPE(1), err);
    if (!to)
        return MCF_ERR_NOMEM;
    *to = (float)value;
    return MCF_OK;
}

static mcf_status add_output(step_job *s, const mcf_micro_options *options, const char *name, mcf_shape shape,
                             mcf_error *err)
{
    bool present;
    float *to = add(s, "", name, shape, err);
    if (!to)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_engine_output(s->engine, options, name, mcf_shape_count(&shape) / s->engine->world, to, &present, err));
    if (!present) {
        mcf_named_tensor *last = &s->tensors[--s->count];
        free((char *)last->name);
        free(last->data);
    }
    return MCF_OK;
}

static mcf_status add_entries(step_job *s, const char *prefix, const float *const *roles, mcf_error *err)
{
    const bool gradients = strcmp(prefix, "grad.") == 0;
    const mcf_store *store = &s->engine->model->store;
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        if (!roles[entry->role] || strncmp(entry->name, "perceptual_loss.", 16) == 0 || (gradients && entry->frozen))
            continue;
        float *to = add(s, prefix, entry->name, entry->shape, err);
        if (!to)
            return MCF_ERR_NOMEM;
        memcpy(to, roles[entry->role] + entry->offset, (size_t)entry->count * sizeof *to);
    }
    return MCF_OK;
}

static mcf_status collect(step_job *s, const mcf_config *config, float scale, const mcf_losses *losses, mcf_error *err)
{
    mcf_engine *e = s->engine;
    const bool average = averages(e, config);
    const mcf_micro_options options = {
        .batch = s->batch / e->world, .outputs = true, .backward = true, .average = average};
    MCF_TRY(add_loss(s, "loss", losses->total, err));
    MCF_TRY(add_loss(s, "loss.feature", losses->feature, err));
    MCF_TRY(add_loss(s, "loss.contrastive", losses->contrastive, err));
    MCF_TRY(add_loss(s, "loss.pixel", losses->pixel, err));
    const int64_t patch = config->model.patch_size;
    MCF_TRY(add_output(s, &options, "out.pred", MCF_SHAPE(s->batch, s->patches, patch * patch * 3), err));
    const mcf_shape projected = MCF_SHAPE(s->batch, config->model.projector_out);
    static const char *const vectors[] = {"out.q", "out.k", "out.q1", "out.q2", "out.k1", "out.k2"};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        MCF_TRY(add_output(s, &options, vectors[i], projected, err));

    const int64_t trained = e->model->store.role_count[MCF_ROLE_TRAINED];
    float *gradient = take((size_t)trained, sizeof *gradient, "the gradients", err);
    if (!gradient)
        return MCF_ERR_NOMEM;
    const float *roles[MCF_ROLE_COUNT] = {[MCF_ROLE_TRAINED] = gradient};
    mcf_status status = mcf_engine_read_role(e, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, gradient, err);
    for (int64_t i = 0; i < trained; i++)
        gradient[i] /= scale; // a power of two
    if (status == MCF_OK)
        status = add_entries(s, "grad.", roles, err);
    free(gradient);
    MCF_TRY(status);
    MCF_TRY(mcf_engine_download(e, err));
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        roles[role] = e->params.role[role];
    return add_entries(s, "param.", roles, err);
}

// All of --init; the encoder and M_1 from model.init and model.teacher.checkpoint where --init has none of them.
static mcf_status load_params(step_job *s, const char *path, mcf_error *err)
{
    mcf_pretrain_model *model = s->engine->model;
    MCF_TRY(mcf_safetensors_open(&s->init, path, err));
    const bool init = model->model.init[0] && !mcf_vit_in_file(&model->store, &model->online, s->init);
    const bool teacher = model->feature && model->model.teacher_checkpoint[0] &&
                         strcmp(model->model.teacher_checkpoint, "random") &&
                         !mcf_vit_in_file(&model->store, &model->teacher, s->init);
    const mcf_vit *const elsewhere[2] = {init ? &model->online : NULL, teacher ? &model->teacher : NULL};
    MCF_TRY(mcf_params_load(model, s->init, elsewhere, &s->engine->params, err));
    if (init)
        MCF_TRY(mcf_pretrain_load_init(model, &s->engine->params, err));
    return teacher ? mcf_pretrain_load_teacher(model, &s->engine->params, err) : MCF_OK;
}

static mcf_status step(step_job *s, const mcf_config *config, const mcf_step_options *options, mcf_step_result *result,
                       mcf_error *err)
{
    const int steps = options->steps ? options->steps : 1;
    if (steps < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "steps: %d is not a number of steps; give 1 or more", steps);
    const char *const inputs[] = {options->init, options->batch, config->model.init, config->model.teacher_checkpoint};
    MCF_TRY(mcf_check_output(options->out, inputs, sizeof inputs / sizeof *inputs, err));
    MCF_TRY(mcf_engine_create(&s->engine, config, &options->job, true, err));
    const mcf_store *store = &s->engine->model->store;
    MCF_TRY(load_params(s, options->init, err));
    MCF_TRY(mcf_safetensors_open(&s->inputs, options->batch, err));
    MCF_TRY(read_batch(s, err));
    s->target = take((size_t)store->role_count[MCF_ROLE_TARGET], sizeof *s->target, "the target", err);
    s->stats = take((size_t)store->role_count[MCF_ROLE_STATS], sizeof *s->stats, "the statistics", err);
    if (!s->target || !s->stats)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_engine_upload(s->engine, err));
    float scale;
    mcf_losses losses;
    MCF_TRY(run_steps(s, config, steps, &scale, &losses, err));
    MCF_TRY(collect(s, config, scale, &losses, err));
    if (result)
        *result = (mcf_step_result){.loss = losses.total, .loss_scale = scale, .batch = s->batch};
    return s->engine->first > 0 ? MCF_OK
                                : mcf_safetensors_save(options->out, s->tensors, s->count, NULL, NULL, NULL, err);
}

mcf_status mcf_step(const mcf_config *config, const mcf_step_options *options, mcf_step_result *result, mcf_error *err)
{
    step_job s = {0};
    mcf_status status = step(&s, config, options, result, err);
    for (size_t i = 0; i < s.count; i++) {
        free((char *)s.tensors[i].name);
        free(s.tensors[i].data);
    }
    free(s.tensors);
    free(s.image);
    free(s.image2);
    free(s.ids);
    free(s.ids_target);
    free(s.target);
    free(s.stats);
    mcf_safetensors_close(s.init);
    mcf_safetensors_close(s.inputs);
    mcf_engine_destroy(s.engine);
    return status;
}
