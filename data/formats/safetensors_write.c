#define _GNU_SOURCE
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/output.h"
#include "data/formats/safetensors.h"

struct mcf_safetensors_writer {
    char *path;
    mcf_file_writer *file;
    json_t *header, *metadata;
    uint64_t declared, written;
    bool begun;
};

static const char *stored_name(mcf_dtype dtype)
{
    switch (dtype) {
    case MCF_F32:
        return "F32";
    case MCF_F64:
        return "F64";
    case MCF_F16:
        return "F16";
    case MCF_BF16:
        return "BF16";
    case MCF_I64:
        return "I64";
    case MCF_I32:
        return "I32";
    case MCF_U8:
        return "U8";
    default:
        return NULL;
    }
}

static mcf_status no_memory(const mcf_safetensors_writer *writer, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the header", writer->path);
}

mcf_status mcf_safetensors_writer_open(mcf_safetensors_writer **out, const char *path, mcf_error *err)
{
    *out = NULL;
    mcf_safetensors_writer *writer = calloc(1, sizeof(*writer));
    if (!writer || !(writer->path = strdup(path))) {
        free(writer);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    mcf_status status = mcf_file_writer_open(&writer->file, path, err);
    if (status == MCF_OK) {
        writer->header = json_object();
        writer->metadata = json_object();
        if (!writer->header || !writer->metadata)
            status = no_memory(writer, err);
    }
    if (status != MCF_OK) {
        mcf_safetensors_writer_abort(writer);
        return status;
    }
    *out = writer;
    return MCF_OK;
}

mcf_status mcf_safetensors_writer_metadata(mcf_safetensors_writer *writer, const char *key, const char *value,
                                           mcf_error *err)
{
    json_t *text = json_string(value);
    if (!text)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: metadata '%s' is no valid UTF-8", writer->path, key);
    if (json_object_set_new(writer->metadata, key, text) != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: metadata key '%s' is no valid UTF-8", writer->path, key);
    return MCF_OK;
}

mcf_status mcf_safetensors_writer_declare(mcf_safetensors_writer *writer, const char *name, mcf_dtype dtype,
                                          const mcf_shape *shape, mcf_error *err)
{
    int64_t count;
    uint64_t size, end;
    if (writer->begun)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: tensor '%s' declared after the header", writer->path, name);
    if (json_object_get(writer->header, name) || strcmp(name, "__metadata__") == 0)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: the name '%s' is taken", writer->path, name);
    MCF_TRY(mcf_shape_count_checked(shape, &count, err));
    if (!stored_name(dtype) || __builtin_mul_overflow((uint64_t)count, mcf_dtype_size(dtype), &size) ||
        __builtin_add_overflow(writer->declared, size, &end))
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: tensor '%s' cannot be stored", writer->path, name);
    json_t *dims = json_array();
    for (int i = 0; dims && i < shape->rank; i++)
        if (json_array_append_new(dims, json_integer(shape->dim[i])) != 0) {
            json_decref(dims);
            dims = NULL;
        }
    json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", stored_name(dtype), "shape", dims, "data_offsets",
                              (json_int_t)writer->declared, (json_int_t)end);
    if (!entry || json_object_set_new(writer->header, name, entry) != 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: cannot describe tensor '%s': out of memory or no valid UTF-8",
                        writer->path, name);
    writer->declared = end;
    return MCF_OK;
}

// The header as the file's first bytes: its length, the text, blanks up to a multiple of 8.
static mcf_status make_header(const mcf_safetensors_writer *writer, char **bytes, size_t *size, mcf_error *err)
{
    *bytes = NULL;
    json_t *all = json_object();
    bool failed =
        !all || (json_object_size(writer->metadata) > 0 && json_object_set(all, "__metadata__", writer->metadata) != 0);
    failed = failed || json_object_update(all, writer->header) != 0;
    char *text = failed ? NULL : json_dumps(all, JSON_COMPACT);
    json_decref(all);
    if (!text)
        return no_memory(writer, err);
    const size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    if (padded <= MCF_SAFETENSORS_MAX_HEADER)
        *bytes = malloc(sizeof(uint64_t) + padded);
    if (*bytes) {
        const uint64_t stored = htole64(padded);
        *size = sizeof stored + padded;
        memset(*bytes, ' ', *size);
        memcpy(*bytes, &stored, sizeof stored);
        memcpy(*bytes + sizeof stored, text, length);
    }
    free(text);
    if (padded > MCF_SAFETENSORS_MAX_HEADER)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the header would exceed 100 MB", writer->path);
    return *bytes ? MCF_OK : no_memory(writer, err);
}

// The header as its own reader takes it: what memory or a library lost on the way is found before an old file goes. The
// reader looks at no byte of a tensor here, so none needs to be there.
static mcf_status read_back(const mcf_safetensors_writer *writer, const char *bytes, size_t size, mcf_error *err)
{
    mcf_safetensors *file;
    mcf_status status = mcf_safetensors_open_memory(&file, bytes, size + writer->declared, writer->path, err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "what was to be written cannot be read back");
    uint64_t total = 0;
    for (size_t i = 0; i < mcf_safetensors_count(file); i++)
        total += mcf_safetensors_at(file, i)->size;
    if (mcf_safetensors_count(file) != json_object_size(writer->header) || total != writer->declared)
        status = mcf_fail(err, MCF_ERR_INTERNAL, "%s: the header lost tensors while it was made; nothing is written",
                          writer->path);
    mcf_safetensors_close(file);
    return status;
}

mcf_status mcf_safetensors_writer_begin(mcf_safetensors_writer *writer, mcf_error *err)
{
    char *bytes;
    size_t size = 0;
    MCF_TRY(make_header(writer, &bytes, &size, err));
    mcf_status status = read_back(writer, bytes, size, err);
    if (status == MCF_OK)
        status = mcf_output_check_room(writer->path, size + writer->declared, size + writer->declared, err);
    if (status == MCF_OK)
        status = mcf_file_writer_write(writer->file, bytes, size, err);
    free(bytes);
    writer->begun = status == MCF_OK;
    return status;
}

mcf_status mcf_safetensors_writer_write(mcf_safetensors_writer *writer, const void *bytes, size_t size, mcf_error *err)
{
    if (!writer->begun || size > writer->declared - writer->written)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: more bytes written than declared", writer->path);
    MCF_TRY(mcf_file_writer_write(writer->file, bytes, size, err));
    writer->written += size;
    return MCF_OK;
}

mcf_status mcf_safetensors_writer_finish(mcf_safetensors_writer *writer, uint64_t *hash, uint64_t *size, mcf_error *err)
{
    mcf_status status = MCF_OK;
    if (!writer->begun || writer->written != writer->declared) {
        status = mcf_fail(err, MCF_ERR_INTERNAL, "%s: fewer bytes written than declared", writer->path);
    } else {
        status = mcf_file_writer_commit(writer->file, hash, size, err);
        writer->file = NULL;
    }
    mcf_safetensors_writer_abort(writer);
    return status;
}

void mcf_safetensors_writer_abort(mcf_safetensors_writer *writer)
{
    if (!writer)
        return;
    mcf_file_writer_abort(writer->file);
    json_decref(writer->header);
    json_decref(writer->metadata);
    free(writer->path);
    free(writer);
}

static mcf_status save_parts(mcf_safetensors_writer *writer, const mcf_named_tensor *tensors, size_t count,
                             const char *const *metadata, mcf_error *err)
{
    for (; metadata && metadata[0]; metadata += 2)
        MCF_TRY(mcf_safetensors_writer_metadata(writer, metadata[0], metadata[1], err));
    for (size_t i = 0; i < count; i++)
        MCF_TRY(mcf_safetensors_writer_declare(writer, tensors[i].name, tensors[i].dtype, &tensors[i].shape, err));
    MCF_TRY(mcf_safetensors_writer_begin(writer, err));
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)mcf_shape_count(&tensors[i].shape) * mcf_dtype_size(tensors[i].dtype);
        MCF_TRY(mcf_safetensors_writer_write(writer, tensors[i].data, size, err));
    }
    return MCF_OK;
}

mcf_status mcf_safetensors_save(const char *path, const mcf_named_tensor *tensors, size_t count,
                                const char *const *metadata, uint64_t *hash, uint64_t *size, mcf_error *err)
{
    mcf_safetensors_writer *writer;
    MCF_TRY(mcf_safetensors_writer_open(&writer, path, err));
    mcf_status status = save_parts(writer, tensors, count, metadata, err);
    if (status != MCF_OK) {
        mcf_safetensors_writer_abort(writer);
        return status;
    }
    return mcf_safetensors_writer_finish(writer, hash, size, err);
}
