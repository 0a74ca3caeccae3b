// AFLW-19 from AFLWinfo_release.mat, of MATLAB's version 5 or 7.3.
#include <matio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/faces/read.h"

enum { POINTS = 19, TRAIN = 20000, MOST = 1000000 };

// The value at `i` of a numeric array, whatever its type.
static double value_at(const matvar_t *v, size_t i)
{
    switch (v->data_type) {
    case MAT_T_DOUBLE:
        return ((const double *)v->data)[i];
    case MAT_T_SINGLE:
        return (double)((const float *)v->data)[i];
    case MAT_T_INT8:
        return ((const int8_t *)v->data)[i];
    case MAT_T_UINT8:
        return ((const uint8_t *)v->data)[i];
    case MAT_T_INT16:
        return ((const int16_t *)v->data)[i];
    case MAT_T_UINT16:
        return ((const uint16_t *)v->data)[i];
    case MAT_T_INT32:
        return ((const int32_t *)v->data)[i];
    case MAT_T_UINT32:
        return ((const uint32_t *)v->data)[i];
    case MAT_T_INT64:
        return (double)((const int64_t *)v->data)[i];
    case MAT_T_UINT64:
        return (double)((const uint64_t *)v->data)[i];
    default:
        return NAN;
    }
}

static bool is_array(const matvar_t *v, size_t rows, size_t columns)
{
    return v && v->data && v->rank == 2 && !v->isComplex && v->dims[0] == rows && v->dims[1] == columns &&
           v->class_type != MAT_C_CELL && v->class_type != MAT_C_STRUCT && v->class_type != MAT_C_CHAR &&
           v->class_type != MAT_C_SPARSE && v->nbytes >= rows * columns * Mat_SizeOf(v->data_type);
}

// The text of cell `i`, which holds one line of characters (or a cell that does); false where it does not.
static bool text_at(const matvar_t *cells, size_t i, char *out, size_t size)
{
    const matvar_t *v = ((matvar_t **)cells->data)[i];
    if (v && v->class_type == MAT_C_CELL && v->data && v->nbytes >= sizeof(matvar_t *))
        v = ((matvar_t **)v->data)[0];
    if (!v || v->class_type != MAT_C_CHAR || !v->data || v->rank != 2)
        return false;
    const size_t length = v->dims[0] * v->dims[1], each = Mat_SizeOf(v->data_type);
    if (length < 1 || length >= size || (each != 1 && each != 2) || v->nbytes < length * each)
        return false;
    for (size_t k = 0; k < length; k++) {
        const unsigned c = each == 1 ? ((const uint8_t *)v->data)[k] : ((const uint16_t *)v->data)[k];
        if (c < 32 || c > 126)
            return false;
        out[k] = (char)c;
    }
    out[length] = '\0';
    return true;
}

typedef struct {
    matvar_t *box, *data, *mask, *names, *order;
} aflw;

static mcf_status wrong(const mcf_face_set *set, int32_t file, const char *what, mcf_error *err)
{
    return mcf_face_wrong(set, file, 0, err,
                          "%s; AFLWinfo_release.mat has bbox [n, 4], data [n, 38], mask_new [n, 19], nameList {n} and "
                          "ra [n] that counts from 1",
                          what);
}

static mcf_status take_row(mcf_face_set *set, const aflw *a, size_t rows, size_t row, const char *images, int32_t file,
                           mcf_error *err)
{
    char name[512];
    double xy[2 * POINTS], side[4];
    bool visible = true;
    if (!text_at(a->names, row, name, sizeof name))
        return mcf_face_wrong(set, file, 0, err, "row %zu of nameList is no name of a picture", row + 1);
    // Columns lie one behind the other. bbox is left, right, top, bottom; data is 19 x, then 19 y.
    for (size_t i = 0; i < 4; i++)
        side[i] = value_at(a->box, i * rows + row);
    for (size_t p = 0; p < POINTS; p++) {
        for (size_t axis = 0; axis < 2; axis++) {
            const double value = value_at(a->data, (axis * POINTS + p) * rows + row);
            if (!(fabs(value) <= 1e6))
                return mcf_face_wrong(set, file, 0, err, "row %zu of data holds what is no pixel", row + 1);
            xy[2 * p + axis] = value;
        }
        visible = visible && value_at(a->mask, p * rows + row) != 0;
    }
    const double box[4] = {side[0], side[2], side[1], side[3]};
    return mcf_face_add(set, images, name, NULL, box, xy, visible ? 1 : 0, file, (int32_t)row + 1, err);
}

static mcf_status take(mcf_face_set *set, const aflw *a, const char *images, const char *split, int32_t file,
                       mcf_error *err)
{
    const size_t rows = a->names && a->names->rank == 2 ? a->names->dims[0] * a->names->dims[1] : 0;
    if (rows < 1 || rows > MOST || a->names->class_type != MAT_C_CELL || !a->names->data ||
        a->names->nbytes < rows * sizeof(matvar_t *))
        return wrong(set, file, "nameList is missing or no list of names", err);
    if (!is_array(a->box, rows, 4) || !is_array(a->data, rows, 2 * POINTS) || !is_array(a->mask, rows, POINTS))
        return wrong(set, file, "bbox, data or mask_new is missing or of another size", err);
    if (!is_array(a->order, 1, rows) && !is_array(a->order, rows, 1))
        return wrong(set, file, "ra is missing or of another size", err);
    const bool train = strcmp(split, "train") == 0, frontal = strcmp(split, "frontal") == 0;
    const size_t first = train ? 0 : TRAIN, last = train && rows > TRAIN ? TRAIN : rows;
    for (size_t i = first; i < last; i++) {
        const double row = value_at(a->order, i);
        if (!(row >= 1 && row <= (double)rows))
            return wrong(set, file, "ra holds what is no row", err);
        MCF_TRY(take_row(set, a, rows, (size_t)row - 1, images, file, err));
        if (frontal && set->count && !set->faces[set->count - 1].subsets) {
            set->count--;
            free(set->faces[set->count].image);
        }
    }
    return MCF_OK;
}

mcf_status mcf_read_aflw(mcf_face_set *set, const char *path, const char *split, mcf_error *err)
{
    static const char *const below[] = {"data/flickr", "flickr", "images", NULL};
    const bool folder = mcf_path_is_directory(path);
    char *parent = folder ? strdup(path) : mcf_path_parent(path);
    char *images = parent ? mcf_face_folder(parent, below) : NULL;
    char *name = folder ? mcf_path_join(path, "AFLWinfo_release.mat") : strdup(path);
    const int32_t file = name && images ? mcf_face_file(set, name) : -1;
    mcf_status status = MCF_OK;
    if (file < 0)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    else if (!mcf_path_exists(name))
        status = mcf_fail(err, MCF_ERR_IO, "%s: is not there", name);
    mat_t *mat = status == MCF_OK ? Mat_Open(name, MAT_ACC_RDONLY) : NULL;
    if (status == MCF_OK && !mat)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: is no file of MATLAB (version 5 or 7.3)", name);
    if (mat) {
        aflw a = {.box = Mat_VarRead(mat, "bbox"),
                  .data = Mat_VarRead(mat, "data"),
                  .mask = Mat_VarRead(mat, "mask_new"),
                  .names = Mat_VarRead(mat, "nameList"),
                  .order = Mat_VarRead(mat, "ra")};
        status = take(set, &a, images, split, file, err);
        Mat_VarFree(a.box);
        Mat_VarFree(a.data);
        Mat_VarFree(a.mask);
        Mat_VarFree(a.names);
        Mat_VarFree(a.order);
        Mat_Close(mat);
    }
    free(name);
    free(images);
    free(parent);
    return status;
}
