/* conv_fft_plan.c - convolution as a product at every frequency: on which grid, at what cost, and what a plan holds for it.
 *
 * The response of a filter at bin k of the grid is W(k) = sum over taps of w e^{+2 pi i k.offset}, offsets from the anchor, and Y
 * = W X for unitary spectra as for orthonormal coordinates. A zero boundary takes a grid with room for the longer arm of the
 * filter behind the map, h + kh/2 at least: whatever wraps round then meets zeros only. A complex product with [re | im] side by
 * side is one real product with [[Wr, Wi], [-Wi, Wr]]; its transposes are the gradients, since coordinates are orthonormal.
 *
 * Spectra inside the layer and filters are bf16 if the precision is; sums and whatever other layers see are fp32, but for sealed edges,
 * which nobody else sees: those are bf16 then, in space, and in the spectrum where plane.h can make them. */
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
    edge.half_plane = hs_cuda_half_edge(device, d->sealed_in);
    if (d->in == HS_SPACE)
        seconds += hs_cuda_transform_seconds(device, &edge) * (d->need_dx ? 2 : 1);
    edge.c = d->co;
    edge.half_plane = hs_cuda_half_edge(device, d->sealed_out);
    if (d->out == HS_SPACE)
        seconds += 2 * hs_cuda_transform_seconds(device, &edge);
    else if (d->relu)
        seconds += 2 * hs_cuda_plane_seconds(device, ((grid->half ? 2.0 : 4) + (edge.half_plane ? 2 : 4)) * d->capacity * d->co * d->h * d->w,
                                             2.0 * d->capacity * d->co * hs_cuda_plane_flops(d->h, d->w, d->h, d->w));
    return seconds;
}

/* Filters go to the grid once a pass or are kept from forward to backward; their gradient is written once and read once. */
double hs_cuda_fft_seconds(const hs_device *device, const hs_conv_desc *d)
{
    const hs_cuda_device *own = hs_cuda_device_of(device);
    hs_cuda_edge grid = {.capacity = d->capacity, .h = d->h, .w = d->w};
    (void)choose_grid(device, d, &grid.grid_h, &grid.grid_w);
    grid.half = hs_cuda_half_edge(device, true);
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
    (void)choose_grid(conv->device, d, &f->grid_h, &f->grid_w);
    f->half = hs_cuda_half_edge(conv->device, true);
    f->half_in = d->in == HS_SPECTRUM && d->sealed_in && hs_cuda_plane_half(conv->device, d->h, d->w);
    f->half_out = d->out == HS_SPECTRUM && d->sealed_out && hs_cuda_plane_half(conv->device, d->h, d->w);
    f->bins = hs_bins_count(f->grid_h, f->grid_w);
    HS_TRY(put_phases(conv));
    hs_cuda_edge edge = {.capacity = d->capacity, .h = d->h, .w = d->w, .grid_h = f->grid_h, .grid_w = f->grid_w, .c = d->ci, .half = f->half,
                         .half_plane = conv->half_in};
    if (d->in == HS_SPACE)
        HS_TRY(hs_cuda_transform_plan(conv->device, &edge, &f->in));
    edge.c = d->co;
    edge.half_plane = conv->half_out;
    edge.relu = d->relu;
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
