/* hs_rng.h - random numbers as a pure function of (seed, purpose, a, b, index): no state, nothing to save, and the same on
 * 1 rank and on 64, on a CPU and on a GPU. Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
 * 1, 2, 3, SC 2011); tested against the published known answers. Inline so that CUDA kernels share it. */
#ifndef HS_RNG_H
#define HS_RNG_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define HS_HD __host__ __device__
#else
#define HS_HD
#endif

/* What a draw is for; never renumber: files written by older programs depend on it. */
typedef enum hs_purpose {
    HS_DRAW_INIT = 1,      /* a: parameter tensor's number, index: element */
    HS_DRAW_SHUFFLE = 2,   /* a: epoch, index: position (through hs_permute) */
    HS_DRAW_AUGMENT = 3,   /* a: epoch, index: sample in the data set */
    HS_DRAW_DROPOUT = 4,   /* a: step, b: layer, index: (position in the global batch) * features + feature */
    HS_DRAW_CUTOFF = 5,    /* a: step, b: layer, index: 0, position in the global batch, or rank */
    HS_DRAW_SPLIT = 6,     /* index: sample */
    HS_DRAW_ROTATION = 7,  /* a: basis size, index: element */
    HS_DRAW_SYNTHETIC = 8, /* a: sample's high word, b: what, index: element */
    HS_DRAW_TEST = 9       /* free for tests */
} hs_purpose;

typedef struct hs_words {
    uint32_t w[4];
} hs_words;

static HS_HD inline hs_words hs_philox(uint32_t k0, uint32_t k1, hs_words ctr)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * ctr.w[0];
        uint64_t p1 = (uint64_t)0xCD9E8D57u * ctr.w[2];
        hs_words next = {{(uint32_t)(p1 >> 32) ^ ctr.w[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ ctr.w[3] ^ k1, (uint32_t)p0}};
        ctr = next;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return ctr;
}

/* Four words for (seed, purpose, a, b, index). b uses its low 24 bits. */
static HS_HD inline hs_words hs_random(uint64_t seed, hs_purpose purpose, uint32_t a, uint32_t b, uint64_t index)
{
    hs_words ctr = {{(uint32_t)index, (uint32_t)(index >> 32), a, ((uint32_t)purpose << 24) | (b & 0xFFFFFFu)}};
    return hs_philox((uint32_t)seed, (uint32_t)(seed >> 32), ctr);
}

/* Uniform in [0, 1) with 53 bits from two words, and in (0, 1] for logarithms. */
static HS_HD inline double hs_uniform(uint32_t hi, uint32_t lo)
{
    return ((double)(hi >> 5) * 67108864.0 + (double)(lo >> 6)) * (1.0 / 9007199254740992.0);
}
static HS_HD inline double hs_uniform_open(uint32_t hi, uint32_t lo)
{
    return 1.0 - hs_uniform(hi, lo);
}

/* One standard normal number from one draw of four words (Box and Muller 1958). */
static HS_HD inline double hs_normal(hs_words r)
{
    return sqrt(-2.0 * log(hs_uniform_open(r.w[0], r.w[1]))) * cos(6.283185307179586477 * hs_uniform(r.w[2], r.w[3]));
}

/* A random permutation of 0..count-1 without a table: position -> element. A balanced Feistel network over the smallest even
 * number of bits that holds COUNT, walked until it falls inside (Black and Rogaway, CT-RSA 2002). count >= 1. */
static HS_HD inline uint64_t hs_permute(uint64_t seed, uint32_t epoch, uint64_t count, uint64_t position)
{
    unsigned half = 1;
    while (half < 32 && (1ull << (2 * half)) < count)
        half++;
    uint64_t mask = (1ull << half) - 1, x = position;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint32_t round = 0; round < 6; round++) {
            hs_words f = hs_random(seed, HS_DRAW_SHUFFLE, epoch, round, right);
            uint64_t next = (left ^ f.w[0]) & mask;
            left = right;
            right = next;
        }
        x = (left << half) | right;
    } while (x >= count);
    return x;
}

#endif
