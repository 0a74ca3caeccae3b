// gpu-check PART [--tiny] [--device N] [--steps N]: one part of ci/gpu-check. Exit codes: 0 passed, 1 failed, 77 nothing
// here to try it on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/gpu.h"
#include "tests/gpu/plain_yaml.h"

static const struct {
    const char *name;
    gpu_part run;
} parts[] = {
    {"operations", gpu_operations}, {"goldens", gpu_goldens}, {"graphs", gpu_graphs},
    {"training", gpu_training},     {"cards", gpu_cards},     {"speed", gpu_speed},
};

// The config's reader asks for this one; libyaml's is not linked.
mcf_status mcf_yaml_parse(mcf_yaml_node **root, const char *text, size_t size, const char *label, bool lines,
                          mcf_error *err)
{
    return mcf_plain_yaml_parse(root, text, size, label, lines, err);
}

bool gpu_computes(const gpu_options *options, mcf_dtype dtype)
{
    mcf_device_info info;
    if (options->backend->device_info(options->device, &info, NULL) != MCF_OK)
        return false;
    return (info.dtypes >> dtype & 1) && !(dtype == MCF_BF16 && info.emulated_bf16);
}

static int usage(void)
{
    fputs("usage: gpu-check operations|goldens|graphs|training|cards|speed SOURCE SCRATCH [--tiny] [--device N] "
          "[--steps N]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    gpu_options options = {.steps = 200};
    gpu_part part = NULL;
    for (size_t i = 0; argc > 3 && i < sizeof parts / sizeof *parts; i++)
        if (!strcmp(argv[1], parts[i].name))
            part = parts[i].run;
    if (!part)
        return usage();
    options.source = argv[2];
    options.scratch = argv[3];
    for (int i = 4; i < argc; i++) {
        if (!strcmp(argv[i], "--tiny"))
            options.tiny = true;
        else if (!strcmp(argv[i], "--device") && i + 1 < argc)
            options.device = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
            options.steps = atoi(argv[++i]);
        else
            return usage();
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    mcf_error err = {0};
    gpu_verdict verdict = GPU_FAILED;
    mcf_status status = mcf_backend_find("cuda", &options.backend, &err);
    if (status == MCF_OK) {
        options.devices = options.backend->device_count();
        status = part(&options, &verdict, &err);
    }
    if (status != MCF_OK) {
        printf("= %s\n", err.message);
        return 1;
    }
    return verdict == GPU_PASSED ? 0 : verdict == GPU_ABSENT ? 77 : 1;
}
