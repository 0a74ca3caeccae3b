// The engine of steps: which device a loss that is not finite came from.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/mcf.h"
#include "train/engine.h"

enum { DEVICES = 3, SHARE = 2 };

// One micro-batch on so many devices, with an image of NaN on those whose bit is set in `broken`.
static mcf_losses run(int devices, int broken)
{
    static const char text[] = "model:\n  image_size: 16\n  patch_size: 4\n"
                               "  encoder: {dim: 8, depth: 1, heads: 1, mlp_ratio: 2}\n"
                               "  decoder: {dim: 8, depth: 1, heads: 1, mlp_ratio: 2}\n"
                               "  projector: {hidden: 8, out: 4}\n"
                               "objective:\n  feature: {weight: 0}\n  pixel: {weight: 1}\n"
                               "  contrastive: {weight: 1}\n";
    static float image[DEVICES * SHARE * 3 * 16 * 16];
    static int64_t ids[DEVICES * SHARE * 16];
    mcf_error err = {0};
    mcf_config config;
    mcf_engine *engine;
    mcf_losses losses;
    mcf_job_options job = {.backend = "cpu-reference", .device_count = devices};
    mcf_rng rng = mcf_rng_make(0, MCF_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = (float)mcf_rng_normal(&rng);
    for (int i = 0; i < DEVICES * SHARE; i++)
        mcf_rng_permutation(&rng, ids + i * 16, 16);
    for (int i = 0; i < devices; i++) {
        job.devices[i] = i;
        for (int k = 0; broken >> i & 1 && k < 3 * 16 * 16; k++)
            image[(i * SHARE + 1) * 3 * 16 * 16 + k] = NAN;
    }
    const mcf_micro_options options = {.batch = SHARE, .backward = true, .reduce = true, .loss_scale = 1};
    if (mcf_config_parse(&config, text, sizeof text - 1, "test", NULL, 0, &err) != MCF_OK ||
        mcf_engine_create(&engine, &config, &job, true, &err) != MCF_OK)
        fail_msg("%s", err.message);
    mcf_inputs inputs = {0};
    mcf_inputs_begin(&inputs, devices * SHARE);
    const mcf_objective *objective = &engine->objective;
    if (objective->start(objective, 0, &engine->params, &err) != MCF_OK || mcf_engine_upload(engine, &err) != MCF_OK ||
        mcf_inputs_point(&inputs, "image", image, 3 * 16 * 16 * sizeof *image, &err) != MCF_OK ||
        mcf_mcf_inputs(objective->model, ids, ids, 0, &inputs, &err) != MCF_OK ||
        mcf_engine_run(engine, &options, &inputs, &err) != MCF_OK ||
        mcf_engine_losses(engine, 1, &losses, &err) != MCF_OK)
        fail_msg("%s", err.message);
    mcf_inputs_free(&inputs);
    mcf_engine_destroy(engine);
    mcf_config_free(&config);
    return losses;
}

static void a_loss_that_is_not_finite(void **state)
{
    (void)state;
    mcf_losses fine = run(DEVICES, 0);
    assert_true(isfinite(fine.value[0]));
    for (int i = 0; i < fine.count; i++)
        assert_string_not_equal(fine.name[i], "loss.feature");
    assert_int_equal(fine.bad_device, -1);
    // The contrast makes every device's total NaN; the term that stays at home tells.
    for (int device = 0; device < DEVICES; device++) {
        mcf_losses l = run(DEVICES, 1 << device);
        assert_int_equal(l.count, 3);
        assert_true(isnan(l.value[0]) && isnan(l.value[1]) && isnan(l.value[2]));
        assert_int_equal(l.bad_device, device);
    }
    assert_int_equal(run(DEVICES, 6).bad_device, 1); // the first of two
    assert_int_equal(run(DEVICES, 7).bad_device, -1);
    assert_int_equal(run(1, 1).bad_device, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_loss_that_is_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
