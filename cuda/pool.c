/* pool.c - the entries for window pools and the global mean. */
#include "hs_cuda.h"

static hs_status forward(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg)
{
    const bool half_in = hs_cuda_half_edge(s->device, w->sealed_in), half_out = hs_cuda_half_edge(s->device, w->sealed_out);
    return hs_cuda_check(hs_cuda_pool_fwd(hs_cuda_raw(s), *w, half_in, half_out, n, x, y, arg), "a pool");
}

static hs_status backward(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    const bool half_in = hs_cuda_half_edge(s->device, w->sealed_in), half_out = hs_cuda_half_edge(s->device, w->sealed_out);
    return hs_cuda_check(hs_cuda_pool_bwd(hs_cuda_raw(s), *w, half_in, half_out, n, dy, arg, dx), "a pool's gradient");
}

static hs_status average_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y)
{
    return forward(s, w, n, x, y, NULL);
}

static hs_status average_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx)
{
    return backward(s, w, n, dy, NULL, dx);
}

static hs_status global_fwd(hs_stream *s, hs_shape shape, int n, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_global_fwd(hs_cuda_raw(s), shape, n, x, y), "global_fwd");
}

static hs_status global_bwd(hs_stream *s, hs_shape shape, int n, const void *dy, void *dx)
{
    return hs_cuda_check(hs_cuda_global_bwd(hs_cuda_raw(s), shape, n, dy, dx), "global_bwd");
}

const hs_pool_ops hs_cuda_pool_ops = {
    .max_fwd = forward,
    .max_bwd = backward,
    .average_fwd = average_fwd,
    .average_bwd = average_bwd,
    .global_fwd = global_fwd,
    .global_bwd = global_bwd,
    .spectral_supports = hs_cuda_spool_supports,
    .spectral_cost = hs_cuda_spool_cost,
    .spectral_plan = hs_cuda_spool_plan,
    .spectral_destroy = hs_cuda_spool_destroy,
    .spectral_saved_bytes = hs_cuda_spool_saved,
    .spectral_scratch_bytes = hs_cuda_spool_scratch,
    .spectral_fwd = hs_cuda_spool_fwd,
    .spectral_bwd = hs_cuda_spool_bwd,
    .lowpass = hs_cuda_lowpass,
};
