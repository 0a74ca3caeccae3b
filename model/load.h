// Parameters from safetensors files, with all that does not fit in one message.
#ifndef MCF_MODEL_LOAD_H
#define MCF_MODEL_LOAD_H

#include "data/formats/safetensors.h"
#include "model/pretrain_model.h"

// --- what does not fit
typedef struct {
    int missing, extra, misshapen;
    char missing_names[256], extra_names[256], shapes[320];
} mcf_load_report;
void mcf_load_missing(mcf_load_report *report, const char *name);
void mcf_load_extra(mcf_load_report *report, const char *name);
void mcf_load_misshapen(mcf_load_report *report, const char *name, const mcf_shape *found, const mcf_shape *wanted);
// A position table [1,1+side*side,D] resized to the entry's grid; one that cannot be is noted as misshapen.
mcf_status mcf_load_position(const mcf_safetensors *file, const mcf_safetensors_entry *found, const mcf_entry *entry,
                             float *to, mcf_load_report *report, mcf_error *err);
// MCF_OK where nothing was noted.
mcf_status mcf_load_conclude(const mcf_load_report *report, const char *path, mcf_error *err);

// MCF_ERR_NUMERIC with the tensor's name and place where a value is NaN or infinite: such weights give results that are
// wrong without a word.
mcf_status mcf_check_finite(const char *path, const char *name, const float *values, int64_t count, mcf_error *err);

// Reads a tensor as fp32; checked as above unless params->allow_nonfinite.
mcf_status mcf_load_tensor(const mcf_safetensors *file, const mcf_safetensors_entry *entry, const mcf_params *params,
                           float *to, mcf_error *err);

// --- parameters. All missing, extra and misshapen names are in the message, shortened where there are many.

// Every entry of the store by its checkpoint name. Tensors of parts that the objective does not use (heads,
// predictor, decoder, target, M_1) are passed over; other extra names are errors. Encoders in `elsewhere` (NULL: none;
// its members may be NULL) are left out, but not their heads.
mcf_status mcf_params_load(const mcf_pretrain_model *model, const mcf_safetensors *file,
                           const mcf_vit *const elsewhere[2], const mcf_params *params, mcf_error *err);
// Whether the file has this encoder under the network's own name for it.
bool mcf_vit_in_file(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file);
// One encoder from a file with timm names, bare or under a prefix (mcf_vit_prefix). The position table is
// resized where its grid differs. A head (fc.) beside a prefixed encoder is passed over. Heads, eps and activation that
// the file's metadata give have to be the network's: MCF_ERR_USAGE.
mcf_status mcf_vit_load(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file, const char *prefer,
                        const mcf_params *params, mcf_error *err);
// The prefix under which the file has an encoder: the first with a cls_token of `prefer` (NULL: none),
// "online_encoder.", "perceptual_loss.model.", "backbone.", "" (bare timm names); NULL: it has none.
const char *mcf_vit_prefix(const mcf_safetensors *file, const char *prefer);

// The mlp_ratio that gives this hidden width, which is dim * mlp_ratio rounded down.
double mcf_vit_mlp_ratio(int64_t hidden, int64_t dim);

#endif
