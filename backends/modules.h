// Modules loaded at run time: backends and transports.
#ifndef MCF_BACKENDS_MODULES_H
#define MCF_BACKENDS_MODULES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// How every struct that a module offers begins.
typedef struct {
    uint32_t abi, size;
} mcf_module_head;

typedef struct {
    void *handle;
    const void *offered; // what the entry function returned
    char path[PATH_MAX];
} mcf_module_entry;

// Finds `file` in, in order: $MCF_MODULE_PATH, the folder of the running program or library, the module folder of the
// installed tree it stands in, the install folder; loads it and calls its function `symbol`. `what` ("backend cpu")
// stands in messages. The module stays loaded. MCF_ERR_UNSUPPORTED with the reason.
mcf_status mcf_module_open(const char *what, const char *file, const char *symbol, mcf_module_entry *entry,
                           mcf_error *err);
// Whether what is offered has this program's version and size; closes the module where it has not.
mcf_status mcf_module_check(mcf_module_entry *entry, uint32_t abi, size_t size, mcf_error *err);

#endif
