// Private to data/source*.c.
#ifndef MCF_DATA_SOURCE_INTERNAL_H
#define MCF_DATA_SOURCE_INTERNAL_H

#include "data/source.h"

// A root directory (path, fd -1) or a shard (path, fd of the tar or -1 where it is opened for each read).
typedef struct {
    char *path;
    bool tar;
    int fd;
} source_container;

typedef struct {
    uint64_t name;   // offset into names
    uint64_t offset; // tar only
    uint32_t size;   // tar only
    uint32_t container;
} source_sample;

typedef struct {
    uint64_t offset;
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
};

// Appends a container and returns its index in *index; path is copied.
mcf_status mcf_source_add_container(mcf_source *source, const char *path, bool tar, uint32_t *index, mcf_error *err);
mcf_status mcf_source_add_sample(mcf_source *source, uint32_t container, const char *name, uint64_t offset,
                                 uint32_t size, mcf_error *err);
mcf_status mcf_source_add_note(mcf_source *source, const char *note, mcf_error *err);

#endif
