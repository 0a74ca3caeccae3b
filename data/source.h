// Where samples come from: folders of pictures, tar shards, text lists, single files. A source is a fixed,
// ordered list of encoded pictures that any thread may read at random.
//
// - folder: every file below it whose name ends as a picture's (.jpg .jpeg .jpe .jfif .mpo .png .webp, any case), links
//   followed, hidden names skipped; each directory in byte order of its names, so the order does not depend on locale or
//   file system. Of a folder that `mcf synth` wrote, images/ alone: its layouts are the same pictures, and masks.
// - shards (tar): a sample is a key, as WebDataset groups files: the path up to the first dot of the base name; what
//   follows is the extension. One picture a key, in the order of the tar; KEY.txt (caption) and KEY.json belong to it,
//   wherever in the tar they stand. Hidden names (macOS "._x.jpg") are skipped.
// - list: one path a line, relative to the list's directory or absolute; empty lines are skipped, a byte-order mark is
//   passed over. Files are looked at only when read.
// - auto: a directory is a folder, or its shards if it holds *.tar and no picture; of files the first bytes tell:
//   pictures, tars, else lists.
// Pipes, sockets and devices are nobody's pictures: nothing here waits for them.
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
// The same; `keys` (key_count, borrowed): the extensions of a key's picture in shards, the first that a key has is taken,
// keys without any are left out. No keys: a plain picture extension before one behind other words (.jpg before .seg.png).
mcf_status mcf_source_open_keys(mcf_source **source, const char *const *paths, int path_count, mcf_source_format format,
                                const char *const *keys, int key_count, mcf_error *err);
// The given files themselves, in their order, one sample each; a file may stand there more than once. They are looked at
// only when read.
mcf_status mcf_source_open_files(mcf_source **source, const char *const *paths, int64_t count, mcf_error *err);
void mcf_source_close(mcf_source *source);

// Keeps a seeded subset of max(1, round(fraction * count)) samples in their order, 0 < fraction <= 1. Before
// any loader uses the source.
mcf_status mcf_source_subset(mcf_source *source, double fraction, uint64_t seed, mcf_error *err);

int64_t mcf_source_count(const mcf_source *source);

// One line each about things the user should know: truncated shards, what is left out, which picture of a key is taken,
// indices that could not be written.
int mcf_source_note_count(const mcf_source *source);
const char *mcf_source_note(const mcf_source *source, int i);

// Path of the file, or "shard.tar:member". Written to buffer (cut to size), which is returned.
char *mcf_source_name(const mcf_source *source, int64_t i, char *buffer, size_t size);
// Every note to `notice`, where there is one.
void mcf_source_tell(const mcf_source *source, void (*notice)(void *context, const char *line), void *context);
// Refuses (MCF_ERR_USAGE) an output that is one of the files that are read, a picture or a shard, by whatever name or
// link; and a folder for results in which some of them lie, however they were named.
mcf_status mcf_source_check_output(const mcf_source *source, const char *out, mcf_error *err);
mcf_status mcf_source_check_folder(const mcf_source *source, const char *folder, mcf_error *err);
// Whether a picture, or with `shards` a shard, lies in the folder itself, however either is named; `name` [size] receives
// the first that does.
bool mcf_source_lies_in(const mcf_source *source, const char *folder, bool shards, char *name, size_t size);
// What tells one person's folder from all others: the whole path of the directory, from the root that was given (for
// shards: the tar, or the folder of shards, and the directory in the tar). Equal names under two roots are two people.
// malloc'd; NULL without memory.
char *mcf_source_identity(const mcf_source *source, int64_t i);
// xxHash64 over names and (shards) sizes: tells whether two runs saw the same data in the same order.
uint64_t mcf_source_fingerprint(const mcf_source *source);

// xxHash64 over what tells changed contents cheaply: of shards every file's header (size, time, name), of files every size
// where the folder was walked, and the bytes of 256 samples, spread evenly. A sample that cannot be read counts as such.
uint64_t mcf_source_contents(const mcf_source *source);

// Encoded bytes of sample i; any thread. Errors (MCF_ERR_IO, MCF_ERR_FORMAT) do not repeat the sample's name.
mcf_status mcf_source_read(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err);
// The same, tried again after 0.1, 0.2 and 0.4 s where the system refused (MCF_ERR_IO, MCF_ERR_NOMEM): what passes is
// nobody's damage, and what stays is no broken picture either but an error for the caller to end with.
mcf_status mcf_source_read_patiently(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err);
// KEY.txt or KEY.json of sample i; *found is false, and out untouched, where there is none.
mcf_status mcf_source_read_sidecar(const mcf_source *source, int64_t i, mcf_sidecar kind, mcf_bytes *out, bool *found,
                                   mcf_error *err);

#endif
