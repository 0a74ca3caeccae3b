// The border to oneDNN, which is written in C++ and throws where it has no memory.
#ifndef MCF_BACKENDS_CPU_GUARD_H
#define MCF_BACKENDS_CPU_GUARD_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

// call(context, err); an exception that leaves it becomes MCF_ERR_NOMEM or, of another kind, MCF_ERR_DEVICE. What the
// call had taken by then is not given back: the caller ends its work.
mcf_status mcf_cpu_guarded(mcf_status (*call)(void *context, mcf_error *err), void *context, mcf_error *err);

#ifdef __cplusplus
}
#endif

#endif
