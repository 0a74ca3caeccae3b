#include "run/import_detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/output.h"
#include "data/formats/elf_symbols.h"
#include "data/formats/pth.h"
#include "data/formats/safetensors.h"
#include "data/formats/zip_member.h"

const char *const mcf_detector_names[MCF_DETECTOR_KINDS] = {"mtcnn", "yunet"};

enum { MAX_FILE = 16 << 20, MAX_TENSORS = 256, MAX_NUMBERS = 1 << 20 };

typedef struct {
    mcf_named_tensor tensors[MAX_TENSORS]; // names and data are owned
    size_t count;
} tensor_list;

static void free_list(tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)list->tensors[i].name);
        free(list->tensors[i].data);
    }
    list->count = 0;
}

// Room for a tensor named prefix + name; NULL: no memory, or too many.
static float *add(tensor_list *list, const char *prefix, const char *name, mcf_shape shape, int64_t count)
{
    if (list->count == MAX_TENSORS || count < 1 || count > MAX_NUMBERS)
        return NULL;
    const size_t length = strlen(prefix) + strlen(name) + 1;
    char *full = malloc(length);
    float *data = malloc((size_t)count * sizeof *data);
    if (!full || !data) {
        free(full);
        free(data);
        return NULL;
    }
    snprintf(full, length, "%s%s", prefix, name);
    list->tensors[list->count++] = (mcf_named_tensor){.name = full, .dtype = MCF_F32, .shape = shape, .data = data};
    return data;
}

static mcf_status read_part(const char *in, const char *name, char **bytes, size_t *size, mcf_error *err)
{
    if (!mcf_path_is_directory(in))
        return mcf_zip_member(in, name, MAX_FILE, bytes, size, err);
    char *path = mcf_path_join(in, name);
    if (!path)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", in);
    mcf_status status = mcf_file_read(path, MAX_FILE, bytes, size, err);
    free(path);
    return status;
}

// --- MTCNN

static mcf_status add_net(tensor_list *list, const char *in, const char *net, mcf_error *err)
{
    char name[32], prefix[32], *bytes;
    size_t size;
    mcf_pth *file;
    snprintf(name, sizeof name, "%snet.pt", net);
    snprintf(prefix, sizeof prefix, "%snet.", net);
    MCF_TRY(read_part(in, name, &bytes, &size, err));
    char label[1200];
    snprintf(label, sizeof label, "%.1100s: %s", in, name);
    mcf_status status = mcf_pth_open_memory(&file, bytes, size, label, err);
    for (size_t i = 0; status == MCF_OK && i < mcf_pth_count(file); i++) {
        const mcf_pth_entry *entry = mcf_pth_at(file, i);
        if (entry->object)
            continue;
        float *to = add(list, prefix, entry->name, entry->shape, entry->count);
        status = to ? mcf_pth_read_f32(file, entry, to, err)
                    : mcf_fail(err, MCF_ERR_FORMAT, "%s: %.80s is none of MTCNN's tensors, or memory is short", label,
                               entry->name);
    }
    mcf_pth_close(file);
    free(bytes);
    return status;
}

// --- YuNet

// backbone__model0_pw_weight and their like.
static bool is_parameter(const char *name)
{
    static const char *const begins[] = {"backbone__", "neck__", "bbox_head__"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncmp(name, begins[i], strlen(begins[i])))
            return true;
    return false;
}

static mcf_status add_library(tensor_list *list, const char *in, mcf_error *err)
{
    const char *const library = "libfacedetection.so";
    const size_t length = strlen(in);
    const bool itself = length > 3 && !strcmp(in + length - 3, ".so");
    char *bytes;
    size_t size, count;
    mcf_elf_object *objects;
    MCF_TRY(itself ? mcf_file_read(in, MAX_FILE, &bytes, &size, err) : read_part(in, library, &bytes, &size, err));
    mcf_status status = mcf_elf_objects((const uint8_t *)bytes, size, in, &objects, &count, err);
    for (size_t i = 0; status == MCF_OK && i < count; i++) {
        if (!is_parameter(objects[i].name) || objects[i].size % sizeof(float))
            continue;
        const int64_t numbers = (int64_t)(objects[i].size / sizeof(float));
        float *to = add(list, "", objects[i].name, MCF_SHAPE(numbers), numbers);
        if (to)
            memcpy(to, bytes + objects[i].offset, objects[i].size);
        else
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: %.80s is none of YuNet's arrays, or memory is short", in,
                              objects[i].name);
    }
    if (status == MCF_OK && list->count == 0)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: its library holds none of YuNet's arrays", in);
    free(objects);
    free(bytes);
    return status;
}

// O-Net out of a file of ours.
static mcf_status add_points(tensor_list *list, const char *path, mcf_error *err)
{
    mcf_safetensors *file;
    MCF_TRY(mcf_safetensors_open(&file, path, err));
    const size_t before = list->count;
    mcf_status status = MCF_OK;
    for (size_t i = 0; status == MCF_OK && i < mcf_safetensors_count(file); i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(file, i);
        if (strncmp(entry->name, "onet.", 5) != 0)
            continue;
        float *to = add(list, "", entry->name, entry->shape, (int64_t)entry->count);
        status = to ? mcf_safetensors_read_f32(file, entry, to, err)
                    : mcf_fail(err, MCF_ERR_FORMAT, "%s: %.80s is too large, or memory is short", path, entry->name);
    }
    mcf_safetensors_close(file);
    if (status == MCF_OK && list->count == before)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds no O-Net; make it with mcf import WHEEL --kind mtcnn", path);
    return status;
}

// Of a folder its files are the inputs.
static mcf_status check_place(const char *in, const char *out, mcf_error *err)
{
    static const char *const names[] = {"pnet.pt", "rnet.pt", "onet.pt", "libfacedetection.so"};
    mcf_status status = MCF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == MCF_OK && mcf_path_is_directory(in); i++) {
        char *path = mcf_path_join(in, names[i]);
        status = path ? mcf_output_differs(out, (const char *const *)&path, 1, err)
                      : mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", in);
        free(path);
    }
    return status;
}

mcf_status mcf_import_detector(const char *in, mcf_detector_kind kind, const char *points, const char *out,
                               mcf_import_detector_result *result, mcf_error *err)
{
    MCF_TRY(check_place(in, out, err));
    tensor_list *list = calloc(1, sizeof *list);
    if (!list)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", in);
    mcf_status status = MCF_OK;
    if (kind == MCF_DETECTOR_MTCNN) {
        static const char *const nets[] = {"p", "r", "o"};
        for (int i = 0; i < 3 && status == MCF_OK; i++)
            status = add_net(list, in, nets[i], err);
    } else {
        status = add_library(list, in, err);
        if (status == MCF_OK && points)
            status = add_points(list, points, err);
    }
    const char *const metadata[] = {"format", "pt", "kind", mcf_detector_names[kind], NULL};
    if (status == MCF_OK)
        status = mcf_safetensors_save(out, list->tensors, list->count, metadata, NULL, NULL, err);
    if (status == MCF_OK && result) {
        *result = (mcf_import_detector_result){.tensors = (int)list->count};
        for (size_t i = 0; i < list->count; i++)
            result->numbers += (long long)mcf_shape_count(&list->tensors[i].shape);
    }
    free_list(list);
    free(list);
    return status;
}
