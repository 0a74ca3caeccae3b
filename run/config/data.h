// What a config's data.* makes of pictures.
#ifndef MCF_RUN_CONFIG_DATA_H
#define MCF_RUN_CONFIG_DATA_H

#include "data/source.h"
#include "data/transform.h"
#include "run/config/config.h"

// The centre crop to side x side that the options describe, without flips.
mcf_center_crop_options mcf_data_crop(const mcf_data_options *data, int side);
// Opens the paths of `list`, data.train for instance, in the options' format and with their image_keys.
mcf_status mcf_data_open(mcf_source **source, const mcf_data_options *data, const mcf_path_list *list, mcf_error *err);

#endif
