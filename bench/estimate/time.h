// How long an operation takes on a card: as the CUDA backend would run it, by a roofline with the efficiencies that
// bench/estimate/cards.c, product.c and attention.c name.
#ifndef MCF_BENCH_ESTIMATE_TIME_H
#define MCF_BENCH_ESTIMATE_TIME_H

#include <stdbool.h>

#include "ops/node.h"
#include "bench/estimate/cards.h"

// What a change of the code or of the card would bring. All zero: as it is.
typedef struct {
    bool attention_overlaps; // its pipes work at the same time, where now each waits for the others
    bool gelu_in_product;    // GELU is written by the product before it, also where the backward pass needs its input
    bool norm16;             // the sums between blocks (the residual stream) lie in 16 bits
    double product_factor;   // of the share that cuBLAS reaches; 0: 1
    bool bias_refused;       // cublasLt has no way to add a bias: a pass of its own behind each such product
    bool links_in_turn;      // a card's links work one after the other
    double clock;            // of the card's boost clock; 0: 1
    double sum_latency;      // s, more for each sum over cards
    bool pixels_from_memory; // a convolution reads its image anew for every place of the kernel: no cache holds a row
    bool no_columns;         // convolutions as fast as their products alone: an implicit GEMM at cuBLAS's rate
} mcf_what_if;

// Which kernel an operation goes to.
typedef enum {
    MCF_WAY_CUBLAS,    // tensor cores, or fp32
    MCF_WAY_TILES,     // the shared kernel of products with tiles, fp32
    MCF_WAY_ATTENTION, // attention.cu, attention_volta.cu
    MCF_WAY_VECTORS,   // vectors.cu, norm.cu: 16 bytes a lane
    MCF_WAY_SHARED,    // kernels of backends/kernels: an element a lane
    MCF_WAY_COPY,
    MCF_WAY_COLUMNS, // convolutions: what each pixel sees, written to memory, and products by cuBLAS
    MCF_WAYS,
} mcf_way;
const char *mcf_way_name(mcf_way way);

typedef struct {
    mcf_way way;
    int kernels;
    double flops, bytes;    // by the table of operations, and bytes that the kernels move beyond that
    double compute, memory; // s: each side of the roofline alone
    double seconds;         // the larger of the two, kernel by kernel, and the gaps between kernels
    double scratch[4];      // bytes of work memory by slot
} mcf_estimate;

mcf_estimate mcf_estimate_launch(const mcf_card *card, const mcf_what_if *what, const mcf_launch *launch);
mcf_estimate mcf_estimate_copy(const mcf_card *card, double bytes); // within the device

// --- parts of it
// c [m,n] of products over k by cuBLAS. form: 0 C = A B' (forward), 1 A B (gradient of the input), 2 A' B (of the
// weights), all row-major. out: bytes of an element of c; type: of a and b. adds: c is read too. Without gaps.
typedef struct {
    int64_t m, n, k, batch;
    int form;
    mcf_dtype type;
    double out;
    bool adds;
} mcf_product_shape;
mcf_estimate mcf_estimate_product(const mcf_card *card, double factor, const mcf_product_shape *shape);
// What cuBLAS would have to reach of f16 for that shape, tiles and waves counted: 0 to 1.
double mcf_product_efficiency(const mcf_card *card, const mcf_product_shape *shape);

// attention.cu, attention_volta.cu: qkv [B,N,3,H,d], forward or back. Without gaps.
mcf_estimate mcf_estimate_attention(const mcf_card *card, const mcf_what_if *what, const int64_t dim[5], bool backward);
// conv2d and its gradients (estimate/convolution.c). Without gaps.
mcf_estimate mcf_estimate_convolution(const mcf_card *card, const mcf_what_if *what, const mcf_launch *launch);
// Instructions of all lanes of a shared kernel that works on maps or batch statistics (estimate/maps.c); 0: the operation is
// another one.
double mcf_map_instructions(const mcf_launch *launch);
// A pass over memory: `instructions` of single lanes, one a cycle from each of four schedulers; beside them bytes at the
// rate of so many bytes of loads in flight on a multiprocessor.
mcf_estimate mcf_estimate_pass(const mcf_card *card, mcf_way way, double instructions, double bytes, double in_flight,
                               int kernels);
// Adds kernels, bytes, both sides of the roofline and seconds.
void mcf_estimate_add(mcf_estimate *to, const mcf_estimate *e);
// The shared kernel of products with tiles.
double mcf_tiles_seconds(const mcf_card *card, double m, double n, double k, double batch);

#endif
