/* conv_bins.c - the products at every frequency, filter spectra made as they are needed.
 *
 * Forward and the gradient of x: a task is one column v of the half spectrum and one panel of out-channels. It makes the column's planes G once
 * (2k planes, in L2), then for every pair +-u the three real factors of Karatsuba's product, which are used at once. Nothing of the filters'
 * spectra is ever stored, and results do not depend on which thread takes a task.
 * Gradient of the filters: a task is a block of the filter matrix, and walks over all frequencies with its k*k accumulators in L2; the sums of a
 * coefficient are formed in one order whatever the threads or the blocks. */
#include "conv.h"

#include <omp.h>
#include <stdatomic.h>
#include <string.h>

enum { BLOCK_ROWS = 96 }; /* of the filter matrix in one task of the gradient: 96 x 48 x 9 accumulators are 166 KB, x 25 460 KB */

static size_t forward_floats(const hs_conv *conv, int k)
{
    const hs_cpu_grid *g = &conv->fft.grid;
    const size_t kp = (size_t)hs_cpu_pad(k), w = HS_CPU_PANEL;
    return kp * w * (2 * (2 * (size_t)g->ry + 1) + 6) + (size_t)conv->d.capacity * kp;
}

static size_t backward_floats(const hs_conv *conv)
{
    const hs_cpu_grid *g = &conv->fft.grid;
    const size_t w = HS_CPU_PANEL, h = BLOCK_ROWS;
    return h * w * (2 * (2 * (size_t)g->ry + 1) + 6 + (size_t)g->taps) + (size_t)conv->d.capacity * (2 * w + h);
}

size_t hs_cpu_bins_thread_bytes(const hs_conv *conv)
{
    const size_t a = forward_floats(conv, conv->d.ci), b = forward_floats(conv, conv->d.co), c = backward_floats(conv);
    const size_t most = a > b ? a : b;
    return hs_cpu_line((most > c ? most : c) * sizeof(float));
}

static float *thread_scratch(const hs_cpu_bins *b)
{
    return (float *)((char *)b->scratch + b->conv->fft.thread_bytes * (size_t)omp_get_thread_num());
}

static hs_cpu_filter filter_of(const hs_cpu_grid *g, int v, int width)
{
    return (hs_cpu_filter){g->ry, g->rx, width, g->cos_x + (ptrdiff_t)v * g->rx, g->sin_x + (ptrdiff_t)v * g->rx};
}

/* Whether bin -u of this column is stored beside u. */
static bool has_mirror(const hs_cpu_grid *g, bool self, int u)
{
    return !self && u > 0 && 2 * u < g->ph;
}

/* ---- y = W x --------------------------------------------------------------------------------------------------------------------------- */

static void multiply_bin(const hs_cpu_bins *b, ptrdiff_t bin, ptrdiff_t next, int first, int width, const float *w, float *xs)
{
    const ptrdiff_t plane = (ptrdiff_t)b->k * width;
    const int kp = hs_cpu_pad(b->k);
    const float *x = b->x.at + bin * b->x.bin;
    b->conv->kernels->sums(b->n, kp, x, b->x.sample, x + b->x.im, b->x.sample, xs, NULL, kp);
    const hs_cpu_bin one = {.rows = b->n, .k = b->k, .width = width, .x = x, .xs = xs, .x_row = b->x.sample, .x_im = b->x.im, .xs_row = kp,
                            .w1 = w, .w2 = w + plane, .w3 = w + 2 * plane,
                            .y = b->y.at + bin * b->y.bin + first, .y_row = b->y.sample, .y_im = b->y.im, .stream = b->stream,
                            .next = {b->x.at + next * b->x.bin, (size_t)b->n * (size_t)b->x.sample}};
    b->conv->kernels->bin(&one);
}

static void multiply_task(const hs_cpu_bins *b, int v, int first, int width, const float *planes)
{
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const hs_cpu_filter f = filter_of(grid, v, width);
    const ptrdiff_t spectrum = 3 * (ptrdiff_t)b->k * width;
    float *g = thread_scratch(b), *plus = g + (ptrdiff_t)b->k * (2 * grid->ry + 1) * 2 * width, *minus = plus + spectrum, *xs = minus + spectrum;
    bool self;
    const int bin = hs_cpu_dft_column(b->conv->fft.dft_x, v, &self);
    b->conv->kernels->filter_column(&f, b->k, planes, g);
    for (int u = 0; u <= grid->ph / 2; u++) {
        const bool pair = has_mirror(grid, self, u);
        b->conv->kernels->filter_bin(&f, b->k, g, grid->cos_y + u * grid->ry, grid->sin_y + u * grid->ry, plus, pair ? minus : NULL);
        const int mirror = bin + grid->ph - u, after = u < grid->ph / 2 ? bin + u + 1 : bin;
        multiply_bin(b, bin + u, pair ? mirror : after, first, width, plus, xs);
        if (pair)
            multiply_bin(b, mirror, after, first, width, minus, xs);
    }
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

void hs_cpu_bins_multiply(const hs_cpu_bins *b, const float *planes)
{
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const int panels = hs_cpu_panels(b->cp), tasks = (grid->pw / 2 + 1) * panels;
#pragma omp parallel for num_threads(b->conv->threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++) {
        int first, width;
        hs_cpu_panel(b->cp, task % panels, &first, &width);
        multiply_task(b, task / panels, first, width, planes + (size_t)grid->taps * (size_t)first * b->k);
    }
}

/* ---- filter gradient --------------------------------------------------------------------------------------------------------------------- */

/* Block of the filter matrix and its thread's memory. */
typedef struct block {
    int ci, m, mw, co, width; /* M in-channels from CI, padded to MW; WIDTH out-channels from CO */
    float *planes, *g, *plus, *minus, *xs, *sum, *diff;
} block;

static void correlate_bin(const hs_cpu_bins *b, const block *k, ptrdiff_t bin, ptrdiff_t next, float *products)
{
    const hs_cpu_kernels *kernels = b->conv->kernels;
    const float *x = b->x.at + bin * b->x.bin + k->ci, *d = b->y.at + bin * b->y.bin + k->co;
    kernels->sums(b->n, k->mw, x, b->x.sample, x + b->x.im, b->x.sample, k->xs, NULL, k->mw);
    kernels->sums(b->n, k->width, d, b->y.sample, d + b->y.im, b->y.sample, k->sum, k->diff, k->width);
    const hs_cpu_bin_adjoint one = {.rows = b->n, .m = k->m, .width = k->width, .x = x, .xs = k->xs, .x_row = b->x.sample, .x_im = b->x.im,
                                    .xs_row = k->mw, .d = d, .sum = k->sum, .diff = k->diff, .d_row = b->y.sample, .d_im = b->y.im,
                                    .products = products, .ahead_x = x + (next - bin) * b->x.bin,
                                    .ahead_d = d + (next - bin) * b->y.bin, .ahead_width = k->mw};
    kernels->bin_adjoint(&one);
}

static void correlate_column(const hs_cpu_bins *b, const block *k, int v)
{
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const hs_cpu_filter f = filter_of(grid, v, k->width);
    bool self;
    const int bin = hs_cpu_dft_column(b->conv->fft.dft_x, v, &self);
    memset(k->g, 0, (size_t)k->m * (size_t)(2 * grid->ry + 1) * 2 * (size_t)k->width * sizeof(float));
    for (int u = 0; u <= grid->ph / 2; u++) {
        const bool pair = has_mirror(grid, self, u);
        const int mirror = bin + grid->ph - u, after = u < grid->ph / 2 ? bin + u + 1 : bin;
        correlate_bin(b, k, bin + u, pair ? mirror : after, k->plus);
        if (pair)
            correlate_bin(b, k, mirror, after, k->minus);
        b->conv->kernels->filter_bin_adjoint(&f, k->m, k->plus, pair ? k->minus : NULL, grid->cos_y + u * grid->ry, grid->sin_y + u * grid->ry,
                                             k->g);
    }
    b->conv->kernels->filter_column_adjoint(&f, k->m, k->g, k->planes);
}

static void correlate_task(const hs_cpu_bins *b, block k, float *dtaps)
{
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const size_t size = (size_t)k.mw * (size_t)k.width, n = (size_t)b->conv->d.capacity;
    k.planes = thread_scratch(b);
    k.g = k.planes + size * (size_t)grid->taps;
    k.plus = k.g + size * 2 * (2 * (size_t)grid->ry + 1);
    k.minus = k.plus + 3 * size;
    k.xs = k.minus + 3 * size;
    k.sum = k.xs + n * (size_t)k.mw;
    k.diff = k.sum + n * (size_t)k.width;
    memset(k.planes, 0, size * (size_t)grid->taps * sizeof(float));
    for (int v = 0; v <= grid->pw / 2; v++)
        correlate_column(b, &k, v);
    hs_cpu_filter_taps(b->conv, k.ci, k.m, k.co, k.width, k.planes, dtaps);
}

/* Rows of a block: the more, the less often D is read; but the threads should all have work, to the end. */
static int block_height(int cip, int columns, int threads)
{
    for (int height = BLOCK_ROWS; height > HS_CPU_PAD; height -= HS_CPU_PAD) {
        const int tasks = (cip + height - 1) / height * columns;
        if (cip % height == 0 && (tasks % threads == 0 || tasks >= 4 * threads))
            return height;
    }
    return HS_CPU_PAD;
}

void hs_cpu_bins_correlate(const hs_cpu_bins *b, float *dtaps)
{
    const int cip = b->conv->fft.cip, columns = hs_cpu_panels(b->cp);
    const int height = block_height(cip, columns, b->conv->threads), rows = (cip + height - 1) / height;
#pragma omp parallel for num_threads(b->conv->threads) schedule(dynamic)
    for (int task = 0; task < rows * columns; task++) {
        block k = {.ci = task / columns * height};
        k.mw = cip - k.ci < height ? cip - k.ci : height;
        k.m = b->k - k.ci < k.mw ? b->k - k.ci : k.mw;
        hs_cpu_panel(b->cp, task % columns, &k.co, &k.width);
        correlate_task(b, k, dtaps);
    }
}
