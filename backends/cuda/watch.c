// Waiting for a device without staying in the driver, where a card that hangs would hold the caller for good. A group
// puts a watch over its devices (cuda_watch); a device without one is waited for as the runtime does it.
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static mcf_status broken(const mcf_device *d, mcf_error *err)
{
    return d->watch ? mcf_host_group_check(d->watch->host, err) : MCF_OK;
}

bool cuda_lost(const mcf_device *d)
{
    return d->lost || broken(d, NULL) != MCF_OK;
}

// No device under the watch may be waited for any more: each may wait for the one that hangs.
static mcf_status hangs(mcf_device *d, const char *what, mcf_error *err)
{
    const cuda_watch *watch = d->watch;
    char late[100];
    for (int i = 0; i < watch->count; i++)
        watch->devices[i]->lost = true;
    MCF_TRY(broken(d, err)); // another has said so
    watch->late(watch->group, late, sizeof late);
    if (!late[0])
        snprintf(late, sizeof late, "%d", d->index);
    mcf_error said = {0};
    mcf_fail(&said, MCF_ERR_DEVICE, "%s: device %s has not ended its work for %g s and counts as hanging", what, late,
             watch->seconds);
    mcf_host_group_abort(watch->host, said.message);
    return mcf_fail(err, MCF_ERR_DEVICE, "%s", said.message);
}

// A wait in the driver has no end where a card hangs: it is asked again and again instead, at first without a pause.
mcf_status cuda_wait(mcf_device *d, cudaStream_t stream, cudaEvent_t event, const char *what, mcf_error *err)
{
    enum { ASK_AT_ONCE = 1000, BETWEEN_LOOKS = 64, PAUSE_NS = 20000 };
    const double start = mcf_now();
    MCF_TRY(cuda_use(d, err));
    for (int asked = 0;; asked++) {
        const cudaError_t code = !d->watch ? event ? cudaEventSynchronize(event) : cudaStreamSynchronize(stream)
                                 : event ? cudaEventQuery(event)
                                           : cudaStreamQuery(stream);
        if (code == cudaSuccess)
            return MCF_OK;
        if (code != cudaErrorNotReady)
            return cuda_fail(err, code, what);
        cudaGetLastError();
        if (asked % BETWEEN_LOOKS == BETWEEN_LOOKS - 1) {
            MCF_TRY(broken(d, err));
            if (mcf_now() - start > d->watch->seconds)
                return hangs(d, what, err);
        }
        if (asked > ASK_AT_ONCE)
            nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    }
}

mcf_status cuda_stream_synchronize(mcf_stream *s, mcf_error *err)
{
    return cuda_wait(s->device, s->stream, NULL, "enqueued work", err);
}
