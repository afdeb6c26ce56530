/* sha256.c - SHA-256 (FIPS 180-4) for files, and a fast 64-bit hash for comparing ranks (XXH64, Y. Collet). */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "hs_base.h"
#include "sha256.h"

/* ---- SHA-256: fractional parts of the cube roots of the first 64 primes ------------------------------------------------ */

static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void expand(const unsigned char *block, uint32_t w[64])
{
    for (int i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

/* One round; the caller turns the eight names instead of moving eight numbers. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                                              \
    do {                                                                                                                              \
        const uint32_t t = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + round_constant[i] + w[i];            \
        d += t;                                                                                                                       \
        h = t + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));                                             \
    } while (0)

static void compress_plain(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    expand(block, w);
    for (int i = 0; i < 64; i += 8) {
        ROUND(a, b, c, d, e, f, g, h, i);
        ROUND(h, a, b, c, d, e, f, g, i + 1);
        ROUND(g, h, a, b, c, d, e, f, i + 2);
        ROUND(f, g, h, a, b, c, d, e, i + 3);
        ROUND(e, f, g, h, a, b, c, d, i + 4);
        ROUND(d, e, f, g, h, a, b, c, i + 5);
        ROUND(c, d, e, f, g, h, a, b, i + 6);
        ROUND(b, c, d, e, f, g, h, a, i + 7);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void compress(hs_sha256 *h, const unsigned char *block)
{
    if (h->plain)
        compress_plain(h->state, block);
    else
        hs_sha256_by_instructions(h->state, block, round_constant);
}

void hs_sha256_init(hs_sha256 *h)
{
    *h = (hs_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                     .plain = !hs_sha256_has_instructions()};
}

void hs_sha256_add(hs_sha256 *h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    size_t have = (size_t)(h->bytes % 64);
    h->bytes += bytes;
    if (have) {
        size_t part = bytes < 64 - have ? bytes : 64 - have;
        memcpy(h->block + have, p, part);
        if (have + part < 64)
            return;
        compress(h, h->block);
        p += part;
        bytes -= part;
    }
    for (; bytes >= 64; p += 64, bytes -= 64)
        compress(h, p);
    if (bytes)
        memcpy(h->block, p, bytes);
}

void hs_sha256_hex(hs_sha256 *h, char out[65])
{
    uint64_t bits = h->bytes * 8;
    unsigned char tail[72] = {0x80}, zeros = (unsigned char)((119 - h->bytes % 64) % 64); /* 0x80, zeros up to 56 mod 64, length */
    for (int i = 0; i < 8; i++)
        tail[1 + zeros + i] = (unsigned char)(bits >> (56 - 8 * i));
    hs_sha256_add(h, tail, 1 + (size_t)zeros + 8);
    for (int i = 0; i < 8; i++)
        snprintf(out + 8 * i, 9, "%08x", (unsigned)h->state[i]);
}

/* ---- XXH64 ------------------------------------------------------------------------------------------------------------------ */

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u, P4 = 0x85EBCA77C2B2AE63u,
                      P5 = 0x27D4EB2F165667C5u;

static uint64_t rotl64(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t lane(uint64_t sum, uint64_t word)
{
    return rotl64(sum + word * P2, 31) * P1;
}

static uint64_t merge(uint64_t h, uint64_t v)
{
    return (h ^ lane(0, v)) * P1 + P4;
}

static uint64_t word64(const unsigned char *p)
{
    uint64_t w = 0;
    for (int i = 0; i < 8; i++) /* little-endian whatever the machine; compilers make one load of it */
        w |= (uint64_t)p[i] << (8 * i);
    return w;
}

/* The last 0..31 bytes, and the final mixing. */
static uint64_t finish(uint64_t h, const unsigned char *p, size_t rest)
{
    for (; rest >= 8; p += 8, rest -= 8)
        h = rotl64(h ^ lane(0, word64(p)), 27) * P1 + P4;
    if (rest >= 4) {
        uint64_t w = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
        h = rotl64(h ^ w * P1, 23) * P2 + P3;
        p += 4;
        rest -= 4;
    }
    for (; rest; p++, rest--)
        h = rotl64(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

uint64_t hs_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const unsigned char *p = data;
    size_t rest = bytes;
    uint64_t h = seed + P5;
    if (bytes >= 32) {
        uint64_t v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
        for (; rest >= 32; p += 32, rest -= 32)
            for (int i = 0; i < 4; i++)
                v[i] = lane(v[i], word64(p + 8 * i));
        h = rotl64(v[0], 1) + rotl64(v[1], 7) + rotl64(v[2], 12) + rotl64(v[3], 18);
        for (int i = 0; i < 4; i++)
            h = merge(h, v[i]);
    }
    return finish(h + bytes, p, rest);
}
