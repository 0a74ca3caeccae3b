#include "data/formats/tar_write.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512 };

// POSIX.1-1988 (ustar), field by field.
typedef struct {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2];
    char user[32], group[32], major[8], minor[8], prefix[155], rest[12];
} ustar_header;
_Static_assert(sizeof(ustar_header) == BLOCK, "a tar header is one block");

mcf_status mcf_tar_add(mcf_file_writer *writer, const char *name, const void *bytes, size_t size, mcf_error *err)
{
    static const char zeros[BLOCK] = {0};
    ustar_header h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    if (strlen(name) > sizeof h.name || size > 077777777777)
        return mcf_fail(err, MCF_ERR_USAGE, "%.200s: the name or the size does not fit a tar", name);
    memcpy(h.name, name, strlen(name));
    snprintf(h.mode, sizeof h.mode, "%07o", 0644);
    snprintf(h.uid, sizeof h.uid, "%07o", 0);
    snprintf(h.gid, sizeof h.gid, "%07o", 0);
    snprintf(h.size, sizeof h.size, "%011zo", size);
    snprintf(h.mtime, sizeof h.mtime, "%011o", 0);
    snprintf(h.major, sizeof h.major, "%07o", 0);
    snprintf(h.minor, sizeof h.minor, "%07o", 0);
    memset(h.checksum, ' ', sizeof h.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const uint8_t *)&h)[i];
    snprintf(h.checksum, 7, "%06o", sum);
    MCF_TRY(mcf_file_writer_write(writer, &h, sizeof h, err));
    MCF_TRY(mcf_file_writer_write(writer, bytes, size, err));
    return mcf_file_writer_write(writer, zeros, (BLOCK - size % BLOCK) % BLOCK, err);
}

mcf_status mcf_tar_end(mcf_file_writer *writer, mcf_error *err)
{
    static const char zeros[2 * BLOCK] = {0};
    return mcf_file_writer_write(writer, zeros, sizeof zeros, err);
}
