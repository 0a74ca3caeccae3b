// What backend.c needs of launch.c.
#ifndef MCF_BACKENDS_CPU_LAUNCH_H
#define MCF_BACKENDS_CPU_LAUNCH_H

#include "backends/cpu/cpu.h"

bool mcf_cpu_supports(const mcf_device *device, const mcf_launch *launch);
mcf_status mcf_cpu_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
mcf_status mcf_cpu_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what,
                               mcf_error *err);

#endif
