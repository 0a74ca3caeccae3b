// A tar, or an index of one, from foreign bytes. A tar that can be indexed gives an index that reads back the
// same; an index file is tried as it is and with its checksum mended, so that the search passes it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "data/formats/tar_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const mcf_tar_index *index)
{
    for (uint64_t i = 0; i < index->count; i++) {
        const mcf_tar_entry *entry = &index->entries[i];
        if (entry->offset > index->tar_size || entry->size > index->tar_size - entry->offset)
            abort();
        if (entry->name >= index->names_size || !memchr(index->names + entry->name, 0, index->names_size - entry->name))
            abort();
    }
}

static void try_index(const uint8_t *data, size_t size)
{
    mcf_tar_index index;
    mcf_error err = {.status = MCF_OK};
    if (mcf_tar_index_parse(data, size, &index, &err) != MCF_OK) {
        if (!err.message[0] || index.entries)
            abort();
        return;
    }
    check(&index);
    mcf_tar_index_free(&index);
}

static void try_tar(const uint8_t *data, size_t size)
{
    mcf_tar_index index, again;
    mcf_error err = {.status = MCF_OK};
    if (mcf_tar_index_scan_memory(data, size, "fuzz", &index, &err) != MCF_OK) {
        if (!err.message[0] || index.entries)
            abort();
        return;
    }
    check(&index);
    uint8_t *bytes;
    size_t length;
    if (mcf_tar_index_serialize(&index, &bytes, &length, &err) != MCF_OK ||
        mcf_tar_index_parse(bytes, length, &again, &err) != MCF_OK)
        abort();
    if (again.count != index.count || again.truncated_at != index.truncated_at ||
        (index.count && memcmp(again.entries, index.entries, index.count * sizeof *index.entries) != 0))
        abort();
    free(bytes);
    mcf_tar_index_free(&again);
    mcf_tar_index_free(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_tar(data, size);
    try_index(data, size);
    if (size >= 8) {
        uint8_t *mended = malloc(size);
        uint64_t hash = XXH64(data, size - 8, 0);
        memcpy(mended, data, size - 8);
        memcpy(mended + size - 8, &hash, 8); // little-endian, like the machines this runs on
        try_index(mended, size);
        free(mended);
    }
    return 0;
}
