// A small pre-training on the card and on cpu-reference, from the same start over the same batches: the curves of the
// loss have to stay together. In fp16 the loss is scaled, from a scale at which gradients overflow at first.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "tests/gpu/gpu.h"
#include "model/mcf.h"
#include "train/optimise.h"

// Largest distance of the two losses of any step, relative. Rounding differs from the first step on and AdamW divides
// by the root of small moments, so the curves drift apart as they would on two processors. Measured on the emulator,
// whose sums have another order than the reference's: see docs/cuda.md.
static const double bound_fp32 = 2e-5, bound_fp16 = 3e-2;

enum { MOST_STEPS = 1000, BLOBS = 4, START_SCALE = 1 << 24 };

typedef struct {
    int steps, skipped;
    float scale;
    double loss[MOST_STEPS], seconds;
} curve;

typedef struct {
    mcf_engine *engine;
    const mcf_config *config;
    int64_t batch;
    float *image;
    int64_t *ids, *ids_target;
    mcf_inputs inputs;
} trainer;

// A picture of soft blobs on a plain ground, about as far from zero as a normalised photograph.
static void paint(float *pixels, int64_t side, uint64_t seed, int step, int64_t sample)
{
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_SYNTH, (uint32_t)step, (uint64_t)sample);
    double blob[BLOBS][6];
    for (int64_t c = 0; c < 3; c++) {
        const float ground = (float)(0.5 * mcf_rng_normal(&rng));
        for (int64_t i = 0; i < side * side; i++)
            pixels[c * side * side + i] = ground;
    }
    for (int b = 0; b < BLOBS; b++)
        for (int k = 0; k < 6; k++)
            blob[b][k] = k < 3 ? mcf_rng_double(&rng) : mcf_rng_normal(&rng);
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++)
            for (int b = 0; b < BLOBS; b++) {
                const double dx = (double)x / (double)side - blob[b][0], dy = (double)y / (double)side - blob[b][1],
                             radius = 0.08 + 0.2 * blob[b][2],
                             light = exp(-(dx * dx + dy * dy) / (2 * radius * radius));
                for (int64_t c = 0; c < 3; c++)
                    pixels[(c * side + y) * side + x] += (float)(light * blob[b][3 + c]);
            }
}

static mcf_status fill(trainer *t, int step, mcf_error *err)
{
    const mcf_pretrain_model *model = t->engine->objective.model;
    const int64_t side = t->config->model.image_size, patches = model->patches;
    for (int64_t i = 0; i < t->batch; i++) {
        mcf_rng online = mcf_rng_make(t->config->seed, MCF_RNG_MASK_ONLINE, (uint32_t)step, (uint64_t)i);
        mcf_rng target = mcf_rng_make(t->config->seed, MCF_RNG_MASK_TARGET, (uint32_t)step, (uint64_t)i);
        paint(t->image + i * 3 * side * side, side, t->config->seed, step, i);
        mcf_rng_permutation(&online, t->ids + i * patches, patches);
        mcf_rng_permutation(&target, t->ids_target + i * patches, patches);
    }
    mcf_inputs_begin(&t->inputs, t->batch);
    MCF_TRY(mcf_inputs_point(&t->inputs, "image", t->image, (size_t)(3 * side * side) * sizeof *t->image, err));
    return mcf_mcf_inputs(model, t->ids, t->ids_target, 0, &t->inputs, err);
}

static mcf_status next(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    *inputs = &((trainer *)context)->inputs;
    return MCF_OK;
}

static mcf_status one_step(trainer *t, curve *c, int step, mcf_error *err)
{
    mcf_step_plan plan = {.micro_batches = 1,
                          .batch = t->batch,
                          .loss_scale = c->scale,
                          .lr = t->config->optimizer.lr,
                          .number = step + 1};
    mcf_losses losses;
    MCF_TRY(fill(t, step, err));
    MCF_TRY(mcf_optimise_until_finite(t->engine, &plan, next, t, &losses, &c->skipped, err));
    c->loss[step] = losses.value[0];
    c->scale = (float)plan.loss_scale;
    return MCF_OK;
}

static mcf_status train(trainer *t, const char *backend, curve *c, mcf_error *err)
{
    const mcf_job_options job = {.backend = backend, .device_count = 1};
    MCF_TRY(mcf_engine_create(&t->engine, t->config, &job, true, err));
    const mcf_objective *objective = &t->engine->objective;
    const mcf_pretrain_model *model = objective->model;
    const int64_t side = t->config->model.image_size;
    MCF_TRY(objective->start(objective, t->config->seed, &t->engine->params, err));
    MCF_TRY(mcf_engine_upload(t->engine, err));
    t->image = malloc((size_t)(t->batch * 3 * side * side) * sizeof *t->image);
    t->ids = malloc((size_t)(t->batch * model->patches) * sizeof *t->ids);
    t->ids_target = malloc((size_t)(t->batch * model->patches) * sizeof *t->ids_target);
    if (!t->image || !t->ids || !t->ids_target)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a batch");
    const double begin = mcf_now();
    for (int step = 0; step < c->steps; step++)
        MCF_TRY(one_step(t, c, step, err));
    c->seconds = mcf_now() - begin;
    return MCF_OK;
}

static mcf_status run(const gpu_options *o, const char *backend, const char *precision, curve *c, mcf_error *err)
{
    char path[4096], kind[64];
    const char *sets[] = {kind};
    mcf_config config;
    snprintf(path, sizeof path, "%s/tests/gpu/training.yaml", o->source);
    snprintf(kind, sizeof kind, "precision=%s", precision);
    MCF_TRY(mcf_config_load(&config, path, sets, 1, err));
    *c = (curve){.steps = o->steps, .scale = config.precision == MCF_PRECISION_FP16 ? START_SCALE : 1};
    trainer t = {.config = &config, .batch = config.batch.per_device};
    mcf_status status = train(&t, backend, c, err);
    mcf_engine_destroy(t.engine);
    free(t.image);
    free(t.ids);
    free(t.ids_target);
    mcf_inputs_free(&t.inputs);
    mcf_config_free(&config);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "training on %s in %s", backend, precision);
    printf("%s in %s: %d steps in %.1f s, loss %.4f to %.4f, %d at a scale too high, the last at %g\n", backend,
           precision, c->steps, c->seconds, c->loss[0], c->loss[c->steps - 1], c->skipped, c->scale);
    return MCF_OK;
}

// Mean of a tenth of the steps, the first or the last.
static double part(const curve *c, bool last)
{
    const int count = c->steps / 10 > 0 ? c->steps / 10 : 1;
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += c->loss[last ? c->steps - 1 - i : i] / count;
    return sum;
}

static double distance(const curve *a, const curve *b)
{
    double worst = 0;
    for (int i = 0; i < a->steps; i++) {
        const double d = fabs(a->loss[i] - b->loss[i]) / fabs(b->loss[i]);
        if (!(d <= worst))
            worst = d;
        if (i % (a->steps / 10 > 0 ? a->steps / 10 : 1) == 0)
            printf("  step %3d: %.6f and %.6f, %.1e apart; so far at most %.1e\n", i, a->loss[i], b->loss[i], d, worst);
    }
    return worst;
}

mcf_status gpu_training(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    static curve reference, fp32, fp16;
    if (o->steps < 1 || o->steps > MOST_STEPS)
        return mcf_fail(err, MCF_ERR_USAGE, "training: %d steps; give 1 to %d", o->steps, MOST_STEPS);
    MCF_TRY(run(o, "cpu-reference", "fp32", &reference, err));
    MCF_TRY(run(o, o->backend->name, "fp32", &fp32, err));
    const double far32 = distance(&fp32, &reference);
    MCF_TRY(run(o, o->backend->name, "fp16", &fp16, err));
    const double far16 = distance(&fp16, &reference);
    // A few steps learn nothing that would show.
    const bool learns =
        o->steps < 50 || (part(&fp32, true) < 0.9 * part(&fp32, false) && part(&fp16, true) < 0.9 * part(&fp16, false));
    const bool good = far32 <= bound_fp32 && far16 <= bound_fp16 && fp16.skipped > 0 && learns;
    *verdict = good ? GPU_PASSED : GPU_FAILED;
    printf(
        "= %d steps, loss %.3f to %.3f; against the CPU at most %.1e apart in fp32 (bound %.0e), %.1e in fp16 (%.0e), "
        "%d scales too high%s\n",
        o->steps, part(&fp32, false), part(&fp32, true), far32, bound_fp32, far16, bound_fp16, fp16.skipped,
        learns ? "" : "; the loss does not fall");
    return MCF_OK;
}
