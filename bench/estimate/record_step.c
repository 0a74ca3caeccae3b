#include "bench/estimate/record_step.h"

#include <stdlib.h>

#include "model/pretrain.h"
#include "train/engine.h"

typedef struct {
    mcf_pretrain_model *model;
    mcf_runtime *runtime;
    mcf_program *program;
    mcf_pretrain_graph_options graph;
    mcf_pretrain_batch batch;
    uint8_t *pixels;
    int64_t *ids;
} recorder;

// Any images and any permutation do: nobody looks at them.
static mcf_status make_batch(recorder *r, mcf_error *err)
{
    const int64_t side = r->model->model.image_size, n = r->graph.batch, patches = r->model->patches;
    r->pixels = calloc((size_t)(n * side * side * 3 + n), 1);
    r->ids = calloc((size_t)(n * patches) + 1, sizeof *r->ids);
    if (!r->pixels || !r->ids)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld images", (long long)n);
    for (int64_t i = 0; i < n * patches; i++)
        r->ids[i] = i % patches;
    uint8_t *flip = r->pixels + n * side * side * 3;
    r->batch = (mcf_pretrain_batch){.image = r->pixels,
                                    .image2 = r->pixels,
                                    .flip = flip,
                                    .flip2 = flip,
                                    .ids_shuffle = r->ids,
                                    .ids_shuffle_target = r->ids,
                                    .momentum = 0.99f,
                                    .loss_scale = 1};
    return MCF_OK;
}

static uint64_t bytes_of(const mcf_store *store, bool low, mcf_dtype dtype)
{
    uint64_t bytes = 0;
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        bool copied = false;
        for (int i = 0; i < store->count; i++)
            copied = copied || (store->entries[i].role == (mcf_role)role && store->entries[i].low_precision);
        copied = copied && dtype != MCF_F32;
        if (low ? copied : !copied || role != MCF_ROLE_FROZEN_WEIGHTS)
            bytes += (uint64_t)store->role_count[role] * (low ? mcf_dtype_size(dtype) : 4);
    }
    return bytes;
}

static mcf_status micro_batch(recorder *r, int number, int accumulate, mcf_error *err)
{
    MCF_TRY(mcf_pretrain_write(r->model, &r->graph, r->program, &r->batch, err));
    return mcf_program_run(r->program, number > 0, number == accumulate - 1, err);
}

static void end_phase(mcf_recorded_step *record, int phase, int times)
{
    const int first = phase ? record->phase[phase - 1].end : 0;
    record->phase[phase] = (mcf_phase){first, record->recording.count, times};
}

static mcf_status run(recorder *r, const mcf_config *config, mcf_recorded_step *record, mcf_error *err)
{
    const mcf_runtime_options options = {
        .backend = mcf_recording_backend(),
        .member = {.rank = 0, .world = record->world, .group = record->world > 1 ? mcf_recording_group() : NULL},
        .low_precision = r->graph.compute,
        .training = true,
    };
    mcf_graph *graph;
    mcf_program_stats stats;
    const mcf_store *store = &r->model->store;
    mcf_recording_use(&record->recording);
    MCF_TRY(mcf_runtime_create(store, &options, NULL, &r->runtime, err));
    MCF_TRY(make_batch(r, err));
    MCF_TRY(mcf_pretrain_graph(r->model, &r->graph, &graph, err));
    MCF_TRY(mcf_program_create(r->runtime, graph, &r->program, err));
    mcf_program_describe(r->program, &stats);
    mcf_recording_clear(&record->recording);

    const int n = record->accumulate;
    if (n > 1)
        MCF_TRY(micro_batch(r, 0, n, err));
    end_phase(record, 0, n > 1);
    if (n > 2)
        MCF_TRY(micro_batch(r, 1, n, err));
    end_phase(record, 1, n > 2 ? n - 2 : 0);
    MCF_TRY(micro_batch(r, n - 1, n, err));
    end_phase(record, 2, 1);
    const mcf_adamw_step update = {
        .lr = 1e-5, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .step = 1, .grad_scale = 1, .rate_factor = {1, 1, 1, 1}};
    if (r->model->contrastive && !r->graph.average)
        MCF_TRY(mcf_runtime_ema(r->runtime, config->objective.momentum, err));
    MCF_TRY(mcf_runtime_adamw(r->runtime, &update, err));
    end_phase(record, 3, 1);

    mcf_step_memory *m = &record->memory;
    const uint64_t trained = (uint64_t)store->role_count[MCF_ROLE_TRAINED] * 4;
    *m = (mcf_step_memory){.masters = bytes_of(store, false, r->graph.compute),
                           .low = bytes_of(store, true, r->graph.compute),
                           .gradients = trained,
                           .moments = 2 * trained,
                           .arena = stats.arena_bytes,
                           .unshared = stats.value_bytes};
    m->all = record->recording.buffers_bytes;
    m->rest = m->all - m->masters - m->low - m->gradients - m->moments - m->arena;
    record->trained = store->role_count[MCF_ROLE_TRAINED];
    record->nodes = stats.nodes;
    record->flops = stats.flops;
    record->bytes = stats.bytes;
    return MCF_OK;
}

mcf_status mcf_record_step(const mcf_config *config, int64_t batch, int world, mcf_recorded_step *record,
                           mcf_error *err)
{
    recorder r = {0};
    *record = (mcf_recorded_step){.batch = batch ? batch : config->batch.per_device,
                                  .accumulate = batch ? 1 : config->batch.accumulate,
                                  .world = world};
    MCF_TRY(mcf_engine_check(config, err));
    mcf_status status = mcf_pretrain_create(&config->model, &config->objective, &r.model, err);
    if (status == MCF_OK) {
        r.graph = (mcf_pretrain_graph_options){
            .batch = record->batch,
            .world = world,
            .compute = mcf_precision_dtype(config->precision),
            .image_u8 = true,
            .backward = true,
            .average =
                r.model->moco || (r.model->contrastive && config->objective.momentum_update == MCF_EMA_MICRO_BATCH),
        };
        status = run(&r, config, record, err);
    }
    mcf_program_destroy(r.program);
    if (r.runtime)
        mcf_runtime_destroy(r.runtime);
    mcf_pretrain_destroy(r.model);
    free(r.pixels);
    free(r.ids);
    if (status != MCF_OK)
        mcf_record_free(record);
    return status;
}

void mcf_record_free(mcf_recorded_step *record)
{
    mcf_recording_free(&record->recording);
}
