// Which cards see each other, and how a sum over all of them goes. No CUDA in here: members, links, arithmetic.
#ifndef MCF_BACKENDS_CUDA_TOPOLOGY_H
#define MCF_BACKENDS_CUDA_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

enum { CUDA_MEMBERS = 16, CUDA_CHAIN_PIECES = 16 };

// From slow to fast. HOST: copies go through the machine's memory. SELF: one card twice.
typedef enum { CUDA_LINK_HOST, CUDA_LINK_PCIE, CUDA_LINK_NVLINK, CUDA_LINK_SELF } cuda_link;

typedef struct {
    int count;
    unsigned char link[CUDA_MEMBERS][CUDA_MEMBERS]; // cuda_link, both ways the same
} cuda_topology;

// Islands: members that see each other; each of an island of m sums a slice of 1/m over it. Numbers j of all islands
// then sum slice j over the k islands, in k parts, and fetch it; at last each fetches the slices of its island.
//   One island of all: every pair sees each other. Two of four: the hybrid cube mesh of 8 V100s.
// A chain: a running sum goes along it in pieces, and the whole sum comes back.
// Sums are formed in the order of islands, of members in an island, or along the chain: it depends on the topology
// alone, so that every run gives the same bits.
typedef struct {
    bool chain;
    int count, islands, size; // count = islands * size; a chain has one island
    int order[CUDA_MEMBERS];  // number j of island i is order[i * size + j]; a chain's from end to end
    cuda_link slowest;        // of the links in use
} cuda_plan;

void cuda_plan_make(const cuda_topology *topology, cuda_plan *plan);
// What a link carries each way for N bytes of every member, as a share of N, and how long the sum takes in units of
// N / (bytes a second of a link), where each pair has a link of its own: all links within an island work at once, then
// all between islands.
double cuda_plan_volume(const cuda_plan *plan);
double cuda_plan_time(const cuda_plan *plan);
// In a line; devices[member] are the numbers to name.
void cuda_plan_describe(const cuda_plan *plan, const int *devices, char *text, size_t size);

#endif
