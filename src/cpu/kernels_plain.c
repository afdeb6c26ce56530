/* kernels_plain.c - kernels for every processor: 4 lanes (SSE2, NEON, ..), 16 registers; and the choice among the tables. */
#define HS_CODELETS NULL
#define HS_LANES 4
#define HS_KERNELS hs_cpu_kernels_plain
#define HS_KERNELS_NAME "plain"
#define TILE_WIDE 3
#define TILE_MID 2
#define MAX_WIDE 4
#define MAX_MID 6
#define MAX_ONE 6
#define ROWS_WIDE ROWS_4
#define ROWS_MID ROWS_6
#define ROWS_ONE ROWS_6
#define PUT(stream, p, v) ((void)(stream), STORE((p), (v)))
#include "vec.h"

static inline unsigned passed(vec v)
{
    unsigned bits = 0;
    for (int i = 0; i < HS_LANES; i++)
        bits |= (unsigned)!(v[i] <= 0) << i;
    return bits;
}

static inline vec kept(vec v, unsigned bits)
{
    for (int i = 0; i < HS_LANES; i++)
        v[i] = bits >> i & 1 ? v[i] : 0;
    return v;
}

#define PASSED(v) passed(v)
#define KEPT(v, bits) kept(v, bits)
typedef int lanes __attribute__((vector_size(HS_LANES * 4)));

static inline lanes widen(const unsigned char *p)
{
    lanes v;
    for (int i = 0; i < HS_LANES; i++)
        v[i] = p[i];
    return v;
}

static inline void narrow(unsigned char *p, lanes v)
{
    for (int i = 0; i < HS_LANES; i++)
        p[i] = (unsigned char)v[i];
}

#define WIDEN(p) widen(p)
#define NARROW(p, v) narrow((p), (lanes)(v))
#include "kernels_body.h"

static const hs_cpu_kernels *best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return &hs_cpu_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &hs_cpu_kernels_avx2;
#endif
    return &hs_cpu_kernels_plain;
}

const hs_cpu_kernels *hs_cpu_kernels_find(const char *name)
{
    const hs_cpu_kernels *top = best();
    if (!name || strcmp(name, top->name) == 0)
        return top;
#if defined(__x86_64__)
    if (strcmp(name, "avx2") == 0 && top == &hs_cpu_kernels_avx512)
        return &hs_cpu_kernels_avx2;
#endif
    return strcmp(name, "plain") == 0 ? &hs_cpu_kernels_plain : NULL;
}
