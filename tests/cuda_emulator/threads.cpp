// The threads of a block. One fibre runs them one after the other; a thread that waits at a barrier keeps its fibre
// and another one takes over the rest, so that kernels without barriers need one fibre. The order of threads and
// blocks is random: what relies on it goes wrong for some seed. A touch of memory that is not there ends the kernel.
// A fibre begins by makecontext and goes on by _longjmp, which unlike swapcontext asks nothing of the system.
#include "emulator.h"

#include "include/mma.h"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <sys/mman.h>
#include <ucontext.h>

emulator_index threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator
{

enum { STACK = 256 << 10, WARP = 32, SHARED_MAX = 48 << 10, GAP = 64, PATTERN = 0x5a };

enum state { IDLE, RUNNING, AT_BARRIER, AT_WARP, ENDED };

// Operands of a warp's product: b lies column by column. Two take turns, so that lanes may be one product apart.
struct tiles {
    float a[2][EMULATOR_TILE * EMULATOR_TILE], b[2][EMULATOR_TILE * EMULATOR_TILE];
};

struct fibre {
    ucontext_t context;
    jmp_buf place;
    bool begun;
    char *stack;
    unsigned thread;
};

static struct {
    const std::function<void()> *thread;
    unsigned threads, next;          // of the block; how many have started
    unsigned first, step;            // their order
    std::vector<fibre *> owner;      // by thread
    std::vector<state> states;       // by thread
    std::vector<uint64_t> exchanged; // by thread
    std::vector<tiles> rooms;        // by warp
    std::vector<unsigned> products;  // by thread, how many it took part in
    fibre *running;
    unsigned current;
    // Shared memory: arrays by key, one behind the other with gaps.
    std::vector<std::pair<const void *, size_t>> arrays; // and where each ends
    size_t shared_used, dynamic_bytes;
    alignas(256) char shared[SHARED_MAX * 2];
} block;

static std::string fault; // of the kernel that runs, found by what stands in for an instruction
static uint64_t scramble; // where lanes hold the elements of fragments
static std::vector<fibre *> idle;
static ucontext_t scheduler;
static jmp_buf scheduler_place;
static sigjmp_buf escape;
static thread_local volatile sig_atomic_t executing;
static const void *volatile fault_address;

static void set_thread(unsigned t)
{
    block.current = t;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

static void leave(fibre *own)
{
    if (!_setjmp(own->place))
        _longjmp(scheduler_place, 1);
}

// Takes threads of the block until one waits.
static void fibre_main()
{
    for (;;) {
        fibre *own = block.running;
        while (block.next < block.threads) {
            unsigned t = (block.first + block.next++ * block.step) % block.threads;
            own->thread = t;
            block.owner[t] = own;
            block.states[t] = RUNNING;
            set_thread(t);
            (*block.thread)();
            block.states[t] = ENDED;
            // Threads that waited go on in their own fibres.
        }
        leave(own);
    }
}

static void prepare(fibre *f)
{
    f->begun = false;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK;
    f->context.uc_link = nullptr;
    makecontext(&f->context, fibre_main, 0);
}

static fibre *take()
{
    if (!idle.empty()) {
        fibre *f = idle.back();
        idle.pop_back();
        return f;
    }
    fibre *f = new fibre;
    f->stack = (char *)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    prepare(f);
    return f;
}

static void resume(fibre *f)
{
    block.running = f;
    if (_setjmp(scheduler_place))
        return;
    if (f->begun)
        _longjmp(f->place, 1);
    f->begun = true;
    swapcontext(&scheduler, &f->context);
}

static void wait(state where)
{
    fibre *own = block.running;
    unsigned t = block.current;
    block.states[t] = where;
    leave(own);
    block.running = own;
    set_thread(t);
}

// Lets all threads go that have met at the barrier; false where none can.
static bool release()
{
    bool any = false, all = true;
    for (unsigned t = 0; t < block.threads; t++)
        all = all && block.states[t] == AT_BARRIER;
    for (unsigned warp = 0; warp < block.threads; warp += WARP) {
        unsigned end = std::min(warp + WARP, block.threads);
        bool together = true;
        for (unsigned t = warp; t < end; t++)
            together = together && block.states[t] == AT_WARP;
        for (unsigned t = warp; t < end && (together || all); t++) {
            block.states[t] = RUNNING;
            any = true;
        }
    }
    return any;
}

static std::string diverged(const char *name)
{
    char text[300];
    unsigned waiting = 0, ended = 0;
    for (unsigned t = 0; t < block.threads; t++) {
        waiting += block.states[t] == AT_BARRIER || block.states[t] == AT_WARP;
        ended += block.states[t] == ENDED;
    }
    snprintf(text, sizeof text, "kernel %s, block %u %u %u: %u threads wait at a barrier that %u others do not reach",
             name, blockIdx.x, blockIdx.y, blockIdx.z, waiting, ended);
    return text;
}

static std::string check_shared(const char *name)
{
    if (!fault.empty())
        return std::string("kernel ") + name + ": " + fault;
    for (auto &array : block.arrays)
        for (size_t i = 0; i < GAP; i++)
            if (block.shared[array.second + i] != PATTERN)
                return std::string("kernel ") + name + ": write behind an array in shared memory";
    return "";
}

static std::string run_block(const char *name)
{
    block.next = 0;
    block.arrays.clear();
    block.shared_used = 0;
    std::fill(block.states.begin(), block.states.end(), IDLE);
    block.first = (unsigned)(dice()() % block.threads);
    block.step = 1 + (unsigned)(dice()() % block.threads);
    while (std::gcd(block.step, block.threads) != 1)
        block.step++;
    std::vector<fibre *> fibres;
    while (block.next < block.threads) {
        fibre *f = take();
        resume(f);
        if (block.states[f->thread] == ENDED)
            idle.push_back(f);
        else
            fibres.push_back(f);
    }
    while (!fibres.empty()) {
        if (!release())
            return diverged(name);
        std::vector<fibre *> left;
        size_t count = fibres.size(), start = dice()() % count;
        bool back = dice()() & 1;
        for (size_t i = 0; i < count; i++) {
            fibre *f = fibres[(start + (back ? count - i : i)) % count];
            if (block.states[f->thread] == RUNNING)
                resume(f);
            if (block.states[f->thread] == ENDED)
                idle.push_back(f);
            else
                left.push_back(f);
        }
        fibres.swap(left);
    }
    return check_shared(name);
}

static struct sigaction before[2];

// A fault of another thread, or outside of kernels, is not ours: it comes again and finds the handler before.
static void on_fault(int signal, siginfo_t *info, void *)
{
    if (executing) {
        fault_address = info->si_addr;
        siglongjmp(escape, 1);
    }
    sigaction(signal, &before[signal == SIGBUS], nullptr);
}

// Only while a kernel runs: whoever else watches, a test's harness or a sanitizer, keeps doing so.
static void watch_faults(bool on)
{
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, on ? &action : &before[0], on ? &before[0] : nullptr);
    sigaction(SIGBUS, on ? &action : &before[1], on ? &before[1] : nullptr);
    executing = on;
}

// In a function of its own: what longjmp leaves must not hold objects.
static std::string run_blocks(const char *name, uint64_t blocks)
{
    const uint64_t start = dice()() % blocks;
    const bool back = dice()() & 1;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t b = (start + (back ? blocks - i : i)) % blocks;
        blockIdx = {(unsigned)(b % gridDim.x), (unsigned)(b / gridDim.x % gridDim.y),
                    (unsigned)(b / gridDim.x / gridDim.y)};
        std::string wrong = run_block(name);
        if (!wrong.empty())
            return wrong;
    }
    return "";
}

std::string run_grid(const char *name, const std::function<void()> &thread, dim3 grid, dim3 size, size_t shared_bytes)
{
    blockDim = size;
    gridDim = grid;
    block.thread = &thread;
    block.threads = size.x * size.y * size.z;
    block.dynamic_bytes = shared_bytes;
    block.owner.assign(block.threads, nullptr);
    block.states.assign(block.threads, IDLE);
    block.exchanged.assign(block.threads, 0);
    block.rooms.resize((block.threads + WARP - 1) / WARP);
    block.products.assign(block.threads, 0);
    scramble = dice()();
    fault.clear();
    if (!sigsetjmp(escape, 1)) {
        watch_faults(true);
        std::string wrong = run_blocks(name, (uint64_t)grid.x * grid.y * grid.z);
        watch_faults(false);
        return wrong;
    }
    watch_faults(false);
    // Fibres of the block that faulted are left as they are: their stacks hold what the kernel was doing.
    idle.clear();
    char where[200];
    snprintf(where, sizeof where, "kernel %s, block %u %u %u, thread %u %u %u: access to ", name, blockIdx.x,
             blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    return where + describe((const void *)fault_address);
}

} // namespace emulator

using namespace emulator;

void __syncthreads()
{
    emulator::wait(AT_BARRIER);
}

void __trap()
{
    fault = "__trap";
}

void emulator_misaligned(const void *address, size_t bytes)
{
    fault = "misaligned address: a vector of " + std::to_string(bytes) + " bytes at " + describe(address);
}

int emulator_code()
{
    static const int code = (int)number("MCF_EMULATOR_CODE", (uint64_t)device_major() * 10);
    return code;
}

void __syncwarp(unsigned mask)
{
    emulator::wait(AT_WARP);
}

unsigned emulator_lane()
{
    return block.current % WARP;
}

uint64_t emulator_exchange(uint64_t value, unsigned lane)
{
    const unsigned own = block.current, from = own / WARP * WARP + lane;
    block.exchanged[own] = value;
    emulator::wait(AT_WARP);
    uint64_t got = from < block.threads ? block.exchanged[from] : value;
    emulator::wait(AT_WARP);
    return got;
}

// An odd factor and a summand make a permutation of the 256 elements, another one for each use.
unsigned emulator_fragment_place(int use, unsigned lane, unsigned i)
{
    const uint64_t bits = scramble >> 16 * use;
    return (unsigned)((lane * EMULATOR_HELD + i) * (bits % 128 * 2 + 1) + (bits >> 8)) %
           (EMULATOR_TILE * EMULATOR_TILE);
}

void emulator_fragment_product(const float a[EMULATOR_HELD], const float b[EMULATOR_HELD], float c[EMULATOR_HELD])
{
    const unsigned own = block.current, lane = own % WARP, turn = block.products[own]++ % 2;
    float *left = block.rooms[own / WARP].a[turn], *right = block.rooms[own / WARP].b[turn];
    for (unsigned i = 0; i < EMULATOR_HELD; i++) {
        const unsigned place = emulator_fragment_place(1, lane, i);
        left[emulator_fragment_place(0, lane, i)] = a[i];
        right[place % EMULATOR_TILE * EMULATOR_TILE + place / EMULATOR_TILE] = b[i];
    }
    emulator::wait(AT_WARP);
    for (unsigned i = 0; i < EMULATOR_HELD; i++) {
        const unsigned place = emulator_fragment_place(2, lane, i);
        const float *row = left + place / EMULATOR_TILE * EMULATOR_TILE,
                    *column = right + place % EMULATOR_TILE * EMULATOR_TILE;
        float sum[4] = {c[i]};
        for (unsigned k = 0; k < EMULATOR_TILE; k += 4)
            for (unsigned s = 0; s < 4; s++)
                sum[s] += row[k + s] * column[k + s];
        c[i] = sum[0] + sum[1] + (sum[2] + sum[3]);
    }
}

// The lanes of a group put their elements down as rows of A [8, 4] and columns of B [8, 4], 64 numbers a group.
void emulator_mma_884(bool turned_a, bool turned_b, float c[8], const unsigned a[2], const unsigned b[2])
{
    const unsigned own = block.current, lane = own % WARP, turn = block.products[own]++ % 2;
    const unsigned quad = lane % 4, upper = lane / 16, group = lane / 4 % 4;
    float *left = block.rooms[own / WARP].a[turn] + group * 64, *right = left + 32;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = (turned_a ? i : quad) + 4 * upper, k_left = turned_a ? quad : i;
        const unsigned column = (turned_b ? quad : i) + 4 * upper, k = turned_b ? i : quad;
        left[row * 4 + k_left] = __half2float({(unsigned short)(a[i / 2] >> 16 * (i % 2))});
        right[column * 4 + k] = __half2float({(unsigned short)(b[i / 2] >> 16 * (i % 2))});
    }
    emulator::wait(AT_WARP);
    for (unsigned i = 0; i < 8; i++) {
        const unsigned row = (lane & 1) + (i & 2) + 4 * upper, column = (i & 4) + (lane & 2) + (i & 1);
        float sum = 0;
        for (unsigned k = 0; k < 4; k++)
            sum += left[row * 4 + k] * right[column * 4 + k];
        c[i] += sum;
    }
}

void emulator_check_tile(const void *address, unsigned ld, unsigned step)
{
    if ((uintptr_t)address % 32)
        fault = "a tile of a product begins at no multiple of 32 bytes";
    if (ld % step)
        fault = "lines of a tile lie " + std::to_string(ld) + " elements apart, which is no multiple of " +
                std::to_string(step);
}

void *emulator_shared(const void *key, size_t bytes, bool aligned)
{
    for (auto &array : block.arrays)
        if (array.first == key)
            return block.shared + array.second - (bytes + 15) / 16 * 16;
    const size_t room = (bytes + 15) / 16 * 16;
    if (block.shared_used % 32 == (aligned ? 16 : 0))
        block.shared_used += 16;
    char *memory = block.shared + block.shared_used;
    block.shared_used += room + GAP;
    if (block.shared_used > sizeof block.shared)
        abort(); // more than a card has
    memset(memory, 0xff, room);
    memset(memory + room, PATTERN, GAP);
    block.arrays.push_back({key, (size_t)(memory - block.shared) + room});
    return memory;
}

void *emulator_dynamic_shared()
{
    return emulator_shared(&block.dynamic_bytes, block.dynamic_bytes, false);
}
