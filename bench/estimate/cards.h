// Limits of cards, and what others have measured on them.
#ifndef MCF_BENCH_ESTIMATE_CARDS_H
#define MCF_BENCH_ESTIMATE_CARDS_H

#include <stdint.h>

#include "base/error.h"

// How the cards of one machine see each other.
typedef enum {
    MCF_WIRING_CUBE,   // hybrid cube mesh of 8: NVLink to four others; `link`: of one such link
    MCF_WIRING_SWITCH, // each to each by NVSwitch; `link`: of a card to the switch
    MCF_WIRING_PCIE,   // `link`: the card's slot
} mcf_wiring;

// Bytes a second that a kernel with one load and one store for each thread moves, by what a multiprocessor has in
// flight: 512 bytes of loads, 1024, 2048, ... 16384. Measured.
enum { MCF_STREAM_POINTS = 6 };
typedef struct {
    double rate[MCF_STREAM_POINTS];
} mcf_stream_curve;

// Rates are FLOPs and bytes a second, as the maker says them; those of tensor cores with fp32 sums and without
// sparsity.
typedef struct {
    const char *name, *about;
    const char *driver;       // how the driver's name for it ends
    int sm, units;            // ten times the compute capability, multiprocessors
    double clock;             // Hz, boost
    double f16, bf16, f32;    // bf16 0: not on tensor cores
    double memory, bandwidth; // bytes, bytes a second
    mcf_wiring wiring;
    double link, slot;           // each way; of the PCIe slot
    const char *limits;          // whose figures these are
    double product16, product32; // measured share of f16 and f32 that cuBLAS reaches with a long inner dimension
    mcf_stream_curve stream;     // measured
    double gap;                  // s between the kernels of a CUDA graph, measured
    const char *measured;        // by whom
} mcf_card;

// MCF_ERR_USAGE with the known names where none has this one. Letters' case does not matter.
mcf_status mcf_card_find(const char *name, const mcf_card **card, mcf_error *err);
const mcf_card *mcf_card_at(int i); // NULL past the last
// By the name that the driver gives a device; NULL: a card that is not known.
const mcf_card *mcf_card_of_device(const char *name);

// Bytes a second with so many bytes of loads in flight on each multiprocessor; straight lines between what was
// measured.
double mcf_card_stream(const mcf_card *card, double in_flight);

// Threads and bytes of shared memory that blocks on one multiprocessor have together (CUDA programming guide, table of
// compute capabilities).
int mcf_card_threads(const mcf_card *card);
double mcf_card_room(const mcf_card *card);

#endif
