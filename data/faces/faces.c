#include "data/faces/faces.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/output.h"
#include "base/rng.h"
#include "data/faces/read.h"

const mcf_face_layout mcf_face_layouts[] = {
    {.name = "points",
     .splits = "",
     .train = "",
     .test = "",
     .crop = MCF_CROP_OF_BOX,
     .scale = 0.8,
     .subset_names = "",
     .read = mcf_read_plain_points,
     .doc = "a folder of pictures with NAME.pts or NAME.json beside them, or with points.csv; a CSV; a JSON list"},
    {.name = "masks",
     .splits = "",
     .train = "",
     .test = "",
     .has_masks = true,
     .crop = MCF_CROP_OF_IMAGE,
     .scale = 1,
     .subset_names = "",
     .read = mcf_read_plain_masks,
     .doc = "a folder with images/ and masks/ (or labels/), or of pictures with NAME.png beside NAME.jpg: index PNGs"},
    {.name = "aflw-19",
     .splits = "train test frontal",
     .train = "train",
     .test = "test",
     .points = 19,
     .crop = MCF_CROP_OF_BOX,
     .scale = 1,
     .subset_names = "frontal",
     .read = mcf_read_aflw,
     .doc = "the folder of AFLWinfo_release.mat (v5 or v7.3), pictures in data/flickr/"},
    {.name = "wflw",
     .splits = "train test",
     .train = "train",
     .test = "test",
     .points = 98,
     .crop = MCF_CROP_OF_BOX,
     .scale = 0.8,
     .subset_names = "pose expression illumination make-up occlusion blur",
     .read = mcf_read_wflw,
     .doc = "the folder of WFLW_annotations/ or of HRNet's face_landmarks_wflw_*.csv, pictures in WFLW_images/; or one "
            "such file"},
    {.name = "300w",
     .splits = "train full common challenge private",
     .train = "train",
     .test = "full",
     .points = 68,
     .crop = MCF_CROP_OF_BOX,
     .scale = 0.8,
     .subset_names = "common challenge",
     .read = mcf_read_300w,
     .doc = "the folder of HRNet's face_landmarks_300w_*.csv, or of afw/, helen/, lfpw/, ibug/, Test/ with .pts files; "
            "or one such CSV"},
    {.name = "lapa",
     .splits = "train val test",
     .train = "train",
     .test = "test",
     .points = 106,
     .classes = 11,
     .has_masks = true,
     .crop = MCF_CROP_OF_POINTS,
     .scale = 1,
     .warp = 0.8,
     .subset_names = "",
     .read = mcf_read_lapa,
     .doc = "the folder of train/, val/ and test/, each with images/, labels/ and landmarks/"},
    {.name = "celebamask-hq",
     .splits = "train val test",
     .train = "train",
     .test = "test",
     .classes = 19,
     .has_masks = true,
     .crop = MCF_CROP_OF_IMAGE,
     .scale = 1,
     .masks_any_size = true,
     .subset_names = "",
     .read = mcf_read_celebamask,
     .doc = "the folder of CelebA-HQ-img/, CelebAMask-HQ-mask-anno/, CelebA-HQ-to-CelebA-mapping.txt and CelebA's "
            "list_eval_partition.txt"},
    {.name = NULL},
};

const mcf_face_layout *mcf_face_layout_find(const char *name)
{
    for (const mcf_face_layout *l = mcf_face_layouts; l->name; l++)
        if (strcmp(l->name, name) == 0)
            return l;
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if (length && (at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

// Points each subset name into the layout's text: the k-th word, which ends at a blank, gets storage of its own.
static void name_subsets(mcf_face_set *set)
{
    static const char *const known[] = {"pose", "expression", "illumination", "make-up", "occlusion",
                                        "blur", "common",     "challenge",    "frontal"};
    const char *at = set->layout->subset_names;
    while (*at && set->subset_count < MCF_FACE_SUBSETS) {
        const size_t length = strcspn(at, " ");
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strlen(known[k]) == length && strncmp(known[k], at, length) == 0)
                set->subset_names[set->subset_count++] = known[k];
        at += length + (at[length] == ' ');
    }
}

static mcf_status no_layout(const char *name, mcf_error *err)
{
    char names[256] = "";
    for (const mcf_face_layout *l = mcf_face_layouts; l->name; l++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", l == mcf_face_layouts ? "" : ", ",
                 l->name);
    return mcf_fail(err, MCF_ERR_USAGE, "there is no layout \"%s\" of labelled faces; there are %s", name, names);
}

mcf_status mcf_face_set_read(mcf_face_set *set, const mcf_face_query *query, mcf_error *err)
{
    *set = (mcf_face_set){.layout = mcf_face_layout_find(query->layout)};
    if (!set->layout)
        return no_layout(query->layout, err);
    const char *split = query->split ? query->split : "";
    if (split[0] && !has_word(set->layout->splits, split))
        return mcf_fail(err, MCF_ERR_USAGE, "the layout %s has no split \"%s\"; %s%s", query->layout, split,
                        set->layout->splits[0] ? "it has " : "it has none", set->layout->splits);
    if (query->path_count < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "no path of faces is given; a path of layout %s is %s", query->layout,
                        set->layout->doc);
    set->points = set->layout->points ? set->layout->points : query->points;
    set->classes = set->layout->classes;
    set->has_masks = set->layout->has_masks;
    name_subsets(set);
    mcf_status status = MCF_OK;
    for (int i = 0; status == MCF_OK && i < query->path_count; i++) {
        if (!mcf_path_exists(query->paths[i]))
            status = mcf_fail(err, MCF_ERR_IO, "%s: is not there; a path of layout %s is %s", query->paths[i],
                              query->layout, set->layout->doc);
        else
            status = set->layout->read(set, query->paths[i], split[0] ? split : set->layout->train, err);
    }
    if (status == MCF_OK && set->count == 0)
        status = set->fault_count ? mcf_fail(err, MCF_ERR_FORMAT, "%s: none of its %lld faces is of use; the first: %s",
                                             query->paths[0], (long long)set->fault_count, set->faults[0].what)
                                  : mcf_fail(err, MCF_ERR_USAGE, "%s: there are no faces; a path of layout %s is %s",
                                             query->paths[0], query->layout, set->layout->doc);
    set->whole = set->count;
    if (status != MCF_OK)
        mcf_face_set_free(set);
    return status;
}

void mcf_face_set_free(mcf_face_set *set)
{
    for (int64_t i = 0; i < set->count; i++) {
        free(set->faces[i].image);
        free(set->faces[i].mask);
    }
    for (int64_t i = 0; i < set->fault_count; i++)
        free(set->faults[i].what);
    for (int32_t i = 0; i < set->file_count; i++)
        free(set->files[i]);
    free(set->faces);
    free(set->xy);
    free(set->faults);
    free(set->files);
    *set = (mcf_face_set){0};
}

// The i-th of the paths that a set names: label files, then pictures and maps; NULL where a face has no map.
static const char *path_at(const mcf_face_set *set, int64_t i)
{
    if (i < set->file_count)
        return set->files[i];
    const mcf_face *face = &set->faces[(i - set->file_count) / 2];
    return (i - set->file_count) % 2 ? face->mask : face->image;
}

static int64_t path_count(const mcf_face_set *set)
{
    return set->file_count + 2 * set->count;
}

bool mcf_face_set_lies_in(const mcf_face_set *set, const char *folder, char *name, size_t size)
{
    char before[8192] = "";
    for (int64_t i = 0; i < path_count(set); i++) {
        const char *path = path_at(set, i);
        char *parent = path ? mcf_path_parent(path) : NULL;
        const bool new = parent &&strcmp(parent, before) != 0, in = new &&mcf_same_file(parent, folder);
        if (new)
            snprintf(before, sizeof before, "%s", parent);
        free(parent);
        if (in) {
            snprintf(name, size, "%s", path);
            return true;
        }
    }
    return false;
}

bool mcf_face_set_uses(const mcf_face_set *set, const char *path)
{
    const bool parts = strcmp(set->layout->name, "celebamask-hq") == 0;
    if (!mcf_path_exists(path))
        return false;
    for (int64_t i = 0; i < path_count(set); i++) {
        const char *used = path_at(set, i);
        char *folder =
                 parts && used && i >= set->file_count && (i - set->file_count) % 2 ? mcf_path_parent(used) : NULL,
             *beside = folder ? mcf_path_parent(path) : NULL;
        const bool same = used && (mcf_same_file(used, path) || (beside && mcf_same_file(beside, folder)));
        free(folder);
        free(beside);
        if (same)
            return true;
    }
    return false;
}

void mcf_face_set_tell(const mcf_face_set *set, const char *key, void (*notice)(void *context, const char *line),
                       void *context)
{
    enum { SHOWN = 20 };
    char line[2048], where[600];
    for (int64_t i = 0; notice && i < set->fault_count && i < SHOWN; i++) {
        const mcf_face_fault *fault = &set->faults[i];
        snprintf(line, sizeof line, "%s: left out: %s: %.1000s", key,
                 mcf_face_where(set, fault->file, fault->line, where, sizeof where), fault->what);
        notice(context, line);
    }
    if (notice && set->fault_count > SHOWN) {
        snprintf(line, sizeof line, "%s: and %lld more are left out", key, (long long)(set->fault_count - SHOWN));
        notice(context, line);
    }
}

void mcf_face_set_keep(mcf_face_set *set, const bool *kept)
{
    int64_t out = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (!kept[i]) {
            free(set->faces[i].image);
            free(set->faces[i].mask);
            continue;
        }
        set->faces[out] = set->faces[i];
        if (set->points)
            memmove(set->xy + out * set->points * 2, set->xy + i * set->points * 2,
                    (size_t)set->points * 2 * sizeof *set->xy);
        out++;
    }
    set->count = out;
}

mcf_status mcf_face_set_subset(mcf_face_set *set, double fraction, uint64_t seed, mcf_error *err)
{
    int64_t keep = llround(fraction * (double)set->count);
    keep = keep < 1 ? 1 : keep;
    if (keep >= set->count)
        return MCF_OK;
    int64_t *order = malloc((size_t)set->count * sizeof *order);
    bool *kept = calloc((size_t)set->count, sizeof *kept);
    if (!order || !kept) {
        free(order);
        free(kept);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a subset of the faces");
    }
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_FRACTION, 0, 0);
    mcf_rng_permutation(&rng, order, set->count);
    for (int64_t i = 0; i < keep; i++)
        kept[order[i]] = true;
    mcf_face_set_keep(set, kept);
    free(order);
    free(kept);
    return MCF_OK;
}
