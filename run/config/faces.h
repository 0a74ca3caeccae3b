// From a config's keys to a set of labelled faces and to what becomes of them.
#ifndef MCF_RUN_CONFIG_FACES_H
#define MCF_RUN_CONFIG_FACES_H

#include "data/faces/augment.h"
#include "run/config/options.h"

// The layout of data.layout; auto: points for align, masks for parse.
const mcf_face_layout *mcf_config_face_layout(const mcf_config *config);
// The crop and the strengths: keys that are not given are the task's and the layout's. out_size is data.crop_size.
mcf_face_augment mcf_config_face_augment(const mcf_config *config);
// Reads data.train (with data.fraction) or data.validation. Fails with MCF_ERR_USAGE, too, where the labels are not what
// the network gives (points for align, label maps for parse, as many as model.head.outputs) or cannot be mirrored as
// augment.flip wants.
mcf_status mcf_config_faces_read(mcf_face_set *set, const mcf_config *config, bool validation, mcf_error *err);

#endif
