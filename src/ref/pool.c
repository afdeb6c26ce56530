/* pool.c - pooling over windows, and the mean of a whole plane. Windows may reach over the border: what lies outside is left out. */
#include "real.h"

#include "hs_base.h"

/* The part of a window on one axis that lies inside [0, n). */
typedef struct span {
    int from, to, start; /* cells from .. to-1; start is the window's first cell, inside or not */
} span;

static span span_of(int p, int n, int k, int stride, int pad)
{
    int start = p * stride - pad, end = start + k;
    return (span){start < 0 ? 0 : start, end > n ? n : end, start};
}

typedef struct window {
    span y, x;
} window;

static window window_at(const hs_window *w, int out_cell)
{
    return (window){span_of(out_cell / w->ow, w->h, w->k, w->stride, w->pad), span_of(out_cell % w->ow, w->w, w->k, w->stride, w->pad)};
}

/* Greatest of one channel; a NaN is greater than anything, so that it is not lost. X [h][w][c] at the channel. */
static uint8_t winner(const hs_window *w, window at, const real *x, real *best)
{
    int arg = -1;
    for (int y = at.y.from; y < at.y.to; y++) {
        for (int i = at.x.from; i < at.x.to; i++) {
            real v = x[((size_t)y * w->w + i) * w->c];
            if (arg < 0 || v > *best || (v != v && *best == *best)) {
                arg = (y - at.y.start) * w->k + i - at.x.start;
                *best = v;
            }
        }
    }
    return (uint8_t)arg;
}

hs_status REF(max_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (int i = 0; i < n; i++, in += (size_t)w->h * w->w * w->c)
        for (int cell = 0; cell < w->oh * w->ow; cell++)
            for (int c = 0; c < w->c; c++)
                *arg++ = winner(w, window_at(w, cell), in + c, out++);
    return HS_OK;
}

static void zero_real(real *x, size_t count)
{
    for (size_t j = 0; j < count; j++)
        x[j] = 0;
}

hs_status REF(max_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    (void)s;
    const size_t plane = (size_t)w->h * w->w * w->c;
    const real *grad = dy;
    real *in = dx;
    zero_real(dx, n * plane);
    for (int i = 0; i < n; i++, in += plane) {
        for (int cell = 0; cell < w->oh * w->ow; cell++) {
            window at = window_at(w, cell);
            for (int c = 0; c < w->c; c++, grad++, arg++)
                in[((size_t)(at.y.start + *arg / w->k) * w->w + at.x.start + *arg % w->k) * w->c + c] += *grad;
        }
    }
    return HS_OK;
}

static double cells_of(window at)
{
    return (double)(at.y.to - at.y.from) * (at.x.to - at.x.from);
}

hs_status REF(average_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (int i = 0; i < n; i++, in += (size_t)w->h * w->w * w->c) {
        for (int cell = 0; cell < w->oh * w->ow; cell++) {
            window at = window_at(w, cell);
            for (int c = 0; c < w->c; c++) {
                double sum = 0;
                for (int row = at.y.from; row < at.y.to; row++)
                    for (int col = at.x.from; col < at.x.to; col++)
                        sum += in[((size_t)row * w->w + col) * w->c + c];
                *out++ = (real)(sum / cells_of(at));
            }
        }
    }
    return HS_OK;
}

hs_status REF(average_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx)
{
    (void)s;
    const size_t plane = (size_t)w->h * w->w * w->c;
    const real *grad = dy;
    real *in = dx;
    zero_real(dx, n * plane);
    for (int i = 0; i < n; i++, in += plane) {
        for (int cell = 0; cell < w->oh * w->ow; cell++) {
            window at = window_at(w, cell);
            for (int c = 0; c < w->c; c++, grad++)
                for (int row = at.y.from; row < at.y.to; row++)
                    for (int col = at.x.from; col < at.x.to; col++)
                        in[((size_t)row * w->w + col) * w->c + c] += (real)(*grad / cells_of(at));
        }
    }
    return HS_OK;
}

hs_status REF(global_fwd)(hs_stream *s, hs_shape shape, int n, const void *x, void *y)
{
    (void)s;
    const size_t cells = (size_t)shape.h * shape.w;
    const real *in = x;
    real *out = y;
    for (int i = 0; i < n; i++, in += cells * shape.c) {
        for (int c = 0; c < shape.c; c++) {
            double sum = 0;
            for (size_t j = 0; j < cells; j++)
                sum += in[j * shape.c + c];
            *out++ = (real)(sum / (double)cells);
        }
    }
    return HS_OK;
}

hs_status REF(global_bwd)(hs_stream *s, hs_shape shape, int n, const void *dy, void *dx)
{
    (void)s;
    const size_t cells = (size_t)shape.h * shape.w;
    const real *grad = dy;
    real *in = dx;
    for (int i = 0; i < n; i++, grad += shape.c)
        for (size_t j = 0; j < cells; j++)
            for (int c = 0; c < shape.c; c++)
                *in++ = (real)((double)grad[c] / (double)cells);
    return HS_OK;
}

const hs_pool_ops REF(pool_ops) = {
    .max_fwd = REF(max_fwd),
    .max_bwd = REF(max_bwd),
    .average_fwd = REF(average_fwd),
    .average_bwd = REF(average_bwd),
    .global_fwd = REF(global_fwd),
    .global_bwd = REF(global_bwd),
    .spectral_supports = REF(spool_supports),
    .spectral_cost = REF(spool_cost),
    .spectral_plan = REF(spool_plan),
    .spectral_destroy = REF(spool_destroy),
    .spectral_saved_bytes = REF(spool_saved_bytes),
    .spectral_scratch_bytes = REF(spool_scratch_bytes),
    .spectral_fwd = REF(spool_fwd),
    .spectral_bwd = REF(spool_bwd),
    .lowpass = REF(lowpass),
};
