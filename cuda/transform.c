/* transform.c - planes to orthonormal half spectra and back, any side, through cuFFT: planes are packed one after the other,
 * transformed in place and unpacked bin by bin. A call with fewer samples than planned transforms what the scratch memory happens
 * to hold behind them; nobody reads that. */
#include "hs_cuda.h"

#include "hs_base.h"
#include "hs_spectrum.h"

struct hs_transform {
    int capacity, h, w, c, grid_h, grid_w, bins;
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
        hs_bin_at(t->grid_h, t->grid_w, u, &ky, &kx);
        const bool self = hs_bin_is_self(t->grid_h, t->grid_w, ky, kx), twice = kx == 0 || 2 * kx == t->grid_w;
        bin[4 * u] = ky;
        bin[4 * u + 1] = kx;
        bin[4 * u + 2] = self;
        bin[4 * u + 3] = twice && !self ? (t->grid_h - ky) % t->grid_h : -1;
    }
    const hs_status st = hs_cuda_put(device, bin, (size_t)t->bins * 4 * sizeof *bin, "bins of a transform", &t->bin);
    hs_free(bin);
    return st;
}

static int row_of(const hs_transform *t)
{
    return 2 * (t->grid_w / 2 + 1);
}

static hs_status make_plans(hs_transform *t)
{
    int side[2] = {t->grid_h, t->grid_w}, real_row[2] = {t->grid_h, row_of(t)}, complex_row[2] = {t->grid_h, row_of(t) / 2};
    const int real = t->grid_h * row_of(t), complex = real / 2, batch = t->capacity * t->c;
    HS_TRY(hs_cuda_check_fft(cufftPlanMany(&t->forward, 2, side, real_row, 1, real, complex_row, 1, complex, CUFFT_R2C, batch),
                             "planning a transform"));
    t->has_forward = true;
    HS_TRY(hs_cuda_check_fft(cufftPlanMany(&t->inverse, 2, side, complex_row, 1, complex, real_row, 1, real, CUFFT_C2R, batch),
                             "planning a transform"));
    t->has_inverse = true;
    return HS_OK;
}

static void destroy(hs_transform **plan)
{
    hs_transform *t = *plan;
    if (!t)
        return;
    if (t->has_forward)
        (void)cufftDestroy(t->forward);
    if (t->has_inverse)
        (void)cufftDestroy(t->inverse);
    if (t->bin)
        (void)cudaFree(t->bin);
    hs_free(t);
    *plan = NULL;
}

hs_status hs_cuda_transform_plan(hs_device *device, int capacity, int h, int w, int grid_h, int grid_w, int c, hs_transform **out)
{
    hs_transform *t = NULL;
    HS_TRY(hs_calloc(1, sizeof *t, "transform", &t));
    *t = (hs_transform){
        .capacity = capacity, .h = h, .w = w, .c = c, .grid_h = grid_h, .grid_w = grid_w, .bins = hs_bins_count(grid_h, grid_w)};
    hs_status st = put_bins(device, t);
    if (st == HS_OK)
        st = make_plans(t);
    if (st != HS_OK)
        destroy(&t);
    else
        *out = t;
    return st;
}

static hs_status plan(hs_device *device, int capacity, int h, int w, int c, hs_transform **out)
{
    return hs_cuda_transform_plan(device, capacity, h, w, h, w, c, out);
}

static size_t scratch_bytes(const hs_transform *t)
{
    return (size_t)t->capacity * t->c * t->grid_h * row_of(t) * sizeof(float);
}

static hs_status forward(hs_stream *s, hs_transform *t, int n, const void *space, void *spectrum, void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    if (n == 0)
        return HS_OK;
    HS_TRY(hs_cuda_check(hs_cuda_pack_plane(raw, n, t->h, t->w, t->c, t->grid_h, t->grid_w, space, scratch), "a transform"));
    HS_TRY(hs_cuda_check_fft(cufftSetStream(t->forward, raw), "a transform"));
    HS_TRY(hs_cuda_check_fft(cufftExecR2C(t->forward, scratch, scratch), "a transform"));
    return hs_cuda_check(hs_cuda_unpack_bins(raw, n, t->c, t->grid_h, t->grid_w, t->bins, t->bin, scratch, spectrum),
                         "a transform");
}

static hs_status inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, void *space, void *scratch)
{
    const cudaStream_t raw = hs_cuda_raw(s);
    if (n == 0)
        return HS_OK;
    HS_TRY(hs_cuda_check(hs_cuda_pack_bins(raw, n, t->c, t->grid_h, t->grid_w, t->bins, t->bin, spectrum, scratch),
                         "an inverse transform"));
    HS_TRY(hs_cuda_check_fft(cufftSetStream(t->inverse, raw), "an inverse transform"));
    HS_TRY(hs_cuda_check_fft(cufftExecC2R(t->inverse, scratch, scratch), "an inverse transform"));
    return hs_cuda_check(hs_cuda_unpack_plane(raw, n, t->h, t->w, t->c, t->grid_h, t->grid_w, scratch, space),
                         "an inverse transform");
}

const hs_transform_ops hs_cuda_transform_ops = {
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .inverse = inverse,
};
