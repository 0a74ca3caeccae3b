#include "model/import_farl.h"

#include <stdio.h>
#include <string.h>

static bool starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static mcf_import_verdict under(const char *prefix, const char *rest, char to[MCF_IMPORT_NAME])
{
    return snprintf(to, MCF_IMPORT_NAME, "%s%s", prefix, rest) < MCF_IMPORT_NAME ? MCF_NAME_TAKEN : MCF_NAME_UNKNOWN;
}

mcf_import_verdict mcf_farl_name(const char *name, char to[MCF_IMPORT_NAME])
{
    // What stands in front here is told from what follows it: the longer ones come first.
    static const struct {
        const char *farl, *own;
    } parts[] = {{"backbone.fpns.0.", "fpn.0."},
                 {"backbone.fpns.1.0.", "fpn.1.0."},
                 {"backbone.fpns.1.", "fpn.1.0."},
                 {"head.head.", "head."},
                 {"head.", "head."}};
    const size_t length = strlen(name), counter = strlen(".num_batches_tracked");
    char inner[MCF_IMPORT_NAME];
    if (length > counter && !strcmp(name + length - counter, ".num_batches_tracked"))
        return MCF_NAME_DROPPED;
    if (!strcmp(name, "backbone.image_mean") || !strcmp(name, "backbone.image_std"))
        return MCF_NAME_DROPPED; // CLIP's
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (starts(name, parts[i].farl))
            return under(parts[i].own, name + strlen(parts[i].farl), to);
    if (!starts(name, "backbone.visual."))
        return MCF_NAME_UNKNOWN;
    const mcf_import_verdict v = mcf_clip_name(name + strlen("backbone."), inner);
    if (v != MCF_NAME_TAKEN)
        return v;
    return starts(inner, "norm.") ? MCF_NAME_DROPPED : under("backbone.", inner, to); // maps come without the last norm
}

// The blocks that FaRL's networks of this depth tap; false: there is none.
static bool tapped(int depth, int features[4])
{
    static const int rows[][5] = {{12, 4, 6, 8, 12}, {24, 8, 12, 16, 24}, {32, 9, 15, 21, 32}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i][0] == depth) {
            memcpy(features, rows[i] + 1, 4 * sizeof *features);
            return true;
        }
    return false;
}

// Points or classes: told where the published networks' counts tell.
static mcf_status choose_task(const char *path, mcf_import_task wanted, int outputs, mcf_dense_task *task,
                              mcf_error *err)
{
    const bool points = outputs == 68 || outputs == 98, classes = outputs == 11;
    if (wanted == MCF_IMPORT_TASK_AUTO && !points && !classes)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: %d outputs, and nothing in the file says whether they are points or classes; give --task "
                        "align or --task parse",
                        path, outputs);
    const bool align = wanted == MCF_IMPORT_TASK_AUTO ? points : wanted == MCF_IMPORT_TASK_ALIGN;
    *task = align ? MCF_DENSE_ALIGN : MCF_DENSE_PARSE;
    return MCF_OK;
}

mcf_status mcf_farl_describe(const char *path, const mcf_import_options *options, int depth,
                             mcf_import_shape_of shape_of, void *context, mcf_dense_options *dense, mcf_error *err)
{
    static const int scales[] = {1, 2, 3, 6};
    mcf_shape seg, pool;
    char name[64];
    if (!shape_of(context, "head.conv_seg.weight", &seg) || seg.rank != 4 || seg.dim[0] < 1 || seg.dim[0] > 4096 ||
        seg.dim[1] < 1 || seg.dim[1] > 1 << 16)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: head.conv_seg.weight is missing or not of UperNet's shape", path);
    int modules = 0;
    while (snprintf(name, sizeof name, "head.psp_modules.%d.1.conv.weight", modules) > 0 && modules < 9 &&
           shape_of(context, name, &pool))
        modules++;
    if (modules != 4)
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "%s: %d modules pool the highest level; FaRL's networks have four, of 1, 2, 3 and 6 bins", path,
                        modules);
    if (!tapped(depth, dense->features))
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "%s: %d blocks, and which of them feed the pyramid is not in the file; FaRL's networks have "
                        "12, 24 or 32",
                        path, depth);
    dense->feature_count = 4;
    dense->head = (mcf_head_options){.channels = (int)seg.dim[1], .outputs = (int)seg.dim[0], .pool_scale_count = 4};
    memcpy(dense->head.pool_scales, scales, sizeof scales);
    return choose_task(path, options->task, dense->head.outputs, &dense->task, err);
}
