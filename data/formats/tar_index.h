// Where the files of a tar lie, so that any of them is one pread away.
//
// A tar is a row of 512-byte blocks: a header (or several, for long names: GNU 'L', pax 'x'), the file's
// bytes, zeros up to the next block. libarchive parses the headers; when it has read an entry's header, the
// bytes it has consumed so far are the offset of the file's data.
//
// Index file `shard.tar.idx`, little-endian 64-bit words: magic "MCFTARX1", size of the tar, its modification
// time (ns), entries n, bytes of names m, truncated_at, skipped; n x {offset, size, name}; m bytes of names,
// each ended by NUL; xxHash64 of all that. An index that does not fit its tar, or itself, is made anew.
#ifndef MCF_DATA_TAR_INDEX_H
#define MCF_DATA_TAR_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct {
    uint64_t offset, size; // of the file's bytes; offset + size <= tar_size
    uint64_t name;         // offset into names
} mcf_tar_entry;

typedef struct {
    uint64_t tar_size;
    int64_t mtime_ns;
    uint64_t count;
    mcf_tar_entry *entries; // regular files in the order of the tar
    char *names;            // paths as stored, "./" in front removed
    uint64_t names_size;
    // 0: the tar is whole. Otherwise the offset at which it breaks off (or stops making sense): everything
    // before is indexed, nothing after.
    uint64_t truncated_at;
    uint64_t skipped; // sparse files: their bytes are not in one piece
} mcf_tar_index;

void mcf_tar_index_free(mcf_tar_index *index);

// Reads all headers of a tar file. A tar that breaks off is no error as long as something is whole.
// Errors: MCF_ERR_IO; MCF_ERR_FORMAT for no tar (or a compressed one: it cannot be read at random).
mcf_status mcf_tar_index_scan(const char *path, mcf_tar_index *index, mcf_error *err);
// The same for a tar in memory; name is for messages. mtime_ns is left 0.
mcf_status mcf_tar_index_scan_memory(const uint8_t *bytes, size_t size, const char *name, mcf_tar_index *index,
                                     mcf_error *err);

// Index file to index and back. Parsing trusts nothing; MCF_ERR_FORMAT says what is wrong.
mcf_status mcf_tar_index_parse(const uint8_t *bytes, size_t size, mcf_tar_index *index, mcf_error *err);
mcf_status mcf_tar_index_serialize(const mcf_tar_index *index, uint8_t **bytes, size_t *size, mcf_error *err);

// Takes path.idx where it fits the tar's size and modification time, else scans and writes it (complete or
// not at all). note receives "" or one line: that the tar is truncated, that the index could not be written.
mcf_status mcf_tar_index_open(const char *path, mcf_tar_index *index, char *note, size_t note_size, mcf_error *err);

#endif
