/* half.h - numbers in memory as bf16: the upper half of a float, nearest, ties to even. Kernels compute in float. */
#ifndef HS_CUDA_HALF_H
#define HS_CUDA_HALF_H

#include "mma.h"

struct hs_half {
    uint16_t bits;
};

static __device__ __forceinline__ float hs_half_get(float x)
{
    return x;
}

static __device__ __forceinline__ float hs_half_get(hs_half x)
{
#ifdef __CUDACC__
    return __uint_as_float((uint32_t)x.bits << 16);
#else
    return hs_float_of((uint32_t)x.bits << 16);
#endif
}

static __device__ __forceinline__ void hs_half_put(float x, float *to)
{
    *to = x;
}

static __device__ __forceinline__ void hs_half_put(float x, hs_half *to)
{
    to->bits = (uint16_t)hs_to_bf16(x, 0);
}

#endif
