// Finds backends by name: the reference is linked in, the others are modules libmcf-backend-NAME.so.
#include "backends/backend.h"
#include "backends/modules.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BACKENDS = 16 };

static const char *const names[] = {"cuda", "opencl", "cpu", "cpu-reference", NULL};

// Modules stay loaded as long as the process.
static struct {
    char name[32];
    const mcf_backend *backend;
} loaded[MAX_BACKENDS];
static int loaded_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

const char *const *mcf_backend_names(void)
{
    return names;
}

// --- loading

static mcf_status load(const char *name, const mcf_backend **backend, mcf_error *err)
{
    char what[64], file[64];
    mcf_module_entry entry;
    snprintf(what, sizeof what, "backend %s", name);
    snprintf(file, sizeof file, "libmcf-backend-%s.so", name);
    MCF_TRY(mcf_module_open(what, file, "mcf_backend_entry", &entry, err));
    MCF_TRY(mcf_module_check(&entry, MCF_BACKEND_ABI, sizeof(mcf_backend), err));
    *backend = entry.offered;
    return MCF_OK;
}

// With the mutex held.
static mcf_status get(const char *name, const mcf_backend **backend, mcf_error *err)
{
    if (!strcmp(name, "cpu-reference")) {
        *backend = mcf_backend_reference();
        return MCF_OK;
    }
    for (int i = 0; i < loaded_count; i++)
        if (!strcmp(loaded[i].name, name)) {
            *backend = loaded[i].backend;
            return MCF_OK;
        }
    size_t length = strlen(name);
    if (!length || length >= sizeof loaded[0].name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "no backend is called '%.64s'; there are auto, cuda, opencl, cpu and "
                        "cpu-reference",
                        name);
    if (loaded_count == MAX_BACKENDS)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "more than %d backends", MAX_BACKENDS);
    MCF_TRY(load(name, backend, err));
    snprintf(loaded[loaded_count].name, sizeof loaded[0].name, "%s", name);
    loaded[loaded_count++].backend = *backend;
    return MCF_OK;
}

static mcf_status find(const char *name, const mcf_backend **backend, mcf_error *err)
{
    pthread_mutex_lock(&mutex);
    mcf_status status = get(name, backend, err);
    pthread_mutex_unlock(&mutex);
    if (status != MCF_OK)
        return status;
    status = (*backend)->probe(err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "backend %s cannot be used here", name);
}

// OpenCL on a processor is slower than the cpu backend, and CUDA may be the tests' emulator: for "auto" only GPUs
// count. `detail` says what it is.
static bool wants_gpu(const char *name)
{
    return !strcmp(name, "opencl") || !strcmp(name, "cuda");
}

static bool has_gpu(const mcf_backend *backend)
{
    mcf_device_info info;
    for (int i = 0; i < backend->device_count(); i++)
        if (backend->device_info(i, &info, NULL) == MCF_OK && strstr(info.detail, "GPU"))
            return true;
    return false;
}

mcf_status mcf_backend_find(const char *name, const mcf_backend **backend, mcf_error *err)
{
    const mcf_backend *found = NULL;
    if (strcmp(name, "auto")) {
        MCF_TRY(find(name, &found, err));
        *backend = found;
        return MCF_OK;
    }
    for (int i = 0; names[i]; i++)
        if (find(names[i], &found, NULL) == MCF_OK && (!wants_gpu(names[i]) || has_gpu(found))) {
            *backend = found;
            return MCF_OK;
        }
    return mcf_fail(err, MCF_ERR_INTERNAL, "not even cpu-reference can be used");
}
