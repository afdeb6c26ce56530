/* pool.c - the entries for window pools and the global mean. */
#include "hs_cuda.h"

static hs_status max_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg)
{
    return hs_cuda_check(hs_cuda_max_fwd(hs_cuda_raw(s), *w, n, x, y, arg), "max_fwd");
}

static hs_status max_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    return hs_cuda_check(hs_cuda_max_bwd(hs_cuda_raw(s), *w, n, dy, arg, dx), "max_bwd");
}

static hs_status average_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_average_fwd(hs_cuda_raw(s), *w, n, x, y), "average_fwd");
}

static hs_status average_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx)
{
    return hs_cuda_check(hs_cuda_average_bwd(hs_cuda_raw(s), *w, n, dy, dx), "average_bwd");
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
    .max_fwd = max_fwd,
    .max_bwd = max_bwd,
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
