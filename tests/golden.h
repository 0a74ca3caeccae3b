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

// Runs a case and judges it. sets: changes of its config; devices: how many share the batch.
static inline judgement run(const char *folder, const char *name, const char *backend, int devices,
                            const char *const *sets, size_t set_count, double rtol, bool print)
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
    unlink(out);
    fprintf(stderr, "%-16s %-13s %d device%s: %3d tensors, worst %.2f of the tolerance (%s, %.1e)\n", name, backend,
            devices, devices > 1 ? "s" : " ", j.tensors, j.worst, j.worst_name, j.worst_error);
    return j;
}

static inline void check(const char *folder, const char *name, const char *backend, int devices,
                         const char *const *sets, size_t set_count, double rtol)
{
    judgement j = run(folder, name, backend, devices, sets, set_count, rtol, true);
    if (j.missing || j.off || !j.tensors)
        fail_msg("%s on %s: %d of %d tensors off, %d missing; worst %s: %.1f times its tolerance", name, backend, j.off,
                 j.tensors, j.missing, j.worst_name, j.worst);
}

#endif
