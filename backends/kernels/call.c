// Arguments and sizes of kernel calls, and layouts: what is the same for all that run the shared kernels.
#include "backends/kernels/host.h"

void dev_int64(dev_call *call, int64_t value)
{
    int64_t v = value;
    dev_bytes(call, &v, sizeof v);
}

void dev_int(dev_call *call, int value)
{
    int v = value;
    dev_bytes(call, &v, sizeof v);
}

void dev_float(dev_call *call, double value)
{
    float v = (float)value;
    dev_bytes(call, &v, sizeof v);
}

// Few sizes, for some drivers compile a kernel for each.
mcf_status dev_run_items(dev_call *call, int64_t items, int64_t rows, int64_t planes, mcf_error *err)
{
    size_t most = (size_t)dev_sizes_of(call->stream).local;
    size_t local[3] = {most, 1, 1};
    for (size_t size = 256; size >= 16; size /= 4)
        if (items <= (int64_t)size && most > size)
            local[0] = size;
    return dev_run(call, local, (items + (int64_t)local[0] - 1) / (int64_t)local[0], rows, planes, err);
}

mcf_status dev_run_lines(dev_call *call, int64_t lines, mcf_error *err)
{
    size_t local[3] = {(size_t)dev_sizes_of(call->stream).group, 1, 1};
    return dev_run(call, local, lines, 1, 1, err);
}

int64_t dev_strips(const mcf_stream *stream, int64_t columns)
{
    return (columns + dev_sizes_of(stream).strip - 1) / dev_sizes_of(stream).strip;
}

mcf_status dev_run_strips(dev_call *call, int64_t columns, int64_t rows, int64_t planes, mcf_error *err)
{
    const dev_sizes sizes = dev_sizes_of(call->stream);
    int64_t strips = dev_strips(call->stream, columns);
    size_t local[3] = {sizes.group > 1 ? 64 : 1, 1, 1};
    if (local[0] > (size_t)sizes.local)
        local[0] = (size_t)sizes.local;
    return dev_run(call, local, (strips + (int64_t)local[0] - 1) / (int64_t)local[0], rows, planes, err);
}

int64_t dev_chunks(const mcf_stream *stream, int64_t lines, int64_t terms)
{
    // Enough items for every unit: a few threads on processors, some hundred per unit elsewhere.
    int64_t wanted = (int64_t)dev_sizes_of(stream).units * (dev_sizes_of(stream).group > 1 ? 512 : 4);
    int64_t chunks = lines > 0 ? (wanted + lines - 1) / lines : 1;
    int64_t most = terms / 64;
    chunks = chunks > most ? most : chunks;
    return chunks < 1 ? 1 : chunks > 256 ? 256 : chunks;
}

// --- layouts

void dev_layout_join(dev_layout *s)
{
    int kept = 0;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == 1)
            continue;
        int last = kept - 1;
        int64_t n = s->dim[i];
        if (kept && s->a[last] == n * s->a[i] && s->b[last] == n * s->b[i] && s->out[last] == n * s->out[i]) {
            s->dim[last] *= n;
            s->a[last] = s->a[i];
            s->b[last] = s->b[i];
            s->out[last] = s->out[i];
            continue;
        }
        s->dim[kept] = n;
        s->a[kept] = s->a[i];
        s->b[kept] = s->b[i];
        s->out[kept++] = s->out[i];
    }
    if (!kept) {
        s->dim[0] = 1;
        s->a[0] = s->b[0] = s->out[0] = 1;
        kept = 1;
    }
    for (int i = kept; i < 6; i++)
        s->dim[i] = s->a[i] = s->b[i] = s->out[i] = 0;
    s->rank = kept;
}

int64_t dev_layout_rows(const dev_layout *s)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < s->rank; i++)
        rows *= s->dim[i];
    return rows;
}
