#include "infer/device.h"

typedef struct {
    mcf_inference_device *device;
    const mcf_store *store;
    mcf_inference_load load;
    void *context;
} start_task;

static mcf_status start(int rank, void *context, mcf_error *err)
{
    const start_task *t = context;
    mcf_inference_device *d = t->device;
    if (rank != 0)
        return MCF_OK;
    const mcf_backend *backend = mcf_job_backend(d->job);
    const int index = mcf_job_device_index(d->job, 0);
    mcf_device_info info;
    MCF_TRY(backend->device_info(index, &info, err));
    if (!(info.dtypes >> d->compute & 1))
        d->compute = MCF_F32;
    const mcf_runtime_options options = {
        .backend = backend, .device_index = index, .member = {.world = 1}, .low_precision = d->compute};
    MCF_TRY(mcf_runtime_create(t->store, &options, mcf_job_device(d->job, 0), &d->runtime, err));
    return t->load(d->runtime, t->context, err);
}

static mcf_status end(int rank, void *context, mcf_error *err)
{
    (void)err;
    const mcf_inference_device *d = context;
    if (rank == 0 && d->runtime)
        mcf_runtime_destroy(d->runtime);
    return MCF_OK;
}

mcf_status mcf_inference_device_open(mcf_inference_device *device, const mcf_job_options *job, const mcf_store *store,
                                     mcf_dtype compute, mcf_inference_load load, void *context, mcf_error *err)
{
    *device = (mcf_inference_device){.compute = compute};
    mcf_job_options alone = *job;
    alone.device_count = alone.device_count ? 1 : 0;
    MCF_TRY(mcf_job_create(&device->job, &alone, err));
    start_task task = {device, store, load, context};
    return mcf_job_run(device->job, start, &task, err);
}

void mcf_inference_device_close(mcf_inference_device *device)
{
    if (device->job)
        mcf_job_run(device->job, end, device, NULL);
    mcf_job_destroy(device->job);
    *device = (mcf_inference_device){0};
}
