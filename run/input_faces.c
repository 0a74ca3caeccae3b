#include "run/input_faces.h"

#include <stdlib.h>

#include "base/path.h"
#include "run/config/faces.h"
#include "run/inputs.h"

mcf_status mcf_check_output_faces(const char *out, const mcf_face_set *set, mcf_error *err)
{
    return mcf_face_set_uses(set, out)
               ? mcf_fail(
                     err, MCF_ERR_USAGE,
                     "%s: is one of the labels or pictures that are read, which would be lost; name another output",
                     out)
               : MCF_OK;
}

mcf_status mcf_check_output_labels(const char *out, const mcf_config *config, bool training, mcf_error *err)
{
    mcf_status status = MCF_OK;
    if (config->task == MCF_TASK_PRETRAIN || !mcf_path_exists(out))
        return MCF_OK;
    for (int validation = training ? 0 : 1; validation < 2 && status == MCF_OK; validation++) {
        mcf_face_set set;
        if (mcf_config_faces_read(&set, config, validation, NULL) != MCF_OK)
            continue;
        status = mcf_check_output_faces(out, &set, err);
        mcf_face_set_free(&set);
    }
    return status;
}

mcf_status mcf_check_folder_faces(const char *folder, const mcf_face_set *set, mcf_error *err)
{
    char name[4096];
    return mcf_face_set_lies_in(set, folder, name, sizeof name)
               ? mcf_fail(err, MCF_ERR_USAGE,
                          "%s: %s lies in it and might be replaced; name another folder for the results", folder, name)
               : MCF_OK;
}

mcf_status mcf_check_picture_faces(const char *out, const mcf_face_set *set, mcf_error *err)
{
    char *folder = mcf_output_folder(out), name[4096];
    mcf_status status = mcf_check_output_faces(out, set, err);
    if (status == MCF_OK && folder && mcf_face_set_lies_in(set, folder, name, sizeof name))
        status = mcf_fail_among(out, name, err);
    free(folder);
    return status;
}
