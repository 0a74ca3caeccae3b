// What the host gives the inputs of a graph for one micro-batch: arrays by name, with a row for each image of this
// process, or one value that all devices get.
#ifndef MCF_CORE_INPUTS_H
#define MCF_CORE_INPUTS_H

#include "core/runtime.h"

enum { MCF_MAX_HOST_INPUTS = 12 };

typedef struct {
    const char *name; // of the graph's input; must outlive the use
    size_t row;       // bytes of a row
    bool shared;      // one row for all devices
    const void *data;
    void *own; // what mcf_inputs_take gave; kept for the next micro-batch
    size_t capacity;
} mcf_host_input;

// Start from {0}.
typedef struct {
    mcf_host_input input[MCF_MAX_HOST_INPUTS];
    int count;
    int64_t rows; // images
} mcf_inputs;

// Empties the list for a micro-batch of `rows` images; memory stays for it.
void mcf_inputs_begin(mcf_inputs *inputs, int64_t rows);
void mcf_inputs_free(mcf_inputs *inputs);
// Adds the caller's array [rows][row bytes], which must stay until the micro-batch has been written.
mcf_status mcf_inputs_point(mcf_inputs *inputs, const char *name, const void *data, size_t row, mcf_error *err);
// Adds an array of the list's own, to be filled by the caller; NULL: no memory, or too many inputs.
void *mcf_inputs_take(mcf_inputs *inputs, const char *name, size_t row, mcf_error *err);
// Adds one value for all devices; it is copied.
mcf_status mcf_inputs_share(mcf_inputs *inputs, const char *name, const void *value, size_t size, mcf_error *err);
// Leaves the first rows out.
void mcf_inputs_skip(mcf_inputs *inputs, int64_t rows);
// Writes `rows` rows from `first` on into the program's inputs. Each name must be one of the program's.
mcf_status mcf_inputs_write(const mcf_inputs *inputs, mcf_program *program, int64_t first, int64_t rows,
                            mcf_error *err);

#endif
