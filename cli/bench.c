// mcf bench: rates of operations, training steps and the loader.
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "base/file.h"
#include "bench/bench.h"
#include "run/output.h"

// The yardstick depends on no config.
static mcf_status yardstick_alone(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                                  mcf_error *err)
{
    (void)config;
    return mcf_bench_yardstick(options, report, err);
}

static mcf_status write_report(const mcf_call *call, const mcf_bench_report *report, mcf_error *err)
{
    const char *out = mcf_call_value(call, "out");
    if (!mcf_is_first(call))
        return MCF_OK;
    if (out)
        MCF_TRY(mcf_file_write(out, report->json, strlen(report->json), err));
    if (mcf_call_flag(call, "json"))
        puts(report->json);
    else
        fputs(report->table, stdout);
    return MCF_OK;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    static const struct {
        const char *name;
        mcf_bench_function function;
    } whats[] = {{"ops", mcf_bench_ops}, {"step", mcf_bench_step}, {"data", mcf_bench_data}};
    const char *path = mcf_call_value(call, "config"), *what = call->arguments[0];
    bool yardstick = !strcmp(what, "yardstick"), tune = mcf_call_flag(call, "tune");
    mcf_bench_function function = yardstick ? yardstick_alone : NULL;
    mcf_config config;
    mcf_bench_report report = {0};
    int64_t steps, warmup, batch;
    double seconds;

    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++)
        if (!strcmp(whats[i].name, what))
            function = whats[i].function;
    if (!function)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: %s is not measured here; ops, step, data and yardstick are", what);
    MCF_TRY(mcf_call_integer(call, "steps", 0, 1, 1000000, &steps, err));
    MCF_TRY(mcf_call_integer(call, "warmup", 0, 1, 1000000, &warmup, err));
    MCF_TRY(mcf_call_integer(call, "batch", 0, 1, 65536, &batch, err));
    MCF_TRY(mcf_call_number(call, "seconds", 0, 0.01, 86400, &seconds, err));
    if (mcf_call_value(call, "op") && strcmp(what, "ops"))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --op belongs to ops: mcf bench ops --op matmul");
    if (tune && strcmp(what, "ops"))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --tune belongs to ops: mcf bench ops --tune --backend opencl");
    mcf_job_options job = call->job;
    const char *device = mcf_call_value(call, "device");
    const bool predict = mcf_call_flag(call, "predict");
    if (predict && strcmp(what, "step"))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --predict belongs to step: mcf bench step --device v100 --predict");
    if (predict && !device)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --predict wants a card: mcf bench step --device v100 --predict");
    if (predict)
        function = mcf_bench_predict;
    else if (device)
        MCF_TRY(mcf_job_parse_devices(&job, device, err));
    const bool plan = mcf_call_flag(call, "plan");
    if (plan && (strcmp(what, "step") || predict))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --plan belongs to step: mcf bench step --plan");
    if (yardstick && (path || call->set_count))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: the yardstick depends on no config; leave --config and --set out");
    if (mcf_call_value(call, "out"))
        MCF_TRY(mcf_check_output(mcf_call_value(call, "out"), &path, 1, err));
    // without a config: the defaults, ViT-B/16 at 224 with M_1 at its random start
    static const char measured[] = "model: {teacher: {checkpoint: random}}\n";
    static const char predicted[] = "precision: fp16\nmodel: {teacher: {checkpoint: random}}\n";
    const char *defaults = predict ? predicted : measured;
    if (path)
        MCF_TRY(mcf_config_load(&config, path, call->sets, call->set_count, err));
    else if (!yardstick)
        MCF_TRY(mcf_config_parse(&config, defaults, strlen(defaults), "defaults", call->sets, call->set_count, err));
    mcf_bench_options options = {
        .job = job,
        .steps = (int)steps,
        .warmup = (int)warmup,
        .batch = (int)batch,
        .seconds = seconds,
        .op = mcf_call_value(call, "op"),
        .card = device,
        .plan = plan,
        .stop = mcf_interrupt_flag(),
    };
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = tune ? mcf_bench_tune(&options, &report, err)
                        : strchr(call->job.backend, ',') && function != mcf_bench_data && !predict
                            ? mcf_bench_backends(function, &config, &options, &report, err)
                            : function(&config, &options, &report, err);
    if (status == MCF_OK)
        status = write_report(call, &report, err);
    mcf_bench_report_free(&report);
    if (!yardstick)
        mcf_config_free(&config);
    return status;
}

static const mcf_option options[] = {
    {"config", "FILE", "Whose network and data to measure (default: ViT-B/16 at 224, all of MCF)", false},
    {"batch", "N", "step: images (default: the config's batch.per_device)", false},
    {"steps", "N", "step: measured steps (default 5)", false},
    {"warmup", "N", "step: steps before (default 2)", false},
    {"seconds", "T", "ops, data: time spent per measurement (default 0.5 and 5)", false},
    {"op", "NAME", "ops: only this operation, as matmul", false},
    {"device", "NAME", "step: the card to predict for, as v100; without --predict the same as --devices", false},
    {"predict", NULL, "step: predict what it takes on --device, of which none is needed", false},
    {"plan", NULL, "step: print a micro-batch's nodes, where their values lie and how long they live; measure nothing",
     false},
    {"tune", NULL, "ops: let the backend measure what suits the device and keep it (opencl)", false},
    {"out", "FILE", "Also write the JSON into a file", false},
    {"json", NULL, "Print JSON in place of the table", false},
    {0},
};

const mcf_command mcf_command_bench = {
    .name = "bench",
    .arguments = "WHAT",
    .least = 1,
    .most = 1,
    .summary = "Measure operations, training steps or the loader",
    .description =
        "WHAT is one of `ops` (each operation at the shapes of the config's step: GFLOP/s and GB/s), `step` "
        "(optimiser "
        "steps on random images: images a second, FLOP/s, memory; time, FLOP/s and bandwidth by operation), `data` "
        "(the loader on "
        "data.train: images a second, per worker) and `yardstick` (the best rate of the backend's own matrix "
        "product "
        "at ViT-B shapes, by precision). Several backends, as in --backend cpu,opencl, are printed side by side.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_MACHINES,
    .examples = "mcf bench step --batch 8\n"
                "mcf bench step --device v100 --predict\n"
                "mcf bench step --batch 8 --set precision=bf16 --json\n"
                "mcf bench step --batch 8 --plan\n"
                "mcf bench ops --backend cpu,opencl\n"
                "mcf bench ops --tune --backend opencl\n"
                "mcf bench data --set data.train=[faces]",
    .run = run,
};
