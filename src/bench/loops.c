/* loops.c - the two loops that show what a core can do: multiply-adds that wait for nothing, and reading memory in order.
 *
 * A multiply-add takes four or five cycles and two start in each, so ten must be under way to keep the units busy: 12 independent chains are enough
 * and fit into 16 registers with their two constants. Compiled with contraction (local.mk), which strict C11 forbids. */
#include "loops.h"

enum { CHAINS = HS_LOOP_CHAINS };

/* x = a x + b with a < 1 settles at b / (1 - a): neither overflow nor denormals. */
#define MULTIPLY_ADD(name, lanes)                                          \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes)))); \
    static float name(long turns)                                          \
    {                                                                      \
        name##_vector x[CHAINS], a = {0}, b = {0};                         \
        for (int l = 0; l < (lanes); l++) {                                \
            a[l] = 0.999f;                                                 \
            b[l] = 0.001f * (float)(l + 1);                                \
        }                                                                  \
        for (int i = 0; i < CHAINS; i++)                                   \
            x[i] = b * (float)(i + 1);                                     \
        for (long t = 0; t < turns; t++) {                                 \
            _Pragma("GCC unroll 16")                                       \
            for (int i = 0; i < CHAINS; i++)                               \
                x[i] = x[i] * a + b;                                       \
        }                                                                  \
        for (int i = 1; i < CHAINS; i++)                                   \
            x[0] += x[i];                                                  \
        return x[0][0] + x[0][(lanes) - 1];                                \
    }

MULTIPLY_ADD(multiply_add_4, 4)
#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
MULTIPLY_ADD(multiply_add_8, 8)
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f")
MULTIPLY_ADD(multiply_add_16, 16)
#pragma GCC pop_options
#endif

hs_loop hs_loop_find(int *width)
{
#if defined(__x86_64__)
    if (*width >= 16 && __builtin_cpu_supports("avx512f")) {
        *width = 16;
        return multiply_add_16;
    }
    if (*width >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *width = 8;
        return multiply_add_8;
    }
#endif
    *width = 4;
    return multiply_add_4;
}

/* Four places at once: a core brings in more lines together than it does along one. Eight sums, so that no addition waits for the one before. Narrow
 * vectors are wide enough for memory. */
float hs_loop_read(const float *x, size_t count)
{
    typedef float vector __attribute__((vector_size(16)));
    const size_t quarter = count / 16;
    const vector *v = __builtin_assume_aligned(x, 64);
    vector sum[8] = {{0}};
    for (size_t i = 0; i + 4 <= quarter; i += 4) {
        _Pragma("GCC unroll 4")
        for (size_t j = 0; j < 4; j++) {
            sum[j] += v[i + j] + v[quarter + i + j];
            sum[4 + j] += v[2 * quarter + i + j] + v[3 * quarter + i + j];
        }
    }
    for (int j = 1; j < 8; j++)
        sum[0] += sum[j];
    return sum[0][0] + sum[0][1] + sum[0][2] + sum[0][3];
}
