/* wire.cu - gradients as bf16 and back: the upper half of a float, rounded to the nearest, ties to even. */
#include <string.h>

#include "launch.h"

#include "kernels.h"

static __device__ uint16_t narrowed(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x40); /* a NaN stays one, whatever is cut off */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static __global__ void to_bf16(size_t count, const float *x, uint16_t *y)
{
    HS_EACH (i, count)
        y[i] = narrowed(x[i]);
}

static __global__ void from_bf16(size_t count, const uint16_t *x, float *y)
{
    HS_EACH (i, count) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(&y[i], &bits, sizeof bits);
    }
}

cudaError_t hs_cuda_to_bf16(cudaStream_t s, size_t count, const float *x, uint16_t *y)
{
    return count ? HS_LAUNCH(to_bf16, hs_blocks(count), HS_BLOCK, 0, s, count, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_from_bf16(cudaStream_t s, size_t count, const uint16_t *x, float *y)
{
    return count ? HS_LAUNCH(from_bf16, hs_blocks(count), HS_BLOCK, 0, s, count, x, y) : cudaSuccess;
}
