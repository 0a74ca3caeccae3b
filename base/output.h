// Where a command's result may go: what stands at the path is looked at before anything is replaced.
#ifndef MCF_BASE_OUTPUT_H
#define MCF_BASE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

typedef enum {
    MCF_OUTPUT_NEW,     // nothing stands there
    MCF_OUTPUT_REPLACE, // a regular file, which is replaced as a whole
    MCF_OUTPUT_STREAM   // a pipe, a device or an open descriptor: bytes go straight into it, nothing is renamed
} mcf_output_kind;

typedef struct {
    mcf_output_kind kind;
    char *path; // malloc'd; with all links followed, so that the target is written and the link stays. NULL: STREAM
    struct stat info; // of what stands there; not of NEW
} mcf_output_place;

// What `path` leads to. Errors (MCF_ERR_IO): a directory, a socket, links in a circle, a file that may not be written,
// a parent that is missing, is no directory or may not be written.
mcf_status mcf_output_find(const char *path, mcf_output_place *place, mcf_error *err);
void mcf_output_place_free(mcf_output_place *place);

// Refuses (MCF_ERR_USAGE) an output that is the same file as one of the inputs, by whatever name: reading would find
// what was just written, and the input would be lost. Inputs that are NULL or not there are passed over.
mcf_status mcf_output_differs(const char *path, const char *const *inputs, size_t count, mcf_error *err);
// Bytes that files in or at `path`, there or not yet, may still take. False where the system does not tell.
bool mcf_output_room(const char *path, uint64_t *bytes);
// Asked before the work: refuses (MCF_ERR_IO) an output of `bytes`, its largest file of `largest`, that the disk has no
// room for or that is above the process's limit of a file's size. `path` is a file or a directory, there or not yet.
// Streams have no size, and what the system does not tell passes.
mcf_status mcf_output_check_room(const char *path, uint64_t bytes, uint64_t largest, mcf_error *err);
// Whether both paths lead to one file that is there.
bool mcf_same_file(const char *a, const char *b);

#endif
