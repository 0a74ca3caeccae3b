// MoCo-v3's start and layout (method.md, "MoCo-v3"); its step is judged by test_golden, its runs by moco.sh.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/position.h"
#include "model/pretrain.h"

enum { DIM = 64, SIDE = 4, PATCH = 4, HIDDEN = 48, OUT = 16 };

static mcf_pretrain_model *model;
static mcf_params params;

static int make(void **state)
{
    (void)state;
    const mcf_model_options options = {.image_size = SIDE * PATCH,
                                       .patch_size = PATCH,
                                       .encoder = {.dim = DIM, .depth = 2, .heads = 4, .mlp_ratio = 4},
                                       .projector_hidden = HIDDEN,
                                       .projector_out = OUT,
                                       .batchnorm_groups = 1};
    const mcf_objective_options objective = {.method = MCF_METHOD_MOCO_V3, .temperature = 0.2, .momentum = 0.99};
    mcf_error err = {0};
    if (mcf_pretrain_create(&options, &objective, &model, &err) == MCF_OK &&
        mcf_params_create(&model->store, &params, &err) == MCF_OK &&
        mcf_pretrain_start(model, 3, &params, &err) == MCF_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

static int unmake(void **state)
{
    (void)state;
    mcf_params_free(&params);
    mcf_pretrain_destroy(model);
    return 0;
}

static const float *at(const char *name, mcf_shape shape)
{
    const int entry = mcf_store_find(&model->store, name);
    if (entry < 0)
        fail_msg("no parameter %s", name);
    if (!mcf_shape_equal(&model->store.entries[entry].shape, &shape))
        fail_msg("%s is of another shape", name);
    return mcf_params_at(&params, &model->store, entry);
}
#define AT(name, ...) at(name, MCF_SHAPE(__VA_ARGS__))

static double largest(const float *values, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

// Uniform in +-bound, filled up to its edges; deviation bound / sqrt(3).
static void assert_uniform(const float *values, int64_t count, double bound)
{
    double square = 0;
    for (int64_t i = 0; i < count; i++)
        square += (double)values[i] * values[i];
    assert_true(largest(values, count) <= bound * (1 + 1e-6) && largest(values, count) > 0.98 * bound);
    assert_true(fabs(sqrt(square / (double)count) / (bound / sqrt(3)) - 1) < 0.05);
}

static void position_halves_are_exchanged(void **state)
{
    (void)state;
    enum { ROWS = 1 + SIDE * SIDE };
    float usual[ROWS * DIM];
    const float *table = AT("base_encoder.pos_embed", 1, ROWS, DIM);
    mcf_position_table(usual, DIM, SIDE, SIDE);
    for (int p = 0; p < ROWS; p++)
        for (int i = 0; i < DIM; i++)
            assert_true(table[p * DIM + i] == usual[p * DIM + (i + DIM / 2) % DIM]);
    // By the formula: patch (row 2, column 1), first channels of both halves.
    const float *patch = table + (1 + 2 * SIDE + 1) * DIM;
    assert_true(fabs(patch[0] - sin(2.0)) < 1e-6 && fabs(patch[DIM / 2] - sin(1.0)) < 1e-6);
}

static void encoder_starts_as_published(void **state)
{
    (void)state;
    const float *cls = AT("base_encoder.cls_token", 1, 1, DIM);
    double square = 0;
    for (int i = 0; i < DIM; i++)
        square += (double)cls[i] * cls[i];
    const double deviation = sqrt(square / DIM);
    assert_true(deviation > 0.7e-6 && deviation < 1.3e-6);
    // Q, K and V each for itself: fan in and out of D.
    assert_uniform(AT("base_encoder.blocks.1.attn.qkv.weight", 3 * DIM, DIM), 3 * DIM * DIM, sqrt(6.0 / (2 * DIM)));
    assert_uniform(AT("base_encoder.blocks.0.attn.proj.weight", DIM, DIM), DIM * DIM, sqrt(6.0 / (2 * DIM)));
    assert_uniform(AT("base_encoder.blocks.0.mlp.fc1.weight", 4 * DIM, DIM), 4 * DIM * DIM, sqrt(6.0 / (5 * DIM)));
    assert_uniform(AT("base_encoder.patch_embed.proj.weight", DIM, 3, PATCH, PATCH), DIM * 3 * PATCH * PATCH,
                   sqrt(6.0 / (DIM + 3 * PATCH * PATCH)));
    assert_true(largest(AT("base_encoder.patch_embed.proj.bias", DIM), DIM) == 0);
    assert_true(largest(AT("base_encoder.blocks.0.attn.qkv.bias", 3 * DIM), 3 * DIM) == 0);
}

static void heads_are_three_and_two_layers(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"base_encoder.head", "momentum_encoder.head"};
    char name[128];
    for (int e = 0; e < 2; e++) {
        const int64_t widths[] = {DIM, HIDDEN, HIDDEN, OUT};
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "%s.%d.weight", prefixes[e], 3 * i);
            assert_uniform(AT(name, widths[i + 1], widths[i]), widths[i] * widths[i + 1],
                           sqrt(6.0 / (double)(widths[i] + widths[i + 1])));
            snprintf(name, sizeof name, "%s.%d.running_var", prefixes[e], 3 * i + 1);
            assert_true(AT(name, widths[i + 1])[0] == 1);
            snprintf(name, sizeof name, "%s.%d.bias", prefixes[e], 3 * i);
            assert_true(mcf_store_find(&model->store, name) < 0);
            snprintf(name, sizeof name, "%s.%d.weight", prefixes[e], 3 * i + 1);
            assert_int_equal(mcf_store_find(&model->store, name) >= 0, i < 2); // the last BatchNorm is plain
        }
        snprintf(name, sizeof name, "%s.9.weight", prefixes[e]);
        assert_true(mcf_store_find(&model->store, name) < 0);
    }
    AT("predictor.0.weight", HIDDEN, OUT);
    AT("predictor.1.weight", HIDDEN);
    AT("predictor.3.weight", OUT, HIDDEN);
    AT("predictor.4.running_mean", OUT);
    assert_true(mcf_store_find(&model->store, "predictor.4.weight") < 0);
    assert_true(mcf_store_find(&model->store, "predictor.6.weight") < 0);
}

// What is trained decays, norms and biases too; the patch projection and the table stay.
static void what_is_trained(void **state)
{
    (void)state;
    int trained = 0, frozen = 0;
    for (int i = 0; i < model->store.count; i++) {
        const mcf_entry *e = &model->store.entries[i];
        const bool patch = strstr(e->name, "patch_embed") != NULL;
        if (e->role != MCF_ROLE_TRAINED) {
            assert_true(strncmp(e->name, "momentum_encoder.", 17) == 0 || strstr(e->name, "pos_embed") ||
                        strstr(e->name, "running_"));
            continue;
        }
        assert_true(strncmp(e->name, "base_encoder.", 13) == 0 || strncmp(e->name, "predictor.", 10) == 0);
        assert_int_equal(e->frozen, patch);
        assert_true(e->decay);
        trained += !patch;
        frozen += patch;
    }
    assert_int_equal(frozen, 2);
    // cls; 12 a block; norm; head: 3 products, 2 norms; predictor: 2 products, 1 norm.
    assert_int_equal(trained, 1 + 2 * 12 + 2 + (3 + 4) + (2 + 2));
}

static void momentum_encoder_is_a_copy(void **state)
{
    (void)state;
    for (int i = 0; i < model->store.count; i++) {
        const mcf_entry *e = &model->store.entries[i];
        char name[256];
        if (strncmp(e->name, "momentum_encoder.", 17))
            continue;
        snprintf(name, sizeof name, "base_encoder.%s", e->name + 17);
        const float *source = at(name, e->shape);
        assert_memory_equal(source, mcf_params_at(&params, &model->store, i), (size_t)e->count * sizeof(float));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(position_halves_are_exchanged),  cmocka_unit_test(encoder_starts_as_published),
        cmocka_unit_test(heads_are_three_and_two_layers), cmocka_unit_test(what_is_trained),
        cmocka_unit_test(momentum_encoder_is_a_copy),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
