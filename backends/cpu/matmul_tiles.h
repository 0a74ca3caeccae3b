// Large products on a matrix unit, packed on the way: what matmul.c asks where the processor has one.
#ifndef MCF_BACKENDS_CPU_MATMUL_TILES_H
#define MCF_BACKENDS_CPU_MATMUL_TILES_H

#include "backends/cpu/cpu.h"

// c [rows, columns] = act(a b + bias), or act(c + a b + bias): all f32, or a and b bf16 and c either. A matrix lies
// along k where it is contiguous along k and its rows (columns of b) are `step` apart, else across, its lines along
// k being `step` apart.
typedef struct {
    int64_t rows, columns, k;
    const void *a, *b;
    int64_t a_step, b_step;
    bool a_along, b_along;
    bool floats; // the type of a and b
    bool c_bf16, accumulate;
    int activation;
    const float *bias; // [columns] or NULL
    void *c;           // contiguous
} mcf_cpu_tile_product;

// Whether the unit is there and worth it. Depends on sizes alone.
bool mcf_cpu_tiles_suit(const mcf_device *device, int64_t rows, int64_t columns, int64_t k);
// Bytes of scratch the product needs, 64-byte aligned.
int64_t mcf_cpu_tiles_scratch(const mcf_device *device, const mcf_cpu_tile_product *product);
void mcf_cpu_tiles_run(const mcf_device *device, const mcf_cpu_tile_product *product, void *scratch);

#endif
