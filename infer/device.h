// The one device on which a trained network is asked: a job of one device and the network's weights there.
#ifndef MCF_INFER_DEVICE_H
#define MCF_INFER_DEVICE_H

#include "core/job.h"
#include "core/runtime.h"

typedef struct {
    mcf_job *job;
    mcf_runtime *runtime;
    mcf_dtype compute; // what was asked for, or fp32 where the device lacks it
} mcf_inference_device;

// Puts the weights into a runtime that has just been made.
typedef mcf_status (*mcf_inference_load)(mcf_runtime *runtime, void *context, mcf_error *err);

// Opens the first device of `job`, makes a runtime for `store` and calls `load` on the device's thread. store: borrowed
// until close. compute: the type of products: MCF_F32, MCF_F16 or MCF_BF16. Errors: those of the job, the runtime and
// `load`; close in any case.
mcf_status mcf_inference_device_open(mcf_inference_device *device, const mcf_job_options *job, const mcf_store *store,
                                     mcf_dtype compute, mcf_inference_load load, void *context, mcf_error *err);
void mcf_inference_device_close(mcf_inference_device *device); // zeros are fine

#endif
