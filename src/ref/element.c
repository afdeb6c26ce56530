/* element.c - what works on each number by itself, and the two activations that work on a complex bin. A NaN that goes in comes out: none
 * is silently replaced by zero. */
#include "real.h"

#include <math.h>

#include "hs_rng.h"

hs_status REF(relu_fwd)(hs_stream *s, size_t count, const void *x, void *y)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] < 0 ? 0 : in[i];
    return HS_OK;
}

hs_status REF(relu_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    (void)s;
    const real *out = y, *grad = dy;
    real *in = dx;
    for (size_t i = 0; i < count; i++)
        in[i] = out[i] <= 0 ? 0 : grad[i];
    return HS_OK;
}

hs_status REF(tanh_fwd)(hs_stream *s, size_t count, const void *x, void *y)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (size_t i = 0; i < count; i++)
        out[i] = (real)tanh(in[i]);
    return HS_OK;
}

hs_status REF(tanh_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    (void)s;
    const real *out = y, *grad = dy;
    real *in = dx;
    for (size_t i = 0; i < count; i++)
        in[i] = (real)((double)grad[i] * (1 - (double)out[i] * (double)out[i]));
    return HS_OK;
}

hs_status REF(add)(hs_stream *s, size_t count, const void *a, const void *b, void *y)
{
    (void)s;
    const real *left = a, *right = b;
    real *out = y;
    for (size_t i = 0; i < count; i++)
        out[i] = (real)((double)left[i] + (double)right[i]);
    return HS_OK;
}

hs_status REF(scale)(hs_stream *s, size_t count, double factor, void *y)
{
    (void)s;
    real *out = y;
    for (size_t i = 0; i < count; i++)
        out[i] = (real)(factor * (double)out[i]);
    return HS_OK;
}

hs_status REF(dropout)(hs_stream *s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer, int64_t first,
                       const void *x, void *y)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < features; j++, in++, out++) {
            uint64_t index = (uint64_t)(first + i) * features + j;
            hs_words draw = hs_random(seed, HS_DRAW_DROPOUT, *step, layer, index);
            *out = hs_uniform(draw.w[0], draw.w[1]) < p ? 0 : (real)((double)*in / (1 - p));
        }
    }
    return HS_OK;
}

/* ---- spectral activations: z -> g(|z|) z ------------------------------------------------------------------------------------------- */

/* Coordinates of a bin and what they mean: modulus = unit * sqrt(re^2 + im^2) is |z| of the unitary bin. */
typedef struct point {
    double re, im, unit, modulus;
} point;

static point point_at(const real *x, int c, bool self)
{
    point z = {.re = x[0], .im = self ? 0 : (double)x[c], .unit = self ? 1 : sqrt(0.5)};
    z.modulus = z.unit * hypot(z.re, z.im);
    return z;
}

/* g = max(1 + offset / |z|, 0), and 0 at z = 0, where z has no direction to grow in. */
static double gain(point z, double offset)
{
    double g = z.modulus == 0 ? 0 : 1 + offset / z.modulus;
    return g < 0 ? 0 : g;
}

/* Offset of a channel: b itself for modReLU, -|b| for the soft threshold. */
static double offset_of(bool soft, double b)
{
    return soft ? -fabs(b) : b;
}

hs_status REF(modulus_fwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b, void *y)
{
    (void)s;
    const real *in = x, *offset = b;
    real *out = y;
    for (int u = 0; u < bins; u++) {
        for (int i = 0; i < n; i++, in += 2 * (size_t)c, out += 2 * (size_t)c) {
            for (int j = 0; j < c; j++) {
                point z = point_at(in + j, c, self[u]);
                double g = gain(z, offset_of(soft, offset[j]));
                out[j] = (real)(g == 0 ? 0 : g * z.re);
                out[c + j] = (real)(g == 0 ? 0 : g * z.im);
            }
        }
    }
    return HS_OK;
}

/* Derivative at Z along (dre, dim). With v the coordinates, r = |z| = unit |v| and g = 1 + offset / r:
 *   dv' = g dv - offset unit^2 (v . dv) / r^3 v,    d offset = (v . dv) / r
 * both zero where g is cut off. Returns d offset. */
static double point_bwd(point z, double offset, double *dre, double *dim)
{
    double g = gain(z, offset), dot = z.re * *dre + z.im * *dim, r = z.modulus;
    if (g == 0) {
        *dre = *dim = 0;
        return 0;
    }
    double along = offset * z.unit * z.unit * dot / (r * r * r);
    *dre = g * *dre - along * z.re;
    *dim = g * *dim - along * z.im;
    return dot / r;
}

hs_status REF(modulus_bwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                           const void *dy, void *dx, void *db)
{
    (void)s;
    const size_t row = 2 * (size_t)c;
    for (int j = 0; j < c; j++) {
        double value = ((const real *)b)[j], slope = !soft ? 1 : value > 0 ? -1 : value < 0 ? 1 : 0, sum = 0;
        for (size_t r = 0; r < (size_t)bins * n; r++) {
            const size_t at = r * row + j;
            const real *grad = dy;
            bool alone = self[r / n];
            double dre = grad[at], dim = alone ? 0 : (double)grad[at + c];
            sum += slope * point_bwd(point_at((const real *)x + at, c, alone), offset_of(soft, value), &dre, &dim);
            ((real *)dx)[at] = (real)dre;
            ((real *)dx)[at + c] = (real)dim;
        }
        ((real *)db)[j] = (real)sum;
    }
    return HS_OK;
}

const hs_element_ops REF(element_ops) = {
    .relu_fwd = REF(relu_fwd),
    .relu_bwd = REF(relu_bwd),
    .tanh_fwd = REF(tanh_fwd),
    .tanh_bwd = REF(tanh_bwd),
    .add = REF(add),
    .scale = REF(scale),
    .dropout = REF(dropout),
    .modulus_fwd = REF(modulus_fwd),
    .modulus_bwd = REF(modulus_bwd),
};
