// Devices, peers and memory. An allocation ends close to a page that nobody may touch, and has one in front; the few
// bytes between its end and that page hold a pattern that is looked at when streams are waited for.
#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace emulator
{

std::recursive_mutex lock;

enum { ALIGNMENT = 256, PATTERN = 0xa5, FRESH = 0xff };

static std::map<const char *, allocation> allocations; // by address
static uint64_t used[MAX_DEVICES];
static bool enabled[MAX_DEVICES][MAX_DEVICES];
static struct {
    cudaError_t error;
    std::string message;
} states[MAX_DEVICES];
static thread_local int current;
static thread_local cudaError_t last_error;
static thread_local std::string last_message;

uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

int device_count()
{
    static const int count = (int)std::min<uint64_t>(number("MCF_EMULATOR_DEVICES", 8), MAX_DEVICES);
    return count;
}

uint64_t memory_of_device()
{
    static const uint64_t bytes = number("MCF_EMULATOR_MEMORY", 4ull << 30);
    return bytes;
}

int device_major()
{
    static const int major = (int)number("MCF_EMULATOR_MAJOR", 7);
    return major;
}

std::mt19937_64 &dice()
{
    static std::mt19937_64 generator(number("MCF_EMULATOR_SEED", 0));
    return generator;
}

// NVLink of a DGX-1: in a quad all but none, between quads i and i + 4.
static bool cube(int a, int b)
{
    return a / 4 == b / 4 || a % 4 == b % 4;
}

static std::string peers()
{
    const char *text = getenv("MCF_EMULATOR_PEERS");
    return text && *text ? text : "cube";
}

bool peers_by_nvlink()
{
    return peers() != "pairs" && peers() != "pcie";
}

bool peers_possible(int a, int b)
{
    const std::string kind = peers();
    const int n = device_count();
    if (a == b)
        return false;
    if (kind == "all" || kind == "pcie")
        return true;
    if (kind == "ring")
        return (a + 1) % n == b || (b + 1) % n == a;
    if (kind == "pairs")
        return a / 2 == b / 2;
    return kind == "cube" && cube(a, b);
}

cudaError_t fail(cudaError_t error, const std::string &message)
{
    last_error = error;
    last_message = message;
    return error;
}

void fail_device(int device, cudaError_t error, const std::string &message)
{
    if (states[device].error == cudaSuccess) {
        states[device].error = error;
        states[device].message = message;
    }
}

cudaError_t device_error(int device)
{
    return states[device].error == cudaSuccess ? cudaSuccess : fail(states[device].error, states[device].message);
}

int current_device()
{
    return current;
}

allocation *find(const void *address)
{
    auto above = allocations.upper_bound((const char *)address);
    if (above == allocations.begin())
        return nullptr;
    allocation &a = std::prev(above)->second;
    return (const char *)address < a.memory + a.bytes || (!a.bytes && address == a.memory) ? &a : nullptr;
}

bool within(const void *address, size_t bytes)
{
    const allocation *a = find(address);
    return a && bytes <= (size_t)(a->memory + a->bytes - (const char *)address);
}

bool reachable(int device, const allocation &a)
{
    return a.device == HOST || a.device == device || enabled[device][a.device];
}

std::string describe(const void *address)
{
    char text[200];
    auto above = allocations.upper_bound((const char *)address);
    const allocation *a = above == allocations.begin() ? nullptr : &std::prev(above)->second;
    const char *at = (const char *)address;
    if (a && at < a->map + a->map_bytes)
        snprintf(text, sizeof text, "byte %zu of an allocation of %zu on device %d", (size_t)(at - a->memory), a->bytes,
                 a->device);
    else if (above != allocations.end() && at >= above->second.map && above->second.map)
        snprintf(text, sizeof text, "%zu bytes in front of an allocation of %zu on device %d",
                 (size_t)(above->second.memory - at), above->second.bytes, above->second.device);
    else
        snprintf(text, sizeof text, "address %p, no allocation", address);
    return text;
}

std::string check_guards()
{
    for (auto &entry : allocations) {
        const allocation &a = entry.second;
        if (!a.map)
            continue;
        const char *end = a.map + a.map_bytes - (size_t)sysconf(_SC_PAGESIZE);
        for (const char *p = a.memory + a.bytes; p < end; p++)
            if ((unsigned char)*p != PATTERN)
                return "write out of bounds: " + describe(p);
    }
    return "";
}

static cudaError_t allocate(int device, size_t bytes, void **memory)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, pages = (room + page - 1) / page * page;
    char *map = (char *)mmap(nullptr, pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, pages, PROT_READ | PROT_WRITE))
        return fail(cudaErrorMemoryAllocation, "the host has no memory for it");
    allocation a = {map + page + pages - room, bytes, map, pages + 2 * page, device};
    memset(a.memory, FRESH, bytes);
    memset(a.memory + bytes, PATTERN, room - bytes);
    allocations[a.memory] = a;
    *memory = a.memory;
    return cudaSuccess;
}

static void release(allocation *a)
{
    const allocation copy = *a;
    allocations.erase(copy.memory);
    munmap(copy.map, copy.map_bytes);
}

} // namespace emulator

using namespace emulator;

extern "C" {

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = device_count();
    return *count ? cudaSuccess : fail(cudaErrorNoDevice, "MCF_EMULATOR_DEVICES is 0");
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    if (device < 0 || device >= device_count())
        return fail(cudaErrorInvalidDevice, "no such device");
    *p = {};
    snprintf(p->name, sizeof p->name, "emulated device %d", device);
    p->totalGlobalMem = memory_of_device();
    p->sharedMemPerBlock = 48 << 10;
    p->multiProcessorCount = 2;
    p->major = device_major();
    return cudaSuccess;
}

// From CUDA 12 on it opens the device's context, as everything does that needs one.
cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= device_count())
        return fail(cudaErrorInvalidDevice, "no such device");
    current = device;
    open_context(device);
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    guard g(lock);
    *total = memory_of_device();
    *available = *total - used[current];
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
        return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidMemcpyDirection:
        return "cudaErrorInvalidMemcpyDirection";
    case cudaErrorInsufficientDriver:
        return "cudaErrorInsufficientDriver";
    case cudaErrorInvalidDeviceFunction:
        return "cudaErrorInvalidDeviceFunction";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorPeerAccessUnsupported:
        return "cudaErrorPeerAccessUnsupported";
    case cudaErrorInvalidResourceHandle:
        return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
        return "cudaErrorNotReady";
    case cudaErrorIllegalAddress:
        return "cudaErrorIllegalAddress";
    case cudaErrorPeerAccessAlreadyEnabled:
        return "cudaErrorPeerAccessAlreadyEnabled";
    case cudaErrorMisalignedAddress:
        return "cudaErrorMisalignedAddress";
    case cudaErrorLaunchFailure:
        return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
        return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
        return "cudaErrorStreamCaptureInvalidated";
    }
    return "unknown error";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess || last_message.empty() ? cudaGetErrorName(error) : last_message.c_str();
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    guard g(lock);
    cudaError_t error = refuse_in_capture("an allocation");
    if (error == cudaSuccess)
        error = device_error(current);
    if (error != cudaSuccess)
        return error;
    if (bytes > memory_of_device() - used[current])
        return fail(cudaErrorMemoryAllocation, "out of memory");
    error = allocate(current, bytes, memory);
    if (error == cudaSuccess)
        used[current] += bytes;
    return error;
}

// Waits for all devices, for work may still use the memory.
cudaError_t cudaFree(void *memory)
{
    guard g(lock);
    allocation *a = find(memory);
    if (!memory)
        return cudaSuccess;
    if (!a || a->memory != memory || a->device == HOST)
        return fail(cudaErrorInvalidValue, "cudaFree of what cudaMalloc did not give");
    int device = a->device;
    cudaError_t refused = refuse_in_capture("freeing memory");
    if (refused != cudaSuccess)
        return refused;
    cudaDeviceSynchronize();
    std::string wrong = check_guards();
    if (!wrong.empty())
        fail_device(device, cudaErrorIllegalAddress, wrong);
    used[device] -= a->bytes;
    release(a);
    return device_error(device);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    guard g(lock);
    cudaError_t refused = refuse_in_capture("an allocation");
    return refused == cudaSuccess ? allocate(HOST, bytes, memory) : refused;
}

cudaError_t cudaFreeHost(void *memory)
{
    guard g(lock);
    allocation *a = find(memory);
    if (!memory)
        return cudaSuccess;
    if (!a || a->memory != memory || a->device != HOST)
        return fail(cudaErrorInvalidValue, "cudaFreeHost of what cudaHostAlloc did not give");
    cudaDeviceSynchronize();
    release(a);
    return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
    if (device < 0 || device >= device_count() || peer < 0 || peer >= device_count())
        return fail(cudaErrorInvalidDevice, "no such device");
    *can = peers_possible(device, peer);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetP2PAttribute(int *value, cudaDeviceP2PAttr attribute, int device, int peer)
{
    if (device < 0 || device >= device_count() || peer < 0 || peer >= device_count() || device == peer)
        return fail(cudaErrorInvalidDevice, "no such pair of devices");
    const bool fast = peers_by_nvlink();
    *value = attribute == cudaDevP2PAttrPerformanceRank   ? !fast
             : attribute == cudaDevP2PAttrAccessSupported ? peers_possible(device, peer)
                                                          : fast && peers_possible(device, peer);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *memory)
{
    guard g(lock);
    const allocation *a = find(memory);
    void *at = (void *)memory;
    *attributes = !a                  ? cudaPointerAttributes{cudaMemoryTypeUnregistered, 0, nullptr, at}
                  : a->device == HOST ? cudaPointerAttributes{cudaMemoryTypeHost, current, at, at}
                                      : cudaPointerAttributes{cudaMemoryTypeDevice, a->device, at, nullptr};
    return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    guard g(lock);
    if (peer < 0 || peer >= device_count())
        return fail(cudaErrorInvalidDevice, "no such device");
    if (!peers_possible(current, peer))
        return fail(cudaErrorPeerAccessUnsupported, "these devices cannot see each other");
    if (enabled[current][peer])
        return fail(cudaErrorPeerAccessAlreadyEnabled, "enabled before");
    enabled[current][peer] = true;
    return cudaSuccess;
}
}
