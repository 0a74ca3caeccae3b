#include "data/faces/file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { MOST = 256 << 20 };

mcf_status mcf_face_read_file(const char *path, mcf_bytes *file, bool *there, mcf_error *err)
{
    struct stat info;
    uint64_t size;
    int fd;
    *there = stat(path, &info) == 0 || errno != ENOENT;
    if (!*there)
        return MCF_OK;
    MCF_TRY(mcf_file_open(path, &fd, &size, err));
    mcf_status status = size > MOST ? mcf_fail(err, MCF_ERR_FORMAT, "%s: is no file of at most 256 MiB", path)
                                    : mcf_bytes_resize(file, (size_t)size, err);
    if (status == MCF_OK)
        status = mcf_file_read_at(fd, file->data, (size_t)size, 0, path, err);
    close(fd);
    return status;
}
