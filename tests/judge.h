// Judges results of `mcf step` as tests/golden/README.md says.
#ifndef MCF_TESTS_JUDGE_H
#define MCF_TESTS_JUDGE_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/safetensors.h"

typedef struct {
    int tensors, off, missing;
    double worst; // error over its tolerance
    char worst_name[256];
    double worst_error;
} judgement;

// The tensor's values, NULL where it is missing or of another size than `count` (count < 0: any).
static float *judge_read(const mcf_safetensors *file, const char *name, int64_t count)
{
    const mcf_safetensors_entry *entry = mcf_safetensors_find(file, name);
    if (!entry || (count >= 0 && entry->count != (uint64_t)count))
        return NULL;
    float *values = malloc((size_t)(entry->count + 1) * sizeof *values);
    if (values && mcf_safetensors_read_f32(file, entry, values, NULL) != MCF_OK) {
        free(values);
        values = NULL;
    }
    return values;
}

// Error of one tensor over rtol's tolerance for it; 0 where nothing is judged.
static double judge_tensor(const char *name, const float *got, const float *want, int64_t count, const float *start,
                           const float *gradient, double rtol, double *error)
{
    bool moved = start != NULL;
    double difference = 0, size = 0, origin = 0, limit = 0, tolerance = moved ? 5 * rtol : rtol;
    int64_t judged = 0;
    if (gradient) {
        double largest = 0;
        for (int64_t i = 0; i < count; i++)
            largest = fmax(largest, fabs(gradient[i]));
        limit = fmax(1e-4 * largest, 1e-7);
    }
    for (int64_t i = 0; i < count; i++) {
        if (gradient && !(fabs(gradient[i]) > limit))
            continue;
        double p = moved ? start[i] : 0, d = (double)got[i] - want[i], e = want[i] - p;
        if (!isfinite(got[i]))
            d = INFINITY;
        difference += d * d;
        size += e * e;
        origin += p * p;
        judged++;
    }
    *error = 0;
    if (!judged)
        return 0;
    // An average is rounded at every step.
    double slack = moved ? (strncmp(name, "ema.", 4) ? 1e-7 : 4e-7) * sqrt(origin) : 0;
    difference = sqrt(difference);
    size = sqrt(size);
    *error = fmax(0, difference - slack) / (size + 1e-12);
    if (!strncmp(name, "grad.", 5) && size < 1e-7)
        *error = difference / 1e-3;
    if (moved && size < 1e-12)
        *error = difference > slack;
    return *error / tolerance;
}

static inline judgement judge(const char *got_path, const char *want_path, const char *init_path, double rtol,
                              bool print)
{
    judgement j = {0};
    mcf_safetensors *got = NULL, *want = NULL, *init = NULL;
    if (mcf_safetensors_open(&got, got_path, NULL) != MCF_OK ||
        mcf_safetensors_open(&want, want_path, NULL) != MCF_OK ||
        mcf_safetensors_open(&init, init_path, NULL) != MCF_OK)
        j.missing = 1;
    for (size_t t = 0; !j.missing && t < mcf_safetensors_count(want); t++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(want, t);
        int64_t count = (int64_t)entry->count;
        const int prefix = !strncmp(entry->name, "param.", 6) ? 6 : !strncmp(entry->name, "ema.", 4) ? 4 : 0;
        const bool param = prefix != 0;
        char gradient_name[512];
        snprintf(gradient_name, sizeof gradient_name, "grad.%s", entry->name + prefix);
        float *g = judge_read(got, entry->name, count), *e = judge_read(want, entry->name, count);
        float *p = param ? judge_read(init, entry->name + prefix, count) : NULL;
        float *d = param ? judge_read(want, gradient_name, count) : NULL;
        double error = 0, ratio = INFINITY;
        if (!g || !e || (param && !p))
            j.missing++;
        else
            ratio = judge_tensor(entry->name, g, e, count, p, d, rtol, &error);
        j.tensors++;
        j.off += !(ratio <= 1);
        if (print && !(ratio <= 1))
            fprintf(stderr, "  %s: error %.2e, %.1f times its tolerance\n", entry->name, error, ratio);
        if (!(ratio <= j.worst)) {
            j.worst = ratio;
            j.worst_error = error;
            snprintf(j.worst_name, sizeof j.worst_name, "%s", entry->name);
        }
        free(g);
        free(e);
        free(p);
        free(d);
    }
    mcf_safetensors_close(got);
    mcf_safetensors_close(want);
    mcf_safetensors_close(init);
    return j;
}

#endif
