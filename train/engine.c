#include "train/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mcf_dtype mcf_precision_dtype(mcf_precision precision)
{
    switch (precision) {
    case MCF_PRECISION_FP16:
        return MCF_F16;
    case MCF_PRECISION_BF16:
        return MCF_BF16;
    default:
        return MCF_F32;
    }
}

mcf_status mcf_engine_check(const mcf_config *config, mcf_error *err)
{
    if (config->task != MCF_TASK_PRETRAIN)
        return mcf_fail(err, MCF_ERR_USAGE, "task: %s is not in this version, which pre-trains: use task: pretrain",
                        config->task == MCF_TASK_ALIGN ? "align" : "parse");
    return MCF_OK;
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
    return mcf_runtime_create(&engine->model->store, &options, mcf_job_device(engine->job, rank),
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

mcf_status mcf_engine_create(mcf_engine **out, const mcf_config *config, const mcf_job_options *job, bool training,
                             mcf_error *err)
{
    *out = NULL;
    MCF_TRY(mcf_engine_check(config, err));
    mcf_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the model");
    engine->config = config;
    engine->compute = mcf_precision_dtype(config->precision);
    mcf_status status = mcf_pretrain_create(&config->model, &config->objective, &engine->model, err);
    if (status == MCF_OK)
        status = mcf_params_create(&engine->model->store, &engine->params, err);
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

void mcf_engine_destroy(mcf_engine *engine)
{
    if (!engine)
        return;
    if (engine->job)
        mcf_job_run(engine->job, destroy_runtime, engine, NULL);
    mcf_job_destroy(engine->job);
    mcf_params_free(&engine->params);
    mcf_pretrain_destroy(engine->model);
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
                                 (uint64_t)engine->model->store.role_count[role] * sizeof(float), err));
    MCF_TRY(mcf_job_run(engine->job, upload, engine, err));
    mcf_params_free(&engine->params);
    return mcf_params_create(&engine->model->store, &engine->params, err);
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
    return mcf_job_run(engine->job, download, engine, err);
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
    return mcf_job_run(engine->job, write_role, &task, err);
}

mcf_status mcf_engine_read_role(mcf_engine *engine, mcf_array which, mcf_role role, float *values, mcf_error *err)
{
    role_task task = {.engine = engine, .which = which, .role = role, .to = values};
    return mcf_job_run(engine->job, read_role, &task, err);
}

static mcf_status refresh(int rank, void *context, mcf_error *err)
{
    mcf_engine *engine = context;
    return mcf_runtime_refresh(engine->runtime[rank], err);
}

mcf_status mcf_engine_refresh(mcf_engine *engine, mcf_error *err)
{
    return mcf_job_run(engine->job, refresh, engine, err);
}

// --- micro-batches

static mcf_pretrain_graph_options graph_options(const mcf_engine *engine, const mcf_micro_options *options)
{
    return (mcf_pretrain_graph_options){
        .batch = options->batch,
        .world = engine->world,
        .compute = engine->compute,
        .image_u8 = options->image_u8,
        .outputs = options->outputs,
        .backward = options->backward,
        .average = options->average,
    };
}

mcf_status mcf_engine_program(mcf_engine *engine, int rank, const mcf_micro_options *options, mcf_program **program,
                              mcf_error *err)
{
    char key[128];
    snprintf(key, sizeof key, "pretrain b%lld %s u8=%d out=%d back=%d avg=%d", (long long)options->batch,
             mcf_dtype_name(engine->compute), options->image_u8, options->outputs, options->backward, options->average);
    mcf_runtime *runtime = engine->runtime[rank];
    *program = mcf_runtime_cached(runtime, key);
    if (*program)
        return MCF_OK;
    const mcf_pretrain_graph_options graph_opt = graph_options(engine, options);
    mcf_graph *graph;
    MCF_TRY(mcf_pretrain_graph(engine->model, &graph_opt, &graph, err));
    MCF_TRY(mcf_program_create(runtime, graph, program, err));
    return mcf_runtime_cache(runtime, key, *program, err);
}

typedef struct {
    mcf_engine *engine;
    const mcf_micro_options *options;
    const mcf_pretrain_batch *batches;
    const char *name; // of an output
    int64_t count;
    float *values;
    bool present;
} micro_task;

static const char *const loss_names[MCF_LOSS_TERMS] = {"loss", "loss.feature", "loss.contrastive", "loss.pixel"};

static mcf_status run(int rank, void *context, mcf_error *err)
{
    micro_task *t = context;
    mcf_program *program;
    MCF_TRY(mcf_engine_program(t->engine, rank, t->options, &program, err));
    const mcf_pretrain_graph_options graph_opt = graph_options(t->engine, t->options);
    mcf_pretrain_batch batch = t->batches[rank];
    batch.rank = t->engine->first + rank;
    batch.loss_scale = t->options->loss_scale;
    MCF_TRY(mcf_pretrain_write(t->engine->model, &graph_opt, program, &batch, err));
    MCF_TRY(mcf_program_run(program, t->options->accumulate, t->options->reduce, err));
    for (int i = 0; i < MCF_LOSS_TERMS; i++) {
        const bool there = mcf_program_has_output(program, loss_names[i]);
        if (there)
            MCF_TRY(mcf_program_keep(program, loss_names[i], t->options->number * MCF_LOSS_TERMS + i, err));
        if (rank == 0)
            t->engine->has_term[i] = there;
    }
    return MCF_OK;
}

mcf_status mcf_engine_run(mcf_engine *engine, const mcf_micro_options *options, const mcf_pretrain_batch *batches,
                          mcf_losses *losses, mcf_error *err)
{
    micro_task task = {.engine = engine, .options = options, .batches = batches};
    MCF_TRY(mcf_job_run(engine->job, run, &task, err));
    if (!losses)
        return MCF_OK;
    mcf_losses all[options->number + 1];
    MCF_TRY(mcf_engine_losses(engine, options->number + 1, all, err));
    *losses = all[options->number];
    return MCF_OK;
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
    enum { TOTAL, FEATURE, CONTRASTIVE, PIXEL };
    int found = -1, own = 0, all = 0, first = -1;
    for (int device = 0; device < engine->world; device++) {
        const float *of = values + (int64_t)device * stride;
        const bool here =
            (engine->has_term[FEATURE] && !isfinite(of[FEATURE])) || (engine->has_term[PIXEL] && !isfinite(of[PIXEL]));
        if (here && !own++)
            found = device;
        if (!isfinite(of[TOTAL]) && !all++)
            first = device;
    }
    return own && own < engine->world ? found : !own && all < engine->world ? first : engine->world == 1 ? first : -1;
}

mcf_status mcf_engine_losses(mcf_engine *engine, int count, mcf_losses *losses, mcf_error *err)
{
    kept_task task = {engine, count * MCF_LOSS_TERMS, NULL};
    task.values = calloc((size_t)(engine->world * task.count), sizeof *task.values);
    if (!task.values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the losses");
    mcf_status status = mcf_job_run(engine->job, read_kept, &task, err);
    if (status == MCF_OK && engine->cluster)
        status = mcf_cluster_gather(engine->cluster, task.values + engine->first * task.count, task.values,
                                    (uint64_t)(engine->local * task.count) * sizeof *task.values, false, err);
    for (int i = 0; status == MCF_OK && i < count; i++) {
        double mean[MCF_LOSS_TERMS] = {0};
        for (int term = 0; term < MCF_LOSS_TERMS; term++) {
            for (int rank = 0; rank < engine->world; rank++)
                mean[term] += (double)task.values[rank * task.count + i * MCF_LOSS_TERMS + term] / engine->world;
            if (!engine->has_term[term])
                mean[term] = NAN;
        }
        losses[i] = (mcf_losses){mean[0], mean[1], mean[2], mean[3],
                                 bad_device(engine, task.values + i * MCF_LOSS_TERMS, task.count)};
    }
    free(task.values);
    return status;
}

static mcf_status read_output(int rank, void *context, mcf_error *err)
{
    micro_task *t = context;
    mcf_program *program;
    MCF_TRY(mcf_engine_program(t->engine, rank, t->options, &program, err));
    if (!mcf_program_has_output(program, t->name))
        return MCF_OK;
    if (rank == 0)
        t->present = true;
    return mcf_program_read(program, t->name, t->values + (t->engine->first + rank) * t->count, t->count, err);
}

mcf_status mcf_engine_output(mcf_engine *engine, const mcf_micro_options *options, const char *name, int64_t count,
                             float *values, bool *present, mcf_error *err)
{
    micro_task task = {.engine = engine, .options = options, .name = name, .count = count, .values = values};
    MCF_TRY(mcf_job_run(engine->job, read_output, &task, err));
    *present = task.present;
    const uint64_t bytes = (uint64_t)count * (uint64_t)engine->local * sizeof(float);
    return engine->cluster && task.present
               ? mcf_cluster_gather(engine->cluster, values + engine->first * count, values, bytes, false, err)
               : MCF_OK;
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
    return mcf_job_run(engine->job, adamw, &task, err);
}

static mcf_status ema(int rank, void *context, mcf_error *err)
{
    update_task *t = context;
    return mcf_runtime_ema(t->engine->runtime[rank], t->momentum, err);
}

mcf_status mcf_engine_ema(mcf_engine *engine, double momentum, mcf_error *err)
{
    update_task task = {.engine = engine, .momentum = momentum};
    return mcf_job_run(engine->job, ema, &task, err);
}

static mcf_status norm2(int rank, void *context, mcf_error *err)
{
    update_task *t = context;
    return rank == 0 ? mcf_runtime_gradient_norm2(t->engine->runtime[0], &t->norm2, err) : MCF_OK;
}

mcf_status mcf_engine_gradient_norm2(mcf_engine *engine, double *out, mcf_error *err)
{
    update_task task = {.engine = engine};
    MCF_TRY(mcf_job_run(engine->job, norm2, &task, err));
    *out = task.norm2;
    // All act on one number, also where their processors round differently.
    return mcf_engine_share(engine, out, sizeof *out, err);
}
