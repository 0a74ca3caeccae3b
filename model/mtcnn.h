// The three networks of MTCNN (Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded
// convolutional networks") as facenet-pytorch publishes them. Convolutions without border, biases everywhere, a PReLU
// slope per channel, pools that round the output size up.
//   P  conv3 3-10, pool 2/2, conv3 10-16, conv3 16-32, conv1 32-6: a cell of 12 x 12 pixels every 2
//   R  24 x 24: conv3 3-28, pool 3/2, conv3 28-48, pool 3/2, conv2 48-64, dense 576-128, dense 128-6
//   O  48 x 48: conv3 3-32, pool 3/2, conv3 32-64, pool 3/2, conv3 64-64, pool 2/2, conv2 64-128, dense 1152-256,
//      dense 256-16
// Dense layers read their maps in the order width, height, channel. Pixels are (value - 127.5)/128.
// Names in files: pnet., rnet., onet. in front of the publisher's (conv1, prelu1, ..., conv4_1 the score, conv4_2 the box;
// dense5_1, dense5_2; dense6_1, dense6_2, dense6_3 the points).
#ifndef MCF_MODEL_MTCNN_H
#define MCF_MODEL_MTCNN_H

#include "core/graph.h"
#include "core/runtime.h"
#include "core/store.h"
#include "data/formats/safetensors.h"

enum { MCF_MTCNN_P = 1, MCF_MTCNN_R = 2, MCF_MTCNN_O = 4 };
enum { MCF_MTCNN_CELL = 12, MCF_MTCNN_R_SIDE = 24, MCF_MTCNN_O_SIDE = 48, MCF_MTCNN_O_OUT = 16 };

typedef struct {
    int weight, bias, slope; // entries of the store; slope -1: none
} mcf_mtcnn_layer;

typedef struct {
    unsigned nets;
    mcf_mtcnn_layer p[4], r[5], o[6];
} mcf_mtcnn;

// Adds the networks named in `nets` (MCF_MTCNN_*) to the store.
mcf_status mcf_mtcnn_add(mcf_mtcnn *net, unsigned nets, mcf_store *store, mcf_error *err);
// Reads their tensors into the runtime. Names that are missing or misshapen are listed in one message.
mcf_status mcf_mtcnn_load(const mcf_mtcnn *net, const mcf_safetensors *file, mcf_runtime *runtime, mcf_error *err);

// P over a canvas: inputs "image" f32 [1,H,W,3] and "edge" f32 [1,H-2,W-2,1], which is added to the first convolution's
// result before it is pooled: 0, or a large negative number where the pool shall not look (beyond the edge of a level
// that does not fill the canvas). Output "out" f32 [rows * columns, 6]: two logits (other, face), four offsets.
// rows = ceil((H-2)/2) - 4, columns alike.
mcf_status mcf_mtcnn_p_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t height, int64_t width,
                             mcf_graph **graph, mcf_error *err);
int64_t mcf_mtcnn_cells(int64_t side); // ceil((side - 2)/2) - 4; below 1: none
// R and O: input "image" f32 [batch,S,S,3]; output "out" f32 [batch,6] or [batch,16]: two logits, four offsets and, of O,
// five x, five y.
mcf_status mcf_mtcnn_r_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t batch, mcf_graph **graph,
                             mcf_error *err);
mcf_status mcf_mtcnn_o_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t batch, mcf_graph **graph,
                             mcf_error *err);

#endif
