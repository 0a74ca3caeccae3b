// Which operations go to the kernels of this folder, by their operands alone. No CUDA in here: `mcf bench --predict`
// asks the same questions on machines without it.
#ifndef MCF_BACKENDS_CUDA_FITS_H
#define MCF_BACKENDS_CUDA_FITS_H

#include "ops/node.h"

enum {
    CUDA_ATTENTION_ROWS = 64,  // of a block of attention.cu
    CUDA_ATTENTION_FIVE = 256, // tokens up to which attention_volta.cu takes five products for the gradient
};

// Products of this type go to cuBLAS. major: of the compute capability.
bool cuda_product_type_fits(int major, mcf_dtype type);
// major here: of the card and of what the kernels were compiled for, the lesser.
// attention and attention_grad, attention.cu: one 16-bit type, heads of 32 or 64 channels, rows that begin at multiples
// of 16 bytes.
bool cuda_attention_fits(int major, const mcf_launch *launch);
// Of those, which go to attention_volta.cu. capability: of the card, ten times the major plus the minor.
bool cuda_attention_fits_volta(int capability, mcf_dtype type);
// Bytes of the gradients of scores that it keeps for that.
uint64_t cuda_attention_volta_scores(const int64_t dim[5]);
// Rows of a block forward: 16 or 32 a warp, by the count of tokens. Backward it has CUDA_ATTENTION_ROWS, twice as many
// where those scores are read.
int cuda_attention_volta_rows(int64_t tokens);
// layer_norm and add_layer_norm, layer_norm_grad, norm.cu: an fp32 input of up to 1024 columns, a multiple of 4,
// and operands that begin where vectors do.
bool cuda_layer_norm_fits(const mcf_launch *launch);
bool cuda_layer_norm_grad_fits(const mcf_launch *launch);
// gelu and gelu_grad, sums over the first dimensions, vectors.cu: whole vectors of 16 bytes in one type.
bool cuda_gelu_fits(const mcf_launch *launch);
bool cuda_column_sums_fit(const mcf_launch *launch);
// Sums over the first dimensions: x as [rows, columns]. False where it is no such sum.
bool cuda_as_columns(const mcf_launch *launch, int64_t *rows, int64_t *columns);

#endif
