/* synthetic.c - images made up from (seed, index): every class has a smooth pattern of its own; a sample is its class's pattern
 * at a random strength, some of another class's pattern mixed in, and noise. Easy to learn, not trivial, and the same on every
 * machine and rank. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_impl.h"
#include "hs_rng.h"

enum { WAVES = 4, WHAT_PATTERN = 1, WHAT_MIX = 2, WHAT_NOISE = 3 };
/* A set made up as it goes may be longer than anybody can wait for. So many samples tell its mean and deviation, or as many as have the numbers that are
 * made in a second or two; its test part has no more either. */
enum { TYPICAL_MOST = 1 << 16, TYPICAL_LEAST = 64, TYPICAL_NUMBERS = 1 << 27 };
#define TEST_BASE (1ll << 40) /* test samples count from here, so that they are never training samples */

typedef struct synthetic_set {
    hs_dataset base;
    uint64_t seed;
    int64_t first;
    float *pattern; /* [classes][h][w][c], values in -1..1 */
} synthetic_set;

static uint32_t high_word(int64_t index)
{
    return (uint32_t)((uint64_t)index >> 32);
}

/* One channel of one class: a few plane waves of at most 3 periods. */
static void make_pattern(uint64_t seed, hs_shape s, int plane, int channel, float *pattern)
{
    for (int wave = 0; wave < WAVES; wave++) {
        hs_words r = hs_random(seed, HS_DRAW_SYNTHETIC, 0, WHAT_PATTERN, (uint64_t)plane * WAVES + (uint64_t)wave);
        int fy = (int)(r.w[0] % 4), fx = (int)(r.w[1] % 7) - 3;
        double phase = r.w[2] / 4294967296.0;
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++)
                pattern[(y * s.w + x) * s.c + channel] +=
                    (float)(cos(6.283185307179586477 * ((double)fy * y / s.h + (double)fx * x / s.w + phase)) / WAVES);
    }
}

/* Triangular in (-1, 1) from two 16-bit halves: no logarithm, so the same bits everywhere. */
static float noise(uint32_t word)
{
    return (float)((int)(word & 0xFFFF) + (int)(word >> 16) - 65535) * (1.0f / 65536);
}

static void make_sample(const synthetic_set *set, int64_t index, float *pixels, int32_t *label)
{
    size_t size = hs_shape_count(set->base.shape);
    int classes = set->base.classes, own = (int)(index % classes);
    uint64_t low = (uint64_t)(index + set->first) & 0xFFFFFFFFu;
    uint32_t high = high_word(index + set->first);
    /* index: sample's low word above, element below */
    hs_words mix = hs_random(set->seed, HS_DRAW_SYNTHETIC, high, WHAT_MIX, low << 32);
    int other = (int)(mix.w[0] % (uint32_t)classes);
    float strength = 60.0f + (float)(mix.w[1] >> 8) * (60.0f / 16777216), blend = (float)(mix.w[2] >> 8) * (50.0f / 16777216);
    const float *a = set->pattern + (size_t)own * size, *b = set->pattern + (size_t)other * size;
    for (size_t i = 0; i < size; i += 4) {
        hs_words r = hs_random(set->seed, HS_DRAW_SYNTHETIC, high, WHAT_NOISE, low << 32 | (uint64_t)(i / 4));
        for (size_t k = i; k < i + 4 && k < size; k++) {
            float v = floorf(128.5f + strength * a[k] + blend * b[k] + 50.0f * noise(r.w[k - i]));
            pixels[k] = v < 0 ? 0 : v > 255 ? 255 : v;
        }
    }
    *label = own;
}

static hs_status synthetic_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    size_t size = hs_shape_count(set->shape);
    for (int i = 0; i < count; i++)
        make_sample((const synthetic_set *)set, indices[i], pixels + (size_t)i * size, labels + i);
    return HS_OK;
}

static void synthetic_close(hs_dataset *set)
{
    hs_free(((synthetic_set *)set)->pattern);
    hs_free(set);
}

static const hs_dataset_ops synthetic_ops = {.kind = "synthetic", .read = synthetic_read, .close = synthetic_close};

/* "N,H,W,C,classes" */
static hs_status parse(const char *numbers, int64_t v[5])
{
    static const char *const name[] = {"N", "H", "W", "C", "classes"};
    static const int64_t most[] = {1ll << 32, 32768, 32768, 4096, 65536}; /* N x 10^9 epochs fits 63 bits of steps */
    const char *at = numbers;
    for (int i = 0; i < 5; i++) {
        char *end = NULL;
        v[i] = *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : -1;
        if (!end || *end != (i < 4 ? ',' : '\0'))
            return hs_fail(HS_EUSAGE,
                           "data = synthetic:%s: five whole numbers N,H,W,C,classes are needed; try synthetic:1024,28,28,1,10",
                           numbers);
        if (v[i] < 1 || v[i] > most[i])
            return hs_fail(HS_EUSAGE, "data = synthetic:%s: %s = %lld must lie in 1 to %lld", numbers, name[i], (long long)v[i],
                           (long long)most[i]);
        at = end + 1;
    }
    if (v[1] * v[2] * v[3] > (1 << 28))
        return hs_fail(HS_EUSAGE, "data = synthetic:%s: one image would have more than 2^28 numbers", numbers);
    return HS_OK;
}

static void describe(synthetic_set *s, const char *numbers, hs_split part, uint64_t seed)
{
    hs_sha256 digest;
    snprintf(s->base.source, sizeof s->base.source, "synthetic:%s seed %llu%s", numbers, (unsigned long long)seed,
             part == HS_SPLIT_TEST ? " (test)" : "");
    hs_sha256_init(&digest);
    hs_sha256_add(&digest, s->base.source, strlen(s->base.source));
    hs_sha256_hex(&digest, s->base.digest);
}

static int64_t count_of(int64_t n, hs_split part)
{
    const int64_t fifth = n >= 5 ? n / 5 : 1;
    return part != HS_SPLIT_TEST ? n : fifth < TYPICAL_MOST ? fifth : TYPICAL_MOST;
}

static int64_t typical_of(hs_shape shape)
{
    const int64_t n = TYPICAL_NUMBERS / (int64_t)hs_shape_count(shape);
    return n < TYPICAL_LEAST ? TYPICAL_LEAST : n > TYPICAL_MOST ? TYPICAL_MOST : n;
}

hs_status hs_synthetic_open(const char *numbers, hs_split part, uint64_t seed, hs_dataset **set)
{
    int64_t v[5];
    synthetic_set *s = NULL;
    HS_TRY(parse(numbers, v));
    HS_TRY(hs_calloc(1, sizeof *s, "synthetic data set", &s));
    s->base.ops = &synthetic_ops;
    s->base.count = count_of(v[0], part);
    s->base.shape = (hs_shape){(int)v[1], (int)v[2], (int)v[3]};
    s->base.typical = typical_of(s->base.shape);
    s->base.classes = (int)v[4];
    s->base.bytes = true;
    s->seed = seed;
    s->first = part == HS_SPLIT_TEST ? TEST_BASE : 0;
    size_t size = hs_shape_count(s->base.shape);
    hs_status st = hs_calloc((size_t)s->base.classes * size, sizeof(float), "synthetic patterns", &s->pattern);
    if (st != HS_OK) {
        hs_free(s);
        return st;
    }
    for (int k = 0; k < s->base.classes; k++)
        for (int c = 0; c < s->base.shape.c; c++)
            make_pattern(seed, s->base.shape, k * s->base.shape.c + c, c, s->pattern + (size_t)k * size);
    describe(s, numbers, part, seed);
    *set = &s->base;
    return HS_OK;
}
