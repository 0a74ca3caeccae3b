// The files of backends/kernels as text; sources.c is written by cmake/embed.cmake.
#ifndef MCF_BACKENDS_OPENCL_SOURCES_H
#define MCF_BACKENDS_OPENCL_SOURCES_H

typedef struct {
    const char *file, *text;
} ocl_source;
extern const ocl_source ocl_sources[];
extern const int ocl_source_count;

#endif
