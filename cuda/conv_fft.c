/* conv_fft.c - convolution as a product at every frequency.
 *
 * The response of a filter at bin k of the grid is W(k) = sum over taps of w e^{+2 pi i k.offset}, offsets from the anchor, and Y
 * = W X for unitary spectra as for orthonormal coordinates. A zero boundary takes a grid with room for the longer arm of the
 * filter behind the map, h + kh/2 at least: whatever wraps round then meets zeros only. A complex product with [re | im] side by
 * side is one real product with [[Wr, Wi], [-Wi, Wr]]; its transposes are the gradients, since coordinates are orthonormal. From
 * taps to W is a product too: PHASES [2][bins][taps] times taps [taps][ci*co], and the gradient goes back through its transpose.
 */
#include "hs_cuda.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static const double two_pi = 6.283185307179586476925;

/* ---- plan --------------------------------------------------------------------------------------------------------------- */

/* Cosine and sine of 2 pi (ky oy / grid_h + kx ox / grid_w), the angle reduced as a fraction so that integers stay exact. A
 * self-conjugate bin is real: its sine is zero, not nearly zero. */
static void phase(const hs_cuda_fft *f, int u, int oy, int ox, float *re, float *im)
{
    int ky, kx;
    hs_bin_at(f->grid_h, f->grid_w, u, &ky, &kx);
    const long around = (long)f->grid_h * f->grid_w, turns = ((long)ky * oy * f->grid_w + (long)kx * ox * f->grid_h) % around;
    const double angle = two_pi * (double)turns / (double)around;
    *re = (float)cos(angle);
    *im = hs_bin_is_self(f->grid_h, f->grid_w, ky, kx) ? 0 : (float)sin(angle);
}

static hs_status put_phases(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cuda_fft *f = &conv->fft;
    const size_t count = (size_t)f->bins * conv->taps;
    const int sign = d->flip ? -1 : 1;
    float *host = NULL;
    HS_TRY(hs_calloc(2 * count, sizeof *host, "phases of a convolution", &host));
    for (int u = 0; u < f->bins; u++)
        for (int t = 0; t < conv->taps; t++) {
            const size_t at = (size_t)u * conv->taps + t;
            phase(f, u, sign * (t / d->kw - d->pad_h), sign * (t % d->kw - d->pad_w), &host[at], &host[count + at]);
        }
    const hs_status st = hs_cuda_put(conv->device, host, 2 * count * sizeof *host, "phases of a convolution", &f->phases);
    hs_free(host);
    return st;
}

hs_status hs_cuda_fft_plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cuda_fft *f = &conv->fft;
    const bool zero = d->boundary == HS_BOUNDARY_ZERO;
    f->grid_h = zero ? hs_cuda_good_side(d->h + d->kh / 2) : d->h;
    f->grid_w = zero ? hs_cuda_good_side(d->w + d->kw / 2) : d->w;
    f->bins = hs_bins_count(f->grid_h, f->grid_w);
    HS_TRY(put_phases(conv));
    hs_cuda_edge edge = {.capacity = d->capacity, .h = d->h, .w = d->w, .grid_h = f->grid_h, .grid_w = f->grid_w, .c = d->ci};
    if (d->in == HS_SPACE)
        HS_TRY(hs_cuda_transform_plan(conv->device, &edge, &f->in));
    edge.c = d->co;
    if (d->out == HS_SPACE)
        HS_TRY(hs_cuda_transform_plan(conv->device, &edge, &f->out));
    return HS_OK;
}

void hs_cuda_fft_destroy(hs_conv *conv)
{
    if (conv->fft.phases)
        (void)cudaFree(conv->fft.phases);
    hs_cuda_transform_ops.destroy(&conv->fft.in);
    hs_cuda_transform_ops.destroy(&conv->fft.out);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

typedef struct work {
    float *planar, *embedded; /* [2][bins][ci][co], [bins][2 ci][2 co] */
    float *x, *y;             /* spectra of edges in space: of dx, of y and dy */
    float *masked;            /* dy behind a rectifier's mask */
    void *transform;
} work;

static size_t spectrum_bytes(const hs_conv *conv, int c)
{
    return (size_t)conv->fft.bins * conv->d.capacity * 2 * c * sizeof(float);
}

static size_t lay_out(const hs_conv *conv, char *scratch, work *w)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    const size_t pairs = (size_t)f->bins * d->ci * d->co * sizeof(float);
    const size_t planar = hs_cuda_line(2 * pairs), embedded = hs_cuda_line(4 * pairs);
    const size_t x = f->in && d->need_dx ? hs_cuda_line(spectrum_bytes(conv, d->ci)) : 0,
                 y = f->out ? hs_cuda_line(spectrum_bytes(conv, d->co)) : 0;
    const size_t masked = d->relu ? hs_cuda_line((size_t)d->capacity * d->oh * d->ow * d->co * sizeof(float)) : 0;
    const size_t in = f->in ? hs_cuda_transform_ops.scratch_bytes(f->in) : 0,
                 out = f->out ? hs_cuda_transform_ops.scratch_bytes(f->out) : 0;
    char *behind = scratch + planar + embedded;
    if (w)
        *w = (work){(void *)scratch,      (void *)(scratch + planar),  (void *)behind,
                    (void *)(behind + x), (void *)(behind + x + y), behind + x + y + masked};
    return planar + embedded + x + y + masked + (in > out ? in : out);
}

size_t hs_cuda_fft_scratch(const hs_conv *conv)
{
    return lay_out(conv, NULL, NULL);
}

static size_t spectrum_saved(const hs_conv *conv)
{
    return conv->fft.in ? hs_cuda_line(spectrum_bytes(conv, conv->d.ci)) : 0;
}

/* The spectrum of x, which the gradient of the taps needs again, and a rectifier's mask. */
size_t hs_cuda_fft_saved(const hs_conv *conv)
{
    return spectrum_saved(conv) + hs_cuda_conv_mask(conv);
}

/* ---- products ----------------------------------------------------------------------------------------------------------- */

static hs_status filter_spectra(hs_stream *s, const hs_conv *conv, const float *taps, const work *w)
{
    const hs_conv_desc *d = &conv->d;
    const int pairs = d->ci * d->co;
    const hs_cuda_product product = {.exact = true,
                                     .m = 2 * conv->fft.bins,
                                     .n = pairs,
                                     .k = conv->taps,
                                     .a = conv->fft.phases,
                                     .lda = conv->taps,
                                     .b = taps,
                                     .ldb = pairs,
                                     .c = w->planar,
                                     .ldc = pairs,
                                     .batch = 1,
                                     .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &product));
    return hs_cuda_check(hs_cuda_embed(hs_cuda_raw(s), conv->fft.bins, d->ci, d->co, w->planar, w->embedded), "convolution");
}

/* Y = X E (M = n); dX = dY E^T. */
static hs_status at_every_bin(hs_stream *s, const hs_conv *conv, int n, bool transposed, const float *from, const work *w,
                              float *to)
{
    const int in = 2 * (transposed ? conv->d.co : conv->d.ci), out = 2 * (transposed ? conv->d.ci : conv->d.co),
              co = 2 * conv->d.co;
    const hs_cuda_product product = {.trans_b = transposed,
                                     .m = n,
                                     .n = out,
                                     .k = in,
                                     .a = from,
                                     .lda = in,
                                     .stride_a = (ptrdiff_t)n * in,
                                     .b = w->embedded,
                                     .ldb = co,
                                     .stride_b = (ptrdiff_t)4 * conv->d.ci * conv->d.co,
                                     .c = to,
                                     .ldc = out,
                                     .stride_c = (ptrdiff_t)n * out,
                                     .batch = conv->fft.bins,
                                     .alpha = 1};
    return hs_cuda_multiply(s, &product);
}

/* dE = X^T dY, folded to re and im, and back to taps. */
static hs_status taps_gradient(hs_stream *s, const hs_conv *conv, int n, const float *x, const float *dy, const work *w,
                               float *dtaps)
{
    const hs_conv_desc *d = &conv->d;
    const int ci = 2 * d->ci, co = 2 * d->co, pairs = d->ci * d->co, bins = conv->fft.bins;
    const hs_cuda_product outer = {.trans_a = true,
                                   .m = ci,
                                   .n = co,
                                   .k = n,
                                   .a = x,
                                   .lda = ci,
                                   .stride_a = (ptrdiff_t)n * ci,
                                   .b = dy,
                                   .ldb = co,
                                   .stride_b = (ptrdiff_t)n * co,
                                   .c = w->embedded,
                                   .ldc = co,
                                   .stride_c = (ptrdiff_t)ci * co,
                                   .batch = bins,
                                   .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &outer));
    HS_TRY(hs_cuda_check(hs_cuda_fold(hs_cuda_raw(s), bins, d->ci, d->co, w->embedded, w->planar), "convolution"));
    const hs_cuda_product back = {.exact = true,
                                  .trans_a = true,
                                  .m = conv->taps,
                                  .n = pairs,
                                  .k = 2 * bins,
                                  .a = conv->fft.phases,
                                  .lda = conv->taps,
                                  .b = w->planar,
                                  .ldb = pairs,
                                  .c = dtaps,
                                  .ldc = pairs,
                                  .batch = 1,
                                  .alpha = 1};
    return hs_cuda_multiply(s, &back);
}

/* ---- the calls ---------------------------------------------------------------------------------------------------------- */

/* A constant in space is its value times sqrt(hw) at bin 0, which lies first in a spectrum [bin][n][2 co]. */
static hs_status add_bias_at_0(hs_stream *s, const hs_conv *conv, int n, const float *bias, float *y)
{
    const hs_conv_desc *d = &conv->d;
    return hs_cuda_check(
        hs_cuda_bias_add(hs_cuda_raw(s), (size_t)n, d->co, 2 * d->co, sqrtf((float)(d->h * d->w)), bias, y), "convolution");
}

static hs_status bias_gradient_at_0(hs_stream *s, const hs_conv *conv, int n, const float *dy, float *dbias)
{
    const hs_conv_desc *d = &conv->d;
    return hs_cuda_check(hs_cuda_bias_grad(hs_cuda_raw(s), hs_cuda_partial(s), (size_t)n, d->co, 2 * d->co,
                                           sqrtf((float)(d->h * d->w)), dy, dbias),
                         "convolution");
}

hs_status hs_cuda_fft_forward(hs_stream *s, const hs_conv *conv, int n, const float *x, const float *taps, const float *bias,
                              float *y, float *saved, void *scratch)
{
    const hs_cuda_fft *f = &conv->fft;
    work w;
    lay_out(conv, scratch, &w);
    if (f->in)
        HS_TRY(hs_cuda_transform_ops.forward(s, f->in, n, x, saved, w.transform));
    HS_TRY(filter_spectra(s, conv, taps, &w));
    HS_TRY(at_every_bin(s, conv, n, false, f->in ? saved : x, &w, f->out ? w.y : y));
    if (f->out)
        HS_TRY(hs_cuda_transform_ops.inverse(s, f->out, n, w.y, y, w.transform));
    if (f->out)
        return hs_cuda_conv_finish(s, conv, n, conv->d.bias ? bias : NULL, y, (uint8_t *)saved + spectrum_saved(conv));
    return conv->d.bias && bias ? add_bias_at_0(s, conv, n, bias, y) : HS_OK;
}

hs_status hs_cuda_fft_backward(hs_stream *s, const hs_conv *conv, int n, const float *x, const float *taps, const float *dy,
                               float *dx, float *dtaps, float *dbias, const float *saved, void *scratch)
{
    const hs_cuda_fft *f = &conv->fft;
    work w;
    lay_out(conv, scratch, &w);
    if (f->out)
        HS_TRY(hs_cuda_conv_begin(s, conv, n, (const uint8_t *)saved + spectrum_saved(conv), w.masked, &dy, dbias));
    else if (dbias)
        HS_TRY(bias_gradient_at_0(s, conv, n, dy, dbias));
    if (f->out)
        HS_TRY(hs_cuda_transform_ops.forward(s, f->out, n, dy, w.y, w.transform));
    const float *gradient = f->out ? w.y : dy;
    HS_TRY(taps_gradient(s, conv, n, f->in ? saved : x, gradient, &w, dtaps));
    if (!dx)
        return HS_OK;
    HS_TRY(filter_spectra(s, conv, taps, &w));
    HS_TRY(at_every_bin(s, conv, n, true, gradient, &w, f->in ? w.x : dx));
    return f->in ? hs_cuda_transform_ops.inverse(s, f->in, n, w.x, dx, w.transform) : HS_OK;
}
