/* planted.cpp - see planted.h. */
#include "planted.h"

#include "line.h"
#include "shadow.h"

static __global__ void reverse(int fault, const float *x, float *y)
{
    HS_SHARED(float, room);
    const unsigned i = threadIdx.x, at = blockIdx.x * PLANTED_BLOCK + i;
    room[i] = x[at];
    if (fault != PLANTED_BARRIER && (fault != PLANTED_DIVERGENCE || i % 2))
        __syncthreads();
    y[at] = room[PLANTED_BLOCK - (fault == PLANTED_INDEX ? 0 : 1) - i];
}

static __global__ void neighbours(int fault, const float *x, float *y)
{
    HS_SHARED(float, room);
    const unsigned i = threadIdx.x, at = blockIdx.x * PLANTED_BLOCK + i;
    if (fault != PLANTED_UNWRITTEN || i > 0)
        room[i] = x[at] + 1;
    if (fault == PLANTED_WARP)
        (void)__shfl_xor_sync(~0u, i, 1);
    else
        hs_warp_wait();
    y[at ^ 1] = room[i ^ 1];
    if (fault == PLANTED_BLOCKS && i == 0)
        y[0] = x[0] + 1; /* what is there already */
}

static __global__ void warp_sums(const float *x, float *sum)
{
    float own = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int mask = warpSize / 2; mask > 0; mask /= 2)
        own += __shfl_xor_sync(~0u, own, mask);
    if (threadIdx.x % warpSize == 0)
        sum[(blockIdx.x * blockDim.x + threadIdx.x) / warpSize] = own;
}

cudaError_t planted_reverse(cudaStream_t s, planted_fault fault, int n, const float *x, float *y)
{
    /* one number more than used, so that a wrong index reads poison and not somebody else's memory */
    return HS_LAUNCH_TOGETHER(reverse, n / PLANTED_BLOCK, PLANTED_BLOCK, (PLANTED_BLOCK + 1) * sizeof(float), s, fault, x, y);
}

cudaError_t planted_neighbours(cudaStream_t s, planted_fault fault, int n, const float *x, float *y)
{
    return HS_LAUNCH_TOGETHER(neighbours, n / PLANTED_BLOCK, PLANTED_BLOCK, PLANTED_BLOCK * sizeof(float), s, fault, x, y);
}

cudaError_t planted_warp_sums(cudaStream_t s, int n, const float *x, float *sum)
{
    return HS_LAUNCH_TOGETHER(warp_sums, n / PLANTED_BLOCK, PLANTED_BLOCK, 0, s, x, sum);
}

cudaError_t planted_wrong_launch(cudaStream_t s, float *y)
{
    return HS_LAUNCH(reverse, 1, PLANTED_BLOCK, (PLANTED_BLOCK + 1) * sizeof(float), s, PLANTED_NONE, y, y);
}

bool planted_watched(void)
{
    return emulation::shadow::reports;
}
