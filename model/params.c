#include <stdlib.h>
#include <string.h>

#include "model/params.h"

mcf_status mcf_params_create(const mcf_store *store, mcf_params *params, mcf_error *err)
{
    *params = (mcf_params){0};
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        int64_t count = store->role_count[role];
        params->role[role] = calloc((size_t)(count > 0 ? count : 1), sizeof(float));
        if (!params->role[role]) {
            mcf_params_free(params);
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld parameters", (long long)count);
        }
    }
    return MCF_OK;
}

void mcf_params_free(mcf_params *params)
{
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        free(params->role[role]);
    *params = (mcf_params){0};
}

float *mcf_params_at(const mcf_params *params, const mcf_store *store, int entry)
{
    const mcf_entry *e = &store->entries[entry];
    return params->role[e->role] + e->offset;
}

mcf_status mcf_params_upload(const mcf_params *params, mcf_runtime *runtime, mcf_error *err)
{
    const mcf_store *store = mcf_runtime_store(runtime);
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        if (store->role_count[role] > 0)
            MCF_TRY(mcf_runtime_write_role(runtime, MCF_ARRAY_MASTER, (mcf_role)role, params->role[role], err));
    return mcf_runtime_refresh(runtime, err);
}

mcf_status mcf_params_download(const mcf_params *params, mcf_runtime *runtime, mcf_error *err)
{
    const mcf_store *store = mcf_runtime_store(runtime);
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        if (store->role_count[role] > 0)
            MCF_TRY(mcf_runtime_read_role(runtime, MCF_ARRAY_MASTER, (mcf_role)role, params->role[role], err));
    return MCF_OK;
}
