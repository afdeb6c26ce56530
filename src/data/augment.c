/* augment.c - random changes of one sample, each a pure function of (seed, epoch, sample): translation, flip, HSV jitter
 * (section 5.2 of the paper). */
#include <string.h>

#include "data_impl.h"
#include "hs_rng.h"

enum { DRAW_MOVE = 0, DRAW_FLIP = 1, DRAW_COLOUR = 2 };

hs_status hs_augment_check(const hs_augment *a, hs_shape shape)
{
    int side = shape.h < shape.w ? shape.h : shape.w;
    if (a->shift < 0 || a->crop < 0 || a->shift + a->crop >= side)
        return hs_fail(
            HS_EUSAGE,
            "augment.shift = %d and augment.crop = %d would move %d x %d images out of sight; their sum must be under %d",
            a->shift, a->crop, shape.h, shape.w, side);
    if (!(a->hue >= 0 && a->hue <= 0.5 && a->saturation >= 0 && a->saturation <= 1 && a->value >= 0 && a->value <= 1))
        return hs_fail(HS_EUSAGE,
                       "augment.hue = %g must lie in 0 to 0.5 turns, augment.saturation = %g and augment.value = %g in 0 to 1",
                       a->hue, a->saturation, a->value);
    if ((a->hue > 0 || a->saturation > 0 || a->value > 0) && shape.c != 3)
        return hs_fail(HS_EUSAGE, "augment.hue, .saturation and .value need images with 3 channels, these have %d; set them to 0",
                       shape.c);
    return HS_OK;
}

/* Uniform in -reach .. reach. */
static int within(uint32_t word, int reach)
{
    return (int)(((uint64_t)word * (uint64_t)(2 * reach + 1)) >> 32) - reach;
}

static double spread(uint32_t word, double half_range)
{
    return half_range * (word * (2.0 / 4294967295.0) - 1.0);
}

/* x[y][.] = old[y + dy][. + dx], zero outside. */
static void move(hs_shape s, int dy, int dx, float *x, float *old)
{
    size_t c = (size_t)s.c, row = (size_t)s.w * c, size = hs_shape_count(s);
    int from = dx > 0 ? dx : 0, to = dx > 0 ? s.w : s.w + dx; /* columns of OLD that stay in sight */
    if (dy == 0 && dx == 0)
        return;
    memcpy(old, x, size * sizeof *x);
    memset(x, 0, size * sizeof *x);
    for (int y = 0; y < s.h; y++)
        if (y + dy >= 0 && y + dy < s.h && from < to)
            memcpy(x + (size_t)y * row + (size_t)(from - dx) * c, old + (size_t)(y + dy) * row + (size_t)from * c,
                   (size_t)(to - from) * c * sizeof *x);
}

static void flip(hs_shape s, float *x)
{
    for (int y = 0; y < s.h; y++)
        for (int left = 0, right = s.w - 1; left < right; left++, right--)
            for (int c = 0; c < s.c; c++) {
                float *a = x + ((size_t)y * (size_t)s.w + (size_t)left) * (size_t)s.c + c,
                      *b = x + ((size_t)y * (size_t)s.w + (size_t)right) * (size_t)s.c + c;
                float kept = *a;
                *a = *b;
                *b = kept;
            }
}

/* Plain comparisons: fminf and fmaxf are calls, for the sake of NaN. */
static inline float least(float a, float b)
{
    return a < b ? a : b;
}

static inline float most(float a, float b)
{
    return a > b ? a : b;
}

/* Smith's hexcone model (Color gamut transform pairs, SIGGRAPH 1978), hue in sixths of a turn. Channel k of (hue, saturation,
 * value) is v - v s clamp(min(t, 4 - t), 0, 1) with t = (k + hue) mod 6 and k = 5, 3, 1 for r, g, b. */
static void jitter_pixel(float p[3], float hue, float saturation, float value, float top)
{
    float r = p[0], g = p[1], b = p[2];
    float v = most(r, most(g, b)), range = v - least(r, least(g, b)), h = 0;
    if (!(v > 0))
        return;
    if (range > 0)
        h = v == r ? (g - b) / range : v == g ? 2 + (b - r) / range : 4 + (r - g) / range; /* -1 .. 5 */
    float s = least(range / v * saturation, 1);
    v = least(v * value, top);
    h += hue + 6; /* 2 .. 14 with the half turn each way that the key allows */
    for (int i = 0; i < 3; i++) {
        float t = h + (float)(5 - 2 * i); /* 3 .. 19 */
        t -= t >= 12 ? (t >= 18 ? 18 : 12) : t >= 6 ? 6 : 0;
        p[i] = v - v * s * most(0, least(least(t, 4 - t), 1));
    }
}

void hs_augment_apply(const hs_augment *a, hs_shape shape, uint64_t seed, int64_t epoch, int64_t sample, float top, float *x,
                      float *scratch)
{
    uint32_t e = (uint32_t)epoch;
    if (a->shift > 0 || a->crop > 0) { /* pad and crop back is a translation too; both together add up */
        hs_words r = hs_random(seed, HS_DRAW_AUGMENT, e, DRAW_MOVE, (uint64_t)sample);
        move(shape, within(r.w[0], a->shift) + within(r.w[1], a->crop), within(r.w[2], a->shift) + within(r.w[3], a->crop), x,
             scratch);
    }
    if (a->flip && (hs_random(seed, HS_DRAW_AUGMENT, e, DRAW_FLIP, (uint64_t)sample).w[0] >> 31))
        flip(shape, x);
    if (a->hue > 0 || a->saturation > 0 || a->value > 0) {
        hs_words r = hs_random(seed, HS_DRAW_AUGMENT, e, DRAW_COLOUR, (uint64_t)sample);
        float hue = (float)(6 * spread(r.w[0], a->hue)), saturation = (float)(1 + spread(r.w[1], a->saturation));
        float value = (float)(1 + spread(r.w[2], a->value));
        for (size_t i = 0; i < (size_t)shape.h * (size_t)shape.w; i++)
            jitter_pixel(x + 3 * i, hue, saturation, value, top);
    }
}
