// Networks that FaRL's authors have finetuned: FaRL's backbone, pyramid and MMSegmentation's UperNet.
#ifndef MCF_MODEL_IMPORT_FARL_H
#define MCF_MODEL_IMPORT_FARL_H

#include "base/error.h"
#include "model/import_names.h"
#include "ops/types.h"

// Their tensors' names to ours: `backbone.visual.*`, CLIP's, to `backbone.*`; `backbone.fpns.0.*` and `backbone.fpns.1.*`
// to `fpn.*`; `head.*` or `head.head.*` to `head.*`. `to` is set where the name is taken.
mcf_import_verdict mcf_farl_name(const char *name, char to[MCF_IMPORT_NAME]);

// The shape of a tensor by our name; false: it is not there.
typedef bool (*mcf_import_shape_of)(void *context, const char *name, mcf_shape *shape);
// Task, tapped blocks and head, from the shapes of the head's tensors; all else of `dense` stays. Errors:
// MCF_ERR_FORMAT, and MCF_ERR_USAGE where the task has to be given.
mcf_status mcf_farl_describe(const char *path, const mcf_import_options *options, int depth,
                             mcf_import_shape_of shape_of, void *context, mcf_dense_options *dense, mcf_error *err);

#endif
