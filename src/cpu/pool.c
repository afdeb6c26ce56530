/* pool.c - pooling over windows: images among threads, channels in vectors, so no result depends on the threads. */
#include "pool.h"

#include <math.h>
#include <string.h>

/* Cells of the window at output (oy, ox) that lie inside the plane. */
typedef struct window {
    int y0, y1, x0, x1, top, left;
} window;

static window window_at(const hs_window *w, int oy, int ox)
{
    const int top = oy * w->stride - w->pad, left = ox * w->stride - w->pad;
    return (window){top > 0 ? top : 0, top + w->k < w->h ? top + w->k : w->h, left > 0 ? left : 0, left + w->k < w->w ? left + w->k : w->w,
                    top, left};
}

static size_t plane_of(const hs_window *w)
{
    return (size_t)w->h * w->w * w->c;
}

/* The first cell of the window is copied, the others compared with what is best so far. */
static void max_pixel(const hs_cpu_kernels *k, const hs_window *w, window at, const float *x, float *y, uint8_t *arg)
{
    bool first = true;
    for (int iy = at.y0; iy < at.y1; iy++)
        for (int ix = at.x0; ix < at.x1; ix++) {
            const float *cell = x + ((size_t)iy * w->w + ix) * w->c;
            const int index = (iy - at.top) * w->k + ix - at.left;
            if (first) {
                memcpy(y, cell, (size_t)w->c * sizeof(float));
                memset(arg, index, (size_t)w->c);
                first = false;
            } else {
                k->max_cell(w->c, cell, index, y, arg);
            }
        }
}

static hs_status max_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for collapse(2) num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++) {
                const size_t out = (((size_t)i * w->oh + oy) * w->ow + ox) * w->c;
                max_pixel(k, w, window_at(w, oy, ox), (const float *)x + i * plane_of(w), (float *)y + out, arg + out);
            }
    return HS_OK;
}

static hs_status max_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++) {
        float *image = (float *)dx + i * plane_of(w);
        memset(image, 0, plane_of(w) * sizeof(float));
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++) {
                const window at = window_at(w, oy, ox);
                const size_t out = (((size_t)i * w->oh + oy) * w->ow + ox) * w->c;
                for (int iy = at.y0; iy < at.y1; iy++)
                    for (int ix = at.x0; ix < at.x1; ix++)
                        k->max_cell_adjoint(w->c, (const float *)dy + out, arg + out, (iy - at.top) * w->k + ix - at.left,
                                            image + ((size_t)iy * w->w + ix) * w->c);
            }
    }
    return HS_OK;
}

static float share_of(window at)
{
    return 1.0f / (float)((at.y1 - at.y0) * (at.x1 - at.x0));
}

static hs_status average_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for collapse(2) num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++) {
                const window at = window_at(w, oy, ox);
                const float *image = (const float *)x + i * plane_of(w);
                float *out = (float *)y + (((size_t)i * w->oh + oy) * w->ow + ox) * w->c;
                memset(out, 0, (size_t)w->c * sizeof(float));
                for (int iy = at.y0; iy < at.y1; iy++)
                    for (int ix = at.x0; ix < at.x1; ix++)
                        k->add_scaled(w->c, share_of(at), image + ((size_t)iy * w->w + ix) * w->c, out);
            }
    return HS_OK;
}

static hs_status average_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++) {
        float *image = (float *)dx + i * plane_of(w);
        memset(image, 0, plane_of(w) * sizeof(float));
        for (int oy = 0; oy < w->oh; oy++)
            for (int ox = 0; ox < w->ow; ox++) {
                const window at = window_at(w, oy, ox);
                const float *grad = (const float *)dy + (((size_t)i * w->oh + oy) * w->ow + ox) * w->c;
                for (int iy = at.y0; iy < at.y1; iy++)
                    for (int ix = at.x0; ix < at.x1; ix++)
                        k->add_scaled(w->c, share_of(at), grad, image + ((size_t)iy * w->w + ix) * w->c);
            }
    }
    return HS_OK;
}

static hs_status global_fwd(hs_stream *s, hs_shape shape, int n, const void *x, void *y)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
    const size_t cells = (size_t)shape.h * shape.w, c = (size_t)shape.c;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++) {
        float *out = (float *)y + i * c;
        memset(out, 0, c * sizeof(float));
        for (size_t j = 0; j < cells; j++)
            k->add_scaled(shape.c, 1.0f / (float)cells, (const float *)x + (i * cells + j) * c, out);
    }
    return HS_OK;
}

static hs_status global_bwd(hs_stream *s, hs_shape shape, int n, const void *dy, void *dx)
{
    const size_t cells = (size_t)shape.h * shape.w, c = (size_t)shape.c;
    const float share = 1.0f / (float)cells;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < cells; j++) {
            const float *grad = (const float *)dy + i * c;
            float *to = (float *)dx + (i * cells + j) * c;
#pragma omp simd
            for (size_t l = 0; l < c; l++)
                to[l] = share * grad[l];
        }
    return HS_OK;
}

const hs_pool_ops hs_cpu_pool_ops = {
    .max_fwd = max_fwd,
    .max_bwd = max_bwd,
    .average_fwd = average_fwd,
    .average_bwd = average_bwd,
    .global_fwd = global_fwd,
    .global_bwd = global_bwd,
    .spectral_supports = hs_cpu_spool_supports,
    .spectral_cost = hs_cpu_spool_cost,
    .spectral_plan = hs_cpu_spool_plan,
    .spectral_destroy = hs_cpu_spool_destroy,
    .spectral_saved_bytes = hs_cpu_spool_saved_bytes,
    .spectral_scratch_bytes = hs_cpu_spool_scratch_bytes,
    .spectral_fwd = hs_cpu_spool_fwd,
    .spectral_bwd = hs_cpu_spool_bwd,
    .lowpass = hs_cpu_lowpass,
};
