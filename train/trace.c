#include "train/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/output.h"
#include "run/output.h"
#include "train/optimise.h"

typedef struct {
    mcf_engine *engine;
    mcf_safetensors *init, *file;
    mcf_inputs inputs; // of this process
    int64_t batch;     // images of the file
    // results
    mcf_named_tensor *tensors;
    size_t count, capacity;
} trace;

// --- the steps

static mcf_status read_batch(trace *t, const char *path, mcf_error *err)
{
    mcf_engine *e = t->engine;
    MCF_TRY(mcf_safetensors_open(&t->file, path, err));
    MCF_TRY(e->task->read(e->config, &e->objective, t->file, &t->inputs, err));
    t->batch = t->inputs.rows;
    if (t->batch % e->world)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: a batch of %lld cannot be split evenly among %d devices", path,
                        (long long)t->batch, e->world);
    mcf_inputs_skip(&t->inputs, e->first * t->batch / e->world);
    return MCF_OK;
}

static mcf_status next(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    *inputs = &((trace *)context)->inputs;
    return MCF_OK;
}

// --- results

// Adds a result of `count` floats and gives its memory to the caller to fill; NULL: no memory.
static float *add(trace *t, const char *prefix, const char *name, mcf_shape shape, mcf_error *err)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        mcf_named_tensor *grown = realloc(t->tensors, capacity * sizeof *grown);
        if (!grown) {
            mcf_fail(err, MCF_ERR_NOMEM, "no memory for the results");
            return NULL;
        }
        t->tensors = grown;
        t->capacity = capacity;
    }
    char *full = malloc(strlen(prefix) + strlen(name) + 1);
    float *values = calloc((size_t)mcf_shape_count(&shape) + 1, sizeof *values);
    if (!full || !values) {
        free(full);
        free(values);
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for the results");
        return NULL;
    }
    strcat(strcpy(full, prefix), name);
    t->tensors[t->count++] = (mcf_named_tensor){full, MCF_F32, shape, values};
    return values;
}

static mcf_status add_losses(trace *t, const mcf_losses *losses, mcf_error *err)
{
    for (int i = 0; i < losses->count; i++) {
        float *to = add(t, "", losses->name[i], MCF_SHAPE(1), err);
        if (!to)
            return MCF_ERR_NOMEM;
        *to = (float)losses->value[i];
    }
    return MCF_OK;
}

// Those of the names that the last run's graph has.
static mcf_status add_outputs(trace *t, const mcf_micro_options *options, const char *const *names, mcf_error *err)
{
    for (; *names; names++) {
        mcf_shape shape;
        MCF_TRY(mcf_engine_output_shape(t->engine, options, *names, &shape, err));
        if (shape.rank < 0)
            continue;
        float *to = add(t, "", *names, shape, err);
        if (!to)
            return MCF_ERR_NOMEM;
        MCF_TRY(mcf_engine_output(t->engine, options, *names, to, err));
    }
    return MCF_OK;
}

// Averaged parameters that the checkpoint calls ema.NAME have that name here too.
static mcf_status add_entries(trace *t, const char *prefix, const float *const *roles, bool gradients, mcf_error *err)
{
    const mcf_store *store = t->engine->objective.store;
    const char *given = t->engine->objective.given;
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        if (!roles[entry->role] || (given && !strncmp(entry->name, given, strlen(given))) ||
            (gradients && entry->frozen))
            continue;
        float *to = add(t, strncmp(entry->name, "ema.", 4) ? prefix : "", entry->name, entry->shape, err);
        if (!to)
            return MCF_ERR_NOMEM;
        memcpy(to, roles[entry->role] + entry->offset, (size_t)entry->count * sizeof *to);
    }
    return MCF_OK;
}

static mcf_status add_gradients(trace *t, double scale, mcf_error *err)
{
    mcf_engine *e = t->engine;
    const int64_t trained = e->objective.store->role_count[MCF_ROLE_TRAINED];
    float *gradient = calloc((size_t)trained + 1, sizeof *gradient);
    if (!gradient)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the gradients");
    const float *roles[MCF_ROLE_COUNT] = {[MCF_ROLE_TRAINED] = gradient};
    mcf_status status = mcf_engine_read_role(e, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, gradient, err);
    for (int64_t i = 0; i < trained; i++)
        gradient[i] /= (float)scale; // a power of two
    if (status == MCF_OK)
        status = add_entries(t, "grad.", roles, true, err);
    free(gradient);
    return status;
}

// The evaluation network on the batch, after the last step.
static mcf_status add_evaluation(trace *t, const mcf_step_plan *plan, mcf_error *err)
{
    mcf_engine *e = t->engine;
    const mcf_micro_options options = {.batch = plan->batch, .evaluate = true};
    if (!e->objective.evaluation)
        return MCF_OK;
    MCF_TRY(mcf_engine_share_statistics(e, err));
    MCF_TRY(mcf_engine_run(e, &options, &t->inputs, err));
    return add_outputs(t, &options, e->objective.evaluation, err);
}

static mcf_status collect(trace *t, const mcf_step_plan *plan, const mcf_losses *losses, mcf_error *err)
{
    mcf_engine *e = t->engine;
    const mcf_micro_options micro = mcf_step_micro(e, plan, 0);
    MCF_TRY(add_losses(t, losses, err));
    MCF_TRY(add_outputs(t, &micro, e->objective.outputs, err));
    MCF_TRY(add_gradients(t, plan->loss_scale, err));
    MCF_TRY(mcf_engine_download(e, err));
    const float *roles[MCF_ROLE_COUNT];
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        roles[role] = e->params.role[role];
    MCF_TRY(add_entries(t, "param.", roles, false, err));
    return add_evaluation(t, plan, err);
}

static mcf_status run(trace *t, const mcf_config *config, const mcf_step_options *options, mcf_step_result *result,
                      mcf_error *err)
{
    const int steps = options->steps ? options->steps : 1;
    if (steps < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "steps: %d is not a number of steps; give 1 or more", steps);
    const char *const inputs[] = {options->init, options->batch, config->model.init, config->model.teacher_checkpoint};
    MCF_TRY(mcf_check_output(options->out, inputs, sizeof inputs / sizeof *inputs, err));
    MCF_TRY(
        mcf_output_differs(options->out, (const char *const *)config->files.items, (size_t)config->files.count, err));
    MCF_TRY(mcf_engine_create(&t->engine, config, &options->job, true, err));
    mcf_engine *e = t->engine;
    MCF_TRY(mcf_safetensors_open(&t->init, options->init, err));
    MCF_TRY(e->objective.load(&e->objective, t->init, &e->params, err));
    MCF_TRY(read_batch(t, options->batch, err));
    MCF_TRY(mcf_engine_upload(e, err));
    mcf_step_plan plan = {.micro_batches = 1,
                          .batch = t->batch / e->world,
                          .outputs = true,
                          .loss_scale = config->precision == MCF_PRECISION_FP16 ? 65536 : 1,
                          .lr = mcf_config_peak_rate(config, 1)};
    mcf_losses losses;
    for (int step = 1; step <= steps; step++) {
        plan.number = step;
        MCF_TRY(mcf_optimise_until_finite(e, &plan, next, t, &losses, NULL, err));
    }
    MCF_TRY(collect(t, &plan, &losses, err));
    if (result)
        *result = (mcf_step_result){.loss = losses.value[0], .loss_scale = plan.loss_scale, .batch = t->batch};
    return e->first > 0 ? MCF_OK : mcf_safetensors_save(options->out, t->tensors, t->count, NULL, NULL, NULL, err);
}

mcf_status mcf_step(const mcf_config *config, const mcf_step_options *options, mcf_step_result *result, mcf_error *err)
{
    trace t = {0};
    mcf_status status = run(&t, config, options, result, err);
    for (size_t i = 0; i < t.count; i++) {
        free((char *)t.tensors[i].name);
        free(t.tensors[i].data);
    }
    free(t.tensors);
    mcf_inputs_free(&t.inputs);
    mcf_safetensors_close(t.init);
    mcf_safetensors_close(t.file);
    mcf_engine_destroy(t.engine);
    return status;
}
