#include "data/formats/pth_zip.h"

#include <stdlib.h>
#include <string.h>

#include <zip.h>

// Torch stores its parts uncompressed; compressed ones are refused, so that no small file grows large.

typedef struct {
    const char *name; // inside the archive's own folder; libzip's memory
    zip_uint64_t index;
} part;

struct mcf_pth_zip {
    zip_t *zip;
    const char *label;
    size_t size;
    part *parts; // by name
    size_t count;
};

static int compare_parts(const void *a, const void *b)
{
    return strcmp(((const part *)a)->name, ((const part *)b)->name);
}

static mcf_status list_parts(mcf_pth_zip *z, mcf_error *err)
{
    const zip_int64_t count = zip_get_num_entries(z->zip, 0);
    if (count > MCF_PTH_ZIP_MEMBERS)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the zip has %lld members, more than any checkpoint; refused",
                        z->label, (long long)count);
    z->parts = calloc((size_t)count + 1, sizeof *z->parts);
    if (!z->parts)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", z->label);
    for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
        const char *path = zip_get_name(z->zip, i, ZIP_FL_ENC_RAW), *slash = path ? strchr(path, '/') : NULL;
        if (slash && slash[1])
            z->parts[z->count++] = (part){slash + 1, i};
    }
    qsort(z->parts, z->count, sizeof *z->parts, compare_parts);
    for (size_t i = 1; i < z->count; i++)
        if (strcmp(z->parts[i - 1].name, z->parts[i].name) == 0)
            return mcf_fail(err, MCF_ERR_FORMAT,
                            "%s: the zip has two members named %.100s, and which is meant cannot be known; refused",
                            z->label, z->parts[i].name);
    return MCF_OK;
}

static mcf_status open_directory(mcf_pth_zip *z, const uint8_t *bytes, mcf_error *err)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, z->size, 0, &error);
    if (source && !(z->zip = zip_open_from_source(source, ZIP_RDONLY, &error)))
        zip_source_free(source);
    mcf_status status = MCF_OK;
    if (!z->zip && zip_error_code_zip(&error) == ZIP_ER_MEMORY)
        status = mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for the zip's directory", z->label);
    else if (!z->zip)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: not a readable zip file (%s); fetch it again", z->label,
                          zip_error_strerror(&error));
    zip_error_fini(&error);
    return status == MCF_OK ? list_parts(z, err) : status;
}

mcf_status mcf_pth_zip_open(mcf_pth_zip **out, const uint8_t *bytes, size_t size, const char *label, mcf_error *err)
{
    *out = NULL;
    mcf_pth_zip *z = calloc(1, sizeof *z);
    if (!z)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", label);
    *z = (mcf_pth_zip){.label = label, .size = size};
    mcf_status status = open_directory(z, bytes, err);
    if (status == MCF_OK)
        *out = z;
    else
        mcf_pth_zip_close(z);
    return status;
}

void mcf_pth_zip_close(mcf_pth_zip *z)
{
    if (!z)
        return;
    if (z->zip)
        zip_discard(z->zip);
    free(z->parts);
    free(z);
}

// The end is read too: libzip compares the CRC-32 there.
static mcf_status read_bytes(const mcf_pth_zip *z, const part *p, char *bytes, size_t size, mcf_error *err)
{
    zip_file_t *file = zip_fopen_index(z->zip, p->index, 0);
    if (!file)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s cannot be read (%s); fetch it again", z->label, p->name,
                        zip_strerror(z->zip));
    char end;
    const zip_int64_t got = zip_fread(file, bytes, size),
                      more = got == (zip_int64_t)size ? zip_fread(file, &end, 1) : 0;
    zip_error_t *error = zip_file_get_error(file);
    mcf_status status = MCF_OK;
    if (zip_error_code_zip(error) == ZIP_ER_CRC)
        status =
            mcf_fail(err, MCF_ERR_FORMAT,
                     "%s: %s is not what was written (its CRC-32 differs); fetch it again, or save it with torch's "
                     "set_crc32_options(True)",
                     z->label, p->name);
    else if (got != (zip_int64_t)size || more != 0)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is cut short or damaged (%s); fetch it again", z->label, p->name,
                          zip_error_code_zip(error) ? zip_error_strerror(error) : "end of file");
    zip_fclose(file);
    return status;
}

mcf_status mcf_pth_zip_read(mcf_pth_zip *z, const char *wanted, int64_t size, size_t limit, char **bytes,
                            size_t *length, mcf_error *err)
{
    zip_stat_t info;
    *bytes = NULL;
    const part key = {.name = wanted},
               *found = z->count ? bsearch(&key, z->parts, z->count, sizeof key, compare_parts) : NULL;
    if (!found || zip_stat_index(z->zip, found->index, 0, &info) != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the zip has no %s; it is no PyTorch checkpoint, or incomplete",
                        z->label, wanted);
    if (!(info.valid & ZIP_STAT_COMP_METHOD) || info.comp_method != ZIP_CM_STORE ||
        (info.valid & ZIP_STAT_ENCRYPTION_METHOD && info.encryption_method != ZIP_EM_NONE))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is compressed, which torch.save never does; refused", z->label,
                        wanted);
    if (!(info.valid & ZIP_STAT_SIZE) || info.size > z->size || info.size > limit ||
        (size >= 0 && info.size != (zip_uint64_t)size))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s has %llu bytes where %lld were expected", z->label, wanted,
                        (unsigned long long)info.size, (long long)(size >= 0 ? size : (int64_t)limit));
    *bytes = malloc((size_t)info.size + 1);
    if (!*bytes)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for %s", z->label, wanted);
    mcf_status status = read_bytes(z, found, *bytes, (size_t)info.size, err);
    if (status != MCF_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    *length = (size_t)info.size;
    return status;
}
