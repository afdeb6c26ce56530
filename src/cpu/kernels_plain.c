/* kernels_plain.c - kernels for every processor: 4 lanes (SSE2, NEON, ..), 16 registers; the same of products in bf16; and the choice among
 * the tables. */
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

/* To nearest even, in the low 16 bits; a NaN stays one. */
static inline ivec rounded(vec v)
{
    const ivec n = (ivec)v, nan = (ivec)(v != v);
    return ((n + (0x7FFFu + (n >> 16 & 1u))) >> 16 & ~nan) | ((n >> 16 | 0x40u) & nan);
}

static inline ivec paired(vec even, vec odd)
{
    return rounded(even) | rounded(odd) << 16;
}

/* Products of 8 bits by 8 are exact in fp32, so it does not matter whether they are rounded before they are added. */
static inline vec dotted(vec acc, uint32_t a, ivec b)
{
    acc += (vec)((ivec){0} + (a & 0xFFFF0000u)) * (vec)(b & 0xFFFF0000u);
    return acc + (vec)((ivec){0} + (a << 16)) * (vec)(b << 16);
}

#define HS_BF16 hs_cpu_bf16_plain
#define ROUND(low, high) paired(__builtin_shuffle(low, high, (ivec){0, 2, 4, 6}), __builtin_shuffle(low, high, (ivec){1, 3, 5, 7}))
#define PAIR(even, odd) paired(even, odd)
#define DOT(acc, a, b) dotted(acc, a, b)
#include "kernels_bf16.h"

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

const hs_cpu_bf16 *hs_cpu_bf16_find(const hs_cpu_kernels *kernels, bool by_name)
{
#if defined(__x86_64__)
    if (kernels == &hs_cpu_kernels_avx512 && __builtin_cpu_supports("avx512bf16"))
        return &hs_cpu_bf16_avx512;
#endif
    return by_name && kernels == &hs_cpu_kernels_plain ? &hs_cpu_bf16_plain : NULL;
}
