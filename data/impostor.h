// Files that are not what their names promise, and what they are instead.
#ifndef MCF_DATA_IMPOSTOR_H
#define MCF_DATA_IMPOSTOR_H

#include <stddef.h>

// By the first bytes (some hundred): a Git LFS pointer, a web page, an XML error. One phrase with the remedy, or NULL.
const char *mcf_impostor(const void *bytes, size_t size);
// The same of a file that should hold weights as safetensors: also other programs' formats, archives and plain text.
const char *mcf_impostor_weights(const void *bytes, size_t size);

#endif
