// labels.jsonl from foreign bytes: what is taken has a path and finite points for every picture.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mcf_labels labels;
    mcf_error err = {.status = MCF_OK};
    char *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    bytes[size] = 0;
    const mcf_status status = mcf_labels_parse(&labels, bytes, size, "folder", "fuzz", 5, &err);
    if (status != MCF_OK && (err.status != status || !err.message[0]))
        abort();
    for (int64_t i = 0; status == MCF_OK && i < labels.count; i++) {
        if (!labels.images[i][0] || labels.identity[i] < 0)
            abort();
        for (int p = 0; p < 10; p++)
            if (!isfinite(labels.xy[10 * i + p]))
                abort();
    }
    mcf_labels_free(&labels);
    free(bytes);
    return 0;
}
