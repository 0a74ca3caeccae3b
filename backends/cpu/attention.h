// The forms of attention beside the one in floats (attention.c): attention_pairs.c in pairs of bf16, attention_tiles.c
// on a matrix unit.
#ifndef MCF_BACKENDS_CPU_ATTENTION_H
#define MCF_BACKENDS_CPU_ATTENTION_H

#include "backends/cpu/attention_rows.h"

// Whether a launch's operands and this processor allow pairs of bf16.
bool mcf_cpu_attention_has_pairs(const mcf_device *device, const mcf_launch *launch, bool backward);
int64_t mcf_cpu_attention_pairs_floats(const mcf_cpu_attention *plan, bool backward);
void mcf_cpu_attention_pairs(const mcf_device *device, const mcf_launch *launch, const mcf_cpu_attention *plan,
                             float *room, int64_t image, int64_t head);
void mcf_cpu_attention_grad_pairs(const mcf_device *device, const mcf_launch *launch, const mcf_cpu_attention *plan,
                                  float *room, int64_t image, int64_t head);

// The same for processors with a matrix unit. The unit is the calling thread's (tiles->begin).
bool mcf_cpu_attention_has_tiles(const mcf_device *device, const mcf_launch *launch, bool backward);
int64_t mcf_cpu_attention_tiles_floats(const mcf_cpu_attention *plan, bool backward);
void mcf_cpu_attention_tiles(const mcf_device *device, const mcf_launch *launch, const mcf_cpu_attention *plan,
                             float *room, int64_t image, int64_t head);
void mcf_cpu_attention_grad_tiles(const mcf_device *device, const mcf_launch *launch, const mcf_cpu_attention *plan,
                                  float *room, int64_t image, int64_t head);

#endif
