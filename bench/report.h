// What a measurement prints, as a table and as JSON.
#ifndef MCF_BENCH_REPORT_H
#define MCF_BENCH_REPORT_H

#include <jansson.h>

#include "base/error.h"
#include "base/text.h"

// Both texts are malloc'd; the caller frees. json ends without a newline.
typedef struct {
    char *json;
    char *table;
} mcf_bench_report;
void mcf_bench_report_free(mcf_bench_report *report);
// Fills the report from `root` (stays the caller's; NULL: no memory) and takes the table's text.
mcf_status mcf_bench_finish(mcf_bench_report *report, json_t *root, mcf_text *table, mcf_error *err);

// Peak resident memory of this process, bytes.
int64_t mcf_bench_peak_rss(void);

#endif
