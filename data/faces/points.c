// Files of points: .pts, comma-separated tables, JSON, LaPa's landmarks; and the plain layout that is made of them.
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/faces/read.h"

enum { FAR = 1000000, MAX_POINT_FILE = 1 << 20 };

static bool blank(const char *line)
{
    return line[strspn(line, " \t")] == '\0';
}

// "x y" and nothing behind it.
static bool take_pair(char *line, double xy[2])
{
    for (int axis = 0; axis < 2; axis++)
        if (!mcf_take_number(&line, 0, xy + axis) || fabs(xy[axis]) > FAR)
            return false;
    return blank(line);
}

mcf_status mcf_pts_parse(char *bytes, size_t size, const char *path, int most, double *xy, int *points, mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    int count = -1, got = 0, state = 0; // 0: head, 1: points, 2: behind the brace
    for (char *line; (line = mcf_lines_next(&lines));) {
        if (blank(line))
            continue;
        line += strspn(line, " \t");
        if (state == 0 && strncmp(line, "version", 7) == 0)
            continue;
        char *colon = strchr(line, ':');
        double number;
        if (state == 0 && strncmp(line, "n_points", 8) == 0 && colon) {
            colon++;
            if (!mcf_take_number(&colon, 0, &number) || number < 1 || number > most || number != floor(number))
                return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: n_points is no whole number from 1 to %d", path,
                                lines.line, most);
            count = (int)number;
        } else if (state == 0 && line[0] == '{' && count > 0) {
            state = 1;
        } else if (state == 1 && line[0] == '}') {
            state = 2;
        } else if (state == 1 && got < count) {
            if (!take_pair(line, xy + 2 * got))
                return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: is no point \"x y\"", path, lines.line);
            got++;
        } else {
            return mcf_fail(
                err, MCF_ERR_FORMAT,
                "%s: line %d: is not expected here; a .pts file is version, n_points, {, one point a line, }", path,
                lines.line);
        }
    }
    if (state != 2 || got != count)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: the file ends after %d of %d points", path, lines.line, got,
                        count < 0 ? 0 : count);
    *points = count;
    return MCF_OK;
}

mcf_status mcf_lapa_parse(char *bytes, size_t size, const char *path, int most, double *xy, int *points, mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    char *line = mcf_lines_next(&lines);
    double number;
    if (!line || !mcf_take_number(&line, 0, &number) || number < 1 || number > most || number != floor(number))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: line 1: is not the number of points, 1 to %d", path, most);
    *points = (int)number;
    for (int got = 0; got < *points; got++) {
        line = mcf_lines_next(&lines);
        if (!line)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: the file ends after %d of %d points", path, lines.line,
                            got, *points);
        if (!take_pair(line, xy + 2 * got))
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: is no point \"x y\"", path, lines.line);
    }
    while ((line = mcf_lines_next(&lines)))
        if (!blank(line))
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %d: there are more than %d points", path, lines.line,
                            *points);
    return MCF_OK;
}

// --- comma-separated

typedef enum { LEAD_NONE, LEAD_HRNET, LEAD_BOX } csv_lead;

static int count_fields(const char *line)
{
    int fields = 1;
    for (; *line; line++)
        fields += *line == ',';
    return fields;
}

// The numbers behind the picture's name: `lead` of them, then pairs.
static mcf_status take_row(mcf_face_set *set, char *line, int fields, csv_lead lead, int32_t file, int32_t number,
                           const char *folder, double first, double *xy, mcf_error *err)
{
    double head[4] = {0}, box[4];
    const int heads = lead == LEAD_HRNET ? 3 : lead == LEAD_BOX ? 4 : 0, points = (fields - 1 - heads) / 2;
    if (count_fields(line) != fields)
        return mcf_face_wrong(set, file, number, err, "has %d columns, not %d", count_fields(line), fields);
    char *at = strchr(line, ',');
    if (!at || at == line)
        return mcf_face_wrong(set, file, number, err, "does not begin with the name of a picture");
    *at++ = '\0';
    for (int i = 0; i < heads + 2 * points; i++) {
        double *value = i < heads ? head + i : xy + (i - heads);
        if (!mcf_take_number(&at, ',', value) || fabs(*value) > FAR)
            return mcf_face_wrong(set, file, number, err, "column %d is no number of pixels", i + 2);
    }
    if (lead == LEAD_HRNET)
        for (int axis = 0; axis < 2; axis++) {
            box[axis] = head[1 + axis] - first - 100 * head[0];
            box[axis + 2] = head[1 + axis] - first + 100 * head[0];
        }
    else if (lead == LEAD_BOX)
        for (int i = 0; i < 4; i++)
            box[i] = head[i] - first;
    else
        mcf_face_box_of_points(xy, points, first, box);
    for (int i = 0; i < 2 * points; i++)
        xy[i] -= first;
    return mcf_face_add(set, folder, line, NULL, box, xy, 0, file, number, err);
}

mcf_status mcf_csv_parse(mcf_face_set *set, char *bytes, size_t size, int32_t file, const char *folder, double first,
                         mcf_error *err)
{
    mcf_lines lines = mcf_lines_make(bytes, size);
    char *line = mcf_lines_next(&lines);
    csv_lead lead = LEAD_NONE;
    mcf_status status = MCF_OK;
    if (!line || blank(line))
        return mcf_face_wrong(set, file, 1, err, "there is no row");
    const int fields = count_fields(line);
    char *second = strchr(line, ',');
    double number;
    char *probe = second ? second + 1 : line;
    const bool header = !second || !mcf_take_number(&probe, ',', &number);
    if (header && second && strncmp(second, ",scale,center_w,center_h", 24) == 0)
        lead = LEAD_HRNET;
    else if (header && second && strncmp(second, ",x1,y1,x2,y2,", 13) == 0)
        lead = LEAD_BOX;
    const int heads = lead == LEAD_HRNET ? 3 : lead == LEAD_BOX ? 4 : 0;
    if (fields < 3 + heads || (fields - 1 - heads) % 2)
        return mcf_face_wrong(set, file, 1, err,
                              "has %d columns; a picture's name, then scale,center_w,center_h (HRNet) or x1,y1,x2,y2 "
                              "(a box) or neither, then two for each point are wanted",
                              fields);
    MCF_TRY(mcf_face_hold_points(set, (fields - 1 - heads) / 2, file, 1, err));
    double *xy = malloc((size_t)set->points * 2 * sizeof *xy);
    if (!xy)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d points", set->points);
    if (header)
        line = mcf_lines_next(&lines);
    for (; line && status == MCF_OK; line = mcf_lines_next(&lines))
        if (!blank(line))
            status = take_row(set, line, fields, lead, file, lines.line, folder, first, xy, err);
    free(xy);
    return status;
}

// --- JSON

static mcf_status take_object(mcf_face_set *set, const json_t *object, int32_t file, int32_t number, const char *folder,
                              const char *name, mcf_error *err)
{
    const json_t *points = json_object_get(object, "points"), *given = json_object_get(object, "box");
    const char *image = json_string_value(json_object_get(object, "image"));
    const int count = (int)json_array_size(points);
    double box[4] = {0};
    image = image && image[0] ? image : name;
    if (!image)
        return mcf_face_wrong(set, file, 0, err, "face %d has no \"image\"", number);
    // Boxes without points are enough to predict on; all faces of a set are of one kind.
    const bool box_alone = count < 1 && !points && json_is_array(given);
    if (json_array_size(points) > MCF_FACE_MAX_POINTS || (count < 1 && !box_alone) ||
        (box_alone ? set->points > 0 : set->count > 0 && set->points == 0))
        return mcf_face_wrong(set, file, 0, err, "face %d has no \"points\": [[x, y], ...], or is the first that has",
                              number);
    if (!box_alone)
        MCF_TRY(mcf_face_hold_points(set, count, file, 0, err));
    double *xy = calloc((size_t)count * 2 + 1, sizeof *xy);
    if (!xy)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d points", count);
    bool right = true;
    for (int i = 0; i < 2 * count; i++) {
        const json_t *value = json_array_get(json_array_get(points, (size_t)i / 2), (size_t)i % 2);
        xy[i] = json_number_value(value);
        right = right && json_is_number(value) && fabs(xy[i]) <= FAR;
    }
    if (!box_alone)
        mcf_face_box_of_points(xy, count, 0, box);
    for (int i = 0; given && !json_is_null(given) && i < 4; i++) {
        const json_t *value = json_array_get(given, (size_t)i);
        box[i] = json_number_value(value);
        right = right && json_array_size(given) == 4 && json_is_number(value) && fabs(box[i]) <= FAR;
    }
    mcf_status status =
        right ? mcf_face_add(set, folder, image, NULL, box, xy, 0, file, 0, err)
              : mcf_face_wrong(set, file, 0, err,
                               "face %d (%s): its points are no [x, y], or its box no [x1, y1, x2, y2]", number, image);
    free(xy);
    return status;
}

mcf_status mcf_face_json_parse(mcf_face_set *set, const char *bytes, size_t size, int32_t file, const char *folder,
                               const char *name, mcf_error *err)
{
    json_error_t fault;
    json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &fault);
    mcf_status status = MCF_OK;
    if (!json)
        return mcf_face_wrong(set, file, fault.line > 0 ? fault.line : 0, err, "%s", fault.text);
    if (json_is_array(json))
        for (size_t i = 0; status == MCF_OK && i < json_array_size(json); i++)
            status = take_object(set, json_array_get(json, i), file, (int32_t)i + 1, folder, NULL, err);
    else
        status = take_object(set, json, file, 1, folder, name, err);
    json_decref(json);
    return status;
}

// --- folders of pictures with .pts or .json beside them

static const char *const picture_ends[] = {".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG"};

// The picture whose name is path without its ending; malloc'd; NULL: none (or no memory).
static char *picture_of(const char *path)
{
    const size_t stem = strlen(path) - strlen(strrchr(path, '.'));
    char *name = malloc(stem + 8);
    for (size_t i = 0; name && i < sizeof picture_ends / sizeof *picture_ends; i++) {
        memcpy(name, path, stem);
        strcpy(name + stem, picture_ends[i]);
        if (mcf_path_exists(name))
            return name;
    }
    free(name);
    return NULL;
}

static mcf_status read_pts(mcf_face_set *set, const char *path, const char *picture, uint32_t subsets, mcf_error *err)
{
    char *bytes = NULL;
    size_t size;
    int points;
    double box[4];
    const int32_t file = mcf_face_file(set, path);
    double *xy = malloc(MCF_FACE_MAX_POINTS * 2 * sizeof *xy);
    mcf_status status = xy && file >= 0 ? mcf_file_read(path, MAX_POINT_FILE, &bytes, &size, err)
                                        : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_pts_parse(bytes, size, path, MCF_FACE_MAX_POINTS, xy, &points, err);
    if (status == MCF_OK)
        status = mcf_face_hold_points(set, points, file, 0, err);
    if (status == MCF_OK) {
        mcf_face_box_of_points(xy, points, 1, box);
        for (int i = 0; i < 2 * points; i++)
            xy[i] -= 1;
        status = mcf_face_add(set, "", picture, NULL, box, xy, subsets, file, 0, err);
    }
    free(bytes);
    free(xy);
    return status;
}

static mcf_status read_json(mcf_face_set *set, const char *path, const char *picture, mcf_error *err)
{
    char *bytes = NULL, *folder = mcf_path_parent(path);
    size_t size;
    int32_t file;
    mcf_status status = folder ? mcf_face_text(set, path, &bytes, &size, &file, err)
                               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    // Beside a picture: that picture is meant. Alone: a list that names pictures.
    if (status == MCF_OK)
        status = mcf_face_json_parse(set, bytes, size, file, picture ? "" : folder, picture, err);
    free(bytes);
    free(folder);
    return status;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

static mcf_status read_entry(mcf_face_set *set, const char *path, uint32_t subsets, int depth, mcf_error *err);

static mcf_status read_folder(mcf_face_set *set, const char *folder, uint32_t subsets, int depth, mcf_error *err)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, visible, NULL);
    mcf_status status = count < 0 ? mcf_fail(err, MCF_ERR_IO, "%s: %s", folder, strerror(errno)) : MCF_OK;
    // By bytes, so that the order does not depend on file system and locale.
    if (count > 1)
        qsort(entries, (size_t)count, sizeof *entries, by_name);
    for (int i = 0; i < count; i++) {
        char *path = status == MCF_OK ? mcf_path_join(folder, entries[i]->d_name) : NULL;
        if (path)
            status = read_entry(set, path, subsets, depth, err);
        else if (status == MCF_OK)
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
        free(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return status;
}

static mcf_status read_entry(mcf_face_set *set, const char *path, uint32_t subsets, int depth, mcf_error *err)
{
    const char *end = strrchr(path, '.');
    if (mcf_path_is_directory(path))
        return depth < 16 ? read_folder(set, path, subsets, depth + 1, err)
                          : mcf_fail(err, MCF_ERR_FORMAT, "%s: folders are nested more than 16 deep", path);
    const bool pts = end && strcmp(end, ".pts") == 0, json = end && strcmp(end, ".json") == 0;
    if (!pts && !json)
        return MCF_OK;
    char *picture = picture_of(path);
    mcf_status status = MCF_OK;
    if (pts) {
        // A picture that is missing is found missing later, under the commonest name.
        char *name = picture ? NULL : strdup(path);
        if (name)
            strcpy(strrchr(name, '.'), ".jpg");
        status = read_pts(set, path, picture ? picture : name ? name : path, subsets, err);
        free(name);
    } else if (picture) {
        status = read_json(set, path, picture, err);
    }
    free(picture);
    return status;
}

mcf_status mcf_read_pts_folder(mcf_face_set *set, const char *folder, const char *below, uint32_t subsets,
                               mcf_error *err)
{
    char *path = below[0] ? mcf_path_join(folder, below) : strdup(folder);
    mcf_status status = path ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (path && mcf_path_is_directory(path))
        status = read_folder(set, path, subsets, 0, err);
    free(path);
    return status;
}

static mcf_status read_table(mcf_face_set *set, const char *path, mcf_error *err)
{
    static const char *const below[] = {"images", NULL};
    char *bytes = NULL, *parent = mcf_path_parent(path), *folder = parent ? mcf_face_folder(parent, below) : NULL;
    size_t size;
    int32_t file;
    mcf_status status = folder ? mcf_face_text(set, path, &bytes, &size, &file, err)
                               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_csv_parse(set, bytes, size, file, folder, 0, err);
    free(bytes);
    free(folder);
    free(parent);
    return status;
}

mcf_status mcf_read_plain_points(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    const char *end = strrchr(path, '.');
    (void)split;
    if (!mcf_path_is_directory(path)) {
        if (end && strcasecmp(end, ".csv") == 0)
            return read_table(set, path, err);
        if (end && strcasecmp(end, ".json") == 0)
            return read_json(set, path, NULL, err);
        return mcf_fail(err, MCF_ERR_USAGE, "%s: is no folder, no .csv and no .json", path);
    }
    char *table = mcf_path_join(path, "points.csv");
    mcf_status status = !table                   ? mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels")
                        : mcf_path_exists(table) ? read_table(set, table, err)
                                                 : mcf_read_pts_folder(set, path, "", 0, err);
    free(table);
    return status;
}
