/* wire.cu - fp32 as bf16 and back: gradients on their way to other ranks, maps and filters that are multiplied as such. The upper half of a float,
 * rounded to the nearest, ties to even; a NaN stays one. A thread does eight numbers, in lines where both sides are aligned. */
#include "eight.h"

#include "kernels.h"

enum { TOGETHER = 8 };

template <typename From, typename To> static __global__ void converted(size_t count, bool wide, const From *x, To *y)
{
    HS_EACH (i, (count + TOGETHER - 1) / TOGETHER) {
        const size_t rest = count - TOGETHER * i;
        const int left = rest < TOGETHER ? (int)rest : TOGETHER;
        const bool lines = wide && left == TOGETHER;
        float v[TOGETHER];
        hs_get_eight(lines, left, x + TOGETHER * i, v);
        hs_put_eight(lines, left, v, y + TOGETHER * i);
    }
}

template <typename From, typename To> static cudaError_t convert(cudaStream_t s, size_t count, const From *x, To *y)
{
    const auto convert_kernel = converted<From, To>;
    const bool wide = ((uintptr_t)x | (uintptr_t)y) % 16 == 0;
    return count ? HS_LAUNCH(convert_kernel, hs_blocks((count + TOGETHER - 1) / TOGETHER), HS_BLOCK, 0, s, count, wide, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_to_bf16(cudaStream_t s, size_t count, const float *x, uint16_t *y)
{
    return convert(s, count, x, (hs_half *)y);
}

cudaError_t hs_cuda_from_bf16(cudaStream_t s, size_t count, const uint16_t *x, float *y)
{
    return convert(s, count, (const hs_half *)x, y);
}
