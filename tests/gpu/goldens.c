// Worked steps of tests/golden, judged as its README says: all of them in fp32, those of 32 images in 16 bits too.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/gpu.h"
#include "tests/judge_half.h"
#include "train/trace.h"

static int read_steps(const char *path)
{
    int steps = 0;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%d", &steps) != 1)
        steps = 0;
    if (file)
        fclose(file);
    return steps;
}

mcf_status gpu_golden_run(const gpu_options *o, const char *name, int devices, const char *precision, const char *set,
                          const char *out, gpu_golden *result, mcf_error *err)
{
    static const char *const files[] = {"config.yaml", "params.safetensors", "batch.safetensors",
                                        "expected.safetensors", "steps"};
    char path[5][4096], kind[64];
    const char *sets[2];
    size_t count = 0;
    for (int i = 0; i < 5; i++)
        snprintf(path[i], sizeof path[i], "%s/tests/golden/%s/%s", o->source, name, files[i]);
    snprintf(kind, sizeof kind, "precision=%s", precision ? precision : "fp32");
    sets[count++] = kind;
    if (set)
        sets[count++] = set;
    mcf_step_options options = {.init = path[1], .batch = path[2], .out = out, .steps = read_steps(path[4])};
    options.job = (mcf_job_options){.backend = o->backend->name, .device_count = devices};
    for (int i = 0; i < devices; i++)
        options.job.devices[i] = i;
    if (options.steps < 1)
        return mcf_fail(err, MCF_ERR_IO, "%s: no number of steps", path[4]);
    mcf_config config;
    MCF_TRY(mcf_config_load(&config, path[0], sets, count, err));
    mcf_status status = mcf_step(&config, &options, NULL, err);
    mcf_config_free(&config);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "%s on %d device%s", name, devices, devices > 1 ? "s" : "");
    const bool half = precision && strcmp(precision, "fp32") != 0;
    const judgement j =
        half ? judge_half(out, path[3], !strcmp(precision, "fp16")) : judge(out, path[3], path[1], 2e-4, true);
    if (j.missing || !j.tensors)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %d of the expected tensors are missing in %s", name, j.missing, out);
    *result = (gpu_golden){.tensors = j.tensors, .off = j.off, .worst = j.worst};
    snprintf(result->worst_name, sizeof result->worst_name, "%.120s", j.worst_name);
    printf("%-16s %s, %d device%s: %d tensors, %d off, worst %.2f of the bound (%s, %.1e)\n", name,
           precision ? precision : "fp32", devices, devices > 1 ? "s" : "", j.tensors, j.off, j.worst, j.worst_name,
           j.worst_error);
    return MCF_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum { MOST = 64 };

// Names of the folders that hold a config, sorted.
static int list_cases(const gpu_options *o, char *names[MOST])
{
    char path[4096];
    int count = 0;
    snprintf(path, sizeof path, "%s/tests/golden", o->source);
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && count < MOST && (e = readdir(folder));) {
        snprintf(path, sizeof path, "%s/tests/golden/%s/config.yaml", o->source, e->d_name);
        if (e->d_name[0] != '.' && access(path, R_OK) == 0)
            names[count++] = strdup(e->d_name);
    }
    if (folder)
        closedir(folder);
    qsort(names, (size_t)count, sizeof *names, by_name);
    return count;
}

typedef struct {
    int cases, failed;
    gpu_golden worst;
    char worst_case[64];
} tally;

static mcf_status try_case(const gpu_options *o, const char *name, const char *precision, tally *t, mcf_error *err)
{
    char out[4096];
    gpu_golden g;
    snprintf(out, sizeof out, "%s/golden.safetensors", o->scratch);
    mcf_status status = gpu_golden_run(o, name, 1, precision, NULL, out, &g, err);
    unlink(out);
    MCF_TRY(status);
    t->cases++;
    t->failed += g.off > 0;
    if (t->cases == 1 || g.worst > t->worst.worst) {
        t->worst = g;
        snprintf(t->worst_case, sizeof t->worst_case, "%s", name);
    }
    return MCF_OK;
}

mcf_status gpu_goldens(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    static const char *const few[] = {"all_terms", "contrast_patch", "moco_3steps"};
    static const char *const for_half[] = {"batch_32", "wide_heads"};
    char *names[MOST];
    const int count = list_cases(o, names);
    tally fp32 = {0}, fp16 = {0}, bf16 = {0};
    mcf_status status = MCF_OK;
    for (int i = 0; i < count && status == MCF_OK; i++) {
        bool wanted = !o->tiny;
        for (size_t f = 0; f < sizeof few / sizeof *few; f++)
            wanted = wanted || !strcmp(names[i], few[f]);
        if (wanted)
            status = try_case(o, names[i], NULL, &fp32, err);
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    for (size_t i = o->tiny; i < 2 && status == MCF_OK; i++)
        status = try_case(o, for_half[i], "fp16", &fp16, err);
    // wide_heads has no bound for bf16.
    if (status == MCF_OK && gpu_computes(o, MCF_BF16))
        status = try_case(o, for_half[0], "bf16", &bf16, err);
    MCF_TRY(status);
    const int failed = fp32.failed + fp16.failed + bf16.failed;
    *verdict = failed || !fp32.cases || !fp16.cases ? GPU_FAILED : GPU_PASSED;
    printf("= %d steps in fp32 within 2e-4, worst %.2f of it (%s); %d in fp16, worst %.2f of its bounds (%s)",
           fp32.cases, fp32.worst.worst, fp32.worst_case, fp16.cases, fp16.worst.worst, fp16.worst_case);
    if (bf16.cases)
        printf("; %d in bf16, worst %.2f", bf16.cases, bf16.worst.worst);
    printf("%s\n", failed ? "; some are OFF" : "");
    return MCF_OK;
}
