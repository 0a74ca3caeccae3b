// A trained network of alignment or parsing, asked about crops of faces: on one device, in evaluation mode.
#ifndef MCF_INFER_DENSE_H
#define MCF_INFER_DENSE_H

#include "infer/device.h"
#include "model/dense.h"
#include "run/weights.h"

typedef struct {
    mcf_inference_device device; // computes in the config's precision, or in fp32
    mcf_weights weights;
    mcf_dense_model *model; // does not train: the averaged network where the file has one
    int batch;              // crops at a time
    int64_t row;            // elements of a crop's answer
} mcf_dense_inference;

// checkpoint: as mcf_weights_open. Errors: MCF_ERR_USAGE where it is of another task.
mcf_status mcf_dense_open(mcf_dense_inference *inference, const mcf_job_options *job, const char *checkpoint, int batch,
                          mcf_error *err);
void mcf_dense_close(mcf_dense_inference *inference); // zeros are fine
const mcf_config *mcf_dense_config(const mcf_dense_inference *inference);
// crops [count, data.crop_size, data.crop_size, 3] RGB, count up to `batch`. out: align: points [count, N, 2] in parts of
// the crop's sides; parse: logits [count, classes, crop_size, crop_size].
mcf_status mcf_dense_run(mcf_dense_inference *inference, const uint8_t *crops, int count, float *out, mcf_error *err);

#endif
