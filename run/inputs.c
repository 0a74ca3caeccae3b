#include "run/inputs.h"

#include <stdlib.h>

#include "base/output.h"
#include "base/path.h"
#include "run/output.h"

static mcf_status check_list(const char *out, const mcf_path_list *list, mcf_error *err)
{
    return mcf_output_differs(out, (const char *const *)list->items, (size_t)list->count, err);
}

mcf_status mcf_check_output_config(const char *out, const mcf_config *config, mcf_error *err)
{
    const char *const weights[] = {config->model.init, config->model.teacher_checkpoint};
    MCF_TRY(check_list(out, &config->files, err));
    MCF_TRY(check_list(out, &config->data.train, err));
    MCF_TRY(check_list(out, &config->data.validation, err));
    return mcf_output_differs(out, weights, 2, err);
}

char *mcf_output_folder(const char *out)
{
    mcf_output_place place;
    if (mcf_output_find(out, &place, NULL) != MCF_OK)
        return NULL;
    char *folder = place.path ? mcf_path_parent(place.path) : NULL;
    mcf_output_place_free(&place);
    return folder;
}

mcf_status mcf_fail_among(const char *out, const char *name, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_USAGE,
                    "%s: lies among the pictures that are read (%s) and would be taken for one of them; name a file "
                    "elsewhere",
                    out, name);
}

mcf_status mcf_check_picture_config(const char *out, const mcf_config *config, mcf_error *err)
{
    const mcf_path_list *const lists[] = {&config->data.train, &config->data.validation};
    char *folder = mcf_output_folder(out);
    mcf_status status = mcf_check_output_config(out, config, err);
    for (int i = 0; i < 2 && folder && status == MCF_OK; i++)
        status = mcf_check_output_folder(folder, (const char *const *)lists[i]->items, (size_t)lists[i]->count, NULL) ==
                         MCF_OK
                     ? MCF_OK
                     : mcf_fail_among(out, i ? "data.validation" : "data.train", err);
    free(folder);
    return status;
}

mcf_status mcf_check_picture_source(const char *out, const mcf_source *source, mcf_error *err)
{
    char *folder = mcf_output_folder(out), name[4096];
    mcf_status status = mcf_source_check_output(source, out, err);
    if (status == MCF_OK && folder && mcf_source_lies_in(source, folder, false, name, sizeof name))
        status = mcf_fail_among(out, name, err);
    free(folder);
    return status;
}
