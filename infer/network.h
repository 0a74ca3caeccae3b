// What embed and reconstruct share: a trained network on one device, and a set of images in their order.
#ifndef MCF_TRAIN_INFERENCE_H
#define MCF_TRAIN_INFERENCE_H

#include "data/loader.h"
#include "model/pretrain.h"
#include "core/job.h"
#include "run/weights.h"

// --- the network
typedef enum { MCF_PART_ENCODER, MCF_PART_DECODER } mcf_part; // DECODER: encoder and decoder

typedef struct {
    mcf_job *job;
    mcf_weights weights; // empty where an untrained network was asked for
    mcf_config config;   // with what is not needed switched off; strings belong to `weights` or the caller
    mcf_pretrain_model *model;
    mcf_runtime *runtime;
    mcf_dtype compute; // the config's precision, or fp32 where the device lacks it
} mcf_inference;

// checkpoint: as mcf_weights_open; NULL: `config` with its random start.
mcf_status mcf_inference_open(mcf_inference *inference, const mcf_job_options *job, const char *checkpoint,
                              const mcf_config *config, mcf_part part, mcf_error *err);
void mcf_inference_close(mcf_inference *inference); // zeros are fine

// --- the images
typedef struct {
    mcf_source *source;
    mcf_loader *loader;
    mcf_center_crop_options crop;
    mcf_transform transform;
    int64_t place; // of the next row in the order of the source
    int64_t broken;
    char *first_broken; // malloc'd "name: reason"; NULL: none
} mcf_image_set;

// The images of paths in the source's order, `batch` at a time, as RGB of side x side.
mcf_status mcf_image_set_open(mcf_image_set *set, const char *const *paths, size_t count, mcf_source_format format,
                              int side, bool fast_decode, int workers, int batch, mcf_error *err);
void mcf_image_set_close(mcf_image_set *set); // zeros are fine
// The next readable images: *rows of them from the start of *batch's arrays; *batch NULL at the end. Unreadable ones
// are counted and left out.
mcf_status mcf_image_set_next(mcf_image_set *set, const mcf_batch **batch, int *rows, mcf_error *err);
// After the last: MCF_ERR_FORMAT where not one of them could be read.
mcf_status mcf_image_set_check(const mcf_image_set *set, int64_t images, mcf_error *err);

#endif
