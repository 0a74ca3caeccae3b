// Kernels, compiled when first asked for: from the cache on disk, else from the embedded sources.
//
// $MCF_OPENCL_OPTIONS adds options of the compiler.
// An entry of the cache is named by a hash of all that its contents depend on: device, driver, platform, sources and
// options. What the driver refuses is compiled anew.
#define _GNU_SOURCE
#include "backends/opencl/opencl.h"
#include "backends/opencl/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_KERNELS = 8, OPTIONS_SIZE = 512 };

struct ocl_program {
    ocl_program *next;
    const char *file;
    char options[OPTIONS_SIZE];
    cl_program program;
    int kernel_count;
    struct {
        char name[40];
        cl_kernel kernel;
    } kernels[MAX_KERNELS];
};

// --- text

static const char *source_of(const char *file)
{
    for (int i = 0; i < ocl_source_count; i++)
        if (!strcmp(ocl_sources[i].file, file))
            return ocl_sources[i].text;
    return "";
}

// A file of $MCF_OPENCL_KERNELS in place of the embedded one, for whoever works on the kernels; malloc'ed.
static char *source_from_folder(const char *file)
{
    enum { MOST = 1 << 20 };
    const char *folder = getenv("MCF_OPENCL_KERNELS");
    char path[4096];
    if (!folder || snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
        return NULL;
    FILE *in = fopen(path, "r");
    char *text = in ? calloc(MOST + 1, 1) : NULL;
    size_t length = text ? fread(text, 1, MOST, in) : 0;
    if (in)
        fclose(in);
    if (length)
        return text;
    free(text);
    return NULL;
}

// The headers and the file in one text; #line makes the compiler's log speak of our files. Lines that include are
// blanked, for there are no files to include.
static char *assemble(const char *file)
{
    const char *const parts[] = {"device.h", "functions.h", file};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (int i = 0; i < 3; i++) {
        char *own = source_from_folder(parts[i]);
        const char *line = own ? own : source_of(parts[i]);
        fprintf(out, "#line 1 \"backends/kernels/%s\"\n", parts[i]);
        while (*line) {
            const char *end = strchrnul(line, '\n');
            if (strncmp(line, "#include", 8))
                fwrite(line, 1, (size_t)(end - line), out);
            fputc('\n', out);
            line = *end ? end + 1 : end;
        }
        free(own);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void write_options(const mcf_device *device, const dev_kernel_key *key, char options[OPTIONS_SIZE])
{
    const struct {
        const char *name;
        int type;
    } types[] = {{"T0", key->t0}, {"T1", key->t1}, {"T2", key->t2}, {"TO", key->to}};
    const int group = key->group ? key->group : device->tuning.group;
    int used = snprintf(options, OPTIONS_SIZE, "-DGROUP=%d -DSTRIP=%d %s", group, device->tuning.strip, key->defines);
    for (int i = 0; i < 4; i++)
        if (types[i].type != DEV_NONE)
            used += snprintf(options + used, OPTIONS_SIZE - (size_t)used, " -D%s=%s", types[i].name,
                             mcf_dtype_name((mcf_dtype)types[i].type));
    const char *more = getenv("MCF_OPENCL_OPTIONS");
    snprintf(options + used, OPTIONS_SIZE - (size_t)used, "%s%s%s%.200s",
             device->physical->processor ? " -DMCF_VECTOR_SUMS" : "",
             group > 1 && device->subgroups ? device->subgroups : "", more ? " " : "", more ? more : "");
}

static void entry_name(const ocl_physical *p, const char *source, const char *options, char name[64])
{
    const char *const parts[] = {p->name,          p->vendor,           p->driver, p->version,
                                 p->platform_name, p->platform_version, source,    options};
    XXH64_state_t *state = XXH64_createState();
    XXH64_reset(state, 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        XXH64_update(state, parts[i], strlen(parts[i]) + 1);
    snprintf(name, 64, "opencl-%016llx.bin", (unsigned long long)XXH64_digest(state));
    XXH64_freeState(state);
}

// --- compiling

static bool build_cached(mcf_device *device, const char *name, const char *options, cl_program *program)
{
    size_t bytes = 0;
    unsigned char *binary = ocl_cache_read(name, &bytes);
    if (!binary)
        return false;
    cl_int loaded = CL_SUCCESS, code;
    const unsigned char *binaries[] = {binary};
    *program = clCreateProgramWithBinary(device->context, 1, &device->physical->id, &bytes, binaries, &loaded, &code);
    free(binary);
    if (code != CL_SUCCESS || loaded != CL_SUCCESS) {
        if (code == CL_SUCCESS)
            clReleaseProgram(*program);
        return false;
    }
    if (clBuildProgram(*program, 1, &device->physical->id, options, NULL, NULL) == CL_SUCCESS)
        return true;
    clReleaseProgram(*program);
    return false;
}

static void keep(cl_program program, const char *name)
{
    size_t bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS || !bytes)
        return;
    unsigned char *binary = malloc(bytes), *binaries[] = {binary};
    if (binary && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binaries, binaries, NULL) == CL_SUCCESS)
        ocl_cache_write(name, binary, bytes);
    free(binary);
}

// The beginning of the compiler's log on one line, as errors are.
static mcf_status build_failed(mcf_device *device, cl_program program, cl_int code, const char *file,
                               const char *options, mcf_error *err)
{
    size_t size = 0;
    clGetProgramBuildInfo(program, device->physical->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(size + 1, 1);
    if (log)
        clGetProgramBuildInfo(program, device->physical->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    const char *full = getenv("MCF_OPENCL_BUILD_LOG");
    FILE *out = full && log ? fopen(full, "w") : NULL;
    if (out) {
        fputs(log, out);
        fclose(out);
    }
    for (char *c = log; c && *c; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
    mcf_fail(err, MCF_ERR_DEVICE,
             "opencl: backends/kernels/%s does not compile on %s (%s; options %s): %.500s (MCF_OPENCL_BUILD_LOG=FILE "
             "takes the whole log)",
             file, device->physical->name, ocl_error_name(code), options, log ? log : "");
    free(log);
    return MCF_ERR_DEVICE;
}

static mcf_status build_source(mcf_device *device, const char *source, const char *file, const char *options,
                               const char *name, cl_program *program, mcf_error *err)
{
    cl_int code;
    *program = clCreateProgramWithSource(device->context, 1, &source, NULL, &code);
    OCL_TRY(code, "program", err);
    code = clBuildProgram(*program, 1, &device->physical->id, options, NULL, NULL);
    if (code != CL_SUCCESS) {
        mcf_status status = build_failed(device, *program, code, file, options, err);
        clReleaseProgram(*program);
        return status;
    }
    keep(*program, name);
    return MCF_OK;
}

static mcf_status build(mcf_device *device, const char *file, const char *options, cl_program *program, mcf_error *err)
{
    char name[64], *source = assemble(file);
    if (!source)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the source of %s", file);
    entry_name(device->physical, source, options, name);
    mcf_status status = MCF_OK;
    if (!build_cached(device, name, options, program))
        status = build_source(device, source, file, options, name, program, err);
    free(source);
    return status;
}

// --- looking up

static mcf_status find_program(mcf_device *device, const dev_kernel_key *key, ocl_program **found, mcf_error *err)
{
    char options[OPTIONS_SIZE];
    write_options(device, key, options);
    for (ocl_program *p = device->programs; p; p = p->next)
        if (!strcmp(p->file, key->file) && !strcmp(p->options, options)) {
            *found = p;
            return MCF_OK;
        }
    ocl_program *p = calloc(1, sizeof *p);
    if (!p)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a program");
    p->file = key->file;
    strcpy(p->options, options);
    mcf_status status = build(device, key->file, options, &p->program, err);
    if (status != MCF_OK) {
        free(p);
        // Sub-groups are never required: what fails with them is tried without.
        if (!device->subgroups)
            return status;
        device->subgroups = NULL;
        return find_program(device, key, found, err);
    }
    p->next = device->programs;
    device->programs = *found = p;
    return MCF_OK;
}

mcf_status ocl_kernel_get(mcf_device *device, const dev_kernel_key *key, cl_kernel *kernel, mcf_error *err)
{
    ocl_program *p;
    MCF_TRY(find_program(device, key, &p, err));
    for (int i = 0; i < p->kernel_count; i++)
        if (!strcmp(p->kernels[i].name, key->kernel)) {
            *kernel = p->kernels[i].kernel;
            return MCF_OK;
        }
    if (p->kernel_count == MAX_KERNELS)
        return mcf_fail(err, MCF_ERR_INTERNAL, "opencl: more than %d kernels in %s", MAX_KERNELS, key->file);
    cl_int code;
    *kernel = clCreateKernel(p->program, key->kernel, &code);
    if (code != CL_SUCCESS)
        return mcf_add_context(err, ocl_fail(err, code, key->kernel), "%s", key->file);
    snprintf(p->kernels[p->kernel_count].name, sizeof p->kernels[0].name, "%s", key->kernel);
    p->kernels[p->kernel_count++].kernel = *kernel;
    return MCF_OK;
}

void ocl_programs_free(mcf_device *device)
{
    while (device->programs) {
        ocl_program *p = device->programs;
        device->programs = p->next;
        for (int i = 0; i < p->kernel_count; i++)
            clReleaseKernel(p->kernels[i].kernel);
        clReleaseProgram(p->program);
        free(p);
    }
}
