/* conv.c - the convolution entries of the table: which engine, and the calls. */
#include "hs_cuda.h"

#include "hs_base.h"

static bool supports(const hs_device *device, const hs_conv_desc *d)
{
    if (d->pool)
        return hs_cuda_pooled_supports(hs_cuda_device_of(device), d);
    if (d->engine == HS_ENGINE_FFT)
        return hs_cuda_fft_supports(device, d);
    return d->engine == HS_ENGINE_DIRECT && d->in == HS_SPACE && d->out == HS_SPACE;
}

static double cost(const hs_device *device, const hs_conv_desc *desc)
{
    if (desc->pool)
        return hs_cuda_pooled_seconds(hs_cuda_device_of(device), desc);
    return desc->engine == HS_ENGINE_FFT ? hs_cuda_fft_seconds(device, desc)
                                         : hs_cuda_space_seconds(hs_cuda_device_of(device), desc);
}

/* ---- plans -------------------------------------------------------------------------------------------------------------- */

static bool is_fft(const hs_conv *plan)
{
    return plan->d.engine == HS_ENGINE_FFT;
}

static void destroy(hs_conv **plan)
{
    if (!*plan)
        return;
    hs_cuda_fft_destroy(*plan);
    hs_cuda_space_destroy(*plan);
    hs_free(*plan);
    *plan = NULL;
}

static hs_status plan(hs_device *device, const hs_conv_desc *desc, hs_conv **out)
{
    hs_conv *conv = NULL;
    if (!supports(device, desc))
        return hs_fail(HS_EUNSUPPORTED, "convolution %dx%d stride %d: this engine does not cover it; use conv.engine = %s",
                       desc->kh, desc->kw, desc->stride, desc->engine == HS_ENGINE_FFT ? "direct" : "fft");
    HS_TRY(hs_calloc(1, sizeof *conv, "convolution", &conv));
    conv->d = *desc;
    conv->device = device;
    conv->taps = desc->kh * desc->kw;
    conv->half_in = hs_cuda_half_edge(device, desc->sealed_in && desc->in == HS_SPACE);
    conv->half_out = hs_cuda_half_edge(device, desc->sealed_out && desc->out == HS_SPACE);
    if (desc->pool) {
        hs_cuda_pooled_plan(conv);
        *out = conv;
        return HS_OK;
    }
    const hs_status st = is_fft(conv) ? hs_cuda_fft_plan(conv) : hs_cuda_space_plan(conv);
    if (st != HS_OK)
        destroy(&conv);
    else
        *out = conv;
    return st;
}

static unsigned ways(const hs_device *device, const hs_conv_desc *desc)
{
    return desc->engine == HS_ENGINE_FFT || desc->pool ? 0 : hs_cuda_space_ways(hs_cuda_device_of(device), desc);
}

static const char *way_name(const hs_conv *plan)
{
    return plan->d.pool ? "pooled" : is_fft(plan) ? "" : plan->way->name;
}

static size_t saved_bytes(const hs_conv *plan)
{
    if (plan->d.pool)
        return hs_cuda_pooled_saved(plan);
    return is_fft(plan) ? hs_cuda_fft_saved(plan) : hs_cuda_space_saved(plan);
}

static size_t scratch_bytes(const hs_conv *plan)
{
    if (plan->d.pool)
        return hs_cuda_pooled_scratch(plan);
    return is_fft(plan) ? hs_cuda_fft_scratch(plan) : hs_cuda_space_scratch(plan);
}

static void grid(const hs_conv *plan, int *h, int *w)
{
    *h = plan->fft.grid_h;
    *w = plan->fft.grid_w;
}

static bool backward_reads_x(const hs_conv *plan)
{
    return !is_fft(plan) || hs_cuda_fft_reads_x(plan);
}

static hs_status forward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y,
                         void *saved, void *scratch)
{
    if (n == 0)
        return HS_OK;
    if (plan->d.pool)
        return hs_cuda_pooled_run(s, plan, n, x, taps, bias, y, saved, scratch);
    return is_fft(plan) ? hs_cuda_fft_forward(s, plan, n, x, taps, bias, y, saved, scratch)
                        : hs_cuda_space_forward(s, plan, n, x, taps, bias, y, saved, scratch);
}

static hs_status no_samples(hs_stream *s, const hs_conv *plan, void *dtaps, void *dbias)
{
    const hs_conv_desc *d = &plan->d;
    HS_TRY(hs_cuda_memory_ops.zero(s, dtaps, (size_t)plan->taps * d->ci * d->co * sizeof(float)));
    return dbias ? hs_cuda_memory_ops.zero(s, dbias, (size_t)d->co * sizeof(float)) : HS_OK;
}

static hs_status backward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx,
                          void *dtaps, void *dbias, void *saved, void *scratch)
{
    if (n == 0)
        return no_samples(s, plan, dtaps, dbias);
    if (plan->d.pool)
        return hs_cuda_pooled_back(s, plan, n, x, dy, dtaps, dbias, saved, scratch);
    return is_fft(plan) ? hs_cuda_fft_backward(s, plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch)
                        : hs_cuda_space_backward(s, plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch);
}

/* Spectra and maps as bf16, in that precision. */
static bool seals(const hs_device *device, hs_domain domain)
{
    (void)domain;
    return hs_cuda_device_of(device)->math == HS_CUDA_BF16;
}

const hs_conv_ops hs_cuda_conv_ops = {
    .dense = true,
    .supports = supports,
    .cost = cost,
    .plan = plan,
    .ways = ways,
    .way_name = way_name,
    .destroy = destroy,
    .saved_bytes = saved_bytes,
    .scratch_bytes = scratch_bytes,
    .backward_reads_x = backward_reads_x,
    .grid = grid,
    .seals = seals,
    .forward = forward,
    .backward = backward,
};
