/* augment.c - random changes of one sample, each a pure function of (seed, epoch, sample): translation, flip, HSV jitter
 * (section 5.2 of the paper). What they are stands in hs_augment.h, which GPUs read too; here whole rows move at a time. */
#include <string.h>

#include "data_impl.h"
#include "hs_augment.h"

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

void hs_augment_apply(const hs_augment *a, hs_shape shape, uint64_t seed, int64_t epoch, int64_t sample, float top, float *x,
                      float *scratch)
{
    const hs_change c = hs_augment_draw(a, seed, epoch, sample);
    move(shape, c.dy, c.dx, x, scratch);
    if (c.flip)
        flip(shape, x);
    for (size_t i = 0; c.colour && i < (size_t)shape.h * (size_t)shape.w; i++)
        hs_augment_colour(&c, top, x + 3 * i);
}
