/* hs_augment.h - what augmentation does to one sample, as pure functions: its draws, where a pixel of the new image comes from, and what happens
 * to a colour. Inline so that src/data and CUDA kernels share them and agree to the last bit: products that stand beside a sum go through
 * hs_times, which no compiler may melt into a fused multiply-add. */
#ifndef HS_AUGMENT_H
#define HS_AUGMENT_H

#include "hs_data.h"
#include "hs_rng.h"

#ifdef __CUDA_ARCH__
#define hs_times(a, b) __fmul_rn((a), (b))
#define hs_times_wide(a, b) __dmul_rn((a), (b))
#else
#define hs_times(a, b) ((a) * (b)) /* src/data is compiled as strict C11, where the compiler leaves the two roundings alone */
#define hs_times_wide(a, b) ((a) * (b))
#endif

enum { HS_AUGMENT_MOVE = 0, HS_AUGMENT_FLIP = 1, HS_AUGMENT_COLOUR = 2 }; /* draws of one sample */

/* What the draws of one sample say. */
typedef struct hs_change {
    int dy, dx; /* new(y, x) = old(y + dy, x + dx), zero outside; before the flip */
    bool flip, colour;
    float hue, saturation, value; /* sixths of a turn to add, factors */
} hs_change;

/* Uniform in -reach .. reach. */
static HS_HD inline int hs_augment_within(uint32_t word, int reach)
{
    return (int)(((uint64_t)word * (uint64_t)(2 * reach + 1)) >> 32) - reach;
}

static HS_HD inline double hs_augment_spread(uint32_t word, double half_range)
{
    return hs_times_wide(half_range, hs_times_wide((double)word, 2.0 / 4294967295.0) - 1.0);
}

static HS_HD inline hs_change hs_augment_draw(const hs_augment *a, uint64_t seed, int64_t epoch, int64_t sample)
{
    hs_change c = {0, 0, false, a->hue > 0 || a->saturation > 0 || a->value > 0, 0, 1, 1};
    const uint32_t e = (uint32_t)epoch;
    if (a->shift > 0 || a->crop > 0) { /* pad and crop back is a translation too; both together add up */
        const hs_words r = hs_random(seed, HS_DRAW_AUGMENT, e, HS_AUGMENT_MOVE, (uint64_t)sample);
        c.dy = hs_augment_within(r.w[0], a->shift) + hs_augment_within(r.w[1], a->crop);
        c.dx = hs_augment_within(r.w[2], a->shift) + hs_augment_within(r.w[3], a->crop);
    }
    if (a->flip)
        c.flip = hs_random(seed, HS_DRAW_AUGMENT, e, HS_AUGMENT_FLIP, (uint64_t)sample).w[0] >> 31;
    if (c.colour) {
        const hs_words r = hs_random(seed, HS_DRAW_AUGMENT, e, HS_AUGMENT_COLOUR, (uint64_t)sample);
        c.hue = (float)hs_times_wide(6.0, hs_augment_spread(r.w[0], a->hue));
        c.saturation = (float)(1 + hs_augment_spread(r.w[1], a->saturation));
        c.value = (float)(1 + hs_augment_spread(r.w[2], a->value));
    }
    return c;
}

/* Cell of the old image that (y, x) of the new one shows; false: outside, where there is zero. */
static HS_HD inline bool hs_augment_from(const hs_change *c, int h, int w, int y, int x, int *from_y, int *from_x)
{
    *from_y = y + c->dy;
    *from_x = (c->flip ? w - 1 - x : x) + c->dx;
    return *from_y >= 0 && *from_y < h && *from_x >= 0 && *from_x < w;
}

/* Plain comparisons: fminf and fmaxf are calls, for the sake of NaN. */
static HS_HD inline float hs_augment_least(float a, float b)
{
    return a < b ? a : b;
}
static HS_HD inline float hs_augment_most(float a, float b)
{
    return a > b ? a : b;
}

/* Smith's hexcone model (Color gamut transform pairs, SIGGRAPH 1978), hue in sixths of a turn. Channel k of (hue, saturation,
 * value) is v - v s clamp(min(t, 4 - t), 0, 1) with t = (k + hue) mod 6 and k = 5, 3, 1 for r, g, b. TOP: the largest legal value. */
static HS_HD inline void hs_augment_colour(const hs_change *c, float top, float p[3])
{
    const float r = p[0], g = p[1], b = p[2];
    float v = hs_augment_most(r, hs_augment_most(g, b)), h = 0;
    const float range = v - hs_augment_least(r, hs_augment_least(g, b));
    if (!(v > 0))
        return;
    if (range > 0)
        h = v == r ? (g - b) / range : v == g ? 2 + (b - r) / range : 4 + (r - g) / range; /* -1 .. 5 */
    const float s = hs_augment_least(hs_times(range / v, c->saturation), 1);
    v = hs_augment_least(hs_times(v, c->value), top);
    h += c->hue + 6; /* 2 .. 14 with the half turn each way that the key allows */
    for (int i = 0; i < 3; i++) {
        float t = h + (float)(5 - 2 * i); /* 3 .. 19 */
        t -= t >= 12 ? (t >= 18 ? 18 : 12) : t >= 6 ? 6 : 0;
        p[i] = v - hs_times(hs_times(v, s), hs_augment_most(0, hs_augment_least(hs_augment_least(t, 4 - t), 1)));
    }
}

#endif
