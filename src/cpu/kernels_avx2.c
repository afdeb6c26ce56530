/* kernels_avx2.c - kernels for processors with AVX2 and FMA: 8 lanes, 16 registers, tiles of 4 x 24, 6 x 16, 6 x 8. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define HS_CODELETS hs_cpu_codelets_avx2
#define HS_LANES 8
#define HS_KERNELS hs_cpu_kernels_avx2
#define HS_KERNELS_NAME "avx2"
#define TILE_WIDE 3
#define TILE_MID 2
#define MAX_WIDE 4
#define MAX_MID 6
#define MAX_ONE 6
#define ROWS_WIDE ROWS_4
#define ROWS_MID ROWS_6
#define ROWS_ONE ROWS_6
#define PUT(stream, p, v) ((stream) ? _mm256_stream_ps((p), (__m256)(v)) : STORE((p), (v)))
#define PASSED(v) ((unsigned)_mm256_movemask_ps(_mm256_cmp_ps((__m256)(v), _mm256_setzero_ps(), _CMP_NLE_UQ)))
#define LANE_BITS _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128)
#define KEPT(v, bits) \
    ((vec)_mm256_and_ps((__m256)(v), _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)(bits)), LANE_BITS), LANE_BITS))))
#define WIDEN(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p)))
#define NARROW(p, v) narrow((p), (__m256i)(v))

static inline void narrow(unsigned char *p, __m256i v)
{
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

#include "kernels_body.h"
#else
typedef int hs_cpu_no_avx2; /* a file must declare something */
#endif
