// TensorBoard event files: scalars as TFRecords of Event messages, written without a protobuf library.
#ifndef MCF_RUN_TENSORBOARD_H
#define MCF_RUN_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct mcf_tensorboard mcf_tensorboard;

// A new file events.out.tfevents.SECONDS.HOST.PID.N in `directory`. With resume_step >= 0 it says that steps
// above resume_step of earlier files do not count any more.
mcf_status mcf_tensorboard_open(mcf_tensorboard **board, const char *directory, int64_t resume_step, mcf_error *err);
mcf_status mcf_tensorboard_scalar(mcf_tensorboard *board, const char *tag, int64_t step, double value, mcf_error *err);
const char *mcf_tensorboard_path(const mcf_tensorboard *board);
void mcf_tensorboard_close(mcf_tensorboard *board); // NULL is fine

// CRC-32C (Castagnoli) and its masked form as TFRecords hold it.
uint32_t mcf_crc32c(const void *bytes, size_t size);
uint32_t mcf_crc32c_masked(const void *bytes, size_t size);

#endif
