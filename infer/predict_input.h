// Pictures of `mcf predict` from standard input.
#ifndef MCF_INFER_PREDICT_INPUT_H
#define MCF_INFER_PREDICT_INPUT_H

#include <stdio.h>

#include "data/image/image.h"

// A picture's bytes, or a list: one path a line, to pictures, folders, shards or lists.
typedef struct {
    char *bytes; // with a zero behind the last
    size_t size;
    const char **paths; // of a list, within `bytes`; NULL: a picture
    size_t path_count;
} mcf_predict_input;

// Reads `from` to its end. Errors: MCF_ERR_FORMAT where there is nothing, more than 1 GiB or what is neither a picture nor
// text; MCF_ERR_IO.
mcf_status mcf_predict_input_read(mcf_predict_input *input, FILE *from, mcf_error *err);
void mcf_predict_input_free(mcf_predict_input *input); // zeros are fine

#endif
