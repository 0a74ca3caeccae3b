// What the files of core share about graphs; nothing above includes this.
#ifndef MCF_CORE_GRAPH_INTERNAL_H
#define MCF_CORE_GRAPH_INTERNAL_H

#include "core/graph.h"

typedef enum {
    MCF_PLACE_ARENA,   // made by a node, lives in the arena
    MCF_PLACE_INPUT,   // filled by the caller, lives in the arena
    MCF_PLACE_MASTER,  // the store, fp32
    MCF_PLACE_LOW,     // the store's low-precision copy
    MCF_PLACE_GRADIENT // the store's gradients: written in place by a node
} mcf_place;

typedef enum {
    MCF_VIEW_NONE,
    MCF_VIEW_RESHAPE,
    MCF_VIEW_PERMUTE,
    MCF_VIEW_SLICE,
    MCF_VIEW_EXPAND,
    MCF_VIEW_DETACH
} mcf_view;

typedef struct {
    mcf_dtype dtype;
    mcf_shape shape;
    int64_t stride[MCF_MAX_RANK]; // elements
    int64_t offset;               // elements from the start of the base
    mcf_value base;               // the value that owns the memory; itself where it is no view
    int node;                     // base: its producer, -1 for leaves
    mcf_place place;              // base only
    mcf_role role;                // of places in the store
    int64_t role_offset;          // elements
    int entry;                    // store entry, or -1
    bool requires_grad;
    bool is_output;
    mcf_view view;
    mcf_value parent;       // of a view
    int axes[MCF_MAX_RANK]; // permute: axes; slice: axes[0]
    int64_t begin;          // slice
    char *name;             // inputs
} mcf_graph_value;

enum { MCF_ACC_NEVER, MCF_ACC_RUN, MCF_ACC_ALWAYS }; // RUN: as the run says (first micro-batch overwrites)

typedef struct {
    mcf_op op;
    mcf_attr attr;
    int n_in, n_out;
    mcf_value in[MCF_MAX_INPUTS];
    mcf_value out[MCF_MAX_OUTPUTS];
    unsigned char accumulate[MCF_MAX_OUTPUTS];
    int recompute; // its recomputed block; 0: none
    bool effect;   // changes the store: stays even if nothing reads its output
    bool sync;     // batch_norm: its statistics are those of the whole job
} mcf_graph_node;

typedef struct {
    char *name;
    mcf_value value;
} mcf_graph_output;

struct mcf_graph {
    int world;
    mcf_dtype compute;
    mcf_error error;
    mcf_graph_value *values;
    int value_count, value_capacity;
    mcf_graph_node *nodes;
    int node_count, node_capacity;
    mcf_graph_output *outputs;
    int output_count, output_capacity;
    int recompute, recompute_count; // current (0: none), and how many there have been
    const mcf_store *store;         // of the parameters used
    mcf_value *gradients;           // by value id, after mcf_backward
    int gradient_count;
};

// Grows *array of elements of `size` to hold one more than `count`; false: out of memory.
bool mcf_grow(void *array, int count, int *capacity, size_t size);

bool mcf_graph_ok(const mcf_graph *graph);
// Appends a value; MCF_NO_VALUE and an error in the graph when memory runs out.
mcf_value mcf_new_value(mcf_graph *graph, const mcf_graph_value *value);
bool mcf_value_is_contiguous(const mcf_graph *graph, mcf_value value);
mcf_value mcf_contiguous(mcf_graph *graph, mcf_value value);

// Appends a node: copies inputs that must be contiguous and are not, infers shapes, makes the outputs. out_dtype: type
// of outputs whose type the table leaves open. fill's shape: see mcf_fill. Inputs may be MCF_NO_VALUE where optional.
// Returns the node's index, -1 on failure (then the graph has the error).
int mcf_emit(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in, mcf_dtype out_dtype);
// The same, returning the first output.
mcf_value mcf_emit1(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in,
                    mcf_dtype out_dtype);

// The same; outputs from `first_statistic` on carry statistics of the forward pass and get no gradient of their own.
mcf_value mcf_emit_with_statistics(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in,
                                   mcf_dtype out_dtype, int first_statistic);
// Rows of the last axis, as [R, C].
mcf_value mcf_as_rows(mcf_graph *graph, mcf_value x);

// The type of statistics and losses: f64 in f64 graphs, else f32.
mcf_dtype mcf_statistics_dtype(const mcf_graph *graph, mcf_value x);

// --- plan.c
typedef struct {
    uint64_t *offset;  // bytes, by value id; of bases in the arena
    int *first, *last; // node indices between which the value lives (-1: before the first)
    uint64_t arena_bytes;
    uint64_t value_bytes;
} mcf_plan;
// Places every arena value. alignment: bytes, a power of two. piece: bytes of the buffers that the arena consists of, a
// multiple of the alignment; no value crosses from one into the next. 0: one buffer. A value larger than a piece is an
// error.
mcf_status mcf_plan_create(const mcf_graph *graph, uint64_t alignment, uint64_t piece, mcf_plan *plan, mcf_error *err);
void mcf_plan_free(mcf_plan *plan);

#endif
