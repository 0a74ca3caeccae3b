// Streams with what work on them needs: handles of cuBLAS and cublasLt with their workspace. Events.
#include "backends/cuda/cuda.h"

#include <stdlib.h>

static mcf_status fill(mcf_stream *s, mcf_error *err)
{
    CUDA_TRY(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking), "stream", err);
    MCF_TRY(cuda_buffer_create(s->device, cuda_workspace_bytes(s->device), &s->workspace, err));
    if (cublasCreate(&s->cublas) != CUBLAS_STATUS_SUCCESS ||
        cublasSetStream(s->cublas, s->stream) != CUBLAS_STATUS_SUCCESS ||
        cublasSetWorkspace(s->cublas, s->workspace->memory, s->workspace->bytes) != CUBLAS_STATUS_SUCCESS ||
        cublasSetMathMode(s->cublas, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION) != CUBLAS_STATUS_SUCCESS ||
        cublasLtCreate(&s->lt) != CUBLAS_STATUS_SUCCESS)
        return mcf_fail(err, MCF_ERR_DEVICE, "cuBLAS does not start on device %d", s->device->index);
    return MCF_OK;
}

mcf_status cuda_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err)
{
    MCF_TRY(cuda_use(device, err));
    mcf_stream *s = calloc(1, sizeof *s);
    if (!s)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a stream");
    s->device = device;
    mcf_status status = fill(s, err);
    if (status != MCF_OK) {
        cuda_stream_destroy(s);
        return status;
    }
    *stream = s;
    return MCF_OK;
}

void cuda_stream_destroy(mcf_stream *s)
{
    if (!s)
        return;
    if (cuda_lost(s->device) || (s->stream && cuda_stream_synchronize(s, NULL) != MCF_OK && cuda_lost(s->device))) {
        free(s);
        return;
    }
    cudaSetDevice(s->device->index);
    for (int i = 0; i < CUDA_SCRATCH; i++)
        cuda_buffer_destroy(s->scratch[i]);
    cuda_uploads_free(s);
    cuda_lt_forget(s);
    if (s->lt)
        cublasLtDestroy(s->lt);
    if (s->cublas)
        cublasDestroy(s->cublas);
    cuda_buffer_destroy(s->workspace);
    if (s->stream)
        cudaStreamDestroy(s->stream);
    cudaGetLastError();
    free(s);
}

mcf_status cuda_event_create(mcf_device *device, mcf_event **event, mcf_error *err)
{
    MCF_TRY(cuda_use(device, err));
    mcf_event *e = calloc(1, sizeof *e);
    if (!e)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an event");
    e->device = device;
    cudaError_t code = cudaEventCreateWithFlags(&e->event, cudaEventDisableTiming);
    if (code != cudaSuccess) {
        free(e);
        return cuda_fail(err, code, "event");
    }
    *event = e;
    return MCF_OK;
}

void cuda_event_destroy(mcf_event *event)
{
    if (!event)
        return;
    if (!cuda_lost(event->device))
        cudaEventDestroy(event->event);
    free(event);
}

mcf_status cuda_event_record(mcf_stream *s, mcf_event *event, mcf_error *err)
{
    MCF_TRY(cuda_use(s->device, err));
    CUDA_TRY(cudaEventRecord(event->event, s->stream), "event", err);
    return MCF_OK;
}

mcf_status cuda_event_wait(mcf_stream *s, mcf_event *event, mcf_error *err)
{
    MCF_TRY(cuda_use(s->device, err));
    CUDA_TRY(cudaStreamWaitEvent(s->stream, event->event, 0), "waiting for an event", err);
    return MCF_OK;
}

mcf_status cuda_event_query(mcf_event *event, bool *done, mcf_error *err)
{
    cudaError_t code = cudaEventQuery(event->event);
    *done = code == cudaSuccess;
    return code == cudaSuccess || code == cudaErrorNotReady ? MCF_OK : cuda_fail(err, code, "enqueued work");
}
