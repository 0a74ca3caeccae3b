// The memory plan: every value that lives in the arena gets an offset; values whose lifetimes overlap do not share
// bytes. Largest first, each at the lowest place where it fits. Where a device limits single buffers the arena is cut into
// pieces of that size, and a value that would cross into the next piece begins there.
#include "core/graph_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    mcf_value value;
    uint64_t bytes;
} sized;

static int larger_first(const void *a, const void *b)
{
    const sized *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->value < y->value ? -1 : 1;
}

static void find_lifetimes(const mcf_graph *graph, mcf_plan *plan)
{
    for (int v = 0; v < graph->value_count; v++)
        plan->first[v] = plan->last[v] = -2; // not alive
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].base == v && graph->values[v].place == MCF_PLACE_INPUT)
            plan->first[v] = plan->last[v] = -1;
    for (int i = 0; i < graph->node_count; i++) {
        const mcf_graph_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] >= 0)
                plan->first[node->out[k]] = plan->last[node->out[k]] = i;
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k] >= 0)
                plan->last[graph->values[node->in[k]].base] = i;
    }
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].is_output && plan->first[v] != -2)
            plan->last[v] = graph->node_count;
}

// The lowest place from `at` on that lies in one piece.
static uint64_t within_piece(uint64_t at, uint64_t bytes, uint64_t piece)
{
    return piece && bytes && at / piece != (at + bytes - 1) / piece ? (at / piece + 1) * piece : at;
}

void mcf_plan_free(mcf_plan *plan)
{
    free(plan->offset);
    free(plan->first);
    free(plan->last);
    memset(plan, 0, sizeof *plan);
}

// The values that need a place, largest first, with their sizes; returns their number.
static int list_values(const mcf_graph *graph, uint64_t alignment, mcf_plan *plan, sized *order)
{
    int count = 0;
    for (int v = 0; v < graph->value_count; v++) {
        const mcf_graph_value *value = &graph->values[v];
        bool in_arena = value->place == MCF_PLACE_ARENA || value->place == MCF_PLACE_INPUT;
        if (value->base != v || !in_arena || plan->first[v] == -2)
            continue;
        uint64_t bytes = (uint64_t)mcf_shape_count(&value->shape) * mcf_dtype_size(value->dtype);
        bytes = (bytes + alignment - 1) & ~(alignment - 1);
        order[count++] = (sized){v, bytes};
        plan->value_bytes += bytes;
    }
    qsort(order, (size_t)count, sizeof *order, larger_first);
    return count;
}

// Each at the lowest place that is free while it lives. `placed` is space for as many, kept sorted by offset.
static void place_values(mcf_plan *plan, const sized *order, int count, uint64_t piece, sized *placed)
{
    int placed_count = 0;
    for (int i = 0; i < count; i++) {
        mcf_value v = order[i].value;
        uint64_t at = 0;
        for (int k = 0; k < placed_count; k++) {
            mcf_value other = placed[k].value;
            if (plan->last[other] < plan->first[v] || plan->first[other] > plan->last[v])
                continue;
            if (plan->offset[other] >= at + order[i].bytes)
                break; // sorted by offset: the gap before this one is large enough
            uint64_t end = plan->offset[other] + placed[k].bytes;
            if (end > at)
                at = within_piece(end, order[i].bytes, piece);
        }
        plan->offset[v] = at;
        if (at + order[i].bytes > plan->arena_bytes)
            plan->arena_bytes = at + order[i].bytes;
        int k = placed_count++;
        for (; k > 0 && plan->offset[placed[k - 1].value] > at; k--)
            placed[k] = placed[k - 1];
        placed[k] = order[i];
    }
}

mcf_status mcf_plan_create(const mcf_graph *graph, uint64_t alignment, uint64_t piece, mcf_plan *plan, mcf_error *err)
{
    size_t n = (size_t)graph->value_count + 1;
    *plan = (mcf_plan){
        .offset = calloc(n, sizeof *plan->offset),
        .first = calloc(n, sizeof *plan->first),
        .last = calloc(n, sizeof *plan->last),
    };
    sized *order = calloc(n, sizeof *order), *placed = calloc(n, sizeof *placed);
    mcf_status status = MCF_OK;
    if (!plan->offset || !plan->first || !plan->last || !order || !placed) {
        status = mcf_fail(err, MCF_ERR_NOMEM, "plan: out of memory");
    } else {
        find_lifetimes(graph, plan);
        const int count = list_values(graph, alignment, plan, order);
        if (piece && count && order[0].bytes > piece)
            status = mcf_fail(err, MCF_ERR_NOMEM,
                              "a tensor of the step takes %.1f MiB and the device gives at most %.1f MiB in one piece; "
                              "lower batch.per_device",
                              (double)order[0].bytes / (1 << 20), (double)piece / (1 << 20));
        else
            place_values(plan, order, count, piece, placed);
    }
    free(order);
    free(placed);
    if (status != MCF_OK)
        mcf_plan_free(plan);
    return status;
}
