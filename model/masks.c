#include "model/masks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t mcf_visible_count(int64_t patches, double mask_ratio)
{
    return (int64_t)floor((double)patches * (1 - mask_ratio));
}

mcf_status mcf_mask_split(const int64_t *ids_shuffle, int64_t batch, int64_t patches, int64_t visible, int64_t *keep,
                          int64_t *mask, int64_t *restore, mcf_error *err)
{
    bool *seen = malloc((size_t)patches + 1);
    if (!seen)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a mask");
    mcf_status status = MCF_OK;
    int64_t removed = patches - visible;
    for (int64_t b = 0; b < batch && status == MCF_OK; b++) {
        const int64_t *row = ids_shuffle + b * patches;
        memset(seen, 0, (size_t)patches);
        for (int64_t i = 0; i < patches; i++) {
            if (row[i] < 0 || row[i] >= patches || seen[row[i]]) {
                status = mcf_fail(err, MCF_ERR_FORMAT,
                                  "mask of image %lld: %lld at place %lld; each row must be a "
                                  "permutation of 0..%lld",
                                  (long long)b, (long long)row[i], (long long)i, (long long)patches - 1);
                break;
            }
            seen[row[i]] = true;
            if (restore)
                restore[b * patches + row[i]] = i;
        }
        if (keep)
            memcpy(keep + b * visible, row, (size_t)visible * sizeof *row);
        if (mask)
            memcpy(mask + b * removed, row + visible, (size_t)removed * sizeof *row);
    }
    free(seen);
    return status;
}

static int64_t *take(mcf_inputs *to, const char *name, int64_t columns, mcf_error *err)
{
    return mcf_inputs_take(to, name, (size_t)columns * sizeof(int64_t), err);
}

mcf_status mcf_mask_inputs(const int64_t *ids_shuffle, int64_t patches, int64_t visible, bool restore, bool mask,
                           mcf_inputs *to, mcf_error *err)
{
    int64_t *keep = take(to, "ids_keep", visible, err), *order = NULL, *removed = NULL;
    if (restore)
        order = take(to, "ids_restore", patches, err);
    if (mask)
        removed = take(to, "ids_mask", patches - visible, err);
    if (!keep || (restore && !order) || (mask && !removed))
        return MCF_ERR_NOMEM;
    return mcf_mask_split(ids_shuffle, to->rows, patches, visible, keep, removed, order, err);
}
