// A run over several machines: every rank trains on its rows of each batch; rank 0 reads and writes the directory, and
// the others take their start from it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/run_state.h"

int mcf_run_rank(const mcf_run *run)
{
    return run->options->job.cluster ? mcf_cluster_rank(run->options->job.cluster) : 0;
}

mcf_status mcf_run_meet(mcf_run *run, mcf_error *err)
{
    mcf_cluster *cluster = run->options->job.cluster;
    char own = 0, all[MCF_MAX_RANKS];
    return cluster ? mcf_cluster_gather(cluster, &own, all, sizeof own, true, err) : MCF_OK;
}

mcf_status mcf_run_asked_to_stop(mcf_run *run, bool *stop, mcf_error *err)
{
    mcf_cluster *cluster = run->options->job.cluster;
    char own = run->options->stop && *run->options->stop, all[MCF_MAX_RANKS];
    *stop = own;
    if (!cluster)
        return MCF_OK;
    MCF_TRY(mcf_cluster_gather(cluster, &own, all, sizeof own, false, err));
    *stop = memchr(all, 1, (size_t)mcf_cluster_count(cluster)) != NULL;
    return MCF_OK;
}

mcf_status mcf_run_moments(mcf_run *run, mcf_error *err)
{
    const size_t count = (size_t)run->engine->objective.store->role_count[MCF_ROLE_TRAINED];
    if (!run->moment1)
        run->moment1 = calloc(count, sizeof *run->moment1);
    if (!run->moment2)
        run->moment2 = calloc(count, sizeof *run->moment2);
    return run->moment1 && run->moment2 ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the moments");
}

mcf_status mcf_run_share_start(mcf_run *run, mcf_error *err)
{
    mcf_engine *e = run->engine;
    struct {
        int64_t step, updates, epoch, index, good_steps, skips, nonfinite, broken, unsupported, last_saved, best_epoch;
        double loss_scale, best;
        int32_t moments;
    } start = {run->step,       run->updates,    run->epoch,  run->index,          run->good_steps,
               run->skips,      run->nonfinite,  run->broken, run->unsupported,    run->last_saved,
               run->best_epoch, run->loss_scale, run->best,   run->moment1 != NULL};
    MCF_TRY(mcf_engine_share(e, &start, sizeof start, err));
    run->step = start.step;
    run->updates = start.updates;
    run->epoch = start.epoch;
    run->index = start.index;
    run->good_steps = start.good_steps;
    run->skips = start.skips;
    run->nonfinite = start.nonfinite;
    run->broken = start.broken;
    run->unsupported = start.unsupported;
    run->last_saved = start.last_saved;
    run->best_epoch = start.best_epoch;
    run->loss_scale = start.loss_scale;
    run->best = start.best;
    MCF_TRY(mcf_engine_upload(e, err));
    if (!start.moments)
        return MCF_OK;
    MCF_TRY(mcf_run_moments(run, err));
    const uint64_t bytes = (uint64_t)e->objective.store->role_count[MCF_ROLE_TRAINED] * sizeof(float);
    MCF_TRY(mcf_engine_share(e, run->moment1, bytes, err));
    MCF_TRY(mcf_engine_share(e, run->moment2, bytes, err));
    MCF_TRY(mcf_engine_write_role(e, MCF_ARRAY_MOMENT1, MCF_ROLE_TRAINED, run->moment1, err));
    return mcf_engine_write_role(e, MCF_ARRAY_MOMENT2, MCF_ROLE_TRAINED, run->moment2, err);
}

// --- broken samples

static void describe_fresh(const mcf_run *run, int fresh, char *texts)
{
    const mcf_loader_stats *stats = mcf_loader_get_stats(run->loader);
    for (int i = 0; i < fresh; i++)
        mcf_broken_describe(run->source, &stats->recent[stats->recent_count - fresh + i],
                            texts + (size_t)i * MCF_BROKEN_TEXT, MCF_BROKEN_TEXT);
}

mcf_status mcf_run_gather_broken(mcf_run *run, char **texts, int *count, mcf_error *err)
{
    mcf_cluster *cluster = run->options->job.cluster;
    const mcf_loader_stats *stats = mcf_loader_get_stats(run->loader);
    const int64_t fresh = stats->broken - run->broken_seen;
    const int ranks = cluster ? mcf_cluster_count(cluster) : 1, rank = mcf_run_rank(run);
    struct {
        int64_t broken, fresh, unsupported;
    } own = {stats->broken, fresh < stats->recent_count ? fresh : stats->recent_count, stats->unsupported},
      all[MCF_MAX_RANKS];
    *texts = NULL;
    *count = 0;
    run->broken_seen = stats->broken;
    all[0] = own;
    if (cluster)
        MCF_TRY(mcf_cluster_gather(cluster, &own, all, sizeof own, false, err));
    int64_t most = 0;
    run->broken_now = run->unsupported_now = 0;
    for (int r = 0; r < ranks; r++) {
        run->broken_now += all[r].broken;
        run->unsupported_now += all[r].unsupported;
        most = all[r].fresh > most ? all[r].fresh : most;
    }
    if (most == 0)
        return MCF_OK;
    const uint64_t bytes = (uint64_t)most * MCF_BROKEN_TEXT;
    char *every = calloc((size_t)ranks, bytes);
    if (!every)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the names of broken images");
    describe_fresh(run, (int)own.fresh, every + bytes * (uint64_t)rank);
    mcf_status status =
        cluster ? mcf_cluster_gather(cluster, every + bytes * (uint64_t)rank, every, bytes, false, err) : MCF_OK;
    for (int r = 0; status == MCF_OK && r < ranks; r++)
        for (int64_t i = 0; i < all[r].fresh; i++)
            memmove(every + (size_t)(*count)++ * MCF_BROKEN_TEXT, every + bytes * (uint64_t)r + i * MCF_BROKEN_TEXT,
                    MCF_BROKEN_TEXT);
    if (status == MCF_OK)
        *texts = every;
    else
        free(every);
    return status;
}
