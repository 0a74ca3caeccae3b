// The emulator must give right results for right programs, and catch wrong ones: a missing barrier, a missing event,
// a write out of bounds, an access to another device that is not enabled.
#include "tests/cuda_emulator/include/cuda_runtime.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/include/cublasLt.h"
#include "tests/cuda_emulator/include/mma.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#define OK(call) assert_int_equal((call), cudaSuccess)

static cudaStream_t stream_on(int device)
{
    cudaStream_t stream;
    OK(cudaSetDevice(device));
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static float *floats(size_t count)
{
    void *memory;
    OK(cudaMalloc(&memory, count * sizeof(float)));
    return (float *)memory;
}

// Arguments are converted to the kernel's types.
template <typename T> struct same {
    typedef T type;
};
template <typename... A>
cudaError_t launch(void (*kernel)(A...), const char *name, int blocks, int threads, cudaStream_t stream,
                   typename same<A>::type... arguments)
{
    void *list[] = {&arguments...};
    return cudaLaunchKernel(emulator_register(name, kernel), dim3((unsigned)blocks), dim3((unsigned)threads), list, 0,
                            stream);
}
#define LAUNCH(kernel, ...) launch(kernel, #kernel, __VA_ARGS__)

// --- right and wrong kernels

__global__ void fill(float *x, int n, float value)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        x[i] = value;
}

__global__ void sum_tree(const float *x, float *out)
{
    MCF_SHARED_ARRAY(float, room, 64);
    int me = (int)threadIdx.x;
    room[me] = x[me];
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (me < half)
            room[me] += room[me + half];
        __syncthreads();
    }
    if (me == 0)
        *out = room[0];
}

__global__ void sum_without_barrier(const float *x, float *out)
{
    MCF_SHARED_ARRAY(float, room, 64);
    int me = (int)threadIdx.x;
    room[me] = x[me];
    for (int half = 32; half > 0; half /= 2) {
        if (me < half)
            room[me] += room[me + half];
        __syncthreads();
    }
    if (me == 0)
        *out = room[0];
}

__global__ void half_of_a_barrier(float *x)
{
    if (threadIdx.x < 16)
        __syncthreads();
    x[threadIdx.x] = 1;
}

__global__ void sum_of_warp(const float *x, float *out)
{
    float v = x[threadIdx.x];
    for (int by = 16; by > 0; by /= 2)
        v += __shfl_xor_sync(~0u, v, by);
    out[threadIdx.x] = v;
}

__global__ void add_one(float *x)
{
    *x += 1;
}

__global__ void write_at(float *x, long long i)
{
    x[i] = 1;
}

__global__ void write_behind_shared(float *x)
{
    MCF_SHARED_ARRAY(float, room, 4);
    room[threadIdx.x] = x[threadIdx.x];
}

__global__ void copy_from(float *to, const float *from, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

// out = x x + 1 for x [16,16], by a warp through shared memory. wrong: 1 forgets __syncwarp, 2 begins a tile at 16 bytes,
// 3 adds the 1 only to elements that it takes for column 0.
__global__ void square_tile(const float *x, float *out, int wrong)
{
    using namespace nvcuda::wmma;
    MCF_SHARED_ALIGNED(__half, tile, 16 * 24 + 8);
    MCF_SHARED_ALIGNED(float, result, 16 * 16);
    for (int i = (int)threadIdx.x; i < 256; i += 32)
        tile[i / 16 * 24 + i % 16] = __float2half_rn(x[i]);
    if (wrong != 1)
        __syncwarp();
    fragment<matrix_a, 16, 16, 16, __half, row_major> a;
    fragment<matrix_b, 16, 16, 16, __half, row_major> b;
    fragment<accumulator, 16, 16, 16, float> c;
    load_matrix_sync(a, tile + (wrong == 2 ? 8 : 0), 24);
    load_matrix_sync(b, tile, 24);
    fill_fragment(c, wrong == 3 ? 0.0f : 1.0f);
    mma_sync(c, a, b, c);
    if (wrong == 3 && threadIdx.x % 4 == 0)
        for (int i = 0; i < c.num_elements; i += 4)
            c.x[i] += 1;
    store_matrix_sync(result, c, 16, mem_row_major);
    __syncwarp();
    for (int i = (int)threadIdx.x; i < 256; i += 32)
        out[i] = result[i];
}

// out [4][8][8] = a b + 1 of four groups of eight lanes with a [4][8][4] and b [4][4][8], by mma.sync.m8n8k4: where the
// elements lie is written down here as the PTX ISA has it. wrong: a lane takes the rows of sums for its row on the left.
__global__ void four_products(const float *a, const float *b, float *out, int turned_a, int turned_b, int wrong)
{
    const unsigned lane = threadIdx.x, group = lane / 4 % 4;
    unsigned left[2] = {0, 0}, right[2] = {0, 0};
    float sums[8];
    for (unsigned i = 0; i < 4; i++) {
        const unsigned by_lane = lane < 16 ? lane % 4 : lane % 4 + 4, by_element = lane < 16 ? i : i + 4;
        const unsigned row = turned_a ? by_element : by_lane, k_left = turned_a ? lane % 4 : i;
        const unsigned column = turned_b ? by_lane : by_element, k = turned_b ? i : lane % 4;
        left[i / 2] |= (unsigned)__half_as_ushort(__float2half_rn(a[group * 32 + row * 4 + k_left])) << 16 * (i % 2);
        right[i / 2] |= (unsigned)__half_as_ushort(__float2half_rn(b[group * 32 + k * 8 + column])) << 16 * (i % 2);
    }
    for (float &x : sums)
        x = 1;
    emulator_mma_884(turned_a, turned_b, sums, left, right);
    for (unsigned i = 0; i < 8; i++) {
        const unsigned x = wrong ? lane % 4 : (lane & 1) + (i & 2), row = lane < 16 ? x : x + 4;
        out[group * 64 + row * 8 + (i & 4) + (lane & 2) + (i & 1)] = sums[i];
    }
}

// Memory of 64 ones, and the sum that a kernel makes of them.
static float sum_by(void (*kernel)(const float *, float *), const char *name)
{
    cudaStream_t s = stream_on(0);
    float *x = floats(64), *out = floats(1), result;
    OK(LAUNCH(fill, 2, 48, s, x, 64, 1.0f));
    OK(launch(kernel, name, 1, 64, s, x, out));
    OK(cudaMemcpyAsync(&result, out, sizeof result, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    OK(cudaStreamDestroy(s));
    OK(cudaFree(x));
    OK(cudaFree(out));
    return result;
}

static void barriers_work(void **)
{
    for (int i = 0; i < 20; i++)
        assert_true(sum_by(sum_tree, "sum_tree") == 64);
}

static void a_missing_barrier_is_caught(void **)
{
    int wrong = 0;
    for (int i = 0; i < 20; i++)
        wrong += !(sum_by(sum_without_barrier, "sum_without_barrier") == 64);
    assert_true(wrong >= 18);
}

static void shuffles_work(void **)
{
    cudaStream_t s = stream_on(0);
    float *x = floats(64), *out = floats(64), results[64];
    OK(LAUNCH(fill, 1, 64, s, x, 64, 2.0f));
    OK(LAUNCH(sum_of_warp, 1, 64, s, x, out));
    OK(cudaMemcpyAsync(results, out, sizeof results, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    for (float result : results)
        assert_true(result == 64);
    OK(cudaStreamDestroy(s));
}

// --- streams

// Whether a second stream sees what the first wrote.
static bool read_after(bool with_event)
{
    cudaStream_t writer = stream_on(0), reader = stream_on(0);
    cudaEvent_t written;
    float *x = floats(100), *y = floats(100), results[100];
    OK(cudaEventCreateWithFlags(&written, cudaEventDisableTiming));
    OK(LAUNCH(fill, 1, 100, writer, x, 100, 1.0f));
    OK(LAUNCH(fill, 1, 100, writer, x, 100, 2.0f));
    OK(cudaEventRecord(written, writer));
    if (with_event)
        OK(cudaStreamWaitEvent(reader, written, 0));
    OK(LAUNCH(copy_from, 1, 1, reader, y, x, 100));
    OK(cudaMemcpyAsync(results, y, sizeof results, cudaMemcpyDeviceToHost, reader));
    OK(cudaStreamSynchronize(reader));
    OK(cudaStreamDestroy(writer));
    OK(cudaStreamDestroy(reader));
    OK(cudaEventDestroy(written));
    return results[99] == 2;
}

static void events_order_streams(void **)
{
    for (int i = 0; i < 50; i++)
        assert_true(read_after(true));
}

static void a_missing_event_is_caught(void **)
{
    int wrong = 0;
    for (int i = 0; i < 50; i++)
        wrong += !read_after(false);
    assert_true(wrong >= 3);
}

// A copy from pinned memory reads it when its turn comes.
static void pinned_memory_that_changes_too_early_is_caught(void **)
{
    int wrong = 0;
    for (int i = 0; i < 50; i++) {
        cudaStream_t s = stream_on(0);
        void *pinned;
        float *x = floats(1), result;
        OK(cudaHostAlloc(&pinned, sizeof(float), cudaHostAllocPortable));
        *(float *)pinned = 1;
        OK(cudaMemcpyAsync(x, pinned, sizeof(float), cudaMemcpyHostToDevice, s));
        *(float *)pinned = 2;
        OK(cudaMemcpyAsync(&result, x, sizeof result, cudaMemcpyDeviceToHost, s));
        wrong += result != 1;
        OK(cudaStreamDestroy(s));
        OK(cudaFreeHost(pinned));
    }
    assert_true(wrong >= 3);
}

// --- in a process of its own, for a device does nothing more after a fault

static void expect_fault(const std::function<cudaError_t()> &body, const char *words)
{
    int pipes[2], status;
    char text[600] = "";
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (!child) {
        cudaError_t error = body();
        std::string said = error == cudaSuccess ? "no error" : cudaGetErrorString(error);
        _exit(write(pipes[1], said.data(), said.size()) == (ssize_t)said.size() ? 0 : 1);
    }
    close(pipes[1]);
    for (ssize_t got = 0, n; (n = read(pipes[0], text + got, sizeof text - 1 - (size_t)got)) > 0; got += n)
        continue;
    close(pipes[0]);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    if (!strstr(text, words))
        fail_msg("expected '%s' in: %s", words, text);
}

static cudaError_t write_and_wait(size_t count, long long at)
{
    cudaStream_t s = stream_on(0);
    float *x = floats(count);
    OK(LAUNCH(write_at, 1, 1, s, x, at));
    return cudaStreamSynchronize(s);
}

static void writes_out_of_bounds_are_caught(void **)
{
    expect_fault([] { return write_and_wait(100, 99); }, "no error");
    expect_fault([] { return write_and_wait(100, 100); }, "byte 400 of an allocation of 400 on device 0");
    expect_fault([] { return write_and_wait(64, 64); }, "kernel write_at, block 0 0 0, thread 0 0 0");
    expect_fault([] { return write_and_wait(1024, -1); }, "4 bytes in front of an allocation of 4096");
    expect_fault([] { return write_and_wait(1024, 5000); }, "access to");
}

// The largest error of square_tile against what it should give.
static float error_of_square(int wrong)
{
    cudaStream_t s = stream_on(0);
    float x[256], got[256], worst = 0, *in = floats(256), *out = floats(256);
    for (int i = 0; i < 256; i++)
        x[i] = (float)(i * 7 % 11) - 5;
    OK(cudaMemcpyAsync(in, x, sizeof x, cudaMemcpyHostToDevice, s));
    cudaError_t error = LAUNCH(square_tile, 1, 32, s, in, out, wrong);
    if (error == cudaSuccess)
        error = cudaMemcpyAsync(got, out, sizeof got, cudaMemcpyDeviceToHost, s);
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(s);
    if (error != cudaSuccess)
        return -1;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float sum = wrong == 3 && j ? 0.0f : 1.0f;
            for (int k = 0; k < 16; k++)
                sum += x[i * 16 + k] * x[k * 16 + j];
            if (!(std::fabs(got[i * 16 + j] - sum) <= worst))
                worst = std::isnan(got[i * 16 + j]) ? INFINITY : std::fabs(got[i * 16 + j] - sum);
        }
    return worst;
}

static void products_of_tiles_work(void **)
{
    assert_true(error_of_square(0) == 0);
}

static void a_missing_syncwarp_is_caught(void **)
{
    assert_true(error_of_square(1) > 0);
}

static void fragments_have_no_fixed_places(void **)
{
    assert_true(error_of_square(3) > 0);
}

// Small whole numbers, so sums are exact.
static int errors_of_four_products(int turned_a, int turned_b, int wrong)
{
    cudaStream_t s = stream_on(0);
    float *a = floats(128), *b = floats(128), *out = floats(256), x[128], y[128], got[256];
    int errors = 0;
    for (int i = 0; i < 128; i++) {
        x[i] = (float)(i * 7 % 11 - 5);
        y[i] = (float)(i * 5 % 13 - 6);
    }
    OK(cudaMemcpyAsync(a, x, sizeof x, cudaMemcpyHostToDevice, s));
    OK(cudaMemcpyAsync(b, y, sizeof y, cudaMemcpyHostToDevice, s));
    OK(cudaMemsetAsync(out, 0, sizeof got, s));
    OK(LAUNCH(four_products, 1, 32, s, a, b, out, turned_a, turned_b, wrong));
    OK(cudaMemcpyAsync(got, out, sizeof got, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    for (int i = 0; i < 256; i++) {
        const int group = i / 64, row = i / 8 % 8, column = i % 8;
        float sum = 1;
        for (int k = 0; k < 4; k++)
            sum += x[group * 32 + row * 4 + k] * y[group * 32 + k * 8 + column];
        errors += got[i] != sum;
    }
    OK(cudaStreamDestroy(s));
    OK(cudaFree(a));
    OK(cudaFree(b));
    OK(cudaFree(out));
    return errors;
}

static void products_in_registers_work(void **)
{
    for (int turned = 0; turned < 4; turned++) {
        assert_int_equal(errors_of_four_products(turned & 1, turned >> 1, 0), 0);
        assert_true(errors_of_four_products(turned & 1, turned >> 1, 1) > 50);
    }
}

static void tiles_out_of_line_are_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            OK(LAUNCH(square_tile, 1, 32, s, floats(256), floats(256), 2));
            return cudaStreamSynchronize(s);
        },
        "no multiple of 32 bytes");
}

static void writes_behind_shared_memory_are_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            OK(LAUNCH(write_behind_shared, 1, 5, s, floats(5)));
            return cudaStreamSynchronize(s);
        },
        "behind an array in shared memory");
}

static void barriers_that_some_do_not_reach_are_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            OK(LAUNCH(half_of_a_barrier, 1, 32, s, floats(32)));
            return cudaStreamSynchronize(s);
        },
        "16 threads wait at a barrier that 16 others do not reach");
}

static void use_after_free_is_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            float *x = floats(4096);
            OK(cudaFree(x));
            OK(LAUNCH(write_at, 1, 1, s, x, 0));
            return cudaStreamSynchronize(s);
        },
        "no allocation");
}

static cudaError_t read_from(int peer, bool enable)
{
    cudaStream_t s = stream_on(peer);
    float *x = floats(4);
    OK(LAUNCH(fill, 1, 4, s, x, 4, 1.0f));
    OK(cudaStreamSynchronize(s));
    cudaStream_t own = stream_on(0);
    if (enable)
        OK(cudaDeviceEnablePeerAccess(peer, 0));
    cudaError_t error = LAUNCH(copy_from, 1, 1, own, floats(4), x, 4);
    return error == cudaSuccess ? cudaStreamSynchronize(own) : error;
}

static void peer_access_without_enabling_is_caught(void **)
{
    expect_fault([] { return read_from(1, true); }, "no error");
    expect_fault([] { return read_from(1, false); }, "whose access is not enabled");
    // Of the cube's 8 devices 0 and 5 are not neighbours.
    expect_fault(
        [] {
            OK(cudaSetDevice(0));
            return cudaDeviceEnablePeerAccess(5, 0);
        },
        "cannot see each other");
}

// What the driver tells of links: atomic operations reach over NVLink only.
static void links_are_told_apart(void **)
{
    const struct {
        const char *peers;
        int other, sees, atomics;
    } cases[] = {{"cube", 4, 1, 1}, {"cube", 5, 0, 0}, {"pairs", 1, 1, 0},
                 {"pcie", 5, 1, 0}, {"none", 1, 0, 0}, {"ring", 7, 1, 1}};
    for (auto &c : cases) {
        int sees, atomics;
        setenv("MCF_EMULATOR_PEERS", c.peers, 1);
        OK(cudaDeviceCanAccessPeer(&sees, 0, c.other));
        OK(cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported, 0, c.other));
        assert_true(sees == c.sees && atomics == c.atomics);
    }
    unsetenv("MCF_EMULATOR_PEERS");
}

static void wrong_devices_are_caught(void **)
{
    cudaStream_t s = stream_on(1);
    cudaEvent_t event;
    OK(cudaSetDevice(0));
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    assert_int_equal(cudaEventRecord(event, s), cudaErrorInvalidResourceHandle);
    assert_int_equal(LAUNCH(fill, 1, 4, s, (float *)nullptr, 0, 1.0f), cudaErrorInvalidResourceHandle);
    OK(cudaEventDestroy(event));
    OK(cudaStreamDestroy(s));
}

// --- graphs

__global__ void never_launched(float *x)
{
    *x = 0;
}

__global__ void trap_in_last(int threads)
{
    if ((int)threadIdx.x == threads - 1)
        __trap();
}

__global__ void move_vectors(const float *from, float *to, int wide)
{
    if (wide)
        *(float4 *)to = *(const float4 *)from;
    else
        *(uint2 *)to = *(const uint2 *)from;
}

struct much {
    char bytes[2100];
};
__global__ void takes_much(much, much) {}

// x += 1 twice as a graph, launched `launches` times.
static cudaError_t count_by_graph(int launches, float *result)
{
    cudaStream_t s = stream_on(0);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    float *x = floats(1);
    OK(LAUNCH(add_one, 1, 1, s, x));
    OK(LAUNCH(fill, 1, 1, s, x, 1, 0.0f));
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    OK(LAUNCH(add_one, 1, 1, s, x));
    OK(LAUNCH(add_one, 1, 1, s, x));
    OK(cudaStreamEndCapture(s, &graph));
    OK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cudaGraphDestroy(graph));
    for (int i = 0; i < launches; i++)
        OK(cudaGraphLaunch(exec, s));
    OK(cudaMemcpyAsync(result, x, sizeof *result, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    return cudaGraphExecDestroy(exec);
}

static void graphs_run_what_was_recorded(void **)
{
    float result = -1;
    OK(count_by_graph(0, &result));
    assert_true(result == 0);
    OK(count_by_graph(3, &result));
    assert_true(result == 6);
}

static void what_cannot_be_captured_is_refused(void **)
{
    static const std::function<cudaError_t(cudaStream_t, float *)> acts[] = {
        [](cudaStream_t s, float *) { return cudaStreamSynchronize(s); },
        [](cudaStream_t, float *) {
            void *memory;
            return cudaMalloc(&memory, 64);
        },
        [](cudaStream_t, float *x) { return cudaFree(x); },
        [](cudaStream_t s, float *x) {
            static const float one = 1;
            return cudaMemcpyAsync(x, &one, sizeof one, cudaMemcpyHostToDevice, s);
        },
        [](cudaStream_t s, float *) {
            cudaEvent_t event;
            OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
            return cudaEventRecord(event, s);
        },
        // Launched on no device before, so that the driver would load it.
        [](cudaStream_t s, float *x) { return LAUNCH(never_launched, 1, 1, s, x); },
    };
    for (const auto &act : acts)
        expect_fault(
            [&] {
                cudaStream_t s = stream_on(0);
                cudaGraph_t graph;
                float *x = floats(1);
                OK(LAUNCH(add_one, 1, 1, s, x));
                OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
                OK(LAUNCH(add_one, 1, 1, s, x));
                assert_int_equal(act(s, x), cudaErrorStreamCaptureUnsupported);
                return cudaStreamEndCapture(s, &graph);
            },
            "a capture with");
}

static void a_graph_of_freed_memory_is_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            cudaGraph_t graph;
            cudaGraphExec_t exec;
            float *x = floats(4096);
            OK(LAUNCH(add_one, 1, 1, s, x));
            OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
            OK(LAUNCH(add_one, 1, 1, s, x));
            OK(cudaStreamEndCapture(s, &graph));
            OK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
            OK(cudaFree(x));
            cudaGraphLaunch(exec, s);
            return cudaStreamSynchronize(s);
        },
        "no allocation");
}

static void a_graph_destroyed_while_it_runs_is_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            cudaGraph_t graph;
            cudaGraphExec_t exec;
            float *x = floats(1);
            OK(LAUNCH(add_one, 1, 1, s, x));
            OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
            for (int i = 0; i < 50; i++)
                OK(LAUNCH(add_one, 1, 1, s, x));
            OK(cudaStreamEndCapture(s, &graph));
            OK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
            OK(cudaGraphLaunch(exec, s));
            OK(cudaGraphExecDestroy(exec));
            return cudaStreamSynchronize(s);
        },
        "destroyed while it runs");
}

// --- kernels that a card would not run

static void a_trap_is_caught(void **)
{
    expect_fault(
        [] {
            cudaStream_t s = stream_on(0);
            OK(LAUNCH(trap_in_last, 1, 32, s, 32));
            return cudaStreamSynchronize(s);
        },
        "__trap");
}

static void misaligned_vectors_are_caught(void **)
{
    for (int store = 0; store < 2; store++)
        for (int wide = 0; wide < 2; wide++)
            expect_fault(
                [=] {
                    cudaStream_t s = stream_on(0);
                    float *x = floats(64), *y = floats(64);
                    OK(LAUNCH(move_vectors, 1, 1, s,
                              x + (store  ? 0
                                   : wide ? 2
                                          : 1),
                              y + (store ? wide ? 2 : 1 : 0), wide));
                    return cudaStreamSynchronize(s);
                },
                wide ? "a vector of 16 bytes" : "a vector of 8 bytes");
    cudaStream_t s = stream_on(0);
    float *x = floats(64), *y = floats(64);
    OK(LAUNCH(move_vectors, 1, 1, s, x + 4, y + 8, 1));
    OK(LAUNCH(move_vectors, 1, 1, s, x + 2, y + 6, 0));
    OK(cudaStreamSynchronize(s));
    OK(cudaStreamDestroy(s));
}

static void too_many_arguments_are_refused(void **)
{
    cudaStream_t s = stream_on(0);
    assert_int_equal(LAUNCH(takes_much, 1, 1, s, much{}, much{}), cudaErrorInvalidValue);
    OK(cudaStreamDestroy(s));
}

static void attributes_of_kernels_are_known(void **)
{
    cudaFuncAttributes of;
    const void *kernel = emulator_register("fill", fill);
    OK(cudaFuncGetAttributes(&of, kernel));
    assert_int_equal(of.ptxVersion, emulator_code());
    assert_int_equal(cudaFuncGetAttributes(&of, &of), cudaErrorInvalidDeviceFunction);
    OK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared));
    assert_int_equal(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 101),
                     cudaErrorInvalidValue);
}

// --- products

// A product of cublasLt with a bias that begins `skew` floats behind where the memory does.
static cudaError_t multiply_with_bias(int skew)
{
    cudaStream_t s = stream_on(0);
    cublasLtHandle_t lt;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t layout;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t way;
    float *x = floats(16), *y = floats(16), *bias = floats(16), *used = bias + skew;
    const float one = 1, none = 0;
    const int32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    int found = 0;
    OK(LAUNCH(fill, 1, 16, s, x, 16, 1.0f));
    OK(LAUNCH(fill, 1, 16, s, bias, 16, 1.0f));
    cublasLtCreate(&lt);
    cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &used, sizeof used);
    cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 4);
    cublasLtMatmulPreferenceCreate(&preference);
    cublasLtMatmulAlgoGetHeuristic(lt, desc, layout, layout, layout, layout, preference, 1, &way, &found);
    assert_int_equal(found, 1);
    cublasLtMatmul(lt, desc, &one, x, layout, x, layout, &none, y, layout, y, layout, &way.algo, nullptr, 0, s);
    cudaError_t error = cudaStreamSynchronize(s);
    return error == cudaSuccess ? cudaStreamDestroy(s) : error;
}

static void a_misaligned_bias_is_caught(void **)
{
    OK(multiply_with_bias(0));
    OK(multiply_with_bias(4));
    expect_fault([] { return multiply_with_bias(1); }, "a bias at no multiple of 16 bytes");
}

static void products_on_another_device_than_the_current_are_refused(void **)
{
    cudaStream_t s = stream_on(0);
    cublasHandle_t handle;
    const float one = 1, none = 0;
    float *x = floats(1);
    assert_int_equal(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetStream(handle, s), CUBLAS_STATUS_SUCCESS);
    for (int device = 1; device >= 0; device--) {
        OK(cudaSetDevice(device));
        assert_int_equal(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x, CUDA_R_32F, 1, x, CUDA_R_32F,
                                      1, &none, x, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                         device ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS);
    }
    cublasDestroy(handle);
    OK(cudaStreamDestroy(s));
}

static void products_are_right(void **)
{
    cudaStream_t s = stream_on(0);
    cublasHandle_t handle;
    // Column by column: a is [2,3], b [3,2].
    const float a[] = {1, 4, 2, 5, 3, 6}, b[] = {7, 9, 11, 8, 10, 12}, one = 1, none = 0;
    float *da = floats(6), *db = floats(6), *dc = floats(4), c[4];
    OK(cudaMemcpyAsync(da, a, sizeof a, cudaMemcpyHostToDevice, s));
    OK(cudaMemcpyAsync(db, b, sizeof b, cudaMemcpyHostToDevice, s));
    assert_int_equal(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetStream(handle, s), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, da, CUDA_R_32F, 2, 0,
                                                db, CUDA_R_32F, 3, 0, &none, dc, CUDA_R_32F, 2, 0, 1,
                                                CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     CUBLAS_STATUS_SUCCESS);
    OK(cudaMemcpyAsync(c, dc, sizeof c, cudaMemcpyDeviceToHost, s));
    OK(cudaStreamSynchronize(s));
    assert_true(c[0] == 58 && c[1] == 139 && c[2] == 64 && c[3] == 154);
    assert_int_equal(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &one, da, CUDA_R_32F, 1, 0,
                                                db, CUDA_R_32F, 3, 0, &none, dc, CUDA_R_32F, 2, 0, 1,
                                                CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     CUBLAS_STATUS_INVALID_VALUE);
    cublasDestroy(handle);
    OK(cudaStreamDestroy(s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_work),
        cmocka_unit_test(a_missing_barrier_is_caught),
        cmocka_unit_test(shuffles_work),
        cmocka_unit_test(products_of_tiles_work),
        cmocka_unit_test(products_in_registers_work),
        cmocka_unit_test(a_missing_syncwarp_is_caught),
        cmocka_unit_test(fragments_have_no_fixed_places),
        cmocka_unit_test(tiles_out_of_line_are_caught),
        cmocka_unit_test(events_order_streams),
        cmocka_unit_test(a_missing_event_is_caught),
        cmocka_unit_test(pinned_memory_that_changes_too_early_is_caught),
        cmocka_unit_test(writes_out_of_bounds_are_caught),
        cmocka_unit_test(writes_behind_shared_memory_are_caught),
        cmocka_unit_test(barriers_that_some_do_not_reach_are_caught),
        cmocka_unit_test(use_after_free_is_caught),
        cmocka_unit_test(peer_access_without_enabling_is_caught),
        cmocka_unit_test(links_are_told_apart),
        cmocka_unit_test(wrong_devices_are_caught),
        cmocka_unit_test(graphs_run_what_was_recorded),
        cmocka_unit_test(what_cannot_be_captured_is_refused),
        cmocka_unit_test(a_graph_of_freed_memory_is_caught),
        cmocka_unit_test(a_graph_destroyed_while_it_runs_is_caught),
        cmocka_unit_test(a_trap_is_caught),
        cmocka_unit_test(misaligned_vectors_are_caught),
        cmocka_unit_test(too_many_arguments_are_refused),
        cmocka_unit_test(attributes_of_kernels_are_known),
        cmocka_unit_test(products_are_right),
        cmocka_unit_test(a_misaligned_bias_is_caught),
        cmocka_unit_test(products_on_another_device_than_the_current_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
