// YuNet (Wu et al. 2023, "YuNet: A tiny millisecond-level face detector") as libfacedetection publishes it. Pixels are
// blue, green, red, 0..255 as they are. A unit is a 1 x 1 convolution and a depthwise 3 x 3 with a border of zeros, ReLU
// behind it except in heads.
//   3 x 3 stride 2 to 16 + ReLU, unit 16, pool, units 16, 32, units 32, 64, then three times pool and units 64, 64:
//   maps at 1/8, 1/16, 1/32 of 64 channels. From the coarsest: a unit, doubled (nearest) and added to the next map before
//   its unit. Each map has a head of 16 channels: class, objectness, box (4), points (10).
// Names in files are the library's: backbone__model0_pw_weight [16][32] (rows, columns, colours; 5 unused), ..._pw_weight
// [out][in], ..._dw_weight [9][channels].
#ifndef MCF_MODEL_YUNET_H
#define MCF_MODEL_YUNET_H

#include "core/graph.h"
#include "core/runtime.h"
#include "core/store.h"
#include "data/formats/safetensors.h"

enum { MCF_YUNET_LEVELS = 3, MCF_YUNET_OUT = 16, MCF_YUNET_MULTIPLE = 32 };

typedef struct {
    int weight, bias; // entries of the store
} mcf_yunet_layer;

typedef struct {
    mcf_yunet_layer pointwise, depthwise;
} mcf_yunet_unit;

typedef struct {
    mcf_yunet_layer stem;
    mcf_yunet_unit backbone[11], neck[MCF_YUNET_LEVELS], head[MCF_YUNET_LEVELS];
} mcf_yunet;

mcf_status mcf_yunet_add(mcf_yunet *net, mcf_store *store, mcf_error *err);
mcf_status mcf_yunet_load(const mcf_yunet *net, const mcf_safetensors *file, mcf_runtime *runtime, mcf_error *err);

// height, width: multiples of 32. Input "image" f32 [1,H,W,3]; outputs "out0", "out1", "out2" f32 [cells,16] of the maps at
// 1/8, 1/16, 1/32, rows of cells from the top.
mcf_status mcf_yunet_graph(const mcf_yunet *net, const mcf_store *store, int64_t height, int64_t width,
                           mcf_graph **graph, mcf_error *err);

#endif
