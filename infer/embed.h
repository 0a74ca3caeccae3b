// Features of images from the encoder, and how well they find other pictures of the same person.
#ifndef MCF_INFER_EMBED_H
#define MCF_INFER_EMBED_H

#include <signal.h>

#include "core/job.h"
#include "infer/score/retrieval.h"
#include "run/config/config.h"

// --- one image after another: for programs
typedef struct mcf_embedder mcf_embedder;

typedef struct {
    mcf_job_options job;      // the first device works
    const char *checkpoint;   // RUN, checkpoint directory or safetensors; NULL: `config` with its random start
    const mcf_config *config; // used where checkpoint is NULL; borrowed during open
    const char *const *sets;  // "data.KEY=value" over the checkpoint's own config
    size_t set_count;
    bool allow_nonfinite; // weights that are not finite pass
    int batch;            // images at once; 0: 32
} mcf_embedder_options;

mcf_status mcf_embedder_open(mcf_embedder **embedder, const mcf_embedder_options *options, mcf_error *err);
void mcf_embedder_close(mcf_embedder *embedder);                     // NULL is fine
int mcf_embedder_size(const mcf_embedder *embedder);                 // side of the images it takes
int mcf_embedder_dim(const mcf_embedder *embedder);                  // D
const mcf_config *mcf_embedder_config(const mcf_embedder *embedder); // what it was opened with; belongs to it
// images: [count,S,S,3] RGB bytes -> cls [count,D], mean of the patch tokens [count,D] (either may be NULL), both
// after the encoder's final norm. No masking.
mcf_status mcf_embedder_run(mcf_embedder *embedder, const uint8_t *images, int64_t count, float *cls, float *mean,
                            mcf_error *err);
// The same, and all tokens of each image, class token first: tokens [count,1+L,D].
mcf_status mcf_embedder_tokens(mcf_embedder *embedder, const uint8_t *images, int64_t count, float *cls, float *mean,
                               float *tokens, mcf_error *err);

// --- a set of images: for `mcf embed`
typedef struct {
    mcf_embedder_options network;
    const char *const *paths; // images, folders, shards or lists
    size_t path_count;
    mcf_source_format format;
    int workers;          // decoding threads; 0: as the config says
    const char *out;      // safetensors: cls [N,D], mean [N,D]; names as a JSON list in the metadata; NULL: none
    const char *detector; // of mcf_embed_detected alone: a detector's weights
    bool retrieval;       // judge by the folder of each image (mcf_source_identity) as the person
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // NULL, or: what the images' sources have to say
    void *context;
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_embed_options;

typedef struct {
    int64_t images, broken; // embedded; left out because unreadable
    int dim;
    double seconds;
    mcf_retrieval retrieval;     // zeros unless asked for
    char *first_broken;          // malloc'd name and reason, or NULL; the caller frees
    int64_t unsupported;         // of `broken`: not damaged, but of a kind that is not read
    char *first_unsupported;     // as first_broken
    int64_t faces, without_face; // with a detector: rows written, and images in which it finds none
} mcf_embed_result;

mcf_status mcf_embed(const mcf_embed_options *options, mcf_embed_result *result, mcf_error *err);

#endif
