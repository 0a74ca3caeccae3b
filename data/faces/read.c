#include "data/faces/read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

mcf_lines mcf_lines_make(char *bytes, size_t size)
{
    const size_t mark = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return (mcf_lines){.at = bytes + mark, .end = bytes + size};
}

char *mcf_lines_next(mcf_lines *l)
{
    if (l->at >= l->end)
        return NULL;
    char *line = l->at, *stop = memchr(line, '\n', (size_t)(l->end - line));
    char *last = stop ? stop : l->end;
    l->at = stop ? stop + 1 : l->end;
    if (last > line && last[-1] == '\r')
        last--;
    *last = '\0';
    l->line++;
    return line;
}

bool mcf_take_number(char **at, char separator, double *value)
{
    char *stop;
    while (**at == ' ' || **at == '\t')
        (*at)++;
    // strtod would read "nan", "inf" and hexadecimal numbers too.
    if (!**at || !strchr("+-.0123456789", **at))
        return false;
    *value = strtod(*at, &stop);
    if (stop == *at || !isfinite(*value) || memchr(*at, 'x', (size_t)(stop - *at)))
        return false;
    while (*stop == ' ' || *stop == '\t')
        stop++;
    if (separator && *stop == separator)
        stop++;
    else if (separator ? *stop != '\0' : *stop && stop[-1] != ' ' && stop[-1] != '\t')
        return false;
    *at = stop;
    return true;
}

int32_t mcf_face_file(mcf_face_set *set, const char *path)
{
    char **files = realloc(set->files, (size_t)(set->file_count + 1) * sizeof *files);
    char *copy = strdup(path);
    if (files)
        set->files = files;
    if (!files || !copy) {
        free(copy);
        return -1;
    }
    set->files[set->file_count] = copy;
    return set->file_count++;
}

mcf_status mcf_face_wrong(const mcf_face_set *set, int32_t file, int32_t line, mcf_error *err, const char *format, ...)
{
    char place[600];
    va_list args;
    va_start(args, format);
    mcf_vfail(err, MCF_ERR_FORMAT, format, args);
    va_end(args);
    return mcf_add_context(err, MCF_ERR_FORMAT, "%s", mcf_face_where(set, file, line, place, sizeof place));
}

mcf_status mcf_face_hold_points(mcf_face_set *set, int points, int32_t file, int32_t line, mcf_error *err)
{
    if (points < 1 || points > MCF_FACE_MAX_POINTS)
        return mcf_face_wrong(set, file, line, err, "a face has %d points; 1 to %d are allowed", points,
                              MCF_FACE_MAX_POINTS);
    if (!set->points)
        set->points = points;
    return set->points == points
               ? MCF_OK
               : mcf_face_wrong(set, file, line, err, "the face has %d points, not %d", points, set->points);
}

static mcf_status add_fault(mcf_face_set *set, int32_t file, int32_t line, const char *what, mcf_error *err)
{
    if (set->fault_count == set->fault_room) {
        const int64_t more = set->fault_room ? 2 * set->fault_room : 16;
        mcf_face_fault *faults = realloc(set->faults, (size_t)more * sizeof *faults);
        if (!faults)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
        set->faults = faults;
        set->fault_room = more;
    }
    char *copy = strdup(what);
    if (!copy)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    set->faults[set->fault_count++] = (mcf_face_fault){.file = file, .line = line, .what = copy};
    return MCF_OK;
}

static mcf_status grow(mcf_face_set *set, mcf_error *err)
{
    if (set->count < set->room)
        return MCF_OK;
    const int64_t more = set->room ? 2 * set->room : 64;
    mcf_face *faces = realloc(set->faces, (size_t)more * sizeof *faces);
    if (faces)
        set->faces = faces;
    double *xy = set->points ? realloc(set->xy, (size_t)more * (size_t)set->points * 2 * sizeof *xy) : NULL;
    if (xy)
        set->xy = xy;
    if (!faces || (set->points && !xy))
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels of %lld faces", (long long)more);
    set->room = more;
    return MCF_OK;
}

mcf_status mcf_face_add(mcf_face_set *set, const char *folder, const char *name, char *mask, const double box[4],
                        const double *xy, uint32_t subsets, int32_t file, int32_t line, mcf_error *err)
{
    // A box is asked for where the layout crops by it; a few pixels in 1e7 keep all later arithmetic finite.
    bool usable = set->layout->crop != MCF_CROP_OF_BOX || (box[2] > box[0] && box[3] > box[1]);
    for (int i = 0; i < 4; i++)
        usable = usable && fabs(box[i]) < 1e7;
    if (!usable) {
        char what[400];
        snprintf(what, sizeof what, "%s: the box (%g, %g, %g, %g) has no area, or lies nowhere", name, box[0], box[1],
                 box[2], box[3]);
        free(mask);
        return add_fault(set, file, line, what, err);
    }
    mcf_status status = grow(set, err);
    char *image = status == MCF_OK ? mcf_path_join(folder, name) : NULL;
    if (!image) {
        free(mask);
        return status != MCF_OK ? status : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    }
    mcf_face *face = &set->faces[set->count];
    *face = (mcf_face){.image = image, .mask = mask, .subsets = subsets, .file = file, .line = line};
    memcpy(face->box, box, sizeof face->box);
    if (set->points)
        memcpy(set->xy + set->count * set->points * 2, xy, (size_t)set->points * 2 * sizeof *xy);
    set->count++;
    return MCF_OK;
}

mcf_status mcf_face_text(mcf_face_set *set, const char *path, char **bytes, size_t *size, int32_t *file, mcf_error *err)
{
    *file = mcf_face_file(set, path);
    if (*file < 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    return mcf_file_read(path, MCF_FACE_MAX_FILE, bytes, size, err);
}

char *mcf_face_folder(const char *root, const char *const *names)
{
    for (; *names; names++) {
        char *path = mcf_path_join(root, *names);
        if (!path || mcf_path_is_directory(path))
            return path;
        free(path);
    }
    return strdup(root);
}

char *mcf_face_where(const mcf_face_set *set, int32_t file, int32_t line, char *buffer, size_t size)
{
    const char *path = file >= 0 && file < set->file_count ? set->files[file] : "a label";
    if (line > 0)
        snprintf(buffer, size, "%s: line %d", path, line);
    else
        snprintf(buffer, size, "%s", path);
    return buffer;
}
