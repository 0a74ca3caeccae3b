#include "train/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/tasks/list.h"

// On every device of this process, each in its thread.
static mcf_status on_devices(mcf_engine *engine, mcf_job_task task, void *context, mcf_error *err)
{
    return engine->job ? mcf_job_run(engine->job, task, context, err) : task(0, context, err);
}

// --- making and ending

typedef struct {
    mcf_engine *engine;
    bool training;
} create_task;

static mcf_status create_runtime(int rank, void *context, mcf_error *err)
{
    const create_task *t = context;
    mcf_engine *engine = t->engine;
    const mcf_backend *backend = mcf_job_backend(engine->job);
    mcf_device_info info;
    MCF_TRY(backend->device_info(mcf_job_device_index(engine->job, rank), &info, err));
    if (!(info.dtypes >> engine->compute & 1))
        return mcf_fail(err, MCF_ERR_UNSUPPORTED,
                        "precision: %s is not available on %s (%s): see `mcf devices` for what it computes in",
                        mcf_dtype_name(engine->compute), backend->name, info.name);
    const mcf_runtime_options options = {
        .backend = backend,
        .device_index = mcf_job_device_index(engine->job, rank),
        .device = {.threads = mcf_job_threads(engine->job), .opened = engine->local},
        .member = *mcf_job_member(engine->job, rank),
        .low_precision = engine->compute,
        .training = t->training,
    };
    return mcf_runtime_create(engine->objective.store, &options, mcf_job_device(engine->job, rank),
                              &engine->runtime[rank], err);
}

static mcf_status destroy_runtime(int rank, void *context, mcf_error *err)
{
    mcf_engine *engine = context;
    if (engine->runtime[rank])
        mcf_runtime_destroy(engine->runtime[rank]);
    engine->runtime[rank] = NULL;
    return MCF_OK;
}

static mcf_status new_engine(mcf_engine **out, const mcf_config *config, mcf_error *err)
{
    const mcf_task *task = mcf_task_of(config);
    *out = NULL;
    mcf_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the model");
    engine->task = task;
    engine->config = config;
    engine->compute = mcf_precision_dtype(config->precision);
    mcf_status status = task->add(config, &engine->objective, err);
    if (status == MCF_OK)
        *out = engine;
    else
        free(engine);
    return status;
}

mcf_status mcf_engine_create(mcf_engine **out, const mcf_config *config, const mcf_job_options *job, bool training,
                             mcf_error *err)
{
    mcf_engine *engine;
    *out = NULL;
    MCF_TRY(new_engine(&engine, config, err));
    mcf_status status = mcf_params_create(engine->objective.store, &engine->params, err);
    engine->params.allow_nonfinite = engine->config->model.allow_nonfinite;
    if (status == MCF_OK)
        status = mcf_job_create(&engine->job, job, err);
    if (status == MCF_OK) {
        engine->cluster = mcf_job_cluster(engine->job);
        engine->world = mcf_job_world(engine->job);
        engine->local = mcf_job_size(engine->job);
        engine->first = mcf_job_member(engine->job, 0)->rank;
        create_task task = {engine, training};
        status = mcf_job_run(engine->job, create_runtime, &task, err);
    }
    if (status != MCF_OK) {
        mcf_engine_destroy(engine);
        return status;
    }
    *out = engine;
    return MCF_OK;
}

mcf_status mcf_engine_create_on(mcf_engine **out, const mcf_config *config, const mcf_runtime_options *device,
                                mcf_error *err)
{
    mcf_engine *engine;
    *out = NULL;
    MCF_TRY(new_engine(&engine, config, err));
    engine->world = device->member.world;
    engine->first = device->member.rank;
    engine->local = 1;
    mcf_status status = mcf_runtime_create(engine->objective.store, device, NULL, &engine->runtime[0], err);
    if (status != MCF_OK) {
        mcf_engine_destroy(engine);
        return status;
    }
    *out = engine;
    return MCF_OK;
}

void mcf_engine_destroy(mcf_engine *engine)
{
    if (!engine)
        return;
    on_devices(engine, destroy_runtime, engine, NULL);
    mcf_job_destroy(engine->job);
    mcf_params_free(&engine->params);
    engine->objective.destroy(engine->objective.model);
    free(engine);
}

// --- parameters

static mcf_status upload(int rank, void *context, mcf_error *err)
{
    mcf_engine *engine = context;
    return mcf_params_upload(&engine->params, engine->runtime[rank], err);
}

// The host arrays are as large as the model, and not read again before a download has filled them: their memory
// goes back, and untouched zeros take its place.
mcf_status mcf_engine_upload(mcf_engine *engine, mcf_error *err)
{
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        MCF_TRY(mcf_engine_share(engine, engine->params.role[role],
                                 (uint64_t)engine->objective.store->role_count[role] * sizeof(float), err));
    MCF_TRY(on_devices(engine, upload, engine, err));
    mcf_params_free(&engine->params);
    return mcf_params_create(engine->objective.store, &engine->params, err);
}

mcf_status mcf_engine_share(const mcf_engine *engine, void *values, uint64_t bytes, mcf_error *err)
{
    return engine->cluster ? mcf_cluster_broadcast(engine->cluster, 0, values, bytes, true, err) : MCF_OK;
}

static mcf_status download(int rank, void *context, mcf_error *err)
{
    mcf_engine *engine = context;
    return rank == 0 ? mcf_params_download(&engine->params, engine->runtime[0], err) : MCF_OK;
}

mcf_status mcf_engine_download(mcf_engine *engine, mcf_error *err)
{
    return on_devices(engine, download, engine, err);
}

typedef struct {
    mcf_engine *engine;
    mcf_array which;
    mcf_role role;
    const float *from;
    float *to;
} role_task;

static mcf_status write_role(int rank, void *context, mcf_error *err)
{
    role_task *t = context;
    return mcf_runtime_write_role(t->engine->runtime[rank], t->which, t->role, t->from, err);
}

static mcf_status read_role(int rank, void *context, mcf_error *err)
{
    role_task *t = context;
    return rank == 0 ? mcf_runtime_read_role(t->engine->runtime[0], t->which, t->role, t->to, err) : MCF_OK;
}

mcf_status mcf_engine_write_role(mcf_engine *engine, mcf_array which, mcf_role role, const float *values,
                                 mcf_error *err)
{
    role_task task = {.engine = engine, .which = which, .role = role, .from = values};
    return on_devices(engine, write_role, &task, err);
}

mcf_status mcf_engine_read_role(mcf_engine *engine, mcf_array which, mcf_role role, float *values, mcf_error *err)
{
    role_task task = {.engine = engine, .which = which, .role = role, .to = values};
    return on_devices(engine, read_role, &task, err);
}

mcf_status mcf_engine_share_statistics(mcf_engine *engine, mcf_error *err)
{
    const size_t count = (size_t)engine->objective.store->role_count[MCF_ROLE_TARGET_STATS];
    if (count == 0 || engine->world == 1)
        return MCF_OK;
    float *values = malloc(count * sizeof *values);
    if (!values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the running statistics");
    mcf_status status = mcf_engine_read_role(engine, MCF_ARRAY_MASTER, MCF_ROLE_TARGET_STATS, values, err);
    if (status == MCF_OK)
        status = mcf_engine_share(engine, values, count * sizeof *values, err);
    if (status == MCF_OK)
        status = mcf_engine_write_role(engine, MCF_ARRAY_MASTER, MCF_ROLE_TARGET_STATS, values, err);
    free(values);
    return status;
}

static mcf_status refresh(int rank, void *context, mcf_error *err)
{
    mcf_engine *engine = context;
    return mcf_runtime_refresh(engine->runtime[rank], err);
}

mcf_status mcf_engine_refresh(mcf_engine *engine, mcf_error *err)
{
    return on_devices(engine, refresh, engine, err);
}

// --- micro-batches

mcf_status mcf_engine_program(mcf_engine *engine, int rank, const mcf_micro_options *options, mcf_program **program,
                              mcf_error *err)
{
    char key[128];
    snprintf(key, sizeof key, "step b%lld %s u8=%d out=%d back=%d avg=%d eval=%d", (long long)options->batch,
             mcf_dtype_name(engine->compute), options->image_u8, options->outputs, options->backward, options->average,
             options->evaluate);
    mcf_runtime *runtime = engine->runtime[rank];
    *program = mcf_runtime_cached(runtime, key);
    if (*program)
        return MCF_OK;
    const mcf_step_graph_options graph_options = {
        .batch = options->batch,
        .world = engine->world,
        .compute = engine->compute,
        .image_u8 = options->image_u8,
        .outputs = options->outputs,
        .backward = options->backward,
        .average = options->average,
        .evaluate = options->evaluate,
    };
    mcf_graph *graph;
    MCF_TRY(engine->objective.build(&engine->objective, &graph_options, &graph, err));
    MCF_TRY(mcf_program_create(runtime, graph, program, err));
    return mcf_runtime_cache(runtime, key, *program, err);
}

typedef struct {
    mcf_engine *engine;
    const mcf_micro_options *options;
    const mcf_inputs *inputs;
    const char *name; // of an output
    mcf_shape *shape;
    float *values;
} micro_task;

static mcf_status run(int rank, void *context, mcf_error *err)
{
    micro_task *t = context;
    const mcf_micro_options *o = t->options;
    const mcf_losses losses = mcf_losses_of(&t->engine->objective);
    mcf_program *program;
    MCF_TRY(mcf_engine_program(t->engine, rank, o, &program, err));
    MCF_TRY(mcf_inputs_write(t->inputs, program, rank * o->batch, o->batch, err));
    if (o->backward)
        MCF_TRY(mcf_program_write(program, "loss_scale", &o->loss_scale, sizeof o->loss_scale, err));
    MCF_TRY(mcf_program_run(program, o->accumulate, o->reduce, err));
    for (int i = 0; i < losses.count && mcf_program_has_output(program, losses.name[i]); i++)
        MCF_TRY(mcf_program_keep(program, losses.name[i], o->number * losses.count + i, err));
    return MCF_OK;
}

mcf_status mcf_engine_run(mcf_engine *engine, const mcf_micro_options *options, const mcf_inputs *inputs,
                          mcf_error *err)
{
    micro_task task = {.engine = engine, .options = options, .inputs = inputs};
    return on_devices(engine, run, &task, err);
}

typedef struct {
    mcf_engine *engine;
    int count;
    float *values; // [world, count]
} kept_task;

static mcf_status read_kept(int rank, void *context, mcf_error *err)
{
    const kept_task *t = context;
    return mcf_runtime_kept(t->engine->runtime[rank], t->values + (t->engine->first + rank) * t->count, t->count, err);
}

// The device on which a loss became NaN or infinite. Contrast carries it to all others, so the terms that stay on a
// device are asked first; -1 where they do not single one out.
static int bad_device(const mcf_engine *engine, const float *values, int stride)
{
    const mcf_objective *objective = &engine->objective;
    int found = -1, own = 0, all = 0, first = -1;
    for (int device = 0; device < engine->world; device++) {
        const float *total = values + (int64_t)device * stride, *term = total + 1;
        bool here = false;
        for (int i = 0; i < objective->term_count; i++)
            here = here || (objective->term[i].local && !isfinite(term[i]));
        if (here && !own++)
            found = device;
        if (!isfinite(*total) && !all++)
            first = device;
    }
    return own && own < engine->world ? found : !own && all < engine->world ? first : engine->world == 1 ? first : -1;
}

mcf_status mcf_engine_losses(mcf_engine *engine, int count, mcf_losses *losses, mcf_error *err)
{
    const mcf_losses none = mcf_losses_of(&engine->objective);
    kept_task task = {engine, count * none.count, NULL};
    task.values = calloc((size_t)(engine->world * task.count), sizeof *task.values);
    if (!task.values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the losses");
    mcf_status status = on_devices(engine, read_kept, &task, err);
    if (status == MCF_OK && engine->cluster)
        status = mcf_cluster_gather(engine->cluster, task.values + engine->first * task.count, task.values,
                                    (uint64_t)(engine->local * task.count) * sizeof *task.values, false, err);
    for (int i = 0; status == MCF_OK && i < count; i++) {
        const float *values = task.values + i * none.count;
        losses[i] = none;
        for (int term = 0; term < none.count; term++)
            for (int rank = 0; rank < engine->world; rank++)
                losses[i].value[term] += (double)values[rank * task.count + term] / engine->world;
        losses[i].bad_device = bad_device(engine, values, task.count);
    }
    free(task.values);
    return status;
}

static mcf_status find_output(int rank, void *context, mcf_error *err)
{
    micro_task *t = context;
    mcf_program *program;
    if (rank != 0)
        return MCF_OK;
    MCF_TRY(mcf_engine_program(t->engine, rank, t->options, &program, err));
    t->shape->rank = -1;
    if (!mcf_program_has_output(program, t->name))
        return MCF_OK;
    MCF_TRY(mcf_program_output_shape(program, t->name, t->shape, err));
    t->shape->dim[0] *= t->engine->world;
    return MCF_OK;
}

mcf_status mcf_engine_output_shape(mcf_engine *engine, const mcf_micro_options *options, const char *name,
                                   mcf_shape *shape, mcf_error *err)
{
    micro_task task = {.engine = engine, .options = options, .name = name, .shape = shape};
    return on_devices(engine, find_output, &task, err);
}

// Values: the rows of this process alone.
static mcf_status read_output(int rank, void *context, mcf_error *err)
{
    micro_task *t = context;
    const int64_t count = mcf_shape_count(t->shape) / t->engine->world;
    mcf_program *program;
    MCF_TRY(mcf_engine_program(t->engine, rank, t->options, &program, err));
    return mcf_program_read(program, t->name, t->values + rank * count, count, err);
}

mcf_status mcf_engine_output_own(mcf_engine *engine, const mcf_micro_options *options, const char *name, float *values,
                                 mcf_error *err)
{
    mcf_shape shape;
    MCF_TRY(mcf_engine_output_shape(engine, options, name, &shape, err));
    if (shape.rank < 1)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the step has no output named %s", name);
    micro_task task = {.engine = engine, .options = options, .name = name, .shape = &shape, .values = values};
    return on_devices(engine, read_output, &task, err);
}

mcf_status mcf_engine_output(mcf_engine *engine, const mcf_micro_options *options, const char *name, float *values,
                             mcf_error *err)
{
    mcf_shape shape;
    MCF_TRY(mcf_engine_output_shape(engine, options, name, &shape, err));
    const int64_t count = shape.rank < 1 ? 0 : mcf_shape_count(&shape) / engine->world;
    float *own = values + engine->first * count;
    MCF_TRY(mcf_engine_output_own(engine, options, name, own, err));
    const uint64_t bytes = (uint64_t)count * (uint64_t)engine->local * sizeof(float);
    return engine->cluster ? mcf_cluster_gather(engine->cluster, own, values, bytes, false, err) : MCF_OK;
}

// --- optimiser

typedef struct {
    mcf_engine *engine;
    const mcf_adamw_step *step;
    double momentum, norm2;
} update_task;

static mcf_status adamw(int rank, void *context, mcf_error *err)
{
    update_task *t = context;
    return mcf_runtime_adamw(t->engine->runtime[rank], t->step, err);
}

mcf_status mcf_engine_adamw(mcf_engine *engine, const mcf_adamw_step *step, mcf_error *err)
{
    update_task task = {.engine = engine, .step = step};
    return on_devices(engine, adamw, &task, err);
}

static mcf_status ema(int rank, void *context, mcf_error *err)
{
    update_task *t = context;
    return mcf_runtime_ema(t->engine->runtime[rank], t->momentum, err);
}

mcf_status mcf_engine_ema(mcf_engine *engine, double momentum, mcf_error *err)
{
    update_task task = {.engine = engine, .momentum = momentum};
    return on_devices(engine, ema, &task, err);
}

static mcf_status norm2(int rank, void *context, mcf_error *err)
{
    update_task *t = context;
    return rank == 0 ? mcf_runtime_gradient_norm2(t->engine->runtime[0], &t->norm2, err) : MCF_OK;
}

mcf_status mcf_engine_gradient_norm2(mcf_engine *engine, double *out, mcf_error *err)
{
    update_task task = {.engine = engine};
    MCF_TRY(on_devices(engine, norm2, &task, err));
    *out = task.norm2;
    // All act on one number, also where their processors round differently.
    return mcf_engine_share(engine, out, sizeof *out, err);
}
