/* pool.c - pooling over windows: images among threads, channels in vectors, so no result depends on the threads. */
#include "pool.h"

#include <stdatomic.h>
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

typedef struct batch {
    const hs_cpu_kernels *kernels;
    const hs_window *w;
    const float *x;
    const uint8_t *won;
    float *y;
    uint8_t *arg;
} batch;

/* One row of results. Prefetching is the hardware's: rows are read in order. */
static void max_row(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_window *w = b->w;
    const int oy = task % w->oh;
    const float *image = b->x + task / w->oh * plane_of(w);
    (void)thread;
    for (int ox = 0; ox < w->ow; ox++) {
        const window at = window_at(w, oy, ox);
        const size_t out = ((size_t)task * w->ow + ox) * w->c;
        b->kernels->max_window(w->c,
                               &(hs_cpu_cells){.rows = at.y1 - at.y0, .cols = at.x1 - at.x0, .cell = (at.y0 - at.top) * w->k + at.x0 - at.left,
                                               .cell_row = w->k, .cell_col = 1, .x = image + ((size_t)at.y0 * w->w + at.x0) * w->c,
                                               .x_row = (ptrdiff_t)w->w * w->c, .x_col = w->c},
                               b->y + out, b->arg + out);
    }
}

static hs_status max_fwd(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg)
{
    hs_cpu_each(s->device->threads, n * w->oh, max_row, &(batch){.kernels = hs_cpu_of(s)->kernels, .w = w, .x = x, .y = y, .arg = arg});
    return HS_OK;
}

/* Windows [first, last) along one axis that reach cell I. */
static void windows_over(const hs_window *w, int i, int windows, int *first, int *last)
{
    const int low = i + w->pad - w->k + 1;
    *first = low > 0 ? (low + w->stride - 1) / w->stride : 0;
    *last = (i + w->pad) / w->stride + 1 < windows ? (i + w->pad) / w->stride + 1 : windows;
}

/* One row of the gradient of x. */
static void max_row_adjoint(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_window *w = b->w;
    const int iy = task % w->h;
    const size_t windows = (size_t)(task / w->h) * w->oh * w->ow * w->c;
    const bool stream = w->c % HS_CPU_PAD == 0 && (uintptr_t)b->y % 64 == 0;
    int oy0, oy1;
    (void)thread;
    windows_over(w, iy, w->oh, &oy0, &oy1);
    for (int ix = 0; ix < w->w; ix++) {
        int ox0, ox1;
        windows_over(w, ix, w->ow, &ox0, &ox1);
        const size_t from = windows + ((size_t)oy0 * w->ow + ox0) * w->c;
        b->kernels->max_cell(w->c,
                             &(hs_cpu_cells){.rows = oy1 - oy0, .cols = ox1 - ox0,
                                             .cell = (iy + w->pad - oy0 * w->stride) * w->k + ix + w->pad - ox0 * w->stride,
                                             .cell_row = -w->stride * w->k, .cell_col = -w->stride, .x = b->x + from, .arg = b->won + from,
                                             .x_row = (ptrdiff_t)w->ow * w->c, .x_col = w->c},
                             b->y + ((size_t)task * w->w + ix) * w->c, stream);
    }
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

static hs_status max_bwd(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    hs_cpu_each(s->device->threads, n * w->h, max_row_adjoint, &(batch){.kernels = hs_cpu_of(s)->kernels, .w = w, .x = dy, .won = arg, .y = dx});
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
