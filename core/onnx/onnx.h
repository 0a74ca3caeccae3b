// A graph as an ONNX file (opset 13, IR version 7), for programs that run networks without mcf.
//
// The graph is the one that the backends run, so the file cannot say something else. Inside, maps are [B,H,W,C]; ONNX's
// operations on images want [B,C,H,W], and are given it: where one follows another no transposition stands between.
// Everything is fp32; LayerNorm, GELU and attention are plain operations, pools with overlapping bins, resizes and
// centroids are products with constants.
#ifndef MCF_CORE_ONNX_ONNX_H
#define MCF_CORE_ONNX_ONNX_H

#include "core/graph.h"

typedef struct {
    // The same network, fp32 and without gradients, for two batch sizes: what differs between them is the batch, which is
    // open in the file. Images come in as bytes (mcf_normalize_image): in the file they are f32 [batch,3,H,W], RGB from 0
    // to 1, and the input `flip` is left out.
    const mcf_graph *graph, *other;
    const mcf_store *store;
    const float *const *roles; // [MCF_ROLE_COUNT] the masters, laid out as the store. Kept, and read by mcf_onnx_write
    const char *weight_prefix; // taken off the names of weights, "" for none
    const char *output_prefix; // taken off the names of outputs, "" for none
    const char *name;          // of the network
    const char *version;       // of the program
    const char *const *metadata; // name, value, ..., NULL
} mcf_onnx_options;

typedef struct mcf_onnx mcf_onnx;

// Everything that options point to, and the graphs, must stay until mcf_onnx_destroy; weights need not be there yet.
// Errors: MCF_ERR_UNSUPPORTED where an operation has no form in ONNX, or where the file would pass 2 GiB, which is the
// most that protocol buffers hold.
mcf_status mcf_onnx_create(const mcf_onnx_options *options, mcf_onnx **onnx, mcf_error *err);
uint64_t mcf_onnx_bytes(const mcf_onnx *onnx); // of the file
// Weights go from where they are straight into the file.
mcf_status mcf_onnx_write(const mcf_onnx *onnx, const char *path, mcf_error *err);
void mcf_onnx_destroy(mcf_onnx *onnx); // NULL is fine

#endif
