// What embed and reconstruct share: a trained network on one device, and a set of images in their order.
#ifndef MCF_INFER_NETWORK_H
#define MCF_INFER_NETWORK_H

#include "data/loader.h"
#include "infer/device.h"
#include "model/pretrain.h"
#include "run/weights.h"

// --- the network
typedef enum { MCF_PART_ENCODER, MCF_PART_DECODER } mcf_part; // DECODER: encoder and decoder

typedef struct {
    mcf_inference_device device; // computes in the config's precision, or in fp32
    mcf_weights weights;         // empty where an untrained network was asked for
    mcf_config config;           // with what is not needed switched off; strings belong to `weights` or the caller
    mcf_pretrain_model *model;
    bool allow_nonfinite;
} mcf_inference;

typedef struct {
    mcf_job_options job;      // the first device works
    const char *checkpoint;   // as mcf_weights_open; NULL: `config` with its random start
    const mcf_config *config; // used where checkpoint is NULL; borrowed during open
    // "data.KEY=value": read over the checkpoint's own config. How pictures are read is the asker's choice.
    const char *const *sets;
    size_t set_count;
    bool allow_nonfinite; // weights that are not finite pass
} mcf_inference_options;

mcf_status mcf_inference_open(mcf_inference *inference, const mcf_inference_options *options, mcf_part part,
                              mcf_error *err);
void mcf_inference_close(mcf_inference *inference); // zeros are fine

// --- the images
typedef struct {
    mcf_source *source;
    mcf_loader *loader;
    mcf_center_crop_options crop;
    mcf_transform transform;
    int64_t place; // of the next row in the order of the source
    int64_t broken;
    char *first_broken;  // malloc'd "name: reason"; NULL: none
    int64_t unsupported; // of `broken`: not damaged, but of a kind that is not read
    char *first_unsupported;
} mcf_image_set;

// What images are and how they are read.
typedef struct {
    const char *const *paths; // images, folders, shards or lists
    size_t count;
    const mcf_data_options *data; // filter, fast_decode, crop_pct, image_keys, workers
    mcf_source_format format;     // in place of data's
    int side, batch;
    int workers;                                     // 0: data's
    void (*notice)(void *context, const char *line); // NULL, or: receives what the source has to say
    void *context;
} mcf_image_set_options;

// The images in the source's order, `batch` at a time, as RGB of side x side.
mcf_status mcf_image_set_open(mcf_image_set *set, const mcf_image_set_options *options, mcf_error *err);
void mcf_image_set_close(mcf_image_set *set); // zeros are fine
// The next readable images: *rows of them from the start of *batch's arrays; *batch NULL at the end. Unreadable ones
// are counted and left out.
mcf_status mcf_image_set_next(mcf_image_set *set, const mcf_batch **batch, int *rows, mcf_error *err);
// After the last: MCF_ERR_FORMAT where not one of them could be read.
mcf_status mcf_image_set_check(const mcf_image_set *set, int64_t images, mcf_error *err);

#endif
