// Devices of all platforms that the ICD loader knows.
// For strcasestr.
#define _GNU_SOURCE
#include "backends/opencl/opencl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLATFORMS = 16, MAX_DEVICES = 64 };

static ocl_physical devices[MAX_DEVICES];
static int device_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool looked;
static mcf_error why_none;

static void text(cl_device_id id, cl_device_info what, char *to, size_t size)
{
    size_t length = 0;
    char whole[4096] = "";
    if (clGetDeviceInfo(id, what, sizeof whole - 1, whole, &length) != CL_SUCCESS)
        whole[0] = '\0';
    const char *from = whole + strspn(whole, " ");
    snprintf(to, size, "%s", from);
}

static uint64_t number(cl_device_id id, cl_device_info what, size_t size)
{
    cl_ulong value = 0;
    return clGetDeviceInfo(id, what, size, &value, NULL) == CL_SUCCESS ? value : 0;
}

static bool has_extension(cl_device_id id, const char *name)
{
    char list[8192] = "";
    if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof list - 1, list, NULL) != CL_SUCCESS)
        return false;
    const char *found = strstr(list, name);
    return found && (found == list || found[-1] == ' ') && strchr(" ", found[strlen(name)]);
}

// Intel's extension belongs to OpenCL C 1.2; Khronos' needs a later version of the language.
static const char *subgroup_options(cl_device_id id)
{
    char version[64];
    int major = 0;
    if (has_extension(id, "cl_intel_subgroups"))
        return " -DMCF_SUBGROUPS";
    text(id, CL_DEVICE_OPENCL_C_VERSION, version, sizeof version);
    if (!has_extension(id, "cl_khr_subgroups") || sscanf(version, "OpenCL C %d", &major) != 1 || major < 2)
        return NULL;
    return major == 2 ? " -DMCF_SUBGROUPS -cl-std=CL2.0" : " -DMCF_SUBGROUPS -cl-std=CL3.0";
}

static void describe(ocl_physical *p)
{
    cl_device_id id = p->id;
    text(id, CL_DEVICE_NAME, p->name, sizeof p->name);
    text(id, CL_DEVICE_VENDOR, p->vendor, sizeof p->vendor);
    text(id, CL_DRIVER_VERSION, p->driver, sizeof p->driver);
    text(id, CL_DEVICE_VERSION, p->version, sizeof p->version);
    clGetPlatformInfo(p->platform, CL_PLATFORM_NAME, sizeof p->platform_name, p->platform_name, NULL);
    clGetPlatformInfo(p->platform, CL_PLATFORM_VERSION, sizeof p->platform_version, p->platform_version, NULL);
    p->type = (cl_device_type)number(id, CL_DEVICE_TYPE, sizeof(cl_device_type));
    const cl_device_type kinds = CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR;
    p->processor = (p->type & kinds) == CL_DEVICE_TYPE_CPU;
    p->memory = number(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    p->allocation_max = number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    // $MCF_OPENCL_ALLOCATION: bytes, for drivers that promise more than they give, and for tests.
    const char *most = getenv("MCF_OPENCL_ALLOCATION");
    const uint64_t lowered = most ? strtoull(most, NULL, 10) : 0;
    if (lowered && lowered < p->allocation_max)
        p->allocation_max = lowered;
    p->local_memory = number(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    p->units = (cl_uint)number(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    p->alignment_bits = (cl_uint)number(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint));
    p->vector = (cl_uint)number(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof(cl_uint));
    p->group_max = (size_t)number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    p->half = has_extension(id, "cl_khr_fp16");
    p->subgroups = subgroup_options(id);
    p->builds = number(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof(cl_bool)) != 0;
}

// Whether word is one of a comma-separated list of types, or part of the device's or its platform's name.
static bool chosen(const ocl_physical *p, const char *wanted)
{
    bool gpu = !strcasecmp(wanted, "gpu"), cpu = !strcasecmp(wanted, "cpu"),
         accelerator = !strcasecmp(wanted, "accelerator");
    if (gpu || cpu || accelerator)
        return p->type & (gpu ? CL_DEVICE_TYPE_GPU : cpu ? CL_DEVICE_TYPE_CPU : CL_DEVICE_TYPE_ACCELERATOR);
    return strcasestr(p->name, wanted) || strcasestr(p->platform_name, wanted) || strcasestr(p->vendor, wanted);
}

static mcf_status look(mcf_error *err)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    const char *wanted = getenv("MCF_OPENCL_DEVICE");
    int seen = 0;
    cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    if (code != CL_SUCCESS || !count)
        return mcf_fail(
            err, MCF_ERR_UNSUPPORTED,
            "no OpenCL platform: no driver is registered with the ICD loader (OCL_ICD_VENDORS or "
            "/etc/OpenCL/vendors); for the processor install pocl-opencl-icd, for a GPU its vendor's driver");
    for (cl_uint i = 0; i < count && i < MAX_PLATFORMS; i++) {
        cl_device_id ids[MAX_DEVICES];
        cl_uint n = 0;
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &n) != CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < n && j < MAX_DEVICES && device_count < MAX_DEVICES; j++) {
            ocl_physical *p = &devices[device_count];
            *p = (ocl_physical){.platform = platforms[i], .id = ids[j]};
            describe(p);
            seen++;
            if (!wanted || !*wanted || chosen(p, wanted))
                device_count++;
        }
    }
    if (!seen)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%u OpenCL platform%s, but no device on any", count,
                        count == 1 ? "" : "s");
    if (!device_count)
        return mcf_fail(
            err, MCF_ERR_UNSUPPORTED,
            "none of %d OpenCL devices is '%s' (MCF_OPENCL_DEVICE: gpu, cpu, accelerator or part of a name)", seen,
            wanted);
    return MCF_OK;
}

mcf_status ocl_find_devices(mcf_error *err)
{
    pthread_mutex_lock(&mutex);
    if (!looked)
        look(&why_none);
    looked = true;
    pthread_mutex_unlock(&mutex);
    return device_count ? MCF_OK : mcf_fail(err, why_none.status, "%s", why_none.message);
}

int ocl_device_count(void)
{
    return ocl_find_devices(NULL) == MCF_OK ? device_count : 0;
}

ocl_physical *ocl_physical_at(int index)
{
    return index >= 0 && index < ocl_device_count() ? &devices[index] : NULL;
}

// OpenCL itself does not say what is free; AMD's drivers do (in KiB). Else what this process has not taken.
uint64_t ocl_memory_free(const ocl_physical *p)
{
    size_t free_kib[2] = {0};
    if (has_extension(p->id, "cl_amd_device_attribute_query") &&
        clGetDeviceInfo(p->id, 0x4039, sizeof free_kib, free_kib, NULL) == CL_SUCCESS && free_kib[0])
        return (uint64_t)free_kib[0] * 1024;
    uint64_t used = __atomic_load_n(&p->allocated, __ATOMIC_RELAXED);
    return used < p->memory ? p->memory - used : 0;
}

static mcf_status check_index(int index, mcf_error *err)
{
    if (!ocl_physical_at(index))
        return mcf_fail(err, MCF_ERR_USAGE, "opencl has no device %d; `mcf devices` lists %d", index,
                        ocl_device_count());
    return MCF_OK;
}

mcf_status ocl_device_info(int index, mcf_device_info *info, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    const ocl_physical *p = ocl_physical_at(index);
    const char *type = p->type & CL_DEVICE_TYPE_GPU ? "GPU" : p->type & CL_DEVICE_TYPE_CPU ? "CPU" : "accelerator";
    *info = (mcf_device_info){
        .memory_total = p->memory,
        .memory_free = ocl_memory_free(p),
        .allocation_max = p->allocation_max,
        .alignment = p->alignment_bits > 512 ? p->alignment_bits / 8 : 64,
        .compute_units = (int)p->units,
        .dtypes = 1u << MCF_F32 | 1u << MCF_BF16 | 1u << MCF_F16,
        .emulated_bf16 = true, // whatever the device computes in: 16 bits are for storing
        .emulated_fp16 = true,
    };
    snprintf(info->name, sizeof info->name, "%s", p->name);
    snprintf(info->detail, sizeof info->detail, "%s, %s, driver %.60s%s%s", type, p->platform_name, p->driver,
             p->half ? ", fp16" : "", p->subgroups ? ", sub-groups" : "");
    return MCF_OK;
}

static mcf_status open_device(mcf_device *d, mcf_error *err)
{
    const ocl_physical *p = d->physical;
    cl_int code;
    if (!p->builds)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "device %d (%s) has no compiler for kernels", d->index, p->name);
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)p->platform, 0};
    d->context = clCreateContext(properties, 1, &p->id, NULL, NULL, &code);
    OCL_TRY(code, "context", err);
    d->queue = clCreateCommandQueue(d->context, p->id, 0, &code);
    OCL_TRY(code, "queue", err);
    d->nothing = clCreateBuffer(d->context, CL_MEM_READ_WRITE, 64, NULL, &code);
    OCL_TRY(code, "buffer", err);
    ocl_tuning_load(p, &d->tuning);
    // $MCF_OPENCL_SUBGROUPS: 0 does without them, 1 tries them on any device.
    const char *wanted = getenv("MCF_OPENCL_SUBGROUPS");
    d->subgroups = !wanted               ? p->subgroups
                   : strcmp(wanted, "1") ? NULL
                   : p->subgroups        ? p->subgroups
                                         : " -DMCF_SUBGROUPS";
    return MCF_OK;
}

mcf_status ocl_device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    mcf_device *d = calloc(1, sizeof *d);
    if (!d)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a device");
    d->index = index;
    d->physical = ocl_physical_at(index);
    mcf_status status = open_device(d, err);
    if (status != MCF_OK) {
        ocl_device_close(d);
        return status;
    }
    *device = d;
    return MCF_OK;
}

void ocl_device_close(mcf_device *device)
{
    if (!device)
        return;
    ocl_programs_free(device);
    if (device->nothing)
        clReleaseMemObject(device->nothing);
    if (device->queue)
        clReleaseCommandQueue(device->queue);
    if (device->context)
        clReleaseContext(device->context);
    free(device);
}
