/* conv.c - the convolution entries of the table: which engine, and the calls. */
#include "conv.h"

#include "hs_base.h"

static bool supports(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    const bool spectrum = d->in == HS_SPECTRUM || d->out == HS_SPECTRUM;
    if (d->pool) /* the map is in cache anyway while a sample is worked on */
        return false;
    if (d->engine == HS_ENGINE_FFT)
        return d->stride == 1 && (!spectrum || d->boundary == HS_BOUNDARY_PERIODIC);
    return d->engine == HS_ENGINE_DIRECT && !spectrum;
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
    .cost = hs_cpu_conv_cost,
    .plan = plan,
    .destroy = destroy,
    .saved_bytes = saved_bytes,
    .scratch_bytes = scratch_bytes,
    .backward_reads_x = backward_reads_x,
    .grid = grid,
    .forward = forward,
    .backward = backward,
};
