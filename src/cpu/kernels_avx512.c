/* kernels_avx512.c - kernels for processors with AVX-512F: 16 lanes, 32 registers, tiles of 8 x 48, 12 x 32, 8 x 16. */
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
#else
typedef int hs_cpu_no_avx512; /* a file must declare something */
#endif
