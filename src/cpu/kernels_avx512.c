/* kernels_avx512.c - kernels for processors with AVX-512F: 16 lanes, 32 registers, tiles of 8 x 48, 12 x 32, 8 x 16; and for those
 * with AVX512_BF16 besides, products in bf16. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#include <immintrin.h>
#define HS_CODELETS hs_cpu_codelets_avx512
#define HS_LANES 16
#define HS_KERNELS hs_cpu_kernels_avx512
#define HS_KERNELS_NAME "avx512"
#define TILE_WIDE 3
#define TILE_MID 2
#define MAX_WIDE 8
#define MAX_MID 12
#define MAX_ONE 8
#define ROWS_WIDE ROWS_8
#define ROWS_MID ROWS_12
#define ROWS_ONE ROWS_8
#define PUT(stream, p, v) ((stream) ? _mm512_stream_ps((p), (__m512)(v)) : STORE((p), (v)))
/* One bit a lane for what a rectifier lets pass (NaN too), and the lanes whose bit is set, the others 0. */
#define PASSED(v) ((unsigned)_mm512_cmp_ps_mask((__m512)(v), _mm512_setzero_ps(), _CMP_NLE_UQ))
#define KEPT(v, bits) ((vec)_mm512_maskz_mov_ps((__mmask16)(bits), (__m512)(v)))
#define WIDEN(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(p)))
#define NARROW(p, v) _mm_storeu_si128((__m128i *)(p), _mm512_cvtepi32_epi8((__m512i)(v)))
#include "kernels_body.h"

/* A processor that issues vdpbf16ps as often as fp32 multiply-adds does twice as many of them by it. Not all do: one that was measured (Sapphire
 * Rapids class) issues it a quarter as often, 86 GF/s against 174 with one thread. */
#pragma GCC target("avx512bf16")
#define HS_BF16 hs_cpu_bf16_avx512
#define ROUND(low, high) ((ivec)_mm512_cvtne2ps_pbh((__m512)(high), (__m512)(low)))
#define PAIR(even, odd) ((ivec)_mm512_permutexvar_epi16(interleave(), (__m512i)ROUND(even, odd)))
#define DOT(acc, a, b) ((vec)_mm512_dpbf16_ps((__m512)(acc), (__m512bh)(b), (__m512bh)_mm512_set1_epi32((int)(a))))

/* 16 + i above i in lane i, of 32 numbers in 16 bits. */
INLINE __m512i interleave(void)
{
    return (__m512i)((ivec){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} * 0x10001u + 0x100000u);
}

#include "kernels_bf16.h"
#else
typedef int hs_cpu_no_avx512; /* a file must declare something */
#endif
