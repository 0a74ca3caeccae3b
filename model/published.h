// Vision transformers as others publish them: what no file of weights says.
#ifndef MCF_MODEL_PUBLISHED_H
#define MCF_MODEL_PUBLISHED_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name; // timm's, with its tag: "vit_base_patch16_224.augreg_in21k"
    int dim, depth, heads, hidden, patch_size, image_size;
    double crop_pct;          // of timm's own transform, whose resize is bicubic
    const double *mean, *std; // [3]
} mcf_published;

// The row of this name, `length` bytes; NULL: none.
const mcf_published *mcf_published_find(const char *name, size_t length);
// Attention heads of the published networks of this shape; 0: there is none.
int mcf_published_heads(int64_t dim, int depth, int64_t hidden);
const mcf_published *mcf_published_rows(size_t *count);

// Of ImageNet, as torchvision, MAE, MoCo-v3 and DeiT use them; and CLIP's of its own training images (Radford et al. 2021,
// published code), which FaRL keeps.
extern const double mcf_imagenet_mean[3], mcf_imagenet_std[3], mcf_clip_mean[3], mcf_clip_std[3];

#endif
