// The symbols of a shared library from foreign bytes: what is found lies inside.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/elf_symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mcf_elf_object *objects;
    size_t count;
    mcf_error err = {.status = MCF_OK};
    if (mcf_elf_objects(data, size, "fuzz", &objects, &count, &err) != MCF_OK) {
        if (objects || !err.message[0])
            abort();
        return 0;
    }
    uint8_t last = 0;
    for (size_t i = 0; i < count; i++)
        if (objects[i].size)
            last ^= data[objects[i].offset + objects[i].size - 1] ^ (uint8_t)strlen(objects[i].name);
    if (last == 255 && size == 1)
        abort();
    free(objects);
    return 0;
}
