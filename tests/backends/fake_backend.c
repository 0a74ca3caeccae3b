// Modules that are wrong in one way each, for tests/backends/test_reference_registry.c. FLAW says in which.
#include "backends/backend.h"

#define NO_ENTRY 1
#define OTHER_ABI 2
#define OTHER_SIZE 3
#define NOTHING 4
#define UNUSABLE 5
#define GOOD 6

#if FLAW != NO_ENTRY
const mcf_backend *mcf_backend_entry(void);

static mcf_status probe(mcf_error *err)
{
    if (FLAW == GOOD)
        return MCF_OK;
    err->status = MCF_ERR_DEVICE;
    __builtin_strcpy(err->message, "no card in this machine");
    return MCF_ERR_DEVICE;
}

const mcf_backend *mcf_backend_entry(void)
{
    static const mcf_backend backend = {
        .abi = FLAW == OTHER_ABI ? MCF_BACKEND_ABI + 1 : MCF_BACKEND_ABI,
        .size = sizeof(mcf_backend) - (FLAW == OTHER_SIZE ? 8 : 0),
        .name = "fake",
        .probe = probe,
    };
    return FLAW == NOTHING ? NULL : &backend;
}
#else
int fake_backend_without_entry;
#endif
