// Where samples come from: folders of pictures, tar shards, text lists, single files. A source is a fixed,
// ordered list of encoded pictures that any thread may read at random.
//
// - folder: every .jpg .jpeg .png .webp (any case) below it, links followed, hidden names skipped; each directory
//   in byte order of its names, so the order does not depend on locale or file system.
// - shards (tar): KEY.jpg|jpeg|png|webp in the order of the tar; KEY.txt (caption) and KEY.json next to it belong
//   to the sample. Hidden names (macOS "._x.jpg") are skipped.
// - list: one path a line, relative to the list's directory or absolute; empty lines are skipped. Files are
//   looked at only when read.
// - auto: a directory is a folder, or its shards if it holds *.tar and no picture; *.tar is a shard;
//   .jpg .jpeg .png .webp is one sample; any other file is a list.
#ifndef MCF_DATA_SOURCE_H
#define MCF_DATA_SOURCE_H

#include "data/image/image.h"

typedef struct mcf_source mcf_source;

typedef enum { MCF_SOURCE_AUTO = 0, MCF_SOURCE_FOLDER, MCF_SOURCE_TAR, MCF_SOURCE_LIST } mcf_source_format;
typedef enum { MCF_SIDECAR_TEXT = 0, MCF_SIDECAR_JSON } mcf_sidecar;

enum { MCF_SOURCE_MAX_FILE = 256 << 20 }; // bytes of one encoded sample

// Opens path_count paths, concatenated in that order; under `folder`, `shards`, `list` each must be of that
// kind (`shards` also takes a directory of shards). *source is the caller's, freed by mcf_source_close.
// Errors: MCF_ERR_IO, MCF_ERR_FORMAT (not a tar, ...), MCF_ERR_USAGE (nothing found at all).
mcf_status mcf_source_open(mcf_source **source, const char *const *paths, int path_count, mcf_source_format format,
                           mcf_error *err);
void mcf_source_close(mcf_source *source);

// Keeps a seeded subset of max(1, round(fraction * count)) samples in their order, 0 < fraction <= 1. Before
// any loader uses the source.
mcf_status mcf_source_subset(mcf_source *source, double fraction, uint64_t seed, mcf_error *err);

int64_t mcf_source_count(const mcf_source *source);

// One line each about things the user should know: truncated shards, indices that could not be written.
int mcf_source_note_count(const mcf_source *source);
const char *mcf_source_note(const mcf_source *source, int i);

// Path of the file, or "shard.tar:member". Written to buffer (cut to size), which is returned.
char *mcf_source_name(const mcf_source *source, int64_t i, char *buffer, size_t size);
// Name of the directory the file lies in: the class of folder data sets. "" where there is none.
char *mcf_source_label(const mcf_source *source, int64_t i, char *buffer, size_t size);
// xxHash64 over names and (shards) sizes: tells whether two runs saw the same data in the same order.
uint64_t mcf_source_fingerprint(const mcf_source *source);

// Encoded bytes of sample i; any thread. Errors (MCF_ERR_IO, MCF_ERR_FORMAT) do not repeat the sample's name.
mcf_status mcf_source_read(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err);
// KEY.txt or KEY.json of sample i; *found is false, and out untouched, where there is none.
mcf_status mcf_source_read_sidecar(const mcf_source *source, int64_t i, mcf_sidecar kind, mcf_bytes *out, bool *found,
                                   mcf_error *err);

#endif
