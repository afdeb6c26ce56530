/* launch.h - what the .cu files share: launches, dynamic shared memory, loops over elements and sums in a block.
 *
 * The same files are compiled by nvcc and, for the tests, by the host's C++ compiler (tests/cuda_emulation). Rules for both:
 *   - launches go through HS_LAUNCH, or HS_LAUNCH_TOGETHER where threads of a block wait for each other; both return a status;
 *   - shared memory is dynamic and comes from HS_SHARED; nothing is __shared__ by itself;
 *   - pointers are arguments of their own, never inside a structure;
 *   - no atomics on floating-point numbers: every sum has one order, so equal calls give equal bits. */
#ifndef HS_CUDA_LAUNCH_H
#define HS_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define HS_LAUNCH(kernel, grid, block, shared, stream, ...) \
    (kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__), cudaGetLastError())
#define HS_LAUNCH_TOGETHER HS_LAUNCH
#define HS_SHARED(type, name)                    \
    extern __shared__ __align__(16) double hs_shared_memory[]; \
    type *name = reinterpret_cast<type *>(hs_shared_memory)
#else
#define HS_LAUNCH(kernel, grid, block, shared, stream, ...) \
    emulation::start(#kernel, kernel, false, (grid), (block), (shared), (stream), __VA_ARGS__)
#define HS_LAUNCH_TOGETHER(kernel, grid, block, shared, stream, ...) \
    emulation::start(#kernel, kernel, true, (grid), (block), (shared), (stream), __VA_ARGS__)
#define HS_SHARED(type, name) type *name = reinterpret_cast<type *>(emulation::now.shared)
#endif

enum { HS_BLOCK = 256, HS_SUM_BLOCK = 128 }; /* threads: of elementwise kernels, of sums */

/* Enough blocks for COUNT elements; beyond 16 blocks for each of 132 processors every thread takes several. */
static inline unsigned hs_blocks(size_t count)
{
    const size_t blocks = (count + HS_BLOCK - 1) / HS_BLOCK;
    return (unsigned)(blocks < 2112 ? blocks : 2112);
}

#define HS_EACH(i, count) \
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += (size_t)gridDim.x * blockDim.x)

/* Division of numbers below 2^31 by one that stays: with l = ceil(log2 by), n / by = n ceil(2^(31 + l) / by) >> (31 + l) (Granlund
 * and Montgomery 1994). A division by a variable takes some twenty instructions, twice that in 64 bits. */
struct hs_divisor {
    uint32_t by, factor;
    int shift;
};
static inline hs_divisor hs_divide_by(uint32_t by)
{
    int log = 0;
    while (((uint64_t)1 << log) < by)
        log++;
    return {by, (uint32_t)((((uint64_t)1 << (31 + log)) + by - 1) / by), 31 + log};
}
static __device__ __forceinline__ uint32_t hs_divided(uint32_t n, const hs_divisor &d)
{
    return (uint32_t)((uint64_t)n * d.factor >> d.shift);
}

/* Sum of one number of every thread of a block of HS_SUM_BLOCK threads, in a fixed tree; every thread gets it. ROOM
 * [HS_SUM_BLOCK] in shared memory may be used again when the call has returned. */
static __device__ __forceinline__ double hs_block_sum(double mine, double *room)
{
    room[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = HS_SUM_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = room[0];
    __syncthreads();
    return sum;
}

#endif
