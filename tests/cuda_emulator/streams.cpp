// Streams and events. Work is queued and run later: whoever waits for something lets streams take turns at random
// until it has happened, and every enqueue may run some of what is queued. Only the order within a stream and events
// hold, so that work which relies on anything else goes wrong for some seed.
#include "emulator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <unistd.h>

namespace emulator
{

static std::vector<cudaStream_t> streams;
static thread_local std::vector<std::shared_ptr<recording>> captures;

static cudaError_t refuse(recording &r, const char *what)
{
    r.invalid = what;
    return fail(cudaErrorStreamCaptureUnsupported, std::string(what) + ", which cannot be captured");
}

cudaError_t refuse_in_capture(const char *what)
{
    return captures.empty() ? cudaSuccess : refuse(*captures.back(), what);
}

static bool known(cudaStream_t stream)
{
    return stream && std::find(streams.begin(), streams.end(), stream) != streams.end();
}

static FILE *trace_file()
{
    static FILE *const file = getenv("MCF_EMULATOR_TRACE") ? fopen(getenv("MCF_EMULATOR_TRACE"), "w") : nullptr;
    return file;
}

static void trace(char what, cudaStream_t s, const operation &work)
{
    if (trace_file() && work.run)
        fprintf(trace_file(), "%c %d %d %s\n", what, s->device, s->number, work.kernel ? work.kernel : "memory");
}

void open_context(int device)
{
    static bool open[MAX_DEVICES];
    guard g(lock);
    if (!open[device] && trace_file())
        fprintf(trace_file(), "c %d\n", device);
    open[device] = true;
}

// Whether this kernel is the one that $MCF_EMULATOR_FAIL names; a hanging one keeps its stream for good, and one that is
// left out leaves its output as it was.
static bool fails(cudaStream_t s)
{
    static int device = -1, count;
    static char kind[8];
    static const bool asked =
        getenv("MCF_EMULATOR_FAIL") && sscanf(getenv("MCF_EMULATOR_FAIL"), "%d:%7[a-z]:%d", &device, kind, &count) == 3;
    if (!asked || s->device != device || count-- != 1)
        return false;
    if (std::string(kind) == "hang")
        s->hangs = true;
    else if (std::string(kind) != "skip")
        fail_device(device, cudaErrorLaunchFailure, "unspecified launch failure, as MCF_EMULATOR_FAIL asks for");
    return true;
}

static bool ready(cudaStream_t s)
{
    return !s->hangs && !s->queue.empty() && (!s->queue.front().wait || s->queue.front().wait->done);
}

// Runs the next of one stream; false where nothing can run.
static bool step()
{
    uint64_t sum = 0;
    for (cudaStream_t s : streams)
        sum += ready(s) ? s->weight : 0;
    if (!sum)
        return false;
    uint64_t chosen = dice()() % sum;
    for (cudaStream_t s : streams) {
        if (!ready(s))
            continue;
        if (chosen < s->weight) {
            operation work = std::move(s->queue.front());
            s->queue.pop_front();
            // After a fault a device does nothing more; its events still pass, or all would hang.
            if (work.run && device_error(s->device) == cudaSuccess && !(work.kernel && fails(s))) {
                work.run();
                trace('!', s, work);
            }
            if (work.signal)
                work.signal->done = true;
            return true;
        }
        chosen -= s->weight;
    }
    return false;
}

cudaError_t drain(const std::function<bool()> &until)
{
    while (!until()) {
        if (step())
            continue;
        // Who waits for a card that hangs, waits for ever.
        while (std::any_of(streams.begin(), streams.end(), [](cudaStream_t s) { return s->hangs; }))
            pause();
        return fail(cudaErrorLaunchFailure, "all streams wait for events that nobody records");
    }
    return cudaSuccess;
}

// A question may find anything between nothing and all done.
static bool ask(const std::function<bool()> &done)
{
    for (uint64_t turns = dice()() % 64; turns > 0 && !done() && step(); turns--)
        continue;
    return done();
}

cudaError_t enqueue(cudaStream_t stream, operation work)
{
    if (!known(stream))
        return fail(cudaErrorInvalidResourceHandle, "no such stream (the default stream is not emulated)");
    cudaError_t error = device_error(stream->device);
    if (error != cudaSuccess)
        return error;
    if (stream->capture) {
        if (work.signal || work.wait)
            return refuse(*stream->capture, "an event in a capture");
        stream->capture->work.push_back(std::move(work));
        return cudaSuccess;
    }
    trace('+', stream, work);
    stream->queue.push_back(std::move(work));
    for (uint64_t turns = dice()() % 4; turns > 1; turns--)
        step();
    return cudaSuccess;
}

static cudaError_t settle(int device)
{
    std::string wrong = check_guards();
    if (!wrong.empty())
        fail_device(device, cudaErrorIllegalAddress, wrong);
    return device_error(device);
}

// Memory of the host that is not pinned is read at once, as the driver stages it; writes to it are waited for.
static cudaError_t copy(char *to, const char *from, size_t bytes, cudaStream_t stream)
{
    allocation *a = find(to), *b = find(from);
    if (!bytes)
        return cudaSuccess;
    if ((a && !within(to, bytes)) || (b && !within(from, bytes)))
        return fail(cudaErrorInvalidValue,
                    "copy out of bounds: " + describe(a && !within(to, bytes) ? to + bytes - 1 : from + bytes - 1));
    if ((!a || !b) && stream->capture)
        return refuse(*stream->capture, "a copy from or to memory of the host that is not pinned");
    if (!b) {
        auto staged = std::make_shared<std::vector<char>>(from, from + bytes);
        if (!a)
            return fail(cudaErrorInvalidMemcpyDirection, "copy from the host to the host");
        return enqueue(stream, {[=] { memcpy(to, staged->data(), bytes); }, nullptr, nullptr});
    }
    cudaError_t error = enqueue(stream, {[=] { memmove(to, from, bytes); }, nullptr, nullptr});
    return error == cudaSuccess && !a ? cudaStreamSynchronize(stream) : error;
}

static bool is_host(const void *p)
{
    const allocation *a = find(p);
    return !a || a->device == HOST;
}

static bool fits(cudaMemcpyKind kind, const void *to, const void *from)
{
    return kind == cudaMemcpyDefault ||
           (is_host(to) == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost) &&
            is_host(from) == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost));
}

static std::map<const void *, emulator_kernel> &kernels()
{
    static std::map<const void *, emulator_kernel> table;
    return table;
}

// Every word of an argument that is an address of a device must be one that this device may touch.
static cudaError_t check_arguments(int device, const emulator_kernel &kernel, void **arguments)
{
    for (size_t i = 0; i < kernel.sizes.size(); i++)
        for (size_t at = 0; at + sizeof(void *) <= kernel.sizes[i]; at += sizeof(void *)) {
            void *word;
            memcpy(&word, (char *)arguments[i] + at, sizeof word);
            const allocation *a = find(word);
            if (a && !reachable(device, *a))
                return fail(cudaErrorIllegalAddress, std::string("kernel ") + kernel.name + " on device " +
                                                         std::to_string(device) + ": argument " + std::to_string(i) +
                                                         " is " + describe(word) + ", whose access is not enabled");
        }
    return cudaSuccess;
}

} // namespace emulator

using namespace emulator;

void emulator_add(const void *function, emulator_kernel kernel)
{
    guard g(lock);
    kernels()[function] = std::move(kernel);
}

extern "C" {

cudaError_t cudaDeviceSynchronize(void)
{
    guard g(lock);
    cudaError_t refused = refuse_in_capture("waiting for a device");
    if (refused != cudaSuccess)
        return refused;
    int device = current_device();
    cudaError_t error = drain([] {
        return std::all_of(streams.begin(), streams.end(),
                           [](cudaStream_t s) { return s->queue.empty() && !s->hangs; });
    });
    return error == cudaSuccess ? settle(device) : error;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    guard g(lock);
    static const unsigned weights[] = {1, 1, 4, 32};
    static int created[MAX_DEVICES];
    *stream = new CUstream_st{current_device(), weights[dice()() % 4], created[current_device()]++, false, {}, nullptr};
    streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    guard g(lock);
    cudaError_t error = cudaStreamSynchronize(stream);
    streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
    delete stream;
    return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    guard g(lock);
    if (!known(stream))
        return fail(cudaErrorInvalidResourceHandle, "no such stream");
    if (stream->capture)
        return refuse(*stream->capture, "waiting for a stream");
    cudaError_t error = drain([=] { return stream->queue.empty() && !stream->hangs; });
    return error == cudaSuccess ? settle(stream->device) : error;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    guard g(lock);
    if (!known(stream))
        return fail(cudaErrorInvalidResourceHandle, "no such stream");
    return ask([=] { return stream->queue.empty() && !stream->hangs; }) ? settle(stream->device) : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    guard g(lock);
    return event->last ? enqueue(stream, {nullptr, nullptr, event->last}) : cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    guard g(lock);
    *event = new CUevent_st{current_device(), nullptr};
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    guard g(lock);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    guard g(lock);
    if (known(stream) && stream->device != event->device)
        return fail(cudaErrorInvalidResourceHandle, "an event of one device recorded on a stream of another");
    event->last = std::make_shared<record>();
    return enqueue(stream, {nullptr, event->last, nullptr});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    guard g(lock);
    std::shared_ptr<record> last = event->last;
    cudaError_t error = last ? drain([=] { return last->done; }) : cudaSuccess;
    return error == cudaSuccess ? settle(event->device) : error;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    guard g(lock);
    return ask([=] { return !event->last || event->last->done; }) ? settle(event->device) : cudaErrorNotReady;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    guard g(lock);
    if (!fits(kind, to, from))
        return fail(cudaErrorInvalidMemcpyDirection, "the kind of copy does not fit its addresses");
    return copy((char *)to, (const char *)from, bytes, stream);
}

cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t bytes,
                                cudaStream_t stream)
{
    guard g(lock);
    const allocation *a = find(to), *b = find(from);
    if (bytes && (!a || a->device != to_device || !b || b->device != from_device))
        return fail(cudaErrorInvalidValue, "copy between devices: memory of other devices than those named");
    return copy((char *)to, (const char *)from, bytes, stream);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    guard g(lock);
    if (bytes && !within(memory, bytes))
        return fail(cudaErrorInvalidValue, "memset out of bounds: " + describe((char *)memory + bytes - 1));
    return bytes ? enqueue(stream, {[=] { memset(memory, value, bytes); }, nullptr, nullptr}) : cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                             cudaStream_t stream)
{
    guard g(lock);
    auto found = kernels().find(function);
    if (found == kernels().end())
        return fail(cudaErrorInvalidDeviceFunction, "not a kernel");
    if (!known(stream) || stream->device != current_device())
        return fail(cudaErrorInvalidResourceHandle, "launch on a stream of another device than the current one");
    if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || grid.x > 0x7fffffff || !block.x ||
        !block.y || !block.z || block.z > 64 || (uint64_t)block.x * block.y * block.z > 1024 || shared_bytes > 48 << 10)
        return fail(cudaErrorInvalidConfiguration, std::string("kernel ") + found->second.name + ": grid " +
                                                       std::to_string(grid.x) + " " + std::to_string(grid.y) + " " +
                                                       std::to_string(grid.z));
    const emulator_kernel &kernel = found->second;
    const int device = stream->device;
    size_t bytes = 0;
    for (size_t size : kernel.sizes)
        bytes += (size + 7) / 8 * 8;
    if (bytes > 4096)
        return fail(cudaErrorInvalidValue,
                    std::string("kernel ") + kernel.name + ": more than 4096 bytes of arguments");
    // The driver loads a kernel when it is first launched, which allocates.
    static std::set<std::pair<int, const void *>> loaded;
    if (!loaded.count({device, function})) {
        if (stream->capture)
            return refuse(*stream->capture, "the first launch of a kernel");
        loaded.insert({device, function});
    }
    cudaError_t error = check_arguments(device, kernel, arguments);
    if (error != cudaSuccess) {
        fail_device(device, error, cudaGetErrorString(error));
        return error;
    }
    std::function<void()> thread = kernel.bind(arguments);
    const char *name = kernel.name;
    return enqueue(stream, {[=] {
                                std::string wrong = run_grid(name, thread, grid, block, shared_bytes);
                                if (!wrong.empty())
                                    fail_device(device, cudaErrorIllegalAddress, wrong);
                            },
                            nullptr, nullptr, name});
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function)
{
    guard g(lock);
    if (!kernels().count(function))
        return fail(cudaErrorInvalidDeviceFunction, "not a kernel");
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->ptxVersion = emulator_code();
    attributes->binaryVersion = device_major() * 10;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value)
{
    guard g(lock);
    if (!kernels().count(function))
        return fail(cudaErrorInvalidDeviceFunction, "not a kernel");
    return attribute == cudaFuncAttributePreferredSharedMemoryCarveout && value >= -1 && value <= 100
               ? cudaSuccess
               : fail(cudaErrorInvalidValue, "an attribute of kernels that is not emulated");
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
    guard g(lock);
    if (!known(stream) || stream->capture || mode != cudaStreamCaptureModeThreadLocal)
        return fail(cudaErrorInvalidValue, "no such stream, one that captures already, or a mode that is not emulated");
    stream->capture = std::make_shared<recording>();
    stream->capture->device = stream->device;
    captures.push_back(stream->capture);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    guard g(lock);
    *graph = nullptr;
    if (!known(stream) || captures.empty() || stream->capture != captures.back())
        return fail(cudaErrorInvalidValue, "this thread does not capture this stream");
    std::shared_ptr<recording> recorded = std::move(stream->capture);
    captures.pop_back();
    if (!recorded->invalid.empty())
        return fail(cudaErrorStreamCaptureInvalidated, "a capture with " + recorded->invalid);
    *graph = new CUgraph_st{recorded};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    *exec = new CUgraphExec_st{graph->recorded, nullptr};
    return flags ? fail(cudaErrorInvalidValue, "flags of a graph are not emulated") : cudaSuccess;
}

// Its parts are queued one by one, so that other streams come between them.
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    guard g(lock);
    if (!known(stream) || stream->device != exec->recorded->device)
        return fail(cudaErrorInvalidResourceHandle, "a graph of one device launched on a stream of another");
    cudaError_t error = cudaSuccess;
    for (size_t i = 0; i < exec->recorded->work.size() && error == cudaSuccess; i++)
        error = enqueue(stream, exec->recorded->work[i]);
    exec->last = std::make_shared<record>();
    return error == cudaSuccess ? enqueue(stream, {nullptr, exec->last, nullptr}) : error;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    guard g(lock);
    if (exec->last && !exec->last->done && device_error(exec->recorded->device) == cudaSuccess)
        fail_device(exec->recorded->device, cudaErrorLaunchFailure, "a graph is destroyed while it runs");
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}
}
