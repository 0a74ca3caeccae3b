// A PyTorch checkpoint from foreign bytes: the pickle is read, every tensor of moderate size too.
#include <stdint.h>
#include <stdlib.h>

#include "data/formats/pth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 1 << 16 }; // expanded tensors repeat few bytes; who reads them allocates by what it wants
    mcf_pth *file;
    mcf_error err = {.status = MCF_OK};
    if (mcf_pth_open_memory(&file, data, size, "fuzz", &err) != MCF_OK) {
        if (file || !err.message[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < mcf_pth_count(file); i++) {
        const mcf_pth_entry *entry = mcf_pth_at(file, i);
        if (!entry->object && entry->count > MOST)
            continue;
        float *values = malloc(((size_t)entry->count + 1) * sizeof *values);
        if (values)
            mcf_pth_read_f32(file, entry, values, &err);
        free(values);
    }
    mcf_pth_close(file);
    return 0;
}
