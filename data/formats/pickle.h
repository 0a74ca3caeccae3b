// A reader of Python pickles that executes nothing.
//
// The stream becomes a tree of nodes. A few callables that checkpoints are made of are understood (OrderedDict,
// torch's tensor rebuilders, which stay calls with their arguments); every other global or object becomes an inert
// node that carries its name. A call of anything that checkpoints do not need (pickle_calls.h) makes the whole file
// refused, with the name. Memory is bounded, whatever the stream says.
// Opcodes: Python's pickletools, protocols 0 to 5.
#ifndef MCF_DATA_FORMATS_PICKLE_H
#define MCF_DATA_FORMATS_PICKLE_H

#include "base/error.h"
#include "data/formats/pickle_node.h"

typedef struct mcf_pickle mcf_pickle;

// Reads one pickle from the start of `bytes`, which must outlive the result. *used: its length.
mcf_status mcf_pickle_read(const void *bytes, size_t size, mcf_pickle **pickle, size_t *used, mcf_error *err);
void mcf_pickle_free(mcf_pickle *pickle); // NULL is fine
const mcf_pickle_node *mcf_pickle_root(const mcf_pickle *pickle);

// All MCF_PICKLE_PERSISTENT nodes in the order in which they were made, wherever they lie.
size_t mcf_pickle_persistents(const mcf_pickle *pickle, mcf_pickle_node *const **nodes);

#endif
