// What a question holds, read with checks, and where its answers go.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/score/answer_internal.h"

static mcf_status read_doubles(const mcf_safetensors *file, const mcf_safetensors_entry *e, double *out, mcf_error *err)
{
    const size_t n = (size_t)e->count;
    if (e->native && e->dtype == MCF_F64)
        return mcf_safetensors_read(file, e, out, err);
    void *raw = malloc(n * 8 + 1);
    if (!raw)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for tensor %s", e->name);
    mcf_status status;
    if (e->native && (e->dtype == MCF_I64 || e->dtype == MCF_I32)) {
        status = mcf_safetensors_read(file, e, raw, err);
        for (size_t i = 0; status == MCF_OK && i < n; i++)
            out[i] = e->dtype == MCF_I64 ? (double)((int64_t *)raw)[i] : ((int32_t *)raw)[i];
    } else {
        status = mcf_safetensors_read_f32(file, e, raw, err);
        for (size_t i = 0; status == MCF_OK && i < n; i++)
            out[i] = ((float *)raw)[i];
    }
    free(raw);
    return status;
}

mcf_status mcf_question_tensor(mcf_question *q, const char *name, int rank, const double **values, mcf_shape *shape,
                               mcf_error *err)
{
    const mcf_safetensors_entry *e = mcf_safetensors_find(q->file, name);
    char text[128];
    if (!e)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor %s is missing", name);
    if (e->shape.rank != rank || e->count < 1)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor %s is %s, not of %d dimensions with something in each", name,
                        mcf_shape_print(&e->shape, text, sizeof text), rank);
    if (e->count > MCF_ANSWER_MAX_VALUES)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor %s has more than %d values", name, MCF_ANSWER_MAX_VALUES);
    if (q->taken_count == MCF_ANSWER_MOST)
        return mcf_fail(err, MCF_ERR_INTERNAL, "a question reads more than %d tensors", MCF_ANSWER_MOST);
    double *room = malloc((size_t)e->count * sizeof *room);
    if (!room)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for tensor %s", name);
    q->taken[q->taken_count++] = room;
    MCF_TRY(read_doubles(q->file, e, room, err));
    *values = room;
    *shape = e->shape;
    return MCF_OK;
}

mcf_status mcf_question_points(mcf_question *q, const char *name, int rank, int64_t last, const double **values,
                               mcf_shape *shape, mcf_error *err)
{
    MCF_TRY(mcf_question_tensor(q, name, rank, values, shape, err));
    if (shape->dim[rank - 1] != last)
        return mcf_fail(err, MCF_ERR_FORMAT, "the last dimension of tensor %s is %lld, not %lld", name,
                        (long long)shape->dim[rank - 1], (long long)last);
    for (int64_t i = 0, n = mcf_shape_count(shape); i < n; i++)
        if (!isfinite((*values)[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "tensor %s holds what is not finite (value %lld)", name, (long long)i);
    return MCF_OK;
}

json_t *mcf_question_json(const mcf_question *q, const char *key, bool *wrong)
{
    const char *text = mcf_safetensors_metadata(q->file, key);
    *wrong = false;
    if (!text)
        return NULL;
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    *wrong = !json;
    if (json_is_null(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

mcf_status mcf_question_pair(const mcf_question *q, const char *key, double low, double high, double value[2],
                             mcf_error *err)
{
    bool wrong;
    json_t *json = mcf_question_json(q, key, &wrong);
    const bool one = json_is_number(json), two = json_array_size(json) == 2;
    for (int i = 0; i < 2 && !wrong; i++) {
        const json_t *item = one ? json : json_array_get(json, (size_t)i);
        value[i] = json_number_value(item);
        wrong = !json_is_number(item) || !(value[i] >= low && value[i] <= high);
    }
    json_decref(json);
    return !wrong && (one || two)
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_FORMAT, "the setting %s is missing or not within %g and %g", key, low, high);
}

mcf_status mcf_question_number(const mcf_question *q, const char *key, double low, double high, double *value,
                               mcf_error *err)
{
    double pair[2];
    MCF_TRY(mcf_question_pair(q, key, low, high, pair, err));
    *value = pair[0];
    return MCF_OK;
}

mcf_status mcf_question_integer(const mcf_question *q, const char *key, int low, int high, int *value, mcf_error *err)
{
    double number;
    MCF_TRY(mcf_question_number(q, key, low, high, &number, err));
    *value = (int)number;
    return *value == number ? MCF_OK : mcf_fail(err, MCF_ERR_FORMAT, "the setting %s is no whole number", key);
}

double *mcf_question_give(mcf_question *q, const char *name, mcf_shape shape, mcf_error *err)
{
    int64_t count;
    if (mcf_shape_count_checked(&shape, &count, err) != MCF_OK)
        return NULL;
    if (count > MCF_ANSWER_MAX_VALUES || q->given_count == MCF_ANSWER_MOST) {
        mcf_fail(err, MCF_ERR_FORMAT, "the answer %s would have more than %d values", name, MCF_ANSWER_MAX_VALUES);
        return NULL;
    }
    double *room = calloc((size_t)count + 1, sizeof *room);
    if (!room) {
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for the answer %s", name);
        return NULL;
    }
    q->given[q->given_count++] = (mcf_named_tensor){.name = name, .dtype = MCF_F64, .shape = shape, .data = room};
    return room;
}
