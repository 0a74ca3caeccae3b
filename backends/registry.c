// Finds backends by name: the reference is linked in, the others are modules libmcf-backend-NAME.so.
// For dladdr.
#define _GNU_SOURCE
#include "backends/backend.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Where modules are installed: as configured, and seen from the folder of the program, for a tree that was moved.
#ifndef MCF_MODULE_DIR
#define MCF_MODULE_DIR "/usr/local/lib/mcf"
#endif
#ifndef MCF_MODULE_FROM_BIN
#define MCF_MODULE_FROM_BIN "../lib/mcf"
#endif

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

// --- where modules may lie

typedef struct {
    char path[PATH_MAX];
    char searched[512]; // for the message
} search;

// Tries a folder; true when the module is there, its path then in s->path.
static bool look_in(search *s, const char *folder, size_t length, const char *name)
{
    if (!length)
        return false;
    size_t used = strlen(s->searched);
    snprintf(s->searched + used, sizeof s->searched - used, "%s%.*s", used ? ", " : "", (int)length, folder);
    int written = snprintf(s->path, sizeof s->path, "%.*s/libmcf-backend-%s.so", (int)length, folder, name);
    return written > 0 && (size_t)written < sizeof s->path && access(s->path, F_OK) == 0;
}

static bool look_in_list(search *s, const char *list, const char *name)
{
    while (list && *list) {
        size_t length = strcspn(list, ":");
        if (look_in(s, list, length, name))
            return true;
        list += length + (list[length] == ':');
    }
    return false;
}

// In the folder of `file`, and in `inside` of it.
static bool look_beside(search *s, const char *file, const char *inside, const char *name)
{
    char copy[PATH_MAX], installed[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", file);
    const char *folder = dirname(copy);
    if (look_in(s, folder, strlen(folder), name))
        return true;
    int length = snprintf(installed, sizeof installed, "%s/%s", folder, inside);
    return length > 0 && (size_t)length < sizeof installed && access(installed, F_OK) == 0 &&
           look_in(s, installed, strlen(installed), name);
}

static bool find_module(search *s, const char *name)
{
    if (look_in_list(s, getenv("MCF_MODULE_PATH"), name))
        return true;
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        if (look_beside(s, program, MCF_MODULE_FROM_BIN, name))
            return true;
    }
    // The library, where this code is linked into one; the program again otherwise.
    Dl_info info;
    if (dladdr(names, &info) && info.dli_fname && strchr(info.dli_fname, '/')) {
        char library[PATH_MAX];
        if (realpath(info.dli_fname, library) && (length <= 0 || strcmp(library, program)) &&
            look_beside(s, library, "mcf", name))
            return true;
    }
    return look_in(s, MCF_MODULE_DIR, strlen(MCF_MODULE_DIR), name);
}

// --- loading

static mcf_status check_interface(const mcf_backend *backend, const char *path, mcf_error *err)
{
    if (!backend)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s offers no backend", path);
    if (backend->abi != MCF_BACKEND_ABI)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED,
                        "%s is for interface %u, this program has %d; install both from one build", path,
                        backend->abi, MCF_BACKEND_ABI);
    if (backend->size != sizeof(mcf_backend))
        return mcf_fail(
            err, MCF_ERR_UNSUPPORTED,
            "%s has an interface of %u bytes, this program one of %zu; install both from one build", path,
            backend->size, sizeof(mcf_backend));
    return MCF_OK;
}

static mcf_status load(const char *name, const mcf_backend **backend, mcf_error *err)
{
    search s = {"", ""};
    if (!find_module(&s, name))
        return mcf_fail(
            err, MCF_ERR_UNSUPPORTED,
            "backend %s is not installed: no libmcf-backend-%s.so in %s (MCF_MODULE_PATH adds folders)", name,
            name, s.searched);
    void *module = dlopen(s.path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "backend %s does not load: %s", name, dlerror());
    // ISO C has no conversion from object to function pointers; POSIX promises that this works.
    mcf_backend_entry_fn entry;
    *(void **)&entry = dlsym(module, "mcf_backend_entry");
    mcf_status status =
        entry ? check_interface(entry(), s.path, err)
              : mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s is no backend: it has no mcf_backend_entry", s.path);
    if (status != MCF_OK) {
        dlclose(module);
        return status;
    }
    *backend = entry();
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
    if (!length || length >= sizeof loaded[0].name ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
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
