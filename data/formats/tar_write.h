// Tar shards that are the same bytes for the same members: ustar, time 0, owner 0, mode 0644.
#ifndef MCF_DATA_FORMATS_TAR_WRITE_H
#define MCF_DATA_FORMATS_TAR_WRITE_H

#include "base/file.h"

// A header, the bytes and zeros up to the next block of 512. name: at most 100 bytes. Errors: of writing; MCF_ERR_USAGE for
// a name that does not fit.
mcf_status mcf_tar_add(mcf_file_writer *writer, const char *name, const void *bytes, size_t size, mcf_error *err);
// The two empty blocks that end a tar.
mcf_status mcf_tar_end(mcf_file_writer *writer, mcf_error *err);

#endif
