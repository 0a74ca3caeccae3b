// What the files that call oneDNN share; nothing else includes this.
#ifndef MCF_BACKENDS_CPU_ONEDNN_INTERNAL_H
#define MCF_BACKENDS_CPU_ONEDNN_INTERNAL_H

#include <oneapi/dnnl/dnnl.h>

#include "backends/cpu/onednn.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t mcf_cpu_layout;
#else
typedef const dnnl_memory_desc_t *mcf_cpu_layout;
#endif

struct mcf_cpu_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct mcf_cpu_primitive **primitives; // products: hash table by product, linear probing
    size_t capacity, count;
    struct mcf_cpu_convolver **convolvers; // MCF_CPU_CONVOLVERS of them, NULL until the first
    size_t next_convolver;                 // to be replaced
    void (*destroy_convolvers)(struct mcf_cpu_onednn *onednn);
    void *scratch, *packed; // of the product or convolution that runs
    size_t scratch_bytes, packed_bytes;
};

mcf_status mcf_cpu_onednn_failed(dnnl_status_t status, const char *what, mcf_error *err);
#define DNNL_TRY(call, what)                                                                                           \
    do {                                                                                                               \
        dnnl_status_t dnnl_try_status = (call);                                                                        \
        if (dnnl_try_status != dnnl_success)                                                                           \
            return mcf_cpu_onednn_failed(dnnl_try_status, what, err);                                                  \
    } while (0)

// dtype: MCF_F32 or MCF_BF16. strides NULL: whatever the primitive likes best.
dnnl_status_t mcf_cpu_onednn_describe(dnnl_memory_desc_t *desc, int rank, const int64_t *dim, int dtype,
                                      const int64_t *stride);
// Scratch grows to the largest need and stays.
mcf_status mcf_cpu_onednn_reserve(void **memory, size_t *bytes, size_t needed, mcf_error *err);

#endif
