/* conv_bins.c - the products at every frequency, filter spectra made as they are needed.
 *
 * Forward and the gradient of x: a task is one column v of the half spectrum and a group of panels of out-channels. It makes the column's planes G
 * once (2k planes, in L2), then for every pair +-u, panel by panel, the three real factors of Karatsuba's product, which are used at once. Nothing of
 * the filters' spectra is ever stored.
 * Gradient of the filters: a task is a block of the filter matrix, and walks over all frequencies with its accumulators in L2.
 * Groups and blocks are as large as L2 allows, because each of them reads the spectra again: 192 x 192 channels in panels of 48 one by one read
 * x four times, at 14 to 25 GB/s a core against 170 GF/s of products. Sums are formed in one order whatever the groups, blocks or threads.
 * In bf16 (conv_bf16.c) all is fp32 until a bin is due; then its factors are rounded. */
#include "conv.h"

#include <stdatomic.h>
#include <string.h>

enum { TASKS = 8 }; /* at least, per thread, so that the last ones end together */

/* Whether bin -u of this column is stored beside u. */
static bool has_mirror(const hs_cpu_grid *g, bool self, int u)
{
    return !self && u > 0 && 2 * u < g->ph;
}

static hs_cpu_filter filter_of(const hs_cpu_grid *g, int v, int width)
{
    return (hs_cpu_filter){g->ry, g->rx, width, g->cos_x + (ptrdiff_t)v * g->rx, g->sin_x + (ptrdiff_t)v * g->rx};
}

/* Planes of G per coefficient: centre, even and odd rows, re and im. */
static size_t column_planes(const hs_cpu_grid *g)
{
    return 2 * (2 * (size_t)g->ry + 1);
}

static float *thread_scratch(const hs_cpu_bins *b, int thread)
{
    return (float *)((char *)b->scratch + b->conv->fft.thread_bytes * (size_t)thread);
}

/* Panels [first, last) of group INDEX of COUNT, and their channels. */
typedef struct group {
    int first, last, channel, channels;
} group;

static group group_of(int cp, int index, int count)
{
    const int panels = hs_cpu_panels(cp);
    group g = {.first = panels * index / count, .last = panels * (index + 1) / count};
    int last = 0, width = 0;
    hs_cpu_panel(cp, g.first, &g.channel, &width);
    hs_cpu_panel(cp, g.last - 1, &last, &width);
    g.channels = last + width - g.channel;
    return g;
}

static int widest_group(int cp, int count)
{
    int most = 0;
    for (int i = 0; i < count; i++) {
        const int channels = group_of(cp, i, count).channels;
        most = channels > most ? channels : most;
    }
    return most;
}

/* ---- y = W x --------------------------------------------------------------------------------------------------------------------------- */

/* Groups of the CP columns of y: as few as keep G of one within two fifths of L2, but work for all threads. */
static int multiply_groups(const hs_conv *conv, int k, int cp)
{
    const hs_cpu_grid *g = &conv->fft.grid;
    const int panels = hs_cpu_panels(cp);
    const size_t each = (size_t)k * column_planes(g) * sizeof(float), budget = conv->device->l2_bytes / 5 * 2;
    int count = 1;
    while (count < panels && each * (size_t)widest_group(cp, count) > budget)
        count++;
    while (conv->threads > 1 && count < panels && (g->pw / 2 + 1) * count < TASKS * conv->threads)
        count++;
    return count;
}

/* xr + xi of one bin; in bf16 all its three factors. */
static size_t factor_floats(const hs_conv *conv, int k)
{
    return conv->device->bf16 ? hs_cpu_pairs_x_size(conv, k) : (size_t)conv->d.capacity * (size_t)hs_cpu_pad(k);
}

static size_t multiply_floats(const hs_conv *conv, int k, int cp)
{
    const size_t kp = (size_t)hs_cpu_pad(k), width = (size_t)widest_group(cp, multiply_groups(conv, k, cp));
    return kp * (width * column_planes(&conv->fft.grid) + 6 * HS_CPU_PANEL) + 2 * factor_floats(conv, k) + hs_cpu_pairs_panel(conv, k);
}

/* One column of frequencies and one group of panels, and the memory of the thread that does it. */
typedef struct column {
    const hs_cpu_bins *b;
    group panels;
    int v, bin;                     /* first bin of the column */
    bool self;                      /* it is its own mirror */
    float *g, *plus, *minus, *xs[2]; /* [group][k][2ry+1][2][width]; [3][k][width] of u and of -u; xr + xi of both */
    uint32_t *pairs;                 /* [3][][width] in bf16, where xs is [xs, xi, xr][n][] */
} column;

/* Bins u and -u of the column; returns how many they are. */
static int bins_of(const column *c, int u, ptrdiff_t at[2])
{
    const hs_cpu_grid *grid = &c->b->conv->fft.grid;
    at[0] = c->bin + u;
    at[1] = c->bin + grid->ph - u;
    return has_mirror(grid, c->self, u) ? 2 : 1;
}

/* The panel of WIDTH columns from FIRST at bin I of the pair; part PART of PARTS of bin NEXT is fetched meanwhile. */
static void multiply_bin(const column *c, int i, ptrdiff_t bin, int first, int width, ptrdiff_t next, int part, int parts)
{
    const hs_cpu_bins *b = c->b;
    const ptrdiff_t plane = (ptrdiff_t)b->k * width;
    const float *x = b->x.at + bin * b->x.bin, *xs = c->xs[i], *w = i ? c->minus : c->plus;
    const size_t share = (size_t)b->n * (size_t)b->x.sample / (size_t)parts;
    const hs_cpu_bin one = {.rows = b->n, .k = b->k, .width = width, .x = x, .xs = xs, .x_row = b->x.sample, .x_im = b->x.im,
                            .xs_row = hs_cpu_pad(b->k), .w1 = w, .w2 = w + plane, .w3 = w + 2 * plane,
                            .y = b->y.at + bin * b->y.bin + first, .y_row = b->y.sample, .y_im = b->y.im, .stream = b->stream,
                            .next = {b->x.at + next * b->x.bin + share * (size_t)part, share}};
    if (b->conv->device->bf16) {
        const hs_cpu_pairs p = hs_cpu_pairs_filter(b, width, w, (const uint32_t *)xs, c->pairs);
        b->conv->device->bf16->bin(&one, &p);
    } else {
        b->conv->kernels->bin(&one);
    }
}

static void multiply_pair(const column *c, int u)
{
    const hs_cpu_bins *b = c->b;
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const hs_cpu_kernels *k = b->conv->kernels;
    const int parts = c->panels.last - c->panels.first, kp = hs_cpu_pad(b->k);
    ptrdiff_t at[2], next[2];
    const int count = bins_of(c, u, at);
    if (bins_of(c, u < grid->ph / 2 ? u + 1 : u, next) == 1)
        next[1] = next[0];
    for (int i = 0; i < count; i++) {
        const float *x = b->x.at + at[i] * b->x.bin;
        if (b->conv->device->bf16)
            hs_cpu_pairs_x(b, x, (uint32_t *)c->xs[i]);
        else
            k->sums(b->n, kp, x, b->x.sample, x + b->x.im, b->x.sample, c->xs[i], NULL, kp);
    }
    const float *g = c->g;
    for (int p = 0; p < parts; p++) {
        int first, width;
        hs_cpu_panel(b->cp, c->panels.first + p, &first, &width);
        const hs_cpu_filter f = filter_of(grid, c->v, width);
        k->filter_bin(&f, b->k, g, grid->cos_y + u * grid->ry, grid->sin_y + u * grid->ry, c->plus, count == 2 ? c->minus : NULL);
        for (int i = 0; i < count; i++)
            multiply_bin(c, i, at[i], first, width, next[i], p, parts);
        g += (size_t)b->k * column_planes(grid) * (size_t)width;
    }
}

static void multiply_column(const hs_cpu_bins *b, int v, group panels, const float *planes, int thread)
{
    const hs_cpu_grid *grid = &b->conv->fft.grid;
    const size_t kp = (size_t)hs_cpu_pad(b->k), spectrum = 3 * kp * HS_CPU_PANEL;
    column c = {.b = b, .panels = panels, .v = v};
    c.bin = hs_cpu_dft_column(b->conv->fft.dft_x, v, &c.self);
    c.plus = thread_scratch(b, thread);
    c.minus = c.plus + spectrum;
    c.xs[0] = c.minus + spectrum;
    c.xs[1] = c.xs[0] + factor_floats(b->conv, b->k);
    c.pairs = (uint32_t *)(c.xs[1] + factor_floats(b->conv, b->k));
    c.g = (float *)(c.pairs + hs_cpu_pairs_panel(b->conv, b->k));
    float *g = c.g;
    for (int p = panels.first; p < panels.last; p++) {
        int first, width;
        hs_cpu_panel(b->cp, p, &first, &width);
        const hs_cpu_filter f = filter_of(grid, v, width);
        b->conv->kernels->filter_column(&f, b->k, planes + (size_t)grid->taps * (size_t)first * (size_t)b->k, g);
        g += (size_t)b->k * column_planes(grid) * (size_t)width;
    }
    for (int u = 0; u <= grid->ph / 2; u++)
        multiply_pair(&c, u);
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

typedef struct multiplication {
    const hs_cpu_bins *b;
    int groups;
    const float *planes;
} multiplication;

static void multiply_task(const void *context, int task, int thread)
{
    const multiplication *m = context;
    multiply_column(m->b, task / m->groups, group_of(m->b->cp, task % m->groups, m->groups), m->planes, thread);
}

void hs_cpu_bins_multiply(const hs_cpu_bins *b, const float *planes)
{
    const multiplication m = {b, multiply_groups(b->conv, b->k, b->cp), planes};
    hs_cpu_each(b->conv->threads, (b->conv->fft.grid.pw / 2 + 1) * m.groups, multiply_task, &m);
}

/* ---- filter gradient --------------------------------------------------------------------------------------------------------------------- */

/* How the filter matrix is cut: rows of HEIGHT in-channels, groups of panels of out-channels. */
typedef struct cut {
    int height, rows, groups;
} cut;

/* Every group of columns reads all of x, every row all of dy: the cheapest cut of which G and the products of two bins fill no more than three
 * fifths of L2, and that gives all threads work to the end. */
static cut cut_of(const hs_conv *conv)
{
    const hs_cpu_conv_fft *f = &conv->fft;
    const size_t each = (column_planes(&f->grid) + 6) * sizeof(float), budget = conv->device->l2_bytes / 5 * 3;
    const int panels = hs_cpu_panels(f->cop);
    cut best = {HS_CPU_PAD, f->cip / HS_CPU_PAD, panels};
    size_t least = SIZE_MAX;
    for (int groups = 1; groups <= panels; groups++)
        for (int height = HS_CPU_PAD; height <= f->cip; height += HS_CPU_PAD) {
            const int rows = (f->cip + height - 1) / height, tasks = rows * groups;
            const size_t traffic = (size_t)groups * (size_t)f->cip + (size_t)rows * (size_t)f->cop;
            const bool busy = conv->threads == 1 || tasks >= 4 * conv->threads || (tasks % conv->threads == 0 && f->cip % height == 0);
            if (traffic < least && busy && each * (size_t)height * (size_t)widest_group(f->cop, groups) <= budget) {
                least = traffic;
                best = (cut){height, rows, groups};
            }
        }
    return best;
}

static size_t correlate_floats(const hs_conv *conv)
{
    const cut k = cut_of(conv);
    const size_t height = (size_t)k.height, width = (size_t)widest_group(conv->fft.cop, k.groups);
    const size_t n = (size_t)conv->d.capacity, factors = conv->device->bf16 ? 3 * ((n + 1) / 2) * (height + width) : n * (height + 2 * width);
    return height * width * ((size_t)conv->fft.grid.taps + column_planes(&conv->fft.grid) + 6) + factors;
}

size_t hs_cpu_bins_thread_bytes(const hs_conv *conv)
{
    const size_t floats[] = {multiply_floats(conv, conv->d.ci, conv->fft.cop), multiply_floats(conv, conv->d.co, conv->fft.cip), correlate_floats(conv)};
    size_t most = 0;
    for (int i = 0; i < 3; i++)
        most = floats[i] > most ? floats[i] : most;
    return hs_cpu_line(most * sizeof(float));
}

/* Block of the filter matrix and its thread's memory, panel after panel. */
typedef struct block {
    const hs_cpu_bins *b;
    int ci, m, mw; /* M in-channels from CI, padded to MW */
    group panels;
    float *planes, *g, *products[2]; /* [group][m][taps][width]; [m][2ry+1][2][width]; [3][m][width] of u and -u */
    float *xs, *sum, *diff;          /* [n][mw]; [n][channels of the group]; in bf16 all factors lie at xs */
} block;

static void correlate_bin(const block *k, ptrdiff_t bin, ptrdiff_t next, float *products)
{
    const hs_cpu_bins *b = k->b;
    const hs_cpu_kernels *kernels = b->conv->kernels;
    const hs_cpu_bf16 *bf16 = b->conv->device->bf16;
    const int wide = k->panels.channels;
    const float *x = b->x.at + bin * b->x.bin + k->ci, *d = b->y.at + bin * b->y.bin + k->panels.channel;
    hs_cpu_pairs pairs = {0};
    if (bf16) {
        pairs = hs_cpu_pairs_block(b, x, k->mw, d, wide, (uint32_t *)k->xs);
    } else {
        kernels->sums(b->n, k->mw, x, b->x.sample, x + b->x.im, b->x.sample, k->xs, NULL, k->mw);
        kernels->sums(b->n, wide, d, b->y.sample, d + b->y.im, b->y.sample, k->sum, k->diff, wide);
    }
    for (int p = k->panels.first; p < k->panels.last; p++) {
        int first, width;
        hs_cpu_panel(b->cp, p, &first, &width);
        const int at = first - k->panels.channel;
        const hs_cpu_bin_adjoint one = {.rows = b->n, .m = k->m, .width = width, .x = x, .xs = k->xs, .x_row = b->x.sample, .x_im = b->x.im,
                                        .xs_row = k->mw, .d = d + at, .sum = k->sum + at, .diff = k->diff + at, .d_row = b->y.sample, .d_im = b->y.im,
                                        .sum_row = wide, .products = products, .ahead_x = x + (next - bin) * b->x.bin,
                                        .ahead_d = d + at + (next - bin) * b->y.bin, .ahead_width = p == k->panels.first ? k->mw : 0};
        if (bf16)
            bf16->bin_adjoint(&one, &pairs);
        else
            kernels->bin_adjoint(&one);
        for (int i = 0; bf16 && i < 3; i++)
            pairs.b[i] += width;
        products += 3 * (ptrdiff_t)k->m * width;
    }
}

/* The products of u, and of -u if COUNT is 2, into G of all panels. */
static void fold_products(const block *k, int v, int u, int count)
{
    const hs_cpu_grid *grid = &k->b->conv->fft.grid;
    const float *plus = k->products[0], *minus = k->products[1];
    float *g = k->g;
    for (int p = k->panels.first; p < k->panels.last; p++) {
        int first, width;
        hs_cpu_panel(k->b->cp, p, &first, &width);
        const hs_cpu_filter f = filter_of(grid, v, width);
        k->b->conv->kernels->filter_bin_adjoint(&f, k->m, plus, count == 2 ? minus : NULL, grid->cos_y + u * grid->ry, grid->sin_y + u * grid->ry, g);
        const size_t size = (size_t)k->m * (size_t)width;
        plus += 3 * size, minus += 3 * size;
        g += column_planes(grid) * size;
    }
}

/* G of all panels into their planes. */
static void fold_column(const block *k, int v)
{
    const hs_cpu_grid *grid = &k->b->conv->fft.grid;
    const float *g = k->g;
    float *planes = k->planes;
    for (int p = k->panels.first; p < k->panels.last; p++) {
        int first, width;
        hs_cpu_panel(k->b->cp, p, &first, &width);
        const hs_cpu_filter f = filter_of(grid, v, width);
        k->b->conv->kernels->filter_column_adjoint(&f, k->m, g, planes);
        const size_t size = (size_t)k->m * (size_t)width;
        g += column_planes(grid) * size;
        planes += (size_t)grid->taps * size;
    }
}

static void correlate_column(const block *k, int v)
{
    const hs_cpu_grid *grid = &k->b->conv->fft.grid;
    bool self;
    const int bin = hs_cpu_dft_column(k->b->conv->fft.dft_x, v, &self);
    memset(k->g, 0, (size_t)k->m * column_planes(grid) * (size_t)k->panels.channels * sizeof(float));
    for (int u = 0; u <= grid->ph / 2; u++) {
        const bool pair = has_mirror(grid, self, u);
        const int mirror = bin + grid->ph - u, after = u < grid->ph / 2 ? bin + u + 1 : bin;
        correlate_bin(k, bin + u, pair ? mirror : after, k->products[0]);
        if (pair)
            correlate_bin(k, mirror, after, k->products[1]);
        fold_products(k, v, u, pair ? 2 : 1);
    }
    fold_column(k, v);
}

static void correlate_block(block *k, float *dtaps, int thread)
{
    const hs_cpu_grid *grid = &k->b->conv->fft.grid;
    const size_t size = (size_t)k->mw * (size_t)k->panels.channels, n = (size_t)k->b->conv->d.capacity;
    k->planes = thread_scratch(k->b, thread);
    k->g = k->planes + size * (size_t)grid->taps;
    k->products[0] = k->g + size * column_planes(grid);
    k->products[1] = k->products[0] + 3 * size;
    k->xs = k->products[1] + 3 * size;
    k->sum = k->xs + n * (size_t)k->mw;
    k->diff = k->sum + n * (size_t)k->panels.channels;
    memset(k->planes, 0, size * (size_t)grid->taps * sizeof(float));
    for (int v = 0; v <= grid->pw / 2; v++)
        correlate_column(k, v);
    float *planes = k->planes;
    for (int p = k->panels.first; p < k->panels.last; p++) {
        int first, width;
        hs_cpu_panel(k->b->cp, p, &first, &width);
        hs_cpu_filter_taps(k->b->conv, k->ci, k->m, first, width, planes, dtaps);
        planes += (size_t)grid->taps * (size_t)k->m * (size_t)width;
    }
}

typedef struct correlation {
    const hs_cpu_bins *b;
    cut cut;
    float *dtaps;
} correlation;

static void correlate_task(const void *context, int task, int thread)
{
    const correlation *c = context;
    const hs_cpu_bins *b = c->b;
    const int cip = b->conv->fft.cip;
    block k = {.b = b, .ci = task / c->cut.groups * c->cut.height, .panels = group_of(b->cp, task % c->cut.groups, c->cut.groups)};
    k.mw = cip - k.ci < c->cut.height ? cip - k.ci : c->cut.height;
    k.m = b->k - k.ci < k.mw ? b->k - k.ci : k.mw;
    correlate_block(&k, c->dtaps, thread);
}

void hs_cpu_bins_correlate(const hs_cpu_bins *b, float *dtaps)
{
    const correlation c = {b, cut_of(b->conv), dtaps};
    hs_cpu_each(b->conv->threads, c.cut.rows * c.cut.groups, correlate_task, &c);
}
