// Judges results of `mcf step` in bf16 and fp16: bounds on relative L2 errors for batches of 32, argued in
// docs/numerics.md.
#ifndef MCF_TESTS_JUDGE_HALF_H
#define MCF_TESTS_JUDGE_HALF_H

#include "tests/judge.h"

// 0: not judged.
static inline double half_bound(const char *name, bool fp16)
{
    static const struct {
        const char *start;
        double bf16, fp16;
    } bounds[] = {
        {"loss", 5e-3, 1e-3},
        {"out.pred", 1e-2, 2e-3},
        {"out.", 3.5e-2, 6e-3},
        {"grad.online_encoder.fc.", 0.22, 0.22},
        {"grad.predictor.", 0.22, 0.22},
        {"grad.online_", 8e-2, 6e-2},
        {"grad.base_encoder.head.", 0.29, 0},
        {"grad.base_encoder.", 0.42, 0},
        {"param.base_encoder.", 1.4e-2, 0},
        {"grad.", 3.5e-2, 6e-3},
        {"param.", 1e-2, 1e-2},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (!strncmp(name, bounds[i].start, strlen(bounds[i].start)))
            return fp16 ? bounds[i].fp16 : bounds[i].bf16;
    return 0;
}

static inline judgement judge_half(const char *got_path, const char *want_path, bool fp16)
{
    judgement j = {0};
    mcf_safetensors *got = NULL, *want = NULL;
    if (mcf_safetensors_open(&got, got_path, NULL) != MCF_OK || mcf_safetensors_open(&want, want_path, NULL) != MCF_OK)
        j.missing = 1;
    for (size_t t = 0; !j.missing && t < mcf_safetensors_count(want); t++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(want, t);
        float *g = judge_read(got, entry->name, (int64_t)entry->count);
        float *e = judge_read(want, entry->name, (int64_t)entry->count);
        double difference = 0, size = 0;
        j.missing += !g || !e;
        for (uint64_t i = 0; g && e && i < entry->count; i++) {
            difference += ((double)g[i] - e[i]) * ((double)g[i] - e[i]);
            size += (double)e[i] * e[i];
        }
        double error = sqrt(difference / (size + 1e-300)), ratio = error / half_bound(entry->name, fp16);
        if (size >= 1e-14) { // smaller ones are zero in exact arithmetic
            j.tensors++;
            j.off += !(ratio <= 1);
            if (!(ratio <= j.worst)) {
                j.worst = ratio;
                j.worst_error = error;
                snprintf(j.worst_name, sizeof j.worst_name, "%s", entry->name);
            }
        }
        free(g);
        free(e);
    }
    mcf_safetensors_close(got);
    mcf_safetensors_close(want);
    return j;
}

#endif
