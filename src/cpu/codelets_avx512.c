/* codelets_avx512.c - the generated transforms for AVX-512F. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#include <immintrin.h>
#define HS_LANES 16
#define PUT(stream, p, v) ((stream) ? _mm512_stream_ps((p), (__m512)(v)) : STORE((p), (v)))
#include "codelet.h"
#include "vec.h"
#define HS_CODELETS hs_cpu_codelets_avx512
#include "codelets.h"
#else
typedef int hs_cpu_no_avx512_codelets; /* a file must declare something */
#endif
