#include "model/import_listed.h"

#include <unistd.h>

#include "base/file.h"

mcf_status mcf_listed_open(mcf_listed *file, const char *path, mcf_error *err)
{
    uint8_t first[4] = {0};
    int fd;
    *file = (mcf_listed){.path = path};
    MCF_TRY(mcf_file_open(path, &fd, &file->size, err));
    const ssize_t got = pread(fd, first, sizeof first, 0);
    close(fd);
    if (got == (ssize_t)sizeof first && mcf_pth_is(first, (size_t)got))
        return mcf_pth_open(&file->pth, path, err);
    return mcf_safetensors_open(&file->tensors, path, err);
}

void mcf_listed_close(mcf_listed *file)
{
    mcf_pth_close(file->pth);
    mcf_safetensors_close(file->tensors);
}

size_t mcf_listed_count(const mcf_listed *file)
{
    return file->pth ? mcf_pth_count(file->pth) : mcf_safetensors_count(file->tensors);
}

mcf_listed_item mcf_listed_at(const mcf_listed *file, size_t index)
{
    if (file->pth) {
        const mcf_pth_entry *e = mcf_pth_at(file->pth, index);
        return (mcf_listed_item){e->group, e->name, e->object, e->unread, e->shape, e->count};
    }
    const mcf_safetensors_entry *e = mcf_safetensors_at(file->tensors, index);
    return (mcf_listed_item){"", e->name, NULL, NULL, e->shape, (int64_t)e->count};
}

mcf_status mcf_listed_read(mcf_listed *file, size_t index, float *values, mcf_error *err)
{
    if (file->pth)
        return mcf_pth_read_f32(file->pth, mcf_pth_at(file->pth, index), values, err);
    return mcf_safetensors_read_f32(file->tensors, mcf_safetensors_at(file->tensors, index), values, err);
}
