/* cuda_runtime.h - stand-in for what nvcc adds to C++: qualifiers, built-in variables, barriers, shuffles and launches.
 *
 * Threads of a block run one after the other on the host. A kernel that never waits (HS_LAUNCH) is a plain loop over its threads;
 * one with barriers or shuffles (HS_LAUNCH_TOGETHER) gets a stack for every thread, and the threads take turns whenever they
 * wait. */
#ifndef HS_EMULATED_RUNTIME_H
#define HS_EMULATED_RUNTIME_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};
struct uint3 {
    unsigned x, y, z;
};

namespace emulation
{

struct place {
    uint3 thread, block;
    dim3 threads, blocks;
    char *shared;
};
extern place now; /* of the thread that runs */

/* The host's address of device memory, or the end of the test: a pointer that is not one of a living block is a fault. */
void *reach(const void *device, const char *who);
bool is_device(const void *pointer);
void wait_block();                                      /* __syncthreads */
void wait_warp();                                       /* __syncwarp, which orders memory too; what lanes trade does not */
std::uint64_t trade(std::uint64_t mine, unsigned lane); /* value of another lane of the warp */
unsigned lane();
/* What a lane brings to a product on tensor cores. All lanes of the warp meet; the 32 fragments are readable until the lane has
 * met twice more. */
struct fragment {
    std::uint32_t a[4], b[2];
};
const fragment *meet(const fragment &mine);
/* Copies to shared memory that are made when they are waited for; FROM NULL: zeros. */
void copy_later(void *shared, const void *from, std::size_t bytes);
void copy_group();
void copy_wait(unsigned left);
std::size_t shared_limit(const void *kernel); /* bytes that it may have */
/* WORK that touches device memory, as NAME. ELSEWHERE: it waits for other processes. */
cudaError_t queue(cudaStream_t stream, std::function<void()> work, const char *name = "a library", bool elsewhere = false);
extern bool stuck; /* some work does not end, and nothing behind it begins */
bool is_recording(cudaStream_t stream);
void wants_device(const char *who); /* the end where this thread has chosen none */
/* WHAT runs on STREAM, and may have to be loaded by the driver the first time: then not while a step is recorded. */
void loads(cudaStream_t stream, const char *who, const std::vector<long long> &what);
bool spoils_recording();            /* for what may not happen while anything is recorded: the recording is lost. False: nothing is */
cudaError_t failed(cudaError_t error); /* and keeps it for cudaGetLastError */
[[noreturn]] void die(const char *who, const char *what);
cudaError_t launch(cudaStream_t stream, const char *name, dim3 grid, dim3 block, std::size_t shared, bool together,
                   std::function<void()> thread);
void run_grid(const char *name, dim3 grid, dim3 block, std::size_t shared, bool together, const std::function<void()> &thread);

/* Pointers that a kernel gets are the host's; anything else is handed over as it is. */
template <typename T> T passed(T value, const char *who)
{
    if constexpr (std::is_pointer_v<T>)
        return value ? static_cast<T>(reach(value, who)) : value;
    else
        return value;
}

template <typename... P, typename... A>
cudaError_t start(const char *name, void (*kernel)(P...), bool together, dim3 grid, dim3 block, std::size_t shared,
                  cudaStream_t stream, A... a)
{
    std::tuple<P...> given(static_cast<P>(a)...);
    loads(stream, name, {(long long)reinterpret_cast<std::intptr_t>(kernel)});
    if (shared > shared_limit(reinterpret_cast<const void *>(kernel)))
        failed(cudaErrorInvalidConfiguration);
    else
        (void)launch(stream, name, grid, block, shared, together,
                     [=] { std::apply([&](auto... p) { kernel(passed(p, name)...); }, given); });
    return cudaGetLastError(); /* which may be of something before */
}

template <typename T> T traded(unsigned lanes, T mine, unsigned from)
{
    if (lanes != ~0u)
        die("a shuffle", "not of all lanes");
    static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    std::uint64_t bits = 0;
    __builtin_memcpy(&bits, &mine, sizeof mine);
    bits = trade(bits, from);
    __builtin_memcpy(&mine, &bits, sizeof mine);
    return mine;
}

} // namespace emulation

#define threadIdx emulation::now.thread
#define blockIdx emulation::now.block
#define blockDim emulation::now.threads
#define gridDim emulation::now.blocks
enum { warpSize = 32 };

inline void __syncthreads()
{
    emulation::wait_block();
}
template <typename T> T __shfl_xor_sync(unsigned lanes, T value, int mask)
{
    return emulation::traded(lanes, value, emulation::lane() ^ (unsigned)mask);
}
template <typename T> T __shfl_down_sync(unsigned lanes, T value, unsigned delta)
{
    unsigned from = emulation::lane() + delta;
    return emulation::traded(lanes, value, from < 32 ? from : emulation::lane());
}
template <typename T> T __shfl_sync(unsigned lanes, T value, int from)
{
    return emulation::traded(lanes, value, (unsigned)from & 31);
}

#endif
