// Sizes that suit a device: from what it says about itself, from its last tuning (a file in the cache folder), from
// the environment.
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *const ways[OCL_PRODUCT_WAYS] = {"panels", "tile", "clblast"};

const char *ocl_way_name(ocl_product_way way)
{
    return ways[way];
}

static int power_of_two_below(size_t n)
{
    int p = 1;
    while ((size_t)p * 2 <= n)
        p *= 2;
    return p;
}

// One item a group with strips of four vectors, products by panels: what suits a processor.
static void as_processor(ocl_tuning *t)
{
    t->group = 1;
    t->strip = 64;
    t->attention = OCL_ATTENTION_PRODUCTS;
    for (int i = 0; i < OCL_SHAPE_CLASSES; i++)
        t->way[i] = OCL_PRODUCT_PANELS;
}

// On a processor an item is a thread that uses vectors: one item a group, strips of four vectors. Vectors of 8 have 16
// registers behind them (6 x 2 sums, 2 of b, the rest for a), vectors of 16 have 32 (12 x 2 sums). Elsewhere 128 items
// share a line, or what the device allows.
static void from_device(const ocl_physical *p, ocl_tuning *t)
{
    const bool wide = p->vector >= 16;
    *t = (ocl_tuning){.panel_m = wide ? 12 : 6, .panel_n = wide ? 32 : 16, .panel_few = 4};
    if (p->processor) {
        as_processor(t);
        t->local = p->group_max < 1024 ? power_of_two_below(p->group_max) : 1024;
    } else {
        t->group = p->group_max < 128 ? power_of_two_below(p->group_max) : 128;
        t->strip = 1;
        t->attention = OCL_ATTENTION_KERNELS;
        t->local = p->group_max < 256 ? power_of_two_below(p->group_max) : 256;
        for (int i = 0; i < OCL_SHAPE_CLASSES; i++)
            t->way[i] = i == 0 ? OCL_PRODUCT_TILE : OCL_PRODUCT_CLBLAST;
    }
}

// "key=value" lines; what is not understood is left out, so that a file of another version does no harm.
static void parse(const char *text, ocl_tuning *t)
{
    static const char *const keys[] = {"group", "strip", "local", "panel_m", "panel_n", "panel_few", "attention"};
    int *const numbers[] = {&t->group, &t->strip, &t->local, &t->panel_m, &t->panel_n, &t->panel_few, &t->attention};
    static const int most[] = {1024, 256, 4096, 32, 64, 64, OCL_ATTENTION_PRODUCTS};
    char line[320];
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        at += length + (at[length] == '\n');
        char *equals = strchr(line, '=');
        if (!equals)
            continue;
        *equals++ = '\0';
        int value = atoi(equals);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            if (!strcmp(line, keys[i]) && value >= 1 && value <= most[i])
                *numbers[i] = value;
        for (int i = 0; i < OCL_SHAPE_CLASSES && !strncmp(line, "way", 3); i++)
            for (int w = 0; w < OCL_PRODUCT_WAYS; w++)
                if (line[3] == '0' + i && !line[4] && !strcmp(equals, ways[w]))
                    t->way[i] = (ocl_product_way)w;
        if (!strcmp(line, "clblast"))
            snprintf(t->clblast, sizeof t->clblast, "%s", equals);
    }
}

static void file_name(const ocl_physical *p, char name[64])
{
    char text[512];
    int length = snprintf(text, sizeof text, "%s\n%s\n%s\n%u", p->platform_name, p->name, p->driver, p->units);
    snprintf(name, 64, "opencl-tuning-%016llx.txt",
             (unsigned long long)XXH64(text, (size_t)(length < 511 ? length : 511), 0));
}

// For tests: MCF_OPENCL_STYLE=gpu runs the kernels of devices with many small cores on a processor, cpu the others on a
// GPU.
// MCF_OPENCL_PRODUCT=panels|tile|clblast fixes how products are made.
static void from_environment(const ocl_physical *p, ocl_tuning *t)
{
    const char *style = getenv("MCF_OPENCL_STYLE"), *product = getenv("MCF_OPENCL_PRODUCT");
    if (style && !strcmp(style, "gpu")) {
        t->group = p->group_max < 64 ? power_of_two_below(p->group_max) : 64;
        t->strip = 1;
        t->attention = OCL_ATTENTION_KERNELS;
        t->local = t->group;
        for (int i = 0; i < OCL_SHAPE_CLASSES; i++)
            t->way[i] = OCL_PRODUCT_TILE;
    }
    if (style && !strcmp(style, "cpu"))
        as_processor(t);
    for (int w = 0; w < OCL_PRODUCT_WAYS; w++)
        for (int i = 0; product && i < OCL_SHAPE_CLASSES; i++)
            if (!strcmp(product, ways[w]))
                t->way[i] = (ocl_product_way)w;
}

void ocl_tuning_load(const ocl_physical *p, ocl_tuning *t)
{
    char name[64];
    size_t bytes;
    from_device(p, t);
    file_name(p, name);
    char *text = ocl_cache_read(name, &bytes);
    if (text)
        parse(text, t);
    free(text);
    // What the kernels are written for: vectors fill a panel, groups halve evenly.
    if (t->panel_n % 8)
        t->panel_n = 16;
    t->group = power_of_two_below((size_t)t->group < p->group_max ? (size_t)t->group : p->group_max);
    from_environment(p, t);
}

mcf_status ocl_tuning_save(const ocl_physical *p, const ocl_tuning *t, char *path, size_t size, mcf_error *err)
{
    char name[64], folder[4096] = "", text[1024];
    const bool folder_there = ocl_cache_folder(folder, sizeof folder);
    int used =
        snprintf(text, sizeof text,
                 "group=%d\nstrip=%d\nlocal=%d\npanel_m=%d\npanel_n=%d\npanel_few=%d\nattention=%d\nclblast=%s\n",
                 t->group, t->strip, t->local, t->panel_m, t->panel_n, t->panel_few, t->attention, t->clblast);
    for (int i = 0; i < OCL_SHAPE_CLASSES; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "way%d=%s\n", i, ways[t->way[i]]);
    file_name(p, name);
    snprintf(path, size, "%s/%s", folder, name);
    if (!folder_there || !ocl_cache_write(name, text, (size_t)used))
        return mcf_fail(err, MCF_ERR_IO, "the tuning cannot be kept%s%s: point XDG_CACHE_HOME to a folder to write in",
                        *folder ? " in " : "", folder);
    return MCF_OK;
}
