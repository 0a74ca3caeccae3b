#include "bench/report.h"

#include <stdlib.h>
#include <sys/resource.h>

int64_t mcf_bench_peak_rss(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

mcf_status mcf_bench_finish(mcf_bench_report *report, json_t *root, mcf_text *table, mcf_error *err)
{
    report->json = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    if (!report->json || table->failed || !table->text) {
        mcf_bench_report_free(report);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the report");
    }
    report->table = table->text;
    *table = (mcf_text){0};
    return MCF_OK;
}

void mcf_bench_report_free(mcf_bench_report *report)
{
    free(report->json);
    free(report->table);
    *report = (mcf_bench_report){0};
}
