/* eight.h - eight neighbouring columns of a row, as a byte of a mask has them, in bf16 or fp32: by whole lines where rows begin at such
 * addresses and hold eights (WIDE), else one by one, of which there are LEFT. */
#ifndef HS_CUDA_EIGHT_H
#define HS_CUDA_EIGHT_H

#include "half.h"

template <typename T> static __device__ __forceinline__ void hs_get_eight(bool wide, int left, const T *from, float (&v)[8])
{
    if (wide) {
        hs_get_line<8>(from, v);
        return;
    }
    HS_UNROLL
    for (int k = 0; k < 8; k++)
        v[k] = k < left ? hs_half_get(from[k]) : 0;
}

template <typename T> static __device__ __forceinline__ void hs_put_eight(bool wide, int left, const float (&v)[8], T *to)
{
    if (wide) {
        hs_put_line<8>(v, to);
        return;
    }
    HS_UNROLL
    for (int k = 0; k < 8; k++)
        if (k < left)
            hs_half_put(v[k], to + k);
}

#endif
