// Private to train/bench*.c.
#ifndef MCF_TRAIN_BENCH_INTERNAL_H
#define MCF_TRAIN_BENCH_INTERNAL_H

#include <jansson.h>

#include "bench/bench.h"

// Text that grows. Start from {0}; running out of memory leaves `failed` set.
typedef struct {
    char *text;
    size_t size, capacity;
    bool failed;
} mcf_text;

void mcf_text_add(mcf_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcf_text_free(mcf_text *text);

double mcf_bench_now(void); // seconds of a clock that only goes forward
// Peak resident memory of this process, bytes.
int64_t mcf_bench_peak_rss(void);
// A measured step, for mcf_bench_beside.
typedef struct {
    const char *device; // name, as the driver says
    int64_t batch;      // as in mcf_bench_options
    int world;
    double images;         // a second, of all devices
    const double *seconds; // of a step by operation
} mcf_bench_beside_step;
// Adds what is predicted for it, in all and by operation, where the device is a known card (bench/estimate/cards.h);
// else nothing.
mcf_status mcf_bench_beside(const mcf_config *config, const mcf_bench_beside_step *step, mcf_text *table, json_t *root,
                            mcf_error *err);
// Fills the report from `root` (stays the caller's; NULL: no memory) and takes the table's text.
mcf_status mcf_bench_finish(mcf_bench_report *report, json_t *root, mcf_text *table, mcf_error *err);

#endif
