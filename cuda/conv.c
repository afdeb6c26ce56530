/* conv.c - the convolution entries of the table: which engine, what it costs, and the calls. */
#include "hs_cuda.h"

#include "hs_base.h"
#include "hs_spectrum.h"

static bool supports(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    if (d->relu && d->out == HS_SPECTRUM)
        return false;
    const bool spectrum = d->in == HS_SPECTRUM || d->out == HS_SPECTRUM;
    if (d->engine == HS_ENGINE_FFT)
        return d->stride == 1 && (!spectrum || d->boundary == HS_BOUNDARY_PERIODIC);
    return d->engine == HS_ENGINE_DIRECT && !spectrum;
}

/* ---- cost: the greater of what is moved and what is computed, part by part ---------------------------------------------- */

/* A transform of an edge: packed, three passes of cuFFT at two moves each, unpacked. */
static double edge_seconds(const hs_cuda_device *d, double n, double c, double plane, double grid)
{
    return hs_cuda_longest(d, n * c * (plane + 9 * grid), 0, d->plain);
}

static double fft_seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const bool zero = c->boundary == HS_BOUNDARY_ZERO;
    const int gh = zero ? hs_cuda_good_side(c->h + c->kh / 2) : c->h, gw = zero ? hs_cuda_good_side(c->w + c->kw / 2) : c->w;
    const double grid = (double)gh * gw, bins = hs_bins_count(gh, gw), n = c->capacity, pairs = (double)c->ci * c->co,
                 passes = c->need_dx ? 3 : 2;
    const double product = hs_cuda_longest(d, bins * (2 * n * (c->ci + c->co) + 4 * pairs), 8 * bins * n * pairs, d->products);
    const double filter = hs_cuda_longest(d, bins * 8 * pairs, 4 * bins * pairs * c->kh * c->kw, d->plain);
    const double x = c->in == HS_SPACE ? edge_seconds(d, n, c->ci, (double)c->h * c->w, grid) * (c->need_dx ? 2 : 1) : 0;
    const double y = c->out == HS_SPACE ? edge_seconds(d, n, c->co, (double)c->oh * c->ow, grid) * 2 : 0;
    return passes * (product + filter) + x + y;
}

static double cost(const hs_device *device, const hs_conv_desc *desc)
{
    const hs_cuda_device *d = hs_cuda_device_of(device);
    return desc->engine == HS_ENGINE_FFT ? fft_seconds(d, desc) : hs_cuda_space_seconds(d, desc);
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
    const hs_status st = is_fft(conv) ? hs_cuda_fft_plan(conv) : hs_cuda_space_plan(conv);
    if (st != HS_OK)
        destroy(&conv);
    else
        *out = conv;
    return st;
}

static size_t saved_bytes(const hs_conv *plan)
{
    return is_fft(plan) ? hs_cuda_fft_saved(plan) : hs_cuda_space_saved(plan);
}

static size_t scratch_bytes(const hs_conv *plan)
{
    return is_fft(plan) ? hs_cuda_fft_scratch(plan) : hs_cuda_space_scratch(plan);
}

static bool backward_reads_x(const hs_conv *plan)
{
    return !is_fft(plan) || plan->d.in == HS_SPECTRUM;
}

static hs_status forward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y,
                         void *saved, void *scratch)
{
    if (n == 0)
        return HS_OK;
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
    return is_fft(plan) ? hs_cuda_fft_backward(s, plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch)
                        : hs_cuda_space_backward(s, plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch);
}

const hs_conv_ops hs_cuda_conv_ops = {
    .supports = supports,
    .cost = cost,
    .plan = plan,
    .destroy = destroy,
    .saved_bytes = saved_bytes,
    .scratch_bytes = scratch_bytes,
    .backward_reads_x = backward_reads_x,
    .forward = forward,
    .backward = backward,
};
