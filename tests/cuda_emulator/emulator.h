// Private to the emulator. One lock guards all of it; whoever holds it runs queued work, so that one kernel at a
// time runs in the whole process and runs of one seed with one host thread repeat themselves.
#ifndef MCF_EMULATOR_H
#define MCF_EMULATOR_H

#include "include/cuda_runtime.h"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace emulator
{

enum { MAX_DEVICES = 16, HOST = -1 };

extern std::recursive_mutex lock;
typedef std::lock_guard<std::recursive_mutex> guard;

// --- settings, from the environment once
int device_count();          // $MCF_EMULATOR_DEVICES, 8
uint64_t memory_of_device(); // bytes, $MCF_EMULATOR_MEMORY, 4 GiB
// $MCF_EMULATOR_PEERS: by NVLink all, ring (neighbours) or cube (8 V100s: two quads and four links between them; the
// default), by PCIe pairs (2i and 2i+1) or pcie (all), none
bool peers_possible(int device, int peer);
bool peers_by_nvlink();
// $MCF_EMULATOR_FAIL, DEVICE:fail:N, DEVICE:hang:N or DEVICE:skip:N: the device's N-th kernel ends in a fault, never, or
// does nothing.
// $MCF_EMULATOR_TRACE, a file: a line for what is enqueued (+) and for what has run (!), with device, number of the
// stream on its device, and kernel.
uint64_t number(const char *variable, uint64_t otherwise);
int device_major();      // $MCF_EMULATOR_MAJOR, 7
std::mt19937_64 &dice(); // seeded by $MCF_EMULATOR_SEED, 0

// A device that has a context has lost some hundred megabytes. $MCF_EMULATOR_TRACE gets a line the first time.
void open_context(int device);

// --- failures. Sticky for a device, as on a card after a fault.
cudaError_t fail(cudaError_t error, const std::string &message);
void fail_device(int device, cudaError_t error, const std::string &message);
cudaError_t device_error(int device); // and its message to the calling thread
int current_device();

// --- memory
struct allocation {
    char *memory;
    size_t bytes;
    char *map; // with guard pages at both ends; NULL: from malloc
    size_t map_bytes;
    int device; // HOST: pinned
};
allocation *find(const void *address);
bool within(const void *address, size_t bytes);
// Whether kernels of a device may touch it.
bool reachable(int device, const allocation &a);
// The text for an address that no kernel of this device may touch.
std::string describe(const void *address);
// Names a device whose guard bytes have changed; "" if none has.
std::string check_guards();

// --- work
struct record {
    bool done = false;
};
struct operation {
    std::function<void()> run; // exactly one of the three is there
    std::shared_ptr<record> signal, wait;
    const char *kernel = nullptr; // of run; NULL: a copy or memset
};
struct recording {
    int device;
    std::vector<operation> work;
    std::string invalid; // why it cannot be used
};
cudaError_t enqueue(cudaStream_t stream, operation work);
// What may not be done while the calling thread captures; other threads' captures do not mind.
cudaError_t refuse_in_capture(const char *what);
// Runs queued work in random order until the condition holds.
cudaError_t drain(const std::function<bool()> &until);

// --- kernels (threads.cpp). A failure is the text; "" when the grid has run.
std::string run_grid(const char *name, const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared_bytes);

} // namespace emulator

struct CUstream_st {
    int device;
    unsigned weight; // how often it is chosen
    int number;      // on its device, from 0
    bool hangs;
    std::deque<emulator::operation> queue;
    std::shared_ptr<emulator::recording> capture; // while one goes on
};
struct CUgraph_st {
    std::shared_ptr<emulator::recording> recorded;
};
struct CUgraphExec_st {
    std::shared_ptr<emulator::recording> recorded;
    std::shared_ptr<emulator::record> last; // of its launches
};
struct CUevent_st {
    int device;
    std::shared_ptr<emulator::record> last;
};

#endif
