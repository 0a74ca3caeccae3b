// Scores of points and of label maps.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/score/answer_internal.h"
#include "data/score/masks.h"
#include "data/score/points.h"

static bool take_indices(const json_t *list, int64_t points, int *out, int *count)
{
    *count = (int)json_array_size(list);
    if (*count < 1 || *count > MCF_NORM_MOST)
        return false;
    for (int i = 0; i < *count; i++) {
        const json_t *item = json_array_get(list, (size_t)i);
        const json_int_t value = json_integer_value(item);
        if (!json_is_integer(item) || value < 0 || value >= points)
            return false;
        out[i] = (int)value;
    }
    return true;
}

static mcf_status take_norm(const mcf_question *q, int64_t points, mcf_norm *norm, mcf_error *err)
{
    bool wrong;
    json_t *json = mcf_question_json(q, "normalizer", &wrong);
    const char *kind = json_string_value(json_object_get(json, "kind"));
    *norm = (mcf_norm){0};
    bool right = true;
    if (kind && strcmp(kind, "box") == 0)
        norm->kind = MCF_NORM_BOX;
    else if (kind && strcmp(kind, "diag") == 0)
        norm->kind = MCF_NORM_DIAGONAL;
    else if (kind && strcmp(kind, "points") == 0)
        right = take_indices(json_object_get(json, "left"), points, norm->left, &norm->left_count) &&
                take_indices(json_object_get(json, "right"), points, norm->right, &norm->right_count);
    else
        right = false;
    json_decref(json);
    return right ? MCF_OK
                 : mcf_fail(err, MCF_ERR_FORMAT,
                            "the setting normalizer is none of {\"kind\": \"box\"}, {\"kind\": \"diag\"} and "
                            "{\"kind\": \"points\", \"left\": [..], \"right\": [..]} with indices below %lld",
                            (long long)points);
}

static mcf_status take_threshold(const mcf_question *q, double *threshold, mcf_error *err)
{
    bool wrong;
    json_t *json = mcf_question_json(q, "threshold", &wrong);
    const bool none = !json && !wrong;
    json_decref(json);
    *threshold = 0;
    return none ? MCF_OK : mcf_question_number(q, "threshold", 1e-4, 1e4, threshold, err);
}

mcf_status mcf_answer_align_score(mcf_question *q, mcf_error *err)
{
    const double *pred, *points, *box = NULL;
    mcf_shape p, s, b;
    mcf_norm norm;
    double threshold;
    mcf_point_score score;
    MCF_TRY(mcf_question_tensor(q, "points", 3, &points, &s, err));
    MCF_TRY(mcf_question_tensor(q, "pred", 3, &pred, &p, err));
    if (!mcf_shape_equal(&p, &s) || s.dim[2] != 2)
        return mcf_fail(err, MCF_ERR_FORMAT, "pred and points are not both [faces, points, 2]");
    MCF_TRY(take_norm(q, s.dim[1], &norm, err));
    MCF_TRY(take_threshold(q, &threshold, err));
    if (norm.kind != MCF_NORM_POINTS) {
        MCF_TRY(mcf_question_tensor(q, "box", 2, &box, &b, err));
        if (b.dim[0] != s.dim[0] || b.dim[1] != 4)
            return mcf_fail(err, MCF_ERR_FORMAT, "box is not [faces, 4]");
    }
    double *errors = malloc((size_t)s.dim[0] * sizeof *errors);
    if (!errors)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the errors of %lld faces", (long long)s.dim[0]);
    mcf_status status = mcf_point_errors(pred, points, box, s.dim[0], (int)s.dim[1], &norm, errors, err);
    if (status == MCF_OK)
        status = mcf_point_score_make(errors, s.dim[0], threshold, &score, err);
    free(errors);
    if (status != MCF_OK)
        return status;
    q->json = json_pack("{s:f, s:I}", "nme", score.nme, "faces", (json_int_t)s.dim[0]);
    if (threshold > 0)
        json_object_update_new(q->json, json_pack("{s:f, s:f, s:I, s:f, s:f}", "auc_farl", score.auc_farl, "fr_farl",
                                                  score.fr_farl, "grid", (json_int_t)score.grid, "auc_exact",
                                                  score.auc_exact, "fr_exact", score.fr_exact));
    return q->json ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the answer");
}

// A label map as bytes; a value that is no class is refused.
static mcf_status take_map(mcf_question *q, const char *name, int64_t image, int classes, uint8_t **bytes,
                           mcf_shape *shape, mcf_error *err)
{
    const double *values;
    MCF_TRY(mcf_question_tensor(q, name, 2, &values, shape, err));
    const size_t n = (size_t)(shape->dim[0] * shape->dim[1]);
    for (size_t i = 0; i < n; i++)
        if (!(values[i] >= 0 && values[i] < classes && values[i] == floor(values[i])))
            return mcf_fail(err, MCF_ERR_FORMAT, "image %lld: %s holds %g, which is not a class; there are %d, from 0",
                            (long long)image, name, values[i], classes);
    *bytes = malloc(n);
    if (!*bytes)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for tensor %s", name);
    for (size_t i = 0; i < n; i++)
        (*bytes)[i] = (uint8_t)values[i];
    free(q->taken[--q->taken_count]); // there may be thousands of maps
    return MCF_OK;
}

static mcf_status add_image(mcf_question *q, int64_t image, int classes, int64_t *confusion, mcf_error *err)
{
    char label_name[32], pred_name[32];
    uint8_t *label = NULL, *pred = NULL;
    mcf_shape a, b;
    snprintf(label_name, sizeof label_name, "label.%lld", (long long)image);
    snprintf(pred_name, sizeof pred_name, "pred.%lld", (long long)image);
    mcf_status status = take_map(q, label_name, image, classes, &label, &a, err);
    if (status == MCF_OK)
        status = take_map(q, pred_name, image, classes, &pred, &b, err);
    if (status == MCF_OK && !mcf_shape_equal(&a, &b))
        status = mcf_fail(err, MCF_ERR_FORMAT, "image %lld: label and prediction differ in size", (long long)image);
    if (status == MCF_OK)
        status = mcf_confusion_add(confusion, classes, label, pred, mcf_shape_count(&a), image, err);
    free(label);
    free(pred);
    return status;
}

static json_t *number_or_null(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static mcf_status give_f1(mcf_question *q, const int64_t *confusion, int classes, int background, mcf_error *err)
{
    double f1[256];
    const mcf_f1_mean mean = mcf_f1(confusion, classes, background, f1);
    json_t *list = json_array(), *rows = json_array();
    for (int c = 0; c < classes; c++) {
        json_t *row = json_array();
        json_array_append_new(list, number_or_null(f1[c]));
        for (int i = 0; i < classes; i++)
            json_array_append_new(row, json_integer(confusion[c * classes + i]));
        json_array_append_new(rows, row);
    }
    q->json = json_pack("{s:o, s:o, s:i, s:o}", "f1", list, "mean", number_or_null(mean.mean), "counted", mean.counted,
                        "confusion", rows);
    return q->json ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the answer");
}

mcf_status mcf_answer_parse_score(mcf_question *q, mcf_error *err)
{
    int classes, background = -1;
    int64_t images = 0;
    bool wrong;
    char name[32];
    MCF_TRY(mcf_question_integer(q, "classes", 1, 256, &classes, err));
    json_t *json = mcf_question_json(q, "background", &wrong);
    const bool none = !json && !wrong;
    json_decref(json);
    if (!none)
        MCF_TRY(mcf_question_integer(q, "background", -1, classes - 1, &background, err));
    for (size_t i = 0; i < mcf_safetensors_count(q->file); i++)
        images += strncmp(mcf_safetensors_at(q->file, i)->name, "label.", 6) == 0;
    if (images == 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor label.0 is missing");
    snprintf(name, sizeof name, "pred.%lld", (long long)images);
    if (mcf_safetensors_find(q->file, name))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s has no label beside it", name);
    int64_t *confusion = calloc((size_t)classes * (size_t)classes, sizeof *confusion);
    if (!confusion)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the confusion of %d classes", classes);
    mcf_status status = MCF_OK;
    for (int64_t i = 0; status == MCF_OK && i < images; i++)
        status = add_image(q, i, classes, confusion, err);
    if (status == MCF_OK)
        status = give_f1(q, confusion, classes, background, err);
    free(confusion);
    return status;
}
