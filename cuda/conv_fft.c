/* conv_fft.c - convolution as a product at every frequency: the passes of a plan of conv_fft_plan.c, and the memory between them.
 *
 * Bias and rectifier cost no pass: they are part of the transform, or, between two spectra, of a chain that visits space and comes
 * back. The gradient of the bias is a sum over pixels and samples, of which the transform has done the first: bin 0 of dY, times the
 * square root of the grid. */
#include "hs_cuda.h"

#include <math.h>

#include "hs_base.h"

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

/* Products can read x as it comes. */
bool hs_cuda_fft_reads_x(const hs_conv *conv)
{
    return !conv->fft.in && conv->fft.half == conv->fft.half_in;
}

/* Products can read dy as it comes. */
static bool reads_dy(const hs_conv *conv)
{
    return !conv->fft.out && !conv->d.relu && conv->fft.half == conv->fft.half_out;
}

static size_t spectrum_count(const hs_conv *conv, int c)
{
    return (size_t)conv->fft.bins * conv->d.capacity * 2 * c;
}

static size_t number(const hs_conv *conv)
{
    return conv->fft.half ? 2 : sizeof(float);
}

static size_t filter_count(const hs_conv *conv)
{
    return (size_t)conv->fft.bins * conv->d.ci * conv->d.co * 4;
}

static void *take(char **at, size_t bytes)
{
    void *here = *at;
    *at += hs_cuda_line(bytes);
    return here;
}

/* From forward to backward: the spectrum of x where x has none of this type, filters where dx needs them, bits of a rectifier. */
typedef struct kept {
    void *x, *filters, *bits;
} kept;

static size_t lay_out_kept(const hs_conv *conv, char *saved, kept *k)
{
    const hs_cuda_fft *f = &conv->fft;
    char *at = saved;
    k->x = take(&at, !hs_cuda_fft_reads_x(conv) ? spectrum_count(conv, conv->d.ci) * number(conv) : 0);
    k->filters = take(&at, conv->d.need_dx ? filter_count(conv) * number(conv) : 0);
    k->bits = take(&at, f->out          ? hs_cuda_transform_bits(f->out)
                        : conv->d.relu ? hs_cuda_plane_bits(&f->rectify, conv->d.capacity)
                                       : 0);
    return (size_t)(at - saved);
}

typedef struct work {
    void *filters;         /* [bins][2 ci][2 co]: of one call, and always their gradient in fp32 */
    float *partial;        /* of the gradient of taps */
    void *x, *y;           /* spectra: of dx, of y and dy */
    float *first;          /* bin 0 of dy */
    void *transform;
} work;

static size_t lay_out(const hs_conv *conv, char *scratch, work *w)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    const size_t in = f->in ? hs_cuda_transform_ops.scratch_bytes(f->in) : 0, out = f->out ? hs_cuda_transform_ops.scratch_bytes(f->out) : 0;
    const int slices = hs_cuda_response_slices(f->bins, conv->taps, d->ci, d->co);
    char *at = scratch;
    w->filters = take(&at, filter_count(conv) * sizeof(float));
    w->partial = take(&at, slices > 1 ? (size_t)slices * conv->taps * d->ci * d->co * sizeof(float) : 0);
    w->x = take(&at, f->in && d->need_dx ? spectrum_count(conv, d->ci) * number(conv) : 0);
    w->y = take(&at, !reads_dy(conv) ? spectrum_count(conv, d->co) * number(conv) : 0);
    w->first = take(&at, f->half ? (size_t)d->capacity * 2 * d->co * sizeof(float) : 0);
    w->transform = take(&at, in > out ? in : out);
    return (size_t)(at - scratch);
}

size_t hs_cuda_fft_scratch(const hs_conv *conv)
{
    work w;
    return lay_out(conv, NULL, &w);
}

size_t hs_cuda_fft_saved(const hs_conv *conv)
{
    kept k;
    return lay_out_kept(conv, NULL, &k);
}

/* ---- products ----------------------------------------------------------------------------------------------------------- */

static hs_status put_filters(hs_stream *s, const hs_conv *conv, const float *taps, void *filters)
{
    const hs_conv_desc *d = &conv->d;
    return hs_cuda_check(hs_cuda_response(hs_cuda_raw(s), conv->fft.half, conv->fft.bins, conv->taps, d->ci, d->co,
                                                conv->fft.phases, taps, filters),
                         "convolution");
}

/* Y = X E (M = n); dX = dY E^T. HALF_TO: the result is stored as bf16. */
static hs_status at_every_bin(hs_stream *s, const hs_conv *conv, int n, bool transposed, const void *from, const void *filters,
                              bool half_to, void *to)
{
    const int in = 2 * (transposed ? conv->d.co : conv->d.ci), out = 2 * (transposed ? conv->d.ci : conv->d.co),
              co = 2 * conv->d.co;
    const hs_cuda_product product = {.trans_b = transposed,
                                     .half = conv->fft.half,
                                     .half_c = half_to,
                                     .m = n,
                                     .n = out,
                                     .k = in,
                                     .a = from,
                                     .lda = in,
                                     .stride_a = (ptrdiff_t)n * in,
                                     .b = filters,
                                     .ldb = co,
                                     .stride_b = (ptrdiff_t)4 * conv->d.ci * conv->d.co,
                                     .c = to,
                                     .ldc = out,
                                     .stride_c = (ptrdiff_t)n * out,
                                     .batch = conv->fft.bins,
                                     .alpha = 1};
    return hs_cuda_multiply(s, &product);
}

/* dE = X^T dY, and back to taps. */
static hs_status taps_gradient(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *dy, const work *w,
                               float *dtaps)
{
    const hs_conv_desc *d = &conv->d;
    const int ci = 2 * d->ci, co = 2 * d->co;
    const hs_cuda_product outer = {.trans_a = true,
                                   .half = conv->fft.half,
                                   .m = ci,
                                   .n = co,
                                   .k = n,
                                   .a = x,
                                   .lda = ci,
                                   .stride_a = (ptrdiff_t)n * ci,
                                   .b = dy,
                                   .ldb = co,
                                   .stride_b = (ptrdiff_t)n * co,
                                   .c = w->filters,
                                   .ldc = co,
                                   .stride_c = (ptrdiff_t)ci * co,
                                   .batch = conv->fft.bins,
                                   .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &outer));
    return hs_cuda_check(hs_cuda_response_gradient(hs_cuda_raw(s), conv->fft.bins, conv->taps, d->ci, d->co, conv->fft.phases,
                                                 w->filters, w->partial, dtaps),
                         "convolution");
}

/* ---- forward ------------------------------------------------------------------------------------------------------------ */

/* A constant in space is its value times the root of the grid at bin 0, which lies first in a spectrum [bin][n][2 co]. */
static float root_of_grid(const hs_conv *conv)
{
    return sqrtf((float)conv->fft.grid_h * (float)conv->fft.grid_w);
}

/* The spectrum of x as products read it. */
static hs_status spectrum_of_x(hs_stream *s, const hs_conv *conv, int n, const void *x, const kept *k, const work *w,
                               const void **spectrum)
{
    const hs_cuda_fft *f = &conv->fft;
    *spectrum = hs_cuda_fft_reads_x(conv) ? x : k->x;
    if (f->in)
        return hs_cuda_transform_forward(s, f->in, n, x, NULL, k->x, w->transform);
    if (hs_cuda_fft_reads_x(conv))
        return HS_OK;
    return hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), (size_t)f->bins * n * 2 * conv->d.ci, x, k->x), "convolution");
}

/* From the product to y, with bias and rectifier. */
static hs_status finish(hs_stream *s, const hs_conv *conv, int n, const float *bias, const kept *k, const work *w, void *y)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    if (f->out)
        return hs_cuda_transform_inverse(s, f->out, n, w->y, bias, k->bits, y, w->transform);
    if (d->relu)
        return hs_cuda_plane_call(s, &f->rectify, n, w->y, bias, k->bits, NULL, y);
    if (!bias)
        return HS_OK;
    return hs_cuda_check(f->half_out ? hs_cuda_bias_add_half(hs_cuda_raw(s), n, d->co, root_of_grid(conv), bias, y)
                                     : hs_cuda_bias_add(hs_cuda_raw(s), (size_t)n, d->co, 2 * d->co, root_of_grid(conv), bias, y),
                         "convolution");
}

hs_status hs_cuda_fft_forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias,
                              void *y, void *saved, void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    const bool inside = f->out || d->relu;
    const void *spectrum;
    kept k;
    work w;
    lay_out_kept(conv, saved, &k);
    lay_out(conv, scratch, &w);
    void *filters = d->need_dx ? k.filters : w.filters;
    HS_TRY(spectrum_of_x(s, conv, n, x, &k, &w, &spectrum));
    HS_TRY(put_filters(s, conv, taps, filters));
    HS_TRY(at_every_bin(s, conv, n, false, spectrum, filters, inside ? f->half : f->half_out, inside ? w.y : y));
    return finish(s, conv, n, d->bias ? bias : NULL, &k, &w, y);
}

/* ---- backward ----------------------------------------------------------------------------------------------------------- */

/* The spectrum of dy behind the rectifier's mask, as products read it. */
static hs_status spectrum_of_dy(hs_stream *s, const hs_conv *conv, int n, const void *dy, const kept *k, const work *w,
                                const void **spectrum)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    *spectrum = reads_dy(conv) ? dy : w->y;
    if (f->out)
        return hs_cuda_transform_forward(s, f->out, n, dy, k->bits, w->y, w->transform);
    if (d->relu)
        return hs_cuda_plane_call(s, &f->mask, n, dy, NULL, k->bits, NULL, w->y);
    if (reads_dy(conv))
        return HS_OK;
    return hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), (size_t)f->bins * n * 2 * d->co, dy, w->y), "convolution");
}

static hs_status bias_gradient(hs_stream *s, const hs_conv *conv, int n, const void *dy, const work *w, float *dbias)
{
    const int co = conv->d.co;
    const cudaStream_t raw = hs_cuda_raw(s);
    if (conv->fft.half)
        HS_TRY(hs_cuda_check(hs_cuda_from_bf16(raw, (size_t)n * 2 * co, dy, w->first), "convolution"));
    return hs_cuda_check(hs_cuda_bias_grad(raw, hs_cuda_partial(s), (size_t)n, co, 2 * co, root_of_grid(conv),
                                           conv->fft.half ? w->first : dy, dbias),
                         "convolution");
}

hs_status hs_cuda_fft_backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy,
                               void *dx, float *dtaps, float *dbias, void *saved, void *scratch)
{
    const hs_cuda_fft *f = &conv->fft;
    const void *gradient;
    kept k;
    work w;
    (void)taps; /* their spectra are kept */
    lay_out_kept(conv, saved, &k);
    lay_out(conv, scratch, &w);
    HS_TRY(spectrum_of_dy(s, conv, n, dy, &k, &w, &gradient));
    if (dbias)
        HS_TRY(bias_gradient(s, conv, n, gradient, &w, dbias));
    HS_TRY(taps_gradient(s, conv, n, hs_cuda_fft_reads_x(conv) ? x : k.x, gradient, &w, dtaps));
    if (!dx)
        return HS_OK;
    HS_TRY(at_every_bin(s, conv, n, true, gradient, k.filters, f->in ? f->half : f->half_in, f->in ? w.x : dx));
    return f->in ? hs_cuda_transform_inverse(s, f->in, n, w.x, NULL, NULL, dx, w.transform) : HS_OK;
}
