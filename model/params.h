// Parameters on the host: one array a role, laid out as the store.
#ifndef MCF_MODEL_PARAMS_H
#define MCF_MODEL_PARAMS_H

#include "core/runtime.h"
#include "core/store.h"

typedef struct {
    float *role[MCF_ROLE_COUNT];
    bool allow_nonfinite; // what is read into them may be NaN or infinite (model/load.h)
} mcf_params;

mcf_status mcf_params_create(const mcf_store *store, mcf_params *params, mcf_error *err); // zeros
void mcf_params_free(mcf_params *params);
float *mcf_params_at(const mcf_params *params, const mcf_store *store, int entry);
// Writes all roles to the runtime and refreshes what follows from them.
mcf_status mcf_params_upload(const mcf_params *params, mcf_runtime *runtime, mcf_error *err);
mcf_status mcf_params_download(const mcf_params *params, mcf_runtime *runtime, mcf_error *err);

#endif
