/* transform.c - planes to orthonormal half spectra and back: small planes by matrix products in one pass (plane.h), others through
 * cuFFT, any side: planes are packed one after the other, transformed in place and unpacked bin by bin. A call with fewer samples
 * than planned transforms what the scratch memory happens to hold behind them; nobody reads that. */
#include "hs_cuda.h"

#include <math.h>

#include "hs_base.h"
#include "hs_spectrum.h"
#include "plane.h"

struct hs_transform {
    hs_cuda_edge e;
    int bins;
    bool small;                     /* through to_bins and to_pixels; else through cuFFT */
    hs_cuda_plane to_bins, to_pixels;
    int32_t *bin; /* device: see kernels.h */
    cufftHandle forward, inverse;
    bool has_forward, has_inverse;
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

static hs_status put_bins(const hs_device *device, hs_transform *t)
{
    int32_t *bin = NULL;
    HS_TRY(hs_calloc((size_t)t->bins, 4 * sizeof *bin, "bins of a transform", &bin));
    for (int u = 0; u < t->bins; u++) {
        int ky, kx;
        hs_bin_at(t->e.grid_h, t->e.grid_w, u, &ky, &kx);
        const bool self = hs_bin_is_self(t->e.grid_h, t->e.grid_w, ky, kx), twice = kx == 0 || 2 * kx == t->e.grid_w;
        bin[4 * u] = ky;
        bin[4 * u + 1] = kx;
        bin[4 * u + 2] = self;
        bin[4 * u + 3] = twice && !self ? (t->e.grid_h - ky) % t->e.grid_h : -1;
    }
    const hs_status st = hs_cuda_put(device, bin, (size_t)t->bins * 4 * sizeof *bin, "bins of a transform", &t->bin);
    hs_free(bin);
    return st;
}

static int row_of(const hs_transform *t)
{
    return 2 * (t->e.grid_w / 2 + 1);
}

static hs_status make_plans(hs_transform *t)
{
    int side[2] = {t->e.grid_h, t->e.grid_w}, real_row[2] = {t->e.grid_h, row_of(t)}, complex_row[2] = {t->e.grid_h, row_of(t) / 2};
    const int real = t->e.grid_h * row_of(t), complex = real / 2, batch = t->e.capacity * t->e.c;
    HS_TRY(hs_cuda_check_fft(cufftPlanMany(&t->forward, 2, side, real_row, 1, real, complex_row, 1, complex, CUFFT_R2C, batch),
                             "planning a transform"));
    t->has_forward = true;
    HS_TRY(hs_cuda_check_fft(cufftPlanMany(&t->inverse, 2, side, complex_row, 1, complex, real_row, 1, real, CUFFT_C2R, batch),
                             "planning a transform"));
    t->has_inverse = true;
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
    chain.p.out_half = e->half;
    HS_TRY(hs_cuda_chain_end(&chain, HS_SPECTRUM, e->grid_h, e->grid_w, words, &t->to_bins));
    HS_TRY(hs_cuda_chain_begin(device, HS_SPECTRUM, e->grid_h, e->grid_w, e->c, e->grid_h, e->grid_w, &chain));
    hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, e->grid_h, e->grid_w, e->h, e->w);
    if (e->relu)
        hs_cuda_chain_add(&chain, HS_PLANE_RELU, 0);
    chain.p.in_half = e->half;
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
    if (t->bin)
        (void)cudaFree(t->bin);
    hs_free(t);
    *plan = NULL;
}

static hs_status fill_plan(hs_device *device, hs_transform *t)
{
    if (t->small)
        return make_chains(device, t);
    if (t->e.relu || t->e.half)
        return hs_fail(HS_EUNSUPPORTED, "a transform of %d x %d cannot rectify or store bf16; use precision = fp32", t->e.grid_h, t->e.grid_w);
    HS_TRY(put_bins(device, t));
    return make_plans(t);
}

hs_status hs_cuda_transform_plan(hs_device *device, const hs_cuda_edge *edge, hs_transform **out)
{
    hs_transform *t = NULL;
    HS_TRY(hs_calloc(1, sizeof *t, "transform", &t));
    t->e = *edge;
    t->bins = hs_bins_count(edge->grid_h, edge->grid_w);
    t->small = hs_cuda_plane_fits(device, edge->grid_h, edge->grid_w);
    const hs_status st = fill_plan(device, t);
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

static size_t scratch_bytes(const hs_transform *t)
{
    return t->small ? 0 : (size_t)t->e.capacity * t->e.c * t->e.grid_h * row_of(t) * sizeof(float);
}

size_t hs_cuda_transform_bits(const hs_transform *t)
{
    return t->e.relu ? hs_cuda_plane_bits(&t->to_pixels, t->e.capacity) : 0;
}

/* cuFFT takes three passes over memory at two moves each, packing and unpacking one each. */
double hs_cuda_transform_seconds(const hs_device *device, const hs_cuda_edge *e)
{
    const double maps = (double)e->capacity * e->c, plane = (double)e->h * e->w, grid = (double)e->grid_h * e->grid_w;
    if (!hs_cuda_plane_fits(device, e->grid_h, e->grid_w))
        return 25e-6 + 4 * maps * (plane + 9 * grid) / hs_cuda_device_of(device)->bandwidth;
    return hs_cuda_plane_seconds(device, maps * (4 * plane + (e->half ? 2 : 4) * grid),
                                 maps * hs_cuda_plane_flops(e->h, e->w, e->grid_h, e->grid_w));
}

/* ---- the calls ------------------------------------------------------------------------------------------------------------ */

hs_status hs_cuda_transform_forward(hs_stream *s, hs_transform *t, int n, const float *space, const void *bits, void *spectrum,
                                    void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    const hs_cuda_edge *e = &t->e;
    if (n == 0)
        return HS_OK;
    if (t->small)
        return hs_cuda_plane_call(s, &t->to_bins, n, space, NULL, (void *)bits, NULL, spectrum);
    HS_TRY(hs_cuda_check(hs_cuda_pack_plane(raw, n, e->h, e->w, e->c, e->grid_h, e->grid_w, space, scratch), "a transform"));
    HS_TRY(hs_cuda_check_fft(cufftSetStream(t->forward, raw), "a transform"));
    HS_TRY(hs_cuda_check_fft(cufftExecR2C(t->forward, scratch, scratch), "a transform"));
    return hs_cuda_check(hs_cuda_unpack_bins(raw, n, e->c, e->grid_h, e->grid_w, t->bins, t->bin, scratch, spectrum), "a transform");
}

hs_status hs_cuda_transform_inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, const float *bias, void *bits,
                                    float *space, void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    const hs_cuda_edge *e = &t->e;
    if (n == 0)
        return HS_OK;
    if (t->small)
        return hs_cuda_plane_call(s, &t->to_pixels, n, spectrum, bias, bits, NULL, space);
    HS_TRY(hs_cuda_check(hs_cuda_pack_bins(raw, n, e->c, e->grid_h, e->grid_w, t->bins, t->bin, spectrum, scratch),
                         "an inverse transform"));
    HS_TRY(hs_cuda_check_fft(cufftSetStream(t->inverse, raw), "an inverse transform"));
    HS_TRY(hs_cuda_check_fft(cufftExecC2R(t->inverse, scratch, scratch), "an inverse transform"));
    HS_TRY(hs_cuda_check(hs_cuda_unpack_plane(raw, n, e->h, e->w, e->c, e->grid_h, e->grid_w, scratch, space), "an inverse transform"));
    if (!bias)
        return HS_OK;
    return hs_cuda_check(hs_cuda_bias_add(raw, (size_t)n * e->h * e->w, e->c, e->c, 1, bias, space), "an inverse transform");
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
