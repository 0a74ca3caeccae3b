// Private to report/: what is known of a run, and the sections of the page.
#ifndef MCF_REPORT_INTERNAL_H
#define MCF_REPORT_INTERNAL_H

#include <jansson.h>

#include "infer/embed.h"
#include "infer/eval.h"
#include "report/report.h"
#include "report/chart.h"
#include "infer/look.h"
#include "report/paper.h"
#include "run/config/faces.h"

enum { MCF_REPORT_LOOKS = 6, MCF_REPORT_QUERIES = 5, MCF_REPORT_NEAREST = 5, MCF_REPORT_THUMB = 88 };
// Faces drawn: so many of the best and of the worst, with pictures of this side.
enum { MCF_REPORT_FACES = 4, MCF_REPORT_FACE_SIDE = 256 };

// A query and what lies nearest to it.
typedef struct {
    int64_t query, nearest[MCF_REPORT_NEAREST];
    float similarity[MCF_REPORT_NEAREST];
    int found;
} mcf_report_query;

// A labelled face, drawn [FACE_SIDE, FACE_SIDE, 3]; NULL where there is none.
typedef struct {
    int64_t face;     // its number
    uint8_t *picture; // the crop
    uint8_t *truth;   // classes: the true ones over it
    uint8_t *found;   // the classes found over it; true and found points on it
} mcf_report_drawn;

typedef struct {
    const char *path;
    char *name; // the last part of the path
    int index;  // its colour
    int group;  // index of the first run with the same task, layout and number of points or classes

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

    // --- alignment and parsing (report/faces.c): of the last network, but for eval, on data.validation
    bool judged;
    char judge_error[1200];
    mcf_eval_result *eval; // the last and the best
    const mcf_face_layout *layout;
    double *face_score; // [face_count]: as mcf_eval_face; NAN: not judged
    int64_t face_count;
    double *errors; // [error_count] points: what the cumulative curve is made of, in parts of `norm`
    int64_t error_count;
    char norm[32];
    double threshold;
    int64_t *confusion; // [classes, classes] true by found
    int classes;
    mcf_report_drawn drawn[2 * MCF_REPORT_FACES]; // the best, then the worst
    int best_count, drawn_count;
    char draw_error[1200];
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

// --- report/faces.c
// The same of alignment and parsing.
mcf_status mcf_report_run_judge(mcf_report_run *run, const mcf_report_options *options, mcf_error *err);
// Draws the best and the worst faces of all runs that were judged.
mcf_status mcf_report_draw_faces(mcf_report_page *page, mcf_error *err);
bool mcf_report_same_faces(const mcf_report_run *a, const mcf_report_run *b); // both were judged on them
void mcf_report_faces_free(mcf_report_run *run);
extern const uint8_t mcf_report_truth_colour[3], mcf_report_found_colour[3]; // of points

// --- sections: report/curves.c, pictures.c, facts.c, dense.c
void mcf_report_summary(mcf_report_page *page);
void mcf_report_curves(mcf_report_page *page);
void mcf_report_reconstructions(mcf_report_page *page);
void mcf_report_attention(mcf_report_page *page);
void mcf_report_features(mcf_report_page *page);
void mcf_report_retrieval(mcf_report_page *page);
void mcf_report_scores(mcf_report_page *page);
void mcf_report_dense_scores(mcf_report_page *page);
void mcf_report_errors(mcf_report_page *page);
void mcf_report_confusion(mcf_report_page *page);
void mcf_report_faces(mcf_report_page *page);
void mcf_report_configs(mcf_report_page *page);
void mcf_report_machines(mcf_report_page *page);
void mcf_report_next(mcf_report_page *page);

// --- report/headings.c
// A paragraph in place of what is missing. what: markup of our own; why: foreign text.
void mcf_report_missing(mcf_report_page *page, const char *what, const char *why);
// A heading with the run's name and colour where there are several.
void mcf_report_run_heading(mcf_report_page *page, const mcf_report_run *run);
// A heading with the task of the run's group where there are several groups.
void mcf_report_group_heading(mcf_report_page *page, const mcf_report_run *run);
// Alignment or parsing; a run without config counts as pre-training.
bool mcf_report_is_dense(const mcf_report_run *run);

// --- report/style.c
extern const char mcf_report_style[], mcf_report_script[];

#endif
