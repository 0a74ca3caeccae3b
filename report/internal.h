// Private to train/report*.c: what is known of a run, and the sections of the page.
#ifndef MCF_REPORT_INTERNAL_H
#define MCF_REPORT_INTERNAL_H

#include <jansson.h>

#include "infer/embed.h"
#include "report/report.h"
#include "report/chart.h"
#include "infer/look.h"
#include "report/paper.h"

enum { MCF_REPORT_LOOKS = 6, MCF_REPORT_QUERIES = 5, MCF_REPORT_NEAREST = 5, MCF_REPORT_THUMB = 88 };

// A query and what lies nearest to it.
typedef struct {
    int64_t query, nearest[MCF_REPORT_NEAREST];
    float similarity[MCF_REPORT_NEAREST];
    int found;
} mcf_report_query;

typedef struct {
    const char *path;
    char *name; // the last part of the path
    int index;  // its colour

    // --- on disk (report/run.c). Where something is not as it should be, a sentence in `*_error`, else "".
    char *config_text; // NULL: none
    bool has_config;   // and it could be read
    mcf_config config;
    char config_error[1200];
    mcf_run_log log;
    char log_error[1200];
    json_t *machine;  // array of RUN/machine.json, or NULL
    char *checkpoint; // newest, or NULL
    int64_t checkpoint_step;
    json_t *state; // its state.json, or NULL
    char checkpoint_error[1200];
    int64_t *pictures; // steps with pictures, ascending
    size_t picture_count;
    bool running; // a process of this machine trains there now

    // --- computed (report/network.c)
    bool from_training;      // the images looked at are the run's own training images
    char source_names[1200]; // where the images came from
    bool looked;
    mcf_look look;
    uint8_t *look_images; // [look.images, S, S, 3]
    char look_error[1200];
    bool searched;
    mcf_retrieval found, found_untrained;
    int64_t search_images, search_broken, search_total; // used, unreadable, there
    int64_t search_unsupported; // of the unreadable: not damaged, but of a kind that is not read
    mcf_report_query queries[MCF_REPORT_QUERIES];
    int query_count;
    int32_t *search_label; // [search_images]
    uint8_t *search_thumb; // [search_images, THUMB, THUMB, 3]
    char search_error[1200];
} mcf_report_run;

typedef struct {
    const mcf_report_options *options;
    mcf_report_run *runs;
    int count;
    mcf_html html;
    mcf_report_result *result;
    int charts; // so far
} mcf_report_page;

// --- report/run.c
mcf_status mcf_report_run_open(mcf_report_run *run, const char *path, mcf_error *err);
void mcf_report_run_close(mcf_report_run *run); // zeros are fine
// Images of an optimiser step; 0: not known.
int64_t mcf_report_run_batch(const mcf_report_run *run);
// A member of the last start in machine.json, or NULL.
const json_t *mcf_report_run_machine(const mcf_report_run *run, const char *key);
bool mcf_report_run_complete(const mcf_report_run *run);

// --- report/network.c
// Fills the computed part. Fails only where asked to stop.
mcf_status mcf_report_run_compute(mcf_report_run *run, const mcf_report_options *options, mcf_error *err);

// --- sections: report/curves.c, pictures.c, facts.c
void mcf_report_summary(mcf_report_page *page);
void mcf_report_curves(mcf_report_page *page);
void mcf_report_reconstructions(mcf_report_page *page);
void mcf_report_attention(mcf_report_page *page);
void mcf_report_features(mcf_report_page *page);
void mcf_report_retrieval(mcf_report_page *page);
void mcf_report_scores(mcf_report_page *page);
void mcf_report_configs(mcf_report_page *page);
void mcf_report_machines(mcf_report_page *page);
void mcf_report_next(mcf_report_page *page);

// --- report/headings.c
// A paragraph in place of what is missing. what: markup of our own; why: foreign text.
void mcf_report_missing(mcf_report_page *page, const char *what, const char *why);
// A heading with the run's name and colour where there are several.
void mcf_report_run_heading(mcf_report_page *page, const mcf_report_run *run);

// --- report/style.c
extern const char mcf_report_style[], mcf_report_script[];

#endif
