/* codelets_avx2.c - the generated transforms for AVX2 and FMA. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define HS_LANES 8
#define PUT(stream, p, v) ((stream) ? _mm256_stream_ps((p), (__m256)(v)) : STORE((p), (v)))
#include "codelet.h"
#include "vec.h"
#define HS_CODELETS hs_cpu_codelets_avx2
#include "codelets.h"
#else
typedef int hs_cpu_no_avx2_codelets; /* a file must declare something */
#endif
