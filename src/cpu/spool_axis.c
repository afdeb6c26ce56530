/* spool_axis.c - one axis pooled to fewer cells, or spread to more, over rows of channels.
 *
 * Pooling H cells to h keeps the first h coordinates of the real Fourier basis (spectral-math): y = P x, P = D_h^T [I 0] D_H. With straight-line
 * transforms that is the real transform of H, of which m = min(H, h) coordinates are kept, and the transposed one of h:
 *     y_j = s (X_0/2 + sum_{0 < v < m/2} Re X_v cos(2 pi v j / h) - Im X_v sin(..) + [m even] Re X_{m/2} cos(pi j) / sqrt2),  s = 2 / sqrt(H h)
 * and the same with H and h exchanged is its transpose. Otherwise the matrix P does it, which maps even parts e_i = x_i + x_{-i} to even parts and
 * odd parts o_i = x_i - x_{-i} to odd ones: two products of a quarter of its size.
 *
 * 32 -> 27 takes 17 * 14 + 15 * 13 = 433 multiply-adds a channel by the folded matrices and 864 by P itself, and 216 + 419 operations in straight-line
 * code, which needs no passes to fold and unfold: the six poolings of paper-sp, forward and backward, 65 ms instead of 93 (one thread, batch 64). */
#include "spool.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static const hs_cpu_codelet *codelet_of(const hs_cpu_kernels *kernels, int side)
{
    for (const hs_cpu_codelet *c = kernels->codelets; c && c->side; c++)
        if (c->side == side)
            return c;
    return NULL;
}

/* P(to, from), or for more cells than there were its transpose. */
static double entry(const hs_cpu_resize *r, const double *m, int to, int from)
{
    return r->to <= r->from ? m[to * r->from + from] : m[from * r->to + to];
}

/* M(j, i) x_i + M(j, -i) x_{-i} = (M(j, i) + M(j, -i))/2 e_i + (M(j, i) - M(j, -i))/2 o_i; unfolding takes odd parts with the other sign. */
static hs_status fill_matrices(hs_cpu_resize *r, const double *m)
{
    const int rows = r->to / 2 + 1, cols = r->from / 2 + 1, odd_rows = (r->to - 1) / 2, odd_cols = (r->from - 1) / 2;
    HS_TRY(hs_calloc((size_t)rows * (size_t)cols, sizeof(float), "pooling matrix", &r->even));
    HS_TRY(hs_calloc((size_t)odd_rows * (size_t)odd_cols + 1, sizeof(float), "pooling matrix", &r->odd));
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < cols; i++) {
            const bool pair = i > 0 && 2 * i < r->from;
            const double plus = entry(r, m, j, i), minus = pair ? entry(r, m, j, r->from - i) : 0;
            r->even[j * cols + i] = (float)(pair ? 0.5 * (plus + minus) : plus);
            if (pair && j > 0 && 2 * j < r->to)
                r->odd[(j - 1) * odd_cols + i - 1] = (float)(0.5 * (minus - plus));
        }
    return HS_OK;
}

hs_status hs_cpu_resize_plan(const hs_cpu_kernels *kernels, int from, int to, hs_pool_norm norm, hs_cpu_resize *r)
{
    const int big = from > to ? from : to, small = from + to - big;
    double *m = NULL;
    *r = (hs_cpu_resize){.kernels = kernels, .from = from, .to = to, .scale = 1};
    if (from == to)
        return HS_OK;
    r->real = codelet_of(kernels, from), r->adjoint = codelet_of(kernels, to);
    if (r->real && r->adjoint) {
        r->scale = (float)(2 / sqrt((double)from * to) * (norm == HS_POOL_MEAN ? sqrt((double)small / big) : 1));
        return HS_OK;
    }
    r->real = r->adjoint = NULL;
    HS_TRY(hs_calloc((size_t)small * (size_t)big, sizeof *m, "pooling matrix", &m));
    hs_pool_matrix(small, big, norm, m);
    const hs_status st = fill_matrices(r, m);
    hs_free(m);
    return st;
}

void hs_cpu_resize_destroy(hs_cpu_resize *r)
{
    hs_free(r->even), hs_free(r->odd);
}

size_t hs_cpu_resize_floats(const hs_cpu_resize *r)
{
    return (size_t)(r->from / 2 + r->to / 2 + 2) * 2 * HS_CPU_PANEL;
}

void hs_cpu_resize_begin(const hs_cpu_resize *r, int width, float *scratch)
{
    const int rows = (r->from > r->to ? r->from : r->to) / 2 + 1;
    memset(scratch, 0, (size_t)rows * 2 * (size_t)width * sizeof(float));
}

static void scale_row(int width, float factor, float *row)
{
#pragma omp simd
    for (int i = 0; i < width; i++)
        row[i] *= factor;
}

void hs_cpu_resize_line(const hs_cpu_resize *r, int width, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next, float *y, ptrdiff_t ldy,
                        float *scratch)
{
    const int kept = r->from < r->to ? r->from : r->to, cols = r->from / 2 + 1, odd_cols = (r->from - 1) / 2, odd_rows = (r->to - 1) / 2;
    if (r->real) {
        const ptrdiff_t row = 2 * (ptrdiff_t)width;
        r->real->real(width, r->from, x, ldx, next, ld_next, scratch, scratch + width, row);
        scale_row(width, 0.5f, scratch);
        if (kept % 2 == 0)
            scale_row(width, 0.70710678118654752f, scratch + kept / 2 * row);
        r->adjoint->adjoint(width, r->to, scratch, scratch + width, row, NULL, y, ldy, false);
        return;
    }
    float *e = scratch, *o = e + cols * width, *to_e = o + odd_cols * width, *to_o = to_e + (r->to / 2 + 1) * width;
    r->kernels->fold(r->from, r->from, width, x, ldx, e, o, width);
    r->kernels->product(r->to / 2 + 1, width, cols, r->even, cols, 1, e, width, to_e, width, false);
    if (odd_cols > 0)
        r->kernels->product(odd_rows, width, odd_cols, r->odd, odd_cols, 1, o, width, to_o, width, false);
    else
        memset(to_o, 0, (size_t)odd_rows * (size_t)width * sizeof(float));
    r->kernels->unfold(r->to, r->to, width, to_e, to_o, width, NULL, y, ldy);
}
