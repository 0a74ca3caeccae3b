// The paper's printed scores, and which of its rows a config is.
#ifndef MCF_REPORT_PAPER_H
#define MCF_REPORT_PAPER_H

#include "run/config/config.h"

// In the order of mcf_paper_measures.
enum { MCF_PAPER_MEASURES = 12 };

typedef struct {
    const char *set, *measure, *table; // "WFLW", "NME, inter-ocular", "Table 3"
    bool higher;                       // is better
    int decimals;                      // as printed
} mcf_paper_measure;
extern const mcf_paper_measure mcf_paper_measures[MCF_PAPER_MEASURES];

// Scores after fine-tuning; 0: the paper prints none.
typedef struct {
    const char *id;     // "mcf_full"; the config of configs/pretrain that runs it
    const char *title;  // "MCF, all faces (Ours)"; markup of our own
    const char *source; // "Tables 2-6"
    double at_224[MCF_PAPER_MEASURES], at_448[MCF_PAPER_MEASURES];
} mcf_paper_row;

// The row with the config's terms, decoder, share of the data and length of schedule, whatever its size; NULL: the
// paper has none.
const mcf_paper_row *mcf_paper_row_of(const mcf_config *config);
extern const mcf_paper_row mcf_paper_scratch; // without pre-training

// What keeps the config from being that row at the paper's size ("images of 64 pixels (224)"), separated by ", "; ""
// where nothing does.
void mcf_paper_differences(const mcf_config *config, const mcf_paper_row *row, char *text, size_t size);

// --- alignment and parsing: rows of infer/published.h
typedef struct {
    const char *name;           // of the row there; NULL: none of them
    const mcf_paper_row *other; // a row of Tables 8, 11 and 12; NULL: none either
    char why[600];              // there is none
} mcf_report_dense_row;

// The row that a config of alignment or parsing stands for, whatever its size: what model.init was trained for decides.
void mcf_paper_dense_row(const mcf_config *config, mcf_report_dense_row *row);
// A measure of mcf_eval's in a pre-training row, in percent, at 224; 0: the paper prints none.
double mcf_paper_value(const mcf_paper_row *row, const char *layout, const char *measure);
// As mcf_paper_differences. faces: how many were scored; 0: not known.
void mcf_paper_dense_differences(const mcf_config *config, int64_t faces, char *text, size_t size);

#endif
