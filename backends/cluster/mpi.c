// Messages by MPI. MPI's collectives are not used: they promise no order of sums.
//
// MPI is started by the thread that joins and by it alone used (MPI_THREAD_FUNNELED), and it answers errors with
// codes in place of ending the program.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/cluster/transport.h"

struct mcf_link {
    MPI_Comm world;
};

struct mcf_message {
    MPI_Request request;
    int peer, bytes;
    bool incoming;
};

static mcf_status fail(mcf_error *err, int code, const char *what, int peer)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    if (peer >= 0)
        return mcf_fail(err, MCF_ERR_DEVICE, "MPI: %s rank %d: %s", what, peer, text);
    return mcf_fail(err, MCF_ERR_DEVICE, "MPI: %s: %s", what, text);
}

static mcf_status probe(char *version, int size, mcf_error *err)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    const int code = MPI_Get_library_version(text, &length);
    if (code != MPI_SUCCESS)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "MPI does not say its version (error %d)", code);
    snprintf(version, (size_t)size, "%.*s", (int)strcspn(text, ",\n"), text);
    return MCF_OK;
}

static mcf_status join(void *context, mcf_link **out, mcf_seat *place, mcf_error *err)
{
    (void)context;
    int started = 0, given;
    MPI_Initialized(&started);
    if (started)
        return mcf_fail(err, MCF_ERR_INTERNAL, "MPI is started already: a process joins once");
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given);
    if (code != MPI_SUCCESS)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "MPI does not start (error %d)", code);
    if (given < MPI_THREAD_FUNNELED)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "this MPI is built without threads (MPI_THREAD_FUNNELED)");
    mcf_link *link = calloc(1, sizeof *link);
    if (!link)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for MPI");
    code = MPI_Comm_dup(MPI_COMM_WORLD, &link->world);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(link->world, MPI_ERRORS_RETURN);
    if (code != MPI_SUCCESS) {
        free(link);
        return fail(err, code, "joining", -1);
    }
    MPI_Comm_rank(link->world, &place->rank);
    MPI_Comm_size(link->world, &place->count);
    if (gethostname(place->host, sizeof place->host - 1) != 0)
        strcpy(place->host, "?");
    place->host[sizeof place->host - 1] = '\0';
    *out = link;
    return MCF_OK;
}

static mcf_status start(mcf_link *link, int peer, int tag, void *memory, uint64_t bytes, bool incoming,
                        mcf_message **message, mcf_error *err)
{
    if (bytes > MCF_TRANSPORT_MESSAGE)
        return mcf_fail(err, MCF_ERR_INTERNAL, "MPI: a message of %llu bytes", (unsigned long long)bytes);
    mcf_message *m = malloc(sizeof *m);
    if (!m)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a message");
    *m = (mcf_message){.peer = peer, .bytes = (int)bytes, .incoming = incoming};
    const int code = incoming ? MPI_Irecv(memory, m->bytes, MPI_BYTE, peer, tag, link->world, &m->request)
                              : MPI_Isend(memory, m->bytes, MPI_BYTE, peer, tag, link->world, &m->request);
    if (code != MPI_SUCCESS) {
        free(m);
        return fail(err, code, incoming ? "receiving from" : "sending to", peer);
    }
    *message = m;
    return MCF_OK;
}

static mcf_status send(mcf_link *link, int to, int tag, const void *from, uint64_t bytes, mcf_message **message,
                       mcf_error *err)
{
    return start(link, to, tag, (void *)from, bytes, false, message, err);
}

static mcf_status receive(mcf_link *link, int from, int tag, void *to, uint64_t bytes, mcf_message **message,
                          mcf_error *err)
{
    return start(link, from, tag, to, bytes, true, message, err);
}

static mcf_status test(mcf_link *link, mcf_message **message, bool *done, mcf_error *err)
{
    (void)link;
    MPI_Status state;
    mcf_message *m = *message;
    int flag = 0, count = 0;
    const int code = MPI_Test(&m->request, &flag, &state);
    *done = flag || code != MPI_SUCCESS;
    if (!*done)
        return MCF_OK;
    const mcf_message was = *m;
    free(m);
    *message = NULL;
    if (code != MPI_SUCCESS)
        return fail(err, code, was.incoming ? "receiving from" : "sending to", was.peer);
    if (was.incoming && (MPI_Get_count(&state, MPI_BYTE, &count) != MPI_SUCCESS || count != was.bytes))
        return mcf_fail(err, MCF_ERR_DEVICE, "ranks disagree: rank %d sent %d bytes where %d are expected", was.peer,
                        count, was.bytes);
    return MCF_OK;
}

static void leave(mcf_link *link, int code)
{
    if (code)
        MPI_Abort(link->world, code);
    MPI_Comm_free(&link->world);
    MPI_Finalize();
    free(link);
}

__attribute__((visibility("default"))) const mcf_transport *mcf_transport_entry(void);

const mcf_transport *mcf_transport_entry(void)
{
    static const mcf_transport mpi = {
        .abi = MCF_TRANSPORT_ABI,
        .size = sizeof(mcf_transport),
        .name = "mpi",
        .probe = probe,
        .join = join,
        .send = send,
        .receive = receive,
        .test = test,
        .leave = leave,
    };
    return &mpi;
}
