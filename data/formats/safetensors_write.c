#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
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
    for (int i = 0; i < shape->rank; i++)
        json_array_append_new(dims, json_integer(shape->dim[i]));
    json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", stored_name(dtype), "shape", dims, "data_offsets",
                              (json_int_t)writer->declared, (json_int_t)end);
    if (!entry || json_object_set_new(writer->header, name, entry) != 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: cannot describe tensor '%s': out of memory or no valid UTF-8",
                        writer->path, name);
    writer->declared = end;
    return MCF_OK;
}

mcf_status mcf_safetensors_writer_begin(mcf_safetensors_writer *writer, mcf_error *err)
{
    json_t *all = json_object();
    if (!all)
        return no_memory(writer, err);
    int failed = 0;
    if (json_object_size(writer->metadata) > 0)
        failed = json_object_set(all, "__metadata__", writer->metadata);
    failed = failed || json_object_update(all, writer->header);
    char *text = failed ? NULL : json_dumps(all, JSON_COMPACT);
    json_decref(all);
    if (!text)
        return no_memory(writer, err);
    uint64_t length = strlen(text);
    uint64_t padded = (length + 7) / 8 * 8;
    mcf_status status = padded <= MCF_SAFETENSORS_MAX_HEADER
                            ? mcf_file_writer_write(writer->file, &padded, sizeof(padded), err)
                            : mcf_fail(err, MCF_ERR_FORMAT, "%s: the header would exceed 100 MB", writer->path);
    if (status == MCF_OK)
        status = mcf_file_writer_write(writer->file, text, length, err);
    if (status == MCF_OK)
        status = mcf_file_writer_write(writer->file, "       ", padded - length, err);
    free(text);
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
