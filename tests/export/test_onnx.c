// ONNX files read back: structure, names, weights; what is refused. That other programs compute the same from them is
// tests/export/onnx.sh.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "core/onnx/onnx.h"
#include "core/onnx/proto/onnx.pb-c.h"
#include "model/dense.h"
#include "model/embed.h"
#include "model/pretrain.h"
#include "run/config/config.h"

static mcf_error err;
#define MUST(expression)                                                                                               \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s", err.message);                                                                               \
    } while (0)

static const char encoder_text[] = "model:\n  image_size: 48\n  patch_size: 16\n"
                                   "  encoder: {dim: 24, depth: 2, heads: 3, mlp_ratio: 2}\n"
                                   "  projector: {hidden: 8, out: 4}\n"
                                   "objective: {feature: {weight: 0}, pixel: {weight: 0}, contrastive: {weight: 1}}\n";
#define DENSE_MODEL                                                                                                    \
    "data: {crop_size: 128}\nmodel:\n  image_size: 112\n  patch_size: 16\n"                                            \
    "  encoder: {dim: 16, depth: 5, heads: 2, mlp_ratio: 2}\n  features: [1, 2, 3, 4]\n"                               \
    "  head: {channels: 8, outputs: 7}\n"
static const char align_text[] = "task: align\n" DENSE_MODEL;
static const char parse_text[] = "task: parse\n" DENSE_MODEL;

typedef struct {
    mcf_config config;
    mcf_pretrain_model *encoder;
    mcf_dense_model *dense;
    const mcf_store *store;
    mcf_params params;
    mcf_graph *graphs[2];
    const char *weight_prefix;
} network;

static void open_network(network *n, const char *text)
{
    *n = (network){.weight_prefix = ""};
    MUST(mcf_config_parse(&n->config, text, strlen(text), "test", NULL, 0, &err));
    const mcf_model_options *m = &n->config.model;
    if (n->config.task == MCF_TASK_PRETRAIN) {
        n->weight_prefix = "online_encoder.";
        n->config.objective.contrastive_weight = 0;
        MUST(mcf_pretrain_create(m, &n->config.objective, &n->encoder, &err));
    } else {
        MUST(mcf_dense_create(m, &n->config.dense, false, &n->dense, &err));
        n->dense->crop = n->dense->label_height = n->dense->label_width = n->config.data.crop_size;
    }
    n->store = n->dense ? &n->dense->store : &n->encoder->store;
    for (int i = 0; i < 2; i++) {
        const mcf_embed_graph_options embed = {.batch = 2 + i,
                                               .height = m->image_size,
                                               .width = m->image_size,
                                               .compute = MCF_F32,
                                               .image_u8 = true,
                                               .tokens = true};
        const mcf_dense_graph_options dense = {
            .mode = MCF_DENSE_PREDICT, .batch = 2 + i, .world = 1, .compute = MCF_F32, .image_u8 = true};
        if (n->dense)
            MUST(mcf_dense_graph(n->dense, &dense, &n->graphs[i], &err));
        else
            MUST(mcf_embed_graph(n->encoder, &embed, &n->graphs[i], &err));
    }
    MUST(mcf_params_create(n->store, &n->params, &err));
}

static void close_network(network *n)
{
    mcf_params_free(&n->params);
    mcf_graph_destroy(n->graphs[0]);
    mcf_graph_destroy(n->graphs[1]);
    mcf_pretrain_destroy(n->encoder);
    mcf_dense_destroy(n->dense);
    mcf_config_free(&n->config);
}

static const char *const metadata[] = {"task", "a task", "empty", "", NULL};

static mcf_onnx_options options_of(const network *n)
{
    return (mcf_onnx_options){.graph = n->graphs[0],
                              .other = n->graphs[1],
                              .store = n->store,
                              .roles = (const float *const *)n->params.role,
                              .weight_prefix = n->weight_prefix,
                              .output_prefix = "eval.",
                              .name = "net",
                              .version = "1.2",
                              .metadata = metadata};
}

static Onnx__ModelProto *read_back(const char *path)
{
    char *bytes;
    size_t size;
    MUST(mcf_file_read(path, 1 << 28, &bytes, &size, &err));
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
    assert_non_null(model);
    // Nothing is in the file that the definition does not know.
    assert_int_equal(onnx__model_proto__get_packed_size(model), size);
    assert_int_equal(model->base.n_unknown_fields + model->graph->base.n_unknown_fields, 0);
    free(bytes);
    return model;
}

// Weights are written after the graph was made, so the file must hold what they are then.
static Onnx__ModelProto *written(network *n)
{
    char path[] = "/tmp/mcf_onnx_XXXXXX";
    mcf_onnx *onnx;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const mcf_onnx_options options = options_of(n);
    MUST(mcf_onnx_create(&options, &onnx, &err));
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        for (int64_t i = 0; i < n->store->role_count[role]; i++)
            n->params.role[role][i] = (float)(role * 1000000 + i);
    MUST(mcf_onnx_write(onnx, path, &err));
    uint64_t size = 0, hash;
    MUST(mcf_file_hash(path, &hash, &size, &err));
    assert_int_equal(size, mcf_onnx_bytes(onnx));
    mcf_onnx_destroy(onnx);
    Onnx__ModelProto *model = read_back(path);
    unlink(path);
    return model;
}

// --- names

typedef struct {
    const char *names[4096];
    int count;
} name_set;

static bool has(const name_set *set, const char *name)
{
    for (int i = 0; i < set->count; i++)
        if (strcmp(set->names[i], name) == 0)
            return true;
    return false;
}

static void add_new(name_set *set, const char *name)
{
    assert_true(name[0] != '\0' && set->count < 4096);
    if (has(set, name))
        fail_msg("%s stands twice", name);
    set->names[set->count++] = name;
}

static void check_names(const Onnx__GraphProto *g)
{
    static name_set values, nodes, read;
    values.count = nodes.count = read.count = 0;
    for (size_t i = 0; i < g->n_input; i++)
        add_new(&values, g->input[i]->name);
    for (size_t i = 0; i < g->n_initializer; i++)
        add_new(&values, g->initializer[i]->name);
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *node = g->node[i];
        add_new(&nodes, node->name);
        for (size_t k = 0; k < node->n_input; k++) {
            if (!has(&values, node->input[k]))
                fail_msg("%s reads %s, which is not there yet", node->name, node->input[k]);
            if (!has(&read, node->input[k]))
                add_new(&read, node->input[k]);
        }
        for (size_t k = 0; k < node->n_output; k++)
            add_new(&values, node->output[k]);
    }
    for (size_t i = 0; i < g->n_output; i++) {
        assert_true(has(&values, g->output[i]->name));
        add_new(&read, g->output[i]->name);
    }
    for (int i = 0; i < values.count; i++)
        if (!has(&read, values.names[i]))
            fail_msg("nothing reads %s", values.names[i]);
}

// --- weights

static const Onnx__TensorProto *find(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(g->initializer[i]->name, name) == 0)
            return g->initializer[i];
    return NULL;
}

// Every tensor of the store is there under its name with its shape and bits, but those in `absent` (a part of a name);
// what else is there are constants, whose names begin with a slash.
static void check_weights(const network *n, const Onnx__GraphProto *g, const char *absent)
{
    size_t weights = 0;
    const size_t prefix = strlen(n->weight_prefix);
    for (int i = 0; i < n->store->count; i++) {
        const mcf_entry *e = &n->store->entries[i];
        const Onnx__TensorProto *tensor = find(g, e->name + prefix);
        if (absent && strstr(e->name, absent)) {
            assert_null(tensor);
            continue;
        }
        assert_memory_equal(e->name, n->weight_prefix, prefix);
        if (!tensor)
            fail_msg("%s is missing", e->name);
        assert_int_equal(tensor->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
        assert_int_equal(tensor->n_dims, e->shape.rank);
        for (int k = 0; k < e->shape.rank; k++)
            assert_int_equal(tensor->dims[k], e->shape.dim[k]);
        assert_int_equal(tensor->raw_data.len, e->count * 4);
        assert_memory_equal(tensor->raw_data.data, mcf_params_at(&n->params, n->store, i), tensor->raw_data.len);
        weights++;
    }
    for (size_t i = 0; i < g->n_initializer; i++)
        weights += g->initializer[i]->name[0] == '/';
    assert_int_equal(weights, g->n_initializer);
}

// --- the whole

static void check_shape(const Onnx__ValueInfoProto *info, const char *name, int rank, const int64_t *dims)
{
    assert_string_equal(info->name, name);
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    assert_int_equal(tensor->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_int_equal(tensor->shape->n_dim, rank);
    assert_string_equal(tensor->shape->dim[0]->dim_param, "batch");
    for (int i = 1; i < rank; i++)
        assert_int_equal(tensor->shape->dim[i]->dim_value, dims[i]);
}

static void check_head(const Onnx__ModelProto *model)
{
    assert_int_equal(model->ir_version, 7);
    assert_int_equal(model->n_opset_import, 1);
    assert_int_equal(model->opset_import[0]->version, 13);
    assert_string_equal(model->opset_import[0]->domain, "");
    assert_string_equal(model->producer_name, "mcf");
    assert_string_equal(model->producer_version, "1.2");
    assert_string_equal(model->graph->name, "net");
    assert_int_equal(model->n_metadata_props, 2);
    assert_string_equal(model->metadata_props[0]->key, "task");
    assert_string_equal(model->metadata_props[0]->value, "a task");
    assert_string_equal(model->metadata_props[1]->value, "");
    assert_int_equal(model->graph->n_input, 1);
}

static void encoder(void **state)
{
    network n;
    open_network(&n, encoder_text);
    Onnx__ModelProto *model = written(&n);
    check_head(model);
    check_names(model->graph);
    check_weights(&n, model->graph, NULL);
    check_shape(model->graph->input[0], "image", 4, (int64_t[]){0, 3, 48, 48});
    assert_int_equal(model->graph->n_output, 3);
    check_shape(model->graph->output[0], "tokens", 3, (int64_t[]){0, 10, 24});
    check_shape(model->graph->output[1], "cls", 2, (int64_t[]){0, 24});
    check_shape(model->graph->output[2], "mean", 2, (int64_t[]){0, 24});
    onnx__model_proto__free_unpacked(model, NULL);
    close_network(&n);
}

static void alignment(void **state)
{
    network n;
    open_network(&n, align_text);
    Onnx__ModelProto *model = written(&n);
    check_head(model);
    check_names(model->graph);
    check_weights(&n, model->graph, "backbone.blocks.4."); // behind the last block that is read
    check_shape(model->graph->input[0], "image", 4, (int64_t[]){0, 3, 128, 128});
    assert_int_equal(model->graph->n_output, 1);
    check_shape(model->graph->output[0], "points", 3, (int64_t[]){0, 7, 2});
    onnx__model_proto__free_unpacked(model, NULL);
    close_network(&n);
}

static void parsing(void **state)
{
    network n;
    open_network(&n, parse_text);
    Onnx__ModelProto *model = written(&n);
    check_head(model);
    check_names(model->graph);
    check_weights(&n, model->graph, "backbone.blocks.4.");
    check_shape(model->graph->input[0], "image", 4, (int64_t[]){0, 3, 128, 128});
    assert_int_equal(model->graph->n_output, 1);
    check_shape(model->graph->output[0], "logits", 4, (int64_t[]){0, 7, 128, 128});
    onnx__model_proto__free_unpacked(model, NULL);
    close_network(&n);
}

// --- what is refused

// 2.1 GiB of weights: refused before one is read.
static void too_large(void **state)
{
    network n;
    mcf_onnx *onnx;
    open_network(&n, "model:\n  image_size: 32\n  patch_size: 16\n"
                     "  encoder: {dim: 6912, depth: 1, heads: 1, mlp_ratio: 4}\n  projector: {hidden: 8, out: 4}\n"
                     "objective: {feature: {weight: 0}, pixel: {weight: 0}, contrastive: {weight: 1}}\n");
    const mcf_onnx_options options = options_of(&n);
    assert_int_equal(mcf_onnx_create(&options, &onnx, &err), MCF_ERR_UNSUPPORTED);
    assert_null(onnx);
    assert_non_null(strstr(err.message, "the file would have 2.1"));
    assert_non_null(strstr(err.message, "end at 2; export safetensors"));
    close_network(&n);
}

static mcf_graph *of_batch(int64_t batch)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F32);
    mcf_value x = mcf_normalize_image(g, mcf_input(g, "image", MCF_U8, MCF_SHAPE(batch, 4, 4, 3)),
                                      mcf_input(g, "flip", MCF_U8, MCF_SHAPE(batch)), (const float[3]){0},
                                      (const float[3]){1, 1, 1});
    mcf_output(g, mcf_l2_normalize(g, x, 3, 1e-6), "y");
    assert_int_equal(mcf_graph_status(g, &err), MCF_OK);
    return g;
}

static void no_form(void **state)
{
    mcf_store store;
    mcf_onnx *onnx;
    mcf_store_init(&store);
    mcf_onnx_options options = {.graph = of_batch(2),
                                .other = of_batch(3),
                                .store = &store,
                                .weight_prefix = "",
                                .output_prefix = "",
                                .name = "net",
                                .version = ""};
    assert_int_equal(mcf_onnx_create(&options, &onnx, &err), MCF_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "the operation l2_normalize has no form in ONNX here");
    mcf_graph_destroy((mcf_graph *)options.other);
    network n;
    open_network(&n, encoder_text);
    options.other = n.graphs[0];
    assert_int_equal(mcf_onnx_create(&options, &onnx, &err), MCF_ERR_INTERNAL);
    close_network(&n);
    mcf_graph_destroy((mcf_graph *)options.graph);
    mcf_store_free(&store);
}

static void no_place(void **state)
{
    network n;
    mcf_onnx *onnx;
    open_network(&n, encoder_text);
    const mcf_onnx_options options = options_of(&n);
    MUST(mcf_onnx_create(&options, &onnx, &err));
    assert_int_equal(mcf_onnx_write(onnx, "/nowhere/at/all.onnx", &err), MCF_ERR_IO);
    // A device that takes nothing: the error comes while weights go out.
    assert_int_equal(mcf_onnx_write(onnx, "/dev/full", &err), MCF_ERR_IO);
    mcf_onnx_destroy(onnx);
    mcf_onnx_destroy(NULL);
    close_network(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encoder), cmocka_unit_test(alignment),
                                       cmocka_unit_test(parsing), cmocka_unit_test(too_large),
                                       cmocka_unit_test(no_form), cmocka_unit_test(no_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
