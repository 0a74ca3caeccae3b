// The exchanges themselves: slices summed by the rank that owns them and handed to all, gathers, broadcasts.
//
// A sum of n elements over R ranks: rank r gets slice r of all others (reduce-scatter), adds them in the order of
// ranks, and sends the sum to all (all-gather). Each rank sends and receives 2 n (R - 1) / R elements, the least
// possible, in messages that go straight to where they are needed.
#include "backends/cluster/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/host/elements.h"
#include "base/clock.h"

// Elements of a part that are on their way at once, and elements added at a time.
enum { PIECE = 4 << 20, BLOCK = 512 };

typedef struct {
    mcf_message *message;
    int peer;
    bool incoming;
} flight;

typedef struct {
    flight *list;
    int count, room;
} flights;

static mcf_status launch(mcf_cluster *c, flights *f, int peer, bool incoming, void *memory, uint64_t bytes,
                         mcf_error *err)
{
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t piece = bytes - done < MCF_TRANSPORT_MESSAGE ? bytes - done : MCF_TRANSPORT_MESSAGE;
        if (f->count == f->room) {
            const int room = f->room ? 2 * f->room : 64;
            flight *grown = realloc(f->list, (size_t)room * sizeof *grown);
            if (!grown)
                return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d messages", room);
            f->list = grown;
            f->room = room;
        }
        flight *one = &f->list[f->count];
        *one = (flight){.peer = peer, .incoming = incoming};
        MCF_TRY(
            incoming
                ? c->transport->receive(c->link, peer, MCF_TAG_DATA, (char *)memory + done, piece, &one->message, err)
                : c->transport->send(c->link, peer, MCF_TAG_DATA, (char *)memory + done, piece, &one->message, err));
        f->count++;
        done += piece;
    }
    return MCF_OK;
}

static mcf_status too_late(const mcf_cluster *c, const flights *f, double limit, mcf_error *err)
{
    char who[300] = "", name[128];
    for (int pass = 0; pass < 2 && !who[0]; pass++)
        for (int i = 0; i < f->count; i++) {
            const flight *one = &f->list[i];
            mcf_cluster_name(c, one->peer, name, sizeof name);
            if (!one->message || (pass == 0 && !one->incoming) || strstr(who, name) ||
                strlen(who) + strlen(name) + 3 > sizeof who)
                continue;
            snprintf(who + strlen(who), sizeof who - strlen(who), "%s%s", who[0] ? ", " : "", name);
        }
    return mcf_fail(err, MCF_ERR_DEVICE,
                    "%s did not come to an exchange within %g s; it lives, so look there for what "
                    "holds it up",
                    who, limit);
}

// Until all are done; forgets them.
static mcf_status land(mcf_cluster *c, flights *f, double limit, mcf_error *err)
{
    const double start = mcf_now();
    for (int looks = 0;; looks++) {
        int open = 0;
        for (int i = 0; i < f->count; i++) {
            bool done = true;
            if (f->list[i].message)
                MCF_TRY(c->transport->test(c->link, &f->list[i].message, &done, err));
            open += !done;
        }
        if (!open)
            break;
        MCF_TRY(mcf_cluster_pump(c, err));
        if (limit > 0 && mcf_now() - start > limit)
            return too_late(c, f, limit, err);
        mcf_cluster_pause(looks);
    }
    f->count = 0;
    return MCF_OK;
}

static mcf_status wait_ready(mcf_cluster *c, const mcf_exchange *x, mcf_error *err)
{
    const double start = mcf_now();
    for (int p = 0; p < x->parts; p++) {
        bool done = !x->part[p].ready;
        for (int looks = 0; !done; looks++) {
            MCF_TRY(x->part[p].ready(x->part[p].context, &done, err));
            MCF_TRY(mcf_cluster_pump(c, err));
            if (!done && mcf_now() - start > c->timeout)
                return mcf_fail(err, MCF_ERR_DEVICE,
                                "device %d of this machine did not finish its part of an exchange "
                                "within %g s",
                                p, c->timeout);
            if (!done)
                mcf_cluster_pause(looks);
        }
    }
    return MCF_OK;
}

// --- sums

typedef struct {
    uint64_t begin, end; // elements of a part
} range;

// The slice of rank r of the piece that begins at `from`.
static range slice_of(const mcf_cluster *c, uint64_t count, uint64_t from, int r)
{
    const uint64_t top = from + PIECE < count ? from + PIECE : count;
    if (from >= count)
        return (range){count, count};
    const uint64_t slice = (top - from + (uint64_t)c->place.count - 1) / (uint64_t)c->place.count;
    const uint64_t begin = from + slice * (uint64_t)r < top ? from + slice * (uint64_t)r : top;
    return (range){begin, begin + slice < top ? begin + slice : top};
}

// out[i] = (in[0][i] + in[1][i] + ...) / divide, added in this order.
static void add_ranks(const void *const *in, int ranks, uint64_t count, mcf_dtype dtype, double divide, void *out)
{
    for (uint64_t start = 0; start < count; start += BLOCK) {
        double sum[BLOCK] = {0};
        const int length = count - start < BLOCK ? (int)(count - start) : BLOCK;
        for (int r = 0; r < ranks; r++)
            if (dtype == MCF_F32) {
                const float *from = (const float *)in[r] + start;
                for (int i = 0; i < length; i++)
                    sum[i] += from[i];
            } else {
                for (int i = 0; i < length; i++)
                    sum[i] += mcf_load_element(in[r], dtype, (int64_t)start + i);
            }
        for (int i = 0; i < length; i++)
            mcf_store_element(out, dtype, (int64_t)start + i, sum[i] / divide);
    }
}

static mcf_status room_for(mcf_cluster *c, uint64_t bytes, mcf_error *err)
{
    if (bytes <= c->receive_bytes)
        return MCF_OK;
    free(c->receive);
    c->receive = malloc(bytes);
    c->receive_bytes = c->receive ? bytes : 0;
    return c->receive
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes of other ranks", (unsigned long long)bytes);
}

static char *element(const mcf_exchange_part *part, uint64_t index)
{
    return (char *)part->data + index * mcf_dtype_size(part->dtype);
}

static mcf_status scatter_piece(mcf_cluster *c, const mcf_exchange *x, uint64_t from, flights *f, mcf_error *err)
{
    const int ranks = c->place.count, own = c->place.rank;
    const size_t size = mcf_dtype_size(x->part[0].dtype);
    uint64_t total = 0, at = 0;
    for (int p = 0; p < x->parts; p++) {
        const range mine = slice_of(c, x->part[p].count, from, own);
        total += (mine.end - mine.begin) * size * (uint64_t)ranks;
    }
    MCF_TRY(room_for(c, total, err));
    // Receives first: a message that finds its place waiting is not copied twice.
    for (int p = 0; p < x->parts; p++) {
        const range mine = slice_of(c, x->part[p].count, from, own);
        const uint64_t bytes = (mine.end - mine.begin) * size;
        for (int r = 0; r < ranks; r++, at += bytes)
            if (r != own)
                MCF_TRY(launch(c, f, r, true, c->receive + at, bytes, err));
    }
    for (int p = 0; p < x->parts; p++)
        for (int step = 1; step < ranks; step++) {
            const int r = (own + step) % ranks;
            const range theirs = slice_of(c, x->part[p].count, from, r);
            MCF_TRY(
                launch(c, f, r, false, element(&x->part[p], theirs.begin), (theirs.end - theirs.begin) * size, err));
        }
    return MCF_OK;
}

static mcf_status add_piece(mcf_cluster *c, const mcf_exchange *x, uint64_t from, mcf_error *err)
{
    const int ranks = c->place.count, own = c->place.rank;
    const void **in = malloc((size_t)ranks * sizeof *in);
    if (!in)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a sum");
    uint64_t at = 0;
    for (int p = 0; p < x->parts; p++) {
        const mcf_exchange_part *part = &x->part[p];
        const range mine = slice_of(c, part->count, from, own);
        const uint64_t count = mine.end - mine.begin;
        for (int r = 0; r < ranks; r++, at += count * mcf_dtype_size(part->dtype))
            in[r] = r == own ? element(part, mine.begin) : c->receive + at;
        add_ranks(in, ranks, count, part->dtype, part->divide, element(part, mine.begin));
    }
    free(in);
    return MCF_OK;
}

static mcf_status hand_out_piece(mcf_cluster *c, const mcf_exchange *x, uint64_t from, flights *f, mcf_error *err)
{
    const int ranks = c->place.count, own = c->place.rank;
    const size_t size = mcf_dtype_size(x->part[0].dtype);
    for (int incoming = 1; incoming >= 0; incoming--)
        for (int p = 0; p < x->parts; p++)
            for (int step = 1; step < ranks; step++) {
                const int r = (own + step) % ranks;
                const range slice = slice_of(c, x->part[p].count, from, incoming ? r : own);
                MCF_TRY(launch(c, f, r, incoming, element(&x->part[p], slice.begin), (slice.end - slice.begin) * size,
                               err));
            }
    return MCF_OK;
}

static mcf_status make_sum(mcf_cluster *c, const mcf_exchange *x, flights *f, mcf_error *err)
{
    uint64_t longest = 0;
    for (int p = 0; p < x->parts; p++)
        longest = x->part[p].count > longest ? x->part[p].count : longest;
    for (uint64_t from = 0; from < longest; from += PIECE) {
        MCF_TRY(scatter_piece(c, x, from, f, err));
        MCF_TRY(land(c, f, x->limit, err));
        MCF_TRY(add_piece(c, x, from, err));
        MCF_TRY(hand_out_piece(c, x, from, f, err));
        MCF_TRY(land(c, f, x->limit, err));
    }
    return MCF_OK;
}

// --- gathers and broadcasts

static mcf_status make_gather(mcf_cluster *c, mcf_exchange *x, flights *f, mcf_error *err)
{
    const int ranks = c->place.count, own = c->place.rank;
    const uint64_t bytes = x->part[0].count, row = bytes * (uint64_t)x->parts;
    for (int p = 0; p < x->parts; p++)
        memcpy(x->result + row * (uint64_t)own + bytes * (uint64_t)p, x->part[p].data, bytes);
    for (int r = 0; r < ranks; r++)
        if (r != own)
            MCF_TRY(launch(c, f, r, true, x->result + row * (uint64_t)r, row, err));
    for (int step = 1; step < ranks; step++)
        MCF_TRY(launch(c, f, (own + step) % ranks, false, x->result + row * (uint64_t)own, row, err));
    return land(c, f, x->limit, err);
}

static mcf_status make_root(mcf_cluster *c, mcf_exchange *x, flights *f, mcf_error *err)
{
    const int root = x->part[0].root / x->parts;
    const mcf_exchange_part *part = &x->part[x->part[0].root % x->parts];
    if (root != c->place.rank) {
        MCF_TRY(launch(c, f, root, true, x->result, part->count, err));
        return land(c, f, x->limit, err);
    }
    memcpy(x->result, part->data, part->count);
    for (int r = 0; r < c->place.count; r++)
        if (r != root)
            MCF_TRY(launch(c, f, r, false, x->result, part->count, err));
    return land(c, f, x->limit, err);
}

mcf_status mcf_cluster_make(mcf_cluster *c, mcf_exchange *x, mcf_error *err)
{
    flights f = {0};
    const mcf_exchange_part *part = &x->part[0];
    mcf_status status = wait_ready(c, x, err);
    if (status == MCF_OK && part->kind != MCF_EXCHANGE_SUM) {
        const uint64_t rows = part->kind == MCF_EXCHANGE_GATHER ? (uint64_t)c->place.count * (uint64_t)x->parts : 1;
        x->result = malloc(part->count * rows + 1);
        if (!x->result)
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes of all ranks",
                              (unsigned long long)(part->count * rows));
    }
    if (status == MCF_OK)
        status = part->kind == MCF_EXCHANGE_SUM      ? make_sum(c, x, &f, err)
                 : part->kind == MCF_EXCHANGE_GATHER ? make_gather(c, x, &f, err)
                                                     : make_root(c, x, &f, err);
    free(f.list); // messages that are still under way end with the process
    return status;
}

mcf_status mcf_cluster_tell_hosts(mcf_cluster *c, mcf_error *err)
{
    mcf_exchange x = {
        .parts = 1,
        .part = {{.kind = MCF_EXCHANGE_GATHER, .parts = 1, .data = c->place.host, .count = sizeof c->place.host}}};
    MCF_TRY(mcf_cluster_make(c, &x, err));
    memcpy(c->hosts, x.result, (size_t)c->place.count * sizeof *c->hosts);
    free(x.result);
    return MCF_OK;
}
