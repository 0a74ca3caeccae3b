// What the generated kernel files (backends/cuda/instances.sh) give to call.c: a row for each kernel and
// combination of element types.
#ifndef MCF_BACKENDS_CUDA_KERNEL_TABLE_H
#define MCF_BACKENDS_CUDA_KERNEL_TABLE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "backends/cuda/topology.h"
#include "ops/types.h"

typedef struct {
    const char *name;
    int types[4]; // of T0, T1, T2, TO; -1: any
    const void *function;
} cuda_kernel;
typedef struct {
    const cuda_kernel *rows;
    int count;
} cuda_kernel_table;
typedef cuda_kernel_table (*cuda_kernel_table_fn)(void);
extern const cuda_kernel_table_fn cuda_kernel_tables[]; // NULL at the end

// Sums over members of a group (group_sum.cu), in the order of ranks: an element of `out` for each thread, in blocks
// of CUDA_SUM_BLOCK. Arguments: cuda_members, TYPE *out, int64_t n, int count, int divide.
enum { CUDA_SUM_BLOCK = 256 };
typedef struct {
    const void *from[CUDA_MEMBERS];
} cuda_members;
const void *cuda_group_sum(mcf_dtype dtype);

// Copies from several members at once, so that all links work together (group_sum.cu): blocks of CUDA_SUM_BLOCK, with a
// part in each row y of the grid. Arguments: cuda_parts, and the elements of `size` bytes (16, 4 or 2), of which addresses
// and bytes are multiples.
typedef struct {
    const void *from;
    void *to;
    int64_t bytes;
} cuda_part;
typedef struct {
    cuda_part part[CUDA_MEMBERS];
} cuda_parts;
const void *cuda_group_gather(int size);

#ifdef __cplusplus
}
#endif
#endif
