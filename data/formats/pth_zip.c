#include "data/formats/pth_zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

// Torch stores its parts uncompressed; compressed ones are refused, so that no small file
// grows large.

static mcf_status open_zip(const mcf_pth_zip *file, struct archive **archive, mcf_error *err)
{
    struct archive *a = archive_read_new();
    if (!a)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", file->label);
    archive_read_support_format_zip_seekable(a);
    if (archive_read_open_memory(a, file->bytes, file->size) != ARCHIVE_OK) {
        mcf_fail(err, MCF_ERR_FORMAT, "%s: not a readable zip file (%s); fetch it again", file->label,
                 archive_error_string(a));
        archive_read_free(a);
        return MCF_ERR_FORMAT;
    }
    *archive = a;
    return MCF_OK;
}

// The part of a path after the archive's own folder: "data.pkl", "data/17".
static const char *inner_name(const char *path)
{
    const char *slash = path ? strchr(path, '/') : NULL;
    return slash ? slash + 1 : "";
}

mcf_status mcf_pth_zip_read(const mcf_pth_zip *file, const char *wanted, int64_t size, size_t limit, char **bytes,
                            size_t *length, mcf_error *err)
{
    struct archive *a = NULL;
    struct archive_entry *entry;
    *bytes = NULL;
    MCF_TRY(open_zip(file, &a, err));
    mcf_status status = MCF_OK;
    int result;
    while ((result = archive_read_next_header(a, &entry)) == ARCHIVE_OK || result == ARCHIVE_WARN)
        if (!strcmp(inner_name(archive_entry_pathname(entry)), wanted))
            break;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: the zip has no %s; it is no PyTorch checkpoint, or incomplete",
                          file->label, wanted);
    } else if (!strstr(archive_format_name(a), "uncompressed")) {
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is compressed, which torch.save never does; refused",
                          file->label, wanted);
    } else {
        int64_t stored = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
        if (stored < 0 || (uint64_t)stored > file->size || (uint64_t)stored > limit || (size >= 0 && stored != size))
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: %s has %lld bytes where %lld were expected", file->label,
                              wanted, (long long)stored, (long long)(size >= 0 ? size : (int64_t)limit));
        else if (!(*bytes = malloc((size_t)stored + 1)))
            status = mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", file->label);
        else if (archive_read_data(a, *bytes, (size_t)stored) != stored)
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: %s is cut short or damaged (%s)", file->label, wanted,
                              archive_error_string(a) ? archive_error_string(a) : "end of file");
        else
            *length = (size_t)stored;
    }
    archive_read_free(a);
    if (status != MCF_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}
