// LaPa and CelebAMask-HQ from the files as published; the plain layout of pictures and index PNGs.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/faces/read.h"

static const double no_box[4] = {0, 0, 0, 0};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Whether a name has one of these endings, in any case.
static bool ends_with(const char *name, const char *const *ends)
{
    const char *dot = strrchr(name, '.');
    for (; dot && name[0] != '.' && *ends; ends++)
        if (strcasecmp(dot, *ends) == 0)
            return true;
    return false;
}

// Names of files in a folder that have one of these endings, in byte order. Freed by free_names.
static mcf_status list_files(const char *folder, const char *const *ends, char ***names, size_t *count, mcf_error *err)
{
    DIR *directory = opendir(folder);
    mcf_status status = MCF_OK;
    size_t room = 0;
    *names = NULL;
    *count = 0;
    if (!directory)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", folder, strerror(errno));
    for (struct dirent *entry; status == MCF_OK && (entry = readdir(directory));) {
        if (!ends_with(entry->d_name, ends))
            continue;
        if (*count == room) {
            room = room ? 2 * room : 256;
            char **more = realloc(*names, room * sizeof *more);
            if (more)
                *names = more;
            else
                status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the pictures of %s", folder);
        }
        char *copy = status == MCF_OK ? strdup(entry->d_name) : NULL;
        if (copy)
            (*names)[(*count)++] = copy;
        else if (status == MCF_OK)
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the pictures of %s", folder);
    }
    closedir(directory);
    if (*count)
        qsort(*names, *count, sizeof **names, by_name);
    return status;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static int by_stem(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    const size_t m = (size_t)(strrchr(x, '.') - x), n = (size_t)(strrchr(y, '.') - y);
    const int order = memcmp(x, y, m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

// The pictures of a folder and, under the name NAME.jpg, those that are missing beside a label NAME.end of another folder:
// these are found missing later. By name without its ending.
static mcf_status list_pictures(const char *folder, const char *labels, const char *end, char ***names, size_t *count,
                                mcf_error *err)
{
    static const char *const pictures[] = {".jpg", ".jpeg", ".png", NULL};
    const char *const label_ends[] = {end, NULL};
    char **found = NULL;
    size_t more = 0;
    MCF_TRY(list_files(folder, pictures, names, count, err));
    if (*count)
        qsort(*names, *count, sizeof **names, by_stem);
    const size_t present = *count;
    mcf_status status = MCF_OK;
    if (strcmp(folder, labels) != 0 && mcf_path_is_directory(labels))
        status = list_files(labels, label_ends, &found, &more, err);
    char **grown = status == MCF_OK && more ? realloc(*names, (*count + more) * sizeof *grown) : NULL;
    if (grown)
        *names = grown;
    else if (more && status == MCF_OK)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the pictures of %s", folder);
    for (size_t i = 0; status == MCF_OK && i < more; i++) {
        if (present && bsearch(&found[i], *names, present, sizeof **names, by_stem))
            continue;
        const size_t stem = (size_t)(strrchr(found[i], '.') - found[i]);
        char *name = malloc(stem + 5);
        if (!name) {
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the pictures of %s", folder);
            break;
        }
        memcpy(name, found[i], stem);
        strcpy(name + stem, ".jpg");
        (*names)[(*count)++] = name;
    }
    if (*count)
        qsort(*names, *count, sizeof **names, by_stem);
    free_names(found, more);
    return status;
}

// folder/STEM.end of a picture's name; NULL without memory.
static char *beside(const char *folder, const char *name, const char *end)
{
    const int stem = (int)(strrchr(name, '.') - name);
    const size_t size = strlen(folder) + (size_t)stem + strlen(end) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%.*s%s", folder, stem, name, end);
    return path;
}

// --- LaPa

static mcf_status add_lapa(mcf_face_set *set, const char *images, const char *labels, const char *landmarks,
                           const char *name, double *xy, mcf_error *err)
{
    char *text = beside(landmarks, name, ".txt"), *mask = beside(labels, name, ".png"), *bytes = NULL;
    size_t size;
    int32_t file;
    int points = 0;
    double box[4];
    mcf_status status = text && mask ? mcf_face_text(set, text, &bytes, &size, &file, err)
                                     : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_lapa_parse(bytes, size, text, MCF_FACE_MAX_POINTS, xy, &points, err);
    if (status == MCF_OK)
        status = mcf_face_hold_points(set, points, file, 1, err);
    if (status == MCF_OK) {
        mcf_face_box_of_points(xy, points, 0, box);
        status = mcf_face_add(set, images, name, mask, box, xy, 0, file, 0, err);
        mask = NULL;
    }
    free(bytes);
    free(mask);
    free(text);
    return status;
}

mcf_status mcf_read_lapa(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    char images[4096], labels[4096], landmarks[4096], **names = NULL;
    size_t count = 0;
    double *xy = malloc(MCF_FACE_MAX_POINTS * 2 * sizeof *xy);
    snprintf(images, sizeof images, "%s/%s/images", path, split);
    snprintf(labels, sizeof labels, "%s/%s/labels", path, split);
    snprintf(landmarks, sizeof landmarks, "%s/%s/landmarks", path, split);
    mcf_status status = xy ? list_pictures(images, landmarks, ".txt", &names, &count, err)
                           : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    for (size_t i = 0; status == MCF_OK && i < count; i++)
        status = add_lapa(set, images, labels, landmarks, names[i], xy, err);
    free_names(names, count);
    free(xy);
    return status;
}

// --- CelebAMask-HQ

enum { CELEBA_MOST = 202600, CELEBA_HQ = 30000 };

// The number in "000123.jpg"; -1: no such name.
static int number_of(const char *name, int length, int most)
{
    char *stop;
    const long number = strtol(name, &stop, 10);
    return stop == name || name[0] < '0' || name[0] > '9' || stop - name + 4 != length ||
                   strncmp(stop, ".jpg", 4) != 0 || number < 0 || number >= most
               ? -1
               : (int)number;
}

mcf_status mcf_partition_parse(char *bytes, size_t size, const char *path, int8_t *parts, int most, mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    memset(parts, -1, (size_t)most);
    for (char *line; (line = mcf_lines_next(&lines));) {
        const int length = (int)strcspn(line, " \t,");
        const char *value = line + length + strspn(line + length, " \t,");
        if (!line[0])
            continue;
        const int number = number_of(line, length, most);
        if (number < 0 || value[0] < '0' || value[0] > '2' || value[1 + strspn(value + 1, " \t")])
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: is no \"NUMBER.jpg PART\" with a part 0, 1 or 2", path,
                            lines.line);
        parts[number] = (int8_t)(value[0] - '0');
    }
    return MCF_OK;
}

mcf_status mcf_mapping_parse(char *bytes, size_t size, const char *path, int32_t *number, int most, mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    for (int i = 0; i < most; i++)
        number[i] = -1;
    for (char *line; (line = mcf_lines_next(&lines));) {
        double id, original;
        char *at = line;
        if (!line[strspn(line, " \t")] || (lines.line == 1 && (line[0] < '0' || line[0] > '9')))
            continue; // the header may be there or not
        const bool two = mcf_take_number(&at, 0, &id) && mcf_take_number(&at, 0, &original);
        const int name = two ? number_of(at, (int)strcspn(at, " \t"), CELEBA_MOST) : -1;
        if (name < 0 || id < 0 || id >= most || id != (int)id)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: is no \"ID NUMBER NUMBER.jpg\" with an ID from 0 to %d",
                            path, lines.line, most - 1);
        number[(int)id] = name;
    }
    return MCF_OK;
}

static mcf_status read_parts(mcf_face_set *set, const char *path, int8_t *parts, int32_t *number, int32_t *file,
                             mcf_error *err)
{
    char *mapping = mcf_path_join(path, "CelebA-HQ-to-CelebA-mapping.txt"), *bytes = NULL, *more = NULL;
    char *partition = mcf_path_join(path, "list_eval_partition.txt");
    size_t size;
    int32_t other;
    mcf_status status = mapping && partition ? mcf_face_text(set, mapping, &bytes, &size, file, err)
                                             : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_mapping_parse(bytes, size, mapping, number, CELEBA_HQ, err);
    if (status == MCF_OK)
        status = mcf_face_text(set, partition, &more, &size, &other, err);
    if (status == MCF_OK)
        status = mcf_partition_parse(more, size, partition, parts, CELEBA_MOST, err);
    free(bytes);
    free(more);
    free(mapping);
    free(partition);
    return status;
}

mcf_status mcf_read_celebamask(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    const int wanted = strcmp(split, "train") == 0 ? 0 : strcmp(split, "val") == 0 ? 1 : 2;
    int8_t *parts = malloc(CELEBA_MOST);
    int32_t *number = malloc(CELEBA_HQ * sizeof *number), file = -1;
    mcf_status status = parts && number ? read_parts(set, path, parts, number, &file, err)
                                        : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    for (int id = 0; status == MCF_OK && id < CELEBA_HQ; id++) {
        char name[64], *mask;
        if (number[id] < 0 || parts[number[id]] != wanted)
            continue;
        const size_t room = strlen(path) + 64;
        mask = malloc(room);
        if (mask)
            snprintf(mask, room, "%s/CelebAMask-HQ-mask-anno/%d/%05d_", path, id / 2000, id);
        snprintf(name, sizeof name, "CelebA-HQ-img/%d.jpg", id);
        status = mask ? mcf_face_add(set, path, name, mask, no_box, NULL, 0, file, 0, err)
                      : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    }
    free(parts);
    free(number);
    return status;
}

// --- plain

mcf_status mcf_read_plain_masks(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    static const char *const picture_folders[] = {"images", NULL}, *const mask_folders[] = {"masks", "labels", NULL};
    char *images = mcf_face_folder(path, picture_folders), *masks = mcf_face_folder(path, mask_folders);
    char **names = NULL;
    size_t count = 0;
    (void)split;
    // One folder for both: index PNGs lie beside JPEGs of the same name.
    const bool together = images && masks && strcmp(images, masks) == 0;
    mcf_status status = images && masks ? list_pictures(images, masks, ".png", &names, &count, err)
                                        : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    for (size_t i = 0; status == MCF_OK && i < count; i++) {
        const char *end = strrchr(names[i], '.');
        if (together && (strcmp(end, ".png") == 0 || strcmp(end, ".PNG") == 0))
            continue;
        char *mask = beside(masks, names[i], ".png");
        status = mask ? mcf_face_add(set, images, names[i], mask, no_box, NULL, 0, -1, 0, err)
                      : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    }
    free_names(names, count);
    free(images);
    free(masks);
    return status;
}
