// 300W and WFLW from the files as published.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/faces/read.h"

static mcf_status read_csv(mcf_face_set *set, const char *path, const char *images, double first, mcf_error *err)
{
    char *bytes = NULL;
    size_t size;
    int32_t file;
    mcf_status status = mcf_face_text(set, path, &bytes, &size, &file, err);
    if (status == MCF_OK)
        status = mcf_csv_parse(set, bytes, size, file, images, first, err);
    free(bytes);
    return status;
}

static bool is_file(const char *path, const char *end)
{
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, end) == 0 && !mcf_path_is_directory(path);
}

// --- 300W

// HRNet's tables count from 2 as FaRL reads them: it takes 2 off points and centre.
enum { HRNET_300W_FIRST = 2 };

// Common are LFPW's and Helen's test faces, challenge are iBUG's; told by the picture's folder.
static void mark_300w(mcf_face_set *set, int64_t from)
{
    for (int64_t i = from; i < set->count; i++) {
        const char *image = set->faces[i].image;
        if (strstr(image, "ibug/"))
            set->faces[i].subsets = 2;
        else if (strstr(image, "testset/"))
            set->faces[i].subsets = 1;
    }
}

static mcf_status read_300w_tables(mcf_face_set *set, const char *path, const char *images, const char *split,
                                   bool *found, mcf_error *err)
{
    static const char *const files[][3] = {{"train", "train", NULL},
                                           {"full", "valid", NULL},
                                           {"common", "valid_common", NULL},
                                           {"challenge", "valid_challenge", NULL},
                                           {"private", "test", NULL}};
    const char *wanted[2] = {NULL, NULL};
    char table[2][4096];
    *found = false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(files[i][0], split) == 0)
            wanted[0] = files[i][1];
    snprintf(table[0], sizeof table[0], "%s/face_landmarks_300w_%s.csv", path, wanted[0]);
    if (!mcf_path_exists(table[0]) && strcmp(split, "full") == 0) {
        wanted[0] = "valid_common";
        wanted[1] = "valid_challenge";
    }
    for (int i = 0; i < 2 && wanted[i]; i++) {
        snprintf(table[i], sizeof table[i], "%s/face_landmarks_300w_%s.csv", path, wanted[i]);
        if (!mcf_path_exists(table[i]))
            return MCF_OK;
    }
    for (int i = 0; i < 2 && wanted[i]; i++)
        MCF_TRY(read_csv(set, table[i], images, HRNET_300W_FIRST, err));
    *found = true;
    return MCF_OK;
}

static mcf_status read_300w_pts(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    static const struct {
        const char *split, *folder;
        uint32_t subsets;
    } folders[] = {{"train", "afw", 0},           {"train", "helen/trainset", 0},
                   {"train", "lfpw/trainset", 0}, {"common", "helen/testset", 1},
                   {"common", "lfpw/testset", 1}, {"challenge", "ibug", 2},
                   {"private", "Test", 0},        {"private", "01_Indoor", 0},
                   {"private", "02_Outdoor", 0}};
    const bool full = strcmp(split, "full") == 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strcmp(folders[i].split, split) == 0 ||
            (full && (strcmp(folders[i].split, "common") == 0 || strcmp(folders[i].split, "challenge") == 0)))
            MCF_TRY(mcf_read_pts_folder(set, path, folders[i].folder, folders[i].subsets, err));
    return MCF_OK;
}

mcf_status mcf_read_300w(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    static const char *const below[] = {"images", NULL};
    const bool table = is_file(path, ".csv");
    const int64_t from = set->count;
    bool found = table;
    char *parent = table ? mcf_path_parent(path) : strdup(path);
    char *images = parent ? mcf_face_folder(parent, below) : NULL;
    mcf_status status = images ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK && table)
        status = read_csv(set, path, images, HRNET_300W_FIRST, err);
    else if (status == MCF_OK)
        status = read_300w_tables(set, path, images, split, &found, err);
    if (status == MCF_OK && !found)
        status = read_300w_pts(set, path, split, err);
    if (status == MCF_OK && found && strcmp(split, "train") != 0 && strcmp(split, "private") != 0)
        mark_300w(set, from);
    free(images);
    free(parent);
    return status;
}

// --- WFLW

mcf_status mcf_wflw_parse(mcf_face_set *set, char *bytes, size_t size, int32_t file, const char *folder, mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    double xy[196], rest[10], box[4];
    MCF_TRY(mcf_face_hold_points(set, 98, file, 1, err));
    for (char *line; (line = mcf_lines_next(&lines));) {
        uint32_t subsets = 0;
        if (!line[strspn(line, " \t")])
            continue;
        for (int i = 0; i < 206; i++) {
            double *value = i < 196 ? xy + i : rest + (i - 196);
            if (!mcf_take_number(&line, 0, value) || fabs(*value) > 1e6)
                return mcf_face_wrong(
                    set, file, lines.line, err,
                    "column %d is no number; a line is 196 coordinates, 4 of a box, 6 attributes and a "
                    "picture's name",
                    i + 1);
        }
        for (int i = 0; i < 6; i++) {
            if (rest[4 + i] != 0 && rest[4 + i] != 1)
                return mcf_face_wrong(set, file, lines.line, err, "attribute %d is neither 0 nor 1", i + 1);
            subsets |= (uint32_t)rest[4 + i] << i;
        }
        if (!line[0])
            return mcf_face_wrong(set, file, lines.line, err, "does not end with the name of a picture");
        mcf_face_box_of_points(xy, 98, 0, box);
        MCF_TRY(mcf_face_add(set, folder, line, NULL, box, xy, subsets, file, lines.line, err));
    }
    return MCF_OK;
}

static mcf_status read_list(mcf_face_set *set, const char *path, const char *images, mcf_error *err)
{
    char *bytes = NULL;
    size_t size;
    int32_t file;
    mcf_status status = mcf_face_text(set, path, &bytes, &size, &file, err);
    if (status == MCF_OK)
        status = mcf_wflw_parse(set, bytes, size, file, images, err);
    free(bytes);
    return status;
}

// The folder of pictures: beside the file or up to two folders above it.
static char *wflw_images(const char *path)
{
    static const char *const below[] = {"WFLW_images", "images", NULL};
    char *folder = mcf_path_is_directory(path) ? strdup(path) : mcf_path_parent(path);
    for (int up = 0; folder && up < 3; up++) {
        char *images = mcf_face_folder(folder, below), *parent;
        if (!images || strcmp(images, folder) != 0) {
            free(folder);
            return images;
        }
        free(images);
        parent = mcf_path_parent(folder);
        free(folder);
        folder = parent;
    }
    free(folder);
    return mcf_path_is_directory(path) ? strdup(path) : mcf_path_parent(path);
}

// The list has the attributes, so it is read where both are there; HRNet's boxes follow from the points either way.
mcf_status mcf_read_wflw(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    char list[4096], table[4096], *images = wflw_images(path);
    mcf_status status;
    snprintf(list, sizeof list, "%s/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_%s.txt", path,
             split);
    if (!mcf_path_exists(list))
        snprintf(list, sizeof list, "%s/list_98pt_rect_attr_%s.txt", path, split);
    snprintf(table, sizeof table, "%s/face_landmarks_wflw_%s.csv", path, split);
    if (!images)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    else if (is_file(path, ".csv"))
        status = read_csv(set, path, images, 0, err);
    else if (!mcf_path_is_directory(path))
        status = read_list(set, path, images, err);
    else if (mcf_path_exists(list))
        status = read_list(set, list, images, err);
    else
        status = read_csv(set, table, images, 0, err);
    free(images);
    return status;
}
