// Pictures of what the network makes of masked images.
#ifndef MCF_INFER_RECONSTRUCT_H
#define MCF_INFER_RECONSTRUCT_H

#include <signal.h>

#include "run/config/config.h"
#include "core/job.h"

typedef struct {
    mcf_job_options job;
    const char *checkpoint;  // RUN, checkpoint directory or safetensors with decoder
    const char *const *sets; // "data.KEY=value" over its config
    size_t set_count;
    bool allow_nonfinite;     // weights that are not finite pass
    const char *out;          // directory, made if missing
    const char *const *paths; // images, folders, shards or lists
    size_t path_count;
    mcf_source_format format;
    int64_t limit; // at most this many images; 0: all
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // NULL, or: what the images' sources have to say
    void *context;
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_reconstruct_options;

typedef struct {
    int64_t images, broken;
    double pixel_mse;        // mean over masked patches, in normalised units: the pixel term's own measure
    char *first_broken;      // malloc'd name and reason, or NULL; the caller frees
    int64_t unsupported;     // of `broken`: not damaged, but of a kind that is not read
    char *first_unsupported; // as first_broken
} mcf_reconstruct_result;

// Writes OUT/000012-NAME.png per image: masked input, pseudo image, original, side by side. The mask is that of the config's
// seed, epoch 0. The pseudo image is shown as it is, clipped to the range of a picture: a network trained on the
// feature term alone has no reason to give true pixels; one trained on normalised patches shows them with each
// patch's own mean and deviation put back.
mcf_status mcf_reconstruct(const mcf_reconstruct_options *options, mcf_reconstruct_result *result, mcf_error *err);

#endif
