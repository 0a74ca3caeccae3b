// Running `mcf step` on a folder with a worked example and judging its results: for tests of model/.
#ifndef MCF_TESTS_GOLDEN_H
#define MCF_TESTS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/judge_half.h"
#include "train/trace.h"

static inline const char *own_folder(void)
{
    return MCF_SOURCE_DIR "/tests/golden";
}

static inline const char *shared_folder(void)
{
    static char path[3000];
    const char *from = getenv("MCF_SHARED");
    snprintf(path, sizeof path, "%s/golden", from ? from : MCF_SOURCE_DIR "/../shared");
    return path;
}

static inline int read_steps(const char *folder)
{
    char path[4200];
    int steps = 0;
    snprintf(path, sizeof path, "%s/steps", folder);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%d", &steps) != 1)
            steps = 0;
        fclose(file);
    }
    return steps;
}

// Copies a file of fp32 tensors and moves each value by about its rounding, another way for each seed.
static inline void move_parameters(const char *from, const char *to, uint32_t seed)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    uint64_t header = 0;
    assert_true(in && out && fread(&header, sizeof header, 1, in) == 1 && header < 1 << 24);
    fwrite(&header, sizeof header, 1, out);
    for (uint64_t i = 0; i < header; i++)
        putc(getc(in), out);
    float value;
    while (fread(&value, sizeof value, 1, in) == 1) {
        seed = seed * 1664525u + 1013904223u;
        value += 0x1p-22f * (fabsf(value) + 0.25f) * ((float)(seed >> 8) * 0x1p-23f - 1);
        fwrite(&value, sizeof value, 1, out);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

// Whether the results agree, within twice the tolerance, with those of the reference from one of 128 starts that lie
// within rounding of the case's own. Where an input of ReLU or of a maximum stands within rounding of its kink, the
// gradient jumps, and the order of summation decides on which side of the kink a backend is; one of the moved starts
// then is on the same side (docs/decisions.md).
static inline bool agrees_beside_a_kink(const char *path, const char *got, int devices, double rtol)
{
    char from[4200], config_path[4200], batch[4200], init[4200], want[4200];
    snprintf(from, sizeof from, "%s/params.safetensors", path);
    snprintf(config_path, sizeof config_path, "%s/config.yaml", path);
    snprintf(batch, sizeof batch, "%s/batch.safetensors", path);
    snprintf(init, sizeof init, "%s/moved-%d.safetensors", MCF_BINARY_DIR, (int)getpid());
    snprintf(want, sizeof want, "%s/moved-%d-want.safetensors", MCF_BINARY_DIR, (int)getpid());
    mcf_step_options options = {.init = init, .batch = batch, .out = want, .steps = read_steps(path)};
    options.job = (mcf_job_options){.backend = "cpu-reference", .device_count = devices, .threads = 1};
    bool agrees = false;
    for (uint32_t seed = 1; seed <= 128 && !agrees; seed++) {
        mcf_error err = {0};
        mcf_config config;
        move_parameters(from, init, seed);
        if (mcf_config_load(&config, config_path, NULL, 0, &err) != MCF_OK ||
            mcf_step(&config, &options, NULL, &err) != MCF_OK)
            fail_msg("%s from moved parameters: %s", path, err.message);
        mcf_config_free(&config);
        const judgement j = judge(got, want, from, 2 * rtol, false);
        agrees = !j.missing && !j.off && j.tensors;
        if (agrees)
            fprintf(stderr, "  beside a kink: start %u agrees, worst %.2f of the tolerance (%s)\n", seed, 2 * j.worst,
                    j.worst_name);
    }
    unlink(init);
    unlink(want);
    return agrees;
}

// Runs a case and judges it. sets: changes of its config; devices: how many share the batch; kinks: results that are off
// may agree with the reference beside a kink.
static inline judgement run_beside(const char *folder, const char *name, const char *backend, int devices,
                                   const char *const *sets, size_t set_count, double rtol, bool print, bool kinks)
{
    const bool bf16 = set_count && !strcmp(sets[0], "precision=bf16");
    const bool fp16 = set_count && !strcmp(sets[0], "precision=fp16");
    char path[4096], config_path[4200], init[4200], batch[4200], want[4200], out[4200];
    mcf_error err = {0};
    mcf_config config;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(config_path, sizeof config_path, "%s/config.yaml", path);
    snprintf(init, sizeof init, "%s/params.safetensors", path);
    snprintf(batch, sizeof batch, "%s/batch.safetensors", path);
    snprintf(want, sizeof want, "%s/expected.safetensors", path);
    snprintf(out, sizeof out, "%s/golden-%d-%s.safetensors", MCF_BINARY_DIR, (int)getpid(), name);
    mcf_step_options options = {.init = init, .batch = batch, .out = out, .steps = read_steps(path)};
    options.job = (mcf_job_options){.backend = backend, .device_count = devices, .threads = devices > 1 ? 1 : 0};
    if (options.steps < 1 || mcf_config_load(&config, config_path, sets, set_count, &err) != MCF_OK)
        fail_msg("%s: no steps, or %s", path, err.message);
    if (mcf_step(&config, &options, NULL, &err) != MCF_OK)
        fail_msg("%s on %s: %s", name, backend, err.message);
    mcf_config_free(&config);
    judgement j = bf16 || fp16 ? judge_half(out, want, fp16) : judge(out, want, init, rtol, print);
    fprintf(stderr, "%-16s %-13s %d device%s: %3d tensors, worst %.2f of the tolerance (%s, %.1e)\n", name, backend,
            devices, devices > 1 ? "s" : " ", j.tensors, j.worst, j.worst_name, j.worst_error);
    if (kinks && j.off && !j.missing && agrees_beside_a_kink(path, out, devices, rtol))
        j.off = 0;
    unlink(out);
    return j;
}

static inline judgement run(const char *folder, const char *name, const char *backend, int devices,
                            const char *const *sets, size_t set_count, double rtol, bool print)
{
    return run_beside(folder, name, backend, devices, sets, set_count, rtol, print, false);
}

static inline void check(const char *folder, const char *name, const char *backend, int devices,
                         const char *const *sets, size_t set_count, double rtol)
{
    judgement j = run_beside(folder, name, backend, devices, sets, set_count, rtol, true, !set_count);
    if (j.missing || j.off || !j.tensors)
        fail_msg("%s on %s: %d of %d tensors off, %d missing; worst %s: %.1f times its tolerance", name, backend, j.off,
                 j.tensors, j.missing, j.worst_name, j.worst);
}

#endif
