// One file out of a zip archive (a Python wheel is one).
#ifndef MCF_DATA_FORMATS_ZIP_MEMBER_H
#define MCF_DATA_FORMATS_ZIP_MEMBER_H

#include <stddef.h>

#include "base/error.h"

// The first member whose path ends in `suffix`, unpacked into malloc'd memory. Errors: MCF_ERR_IO; MCF_ERR_FORMAT for no
// zip, no such member, or one of more than `limit` bytes.
mcf_status mcf_zip_member(const char *path, const char *suffix, size_t limit, char **bytes, size_t *size,
                          mcf_error *err);

#endif
