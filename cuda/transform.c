/* transform.c - planes to orthonormal half spectra and back: small planes by matrix products in one pass (plane.h), others through
 * cuFFT, any side: planes are packed one after the other, transformed in place and unpacked into bins, in three passes. A call with fewer samples
 * than planned transforms what the scratch memory happens to hold behind them; nobody reads that.
 *
 * cuFFT works in scratch memory of the call, behind the planes. Left to itself each plan would take as much as its data or more, two plans an
 * edge, from the device and from nobody's account; and two streams with one plan would meet there. It gets what is Hermitian only: a
 * half spectrum holds k and -k in columns that are their own mirror, both are written from one bin, and what is its own mirror is real, so
 * nothing depends on which of them a transform to reals reads. */
#include "hs_cuda.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"
#include "plane.h"

struct hs_transform {
    hs_cuda_edge e;
    bool small;                     /* through to_bins and to_pixels; else through cuFFT */
    hs_cuda_plane to_bins, to_pixels;
    cufftHandle forward, inverse;
    bool has_forward, has_inverse;
    size_t work; /* bytes that the greater of the two works in */
};

int hs_cuda_good_side(int n)
{
    for (;; n++) {
        int rest = n;
        for (int prime = 2; prime <= 7; prime++)
            while (rest % prime == 0)
                rest /= prime;
        if (rest == 1)
            return n;
    }
}

static int row_of(const hs_transform *t)
{
    return 2 * (t->e.grid_w / 2 + 1);
}

/* cuFFT is asked for no dimension of one number, of which it does not say what it does. A plane of one row has one dimension. So has a plane of one
 * column: [h] complex numbers, without an imaginary part where reals have their row's filling. */
static bool is_column(const hs_transform *t)
{
    return t->e.grid_w == 1;
}

static bool is_point(const hs_transform *t)
{
    return t->e.grid_h == 1 && t->e.grid_w == 1;
}

static hs_status make_plan(const hs_transform *t, cufftType type, cufftHandle *plan, bool *has, size_t *work)
{
    long long side[2] = {t->e.grid_h, t->e.grid_w}, real[2] = {t->e.grid_h, row_of(t)}, complex[2] = {t->e.grid_h, row_of(t) / 2};
    const long long reals = real[0] * real[1], complexes = reals / 2, batch = (long long)t->e.capacity * t->e.c;
    const bool from_real = type == CUFFT_R2C, to_real = type == CUFFT_C2R;
    const int first = t->e.grid_h == 1, rank = first || is_column(t) ? 1 : 2;
    HS_TRY(hs_cuda_check_fft(cufftCreate(plan), "planning a transform"));
    *has = true;
    HS_TRY(hs_cuda_check_fft(cufftSetAutoAllocation(*plan, 0), "planning a transform"));
    return hs_cuda_check_fft(cufftMakePlanMany64(*plan, rank, side + first, (from_real ? real : complex) + first, 1,
                                                 from_real ? reals : complexes, (to_real ? real : complex) + first, 1,
                                                 to_real ? reals : complexes, type, batch, work),
                             "planning a transform");
}

static hs_status make_plans(hs_transform *t)
{
    size_t forward = 0, inverse = 0;
    if (is_point(t))
        return HS_OK;
    HS_TRY(make_plan(t, is_column(t) ? CUFFT_C2C : CUFFT_R2C, &t->forward, &t->has_forward, &forward));
    HS_TRY(make_plan(t, is_column(t) ? CUFFT_C2C : CUFFT_C2R, &t->inverse, &t->has_inverse, &inverse));
    t->work = forward > inverse ? forward : inverse;
    return HS_OK;
}

/* Forward and inverse are each other's transpose, padding and cropping included; so are the mask and the rectifier's derivative. */
static hs_status make_chains(hs_device *device, hs_transform *t)
{
    const hs_cuda_edge *e = &t->e;
    hs_cuda_chain chain;
    HS_TRY(hs_cuda_chain_begin(device, HS_SPACE, e->h, e->w, e->c, e->grid_h, e->grid_w, &chain));
    const int words = e->relu ? hs_cuda_chain_words(&chain, e->h, e->w) : 0;
    if (e->relu)
        hs_cuda_chain_add(&chain, HS_PLANE_MASK, 0);
    hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, e->grid_h, e->grid_w, e->grid_h, e->grid_w);
    chain.p.in_half = e->half_plane;
    chain.p.out_half = e->half;
    HS_TRY(hs_cuda_chain_end(&chain, HS_SPECTRUM, e->grid_h, e->grid_w, words, &t->to_bins));
    HS_TRY(hs_cuda_chain_begin(device, HS_SPECTRUM, e->grid_h, e->grid_w, e->c, e->grid_h, e->grid_w, &chain));
    hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, e->grid_h, e->grid_w, e->h, e->w);
    if (e->relu)
        hs_cuda_chain_add(&chain, HS_PLANE_RELU, 0);
    chain.p.in_half = e->half;
    chain.p.out_half = e->half_plane;
    chain.p.bias_scale = (float)sqrt((double)e->grid_h * e->grid_w);
    return hs_cuda_chain_end(&chain, HS_SPACE, e->h, e->w, words, &t->to_pixels);
}

static void destroy(hs_transform **plan)
{
    hs_transform *t = *plan;
    if (!t)
        return;
    hs_cuda_plane_destroy(&t->to_bins);
    hs_cuda_plane_destroy(&t->to_pixels);
    if (t->has_forward)
        (void)cufftDestroy(t->forward);
    if (t->has_inverse)
        (void)cufftDestroy(t->inverse);
    hs_free(t);
    *plan = NULL;
}

hs_status hs_cuda_transform_plan(hs_device *device, const hs_cuda_edge *edge, hs_transform **out)
{
    hs_transform *t = NULL;
    HS_TRY(hs_calloc(1, sizeof *t, "transform", &t));
    t->e = *edge;
    t->small = hs_cuda_plane_fits(device, edge->grid_h, edge->grid_w);
    const hs_status st = t->small ? make_chains(device, t) : make_plans(t);
    if (st != HS_OK)
        destroy(&t);
    else
        *out = t;
    return st;
}

static hs_status plan(hs_device *device, int capacity, int h, int w, int c, hs_transform **out)
{
    const hs_cuda_edge edge = {.capacity = capacity, .h = h, .w = w, .grid_h = h, .grid_w = w, .c = c};
    return hs_cuda_transform_plan(device, &edge, out);
}

static size_t planes_bytes(const hs_transform *t)
{
    return hs_cuda_line((size_t)t->e.capacity * t->e.c * t->e.grid_h * row_of(t) * sizeof(float));
}

static size_t scratch_bytes(const hs_transform *t)
{
    return t->small ? 0 : planes_bytes(t) + t->work;
}

size_t hs_cuda_transform_bits(const hs_transform *t)
{
    const hs_cuda_edge *e = &t->e;
    if (!e->relu)
        return 0;
    return t->small ? hs_cuda_plane_bits(&t->to_pixels, e->capacity) : (size_t)e->capacity * e->h * e->w * ((e->c + 7) / 8);
}

/* cuFFT takes two passes over memory at two moves each, packing and unpacking one move of it each. */
double hs_cuda_transform_seconds(const hs_device *device, const hs_cuda_edge *e)
{
    const double maps = (double)e->capacity * e->c, plane = (e->half_plane ? 2.0 : 4.0) * e->h * e->w, grid = (double)e->grid_h * e->grid_w;
    const double ends = plane + (e->half ? 2 : 4) * grid;
    if (!hs_cuda_plane_fits(device, e->grid_h, e->grid_w))
        return 25e-6 + maps * (ends + 6 * 4 * grid) / hs_cuda_device_of(device)->bandwidth;
    return hs_cuda_plane_seconds(device, maps * ends, maps * hs_cuda_plane_flops(e->h, e->w, e->grid_h, e->grid_w));
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------ */

/* Planes at SCRATCH, in place; one of a single number is its own transform. */
static hs_status run_plan(cudaStream_t raw, const hs_transform *t, cufftHandle plan, bool inverse, void *scratch, const char *what)
{
    if (is_point(t))
        return HS_OK;
    HS_TRY(hs_cuda_check_fft(cufftSetStream(plan, raw), what));
    HS_TRY(hs_cuda_check_fft(cufftSetWorkArea(plan, (char *)scratch + planes_bytes(t)), what));
    if (is_column(t))
        return hs_cuda_check_fft(cufftExecC2C(plan, scratch, scratch, inverse ? CUFFT_INVERSE : CUFFT_FORWARD), what);
    return hs_cuda_check_fft(inverse ? cufftExecC2R(plan, scratch, scratch) : cufftExecR2C(plan, scratch, scratch), what);
}

static hs_cuda_grid grid_of(const hs_transform *t)
{
    const hs_cuda_edge *e = &t->e;
    return (hs_cuda_grid){e->h, e->w, e->c, e->grid_h, e->grid_w, e->half_plane, e->half};
}

hs_status hs_cuda_transform_forward(hs_stream *s, hs_transform *t, int n, const void *space, const void *bits, void *spectrum,
                                    void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    if (n == 0)
        return HS_OK;
    if (t->small)
        return hs_cuda_plane_call(s, &t->to_bins, n, space, NULL, (void *)bits, NULL, spectrum);
    HS_TRY(hs_cuda_check(hs_cuda_pack_plane(raw, grid_of(t), n, space, t->e.relu ? bits : NULL, scratch), "a transform"));
    HS_TRY(run_plan(raw, t, t->forward, false, scratch, "a transform"));
    return hs_cuda_check(hs_cuda_unpack_bins(raw, grid_of(t), n, scratch, spectrum), "a transform");
}

hs_status hs_cuda_transform_inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, const float *bias, void *bits,
                                    void *space, void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    if (n == 0)
        return HS_OK;
    if (t->small)
        return hs_cuda_plane_call(s, &t->to_pixels, n, spectrum, bias, bits, NULL, space);
    HS_TRY(hs_cuda_check(hs_cuda_pack_bins(raw, grid_of(t), n, spectrum, scratch), "an inverse transform"));
    HS_TRY(run_plan(raw, t, t->inverse, true, scratch, "an inverse transform"));
    return hs_cuda_check(hs_cuda_unpack_plane(raw, grid_of(t), n, scratch, bias, t->e.relu ? bits : NULL, space), "an inverse transform");
}

static hs_status forward(hs_stream *s, hs_transform *t, int n, const void *space, void *spectrum, void *scratch)
{
    return hs_cuda_transform_forward(s, t, n, space, NULL, spectrum, scratch);
}

static hs_status inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, void *space, void *scratch)
{
    return hs_cuda_transform_inverse(s, t, n, spectrum, NULL, NULL, space, scratch);
}

const hs_transform_ops hs_cuda_transform_ops = {
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .inverse = inverse,
};
