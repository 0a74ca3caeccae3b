#include "infer/score/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "infer/score/answer_internal.h"

const mcf_answer_kind mcf_answer_kinds[] = {
    {"align_score", "normalizer, threshold",
     "pred, points [faces, N, 2], box [faces, 4]; JSON: nme, faces, and with a threshold auc_farl, fr_farl, grid, "
     "auc_exact, fr_exact"},
    {"parse_score", "classes, background",
     "label.0, pred.0, label.1, pred.1, ... [H, W]; JSON: f1, mean, counted, confusion"},
    {"box_crop", "size, scale", "box [4], points [N, 2]; matrix, crop_points, normalised"},
    {"points_crop", "size, face_scale", "points [5, 2]; matrix, target"},
    {"random_crop", "size, scale, angle, shift", "box [4], points [N, 2]; matrix, crop_points"},
    {"warp", "shape, original, factor, centre",
     "matrix [3, 3], image [H, W, C], label [H, W], logits [h, w, K], points [N, 2]; the maps both ways, and what they "
     "make of each"},
    {"decode", "heatmap_size, heatmap_radius",
     "logits [B, N, h, w], points [B, N, 2]; decoded, loss.coordinate, loss.heatmap"},
    {"target", "heatmap_size, heatmap_radius", "points [B, N, 2]; target"},
    {"pool", "bins", "x [B, C, H, W]; y"},
    {"resize", "size", "x [B, C, H, W]; y"},
    {"table", "grid", "pos_embed [1, 1 + g * g, D]; pos_embed"},
    {NULL, NULL, NULL},
};

// In the same order.
static mcf_status (*const answers[])(mcf_question *, mcf_error *) = {
    mcf_answer_align_score, mcf_answer_parse_score, mcf_answer_box_crop, mcf_answer_points_crop,
    mcf_answer_random_crop, mcf_answer_warp,        mcf_answer_decode,   mcf_answer_target,
    mcf_answer_pool,        mcf_answer_resize,      mcf_answer_table,
};

static mcf_status write_json(const json_t *json, const char *out, mcf_error *err)
{
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (!text)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the answer");
    mcf_status status = mcf_file_write(out, text, strlen(text), err);
    free(text);
    return status;
}

// The names of the published cases' files say the same.
static const char *full_name(const char *kind)
{
    static const char *const other[][2] = {{"score", "align_score"},
                                           {"f1", "parse_score"},
                                           {"crop_box", "box_crop"},
                                           {"crop_points", "points_crop"},
                                           {"crop_random", "random_crop"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(kind, other[i][0]) == 0)
            return other[i][1];
    return kind;
}

mcf_status mcf_answer(const char *kind, const char *in, const char *out, mcf_error *err)
{
    mcf_question q = {0};
    int row = 0;
    kind = full_name(kind);
    while (mcf_answer_kinds[row].name && strcmp(mcf_answer_kinds[row].name, kind) != 0)
        row++;
    if (!mcf_answer_kinds[row].name) {
        char names[256] = "";
        for (int i = 0; mcf_answer_kinds[i].name; i++)
            strncat(strncat(names, i ? ", " : "", 3), mcf_answer_kinds[i].name, 32);
        return mcf_fail(err, MCF_ERR_USAGE, "there is no score of kind %s; there are %s", kind, names);
    }
    MCF_TRY(mcf_safetensors_open(&q.file, in, err));
    const char *stated = mcf_safetensors_metadata(q.file, "kind");
    mcf_status status = stated && strcmp(stated, kind) != 0
                            ? mcf_fail(err, MCF_ERR_FORMAT, "it is of kind %s, asked for %s", stated, kind)
                            : answers[row](&q, err);
    if (status != MCF_OK)
        mcf_add_context(err, status, "%s", in);
    else if (q.json)
        status = write_json(q.json, out, err);
    else
        status = mcf_safetensors_save(out, q.given, (size_t)q.given_count, NULL, NULL, NULL, err);
    for (int i = 0; i < q.taken_count; i++)
        free(q.taken[i]);
    for (int i = 0; i < q.given_count; i++)
        free(q.given[i].data);
    json_decref(q.json);
    mcf_safetensors_close(q.file);
    return status;
}
