// Kernel calls as CUDA makes them. Kernels are compiled ahead for the combinations of element types that
// cuda_supports lets through, and found by name and types.
#include "backends/cuda/cuda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char *const dev_backend_name = "cuda";

// GROUP of backends/cuda/instances.sh.
enum { GROUP = 128, ATTENTION_GROUP = 64, LOCAL = 256 };

dev_sizes dev_sizes_of(const mcf_stream *stream)
{
    return (dev_sizes){.group = GROUP,
                       .strip = 1,
                       .local = LOCAL,
                       .units = stream->device->properties.multiProcessorCount,
                       .group_max = 1024};
}

// --- finding kernels: rows by a hash of the name, open addressing

enum { BUCKETS = 4096 };
static const cuda_kernel *buckets[BUCKETS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static unsigned hash(const char *name)
{
    unsigned h = 2166136261u;
    while (*name)
        h = (h ^ (unsigned char)*name++) * 16777619u;
    return h;
}

static void fill_buckets(void)
{
    for (int t = 0; cuda_kernel_tables[t]; t++) {
        cuda_kernel_table table = cuda_kernel_tables[t]();
        for (int i = 0; i < table.count; i++) {
            unsigned b = hash(table.rows[i].name) % BUCKETS;
            while (buckets[b])
                b = (b + 1) % BUCKETS;
            buckets[b] = &table.rows[i];
        }
    }
}

// Every kernel is compiled for the same cards, so one can be asked for all.
mcf_status cuda_prepare_kernels(mcf_device *device, mcf_error *err)
{
    static const char own[] = "attention_"; // of attention.cu, that is with a number of channels behind
    device->generation = device->properties.major;
    for (int t = 0; cuda_kernel_tables[t]; t++) {
        const cuda_kernel_table table = cuda_kernel_tables[t]();
        for (int i = 0; i < table.count; i++) {
            const char *name = table.rows[i].name, *end = name + strlen(name);
            struct cudaFuncAttributes of;
            if (strncmp(name, own, sizeof own - 1) || end[-1] < '0' || end[-1] > '9')
                continue;
            CUDA_TRY(cudaFuncGetAttributes(&of, table.rows[i].function), name, err);
            if (of.ptxVersion / 10 < device->generation)
                device->generation = of.ptxVersion / 10;
            CUDA_TRY(cudaFuncSetAttribute(table.rows[i].function, cudaFuncAttributePreferredSharedMemoryCarveout,
                                          cudaSharedmemCarveoutMaxShared),
                     name, err);
        }
    }
    return MCF_OK;
}

static bool fits(const cuda_kernel *k, const dev_kernel_key *key)
{
    const int types[4] = {key->t0, key->t1, key->t2, key->to};
    for (int i = 0; i < 4; i++)
        if (k->types[i] != DEV_NONE && k->types[i] != types[i])
            return false;
    return !strcmp(k->name, key->kernel);
}

static const char *type_name(int type)
{
    return type == DEV_NONE ? "-" : mcf_dtype_name((mcf_dtype)type);
}

mcf_status dev_begin(dev_call *call, mcf_stream *stream, const dev_kernel_key *key, mcf_error *err)
{
    pthread_once(&once, fill_buckets);
    call->stream = stream;
    call->name = key->kernel;
    call->next = call->code = 0;
    call->used = 0;
    for (unsigned b = hash(key->kernel) % BUCKETS; buckets[b]; b = (b + 1) % BUCKETS)
        if (fits(buckets[b], key)) {
            call->kernel = (void *)(uintptr_t)buckets[b]->function;
            // The grid's shape comes first, and is known last.
            dev_bytes(call, (const uint32_t[3]){0}, 3 * sizeof(uint32_t));
            return MCF_OK;
        }
    return mcf_fail(err, MCF_ERR_UNSUPPORTED, "kernel %s is not compiled for %s %s %s to %s", key->kernel,
                    type_name(key->t0), type_name(key->t1), type_name(key->t2), type_name(key->to));
}

void dev_bytes(dev_call *call, const void *value, size_t bytes)
{
    if (call->next == DEV_ARGUMENTS || call->used + bytes > sizeof call->bytes) {
        call->code = 1;
        return;
    }
    call->arguments[call->next++] = memcpy(call->bytes + call->used, value, bytes);
    call->used += (bytes + 7) / 8 * 8;
}

void dev_operand(dev_call *call, const mcf_operand *operand)
{
    const bool there = operand && operand->buffer;
    void *memory = there ? operand->buffer->memory : NULL;
    dev_bytes(call, &memory, sizeof memory);
    dev_int64(call, there ? (int64_t)(operand->offset / mcf_dtype_size(operand->dtype)) : 0);
}

cudaDataType cuda_type(mcf_dtype dtype)
{
    return dtype == MCF_F32 ? CUDA_R_32F : dtype == MCF_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

void *cuda_address(const mcf_operand *operand, int64_t elements)
{
    return (char *)operand->buffer->memory + operand->offset + elements * (int64_t)mcf_dtype_size(operand->dtype);
}

mcf_status dev_run(dev_call *call, const size_t local[3], int64_t groups0, int64_t groups1, int64_t groups2,
                   mcf_error *err)
{
    const int64_t most = 0x7fffffff;
    if (groups0 < 1 || groups1 < 1 || groups2 < 1)
        return MCF_OK;
    if (call->code || groups0 > most || groups1 > most / groups0 || groups2 > most / groups0 / groups1)
        return mcf_fail(err, MCF_ERR_INTERNAL, "kernel %s: too many %s", call->name,
                        call->code ? "arguments" : "groups");
    const uint32_t shape[3] = {(uint32_t)groups0, (uint32_t)groups1, (uint32_t)groups2};
    memcpy(call->arguments[0], shape, sizeof shape);
    const dim3 grid = {shape[0] * shape[1] * shape[2], 1, 1},
               block = {(unsigned)local[0], (unsigned)local[1], (unsigned)local[2]};
    MCF_TRY(cuda_use(call->stream->device, err));
    CUDA_TRY(cudaLaunchKernel(call->kernel, grid, block, call->arguments, 0, call->stream->stream), call->name, err);
    return MCF_OK;
}

// bf16 and f16 do not meet in one operation, but in conversions.
bool cuda_supports(const mcf_device *device, const mcf_launch *l)
{
    uint32_t types = 0;
    if (!dev_supports(device, l))
        return false;
    for (int i = 0; i < l->n_in; i++)
        if (dev_present(l, i))
            types |= 1u << l->in[i].dtype;
    for (int i = 0; i < l->n_out; i++)
        if (l->out[i].buffer || i == 0)
            types |= 1u << l->out[i].dtype;
    const bool moves = l->op == MCF_OP_copy || l->op == MCF_OP_pad || l->op == MCF_OP_concat || l->op == MCF_OP_fill;
    return moves || !(types >> MCF_F16 & 1 && types >> MCF_BF16 & 1);
}
