// A checkpoint from foreign bytes all the way to an encoder: the first byte chooses the kind, the rest is the file.
#define _GNU_SOURCE // memfd_create
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const mcf_import_options options = {.kind = (mcf_import_kind)(data[0] % MCF_IMPORT_KINDS),
                                        .momentum_encoder = data[0] & 0x20,
                                        .image_size = data[0] & 0x40 ? 8 : 0,
                                        .heads = data[0] & 0x80 ? 0 : 1};
    char path[64];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mcf_imported imported;
    mcf_error err = {.status = MCF_OK};
    if (mcf_import(path, &options, &imported, &err) == MCF_OK) {
        // What was read is whole: every value is there to be looked at.
        for (size_t i = 0; i < imported.count; i++) {
            const int64_t count = mcf_shape_count(&imported.tensors[i].shape);
            volatile float last = ((float *)imported.tensors[i].data)[count - 1];
            (void)last;
            if (!strlen(imported.tensors[i].name))
                abort();
        }
    } else if (!err.message[0] || imported.count) {
        abort();
    }
    mcf_imported_free(&imported);
    close(fd);
    return 0;
}
