// What a pickle may call, for data/formats/pickle.c: a list of what checkpoints are made of. Nothing is ever run here; the
// list keeps the promise that a file which would do something elsewhere is refused whole.
#ifndef MCF_DATA_FORMATS_PICKLE_CALLS_H
#define MCF_DATA_FORMATS_PICKLE_CALLS_H

#include "base/error.h"
#include "data/formats/pickle_node.h"

// callable: a global, or what another call made (refused). makes_only: NEWOBJ, which makes an object of a class and runs
// no initialiser: classes of other projects, which stand in settings beside a model, pass; those of Python itself only by
// the list. Errors: MCF_ERR_FORMAT with the name.
mcf_status mcf_pickle_check_call(const mcf_pickle_node *callable, const mcf_pickle_node *arguments, bool makes_only,
                                 mcf_error *err);

#endif
