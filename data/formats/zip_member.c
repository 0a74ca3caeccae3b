#include "data/formats/zip_member.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/file.h"

static mcf_status read_entry(struct archive *reader, const char *path, const char *name, size_t limit, char **bytes,
                             size_t *size, mcf_error *err)
{
    size_t room = 1 << 16, used = 0;
    char *buffer = malloc(room);
    la_ssize_t got = 1;
    while (buffer && got > 0 && used <= limit) {
        if (used == room) {
            room *= 2;
            char *grown = realloc(buffer, room);
            if (!grown)
                free(buffer);
            buffer = grown;
            if (!buffer)
                break;
        }
        got = archive_read_data(reader, buffer + used, room - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (!buffer)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for %s", path, name);
    if (got >= 0 && used <= limit) {
        *bytes = buffer;
        *size = used;
        return MCF_OK;
    }
    free(buffer);
    if (got < 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s cannot be unpacked: %s", path, name, archive_error_string(reader));
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s unpacks to more than %zu bytes; it is not what is wanted", path, name,
                    limit);
}

mcf_status mcf_zip_member(const char *path, const char *suffix, size_t limit, char **bytes, size_t *size,
                          mcf_error *err)
{
    int fd;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err)); // waits for no pipe
    struct archive *reader = archive_read_new();
    if (!reader) {
        close(fd);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    archive_read_support_format_zip(reader);
    mcf_status status = MCF_OK;
    bool found = false;
    if (archive_read_open_fd(reader, fd, 16384) != ARCHIVE_OK)
        status =
            mcf_fail(err, MCF_ERR_FORMAT, "%s: no zip file can be read here: %s", path, archive_error_string(reader));
    while (status == MCF_OK && !found) {
        struct archive_entry *entry;
        const int result = archive_read_next_header(reader, &entry);
        if (result == ARCHIVE_EOF)
            break;
        if (result < ARCHIVE_WARN) {
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: damaged zip file: %s", path, archive_error_string(reader));
            break;
        }
        const char *name = archive_entry_pathname(entry);
        const size_t length = name ? strlen(name) : 0, tail = strlen(suffix);
        found = length >= tail && strcmp(name + length - tail, suffix) == 0;
        if (found)
            status = read_entry(reader, path, name, limit, bytes, size, err);
    }
    archive_read_free(reader);
    close(fd);
    if (status == MCF_OK && !found)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds no file that ends in %s", path, suffix);
    return status;
}
