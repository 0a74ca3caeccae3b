#include "backends/cuda/topology.h"

#include <stdio.h>
#include <string.h>

// Orders of members are tried in lexicographic order, so that the first that fits is also the tidiest.
typedef struct {
    const cuda_topology *topology;
    cuda_link least;     // links below this do not count
    bool chain, matched; // matched: members of the same number in all islands see each other too
    int size;
    int order[CUDA_MEMBERS];
    bool used[CUDA_MEMBERS];
    int budget; // members still to be tried: sixteen have too many orders to look at all
} search;

static bool linked(const search *s, int a, int b)
{
    return s->topology->link[a][b] >= s->least;
}

static bool fits(const search *s, int place, int member)
{
    if (s->chain)
        return place == 0 || linked(s, s->order[place - 1], member);
    const int island = place / s->size, number = place % s->size;
    for (int j = 0; j < number; j++)
        if (!linked(s, s->order[island * s->size + j], member))
            return false;
    for (int i = 0; s->matched && i < island; i++)
        if (!linked(s, s->order[i * s->size + number], member))
            return false;
    return true;
}

static bool fill(search *s, int place)
{
    if (place == s->topology->count)
        return true;
    for (int member = 0; member < s->topology->count; member++) {
        if (s->used[member] || --s->budget < 0 || !fits(s, place, member))
            continue;
        s->used[member] = true;
        s->order[place] = member;
        if (fill(s, place + 1))
            return true;
        s->used[member] = false;
    }
    return false;
}

double cuda_plan_time(const cuda_plan *p)
{
    if (p->chain)
        return (double)(CUDA_CHAIN_PIECES + 2 * (p->count - 1)) / CUDA_CHAIN_PIECES;
    return (p->size > 1 ? 2.0 / p->size : 0) + (p->islands > 1 ? 2.0 / p->count : 0);
}

double cuda_plan_volume(const cuda_plan *p)
{
    return p->chain ? 1 : p->size > 1 ? 2.0 / p->size : p->count > 1 ? 2.0 / p->count : 0;
}

// The links between neighbours of the plan.
static cuda_link slowest(const cuda_topology *t, const cuda_plan *p)
{
    int least = CUDA_LINK_SELF;
    for (int a = 0; a < p->count; a++)
        for (int b = 0; b < a; b++) {
            const bool used = p->chain ? b == a - 1 : a / p->size == b / p->size || a % p->size == b % p->size;
            const int link = t->link[p->order[a]][p->order[b]];
            if (used && link < least)
                least = link;
        }
    return (cuda_link)least;
}

static bool consider(const cuda_topology *t, cuda_link least, bool chain, bool matched, int size, cuda_plan *best)
{
    search s = {.topology = t, .least = least, .chain = chain, .matched = matched, .size = size, .budget = 200000};
    if (!fill(&s, 0))
        return false;
    cuda_plan plan = {.chain = chain, .count = t->count, .islands = t->count / size, .size = size};
    memcpy(plan.order, s.order, sizeof plan.order);
    if (!best->count || cuda_plan_time(&plan) < cuda_plan_time(best))
        *best = plan;
    return true;
}

void cuda_plan_make(const cuda_topology *t, cuda_plan *plan)
{
    const int n = t->count;
    *plan = (cuda_plan){0};
    // Over NVLink alone, where that reaches everyone; else over whatever peers there are.
    for (int least = CUDA_LINK_NVLINK; least >= CUDA_LINK_PCIE && !plan->count; least--) {
        for (int size = n; size > 1; size--)
            if (n % size == 0)
                consider(t, (cuda_link)least, false, true, size, plan);
        if (n > 2)
            consider(t, (cuda_link)least, true, false, n, plan);
    }
    // Through the host between islands as large as can be: each halving of their count halves what goes there.
    for (int size = n; size > 0 && !plan->count; size--)
        if (n % size == 0)
            consider(t, CUDA_LINK_PCIE, false, false, size, plan);
    plan->slowest = slowest(t, plan);
}

void cuda_plan_describe(const cuda_plan *p, const int *devices, char *text, size_t size)
{
    static const char *const links[] = {"through the host", "by PCIe", "by NVLink", "on one card"};
    size_t used = 0;
    if (p->count < 2) {
        snprintf(text, size, "alone");
        return;
    }
    if (p->chain)
        used = (size_t)snprintf(text, size, "a chain ");
    else if (p->islands == 1)
        used = (size_t)snprintf(text, size, "each sees each ");
    else if (p->size == 1)
        used = (size_t)snprintf(text, size, "none sees another ");
    else
        used = (size_t)snprintf(text, size, "%d islands of %d ", p->islands, p->size);
    for (int i = 0; i < p->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%d",
                                 i == 0        ? ""
                                 : p->chain    ? "-"
                                 : i % p->size ? ","
                                               : " | ",
                                 devices[p->order[i]]);
    if (used < size)
        used += (size_t)snprintf(text + used, size - used, " %s%s", links[p->slowest],
                                 p->slowest == CUDA_LINK_HOST && p->size > 1 ? " between islands" : "");
    if (used < size && p->slowest == CUDA_LINK_NVLINK)
        snprintf(text + used, size - used, "; of N bytes a link carries %.4g N each way in the time of %.4g N",
                 cuda_plan_volume(p), cuda_plan_time(p));
}
