// A device with the store's buffers.
#include "core/runtime_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[MCF_ROLE_COUNT] = {"trained",        "target",     "frozen",
                                                       "frozen weights", "statistics", "averaged statistics"};

void mcf_runtime_touch(mcf_runtime *runtime, mcf_role role)
{
    runtime->version[role] = ++runtime->last_version;
}

static mcf_status new_buffer(mcf_runtime *runtime, uint64_t bytes, const char *what, mcf_buffer **buffer,
                             mcf_error *err)
{
    mcf_status status = runtime->backend->buffer_create(runtime->device, bytes ? bytes : 64, buffer, err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s (%.1f MiB)", what, (double)bytes / (1 << 20));
}

static mcf_status create_store_buffers(mcf_runtime *runtime, mcf_error *err)
{
    const mcf_store *store = runtime->store;
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        uint64_t count = (uint64_t)store->role_count[role];
        char what[64];
        strcpy(what, "parameters: ");
        strcat(what, role_names[role]);
        const bool copied = runtime->low_precision != MCF_F32 && mcf_store_has_low(store, (mcf_role)role);
        if (!copied || role != MCF_ROLE_FROZEN_WEIGHTS)
            MCF_TRY(new_buffer(runtime, count * 4, what, &runtime->master[role], err));
        if (copied)
            MCF_TRY(new_buffer(runtime, count * mcf_dtype_size(runtime->low_precision), "low-precision weights",
                               &runtime->low[role], err));
        mcf_runtime_touch(runtime, (mcf_role)role);
    }
    if (!runtime->training)
        return MCF_OK;
    uint64_t trained = (uint64_t)store->role_count[MCF_ROLE_TRAINED] * 4;
    MCF_TRY(new_buffer(runtime, trained, "gradients", &runtime->gradient, err));
    MCF_TRY(new_buffer(runtime, trained, "first moments", &runtime->moment1, err));
    return new_buffer(runtime, trained, "second moments", &runtime->moment2, err);
}

// Says what to lower, too.
static mcf_status take_store_buffers(mcf_runtime *runtime, mcf_error *err)
{
    mcf_status status = create_store_buffers(runtime, err);
    return status == MCF_ERR_NOMEM
               ? mcf_add_context(err, status, "a smaller model takes less (model.encoder.dim, depth)")
               : status;
}

mcf_status mcf_runtime_create(const mcf_store *store, const mcf_runtime_options *options, mcf_device *device,
                              mcf_runtime **out, mcf_error *err)
{
    *out = NULL;
    mcf_runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime)
        return mcf_fail(err, MCF_ERR_NOMEM, "runtime: out of memory");
    runtime->store = store;
    runtime->backend = options->backend;
    runtime->member = options->member;
    if (runtime->member.world < 1)
        runtime->member.world = 1;
    if (!runtime->member.cluster) {
        runtime->member.local = runtime->member.rank;
        runtime->member.locals = runtime->member.world;
    }
    runtime->low_precision = options->low_precision;
    runtime->training = options->training;
    runtime->device = device;
    runtime->owns_device = !device;
    const mcf_backend *b = options->backend;
    mcf_status status = b->device_info(options->device_index, &runtime->info, err);
    runtime->arena_piece =
        runtime->info.allocation_max / mcf_runtime_alignment(runtime) * mcf_runtime_alignment(runtime);
    if (status == MCF_OK && !device)
        status = b->device_open(options->device_index, &options->device, &runtime->device, err);
    if (status == MCF_OK)
        status = b->stream_create(runtime->device, &runtime->stream, err);
    if (status == MCF_OK)
        status = b->stream_create(runtime->device, &runtime->reduce_stream, err);
    if (status == MCF_OK)
        status = b->event_create(runtime->device, &runtime->ready, err);
    if (status == MCF_OK)
        status = b->event_create(runtime->device, &runtime->reduced, err);
    if (status == MCF_OK)
        status = take_store_buffers(runtime, err);
    if (status != MCF_OK) {
        mcf_runtime_destroy(runtime);
        return mcf_add_context(err, status, "%s device %d", b->name, options->device_index);
    }
    *out = runtime;
    return MCF_OK;
}

static void free_arena(mcf_runtime *runtime)
{
    for (int i = 0; i < runtime->arena_count; i++)
        runtime->backend->buffer_destroy(runtime->arena[i]);
    free(runtime->arena);
    runtime->arena = NULL;
    runtime->arena_count = 0;
    runtime->arena_bytes = 0;
}

void mcf_runtime_destroy(mcf_runtime *runtime)
{
    if (!runtime)
        return;
    const mcf_backend *b = runtime->backend;
    if (runtime->collectives)
        runtime->collectives_free(runtime);
    for (int i = 0; i < runtime->cache_count; i++) {
        free(runtime->cache[i].key);
        runtime->cache[i].destroy(runtime->cache[i].program);
    }
    free(runtime->cache);
    mcf_buffer *buffers[] = {runtime->gradient, runtime->moment1, runtime->moment2, runtime->ranges,
                             runtime->rates,    runtime->scalars, runtime->kept};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            b->buffer_destroy(buffers[i]);
    free_arena(runtime);
    for (int role = 0; role < MCF_ROLE_COUNT; role++) {
        if (runtime->master[role])
            b->buffer_destroy(runtime->master[role]);
        if (runtime->low[role])
            b->buffer_destroy(runtime->low[role]);
    }
    if (runtime->ready)
        b->event_destroy(runtime->ready);
    if (runtime->reduced)
        b->event_destroy(runtime->reduced);
    if (runtime->stream)
        b->stream_destroy(runtime->stream);
    if (runtime->reduce_stream)
        b->stream_destroy(runtime->reduce_stream);
    if (runtime->owns_device && runtime->device)
        b->device_close(runtime->device);
    free(runtime);
}

const mcf_store *mcf_runtime_store(const mcf_runtime *runtime)
{
    return runtime->store;
}

mcf_status mcf_runtime_synchronize(mcf_runtime *runtime, mcf_error *err)
{
    return runtime->backend->stream_synchronize(runtime->stream, err);
}

uint64_t mcf_runtime_alignment(const mcf_runtime *runtime)
{
    return runtime->info.alignment > 64 ? runtime->info.alignment : 64;
}

mcf_buffer *mcf_runtime_arena(const mcf_runtime *runtime, uint64_t *offset)
{
    if (!runtime->arena_piece)
        return runtime->arena[0];
    const uint64_t i = *offset / runtime->arena_piece;
    *offset %= runtime->arena_piece;
    return runtime->arena[i];
}

mcf_status mcf_runtime_reserve_arena(mcf_runtime *runtime, uint64_t bytes, mcf_error *err)
{
    if (bytes <= runtime->arena_bytes)
        return MCF_OK;
    if (runtime->arena)
        MCF_TRY(mcf_runtime_synchronize(runtime, err));
    free_arena(runtime);
    const uint64_t piece = runtime->arena_piece ? runtime->arena_piece : bytes, count = (bytes + piece - 1) / piece;
    runtime->arena = calloc(count, sizeof *runtime->arena);
    if (!runtime->arena)
        return mcf_fail(err, MCF_ERR_NOMEM, "runtime: out of memory");
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t rest = bytes - i * piece, size = rest < piece ? rest : piece;
        char what[128];
        snprintf(what, sizeof what, "memory of a step, %.1f MiB; lower batch.per_device or set model.recompute: blocks",
                 (double)bytes / (1 << 20));
        MCF_TRY(new_buffer(runtime, size, what, &runtime->arena[i], err));
        runtime->arena_count++;
    }
    runtime->arena_bytes = bytes;
    runtime->arena_generation++;
    return MCF_OK;
}

// --- kept values

mcf_status mcf_runtime_reserve_kept(mcf_runtime *runtime, int count, mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    if (count <= runtime->kept_capacity)
        return MCF_OK;
    mcf_buffer *old = runtime->kept, *larger;
    const uint64_t bytes = (uint64_t)runtime->kept_capacity * sizeof(float);
    MCF_TRY(new_buffer(runtime, 2 * (uint64_t)count * sizeof(float), "kept values", &larger, err));
    mcf_status status = old ? b->copy(runtime->stream, larger, 0, old, 0, bytes, err) : MCF_OK;
    if (status == MCF_OK)
        status = mcf_runtime_synchronize(runtime, err);
    if (status != MCF_OK) {
        b->buffer_destroy(larger);
        return status;
    }
    if (old)
        b->buffer_destroy(old);
    runtime->kept = larger;
    runtime->kept_capacity = 2 * count;
    return MCF_OK;
}

mcf_status mcf_runtime_kept(mcf_runtime *runtime, float *values, int count, mcf_error *err)
{
    MCF_TRY(mcf_runtime_reserve_kept(runtime, count, err));
    MCF_TRY(
        runtime->backend->download(runtime->stream, values, runtime->kept, 0, (uint64_t)count * sizeof *values, err));
    return mcf_runtime_synchronize(runtime, err);
}

// --- store arrays

static mcf_status find_array(mcf_runtime *runtime, mcf_array which, mcf_role role, mcf_buffer **buffer, mcf_error *err)
{
    mcf_buffer *of_trained[] = {NULL, runtime->gradient, runtime->moment1, runtime->moment2};
    *buffer = which == MCF_ARRAY_MASTER ? runtime->master[role] : role == MCF_ROLE_TRAINED ? of_trained[which] : NULL;
    if (!*buffer)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s parameters have no such array", role_names[role]);
    return MCF_OK;
}

// Arrays without a master: converted here on their way to the low-precision copy and back.
static mcf_status write_low(mcf_runtime *runtime, mcf_role role, int64_t offset, int64_t count, const float *values,
                            mcf_error *err)
{
    uint16_t *low = malloc((size_t)(count ? count : 1) * sizeof *low);
    if (!low)
        return mcf_fail(err, MCF_ERR_NOMEM, "parameters: out of memory");
    for (int64_t i = 0; i < count; i++)
        low[i] = runtime->low_precision == MCF_BF16 ? mcf_f32_to_bf16(values[i]) : mcf_f32_to_f16(values[i]);
    mcf_status status = runtime->backend->upload(runtime->stream, runtime->low[role], (uint64_t)offset * 2, low,
                                                 (uint64_t)count * 2, err);
    free(low);
    mcf_runtime_touch(runtime, role);
    return status;
}

static mcf_status read_low(mcf_runtime *runtime, mcf_role role, int64_t offset, int64_t count, float *values,
                           mcf_error *err)
{
    uint16_t *low = malloc((size_t)(count ? count : 1) * sizeof *low);
    if (!low)
        return mcf_fail(err, MCF_ERR_NOMEM, "parameters: out of memory");
    mcf_status status = runtime->backend->download(runtime->stream, low, runtime->low[role], (uint64_t)offset * 2,
                                                   (uint64_t)count * 2, err);
    if (status == MCF_OK)
        status = mcf_runtime_synchronize(runtime, err);
    for (int64_t i = 0; status == MCF_OK && i < count; i++)
        values[i] = runtime->low_precision == MCF_BF16 ? mcf_bf16_to_f32(low[i]) : mcf_f16_to_f32(low[i]);
    free(low);
    return status;
}

static bool has_only_low(const mcf_runtime *runtime, mcf_array which, mcf_role role)
{
    return which == MCF_ARRAY_MASTER && !runtime->master[role] && runtime->low[role];
}

static mcf_status write_array(mcf_runtime *runtime, mcf_array which, mcf_role role, int64_t offset, int64_t count,
                              const float *values, mcf_error *err)
{
    mcf_buffer *buffer;
    if (has_only_low(runtime, which, role))
        return write_low(runtime, role, offset, count, values, err);
    MCF_TRY(find_array(runtime, which, role, &buffer, err));
    MCF_TRY(runtime->backend->upload(runtime->stream, buffer, (uint64_t)offset * 4, values, (uint64_t)count * 4, err));
    if (which == MCF_ARRAY_MASTER)
        mcf_runtime_touch(runtime, role);
    return MCF_OK;
}

static mcf_status read_array(mcf_runtime *runtime, mcf_array which, mcf_role role, int64_t offset, int64_t count,
                             float *values, mcf_error *err)
{
    mcf_buffer *buffer;
    if (has_only_low(runtime, which, role))
        return read_low(runtime, role, offset, count, values, err);
    MCF_TRY(find_array(runtime, which, role, &buffer, err));
    MCF_TRY(
        runtime->backend->download(runtime->stream, values, buffer, (uint64_t)offset * 4, (uint64_t)count * 4, err));
    return mcf_runtime_synchronize(runtime, err);
}

mcf_status mcf_runtime_write(mcf_runtime *runtime, mcf_array which, int entry, const float *values, mcf_error *err)
{
    const mcf_entry *e = &runtime->store->entries[entry];
    return write_array(runtime, which, e->role, e->offset, e->count, values, err);
}

mcf_status mcf_runtime_read(mcf_runtime *runtime, mcf_array which, int entry, float *values, mcf_error *err)
{
    const mcf_entry *e = &runtime->store->entries[entry];
    return read_array(runtime, which, e->role, e->offset, e->count, values, err);
}

mcf_status mcf_runtime_write_role(mcf_runtime *runtime, mcf_array which, mcf_role role, const float *values,
                                  mcf_error *err)
{
    return write_array(runtime, which, role, 0, runtime->store->role_count[role], values, err);
}

mcf_status mcf_runtime_read_role(mcf_runtime *runtime, mcf_array which, mcf_role role, float *values, mcf_error *err)
{
    return read_array(runtime, which, role, 0, runtime->store->role_count[role], values, err);
}
