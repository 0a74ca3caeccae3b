#include <exception>
#include <new>

extern "C" {
#include "base/error.h"
}
#include "backends/cpu/guard.h"

extern "C" mcf_status mcf_cpu_guarded(mcf_status (*call)(void *context, mcf_error *err), void *context, mcf_error *err)
{
    try {
        return call(context, err);
    } catch (const std::bad_alloc &) {
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory in oneDNN; a smaller batch.per_device needs less");
    } catch (const std::exception &e) {
        return mcf_fail(err, MCF_ERR_DEVICE, "oneDNN: %s", e.what());
    } catch (...) {
        return mcf_fail(err, MCF_ERR_DEVICE, "oneDNN threw an exception");
    }
}
