// One step of a run: its batches, its losses and the loss scale; method.md, "Optimisation".
//
// All of a step is enqueued before its losses are looked at, and the devices see for themselves whether the gradients
// are finite, so nothing waits for the host in between.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/optimise.h"
#include "train/run_state.h"

enum { SCALE_GROWS_AFTER = 2000, NAMES_IN_ERROR = 8 };
static const double smallest_scale = 0x1p-24, largest_scale = 0x1p120;

static void checkpoint_that_stays(const mcf_run *run, char *text, size_t size)
{
    if (run->last_saved >= 0)
        snprintf(text, size, "the checkpoint of step %lld stays", (long long)run->last_saved);
    else
        snprintf(text, size, "there is no checkpoint yet");
}

// Names of the first images of a micro-batch on a device of this process.
static void list_images(const mcf_run *run, int micro, int device, char *names, size_t size)
{
    const int64_t share = run->config->batch.per_device;
    const int64_t *samples = run->samples + (micro * run->engine->local + device) * share;
    names[0] = '\0';
    for (int i = 0; i < share && i < NAMES_IN_ERROR; i++) {
        char name[256];
        mcf_source_name(run->source, samples[i], name, sizeof name);
        if (strlen(names) + strlen(name) + 32 < size)
            sprintf(names + strlen(names), "%s%s", i ? ", " : "", name);
    }
    if (share > NAMES_IN_ERROR)
        sprintf(names + strlen(names), " and %lld more", (long long)share - NAMES_IN_ERROR);
}

// Every rank comes here, for all see the same losses; the one that has the images tells the others, since one reports.
static mcf_status bad_loss(const mcf_run *run, int micro, const mcf_losses *l, mcf_error *err)
{
    const mcf_engine *e = run->engine;
    const int device = l->bad_device < 0 ? 0 : l->bad_device, rank = device / e->local;
    char names[640] = "", saved[96], place[64] = "", terms[256];
    if (device >= e->first && device < e->first + e->local)
        list_images(run, micro, device - e->first, names, sizeof names);
    if (e->cluster)
        MCF_TRY(mcf_cluster_broadcast(e->cluster, rank, names, sizeof names, false, err));
    if (l->bad_device < 0)
        snprintf(place, sizeof place, " on every one of %d devices, of the first", e->world);
    else if (e->cluster)
        snprintf(place, sizeof place, " of device %d of rank %d", device % e->local, rank);
    else if (e->world > 1)
        snprintf(place, sizeof place, " of device %d", mcf_job_device_index(e->job, device));
    checkpoint_that_stays(run, saved, sizeof saved);
    return mcf_fail(err, MCF_ERR_NUMERIC,
                    "step %lld: the loss is %s; %s; a lower optimizer.lr or a longer schedule.warmup_epochs may help; "
                    "images%s: %s",
                    (long long)run->step + 1, mcf_losses_print(l, terms, sizeof terms), saved, place, names);
}

// The next batch of the loader as inputs of a micro-batch.
static mcf_status next_inputs(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    mcf_run *run = context;
    const mcf_batch *batch;
    *inputs = NULL;
    MCF_TRY(mcf_loader_next(run->loader, &batch, err));
    if (!batch)
        return MCF_OK;
    MCF_TRY(mcf_run_log_broken(run, err));
    const double batches = (double)(run->steps_per_epoch * run->config->batch.accumulate);
    const mcf_batch_place place = {
        .epoch = batch->epoch, .place = (double)batch->epoch + (double)batch->index / batches, .training = true};
    MCF_TRY(run->task->inputs(run, batch, &place, &run->inputs, err));
    memcpy(run->samples + number * batch->count, batch->sample, (size_t)batch->count * sizeof *run->samples);
    run->epoch = batch->next_epoch;
    run->index = batch->next_index;
    *inputs = &run->inputs;
    return MCF_OK;
}

// Means over the micro-batches; an error where one is not finite.
static mcf_status read_losses(mcf_run *run, mcf_losses *mean, mcf_error *err)
{
    const int count = run->config->batch.accumulate;
    MCF_TRY(mcf_engine_losses(run->engine, count, run->losses, err));
    *mean = mcf_losses_of(&run->engine->objective);
    for (int micro = 0; micro < count; micro++) {
        if (!isfinite(run->losses[micro].value[0]))
            return bad_loss(run, micro, &run->losses[micro], err);
        mcf_losses_add(mean, &run->losses[micro], 1.0 / count);
    }
    return MCF_OK;
}

// Gradients that are not finite, and the first tensor that has one.
static mcf_status count_overflows(mcf_run *run, mcf_step_record *r, mcf_error *err)
{
    const mcf_store *store = run->engine->objective.store;
    float *gradient = malloc((size_t)store->role_count[MCF_ROLE_TRAINED] * sizeof *gradient);
    if (!gradient)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory to look at the gradients");
    mcf_status status = mcf_engine_read_role(run->engine, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, gradient, err);
    for (int i = 0; status == MCF_OK && i < store->count; i++) {
        const mcf_entry *e = &store->entries[i];
        if (e->role != MCF_ROLE_TRAINED || e->frozen)
            continue;
        int64_t bad = 0;
        for (int64_t k = 0; k < e->count; k++)
            bad += !isfinite(gradient[e->offset + k]);
        if (bad && !r->nonfinite)
            r->nonfinite_in = e->name;
        r->nonfinite += bad;
    }
    free(gradient);
    return status;
}

static mcf_status skip(mcf_run *run, mcf_step_record *r, mcf_error *err)
{
    char saved[96];
    r->skipped = true;
    MCF_TRY(count_overflows(run, r, err));
    checkpoint_that_stays(run, saved, sizeof saved);
    if (run->config->precision != MCF_PRECISION_FP16)
        return mcf_fail(
            err, MCF_ERR_NUMERIC, "step %lld: %lld gradients are not finite, first in %s, though the loss is %g; %s",
            (long long)run->step + 1, (long long)r->nonfinite,
            r->nonfinite_in ? r->nonfinite_in : "none of them, but their squares", r->losses.value[0], saved);
    run->skips++;
    run->nonfinite += r->nonfinite;
    run->good_steps = 0;
    run->loss_scale /= 2;
    if (run->loss_scale < smallest_scale)
        return mcf_fail(err, MCF_ERR_NUMERIC, "step %lld: the gradients are not finite at any loss scale; %s",
                        (long long)run->step + 1, saved);
    return MCF_OK;
}

mcf_status mcf_run_step(mcf_run *run, mcf_step_record *r, bool *end, mcf_error *err)
{
    const mcf_config *c = run->config;
    const mcf_step_plan plan = {.micro_batches = c->batch.accumulate,
                                .batch = c->batch.per_device,
                                .image_u8 = true,
                                .loss_scale = run->loss_scale,
                                .lr = r->lr,
                                .number = run->updates + 1};
    bool made;
    MCF_TRY(mcf_optimise(run->engine, &plan, next_inputs, run, &made, err));
    *end = !made;
    if (*end)
        return MCF_OK;
    MCF_TRY(read_losses(run, &r->losses, err));
    double norm2;
    MCF_TRY(mcf_engine_gradient_norm2(run->engine, &norm2, err));
    r->gradient_norm = sqrt(norm2) * mcf_step_gradient_scale(&plan);
    if (!isfinite(norm2)) {
        MCF_TRY(skip(run, r, err));
    } else {
        run->updates++;
        if (c->precision == MCF_PRECISION_FP16 && ++run->good_steps == SCALE_GROWS_AFTER) {
            if (run->loss_scale < largest_scale)
                run->loss_scale *= 2;
            run->good_steps = 0;
        }
    }
    run->step++;
    return MCF_OK;
}
