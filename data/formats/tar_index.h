// Where the files of a tar lie, so that any of them is one pread away.
//
// A tar is a row of 512-byte blocks: a header (or several, for long names: GNU 'L', pax 'x'), the file's
// bytes, zeros up to the next block. libarchive parses the headers; when it has read an entry's header, the
// bytes it has consumed so far are the offset of the file's data.
//
// A file's own header is the block in front of its bytes. The index keeps a hash of it, so that whoever reads the file
// can see that it still is the one that was indexed.
//
// Index file `shard.tar.idx`, little-endian 64-bit words: magic "MCFTARX2"; size of the tar, its modification and change
// time (ns) and its inode; entries n, bytes of names m, bytes of words w, truncated_at; n x {offset, size, name, header};
// m bytes of names, each ended by NUL; w bytes of words; xxHash64 of all that. An index that does not fit its tar, or
// itself, is made anew.
#ifndef MCF_DATA_FORMATS_TAR_INDEX_H
#define MCF_DATA_FORMATS_TAR_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

typedef struct {
    uint64_t offset, size; // of the file's bytes; offset + size <= tar_size
    uint64_t name;         // offset into names
    uint64_t header;       // mcf_tar_header_hash of the block before offset
} mcf_tar_entry;

typedef struct {
    uint64_t tar_size;
    int64_t mtime_ns, ctime_ns;
    uint64_t inode;
    uint64_t count;
    mcf_tar_entry *entries; // regular files, and hard links to them, in the order of the tar
    char *names;            // paths as stored, "./" in front removed
    uint64_t names_size;
    // 0: the tar is whole. Otherwise the offset at which it breaks off (or stops making sense): everything
    // before is indexed, nothing after.
    uint64_t truncated_at;
    char *left_out; // "" or what is not read, by type with the first name of each: "2 symbolic links (a.jpg, ...)"
} mcf_tar_index;

enum { MCF_TAR_BLOCK = 512 };
// Of the block in front of a file's bytes.
uint64_t mcf_tar_header_hash(const uint8_t block[MCF_TAR_BLOCK]);

void mcf_tar_index_free(mcf_tar_index *index);

// Reads all headers of a tar file. A tar that breaks off is no error as long as something is whole.
// Errors: MCF_ERR_IO; MCF_ERR_FORMAT for no tar (or a compressed one: it cannot be read at random).
mcf_status mcf_tar_index_scan(const char *path, mcf_tar_index *index, mcf_error *err);
// The same for a tar in memory; name is for messages. Times and inode are left 0.
mcf_status mcf_tar_index_scan_memory(const uint8_t *bytes, size_t size, const char *name, mcf_tar_index *index,
                                     mcf_error *err);

// As the index keeps it: nanoseconds.
static inline int64_t mcf_tar_time(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

// Index file to index and back. Parsing trusts nothing; MCF_ERR_FORMAT says what is wrong.
mcf_status mcf_tar_index_parse(const uint8_t *bytes, size_t size, mcf_tar_index *index, mcf_error *err);
mcf_status mcf_tar_index_serialize(const mcf_tar_index *index, uint8_t **bytes, size_t *size, mcf_error *err);

// Takes path.idx where it is of this very tar: size and modification time fit, and so do the headers of some files
// (of all, where the tar was moved or copied since). Else scans and writes the index, complete or not at all. A file
// path.idx that is not ours is left alone; the index then is path.mcf.idx. note receives "" or one line: that the tar is
// truncated, what is left out of it, where the index is.
mcf_status mcf_tar_index_open(const char *path, mcf_tar_index *index, char *note, size_t note_size, mcf_error *err);

#endif
