// Uploads that do not wait: the bytes go into pinned memory, from there to memory beside the destination on a stream of
// their own, while the device still computes, and to the destination when its turn in the stream comes. Both memories
// are one ring with the same places, which grows until the uploads of two micro-batches fit. Small pieces, whose copy
// takes no time worth hiding, go from pinned memory straight to the destination.
#include "backends/cuda/cuda.h"

#include <string.h>

enum {
    RING_MIN = 1 << 20,
    RING_MAX = 64 << 20,
    SMALL = 64 << 10,
    ALIGNMENT = 256,
};

static void free_ring(cuda_uploads *u)
{
    cudaFreeHost(u->pinned);
    cudaFree(u->device);
    u->pinned = u->device = NULL;
    u->bytes = u->head = 0;
}

// Waits until the oldest piece has left the ring.
static mcf_status retire(mcf_stream *s, mcf_error *err)
{
    cuda_uploads *u = &s->uploads;
    MCF_TRY(cuda_wait(s->device, NULL, u->pieces[u->first].left, "upload", err));
    u->first = (u->first + 1) % CUDA_PIECES;
    u->count--;
    return MCF_OK;
}

static mcf_status prepare(mcf_stream *s, mcf_error *err)
{
    cuda_uploads *u = &s->uploads;
    if (u->stream)
        return MCF_OK;
    for (int i = 0; i < CUDA_PIECES; i++)
        if (!u->pieces[i].left) {
            CUDA_TRY(cudaEventCreateWithFlags(&u->pieces[i].arrived, cudaEventDisableTiming), "event", err);
            CUDA_TRY(cudaEventCreateWithFlags(&u->pieces[i].left, cudaEventDisableTiming), "event", err);
        }
    CUDA_TRY(cudaStreamCreateWithFlags(&u->stream, cudaStreamNonBlocking), "stream", err);
    return MCF_OK;
}

// Four times an upload: two micro-batches, with what does not fit in front of the ring's end.
static mcf_status grow(mcf_stream *s, uint64_t upload, mcf_error *err)
{
    cuda_uploads *u = &s->uploads;
    uint64_t bytes = RING_MIN;
    while (bytes < RING_MAX && bytes < 4 * upload)
        bytes *= 2;
    if (bytes <= u->bytes)
        return MCF_OK;
    while (u->count)
        MCF_TRY(retire(s, err));
    free_ring(u);
    CUDA_TRY(cudaHostAlloc(&u->pinned, bytes, cudaHostAllocDefault), "pinned memory", err);
    CUDA_TRY(cudaMalloc(&u->device, bytes), "memory for uploads", err);
    u->bytes = bytes;
    return MCF_OK;
}

static bool overlaps(const cuda_uploads *u, uint64_t at, uint64_t bytes)
{
    for (int i = 0; i < u->count; i++) {
        const cuda_piece *p = &u->pieces[(u->first + i) % CUDA_PIECES];
        if (at < p->at + p->bytes && p->at < at + bytes)
            return true;
    }
    return false;
}

static mcf_status send(mcf_stream *s, char *to, const char *from, uint64_t bytes, mcf_error *err)
{
    cuda_uploads *u = &s->uploads;
    const uint64_t room = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (u->head + room > u->bytes)
        u->head = 0;
    while (u->count == CUDA_PIECES || overlaps(u, u->head, room))
        MCF_TRY(retire(s, err));
    cuda_piece *piece = &u->pieces[(u->first + u->count) % CUDA_PIECES];
    piece->at = u->head;
    piece->bytes = room;
    u->head += room;
    char *pinned = (char *)u->pinned + piece->at, *beside = (char *)u->device + piece->at;
    memcpy(pinned, from, bytes);
    if (bytes <= SMALL) {
        CUDA_TRY(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, s->stream), "upload", err);
    } else {
        CUDA_TRY(cudaMemcpyAsync(beside, pinned, bytes, cudaMemcpyHostToDevice, u->stream), "upload", err);
        CUDA_TRY(cudaEventRecord(piece->arrived, u->stream), "upload", err);
        CUDA_TRY(cudaStreamWaitEvent(s->stream, piece->arrived, 0), "upload", err);
        CUDA_TRY(cudaMemcpyAsync(to, beside, bytes, cudaMemcpyDeviceToDevice, s->stream), "upload", err);
    }
    CUDA_TRY(cudaEventRecord(piece->left, s->stream), "upload", err);
    u->count++;
    return MCF_OK;
}

mcf_status cuda_upload(mcf_stream *s, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(dev_check_range(to, offset, bytes, "upload", err));
    MCF_TRY(cuda_use(s->device, err));
    MCF_TRY(prepare(s, err));
    MCF_TRY(grow(s, bytes, err));
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < s->uploads.bytes / 4 ? bytes - done : s->uploads.bytes / 4;
        MCF_TRY(send(s, (char *)to->memory + offset + done, (const char *)from + done, piece, err));
    }
    return MCF_OK;
}

void cuda_uploads_free(mcf_stream *s)
{
    cuda_uploads *u = &s->uploads;
    if (u->stream) {
        cudaStreamSynchronize(u->stream);
        cudaStreamDestroy(u->stream);
    }
    free_ring(u);
    for (int i = 0; i < CUDA_PIECES; i++) {
        if (u->pieces[i].arrived)
            cudaEventDestroy(u->pieces[i].arrived);
        if (u->pieces[i].left)
            cudaEventDestroy(u->pieces[i].left);
    }
}
