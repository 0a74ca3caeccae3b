#include "backends/cluster/transport.h"

#include <stdio.h>

#include "backends/modules.h"

mcf_status mcf_transport_find(const char *name, const mcf_transport **transport, mcf_error *err)
{
    char what[64], file[64], version[256];
    mcf_module_entry entry;
    snprintf(what, sizeof what, "transport %.32s", name);
    snprintf(file, sizeof file, "libmcf-transport-%.32s.so", name);
    MCF_TRY(mcf_module_open(what, file, "mcf_transport_entry", &entry, err));
    MCF_TRY(mcf_module_check(&entry, MCF_TRANSPORT_ABI, sizeof(mcf_transport), err));
    *transport = entry.offered;
    return (*transport)->probe(version, sizeof version, err);
}
