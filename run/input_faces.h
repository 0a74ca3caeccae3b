// run/inputs.h for labelled faces: label files, pictures and label maps.
#ifndef MCF_RUN_INPUT_FACES_H
#define MCF_RUN_INPUT_FACES_H

#include "data/faces/faces.h"
#include "run/config/config.h"

// A label file, a picture or a label map.
mcf_status mcf_check_output_faces(const char *out, const mcf_face_set *set, mcf_error *err);
// The same of data.validation, and where `training` is set of data.train, of a config of labelled faces. What cannot be
// read passes: whoever reads it says so.
mcf_status mcf_check_output_labels(const char *out, const mcf_config *config, bool training, mcf_error *err);
// A folder in which pictures, label maps or label files lie that are read.
mcf_status mcf_check_folder_faces(const char *folder, const mcf_face_set *set, mcf_error *err);
// A picture for people, among those that are read.
mcf_status mcf_check_picture_faces(const char *out, const mcf_face_set *set, mcf_error *err);

#endif
