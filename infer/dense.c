#include "infer/dense.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mcf_status load(mcf_runtime *runtime, void *context, mcf_error *err)
{
    mcf_dense_inference *in = context;
    mcf_params params;
    MCF_TRY(mcf_params_create(&in->model->store, &params, err));
    mcf_status status = mcf_dense_load(in->model, in->weights.file, &params, err);
    if (status == MCF_OK)
        status = mcf_params_upload(&params, runtime, err);
    mcf_params_free(&params);
    return status;
}

static mcf_status open_network(mcf_dense_inference *in, const mcf_job_options *job, const char *checkpoint,
                               mcf_error *err)
{
    MCF_TRY(mcf_weights_open(&in->weights, checkpoint, err));
    const mcf_config *c = &in->weights.config;
    if (c->task == MCF_TASK_PRETRAIN)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: a network of task pretrain; points and masks come from one that "
                        "`mcf finetune` has trained",
                        checkpoint);
    MCF_TRY(mcf_dense_create(&c->model, &c->dense, false, &in->model, err));
    in->model->crop = in->model->label_height = in->model->label_width = c->data.crop_size;
    const int64_t side = c->data.crop_size, outputs = c->dense.head.outputs;
    in->row = c->task == MCF_TASK_ALIGN ? outputs * 2 : outputs * side * side;
    return mcf_inference_device_open(&in->device, job, &in->model->store, mcf_precision_dtype(c->precision), load, in,
                                     err);
}

mcf_status mcf_dense_open(mcf_dense_inference *in, const mcf_job_options *job, const char *checkpoint, int batch,
                          mcf_error *err)
{
    *in = (mcf_dense_inference){.batch = batch};
    mcf_status status = open_network(in, job, checkpoint, err);
    if (status != MCF_OK)
        mcf_dense_close(in);
    return status;
}

void mcf_dense_close(mcf_dense_inference *in)
{
    mcf_inference_device_close(&in->device);
    mcf_dense_destroy(in->model);
    mcf_weights_close(&in->weights);
    *in = (mcf_dense_inference){0};
}

const mcf_config *mcf_dense_config(const mcf_dense_inference *in)
{
    return &in->weights.config;
}

static mcf_status program_of(mcf_dense_inference *in, mcf_program **program, mcf_error *err)
{
    *program = mcf_runtime_cached(in->device.runtime, "predict");
    if (*program)
        return MCF_OK;
    const mcf_dense_graph_options options = {
        .mode = MCF_DENSE_PREDICT, .batch = in->batch, .world = 1, .compute = in->device.compute, .image_u8 = true};
    mcf_graph *graph;
    MCF_TRY(mcf_dense_graph(in->model, &options, &graph, err));
    MCF_TRY(mcf_program_create(in->device.runtime, graph, program, err));
    return mcf_runtime_cache(in->device.runtime, "predict", *program, err);
}

typedef struct {
    mcf_dense_inference *in;
    const uint8_t *crops, *flips;
    float *out;
} run_task;

static mcf_status run(int rank, void *context, mcf_error *err)
{
    const run_task *t = context;
    mcf_dense_inference *in = t->in;
    mcf_program *program;
    if (rank != 0)
        return MCF_OK;
    const size_t side = (size_t)in->model->crop;
    MCF_TRY(program_of(in, &program, err));
    MCF_TRY(mcf_program_write(program, "image", t->crops, (size_t)in->batch * side * side * 3, err));
    MCF_TRY(mcf_program_write(program, "flip", t->flips, (size_t)in->batch, err));
    MCF_TRY(mcf_program_run(program, false, false, err));
    const bool align = in->weights.config.task == MCF_TASK_ALIGN;
    return mcf_program_read(program, align ? "eval.points" : "eval.logits", t->out, in->batch * in->row, err);
}

// The program takes whole batches: crops that lack are black.
mcf_status mcf_dense_run(mcf_dense_inference *in, const uint8_t *crops, int count, float *out, mcf_error *err)
{
    const size_t image = (size_t)in->model->crop * (size_t)in->model->crop * 3;
    uint8_t *flips = calloc((size_t)in->batch, 1), *padded = NULL;
    float *all = NULL;
    run_task task = {in, crops, flips, out};
    mcf_status status = flips ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a batch");
    if (status == MCF_OK && count < in->batch) {
        padded = calloc((size_t)in->batch, image);
        all = malloc((size_t)(in->batch * in->row) * sizeof *all);
        if (padded && all)
            memcpy(padded, crops, (size_t)count * image);
        else
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for a batch");
        task.crops = padded;
        task.out = all;
    }
    if (status == MCF_OK)
        status = mcf_job_run(in->device.job, run, &task, err);
    if (status == MCF_OK && all)
        memcpy(out, all, (size_t)(count * in->row) * sizeof *out);
    free(flips);
    free(padded);
    free(all);
    return status;
}
