#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "bench/beside.h"
#include "train/optimise.h"

typedef struct {
    mcf_engine *engine;
    const mcf_config *config;
    mcf_step_plan plan;
    mcf_inputs inputs; // random; every micro-batch has the same
    mcf_losses *losses;
} stepper;

static mcf_status random_inputs(stepper *s, mcf_error *err)
{
    mcf_engine *e = s->engine;
    mcf_rng rng = mcf_rng_make(s->config->seed, MCF_RNG_TEST, 0, 0);
    s->losses = calloc((size_t)s->plan.micro_batches, sizeof *s->losses);
    if (!s->losses)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the losses");
    return e->task->random(s->config, &e->objective, &rng, s->plan.batch * e->local, s->plan.batch * e->first,
                           &s->inputs, err);
}

static mcf_status same_inputs(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    *inputs = &((stepper *)context)->inputs;
    return MCF_OK;
}

static mcf_status optimiser_step(stepper *s, mcf_error *err)
{
    double norm2;
    bool made;
    char text[256];
    s->plan.number++;
    MCF_TRY(mcf_optimise(s->engine, &s->plan, same_inputs, s, &made, err));
    MCF_TRY(mcf_engine_losses(s->engine, s->plan.micro_batches, s->losses, err));
    for (int i = 0; i < s->plan.micro_batches; i++)
        if (!isfinite(s->losses[i].value[0]))
            return mcf_fail(err, MCF_ERR_NUMERIC, "the loss on random images is %s",
                            mcf_losses_print(&s->losses[i], text, sizeof text));
    return mcf_engine_gradient_norm2(s->engine, &norm2, err);
}

static mcf_status steps(stepper *s, const mcf_bench_options *options, int count, double *best, double *mean,
                        mcf_error *err)
{
    *best = INFINITY;
    *mean = 0;
    for (int i = 0; i < count; i++) {
        double t = mcf_now();
        MCF_TRY(optimiser_step(s, err));
        t = mcf_now() - t;
        *best = t < *best ? t : *best;
        *mean += t / count;
        if (options->stop && *options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
    }
    return MCF_OK;
}

typedef struct {
    double seconds;
    mcf_op op;
    mcf_cost cost;
} share;

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const share *)a)->seconds, y = ((const share *)b)->seconds;
    return (x < y) - (x > y);
}

// Time, cost and rates by operation of one further step in which each operation is waited for.
static mcf_status profile(stepper *s, const mcf_bench_options *options, json_t *rows, mcf_text *table,
                          double by_operation[MCF_OP_COUNT], mcf_error *err)
{
    const mcf_micro_options micro = mcf_step_micro(s->engine, &s->plan, 0);
    mcf_program *program;
    MCF_TRY(mcf_engine_program(s->engine, 0, &micro, &program, err));
    mcf_program_profile(program, true);
    double best, mean;
    mcf_status status = steps(s, options, 1, &best, &mean, err);
    share shares[MCF_OP_COUNT];
    double total = 0;
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        shares[op].op = (mcf_op)op;
        shares[op].seconds = mcf_program_profile_seconds(program, (mcf_op)op, &shares[op].cost);
        by_operation[op] = shares[op].seconds;
        total += shares[op].seconds;
    }
    mcf_program_profile(program, false);
    MCF_TRY(status);
    qsort(shares, MCF_OP_COUNT, sizeof *shares, by_seconds);
    for (int i = 0; i < MCF_OP_COUNT && shares[i].seconds > 0; i++) {
        const char *name = mcf_op_describe(shares[i].op)->name;
        const double seconds = shares[i].seconds, gflop = shares[i].cost.flops * 1e-9,
                     gbytes = shares[i].cost.bytes * 1e-9;
        mcf_text_add(table, "  %-22s %9.2f ms %5.1f %% %9.3f GFLOP %8.3f GB %8.1f GFLOP/s %7.1f GB/s\n", name,
                     seconds * 1e3, 100 * seconds / total, gflop, gbytes, gflop / seconds, gbytes / seconds);
        json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:f}", "op", name, "seconds", seconds, "share",
                                              seconds / total, "gflop", gflop, "gbytes", gbytes));
    }
    return MCF_OK;
}

// Bytes that the job's first device has free, as its driver says; 0 where it does not say, or the device is the host.
static uint64_t free_memory(const mcf_bench_options *options, mcf_error *err)
{
    const mcf_backend *backend;
    mcf_device_info info;
    if (mcf_backend_find(options->job.backend ? options->job.backend : "auto", &backend, err) != MCF_OK ||
        !strncmp(backend->name, "cpu", 3) ||
        backend->device_info(options->job.device_count ? options->job.devices[0] : 0, &info, err) != MCF_OK)
        return 0;
    return info.memory_free;
}

static mcf_status beside(const stepper *s, const mcf_bench_options *options, double images, const double *seconds,
                         mcf_text *table, json_t *root, mcf_error *err)
{
    mcf_device_info info;
    MCF_TRY(mcf_job_backend(s->engine->job)->device_info(mcf_job_device_index(s->engine->job, 0), &info, err));
    const mcf_bench_beside_step step = {info.name, options->batch, s->engine->world, images, seconds};
    return mcf_bench_beside(s->config, &step, table, root, err);
}

static mcf_status bench_step(stepper *s, const mcf_bench_options *options, mcf_bench_report *report, mcf_error *err)
{
    const mcf_config *c = s->config;
    mcf_error ignored_error;
    const uint64_t free_before = free_memory(options, &ignored_error);
    MCF_TRY(mcf_engine_create(&s->engine, c, &options->job, true, err));
    mcf_engine *e = s->engine;
    // Any start serves: M_1 is random here whatever the config says.
    e->objective.init(&e->objective, c->seed, &e->params);
    MCF_TRY(mcf_engine_upload(e, err));
    MCF_TRY(random_inputs(s, err));
    double best, mean, ignored;
    const int count = options->steps > 0 ? options->steps : 5;
    MCF_TRY(steps(s, options, options->warmup > 0 ? options->warmup : 2, &ignored, &mean, err));
    MCF_TRY(steps(s, options, count, &best, &mean, err));
    const int64_t rss = mcf_bench_peak_rss();
    const uint64_t free_after = free_memory(options, &ignored_error);
    const int64_t on_device = free_before > free_after ? (int64_t)(free_before - free_after) : 0;

    const mcf_micro_options micro = mcf_step_micro(s->engine, &s->plan, 0);
    mcf_program *program;
    mcf_program_stats stats;
    MCF_TRY(mcf_engine_program(e, 0, &micro, &program, err));
    mcf_program_describe(program, &stats);
    const double images = (double)(s->plan.batch * s->plan.micro_batches * e->world);
    const double flops = stats.flops * s->plan.micro_batches * e->world;
    const double arena = (double)stats.arena_bytes;
    mcf_text table = {0};
    json_t *rows = json_array();
    mcf_text_add(&table,
                 "%s, %d device%s, %s, batch %lld x %d\n"
                 "%.3f images/s (mean of %d steps; best %.3f), %.2f GFLOP an image, %.1f GFLOP/s\n"
                 "peak resident memory %.0f MiB, arena %.0f MiB (%.0f MiB without reuse), %d nodes\n",
                 mcf_job_backend(e->job)->name, e->world, e->world > 1 ? "s" : "", mcf_dtype_name(e->compute),
                 (long long)s->plan.batch, s->plan.micro_batches, images / mean, count, images / best,
                 flops / images * 1e-9, flops / mean * 1e-9, (double)rss / 0x1p20, arena / 0x1p20,
                 (double)stats.value_bytes / 0x1p20, stats.nodes);
    if (on_device)
        mcf_text_add(&table, "memory of the device %.0f MiB\n", (double)on_device / 0x1p20);
    mcf_text_add(&table, "by operation, one step, each waited for: time, what it computes and moves, rates reached:\n");
    double by_operation[MCF_OP_COUNT];
    mcf_status status = profile(s, options, rows, &table, by_operation, err);
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:I, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:o}", "backend",
        mcf_job_backend(e->job)->name, "devices", e->world, "precision", mcf_dtype_name(e->compute), "batch",
        (json_int_t)s->plan.batch, "accumulate", s->plan.micro_batches, "steps", count, "images_per_second",
        images / mean, "images_per_second_best", images / best, "seconds_per_step", mean, "flops_per_image",
        flops / images, "flops_per_step", flops, "gflops", flops / mean * 1e-9, "peak_rss_bytes", (json_int_t)rss,
        "arena_bytes", (json_int_t)stats.arena_bytes, "device_bytes", (json_int_t)on_device, "profile", rows);
    if (status == MCF_OK)
        status = beside(s, options, images / mean, by_operation, &table, root, err);
    if (status == MCF_OK)
        status = mcf_bench_finish(report, root, &table, err);
    json_decref(root);
    mcf_text_free(&table);
    return status;
}

// Of the parameters with their copies in low precision, gradients and moments, as core/runtime.c allocates them.
static uint64_t state_bytes(const mcf_store *store, mcf_dtype compute)
{
    uint64_t bytes = (uint64_t)store->role_count[MCF_ROLE_TRAINED] * 3 * sizeof(float);
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        const bool copied = compute != MCF_F32 && mcf_store_has_low(store, (mcf_role)role);
        const uint64_t master = copied && role == MCF_ROLE_FROZEN_WEIGHTS ? 0 : sizeof(float);
        bytes += (uint64_t)store->role_count[role] * (master + (copied ? mcf_dtype_size(compute) : 0));
    }
    return bytes;
}

static mcf_status print_plan(stepper *s, const mcf_bench_options *options, mcf_bench_report *report, mcf_error *err)
{
    mcf_text table = {0};
    mcf_program *program;
    MCF_TRY(mcf_engine_create(&s->engine, s->config, &options->job, true, err));
    const mcf_micro_options micro = mcf_step_micro(s->engine, &s->plan, 0);
    MCF_TRY(mcf_engine_program(s->engine, 0, &micro, &program, err));
    const uint64_t state = state_bytes(s->engine->objective.store, mcf_precision_dtype(s->config->precision));
    mcf_text_add(&table, "besides %.1f MiB of parameters, gradients and moments\n", (double)state / (1 << 20));
    mcf_program_print(program, &table);
    json_t *root = table.failed ? NULL
                                : json_pack("{s:s, s:I, s:s}", "backend", mcf_job_backend(s->engine->job)->name,
                                            "state_bytes", (json_int_t)state, "plan", table.text);
    mcf_status status = mcf_bench_finish(report, root, &table, err);
    json_decref(root);
    mcf_text_free(&table);
    return status;
}

mcf_status mcf_bench_step(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                          mcf_error *err)
{
    *report = (mcf_bench_report){0};
    stepper s = {.config = config,
                 .plan = {.micro_batches = options->batch ? 1 : config->batch.accumulate,
                          .batch = options->batch ? options->batch : config->batch.per_device,
                          .image_u8 = true,
                          .loss_scale = 1,
                          .lr = 1e-5}};
    mcf_status status = options->plan ? print_plan(&s, options, report, err) : bench_step(&s, options, report, err);
    mcf_engine_destroy(s.engine);
    mcf_inputs_free(&s.inputs);
    free(s.losses);
    return status;
}
