// Lines of operands: conversion, strided access, strided copies.
#include <string.h>

#include "backends/cpu/cpu.h"

float mcf_cpu_read_one(const void *from, mcf_dtype dtype)
{
    if (dtype == MCF_BF16)
        return mcf_bf16_to_f32(*(const uint16_t *)from);
    if (dtype == MCF_F16)
        return mcf_f16_to_f32(*(const uint16_t *)from);
    return *(const float *)from;
}

static void write_one(void *to, mcf_dtype dtype, float x)
{
    if (dtype == MCF_BF16)
        *(uint16_t *)to = mcf_f32_to_bf16(x);
    else if (dtype == MCF_F16)
        *(uint16_t *)to = mcf_f32_to_f16(x);
    else
        *(float *)to = x;
}

const float *mcf_cpu_read(const mcf_cpu_kernels *k, float *room, const void *from, mcf_dtype dtype, int64_t stride,
                          int64_t n)
{
    if (stride == 1 && dtype == MCF_F32)
        return from;
    if (stride == 1 && dtype == MCF_BF16) {
        k->widen(room, from, n);
        return room;
    }
    if (stride == 0) {
        float x = n ? mcf_cpu_read_one(from, dtype) : 0;
        for (int64_t i = 0; i < n; i++)
            room[i] = x;
        return room;
    }
    int64_t step = stride * (int64_t)mcf_dtype_size(dtype);
    const unsigned char *p = from;
    for (int64_t i = 0; i < n; i++)
        room[i] = mcf_cpu_read_one(p + i * step, dtype);
    return room;
}

float *mcf_cpu_place(float *room, void *to, mcf_dtype dtype)
{
    return dtype == MCF_F32 ? to : room;
}

void mcf_cpu_write(const mcf_cpu_kernels *k, void *to, mcf_dtype dtype, const float *line, int64_t n)
{
    if (dtype == MCF_F32) {
        if (line != to)
            memcpy(to, line, (size_t)n * sizeof(float));
    } else if (dtype == MCF_BF16) {
        k->narrow(to, line, n);
    } else {
        for (int64_t i = 0; i < n; i++)
            write_one((uint16_t *)to + i, dtype, line[i]);
    }
}

// Elements of one type at any strides.
#define COPY_ELEMENTS(type)                                                                                            \
    for (int64_t i = 0; i < n; i++)                                                                                    \
    ((type *)to)[i * to_stride] = ((const type *)from)[i * from_stride]

void mcf_cpu_copy_line(const mcf_cpu_kernels *k, void *to, mcf_dtype to_dtype, int64_t to_stride, const void *from,
                       mcf_dtype from_dtype, int64_t from_stride, int64_t n)
{
    size_t size = mcf_dtype_size(to_dtype);
    if (to_dtype == from_dtype) {
        if (to_stride == 1 && from_stride == 1)
            memcpy(to, from, (size_t)n * size);
        else if (size == 4)
            COPY_ELEMENTS(uint32_t);
        else if (size == 2)
            COPY_ELEMENTS(uint16_t);
        else if (size == 8)
            COPY_ELEMENTS(uint64_t);
        else
            COPY_ELEMENTS(uint8_t);
        return;
    }
    float room[MCF_CPU_LINE];
    for (int64_t done = 0; done < n; done += MCF_CPU_LINE) {
        int64_t count = mcf_cpu_min(n - done, MCF_CPU_LINE);
        const unsigned char *source =
            (const unsigned char *)from + done * from_stride * (int64_t)mcf_dtype_size(from_dtype);
        unsigned char *target = (unsigned char *)to + done * to_stride * (int64_t)size;
        const float *line = mcf_cpu_read(k, room, source, from_dtype, from_stride, count);
        if (to_stride == 1)
            mcf_cpu_write(k, target, to_dtype, line, count);
        else
            for (int64_t i = 0; i < count; i++)
                write_one(target + i * to_stride * (int64_t)size, to_dtype, line[i]);
    }
}

static void add_line(const mcf_cpu_kernels *k, void *to, mcf_dtype to_dtype, int64_t to_stride, const void *from,
                     mcf_dtype from_dtype, int64_t from_stride, int64_t n)
{
    float room[MCF_CPU_LINE], old[MCF_CPU_LINE];
    for (int64_t done = 0; done < n; done += MCF_CPU_LINE) {
        int64_t count = mcf_cpu_min(n - done, MCF_CPU_LINE);
        unsigned char *target = (unsigned char *)to + done * to_stride * (int64_t)mcf_dtype_size(to_dtype);
        const float *line = mcf_cpu_read(
            k, room, (const unsigned char *)from + done * from_stride * (int64_t)mcf_dtype_size(from_dtype), from_dtype,
            from_stride, count);
        k->add(old, mcf_cpu_read(k, old, target, to_dtype, to_stride, count), line, 1, 1, count);
        mcf_cpu_copy_line(k, target, to_dtype, to_stride, old, MCF_F32, 1, count);
    }
}

void mcf_cpu_copy_strided(const mcf_device *device, const mcf_shape *shape, void *to, mcf_dtype to_dtype,
                          const int64_t *to_stride, const void *from, mcf_dtype from_dtype, const int64_t *from_stride,
                          bool accumulate)
{
    // Axes of size 1 go, neighbours that are one run in both places are joined.
    int64_t dim[MCF_MAX_RANK], ts[MCF_MAX_RANK], fs[MCF_MAX_RANK], total = 1;
    int rank = 0;
    for (int i = 0; i < shape->rank; i++) {
        int64_t size = shape->dim[i];
        total *= size;
        if (size == 1)
            continue;
        if (rank && ts[rank - 1] == to_stride[i] * size && fs[rank - 1] == from_stride[i] * size) {
            dim[rank - 1] *= size;
        } else {
            dim[rank++] = size;
        }
        ts[rank - 1] = to_stride[i];
        fs[rank - 1] = from_stride[i];
    }
    if (total == 0)
        return;
    if (rank == 0) {
        dim[rank] = ts[rank] = fs[rank] = 1;
        rank = 1;
    }
    // Lines run along the axis that is contiguous in the result, unless it is so short that another is better.
    int inner = rank - 1;
    if (dim[inner] < 8)
        for (int i = 0; i < rank; i++)
            if (dim[i] > dim[inner])
                inner = i;
    int64_t n = dim[inner], to_step = ts[inner], from_step = fs[inner];
    for (int i = inner; i + 1 < rank; i++) {
        dim[i] = dim[i + 1];
        ts[i] = ts[i + 1];
        fs[i] = fs[i + 1];
    }
    rank--;
    int64_t lines = total / n, to_size = (int64_t)mcf_dtype_size(to_dtype),
            from_size = (int64_t)mcf_dtype_size(from_dtype);
    int64_t pieces = lines < 4 * device->threads ? (n + MCF_CPU_LINE * 8 - 1) / (MCF_CPU_LINE * 8) : 1;
    int64_t piece = (n + pieces - 1) / pieces;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < lines * pieces; job++) {
        int64_t rest = job / pieces, begin = job % pieces * piece, count = mcf_cpu_min(n - begin, piece);
        if (count <= 0)
            continue;
        int64_t t = begin * to_step, f = begin * from_step;
        for (int i = rank - 1; i >= 0; i--) {
            t += rest % dim[i] * ts[i];
            f += rest % dim[i] * fs[i];
            rest /= dim[i];
        }
        (accumulate ? add_line : mcf_cpu_copy_line)(device->kernels, (unsigned char *)to + t * to_size, to_dtype,
                                                    to_step, (const unsigned char *)from + f * from_size, from_dtype,
                                                    from_step, count);
    }
}

mcf_status mcf_cpu_row_room(mcf_device *device, int64_t columns, int lines, float **room, mcf_error *err)
{
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(columns * lines * device->threads) * sizeof(float), &memory, err));
    *room = memory;
    return MCF_OK;
}
