// Files and directories with errors as values, and files that appear complete or not at all.
#ifndef MCF_BASE_FILE_H
#define MCF_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/path.h"

// Opens a regular file for reading, without waiting for one that is none: pipes, sockets, devices and directories are
// refused by their name (MCF_ERR_FORMAT). *size (NULL allowed): its bytes.
mcf_status mcf_file_open(const char *path, int *fd, uint64_t *size, mcf_error *err);
// "a pipe", "a directory", ... by st_mode.
const char *mcf_file_kind(unsigned mode);
// Reads a whole file into malloc'd memory with a NUL behind it (not counted in *size).
// A file of more than `limit` bytes is MCF_ERR_FORMAT. As mcf_file_open, but the process's own descriptors
// (/dev/stdin, /dev/fd/N) may be pipes.
mcf_status mcf_file_read(const char *path, size_t limit, char **bytes, size_t *size, mcf_error *err);
// Exactly `size` bytes at `offset`; a file that ends before is MCF_ERR_FORMAT. `path` is for the message.
mcf_status mcf_file_read_at(int fd, void *bytes, size_t size, uint64_t offset, const char *path, mcf_error *err);
// All bytes, through short writes and EINTR.
mcf_status mcf_file_write_all(int fd, const void *bytes, size_t size, const char *path, mcf_error *err);
// xxHash64 (seed 0) of bytes in memory.
uint64_t mcf_bytes_hash(const void *bytes, size_t size);
// xxHash64 (seed 0) and size of a file's contents.
mcf_status mcf_file_hash(const char *path, uint64_t *hash, uint64_t *size, mcf_error *err);

// Makes a directory and what is missing above it; one that exists is fine.
mcf_status mcf_directory_make(const char *path, mcf_error *err);
// fsync of a directory: makes renames and new names in it durable.
mcf_status mcf_directory_sync(const char *path, mcf_error *err);
// Removes a file or a directory with all that is in it, following no links; nothing there is fine.
mcf_status mcf_tree_remove(const char *path, mcf_error *err);

// A file written beside its place and renamed when complete: links are followed and stay, a file that is replaced keeps
// its mode, and a failure leaves what was there before. A pipe or device is written straight into (base/output.h).
typedef struct mcf_file_writer mcf_file_writer;
mcf_status mcf_file_writer_open(mcf_file_writer **writer, const char *path, mcf_error *err);
// Buffered; after a failure only mcf_file_writer_abort makes sense.
mcf_status mcf_file_writer_write(mcf_file_writer *writer, const void *bytes, size_t size, mcf_error *err);
// Flushes, syncs, renames, syncs the directory; frees the writer in every case. `hash` (NULL allowed)
// receives the xxHash64 of all bytes and `total` (NULL allowed) their number.
mcf_status mcf_file_writer_commit(mcf_file_writer *writer, uint64_t *hash, uint64_t *total, mcf_error *err);
// Removes what was written and frees the writer; NULL is fine.
void mcf_file_writer_abort(mcf_file_writer *writer);

// That a file can be put at `path`: its directory is there and may be written, and `path` is none itself. Asked before
// long work, whose result would have no place.
mcf_status mcf_file_check_place(const char *path, mcf_error *err);

// The above in one: `path` holds exactly these bytes afterwards, or what it held before.
mcf_status mcf_file_write(const char *path, const void *bytes, size_t size, mcf_error *err);

#endif
