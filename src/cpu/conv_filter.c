/* conv_filter.c - from the taps of filters to what their spectra are made of, and gradients back.
 *
 * The response at frequency (u, v) of a grid Ph x Pw is W = sum_{y,x} w(y,x) e^{+i(a y + b x)}, a = 2 pi u/Ph, b = 2 pi v/Pw, offsets y, x from
 * the anchor, |y| <= ry, |x| <= rx (correlation: Y = W X). Split each axis into even and odd sums E_j = w_j + w_-j, O_j = w_j - w_-j:
 *     column v:  G   = w_0 + sum_j cos(b j) E_j + i sum_j sin(b j) O_j       for the centre, even and odd planes of y
 *     bin +-u:   A   = G_0 + sum_j cos(a j) G_Ej,  B = sum_j sin(a j) G_Oj,  W(+-u) = A +- i B
 * so that two frequencies cost 2(2k-1) multiply-adds a coefficient and what is kept is k*k planes, not U spectra. Planes go c, E1.., O1.. in
 * both axes. Even sides have one offset more on one side: their -r taps are zero. */
#include "conv.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"

static const double two_pi = 6.283185307179586476925;

static hs_status waves(int p, int r, float **cosines, float **sines)
{
    const size_t count = ((size_t)p / 2 + 1) * (size_t)r + 1;
    HS_TRY(hs_calloc(count, sizeof(float), "cosines", cosines));
    HS_TRY(hs_calloc(count, sizeof(float), "sines", sines));
    for (int v = 0; v <= p / 2; v++)
        for (int j = 1; j <= r; j++) {
            const double angle = two_pi * (double)((long)v * j % p) / p;
            (*cosines)[v * r + j - 1] = (float)cos(angle);
            (*sines)[v * r + j - 1] = (float)sin(angle);
        }
    return HS_OK;
}

hs_status hs_cpu_grid_plan(hs_cpu_grid *g, int ph, int pw, int kh, int kw)
{
    *g = (hs_cpu_grid){.ph = ph, .pw = pw, .ry = kh / 2, .rx = kw / 2};
    g->taps = (2 * g->ry + 1) * (2 * g->rx + 1);
    HS_TRY(waves(pw, g->rx, &g->cos_x, &g->sin_x));
    return waves(ph, g->ry, &g->cos_y, &g->sin_y);
}

void hs_cpu_grid_destroy(hs_cpu_grid *g)
{
    hs_free(g->cos_x), hs_free(g->sin_x);
    hs_free(g->cos_y), hs_free(g->sin_y);
    *g = (hs_cpu_grid){0};
}

/* Place of offset J among centre, even and odd: the plane of +j before, of E_j after folding; -j and O_j likewise. */
static int slot(int j, int r)
{
    return j >= 0 ? j : r - j;
}

/* (a, b) -> (a + b, a - b) of the planes of +j and -j along one axis: COUNT planes of WIDTH lie STRIDE numbers apart, R pairs. Its transpose is
 * itself. */
static void fold_axis(int r, ptrdiff_t stride, int width, float *planes)
{
    for (int j = 1; j <= r; j++) {
        float *a = planes + slot(j, r) * stride, *b = planes + slot(-j, r) * stride;
#pragma omp simd
        for (int l = 0; l < width; l++) {
            const float plus = a[l], minus = b[l];
            a[l] = plus + minus;
            b[l] = plus - minus;
        }
    }
}

static void fold_both(const hs_cpu_grid *g, int width, float *planes)
{
    const int nx = 2 * g->rx + 1, ny = 2 * g->ry + 1;
    for (int y = 0; y < ny; y++)
        fold_axis(g->rx, width, width, planes + (ptrdiff_t)y * nx * width);
    for (int x = 0; x < nx; x++)
        fold_axis(g->ry, (ptrdiff_t)nx * width, width, planes + (ptrdiff_t)x * width);
}

/* Plane that tap T of the filter falls into. SIGN +1: correlation; -1: true convolution, or the gradient of x. */
static ptrdiff_t plane_of(const hs_conv *conv, int t, int sign)
{
    const hs_cpu_grid *g = &conv->fft.grid;
    const int y = sign * (t / conv->d.kw - conv->d.pad_h), x = sign * (t % conv->d.kw - conv->d.pad_w);
    return slot(y, g->ry) * (2 * g->rx + 1) + slot(x, g->rx);
}

/* One row of planes: COUNT weights from FROM, STEP apart, per tap. */
static void gather_row(const hs_conv *conv, int sign, const float *from, ptrdiff_t step, int count, int width, float *planes)
{
    const hs_conv_desc *d = &conv->d;
    const size_t tap = (size_t)d->ci * d->co;
    memset(planes, 0, (size_t)conv->fft.grid.taps * (size_t)width * sizeof(float));
    for (int t = 0; t < d->kh * d->kw; t++, from += tap) {
        float *to = planes + plane_of(conv, t, sign) * width;
        if (step == 1)
            memcpy(to, from, (size_t)count * sizeof(float));
        else
            for (int l = 0; l < count; l++)
                to[l] = from[l * step];
    }
    fold_both(&conv->fft.grid, width, planes);
}

void hs_cpu_filter_planes(const hs_conv *conv, bool transposed, const float *taps, float *planes)
{
    const hs_conv_desc *d = &conv->d;
    const int rows = transposed ? d->co : d->ci, cols = transposed ? d->ci : d->co, sign = (d->flip ? -1 : 1) * (transposed ? -1 : 1);
    const int panels = hs_cpu_panels(hs_cpu_pad(cols));
#pragma omp parallel for collapse(2) num_threads(conv->threads) schedule(static)
    for (int panel = 0; panel < panels; panel++)
        for (int row = 0; row < rows; row++) {
            int first, width;
            hs_cpu_panel(hs_cpu_pad(cols), panel, &first, &width);
            const int count = cols - first < width ? cols - first : width;
            const float *from = taps + (transposed ? (size_t)first * d->co + row : (size_t)row * d->co + first);
            float *to = planes + (size_t)conv->fft.grid.taps * ((size_t)first * rows + (size_t)row * width);
            gather_row(conv, sign, from, transposed ? d->co : 1, count, width, to);
        }
}

void hs_cpu_filter_taps(const hs_conv *conv, int ci, int m, int co, int width, float *planes, float *dtaps)
{
    const hs_conv_desc *d = &conv->d;
    const int count = d->co - co < width ? d->co - co : width;
    for (int row = 0; row < m; row++, planes += (ptrdiff_t)conv->fft.grid.taps * width) {
        fold_both(&conv->fft.grid, width, planes);
        for (int t = 0; t < d->kh * d->kw; t++)
            memcpy(dtaps + ((size_t)t * d->ci + ci + row) * d->co + co, planes + plane_of(conv, t, d->flip ? -1 : 1) * width,
                   (size_t)count * sizeof(float));
    }
}
