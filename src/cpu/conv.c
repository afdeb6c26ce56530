/* conv.c - the convolution entries of the table: which engine, what it costs, and the calls. */
#include "conv.h"

#include "hs_base.h"
#include "hs_spectrum.h"

static bool supports(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    const bool spectrum = d->in == HS_SPECTRUM || d->out == HS_SPECTRUM;
    if (d->engine == HS_ENGINE_FFT)
        return d->stride == 1 && (!spectrum || d->boundary == HS_BOUNDARY_PERIODIC);
    return d->engine == HS_ENGINE_DIRECT && !spectrum;
}

/* Rates of one core that the model counts with, measured with one thread on a 2-core AVX-512 machine (Sapphire Rapids class; the product kernel
 * reaches 170 GF/s from L2): products of bins 115 forward and 88 for the filter gradient, direct convolution 120, transforms 0.47 GF in 7 ms of
 * which half is memory. Only their ratios decide between engines. CACHED is the bandwidth of windows that stay in L2. */
static const double rate_bins = 105e9, rate_dft = 120e9, rate_direct = 130e9, bandwidth = 12e9, cached = 60e9;

static double direct_seconds(const hs_conv_desc *d)
{
    const double pixels = (double)d->capacity * d->oh * d->ow, k = (double)d->kh * d->kw * d->ci, passes = d->need_dx ? 3 : 2;
    /* Thin matrices run slower: panels of fewer than 16 columns or windows of fewer than 16 numbers waste lanes. */
    const double rate = rate_direct * (d->co < 16 ? d->co / 16.0 : 1) * (k < 64 ? (8 + k) / 72 : 1);
    const double gather = d->kh == 1 && d->kw == 1 && d->stride == 1 ? 0 : passes * pixels * k * 4 * 2;
    return passes * 2 * pixels * k * d->co / rate + gather / cached + passes * 4 * pixels * (d->ci + d->co) / bandwidth;
}

static double plane_seconds(int h, int w, int ph, int pw)
{
    const double rows = 0.5 * pw * pw, cols = 0.5 * ph * ph; /* multiply-adds of one real line by symmetric halves */
    const double flops = 2 * h * rows + 4 * (pw / 2 + 1) * cols;
    return flops / rate_dft + 4.0 * (h * w + 1.5 * ph * pw) / bandwidth;
}

static double fft_seconds(const hs_conv_desc *d)
{
    const bool zero = d->boundary == HS_BOUNDARY_ZERO;
    const int ph = d->h + (zero ? d->kh / 2 : 0), pw = d->w + (zero ? d->kw / 2 : 0);
    const double bins = hs_bins_count(ph, pw), ci = hs_cpu_pad(d->ci), co = hs_cpu_pad(d->co), n = d->capacity, passes = d->need_dx ? 3 : 2;
    const double products = passes * 6 * bins * n * ci * co / rate_bins;
    const double filters = passes * bins * ci * co * (2 * d->kh + d->kw + 6) * 2 / rate_dft; /* spectra made, or folded, per coefficient */
    const double x = (d->in == HS_SPACE ? n * ci * plane_seconds(d->h, d->w, ph, pw) : 0) * (d->need_dx ? 2 : 1);
    const int turns = d->out == HS_SPACE ? 1 : d->relu ? 2 : 0; /* of y, and of dy; a rectifier between two spectra goes through space */
    const double y = turns * n * co * plane_seconds(d->h, d->w, ph, pw) * 2;
    return products + filters + x + y + passes * bins * n * 2 * (ci + co) * 4 / bandwidth;
}

static double cost(const hs_device *device, const hs_conv_desc *d)
{
    return (d->engine == HS_ENGINE_FFT ? fft_seconds(d) : direct_seconds(d)) / device->threads;
}

static void destroy(hs_conv **plan)
{
    if (!*plan)
        return;
    hs_cpu_fft_destroy(*plan);
    hs_free(*plan);
    *plan = NULL;
}

static hs_status plan(hs_device *device, const hs_conv_desc *desc, hs_conv **out)
{
    const hs_cpu_device *d = (const hs_cpu_device *)device;
    hs_conv *conv = NULL;
    if (!supports(device, desc))
        return hs_fail(HS_EUNSUPPORTED, "convolution %dx%d stride %d: this engine does not cover it; use conv.engine = %s", desc->kh, desc->kw,
                       desc->stride, desc->engine == HS_ENGINE_FFT ? "direct" : "fft");
    HS_TRY(hs_calloc(1, sizeof *conv, "convolution", &conv));
    conv->d = *desc;
    conv->device = d;
    conv->kernels = d->kernels;
    conv->threads = d->base.threads;
    const hs_status st = desc->engine == HS_ENGINE_FFT ? hs_cpu_fft_plan(d, conv) : hs_cpu_direct_plan(conv);
    if (st != HS_OK)
        destroy(&conv);
    else
        *out = conv;
    return st;
}

static bool is_fft(const hs_conv *plan)
{
    return plan->d.engine == HS_ENGINE_FFT;
}

static size_t saved_bytes(const hs_conv *plan)
{
    return is_fft(plan) ? hs_cpu_fft_saved(plan) : hs_cpu_direct_saved(plan);
}

static size_t scratch_bytes(const hs_conv *plan)
{
    return is_fft(plan) ? hs_cpu_fft_scratch(plan) : hs_cpu_direct_scratch(plan);
}

static bool backward_reads_x(const hs_conv *plan)
{
    return !is_fft(plan) || !plan->fft.own_x;
}

static void grid(const hs_conv *plan, int *h, int *w)
{
    *h = plan->fft.grid.ph;
    *w = plan->fft.grid.pw;
}

static hs_status forward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y, void *saved,
                         void *scratch)
{
    (void)s;
    if (is_fft(plan))
        hs_cpu_fft_forward(plan, n, x, taps, bias, y, saved, scratch);
    else
        hs_cpu_direct_forward(plan, n, x, taps, bias, y, saved, scratch);
    return HS_OK;
}

static hs_status backward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx, void *dtaps, void *dbias,
                          void *saved, void *scratch)
{
    (void)s;
    if (is_fft(plan))
        hs_cpu_fft_backward(plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch);
    else
        hs_cpu_direct_backward(plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch);
    return HS_OK;
}

const hs_conv_ops hs_cpu_conv_ops = {
    .supports = supports,
    .cost = cost,
    .plan = plan,
    .destroy = destroy,
    .saved_bytes = saved_bytes,
    .scratch_bytes = scratch_bytes,
    .backward_reads_x = backward_reads_x,
    .grid = grid,
    .forward = forward,
    .backward = backward,
};
