// Reader. The writer is in safetensors_write.c.
#define _GNU_SOURCE
#include "base/file.h"
#include "data/formats/safetensors.h"
#include "data/impostor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in the file");

static const struct stored_type {
    const char *name;
    int size;
    int dtype; // mcf_dtype or -1
} stored_types[] = {
    {"F32", 4, MCF_F32}, {"F64", 8, MCF_F64}, {"F16", 2, MCF_F16}, {"BF16", 2, MCF_BF16}, {"I64", 8, MCF_I64},
    {"I32", 4, MCF_I32}, {"U8", 1, MCF_U8},   {"I16", 2, -1},      {"I8", 1, -1},         {"U64", 8, -1},
    {"U32", 4, -1},      {"U16", 2, -1},      {"BOOL", 1, -1},     {"F8_E4M3", 1, -1},    {"F8_E5M2", 1, -1},
};

struct mcf_safetensors {
    char *path;
    int fd;                     // -1: in memory
    const unsigned char *bytes; // in memory
    uint64_t size;
    uint64_t data; // where the tensors' bytes start
    json_t *header;
    mcf_safetensors_entry *entries; // in file order
    size_t count;
    uint32_t *by_name;
};

// Foreign names in messages: short, printable.
static const char *quoted(const char *name, char *buffer, size_t size)
{
    size_t n = 0;
    for (; *name && n + 5 < size; name++)
        buffer[n++] = (unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name;
    buffer[n] = '\0';
    if (*name)
        strcpy(buffer + n, "...");
    return buffer;
}

static mcf_status bad(const mcf_safetensors *file, mcf_error *err, const char *what)
{
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: not a valid safetensors file: %s", file->path, what);
}

static mcf_status bad_tensor(const mcf_safetensors *file, mcf_error *err, const char *name, const char *what)
{
    char buffer[96];
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: not a valid safetensors file: tensor '%s': %s", file->path,
                    quoted(name, buffer, sizeof(buffer)), what);
}

static mcf_status read_bytes(const mcf_safetensors *file, void *bytes, size_t size, uint64_t offset, mcf_error *err)
{
    if (file->fd >= 0)
        return mcf_file_read_at(file->fd, bytes, size, offset, file->path, err);
    if (size > 0)
        memcpy(bytes, file->bytes + offset, size);
    return MCF_OK;
}

// Before the JSON parser allocates: depth and count of values.
static bool header_is_modest(const char *text, size_t size)
{
    size_t values = 0;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            values++;
            if (++depth > 4)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',') {
            values++;
        }
    }
    return values <= MCF_SAFETENSORS_MAX_VALUES;
}

static bool json_unsigned(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static mcf_status read_entry(mcf_safetensors *file, const char *name, const json_t *value, mcf_safetensors_entry *entry,
                             mcf_error *err)
{
    const json_t *dtype = json_object_get(value, "dtype");
    const json_t *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return bad_tensor(file, err, name, "needs dtype, shape and two data_offsets");
    const struct stored_type *type = NULL;
    for (size_t i = 0; i < sizeof(stored_types) / sizeof(stored_types[0]); i++)
        if (strcmp(stored_types[i].name, json_string_value(dtype)) == 0)
            type = &stored_types[i];
    if (!type) {
        char a[96], b[40];
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: tensor '%s' has the unknown dtype '%s'", file->path,
                        quoted(name, a, sizeof(a)), quoted(json_string_value(dtype), b, sizeof(b)));
    }
    if (json_array_size(shape) > MCF_MAX_RANK)
        return bad_tensor(file, err, name, "has more than 6 dimensions");
    entry->name = name;
    entry->stored = type->name;
    entry->native = type->dtype >= 0;
    entry->dtype = type->dtype >= 0 ? (mcf_dtype)type->dtype : MCF_U8;
    entry->shape.rank = (int)json_array_size(shape);
    for (int i = 0; i < entry->shape.rank; i++) {
        uint64_t dim;
        if (!json_unsigned(json_array_get(shape, (size_t)i), &dim))
            return bad_tensor(file, err, name, "has a size that is no count");
        entry->shape.dim[i] = (int64_t)dim;
    }
    int64_t count;
    mcf_error ignored;
    if (mcf_shape_count_checked(&entry->shape, &count, &ignored) != MCF_OK)
        return bad_tensor(file, err, name, "has a shape that overflows");
    uint64_t begin, end, size, room = file->size - file->data;
    if (!json_unsigned(json_array_get(offsets, 0), &begin) || !json_unsigned(json_array_get(offsets, 1), &end) ||
        begin > end)
        return bad_tensor(file, err, name, "has offsets that are no range");
    if (end > room)
        return bad_tensor(file, err, name, "ends behind the end of the file: the file is truncated");
    if (__builtin_mul_overflow((uint64_t)count, (uint64_t)type->size, &size) || size != end - begin)
        return bad_tensor(file, err, name, "has offsets that do not fit its shape and dtype");
    entry->count = (uint64_t)count;
    entry->size = size;
    entry->offset = file->data + begin;
    return MCF_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const mcf_safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b, void *entries)
{
    const mcf_safetensors_entry *e = entries;
    return strcmp(e[*(const uint32_t *)a].name, e[*(const uint32_t *)b].name);
}

static mcf_status read_header(mcf_safetensors *file, mcf_error *err)
{
    uint64_t length;
    if (file->size < 8)
        return bad(file, err, "shorter than 8 bytes");
    MCF_TRY(read_bytes(file, &length, 8, 0, err));
    if (length > MCF_SAFETENSORS_MAX_HEADER)
        return bad(file, err, "the header is longer than 100 MB");
    if (length > file->size - 8)
        return bad(file, err, "the header ends behind the end of the file: the file is truncated");
    file->data = 8 + length;
    char *text = malloc(length + 1);
    if (!text)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the header", file->path);
    mcf_status status = read_bytes(file, text, length, 8, err);
    if (status == MCF_OK && (length == 0 || text[0] != '{'))
        status = bad(file, err, "the header is no JSON object");
    if (status == MCF_OK && !header_is_modest(text, length))
        status = bad(file, err, "the header is nested too deeply or holds too many values");
    if (status == MCF_OK) {
        json_error_t json_error = {.text = ""};
        file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json_error);
        // Without memory jansson gives up with this code, or with no words at all: the file is not to blame.
        if (!file->header && (json_error_code(&json_error) == json_error_out_of_memory || !json_error.text[0])) {
            status = mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the header", file->path);
        } else if (!file->header) {
            char words[JSON_ERROR_TEXT_LENGTH];
            char what[JSON_ERROR_TEXT_LENGTH + 80];
            snprintf(what, sizeof(what), "header: %s at byte %d", quoted(json_error.text, words, sizeof(words)),
                     8 + json_error.position);
            status = bad(file, err, what);
        } else if (!json_is_object(file->header)) {
            status = bad(file, err, "the header is no JSON object");
        }
    }
    free(text);
    return status;
}

static mcf_status read_entries(mcf_safetensors *file, mcf_error *err)
{
    size_t room = json_object_size(file->header);
    file->entries = calloc(room + 1, sizeof(*file->entries));
    file->by_name = calloc(room + 1, sizeof(*file->by_name));
    if (!file->entries || !file->by_name)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for %zu tensors", file->path, room);
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, "__metadata__") != 0) {
            MCF_TRY(read_entry(file, name, value, &file->entries[file->count], err));
            file->by_name[file->count] = (uint32_t)file->count;
            file->count++;
            continue;
        }
        const char *key;
        json_t *text;
        if (!json_is_object(value))
            return bad(file, err, "__metadata__ is no object");
        json_object_foreach(value, key, text) if (!json_is_string(text)) return bad(
            file, err, "__metadata__ holds more than strings");
    }
    qsort(file->entries, file->count, sizeof(*file->entries), compare_offsets);
    uint64_t end = file->data;
    for (size_t i = 0; i < file->count; i++) {
        const mcf_safetensors_entry *entry = &file->entries[i];
        if (entry->offset != end)
            return bad_tensor(file, err, entry->name,
                              entry->offset < end ? "overlaps another tensor" : "leaves a hole before it");
        end += entry->size;
    }
    if (end != file->size)
        return bad(file, err, "there are bytes behind the last tensor");
    qsort_r(file->by_name, file->count, sizeof(*file->by_name), compare_names, file->entries);
    return MCF_OK;
}

static mcf_status open_any(mcf_safetensors **out, int fd, const void *bytes, uint64_t size, const char *path,
                           mcf_error *err)
{
    mcf_safetensors *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(path))) {
        free(file);
        if (fd >= 0)
            close(fd);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    file->fd = fd;
    file->bytes = bytes;
    file->size = size;
    mcf_status status = read_header(file, err);
    if (status == MCF_OK)
        status = read_entries(file, err);
    if (status != MCF_OK) {
        mcf_safetensors_close(file);
        return status;
    }
    *out = file;
    return MCF_OK;
}

mcf_status mcf_safetensors_open(mcf_safetensors **file, const char *path, mcf_error *err)
{
    *file = NULL;
    int fd;
    uint64_t size;
    char first[512];
    MCF_TRY(mcf_file_open(path, &fd, &size, err));
    const ssize_t got = pread(fd, first, sizeof first, 0);
    const char *impostor = got > 0 ? mcf_impostor_weights(first, (size_t)got) : NULL;
    if (impostor) {
        close(fd);
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: is %s", path, impostor);
    }
    return open_any(file, fd, NULL, size, path, err);
}

mcf_status mcf_safetensors_open_memory(mcf_safetensors **file, const void *bytes, size_t size, const char *label,
                                       mcf_error *err)
{
    *file = NULL;
    return open_any(file, -1, bytes, size, label, err);
}

void mcf_safetensors_close(mcf_safetensors *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    json_decref(file->header);
    free(file->entries);
    free(file->by_name);
    free(file->path);
    free(file);
}

const char *mcf_safetensors_path(const mcf_safetensors *file)
{
    return file->path;
}

size_t mcf_safetensors_count(const mcf_safetensors *file)
{
    return file->count;
}

const mcf_safetensors_entry *mcf_safetensors_at(const mcf_safetensors *file, size_t index)
{
    return index < file->count ? &file->entries[index] : NULL;
}

const mcf_safetensors_entry *mcf_safetensors_find(const mcf_safetensors *file, const char *name)
{
    size_t low = 0, high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const mcf_safetensors_entry *entry = &file->entries[file->by_name[middle]];
        int order = strcmp(name, entry->name);
        if (order == 0)
            return entry;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *mcf_safetensors_metadata(const mcf_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

mcf_status mcf_safetensors_read(const mcf_safetensors *file, const mcf_safetensors_entry *entry, void *bytes,
                                mcf_error *err)
{
    return read_bytes(file, bytes, entry->size, entry->offset, err);
}

#define CONVERT(type, expression)                                                                                      \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        type x;                                                                                                        \
        memcpy(&x, raw + i * sizeof(x), sizeof(x));                                                                    \
        values[i] = (float)(expression);                                                                               \
    }                                                                                                                  \
    return true

static bool convert(const char *stored, const unsigned char *raw, size_t n, float *values)
{
    if (strcmp(stored, "F64") == 0) {
        CONVERT(double, x);
    } else if (strcmp(stored, "F16") == 0) {
        CONVERT(uint16_t, mcf_f16_to_f32(x));
    } else if (strcmp(stored, "BF16") == 0) {
        CONVERT(uint16_t, mcf_bf16_to_f32(x));
    } else if (strcmp(stored, "I64") == 0) {
        CONVERT(int64_t, x);
    } else if (strcmp(stored, "U64") == 0) {
        CONVERT(uint64_t, x);
    } else if (strcmp(stored, "I32") == 0) {
        CONVERT(int32_t, x);
    } else if (strcmp(stored, "U32") == 0) {
        CONVERT(uint32_t, x);
    } else if (strcmp(stored, "I16") == 0) {
        CONVERT(int16_t, x);
    } else if (strcmp(stored, "U16") == 0) {
        CONVERT(uint16_t, x);
    } else if (strcmp(stored, "I8") == 0) {
        CONVERT(int8_t, x);
    } else if (strcmp(stored, "U8") == 0) {
        CONVERT(uint8_t, x);
    } else if (strcmp(stored, "BOOL") == 0) {
        CONVERT(uint8_t, x != 0);
    }
    return false;
}

mcf_status mcf_safetensors_read_f32(const mcf_safetensors *file, const mcf_safetensors_entry *entry, float *values,
                                    mcf_error *err)
{
    if (entry->native && entry->dtype == MCF_F32)
        return mcf_safetensors_read(file, entry, values, err);
    unsigned char raw[8192]; // a multiple of every element size
    size_t width = entry->count ? entry->size / entry->count : 1;
    uint64_t done = 0;
    do {
        uint64_t left = entry->count - done;
        size_t n = left < sizeof(raw) / width ? (size_t)left : sizeof(raw) / width;
        MCF_TRY(read_bytes(file, raw, n * width, entry->offset + done * width, err));
        if (!convert(entry->stored, raw, n, values + done))
            return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: tensor '%s' is stored as %s, which cannot be read as f32",
                            file->path, entry->name, entry->stored);
        done += n;
    } while (done < entry->count);
    return MCF_OK;
}

mcf_status mcf_safetensors_read_exact(const mcf_safetensors *file, const char *name, mcf_dtype dtype,
                                      const mcf_shape *shape, void *bytes, mcf_error *err)
{
    char got[128], want[128];
    const mcf_safetensors_entry *entry = mcf_safetensors_find(file, name);
    if (!entry)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: there is no tensor '%s'", file->path, name);
    if (!mcf_shape_equal(&entry->shape, shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: tensor '%s' has shape %s where %s is needed", file->path, name,
                        mcf_shape_print(&entry->shape, got, sizeof(got)), mcf_shape_print(shape, want, sizeof(want)));
    if (!entry->native || entry->dtype != dtype)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: tensor '%s' is stored as %s where %s is needed", file->path, name,
                        entry->stored, mcf_dtype_name(dtype));
    return mcf_safetensors_read(file, entry, bytes, err);
}
