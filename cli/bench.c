// mcf bench: rates of operations, training steps and the loader.
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "base/file.h"
#include "bench/bench.h"
#include "run/input_faces.h"
#include "run/inputs.h"
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

// Options of one kind of measurement given to another.
static mcf_status check_options(const mcf_call *call, mcf_error *err)
{
    const char *what = call->arguments[0];
    const bool step = !strcmp(what, "step"), ops = !strcmp(what, "ops"), predict = mcf_call_flag(call, "predict");
    if (mcf_call_value(call, "op") && !ops)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --op belongs to ops: mcf bench ops --op matmul");
    if (mcf_call_flag(call, "tune") && !ops)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --tune belongs to ops: mcf bench ops --tune --backend opencl");
    if (predict && !step)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --predict belongs to step: mcf bench step --device v100 --predict");
    if (predict && !mcf_call_value(call, "device"))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --predict wants a card: mcf bench step --device v100 --predict");
    if (mcf_call_flag(call, "plan") && (!step || predict))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: --plan belongs to step: mcf bench step --plan");
    if (!strcmp(what, "yardstick") && (mcf_call_value(call, "config") || call->set_count))
        return mcf_fail(err, MCF_ERR_USAGE, "bench: the yardstick depends on no config; leave --config and --set out");
    const char *path = mcf_call_value(call, "config"), *out = mcf_call_value(call, "out");
    return out ? mcf_check_output(out, &path, 1, err) : MCF_OK;
}

static mcf_status read_options(const mcf_call *call, mcf_bench_options *options, mcf_error *err)
{
    int64_t steps, warmup, batch;
    double seconds;
    const char *device = mcf_call_value(call, "device");
    MCF_TRY(mcf_call_integer(call, "steps", 0, 1, 1000000, &steps, err));
    MCF_TRY(mcf_call_integer(call, "warmup", 0, 1, 1000000, &warmup, err));
    MCF_TRY(mcf_call_integer(call, "batch", 0, 1, 65536, &batch, err));
    MCF_TRY(mcf_call_number(call, "seconds", 0, 0.01, 86400, &seconds, err));
    *options = (mcf_bench_options){
        .job = call->job,
        .steps = (int)steps,
        .warmup = (int)warmup,
        .batch = (int)batch,
        .seconds = seconds,
        .op = mcf_call_value(call, "op"),
        .card = device,
        .plan = mcf_call_flag(call, "plan"),
        .stop = mcf_interrupt_flag(),
    };
    return device && !mcf_call_flag(call, "predict") ? mcf_job_parse_devices(&options->job, device, err) : MCF_OK;
}

// Without a config: the defaults, ViT-B/16 at 224 with M_1 at its random start. The yardstick depends on none.
static mcf_status read_config(const mcf_call *call, mcf_config *config, mcf_error *err)
{
    static const char measured[] = "model: {teacher: {checkpoint: random}}\n";
    static const char predicted[] = "precision: fp16\nmodel: {teacher: {checkpoint: random}}\n";
    const char *path = mcf_call_value(call, "config"), *text = mcf_call_flag(call, "predict") ? predicted : measured;
    *config = (mcf_config){0};
    if (!strcmp(call->arguments[0], "yardstick"))
        return MCF_OK;
    return path ? mcf_config_load(config, path, call->sets, call->set_count, err)
                : mcf_config_parse(config, text, strlen(text), "defaults", call->sets, call->set_count, err);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    static const struct {
        const char *name;
        mcf_bench_function function;
    } whats[] = {
        {"ops", mcf_bench_ops}, {"step", mcf_bench_step}, {"data", mcf_bench_data}, {"yardstick", yardstick_alone}};
    const char *what = call->arguments[0];
    const bool predict = mcf_call_flag(call, "predict");
    mcf_bench_function function = NULL;
    mcf_config config;
    mcf_bench_options options;
    mcf_bench_report report = {0};
    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++)
        if (!strcmp(whats[i].name, what))
            function = whats[i].function;
    if (!function)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: %s is not measured here; ops, step, data and yardstick are", what);
    MCF_TRY(check_options(call, err));
    MCF_TRY(read_options(call, &options, err));
    MCF_TRY(read_config(call, &config, err));
    const char *out = mcf_call_value(call, "out");
    mcf_status place = out ? mcf_check_output_config(out, &config, err) : MCF_OK;
    if (place == MCF_OK && out)
        place = mcf_check_output_labels(out, &config, true, err);
    if (place != MCF_OK) {
        mcf_config_free(&config);
        return place;
    }
    const bool several = strchr(call->job.backend, ',') && function != mcf_bench_data && !predict;
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = mcf_call_flag(call, "tune") ? mcf_bench_tune(&options, &report, err)
                        : predict                   ? mcf_bench_predict(&config, &options, &report, err)
                        : several                   ? mcf_bench_backends(function, &config, &options, &report, err)
                                                    : function(&config, &options, &report, err);
    if (status == MCF_OK)
        status = write_report(call, &report, err);
    mcf_bench_report_free(&report);
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
        "WHAT is one of `ops` (each operation at the shapes of the config's step, and how often it comes there: "
        "GFLOP/s "
        "and GB/s; operations that the step does not have at the largest shapes of `mcf check`), `step` (optimiser "
        "steps "
        "on random images: images a second, FLOP/s, memory; time, FLOP/s and bandwidth by operation), `data` (the "
        "loader "
        "on data.train: images a second, per worker) and `yardstick` (the best rate of the backend's own matrix "
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
