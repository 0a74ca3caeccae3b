// A step whose launches are captured and replayed against the same launches one by one: the same bits.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/gpu/gpu.h"

// In fp16 the step's own bounds do not matter here.
static mcf_status run_step(const gpu_options *o, const char *name, const char *precision, bool captured, char **bytes,
                           size_t *size, mcf_error *err)
{
    char out[4096];
    gpu_golden g;
    snprintf(out, sizeof out, "%s/graphs.safetensors", o->scratch);
    setenv("MCF_CUDA_CAPTURE", captured ? "1" : "0", 1);
    mcf_status status = gpu_golden_run(o, name, 1, precision, NULL, out, &g, err);
    unsetenv("MCF_CUDA_CAPTURE");
    if (status == MCF_OK)
        status = mcf_file_read(out, 1u << 30, bytes, size, err);
    unlink(out);
    return status;
}

mcf_status gpu_graphs(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    // Three steps: the first launches one by one, the second captures, the third replays.
    static const struct {
        const char *name, *precision;
    } cases[] = {{"moco_3steps", "fp32"}, {"one_block", "fp32"}, {"one_block", "fp16"}};
    int same = 0, count = (int)(sizeof cases / sizeof *cases);
    for (int i = 0; i < count; i++) {
        char *plain = NULL, *replayed = NULL;
        size_t plain_size = 0, replayed_size = 0;
        mcf_status status = run_step(o, cases[i].name, cases[i].precision, false, &plain, &plain_size, err);
        if (status == MCF_OK)
            status = run_step(o, cases[i].name, cases[i].precision, true, &replayed, &replayed_size, err);
        const bool equal = status == MCF_OK && plain_size == replayed_size && !memcmp(plain, replayed, plain_size);
        same += equal;
        free(plain);
        free(replayed);
        MCF_TRY(status);
        printf("%s in %s: replayed work gives %s\n", cases[i].name, cases[i].precision,
               equal ? "the same bits" : "OTHER BITS");
    }
    *verdict = same == count ? GPU_PASSED : GPU_FAILED;
    printf("= %d of %d runs of three steps give the same bits replayed as launched one by one\n", same, count);
    return MCF_OK;
}
