// A buffer of bytes.
#ifndef MCF_BASE_BYTES_H
#define MCF_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// A growing byte buffer, reused from sample to sample. Start from {0}.
typedef struct {
    uint8_t *data;
    size_t size; // bytes in use
    size_t capacity;
} mcf_bytes;

// Sets size and sees that capacity covers it plus 64 bytes of slack (vector code may read, never use, past
// the end). Contents are lost when it grows or, far too large, shrinks. Fails with MCF_ERR_NOMEM.
mcf_status mcf_bytes_resize(mcf_bytes *buffer, size_t size, mcf_error *err);
void mcf_bytes_free(mcf_bytes *buffer);

#endif
