/* conv_fft.c - convolution as a product at every frequency.
 *
 * The response of a filter at bin k of the grid is W(k) = sum over taps of w e^{+2 pi i k.offset}, offsets from the anchor, and Y
 * = W X for unitary spectra as for orthonormal coordinates. A zero boundary takes a grid with room for the longer arm of the
 * filter behind the map, h + kh/2 at least: whatever wraps round then meets zeros only. A complex product with [re | im] side by
 * side is one real product with [[Wr, Wi], [-Wi, Wr]]; its transposes are the gradients, since coordinates are orthonormal.
 *
 * On small grids bias and rectifier cost no pass: they are part of the transform, or, between two spectra, of a chain that visits
 * space and comes back. The gradient of the bias is a sum over pixels and samples, of which the transform has done the first:
 * bin 0 of dY, times the square root of the grid. Spectra inside the layer and filters are bf16 if the precision is; sums and
 * whatever other layers see are fp32; at a sealed edge nobody sees it. */
#include "hs_cuda.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static const double two_pi = 6.283185307179586476925;

/* ---- shapes and costs --------------------------------------------------------------------------------------------------- */

/* The smallest grid will do for products by matrices; cuFFT wants small primes. */
static bool choose_grid(const hs_device *device, const hs_conv_desc *d, int *h, int *w)
{
    const bool zero = d->boundary == HS_BOUNDARY_ZERO;
    *h = d->h + (zero ? d->kh / 2 : 0);
    *w = d->w + (zero ? d->kw / 2 : 0);
    if (hs_cuda_plane_fits(device, *h, *w))
        return true;
    *h = zero ? hs_cuda_good_side(*h) : *h;
    *w = zero ? hs_cuda_good_side(*w) : *w;
    return false;
}

bool hs_cuda_fft_supports(const hs_device *device, const hs_conv_desc *d)
{
    int h, w;
    const bool spectrum = d->in == HS_SPECTRUM || d->out == HS_SPECTRUM;
    if (d->stride != 1 || (spectrum && d->boundary != HS_BOUNDARY_PERIODIC))
        return false;
    return !d->relu || d->out == HS_SPACE || choose_grid(device, d, &h, &w);
}

static double edges_seconds(const hs_device *device, const hs_conv_desc *d, const hs_cuda_edge *grid)
{
    hs_cuda_edge edge = *grid;
    double seconds = 0;
    edge.c = d->ci;
    if (d->in == HS_SPACE)
        seconds += hs_cuda_transform_seconds(device, &edge) * (d->need_dx ? 2 : 1);
    edge.c = d->co;
    if (d->out == HS_SPACE)
        seconds += 2 * hs_cuda_transform_seconds(device, &edge);
    else if (d->relu)
        seconds += 2 * hs_cuda_plane_seconds(device, 8.0 * d->capacity * d->co * grid->grid_h * grid->grid_w,
                                             2.0 * d->capacity * d->co * hs_cuda_plane_flops(d->h, d->w, d->h, d->w));
    return seconds;
}

/* Filters go to the grid once a pass or are kept from forward to backward; their gradient is written once and read once. */
double hs_cuda_fft_seconds(const hs_device *device, const hs_conv_desc *d)
{
    const hs_cuda_device *own = hs_cuda_device_of(device);
    hs_cuda_edge grid = {.capacity = d->capacity, .h = d->h, .w = d->w};
    (void)choose_grid(device, d, &grid.grid_h, &grid.grid_w);
    grid.half = hs_cuda_plane_half(device, grid.grid_h, grid.grid_w);
    const double bins = hs_bins_count(grid.grid_h, grid.grid_w), n = d->capacity, pairs = (double)d->ci * d->co,
                 passes = d->need_dx ? 3 : 2, number = grid.half ? 0.5 : 1;
    const double products =
        hs_cuda_longest(own, number * bins * (2 * n * (d->ci + d->co) + 4 * pairs), 8 * bins * n * pairs, own->products);
    const double filters = hs_cuda_longest(own, number * 4 * bins * pairs, 4 * bins * pairs * d->kh * d->kw, own->plain),
                 folding = hs_cuda_longest(own, 4 * bins * pairs, 4 * bins * pairs * d->kh * d->kw, own->plain);
    return passes * products + filters + folding + edges_seconds(device, d, &grid);
}

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
            float *at = host + 2 * ((size_t)u * conv->taps + t);
            phase(f, u, sign * (t / d->kw - d->pad_h), sign * (t % d->kw - d->pad_w), &at[0], &at[1]);
        }
    const hs_status st = hs_cuda_put(conv->device, host, 2 * count * sizeof *host, "phases of a convolution", &f->phases);
    hs_free(host);
    return st;
}

/* From a spectrum to space, where WHAT is done, and back to a spectrum. */
static hs_status put_visit(const hs_conv *conv, hs_plane_kind what, hs_cuda_plane *plane)
{
    const hs_conv_desc *d = &conv->d;
    hs_cuda_chain chain;
    HS_TRY(hs_cuda_chain_begin(conv->device, HS_SPECTRUM, d->h, d->w, d->co, d->h, d->w, &chain));
    hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, d->h, d->w, d->h, d->w);
    hs_cuda_chain_add(&chain, what, 0);
    hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, d->h, d->w, d->h, d->w);
    chain.p.in_half = what == HS_PLANE_RELU ? conv->fft.half : conv->fft.half_out;
    chain.p.out_half = what == HS_PLANE_RELU ? conv->fft.half_out : conv->fft.half;
    return hs_cuda_chain_end(&chain, HS_SPECTRUM, d->h, d->w, hs_cuda_chain_words(&chain, d->h, d->w), plane);
}

hs_status hs_cuda_fft_plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cuda_fft *f = &conv->fft;
    f->small = choose_grid(conv->device, d, &f->grid_h, &f->grid_w);
    f->half = hs_cuda_plane_half(conv->device, f->grid_h, f->grid_w);
    f->half_in = f->half && d->sealed_in;
    f->half_out = f->half && d->sealed_out;
    f->bins = hs_bins_count(f->grid_h, f->grid_w);
    HS_TRY(put_phases(conv));
    hs_cuda_edge edge = {.capacity = d->capacity, .h = d->h, .w = d->w, .grid_h = f->grid_h, .grid_w = f->grid_w, .c = d->ci, .half = f->half};
    if (d->in == HS_SPACE)
        HS_TRY(hs_cuda_transform_plan(conv->device, &edge, &f->in));
    edge.c = d->co;
    edge.relu = d->relu && f->small;
    if (d->out == HS_SPACE)
        return hs_cuda_transform_plan(conv->device, &edge, &f->out);
    if (!d->relu)
        return HS_OK;
    HS_TRY(put_visit(conv, HS_PLANE_RELU, &f->rectify));
    return put_visit(conv, HS_PLANE_MASK, &f->mask);
}

void hs_cuda_fft_destroy(hs_conv *conv)
{
    hs_cuda_fft *f = &conv->fft;
    if (f->phases)
        (void)cudaFree(f->phases);
    hs_cuda_plane_destroy(&f->rectify);
    hs_cuda_plane_destroy(&f->mask);
    hs_cuda_transform_ops.destroy(&f->in);
    hs_cuda_transform_ops.destroy(&f->out);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

/* A rectifier of its own, behind an inverse transform that cannot rectify. */
static bool relu_behind(const hs_conv *conv)
{
    return conv->d.relu && !conv->fft.small;
}

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
    k->bits = take(&at, relu_behind(conv) ? hs_cuda_conv_mask(conv)
                        : f->out          ? hs_cuda_transform_bits(f->out)
                        : conv->d.relu    ? hs_cuda_plane_bits(&f->rectify, conv->d.capacity)
                                          : 0);
    return (size_t)(at - saved);
}

typedef struct work {
    void *filters;         /* [bins][2 ci][2 co]: of one call, and always their gradient in fp32 */
    float *partial;        /* of the gradient of taps */
    void *x, *y;           /* spectra: of dx, of y and dy */
    float *masked, *first; /* dy behind a rectifier's mask; bin 0 of dy */
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
    w->masked = take(&at, relu_behind(conv) ? (size_t)d->capacity * d->oh * d->ow * d->co * sizeof(float) : 0);
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
static hs_status spectrum_of_x(hs_stream *s, const hs_conv *conv, int n, const float *x, const kept *k, const work *w,
                               const void **spectrum)
{
    const hs_cuda_fft *f = &conv->fft;
    *spectrum = hs_cuda_fft_reads_x(conv) ? (const void *)x : k->x;
    if (f->in)
        return hs_cuda_transform_forward(s, f->in, n, x, NULL, k->x, w->transform);
    if (hs_cuda_fft_reads_x(conv))
        return HS_OK;
    return hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), (size_t)f->bins * n * 2 * conv->d.ci, x, k->x), "convolution");
}

/* From the product to y, with bias and rectifier. */
static hs_status finish(hs_stream *s, const hs_conv *conv, int n, const float *bias, const kept *k, const work *w, float *y)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    if (f->out) {
        HS_TRY(hs_cuda_transform_inverse(s, f->out, n, w->y, relu_behind(conv) ? NULL : bias, k->bits, y, w->transform));
        return relu_behind(conv) ? hs_cuda_conv_finish(s, conv, n, bias, y, k->bits) : HS_OK;
    }
    if (d->relu)
        return hs_cuda_plane_call(s, &f->rectify, n, w->y, bias, k->bits, NULL, y);
    if (!bias)
        return HS_OK;
    return hs_cuda_check(f->half_out ? hs_cuda_bias_add_half(hs_cuda_raw(s), n, d->co, root_of_grid(conv), bias, y)
                                     : hs_cuda_bias_add(hs_cuda_raw(s), (size_t)n, d->co, 2 * d->co, root_of_grid(conv), bias, y),
                         "convolution");
}

hs_status hs_cuda_fft_forward(hs_stream *s, const hs_conv *conv, int n, const float *x, const float *taps, const float *bias,
                              float *y, void *saved, void *scratch)
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
    HS_TRY(at_every_bin(s, conv, n, false, spectrum, filters, inside ? f->half : f->half_out, inside ? w.y : (void *)y));
    return finish(s, conv, n, d->bias ? bias : NULL, &k, &w, y);
}

/* ---- backward ----------------------------------------------------------------------------------------------------------- */

/* The spectrum of dy behind the rectifier's mask, as products read it. */
static hs_status spectrum_of_dy(hs_stream *s, const hs_conv *conv, int n, const float *dy, const kept *k, const work *w,
                                const void **spectrum)
{
    const hs_conv_desc *d = &conv->d;
    const hs_cuda_fft *f = &conv->fft;
    *spectrum = reads_dy(conv) ? (const void *)dy : w->y;
    if (relu_behind(conv))
        HS_TRY(hs_cuda_conv_begin(s, conv, n, dy, k->bits, false, w->masked, NULL));
    dy = relu_behind(conv) ? w->masked : dy;
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

hs_status hs_cuda_fft_backward(hs_stream *s, const hs_conv *conv, int n, const float *x, const float *taps, const float *dy,
                               float *dx, float *dtaps, float *dbias, void *saved, void *scratch)
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
    HS_TRY(taps_gradient(s, conv, n, hs_cuda_fft_reads_x(conv) ? (const void *)x : k.x, gradient, &w, dtaps));
    if (!dx)
        return HS_OK;
    HS_TRY(at_every_bin(s, conv, n, true, gradient, k.filters, f->in ? f->half : f->half_in, f->in ? w.x : (void *)dx));
    return f->in ? hs_cuda_transform_inverse(s, f->in, n, w.x, NULL, NULL, dx, w.transform) : HS_OK;
}
