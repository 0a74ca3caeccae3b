// Private to infer/score/answer*.c: a question read from a file, and the answer to it.
#ifndef MCF_INFER_SCORE_ANSWER_INTERNAL_H
#define MCF_INFER_SCORE_ANSWER_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>

#include "data/formats/safetensors.h"

enum { MCF_ANSWER_MOST = 16, MCF_ANSWER_MAX_VALUES = 1 << 28 };

typedef struct {
    mcf_safetensors *file;
    double *taken[MCF_ANSWER_MOST]; // tensors read, freed at the end
    int taken_count;
    mcf_named_tensor given[MCF_ANSWER_MOST]; // results; their memory too
    int given_count;
    json_t *json; // or this
} mcf_question;

// A tensor of `rank` as doubles, in memory of the question.
mcf_status mcf_question_tensor(mcf_question *q, const char *name, int rank, const double **values, mcf_shape *shape,
                               mcf_error *err);
// The same, of which the last dimension must be `last` and every value finite.
mcf_status mcf_question_points(mcf_question *q, const char *name, int rank, int64_t last, const double **values,
                               mcf_shape *shape, mcf_error *err);
// A setting between low and high.
mcf_status mcf_question_number(const mcf_question *q, const char *key, double low, double high, double *value,
                               mcf_error *err);
mcf_status mcf_question_integer(const mcf_question *q, const char *key, int low, int high, int *value, mcf_error *err);
// Two numbers, "[a, b]"; one number stands for both.
mcf_status mcf_question_pair(const mcf_question *q, const char *key, double low, double high, double value[2],
                             mcf_error *err);
// The setting as JSON, NULL where it is missing or null; *wrong where it is no JSON. The caller's.
json_t *mcf_question_json(const mcf_question *q, const char *key, bool *wrong);
// Room for a result; zeros. NULL after an error.
double *mcf_question_give(mcf_question *q, const char *name, mcf_shape shape, mcf_error *err);

mcf_status mcf_answer_box_crop(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_points_crop(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_random_crop(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_warp(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_decode(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_target(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_pool(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_resize(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_table(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_align_score(mcf_question *q, mcf_error *err);
mcf_status mcf_answer_parse_score(mcf_question *q, mcf_error *err);

#endif
