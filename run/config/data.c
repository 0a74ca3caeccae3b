#include "run/config/data.h"

mcf_center_crop_options mcf_data_crop(const mcf_data_options *data, int side)
{
    return (mcf_center_crop_options){.side = side,
                                     .shorter = mcf_shorter_side(side, data->crop_pct),
                                     .filter = data->filter,
                                     .fast_decode = data->fast_decode};
}

mcf_status mcf_data_open(mcf_source **source, const mcf_data_options *data, const mcf_path_list *list, mcf_error *err)
{
    return mcf_source_open_keys(source, (const char *const *)list->items, list->count, data->format,
                                (const char *const *)data->image_keys.items, data->image_keys.count, err);
}
