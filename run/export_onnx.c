#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/output.h"
#include "base/text.h"
#include "core/onnx/onnx.h"
#include "data/faces/mask.h"
#include "model/dense.h"
#include "model/embed.h"
#include "model/load.h"
#include "model/network.h"
#include "model/pretrain.h"
#include "run/config/data.h"
#include "run/config/faces.h"
#include "run/export.h"
#include "run/output.h"
#include "run/weights.h"

// Any two sizes: what differs is open in the file.
enum { BATCH = 2, OTHER_BATCH = 3 };

// --- metadata

enum { MAX_METADATA = 32 };

typedef struct {
    char *values[2 * MAX_METADATA + 1]; // name, malloc'd value, ..., NULL; names are literals
    int count;
    bool failed;
} metadata;

static void add_text(metadata *m, const char *name, char *value)
{
    if (!value || m->count == MAX_METADATA) {
        free(value);
        m->failed = true;
        return;
    }
    m->values[2 * m->count] = (char *)name;
    m->values[2 * m->count++ + 1] = value;
}

// The reference to `value` is taken.
static void add_json(metadata *m, const char *name, json_t *value)
{
    add_text(m, name, value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL);
    json_decref(value);
}

static void add_words(metadata *m, const char *name, const char *value)
{
    mcf_text text = {0};
    mcf_text_put(&text, value);
    add_text(m, name, text.failed ? NULL : text.text);
}

static void metadata_free(metadata *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->values[2 * i + 1]);
}

// How a face's crop is made of a photograph.
static void add_crop(metadata *m, const mcf_config *c)
{
    static const char *const from[] = {
        [MCF_CROP_OF_BOX] = "box", [MCF_CROP_OF_POINTS] = "points", [MCF_CROP_OF_IMAGE] = "image"};
    const mcf_face_augment a = mcf_config_face_augment(c);
    const mcf_face_layout *layout = mcf_config_face_layout(c);
    double five[5][2];
    json_t *template = json_array(), *names = json_array();
    mcf_crop_template(a.size, 1, five);
    for (int i = 0; i < 5; i++)
        json_array_append_new(template, json_pack("[f, f]", five[i][0], five[i][1]));
    add_words(m, "layout", layout->name);
    add_words(m, "crop_from", from[a.crop]);
    add_json(m, "crop_scale", json_real(a.face_scale));
    add_json(m, "crop_warp", json_real(a.warp));
    add_json(m, "crop_points", template);
    for (int i = 0; c->task == MCF_TASK_PARSE && i < c->dense.head.outputs; i++) {
        const char *name = mcf_face_class_name(layout, i);
        char number[32];
        snprintf(number, sizeof number, i ? "class %d" : "background", i);
        json_array_append_new(names, json_string(name ? name : number));
    }
    if (c->task == MCF_TASK_PARSE)
        add_json(m, "classes", names);
    else
        json_decref(names);
}

// How a picture becomes the square that the encoder sees.
static void add_resize(metadata *m, const mcf_config *c)
{
    static const char *const filters[] = {
        [MCF_FILTER_BILINEAR] = "bilinear", [MCF_FILTER_BICUBIC] = "bicubic", [MCF_FILTER_BOX] = "box"};
    const mcf_center_crop_options crop = mcf_data_crop(&c->data, c->model.image_size);
    add_words(m, "resize_filter", filters[crop.filter]);
    add_json(m, "resize_shorter_side", json_integer(crop.shorter));
}

static mcf_status fill_metadata(metadata *m, const mcf_weights *w, const char *task, int side, mcf_error *err)
{
    const mcf_config *c = &w->config;
    float mean[3], std[3];
    char *config;
    MCF_TRY(mcf_config_dump(c, &config, err));
    mcf_normalisation(&c->model, mean, std);
    add_words(m, "task", task);
    add_words(m, "input", "RGB, 0 to 1, [batch, 3, height, width]; mean and std are taken off inside");
    add_json(m, "mean", json_pack("[f, f, f]", mean[0], mean[1], mean[2]));
    add_json(m, "std", json_pack("[f, f, f]", std[0], std[1], std[2]));
    add_json(m, "image_size", json_integer(side));
    add_json(m, "patch_size", json_integer(c->model.patch_size));
    add_json(m, "heads", json_integer(c->model.encoder.heads));
    add_json(m, "step", json_integer(w->step));
    if (c->task == MCF_TASK_PRETRAIN)
        add_resize(m, c);
    else
        add_crop(m, c);
    add_text(m, "config", config);
    return m->failed ? mcf_fail(err, MCF_ERR_NOMEM, "no memory for the metadata") : MCF_OK;
}

// --- networks

// One of the two models is there.
typedef struct {
    const mcf_weights *weights;
    mcf_pretrain_model *encoder;
    mcf_dense_model *dense;
    mcf_graph *graphs[2];
    mcf_params params;
} export_job;

static mcf_status make_model(export_job *j, mcf_error *err)
{
    const mcf_config *c = &j->weights->config;
    if (c->task == MCF_TASK_PRETRAIN) {
        mcf_objective_options none = c->objective;
        none.method = MCF_METHOD_MCF;
        none.feature_weight = none.pixel_weight = none.contrastive_weight = 0;
        return mcf_pretrain_create(&c->model, &none, &j->encoder, err);
    }
    MCF_TRY(mcf_dense_create(&c->model, &c->dense, false, &j->dense, err));
    j->dense->crop = j->dense->label_height = j->dense->label_width = c->data.crop_size;
    return MCF_OK;
}

static mcf_status make_graph(const export_job *j, int64_t batch, mcf_graph **graph, mcf_error *err)
{
    const int side = j->weights->config.model.image_size;
    const mcf_embed_graph_options embed = {
        .batch = batch, .height = side, .width = side, .compute = MCF_F32, .image_u8 = true, .tokens = true};
    const mcf_dense_graph_options dense = {
        .mode = MCF_DENSE_PREDICT, .batch = batch, .world = 1, .compute = MCF_F32, .image_u8 = true};
    return j->dense ? mcf_dense_graph(j->dense, &dense, graph, err) : mcf_embed_graph(j->encoder, &embed, graph, err);
}

static mcf_status load(const export_job *j, mcf_error *err)
{
    return j->dense ? mcf_dense_load(j->dense, j->weights->file, &j->params, err)
                    : mcf_vit_load(&j->encoder->store, &j->encoder->online, j->weights->file, "online_encoder.",
                                   &j->params, err);
}

static mcf_status export(export_job *j, const char *out, bool allow_nonfinite, const metadata *m, mcf_error *err)
{
    static const char *const names[] = {
        [MCF_TASK_PRETRAIN] = "mcf_encoder", [MCF_TASK_ALIGN] = "mcf_align", [MCF_TASK_PARSE] = "mcf_parse"};
    MCF_TRY(make_model(j, err));
    const mcf_store *store = j->dense ? &j->dense->store : &j->encoder->store;
    MCF_TRY(make_graph(j, BATCH, &j->graphs[0], err));
    MCF_TRY(make_graph(j, OTHER_BATCH, &j->graphs[1], err));
    MCF_TRY(mcf_params_create(store, &j->params, err));
    j->params.allow_nonfinite = allow_nonfinite;
    const mcf_onnx_options options = {.graph = j->graphs[0],
                                      .other = j->graphs[1],
                                      .store = store,
                                      .roles = (const float *const *)j->params.role,
                                      .weight_prefix = j->dense ? "" : "online_encoder.",
                                      .output_prefix = "eval.",
                                      .name = names[j->weights->config.task],
                                      .version = MCF_VERSION,
                                      .metadata = (const char *const *)m->values};
    mcf_onnx *onnx = NULL;
    mcf_status status = mcf_onnx_create(&options, &onnx, err); // refuses what is too large before it is read
    if (status != MCF_OK)
        mcf_add_context(err, status, "%s", out);
    if (status == MCF_OK)
        status = mcf_output_check_room(out, mcf_onnx_bytes(onnx), mcf_onnx_bytes(onnx), err);
    if (status == MCF_OK)
        status = load(j, err);
    if (status == MCF_OK)
        status = mcf_onnx_write(onnx, out, err);
    mcf_onnx_destroy(onnx);
    return status;
}

static mcf_status describe_and_export(export_job *j, const char *out, bool allow_nonfinite,
                                      mcf_export_onnx_result *result, mcf_error *err)
{
    const mcf_config *c = &j->weights->config;
    metadata m = {0};
    *result = (mcf_export_onnx_result){c->data.crop_size, "parse", "logits [batch,classes,S,S]"};
    if (c->task == MCF_TASK_ALIGN)
        *result = (mcf_export_onnx_result){c->data.crop_size, "align", "points [batch,N,2]"};
    if (c->task == MCF_TASK_PRETRAIN)
        *result =
            (mcf_export_onnx_result){c->model.image_size, "embed", "cls and mean [batch,D], tokens [batch,1+L,D]"};
    mcf_status status = fill_metadata(&m, j->weights, result->task, result->side, err);
    if (status == MCF_OK)
        status = export(j, out, allow_nonfinite, &m, err);
    metadata_free(&m);
    return status;
}

mcf_status mcf_export_onnx(const char *checkpoint, const char *out, bool allow_nonfinite,
                           mcf_export_onnx_result *result, mcf_error *err)
{
    mcf_weights weights;
    MCF_TRY(mcf_check_output(out, &checkpoint, 1, err));
    MCF_TRY(mcf_weights_open(&weights, checkpoint, err));
    export_job j = {.weights = &weights};
    mcf_status status = describe_and_export(&j, out, allow_nonfinite, result, err);
    mcf_params_free(&j.params);
    mcf_graph_destroy(j.graphs[0]);
    mcf_graph_destroy(j.graphs[1]);
    mcf_pretrain_destroy(j.encoder);
    mcf_dense_destroy(j.dense);
    mcf_weights_close(&weights);
    return status;
}
