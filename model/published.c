// Networks that others publish and `mcf import` reads: what their files do not say. Rows of timm 1.0's configurations
// (tests/import/published.py compares them), the plain ViTs whose names and shapes are ours.
#include "model/published.h"

#include <string.h>

const double mcf_imagenet_mean[3] = {0.485, 0.456, 0.406}, mcf_imagenet_std[3] = {0.229, 0.224, 0.225};
const double mcf_clip_mean[3] = {0.48145466, 0.4578275, 0.40821073},
             mcf_clip_std[3] = {0.26862954, 0.26130258, 0.27577711};
static const double half[3] = {0.5, 0.5, 0.5};

#define HALF half, half
#define IMAGENET mcf_imagenet_mean, mcf_imagenet_std
#define CLIP mcf_clip_mean, mcf_clip_std
#define ROW(name, dim, depth, heads, hidden, patch, size, crop_pct, mean_and_std)                                      \
    {                                                                                                                  \
        name, dim, depth, heads, hidden, patch, size, crop_pct, mean_and_std                                           \
    }

// name, width, blocks, heads, hidden width, patch, image, crop_pct, mean and deviation; all resized bicubically
static const mcf_published rows[] = {
    ROW("deit_base_patch16_224.fb_in1k", 768, 12, 12, 3072, 16, 224, 0.9, IMAGENET),
    ROW("deit_base_patch16_384.fb_in1k", 768, 12, 12, 3072, 16, 384, 1, IMAGENET),
    ROW("deit_small_patch16_224.fb_in1k", 384, 12, 6, 1536, 16, 224, 0.9, IMAGENET),
    ROW("deit_tiny_patch16_224.fb_in1k", 192, 12, 3, 768, 16, 224, 0.9, IMAGENET),
    ROW("test_vit.r160_in1k", 64, 6, 2, 192, 16, 160, 0.95, HALF),
    ROW("vit_base_patch16_224.augreg2_in21k_ft_in1k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.augreg_in1k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.augreg_in21k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.augreg_in21k_ft_in1k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.bamboo", 768, 12, 12, 3072, 16, 224, 1, CLIP),
    ROW("vit_base_patch16_224.dino", 768, 12, 12, 3072, 16, 224, 0.9, IMAGENET),
    ROW("vit_base_patch16_224.mae", 768, 12, 12, 3072, 16, 224, 0.9, IMAGENET),
    ROW("vit_base_patch16_224.orig_in21k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.orig_in21k_ft_in1k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_224.sam_in1k", 768, 12, 12, 3072, 16, 224, 0.9, HALF),
    ROW("vit_base_patch16_384.augreg_in1k", 768, 12, 12, 3072, 16, 384, 1, HALF),
    ROW("vit_base_patch16_384.augreg_in21k_ft_in1k", 768, 12, 12, 3072, 16, 384, 1, HALF),
    ROW("vit_base_patch16_384.orig_in21k_ft_in1k", 768, 12, 12, 3072, 16, 384, 1, HALF),
    ROW("vit_base_patch32_224.augreg_in1k", 768, 12, 12, 3072, 32, 224, 0.9, HALF),
    ROW("vit_base_patch32_224.augreg_in21k", 768, 12, 12, 3072, 32, 224, 0.9, HALF),
    ROW("vit_base_patch32_224.augreg_in21k_ft_in1k", 768, 12, 12, 3072, 32, 224, 0.9, HALF),
    ROW("vit_base_patch32_224.orig_in21k", 768, 12, 12, 3072, 32, 224, 0.9, HALF),
    ROW("vit_base_patch32_224.sam_in1k", 768, 12, 12, 3072, 32, 224, 0.9, HALF),
    ROW("vit_base_patch32_384.augreg_in1k", 768, 12, 12, 3072, 32, 384, 1, HALF),
    ROW("vit_base_patch32_384.augreg_in21k_ft_in1k", 768, 12, 12, 3072, 32, 384, 1, HALF),
    ROW("vit_base_patch8_224.augreg2_in21k_ft_in1k", 768, 12, 12, 3072, 8, 224, 0.9, HALF),
    ROW("vit_base_patch8_224.augreg_in21k", 768, 12, 12, 3072, 8, 224, 0.9, HALF),
    ROW("vit_base_patch8_224.augreg_in21k_ft_in1k", 768, 12, 12, 3072, 8, 224, 0.9, HALF),
    ROW("vit_base_patch8_224.dino", 768, 12, 12, 3072, 8, 224, 0.9, IMAGENET),
    ROW("vit_giant_patch14_224", 1408, 40, 16, 6144, 14, 224, 0.9, HALF),
    ROW("vit_gigantic_patch14_224", 1664, 48, 16, 8192, 14, 224, 0.9, HALF),
    ROW("vit_huge_patch14_224.mae", 1280, 32, 16, 5120, 14, 224, 0.9, IMAGENET),
    ROW("vit_huge_patch14_224.orig_in21k", 1280, 32, 16, 5120, 14, 224, 0.9, HALF),
    ROW("vit_large_patch14_224", 1024, 24, 16, 4096, 14, 224, 0.9, HALF),
    ROW("vit_large_patch16_224.augreg_in21k", 1024, 24, 16, 4096, 16, 224, 0.9, HALF),
    ROW("vit_large_patch16_224.augreg_in21k_ft_in1k", 1024, 24, 16, 4096, 16, 224, 0.9, HALF),
    ROW("vit_large_patch16_224.mae", 1024, 24, 16, 4096, 16, 224, 0.9, IMAGENET),
    ROW("vit_large_patch16_224.orig_in21k", 1024, 24, 16, 4096, 16, 224, 0.9, HALF),
    ROW("vit_large_patch16_384.augreg_in21k_ft_in1k", 1024, 24, 16, 4096, 16, 384, 1, HALF),
    ROW("vit_large_patch32_224.orig_in21k", 1024, 24, 16, 4096, 32, 224, 0.9, HALF),
    ROW("vit_large_patch32_384.orig_in21k_ft_in1k", 1024, 24, 16, 4096, 32, 384, 1, HALF),
    ROW("vit_small_patch16_224.augreg_in1k", 384, 12, 6, 1536, 16, 224, 0.9, HALF),
    ROW("vit_small_patch16_224.augreg_in21k", 384, 12, 6, 1536, 16, 224, 0.9, HALF),
    ROW("vit_small_patch16_224.augreg_in21k_ft_in1k", 384, 12, 6, 1536, 16, 224, 0.9, HALF),
    ROW("vit_small_patch16_224.dino", 384, 12, 6, 1536, 16, 224, 0.9, IMAGENET),
    ROW("vit_small_patch16_384.augreg_in1k", 384, 12, 6, 1536, 16, 384, 1, HALF),
    ROW("vit_small_patch16_384.augreg_in21k_ft_in1k", 384, 12, 6, 1536, 16, 384, 1, HALF),
    ROW("vit_small_patch32_224.augreg_in21k", 384, 12, 6, 1536, 32, 224, 0.9, HALF),
    ROW("vit_small_patch32_224.augreg_in21k_ft_in1k", 384, 12, 6, 1536, 32, 224, 0.9, HALF),
    ROW("vit_small_patch32_384.augreg_in21k_ft_in1k", 384, 12, 6, 1536, 32, 384, 1, HALF),
    ROW("vit_small_patch8_224.dino", 384, 12, 6, 1536, 8, 224, 0.9, IMAGENET),
    ROW("vit_tiny_patch16_224.augreg_in21k", 192, 12, 3, 768, 16, 224, 0.9, HALF),
    ROW("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 192, 12, 3, 768, 16, 224, 0.9, HALF),
    ROW("vit_tiny_patch16_384.augreg_in21k_ft_in1k", 192, 12, 3, 768, 16, 384, 1, HALF),
};

const mcf_published *mcf_published_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == length && !memcmp(rows[i].name, name, length))
            return &rows[i];
    return NULL;
}

int mcf_published_heads(int64_t dim, int depth, int64_t hidden)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].dim == dim && rows[i].depth == depth && rows[i].hidden == hidden)
            return rows[i].heads;
    return 0;
}

const mcf_published *mcf_published_rows(size_t *count)
{
    *count = sizeof rows / sizeof *rows;
    return rows;
}
