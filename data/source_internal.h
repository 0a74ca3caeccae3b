// Private to data/source*.c.
#ifndef MCF_DATA_SOURCE_INTERNAL_H
#define MCF_DATA_SOURCE_INTERNAL_H

#include "data/source.h"

// A root directory (path, fd -1) or a shard (path, fd of the tar or -1 where it is opened for each read).
typedef struct {
    char *path;
    char *root; // of a shard: the tar or the folder of shards that was given
    bool tar;
    int fd;
} source_container;

typedef struct {
    uint64_t name;   // offset into names
    uint64_t offset; // tar; of a file in a folder its size when it was found
    uint64_t header; // mcf_tar_header_hash; tar only, as `size`
    uint32_t size;
    uint32_t container;
} source_sample;

typedef struct {
    uint64_t offset, header;
    uint32_t size; // 0: none
} source_piece;

struct mcf_source {
    source_container *containers;
    size_t container_count, container_room;
    source_sample *samples;
    int64_t count, room;
    source_piece (*sidecars)[2]; // [count], only when some shard has any
    char *names;
    uint64_t names_size, names_room;
    char **notes;
    int note_count;
    int open_files, open_limit; // shards kept open
    const char *const *keys;    // while it is opened
    int key_count;
};

// Appends a container and returns its index in *index; path is copied.
mcf_status mcf_source_add_container(mcf_source *source, const char *path, const char *root, bool tar, uint32_t *index,
                                    mcf_error *err);
// piece: of a shard; NULL for files.
mcf_status mcf_source_add_sample(mcf_source *source, uint32_t container, const char *name, const source_piece *piece,
                                 mcf_error *err);
mcf_status mcf_source_add_note(mcf_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Fill a source from one path of a given kind.
mcf_status mcf_source_add_folder(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err);
mcf_status mcf_source_add_tar(mcf_source *source, const char *path, const char *root, mcf_error *err);
mcf_status mcf_source_add_list(mcf_source *source, const char *path, mcf_error *err);

// What a file is by its first bytes.
typedef enum { MCF_LOOKS_TEXT, MCF_LOOKS_PICTURE, MCF_LOOKS_TAR, MCF_LOOKS_PACKED, MCF_LOOKS_OTHER } mcf_looks;
// *packer: the name of the compression, of MCF_LOOKS_PACKED.
mcf_looks mcf_source_look(const uint8_t *bytes, size_t size, const char **packer);

bool mcf_has_picture_extension(const char *name);
// ".tar.gz", ".tgz", ...: what a shard is called before it is unpacked.
bool mcf_has_packed_extension(const char *name);
bool mcf_has_extension(const char *name, const char *extension); // ".tar"; any case

#endif
