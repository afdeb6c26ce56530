/* half.h - numbers in memory as bf16: the upper half of a float, nearest, ties to even. Kernels compute in float; they read and write
 * either type, one number or whole lines of 16 bytes at a time. */
#ifndef HS_CUDA_HALF_H
#define HS_CUDA_HALF_H

#include "mma.h"

struct hs_half {
    uint16_t bits;
};

static __device__ __forceinline__ uint32_t hs_word(float x)
{
#ifdef __CUDACC__
    return __float_as_uint(x);
#else
    return hs_bits_of(x);
#endif
}

static __device__ __forceinline__ float hs_number(uint32_t word)
{
#ifdef __CUDACC__
    return __uint_as_float(word);
#else
    return hs_float_of(word);
#endif
}

static __device__ __forceinline__ float hs_half_get(float x)
{
    return x;
}

static __device__ __forceinline__ float hs_half_get(hs_half x)
{
    return hs_number((uint32_t)x.bits << 16);
}

static __device__ __forceinline__ void hs_half_put(float x, float *to)
{
    *to = x;
}

static __device__ __forceinline__ void hs_half_put(float x, hs_half *to)
{
    to->bits = (uint16_t)hs_to_bf16(x, 0);
}

/* What a thread moves at once: 16 bytes at an address that divides by 16. */
struct __attribute__((aligned(16))) hs_line {
    uint32_t word[4];
};

/* V numbers at FROM: one, or whole lines; V / 8 of bf16, V / 4 of floats. */
template <int V> static __device__ __forceinline__ void hs_get_line(const float *from, float (&v)[V])
{
    if (V == 1)
        v[0] = *from;
    HS_UNROLL
    for (int i = 0; i < V / 4; i++) {
        const hs_line line = reinterpret_cast<const hs_line *>(from)[i];
        HS_UNROLL
        for (int j = 0; j < 4; j++)
            v[4 * i + j] = hs_number(line.word[j]);
    }
}

template <int V> static __device__ __forceinline__ void hs_get_line(const hs_half *from, float (&v)[V])
{
    if (V == 1)
        v[0] = hs_half_get(*from);
    HS_UNROLL
    for (int i = 0; i < V / 8; i++) {
        const hs_line line = reinterpret_cast<const hs_line *>(from)[i];
        HS_UNROLL
        for (int j = 0; j < 4; j++) {
            v[8 * i + 2 * j] = hs_number(line.word[j] << 16);
            v[8 * i + 2 * j + 1] = hs_number(line.word[j] & 0xFFFF0000u);
        }
    }
}

template <int V> static __device__ __forceinline__ void hs_put_line(const float (&v)[V], float *to)
{
    if (V == 1)
        *to = v[0];
    HS_UNROLL
    for (int i = 0; i < V / 4; i++)
        reinterpret_cast<hs_line *>(to)[i] = {hs_word(v[4 * i]), hs_word(v[4 * i + 1]), hs_word(v[4 * i + 2]), hs_word(v[4 * i + 3])};
}

template <int V> static __device__ __forceinline__ void hs_put_line(const float (&v)[V], hs_half *to)
{
    if (V == 1)
        hs_half_put(v[0], to);
    HS_UNROLL
    for (int i = 0; i < V / 8; i++)
        reinterpret_cast<hs_line *>(to)[i] = {hs_to_bf16(v[8 * i], v[8 * i + 1]), hs_to_bf16(v[8 * i + 2], v[8 * i + 3]),
                                              hs_to_bf16(v[8 * i + 4], v[8 * i + 5]), hs_to_bf16(v[8 * i + 6], v[8 * i + 7])};
}

/* Four numbers, at an address that divides by their bytes. */
struct __attribute__((aligned(8))) hs_short_line {
    uint32_t word[2];
};

static __device__ __forceinline__ void hs_get_four(const float *from, float (&v)[4])
{
    hs_get_line<4>(from, v);
}

static __device__ __forceinline__ void hs_get_four(const hs_half *from, float (&v)[4])
{
    const hs_short_line line = *reinterpret_cast<const hs_short_line *>(from);
    HS_UNROLL
    for (int j = 0; j < 2; j++) {
        v[2 * j] = hs_number(line.word[j] << 16);
        v[2 * j + 1] = hs_number(line.word[j] & 0xFFFF0000u);
    }
}

static __device__ __forceinline__ void hs_put_four(const float (&v)[4], float *to)
{
    hs_put_line<4>(v, to);
}

static __device__ __forceinline__ void hs_put_four(const float (&v)[4], hs_half *to)
{
    *reinterpret_cast<hs_short_line *>(to) = {hs_to_bf16(v[0], v[1]), hs_to_bf16(v[2], v[3])};
}

#endif
