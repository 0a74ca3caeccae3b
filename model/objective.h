// What is trained, as the engine of steps sees it: networks in a store, the graph of a step, the terms of its loss. Each
// kind of network with its losses fills this struct; nothing above asks which one it is.
#ifndef MCF_MODEL_OBJECTIVE_H
#define MCF_MODEL_OBJECTIVE_H

#include "core/graph.h"
#include "data/formats/safetensors.h"
#include "model/params.h"

enum { MCF_MAX_LOSS_TERMS = 6 };

// One term of the loss: the graph's output of this name, unweighted, f32 [1].
typedef struct {
    const char *name; // "loss.feature"
    bool local;       // follows from this device's images alone: where it is not finite, one of them is at fault
} mcf_loss_term;

// When the averaged copies (TARGET, TARGET_STATS) follow.
typedef enum {
    MCF_AVERAGE_NONE,        // there are none
    MCF_AVERAGE_IN_GRAPH,    // each micro-batch, before the copy's forward pass
    MCF_AVERAGE_BEFORE_STEP, // once an optimiser step, before its first micro-batch
    MCF_AVERAGE_AFTER_STEP   // once, after the update
} mcf_averaging;

// What a graph is made for.
typedef struct {
    int64_t batch;     // B: images of this device in a micro-batch
    int world;         // devices of the job
    mcf_dtype compute; // of products
    bool image_u8;     // images are u8 [B,S,S,3] with flips u8 [B]; else f32 [B,3,S,S], already normalised
    bool outputs;      // the objective's `outputs` are outputs of the graph
    bool backward;     // gradients of the trained entries
    bool average;      // MCF_AVERAGE_IN_GRAPH: the graph averages
    bool evaluate;     // the evaluation graph instead: the averaged network with its running statistics, its losses
} mcf_step_graph_options;

typedef struct mcf_objective mcf_objective;
struct mcf_objective {
    void *model; // of its kind
    const mcf_store *store;
    mcf_loss_term term[MCF_MAX_LOSS_TERMS]; // that are on; the output `loss` is their weighted sum
    int term_count;
    const char *const *outputs;    // names of what a step gives to look at, NULL at the end; rows of images, f32
    const char *const *evaluation; // the same of the evaluation graph; NULL: there is no such graph
    const char *given;             // entries whose names begin so come from outside and are no results; NULL: none
    mcf_averaging averaging;
    double momentum; // of the average; MCF_AVERAGE_IN_GRAPH: the graph has its own

    // The graph of one micro-batch. Its outputs: loss, the terms, what `options` ask for. With `backward` it has an
    // input loss_scale f32 [1], which multiplies gradients but not the losses; mcf_engine writes that one.
    mcf_status (*build)(const mcf_objective *objective, const mcf_step_graph_options *options, mcf_graph **graph,
                        mcf_error *err);
    // First values of everything by the seed, nothing read from files, averaged copies included.
    void (*init)(const mcf_objective *objective, uint64_t seed, const mcf_params *params);
    // A run's start: the same, then what the options name.
    mcf_status (*start)(const mcf_objective *objective, uint64_t seed, const mcf_params *params, mcf_error *err);
    // Parameters by their checkpoint names, for a step on given tensors.
    mcf_status (*load)(const mcf_objective *objective, const mcf_safetensors *file, const mcf_params *params,
                       mcf_error *err);
    void (*destroy)(void *model);
};

#endif
