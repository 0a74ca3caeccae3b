// RUN/log.jsonl: one JSON object a line, one line a step.
#ifndef MCF_RUN_LOG_H
#define MCF_RUN_LOG_H

#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

typedef struct mcf_log mcf_log;

// Opens for appending. With resume_step >= 0 first cuts what is not of the past: from the first line whose
// "step" is above resume_step on, and a last line that was torn off. With resume_step < 0 starts anew.
mcf_status mcf_log_open(mcf_log **log, const char *path, int64_t resume_step, mcf_error *err);
// Writes the object (borrowed) as one line, in one write. A line that does not go in whole is taken back.
mcf_status mcf_log_write(mcf_log *log, const json_t *object, mcf_error *err);
// Makes the lines durable: before a checkpoint of the same step.
mcf_status mcf_log_sync(mcf_log *log, mcf_error *err);
void mcf_log_close(mcf_log *log); // NULL is fine

// A number for a log object; "nan", "inf" or "-inf" where JSON has no number for it.
json_t *mcf_log_number(double value);

#endif
