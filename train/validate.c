#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/run_state.h"

static mcf_status batches(mcf_run *run, mcf_loader *loader, int64_t share, mcf_losses *mean, mcf_error *err)
{
    mcf_engine *e = run->engine;
    const mcf_micro_options options = {.batch = share, .image_u8 = true, .loss_scale = 1};
    // The same masks every time, so that the numbers of two epochs can be compared.
    const mcf_batch_place place = {.training = false};
    int64_t count = 0;
    *mean = mcf_losses_of(&e->objective);
    for (;;) {
        const mcf_batch *batch;
        MCF_TRY(mcf_loader_next(loader, &batch, err));
        if (!batch)
            break;
        mcf_losses losses;
        MCF_TRY(run->task->inputs(run, batch, &place, &run->inputs, err));
        MCF_TRY(mcf_engine_run(e, &options, &run->inputs, err));
        MCF_TRY(mcf_engine_losses(e, 1, &losses, err));
        mcf_losses_add(mean, &losses, 1);
        count++;
        bool stop;
        MCF_TRY(mcf_run_asked_to_stop(run, &stop, err));
        if (stop)
            break;
    }
    for (int i = 0; i < mean->count; i++)
        mean->value[i] /= (double)count;
    return MCF_OK;
}

mcf_status mcf_run_validate_losses(mcf_run *run, mcf_scores *scores, mcf_error *err)
{
    mcf_engine *e = run->engine;
    int64_t share = mcf_source_count(run->validation) / e->world;
    if (share > run->config->batch.per_device)
        share = run->config->batch.per_device;
    if (share < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "data.validation: %lld images are fewer than the %d devices",
                        (long long)mcf_source_count(run->validation), e->world);
    const mcf_loader_options options = {.seed = run->config->seed,
                                        .batch = (int)(share * e->local),
                                        .rank = mcf_run_rank(run),
                                        .world = e->world / e->local,
                                        .workers = run->config->data.workers,
                                        .end_epoch = 1};
    mcf_loader *loader;
    mcf_losses mean = {0};
    MCF_TRY(mcf_loader_create(&loader, run->validation, &run->transform_still, &options, err));
    // Forward passes move the running statistics of training; they are put back.
    const size_t count = (size_t)e->objective.store->role_count[MCF_ROLE_STATS];
    float *stats = malloc(count * sizeof *stats + 1);
    mcf_status status = stats ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the statistics");
    if (status == MCF_OK)
        status = mcf_engine_read_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, stats, err);
    if (status == MCF_OK) {
        status = batches(run, loader, share, &mean, err);
        mcf_status back =
            mcf_engine_write_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, stats, status == MCF_OK ? err : NULL);
        status = status == MCF_OK ? back : status;
    }
    free(stats);
    mcf_loader_destroy(loader);
    for (scores->count = 0; status == MCF_OK && scores->count < mean.count; scores->count++) {
        snprintf(scores->score[scores->count].name, MCF_SCORE_NAME, "%s", mean.name[scores->count]);
        scores->score[scores->count].value = mean.value[scores->count];
    }
    return status;
}
