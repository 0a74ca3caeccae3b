// Where modules lie, and opening them.
// For dladdr.
#define _GNU_SOURCE
#include "backends/modules.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdbool.h>
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

typedef struct {
    char path[PATH_MAX];
    char searched[512]; // for the message
} search;

// Tries a folder; true when the module is there, its path then in s->path.
static bool look_in(search *s, const char *folder, size_t length, const char *file)
{
    if (!length)
        return false;
    size_t used = strlen(s->searched);
    snprintf(s->searched + used, sizeof s->searched - used, "%s%.*s", used ? ", " : "", (int)length, folder);
    int written = snprintf(s->path, sizeof s->path, "%.*s/%s", (int)length, folder, file);
    return written > 0 && (size_t)written < sizeof s->path && access(s->path, F_OK) == 0;
}

static bool look_in_list(search *s, const char *list, const char *file)
{
    while (list && *list) {
        size_t length = strcspn(list, ":");
        if (look_in(s, list, length, file))
            return true;
        list += length + (list[length] == ':');
    }
    return false;
}

// In the folder of `beside`, and in `inside` of it.
static bool look_beside(search *s, const char *beside, const char *inside, const char *file)
{
    char copy[PATH_MAX], installed[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", beside);
    const char *folder = dirname(copy);
    if (look_in(s, folder, strlen(folder), file))
        return true;
    int length = snprintf(installed, sizeof installed, "%s/%s", folder, inside);
    return length > 0 && (size_t)length < sizeof installed && access(installed, F_OK) == 0 &&
           look_in(s, installed, strlen(installed), file);
}

// An address of this code.
static const char here[] = "mcf";

static bool find_module(search *s, const char *file)
{
    if (look_in_list(s, getenv("MCF_MODULE_PATH"), file))
        return true;
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        if (look_beside(s, program, MCF_MODULE_FROM_BIN, file))
            return true;
    }
    // The library, where this code is linked into one; the program again otherwise.
    Dl_info info;
    if (dladdr(here, &info) && info.dli_fname && strchr(info.dli_fname, '/')) {
        char library[PATH_MAX];
        if (realpath(info.dli_fname, library) && (length <= 0 || strcmp(library, program)) &&
            look_beside(s, library, "mcf", file))
            return true;
    }
    return look_in(s, MCF_MODULE_DIR, strlen(MCF_MODULE_DIR), file);
}

mcf_status mcf_module_open(const char *what, const char *file, const char *symbol, mcf_module_entry *entry,
                           mcf_error *err)
{
    search s = {"", ""};
    if (!find_module(&s, file))
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s is not installed: no %s in %s (MCF_MODULE_PATH adds folders)",
                        what, file, s.searched);
    void *module = dlopen(s.path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s does not load: %s", what, dlerror());
    // ISO C has no conversion from object to function pointers; POSIX promises that this works.
    const void *(*function)(void);
    *(void **)&function = dlsym(module, symbol);
    if (!function) {
        dlclose(module);
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s is no module of this kind: it has no %s", s.path, symbol);
    }
    *entry = (mcf_module_entry){.handle = module, .offered = function()};
    snprintf(entry->path, sizeof entry->path, "%s", s.path);
    return MCF_OK;
}

mcf_status mcf_module_check(mcf_module_entry *entry, uint32_t abi, size_t size, mcf_error *err)
{
    const mcf_module_head *head = entry->offered;
    mcf_status status = MCF_OK;
    if (!head)
        status = mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s offers nothing", entry->path);
    else if (head->abi != abi)
        status = mcf_fail(err, MCF_ERR_UNSUPPORTED,
                          "%s is for interface %u, this program has %u; install both from one build", entry->path,
                          head->abi, abi);
    else if (head->size != size)
        status = mcf_fail(err, MCF_ERR_UNSUPPORTED,
                          "%s has an interface of %u bytes, this program one of %zu; install both from one build",
                          entry->path, head->size, size);
    if (status != MCF_OK) {
        dlclose(entry->handle);
        entry->handle = NULL;
    }
    return status;
}
