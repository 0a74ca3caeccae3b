#include <stdlib.h>
#include <string.h>

#include "train/run_state.h"

static mcf_status batches(mcf_run *run, mcf_loader *loader, int64_t share, mcf_losses *sum, mcf_error *err)
{
    mcf_engine *e = run->engine;
    const mcf_micro_options options = {.batch = share, .image_u8 = true, .loss_scale = 1};
    int64_t count = 0;
    *sum = (mcf_losses){0};
    for (;;) {
        const mcf_batch *batch;
        MCF_TRY(mcf_loader_next(loader, &batch, err));
        if (!batch)
            break;
        // The same masks every time, so that the numbers of two epochs can be compared.
        mcf_pretrain_batch parts[MCF_MAX_DEVICES];
        mcf_run_parts(run, batch, 0, 0, parts);
        mcf_losses losses;
        MCF_TRY(mcf_engine_run(e, &options, parts, &losses, err));
        sum->total += losses.total;
        sum->feature += losses.feature;
        sum->contrastive += losses.contrastive;
        sum->pixel += losses.pixel;
        count++;
        bool stop;
        MCF_TRY(mcf_run_asked_to_stop(run, &stop, err));
        if (stop)
            break;
    }
    sum->total /= (double)count;
    sum->feature /= (double)count;
    sum->contrastive /= (double)count;
    sum->pixel /= (double)count;
    return MCF_OK;
}

mcf_status mcf_run_validate(mcf_run *run, mcf_losses *losses, mcf_error *err)
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
    MCF_TRY(mcf_loader_create(&loader, run->validation, &run->transform_still, &options, err));
    // Forward passes move the running statistics of training; they are put back.
    const size_t count = (size_t)e->model->store.role_count[MCF_ROLE_STATS];
    float *stats = malloc(count * sizeof *stats + 1);
    mcf_status status = stats ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the statistics");
    if (status == MCF_OK)
        status = mcf_engine_read_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, stats, err);
    if (status == MCF_OK) {
        status = batches(run, loader, share, losses, err);
        mcf_status back =
            mcf_engine_write_role(e, MCF_ARRAY_MASTER, MCF_ROLE_STATS, stats, status == MCF_OK ? err : NULL);
        status = status == MCF_OK ? back : status;
    }
    free(stats);
    mcf_loader_destroy(loader);
    return status;
}
