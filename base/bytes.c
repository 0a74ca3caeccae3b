#include "base/bytes.h"

#include <stdbool.h>
#include <stdlib.h>

mcf_status mcf_bytes_resize(mcf_bytes *buffer, size_t size, mcf_error *err)
{
    if (size > SIZE_MAX - 64)
        return mcf_fail(err, MCF_ERR_NOMEM, "a buffer of %zu bytes is not possible", size);
    // One huge picture should not hold its memory for the rest of the run.
    bool wasteful = buffer->capacity > (size_t)64 << 20 && size + 64 < buffer->capacity / 8;
    if (buffer->capacity < size + 64 || wasteful) {
        free(buffer->data);
        buffer->data = malloc(size + 64);
        buffer->capacity = buffer->data ? size + 64 : 0;
        buffer->size = 0;
        if (!buffer->data)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a buffer of %zu bytes", size);
    }
    buffer->size = size;
    return MCF_OK;
}

void mcf_bytes_free(mcf_bytes *buffer)
{
    free(buffer->data);
    *buffer = (mcf_bytes){0};
}
