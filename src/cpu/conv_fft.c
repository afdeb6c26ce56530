/* conv_fft.c - convolution through half spectra: transforms around the products of conv_bins.c, and where everything lies.
 *
 * Grid: P = H + floor(k/2) for zero boundary (what wraps lands outside the H x H results), P = H for periodic; the smallest grid stores the fewest
 * frequencies, and no side is slow (dft.c). The spectrum of x is kept for backward, where the gradient of x later takes its place:
 *   saved    X^, then dX^ | bits of the rectifier           scratch  planes | bias | Y^ or D^ | threads of products or of transforms
 * Spectra that come from outside (periodic) are used as they lie if their channels are whole lines, else copied into padded rows. A rectifier
 * works on rows of pixels between the transforms of rows and those that follow, in L1: what it costs is its bits, 1/32 of the map written and read. */
#include "conv.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

/* From bin to bin: an odd number of lines, so that one (sample, channel) of all bins does not fall into few cache sets. */
static ptrdiff_t bin_stride(int capacity, int cp)
{
    const ptrdiff_t lines = (ptrdiff_t)capacity * 2 * cp / HS_CPU_PAD;
    return (lines | 1) * HS_CPU_PAD;
}

hs_status hs_cpu_fft_plan(const hs_cpu_device *device, hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cpu_conv_fft *f = &conv->fft;
    int ph, pw;
    hs_cpu_fft_grid(device->kernels, d, &ph, &pw);
    f->cip = hs_cpu_pad(d->ci), f->cop = hs_cpu_pad(d->co);
    f->own_x = d->in == HS_SPACE || d->ci % HS_CPU_PAD != 0;
    f->own_y = d->out == HS_SPACE || d->co % HS_CPU_PAD != 0 || d->relu;
    f->bin_x = bin_stride(d->capacity, f->cip), f->bin_y = bin_stride(d->capacity, f->cop);
    f->bins = hs_bins_count(ph, pw);
    HS_TRY(hs_cpu_grid_plan(&f->grid, ph, pw, d->kh, d->kw));
    HS_TRY(hs_cpu_dft_plan(device, d->h, d->w, ph, pw, d->ci, &f->dft_x));
    HS_TRY(hs_cpu_dft_plan(device, d->h, d->w, ph, pw, d->co, &f->dft_y));
    f->thread_bytes = hs_cpu_bins_thread_bytes(conv);
    const size_t a = hs_cpu_dft_scratch_bytes(f->dft_x), b = hs_cpu_dft_scratch_bytes(f->dft_y);
    f->dft_bytes = a > b ? a : b;
    return HS_OK;
}

void hs_cpu_fft_destroy(hs_conv *conv)
{
    hs_cpu_grid_destroy(&conv->fft.grid);
    hs_cpu_dft_destroy(&conv->fft.dft_x);
    hs_cpu_dft_destroy(&conv->fft.dft_y);
}

static size_t x_bytes(const hs_conv *conv)
{
    return conv->fft.own_x ? (size_t)conv->fft.bin_x * (size_t)conv->fft.bins * sizeof(float) : 0;
}

size_t hs_cpu_fft_saved(const hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    return x_bytes(conv) + (d->relu ? hs_cpu_gate_bytes(d->capacity, d->oh, d->ow, d->co) : 0);
}

static uint16_t *bits_of(const hs_conv *conv, void *saved)
{
    return conv->d.relu ? (uint16_t *)((char *)saved + x_bytes(conv)) : NULL;
}

/* Scratch, cut up. */
typedef struct room {
    float *planes, *bias;
    hs_cpu_spectrum y;
    void *threads;
} room;

static size_t planes_floats(const hs_conv *conv)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    const size_t a = (size_t)conv->d.ci * (size_t)f->cop, b = (size_t)conv->d.co * (size_t)f->cip;
    return (size_t)f->grid.taps * (a > b ? a : b);
}

static size_t y_floats(const hs_conv *conv)
{
    return conv->fft.own_y ? (size_t)conv->fft.bin_y * (size_t)conv->fft.bins : 0;
}

size_t hs_cpu_fft_scratch(const hs_conv *conv)
{
    const size_t products = conv->fft.thread_bytes * (size_t)conv->threads;
    const size_t threads = products > conv->fft.dft_bytes ? products : conv->fft.dft_bytes;
    return 64 + (planes_floats(conv) + (size_t)conv->fft.cop + y_floats(conv)) * sizeof(float) + threads;
}

static void *to_line(void *p)
{
    return (void *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

static room room_of(const hs_conv *conv, void *scratch)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    room r = {.planes = to_line(scratch)};
    r.bias = r.planes + planes_floats(conv);
    r.y = (hs_cpu_spectrum){r.bias + f->cop, f->bin_y, 2 * (ptrdiff_t)f->cop, f->cop};
    r.threads = r.y.at + y_floats(conv);
    return r;
}

/* A spectrum from outside, [bin][n][re c | im c]. */
static hs_cpu_spectrum dense(const float *at, int n, int c)
{
    return (hs_cpu_spectrum){(float *)at, (ptrdiff_t)n * 2 * c, 2 * (ptrdiff_t)c, c};
}

static void copy_part(float *to, int width, const float *from, int used)
{
    memcpy(to, from, (size_t)used * sizeof(float));
    if (used < width)
        memset(to + used, 0, (size_t)(width - used) * sizeof(float));
}

/* Between rows of C and padded rows; the longer rows' rest is zero. */
static void repack(const hs_conv *conv, int n, int c, hs_cpu_spectrum from, hs_cpu_spectrum to)
{
    const int width = (int)to.im;
#pragma omp parallel for num_threads(conv->threads) schedule(static)
    for (int bin = 0; bin < conv->fft.bins; bin++)
        for (int i = 0; i < n; i++) {
            const float *a = from.at + bin * from.bin + i * from.sample;
            float *b = to.at + bin * to.bin + i * to.sample;
            copy_part(b, width, a, c);
            copy_part(b + to.im, width, a + from.im, c);
        }
}

static hs_cpu_spectrum own_x(const hs_conv *conv, void *saved)
{
    return (hs_cpu_spectrum){saved, conv->fft.bin_x, 2 * (ptrdiff_t)conv->fft.cip, conv->fft.cip};
}

/* The spectrum of x (or of dy) wherever it ends up: transformed, rectified, repacked, or as it lies. */
static hs_cpu_spectrum enter(const hs_conv *conv, bool is_x, int n, const float *from, hs_cpu_gate gate, hs_cpu_spectrum own, void *threads)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    const hs_cpu_dft *dft = is_x ? f->dft_x : f->dft_y;
    const int c = is_x ? conv->d.ci : conv->d.co;
    if ((is_x ? conv->d.in : conv->d.out) == HS_SPACE)
        hs_cpu_dft_forward(dft, n, from, gate, own, threads);
    else if (gate.read)
        hs_cpu_dft_turn(dft, n, dense(from, n, c), NULL, gate, own, threads);
    else if (is_x ? f->own_x : f->own_y)
        repack(conv, n, c, dense(from, n, c), own);
    else
        return dense(from, n, c);
    return own;
}

/* Coordinates of self-conjugate bins have no imaginary half; three-product rounding leaves 1e-7 there, which must not leave the layer. */
static void clear_self(const hs_conv *conv, int n, int c, hs_cpu_spectrum y)
{
    const hs_cpu_grid *g = &conv->fft.grid;
    for (int v = 0; v <= g->pw / 2; v += g->pw % 2 == 0 && g->pw > 1 ? g->pw / 2 : g->pw)
        for (int u = 0; u <= g->ph / 2; u += g->ph % 2 == 0 ? g->ph / 2 : g->ph) {
            float *row = y.at + hs_bin_index(g->ph, g->pw, u, v, NULL) * y.bin + y.im;
            for (int i = 0; i < n; i++, row += y.sample)
                memset(row, 0, (size_t)c * sizeof(float));
        }
}

/* The sum of a plane is sqrt(ph pw) times its DC coordinate. */
static void bias_to_spectrum(const hs_conv *conv, int n, const float *bias, hs_cpu_spectrum y)
{
    const float factor = (float)sqrt((double)conv->fft.grid.ph * conv->fft.grid.pw);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < conv->d.co; c++)
            y.at[i * y.sample + c] += factor * bias[c];
}

static void bias_gradient(const hs_conv *conv, int n, hs_cpu_spectrum dy, float *dbias)
{
    const double factor = sqrt((double)conv->fft.grid.ph * conv->fft.grid.pw);
    for (int c = 0; c < conv->d.co; c++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += dy.at[i * dy.sample + c];
        dbias[c] = (float)(factor * sum);
    }
}

/* Whether every row begins at a whole line. */
static bool lines(hs_cpu_spectrum s)
{
    return ((uintptr_t)s.at % 64 | (uintptr_t)(s.bin | s.sample | s.im) % HS_CPU_PAD) == 0;
}

void hs_cpu_fft_forward(const hs_conv *conv, int n, const float *x, const float *taps, const float *bias, float *y, void *saved, void *scratch)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    const hs_conv_desc *d = &conv->d;
    const room r = room_of(conv, scratch);
    const hs_cpu_spectrum sx = enter(conv, true, n, x, (hs_cpu_gate){0}, own_x(conv, saved), r.threads);
    const hs_cpu_spectrum sy = f->own_y ? r.y : dense(y, n, d->co);
    hs_cpu_filter_planes(conv, false, taps, r.planes);
    hs_cpu_bins_multiply(&(hs_cpu_bins){conv, n, d->ci, f->cop, sx, sy, r.threads, lines(sy)}, r.planes);
    if (bias)
        copy_part(r.bias, f->cop, bias, d->co);
    const hs_cpu_gate gate = {.write = bits_of(conv, saved)};
    if (d->out == HS_SPACE) {
        hs_cpu_dft_inverse(f->dft_y, n, sy, bias ? r.bias : NULL, gate, y, r.threads);
        return;
    }
    if (d->relu) {
        hs_cpu_dft_turn(f->dft_y, n, sy, bias ? r.bias : NULL, gate, dense(y, n, d->co), r.threads);
        return;
    }
    if (bias)
        bias_to_spectrum(conv, n, bias, sy);
    clear_self(conv, n, d->co, sy);
    if (f->own_y)
        repack(conv, n, d->co, sy, dense(y, n, d->co));
}

void hs_cpu_fft_backward(const hs_conv *conv, int n, const float *x, const float *taps, const float *dy, float *dx, float *dtaps, float *dbias,
                         void *saved, void *scratch)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    const hs_conv_desc *d = &conv->d;
    const room r = room_of(conv, scratch);
    const hs_cpu_spectrum sx = f->own_x ? own_x(conv, saved) : dense(x, n, d->ci);
    const hs_cpu_spectrum sd = enter(conv, false, n, dy, (hs_cpu_gate){.read = bits_of(conv, saved)}, r.y, r.threads);
    hs_cpu_bins_correlate(&(hs_cpu_bins){conv, n, d->ci, f->cop, sx, sd, r.threads, false}, dtaps);
    if (dbias)
        bias_gradient(conv, n, sd, dbias);
    if (!dx)
        return;
    const hs_cpu_spectrum sdx = f->own_x ? sx : dense(dx, n, d->ci);
    hs_cpu_filter_planes(conv, true, taps, r.planes);
    hs_cpu_bins_multiply(&(hs_cpu_bins){conv, n, d->co, f->cip, sd, sdx, r.threads, lines(sdx)}, r.planes);
    if (d->in == HS_SPACE) {
        hs_cpu_dft_inverse(f->dft_x, n, sdx, NULL, (hs_cpu_gate){0}, dx, r.threads);
        return;
    }
    clear_self(conv, n, d->ci, sdx);
    if (f->own_x)
        repack(conv, n, d->ci, sdx, dense(dx, n, d->ci));
}
