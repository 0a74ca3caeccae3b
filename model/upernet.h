// Feature pyramid and UperNet head (Xiao et al. 2018) as MMSegmentation builds it; docs/method.md, "Downstream network". NHWC.
#ifndef MCF_MODEL_UPERNET_H
#define MCF_MODEL_UPERNET_H

#include "model/conv.h"
#include "model/options.h"

enum { MCF_LEVELS = 4 };

// From a ViT's maps, all of one size, to four levels of 4, 2, 1 and 1/2 times that side.
typedef struct {
    mcf_affine up1, up2; // level 1: up1, norm, GELU, up2
    mcf_norm_2d norm;
    mcf_affine up; // level 2
} mcf_pyramid;

mcf_status mcf_pyramid_add(mcf_store *store, const char *prefix, int64_t dim, mcf_role role, mcf_pyramid *pyramid,
                           mcf_error *err);
// maps: four values [B,s,s,D]; levels: receives four values, the third as it is.
void mcf_pyramid_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_pyramid *pyramid,
                         const mcf_value maps[MCF_LEVELS], mcf_value levels[MCF_LEVELS]);

typedef struct {
    int scales, pool_scale[MCF_MAX_POOL_SCALES];
    mcf_conv_layer pool[MCF_MAX_POOL_SCALES];
    mcf_conv_layer bottleneck;
    mcf_conv_layer lateral[MCF_LEVELS - 1], fpn[MCF_LEVELS - 1];
    mcf_conv_layer fpn_bottleneck;
    mcf_affine conv_seg;
} mcf_upernet;

// in: channels of the levels.
mcf_status mcf_upernet_add(mcf_store *store, const char *prefix, int64_t in, const mcf_head_options *options,
                           mcf_role role, mcf_upernet *head, mcf_error *err);
// Logits f32 [B,h,w,outputs] at the first level's size. keep: f32 [B,channels], what each map is multiplied by before
// the last product (channel dropout: 0 or 1/(1-p)); MCF_NO_VALUE: none.
mcf_value mcf_upernet_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_upernet *head,
                              const mcf_value levels[MCF_LEVELS], mcf_value keep);

#endif
