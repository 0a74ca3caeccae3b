#include "core/store.h"

#include <stdlib.h>
#include <string.h>

void mcf_store_init(mcf_store *store)
{
    memset(store, 0, sizeof *store);
}

void mcf_store_free(mcf_store *store)
{
    for (int i = 0; i < store->count; i++)
        free(store->entries[i].name);
    free(store->entries);
    mcf_store_init(store);
}

int mcf_store_find(const mcf_store *store, const char *name)
{
    for (int i = 0; i < store->count; i++)
        if (!strcmp(store->entries[i].name, name))
            return i;
    return -1;
}

bool mcf_store_has_low(const mcf_store *store, mcf_role role)
{
    for (int i = 0; i < store->count; i++)
        if (store->entries[i].role == role && store->entries[i].low_precision)
            return true;
    return false;
}

int mcf_store_add(mcf_store *store, const char *name, mcf_shape shape, mcf_role role, bool low_precision)
{
    int64_t count;
    if (mcf_store_find(store, name) >= 0 || mcf_shape_count_checked(&shape, &count, NULL) != MCF_OK)
        return -1;
    if (store->count == store->capacity) {
        int capacity = store->capacity ? 2 * store->capacity : 64;
        mcf_entry *entries = realloc(store->entries, (size_t)capacity * sizeof *entries);
        if (!entries)
            return -1;
        store->entries = entries;
        store->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return -1;
    store->entries[store->count] = (mcf_entry){
        .name = copy,
        .shape = shape,
        .role = role,
        .offset = store->role_count[role],
        .count = count,
        .decay = shape.rank > 1,
        .low_precision = low_precision,
    };
    store->role_count[role] += (count + MCF_STORE_ALIGN - 1) / MCF_STORE_ALIGN * MCF_STORE_ALIGN;
    return store->count++;
}

int mcf_store_buckets(const mcf_store *store, int64_t target_elements, mcf_bucket *buckets, int capacity)
{
    int count = 0;
    int64_t end = store->role_count[MCF_ROLE_TRAINED];
    int64_t begin = end;
    for (int i = store->count - 1; i >= 0; i--) {
        if (store->entries[i].role != MCF_ROLE_TRAINED)
            continue;
        begin = store->entries[i].offset;
        if (end - begin < target_elements && begin > 0)
            continue;
        if (count < capacity)
            buckets[count] = (mcf_bucket){begin, end};
        count++;
        end = begin;
    }
    return count;
}
