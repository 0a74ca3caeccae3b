// Rows of launches that come again: enqueued as they come at first, recorded into a CUDA graph the second time, and
// replayed as one call from then on. The first time lets scratch grow and products choose their algorithms, neither of
// which can be recorded. A recording names addresses: when scratch has moved since, it is made anew.
#include "backends/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

struct mcf_capture {
    mcf_stream *stream;
    int seen;
    bool never; // $MCF_CUDA_CAPTURE is 0: launches as they come, for comparing
    cudaGraphExec_t recorded;
    uint64_t scratch_generation;
};

mcf_status cuda_capture_create(mcf_stream *stream, mcf_capture **capture, mcf_error *err)
{
    mcf_capture *s = calloc(1, sizeof *s);
    if (!s)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a capture");
    const char *wanted = getenv("MCF_CUDA_CAPTURE");
    s->stream = stream;
    s->never = wanted && !strcmp(wanted, "0");
    *capture = s;
    return MCF_OK;
}

static void forget(mcf_capture *s)
{
    if (s->recorded)
        cudaGraphExecDestroy(s->recorded);
    s->recorded = NULL;
}

// Ends a recording that has failed in between.
static void abandon(mcf_stream *stream)
{
    cudaGraph_t graph = NULL;
    stream->capturing = false;
    cudaStreamEndCapture(stream->stream, &graph);
    if (graph)
        cudaGraphDestroy(graph);
    cudaGetLastError();
}

void cuda_capture_destroy(mcf_capture *s)
{
    if (!s)
        return;
    cudaSetDevice(s->stream->device->index);
    if (s->stream->capturing)
        abandon(s->stream);
    forget(s);
    free(s);
}

mcf_status cuda_capture_begin(mcf_capture *s, bool *launch, mcf_error *err)
{
    mcf_stream *stream = s->stream;
    MCF_TRY(cuda_use(stream->device, err));
    if (s->recorded && s->scratch_generation != stream->scratch_generation)
        forget(s);
    *launch = !s->recorded;
    if (s->recorded) {
        CUDA_TRY(cudaGraphLaunch(s->recorded, stream->stream), "replaying captured work", err);
        return MCF_OK;
    }
    if (s->seen++ && !s->never) {
        CUDA_TRY(cudaStreamBeginCapture(stream->stream, cudaStreamCaptureModeThreadLocal),
                 "capturing a row of launches", err);
        stream->capturing = true;
        s->scratch_generation = stream->scratch_generation;
    }
    return MCF_OK;
}

mcf_status cuda_capture_end(mcf_capture *s, mcf_error *err)
{
    mcf_stream *stream = s->stream;
    cudaGraph_t graph = NULL;
    if (!stream->capturing)
        return MCF_OK;
    stream->capturing = false;
    MCF_TRY(cuda_use(stream->device, err));
    CUDA_TRY(cudaStreamEndCapture(stream->stream, &graph), "capturing a row of launches", err);
    cudaError_t code = cudaGraphInstantiateWithFlags(&s->recorded, graph, 0);
    cudaGraphDestroy(graph);
    CUDA_TRY(code, "capturing a row of launches", err);
    CUDA_TRY(cudaGraphLaunch(s->recorded, stream->stream), "replaying captured work", err);
    return MCF_OK;
}
