// Running graphs on one device: the device with its store buffers, and programs (planned graphs).
//
// One runtime per device, one thread per runtime. All programs of a runtime share one arena, sized for the largest:
// outputs are valid until another program of the runtime runs.
#ifndef MCF_CORE_RUNTIME_H
#define MCF_CORE_RUNTIME_H

#include "backends/backend.h"
#include "backends/cluster/cluster.h"
#include "base/text.h"
#include "core/graph.h"

typedef struct mcf_runtime mcf_runtime;
typedef struct mcf_program mcf_program;

// The members of a job as one of them sees it.
typedef struct {
    int rank, world;
    mcf_group *group; // the devices of this process; NULL: one
    mcf_cluster
        *cluster;      // the processes of several machines; NULL: one, and the two below are taken from the two above
    int local, locals; // rank and number of devices in this process
} mcf_member;

typedef struct {
    const mcf_backend *backend;
    int device_index;
    mcf_device_options device;
    mcf_member member;
    mcf_dtype low_precision; // MCF_F32: no low-precision copies
    bool training;           // gradients and moments exist
} mcf_runtime_options;

// The store must outlive the runtime and not grow any more. Buffers hold zeros.
// The device is opened here unless `device` is given (then it stays the caller's).
mcf_status mcf_runtime_create(const mcf_store *store, const mcf_runtime_options *options, mcf_device *device,
                              mcf_runtime **runtime, mcf_error *err);
void mcf_runtime_destroy(mcf_runtime *runtime);
const mcf_store *mcf_runtime_store(const mcf_runtime *runtime);

// --- store buffers. `which` names an array of the layout of its role. Frozen weights of a low-precision runtime are
// rounded when written and come back rounded.
typedef enum { MCF_ARRAY_MASTER, MCF_ARRAY_GRADIENT, MCF_ARRAY_MOMENT1, MCF_ARRAY_MOMENT2 } mcf_array;
// One entry's fp32 elements, host to device and back; write(MASTER) refreshes nothing: call mcf_runtime_refresh after.
mcf_status mcf_runtime_write(mcf_runtime *runtime, mcf_array which, int entry, const float *values, mcf_error *err);
mcf_status mcf_runtime_read(mcf_runtime *runtime, mcf_array which, int entry, float *values, mcf_error *err);
// A whole role's array, padding included: store->role_count[role] elements.
mcf_status mcf_runtime_write_role(mcf_runtime *runtime, mcf_array which, mcf_role role, const float *values,
                                  mcf_error *err);
mcf_status mcf_runtime_read_role(mcf_runtime *runtime, mcf_array which, mcf_role role, float *values, mcf_error *err);
// Makes low-precision copies and cached forms of the weights follow the masters.
mcf_status mcf_runtime_refresh(mcf_runtime *runtime, mcf_error *err);

// --- optimiser step over the whole TRAINED role, then refresh of what follows from it.
typedef struct {
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step;          // counted from 1
    double grad_scale;     // multiplies gradients first: 1/(micro-batches * loss scale)
    double clip_norm;      // the scaled gradient is shortened to this norm; 0: none
    double rate_factor[4]; // by mcf_entry.rate_group
} mcf_adamw_step;
// Does not wait. Parameters and moments stay as they are, bit for bit, where a gradient is not finite: the device sees
// that for itself.
mcf_status mcf_runtime_adamw(mcf_runtime *runtime, const mcf_adamw_step *step, mcf_error *err);
// The sum of squares of all gradients (after all-reduce, before scaling) that the last mcf_runtime_adamw found; not
// finite where it left everything alone. Waits for the device.
mcf_status mcf_runtime_gradient_norm2(mcf_runtime *runtime, double *norm2, mcf_error *err);
// Averages TARGET towards TRAINED, and TARGET_STATS towards STATS, outside a graph. Does not wait.
mcf_status mcf_runtime_ema(mcf_runtime *runtime, double momentum, mcf_error *err);
mcf_status mcf_runtime_synchronize(mcf_runtime *runtime, mcf_error *err);

// --- programs
// Simplifies and plans the graph; takes ownership of it, also on failure. Grows the arena where needed.
mcf_status mcf_program_create(mcf_runtime *runtime, mcf_graph *graph, mcf_program **program, mcf_error *err);
void mcf_program_destroy(mcf_program *program);

// The programs of a runtime by key ("train b8 224 bf16"): NULL where there is none. The runtime owns cached programs.
mcf_program *mcf_runtime_cached(mcf_runtime *runtime, const char *key);
mcf_status mcf_runtime_cache(mcf_runtime *runtime, const char *key, mcf_program *program, mcf_error *err);

// Copies `bytes` (must be the input's size) into an input. Inputs keep their contents only until the next run.
mcf_status mcf_program_write(mcf_program *program, const char *input, const void *data, size_t bytes, mcf_error *err);
// Runs all nodes. `accumulate`: gradients add to what is there (later micro-batches). `reduce`: gradients are averaged
// over the group as the backward pass finishes their buckets (last micro-batch); no effect alone.
mcf_status mcf_program_run(mcf_program *program, bool accumulate, bool reduce, mcf_error *err);
// Keeps an output of one fp32 element under a number from 0 on; does not wait. What is kept outlives other runs, until
// its number is used again.
mcf_status mcf_program_keep(mcf_program *program, const char *output, int number, mcf_error *err);
// The values kept under numbers from 0 to count - 1; waits for the device. Numbers not used yet give 0.
mcf_status mcf_runtime_kept(mcf_runtime *runtime, float *values, int count, mcf_error *err);
// Reads an output after a run, converted to fp32 (f64 outputs too); waits for the device. `count` elements must match.
mcf_status mcf_program_read(mcf_program *program, const char *output, float *values, int64_t count, mcf_error *err);
mcf_status mcf_program_read_f64(mcf_program *program, const char *output, double *values, int64_t count,
                                mcf_error *err);
bool mcf_program_has_output(const mcf_program *program, const char *output);
mcf_status mcf_program_output_shape(const mcf_program *program, const char *output, mcf_shape *shape, mcf_error *err);

typedef struct {
    int nodes;
    uint64_t arena_bytes; // of this program
    uint64_t value_bytes; // sum of all values: what it would take without reuse
    double flops, bytes;  // of one run
} mcf_program_stats;
void mcf_program_describe(const mcf_program *program, mcf_program_stats *stats);
// The plan as text, a line a node: operation, shapes, offsets, lifetimes.
void mcf_program_print(const mcf_program *program, mcf_text *text);
// Times each node: seconds by operation over all runs since it was switched on (each node is waited for), and what those
// nodes computed and moved by the table's formulas.
void mcf_program_profile(mcf_program *program, bool on);
double mcf_program_profile_seconds(const mcf_program *program, mcf_op op, mcf_cost *cost);

#endif
