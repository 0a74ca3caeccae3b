// One self-contained HTML page about one run or several side by side.
#ifndef MCF_REPORT_REPORT_H
#define MCF_REPORT_REPORT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"

enum { MCF_REPORT_RUNS = 12 };

typedef struct {
    mcf_job_options job;     // the first device works
    const char *const *runs; // directories of runs, going on or done
    size_t run_count;        // 1 to MCF_REPORT_RUNS
    const char *out;         // the page; its folder is made if missing
    // Pre-training: to look at and to search in; NULL: the config's validation, else training images. Alignment and
    // parsing are scored on the config's data.validation.
    const char *const *images;
    size_t image_count;
    int64_t limit; // images searched in; 0: MCF_REPORT_LIMIT; labelled faces scored; 0: all
    bool quick;    // nothing is computed with the networks
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // NULL, or: what the images' sources have to say
    void *context;
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_report_options;

#define MCF_REPORT_LIMIT 600

typedef struct {
    int64_t bytes;    // of the page
    int missing;      // parts that the page says could not be made
    char first[1200]; // the first of them and why; "": none
} mcf_report_result;

// What is missing or damaged in a run (no checkpoint yet, images gone, a torn log) is said in its place on the page and
// counted; only what is no run at all is an error (MCF_ERR_USAGE), and a page that cannot be written.
mcf_status mcf_report(const mcf_report_options *options, mcf_report_result *result, mcf_error *err);

#endif
