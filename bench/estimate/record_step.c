#include "bench/estimate/record_step.h"

#include <stdlib.h>

#include "train/optimise.h"

static uint64_t bytes_of(const mcf_store *store, bool low, mcf_dtype dtype)
{
    uint64_t bytes = 0;
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        const bool copied = dtype != MCF_F32 && mcf_store_has_low(store, (mcf_role)role);
        if (low ? copied : !copied || role != MCF_ROLE_FROZEN_WEIGHTS)
            bytes += (uint64_t)store->role_count[role] * (low ? mcf_dtype_size(dtype) : 4);
    }
    return bytes;
}

typedef struct {
    mcf_recorded_step *record;
    mcf_inputs inputs;
    int begin[3]; // calls before each micro-batch
} recorder;

// Micro-batches between the first and the last do the same: one of them is recorded.
static mcf_status next(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    recorder *r = context;
    r->begin[number] = r->record->recording.count;
    *inputs = &r->inputs;
    return MCF_OK;
}

static void describe(const mcf_engine *e, const mcf_program *program, mcf_recorded_step *record)
{
    const mcf_store *store = e->objective.store;
    mcf_program_stats stats;
    mcf_program_describe(program, &stats);
    mcf_step_memory *m = &record->memory;
    const uint64_t trained = (uint64_t)store->role_count[MCF_ROLE_TRAINED] * 4;
    *m = (mcf_step_memory){.masters = bytes_of(store, false, e->compute),
                           .low = bytes_of(store, true, e->compute),
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
}

static mcf_status record_on(mcf_engine *e, recorder *r, mcf_error *err)
{
    mcf_recorded_step *record = r->record;
    const int n = record->accumulate;
    const mcf_step_plan plan = {.micro_batches = n < 3 ? n : 3,
                                .batch = record->batch,
                                .image_u8 = true,
                                .loss_scale = 1,
                                .lr = 1e-5,
                                .number = 1};
    const mcf_micro_options micro = mcf_step_micro(e, &plan, 0);
    mcf_rng rng = mcf_rng_make(0, MCF_RNG_TEST, 0, 0);
    mcf_program *program;
    MCF_TRY(e->task->random(e->config, &e->objective, &rng, record->batch, 0, &r->inputs, err));
    MCF_TRY(mcf_engine_program(e, 0, &micro, &program, err));
    mcf_recording_clear(&record->recording);
    bool made;
    MCF_TRY(mcf_optimise_gradients(e, &plan, next, r, &made, err));
    const int update = record->recording.count, last = r->begin[plan.micro_batches - 1];
    MCF_TRY(mcf_optimise_update(e, &plan, err));
    // Phases that do not happen are empty.
    record->phase[0] = (mcf_phase){.end = n > 1 ? r->begin[1] : 0, .times = n > 1};
    record->phase[1] = (mcf_phase){.first = n > 2 ? r->begin[1] : last, .end = last, .times = n > 2 ? n - 2 : 0};
    record->phase[2] = (mcf_phase){.first = last, .end = update, .times = 1};
    record->phase[3] = (mcf_phase){.first = update, .end = record->recording.count, .times = 1};
    describe(e, program, record);
    return MCF_OK;
}

mcf_status mcf_record_step(const mcf_config *config, int64_t batch, int world, mcf_recorded_step *record,
                           mcf_error *err)
{
    recorder r = {.record = record};
    *record = (mcf_recorded_step){.batch = batch ? batch : config->batch.per_device,
                                  .accumulate = batch ? 1 : config->batch.accumulate,
                                  .world = world};
    const mcf_runtime_options device = {
        .backend = mcf_recording_backend(),
        .member = {.rank = 0, .world = world, .group = world > 1 ? mcf_recording_group() : NULL},
        .low_precision = mcf_precision_dtype(config->precision),
        .training = true,
    };
    mcf_engine *engine;
    mcf_recording_use(&record->recording);
    MCF_TRY(mcf_engine_create_on(&engine, config, &device, err));
    mcf_status status = record_on(engine, &r, err);
    mcf_engine_destroy(engine);
    mcf_inputs_free(&r.inputs);
    if (status != MCF_OK)
        mcf_record_free(record);
    return status;
}

void mcf_record_free(mcf_recorded_step *record)
{
    mcf_recording_free(&record->recording);
}
