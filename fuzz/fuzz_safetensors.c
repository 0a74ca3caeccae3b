// A safetensors file from foreign bytes: everything in it is looked up and read.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mcf_safetensors *file;
    mcf_error err = {.status = MCF_OK};
    if (mcf_safetensors_open_memory(&file, data, size, "fuzz", &err) != MCF_OK) {
        if (file || !err.message[0])
            abort();
        return 0;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(file, i);
        if (mcf_safetensors_find(file, entry->name) != entry)
            abort();
        bytes += entry->size;
        float *values = malloc(entry->count * sizeof(float) + 1);
        unsigned char *raw = malloc(entry->size + 1);
        if (values && raw) {
            mcf_safetensors_read_f32(file, entry, values, &err);
            if (mcf_safetensors_read(file, entry, raw, &err) != MCF_OK ||
                memcmp(raw, data + entry->offset, entry->size) != 0)
                abort();
        }
        free(values);
        free(raw);
    }
    if (bytes > size)
        abort();
    mcf_safetensors_metadata(file, "format");
    mcf_safetensors_close(file);
    return 0;
}
