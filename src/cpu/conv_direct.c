/* conv_direct.c - convolution as matrix products over gathered windows (im2col), any stride, boundary and filter.
 *
 * A block is some output rows of one image: its windows [pixels][kh*kw*ci] fit in L2 beside the result. Forward and the gradient of x go image by
 * image, so they do not depend on the threads; the filter gradient has one sum per image, added to one per thread, and these in the order of threads:
 * a single sum over 65,536 pixels would lose 3e-6. */
#include "conv.h"

#include <omp.h>
#include <string.h>

enum { BLOCK_BYTES = 512 * 1024 };

hs_status hs_cpu_direct_plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cpu_direct *p = &conv->direct;
    p->k_all = d->kh * d->kw * d->ci;
    p->plain = d->kh == 1 && d->kw == 1 && d->stride == 1;
    const size_t row_bytes = (size_t)d->ow * (size_t)p->k_all * sizeof(float);
    const size_t rows = BLOCK_BYTES / (row_bytes > 0 ? row_bytes : 1);
    p->block_rows = rows < 1 ? 1 : rows > (size_t)d->oh ? d->oh : (int)rows;
    return HS_OK;
}

/* Numbers of the windows of one block. */
static size_t window_floats(const hs_conv *conv)
{
    const size_t floats = (size_t)conv->direct.block_rows * (size_t)conv->d.ow * (size_t)conv->direct.k_all;
    return (floats + 15) / 16 * 16;
}

static size_t gradient_floats(const hs_conv *conv)
{
    return ((size_t)conv->direct.k_all * (size_t)conv->d.co + 15) / 16 * 16;
}

static size_t thread_floats(const hs_conv *conv)
{
    return (conv->direct.plain ? 0 : window_floats(conv)) + 2 * gradient_floats(conv);
}

size_t hs_cpu_direct_scratch(const hs_conv *conv)
{
    return 64 + (gradient_floats(conv) + thread_floats(conv) * (size_t)conv->threads) * sizeof(float);
}

/* Scratch: the transposed taps, then what each thread has for itself: windows and its sum of the filter gradient. */
static float *turned_taps(void *scratch)
{
    return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
}

static float *thread_memory(const hs_conv *conv, void *scratch, int thread)
{
    return turned_taps(scratch) + gradient_floats(conv) + thread_floats(conv) * (size_t)thread;
}

/* Input coordinate of output O and tap T on an axis, or -1 outside. */
static int source(const hs_conv_desc *d, int o, int t, int pad, int side)
{
    int i = o * d->stride + (d->flip ? pad - t : t - pad);
    if (d->boundary == HS_BOUNDARY_PERIODIC) {
        i %= side;
        return i < 0 ? i + side : i;
    }
    return i >= 0 && i < side ? i : -1;
}

/* Whether the KW taps of output column OX are neighbours in memory. */
static bool contiguous(const hs_conv_desc *d, int ox)
{
    const int first = ox * d->stride - d->pad_w;
    return !d->flip && first >= 0 && first + d->kw <= d->w;
}

static void gather_row(const hs_conv_desc *d, const float *row, int ox, float *to)
{
    const size_t c = (size_t)d->ci;
    if (!row) {
        memset(to, 0, (size_t)d->kw * c * sizeof(float));
        return;
    }
    if (contiguous(d, ox)) {
        memcpy(to, row + (size_t)(ox * d->stride - d->pad_w) * c, (size_t)d->kw * c * sizeof(float));
        return;
    }
    for (int t = 0; t < d->kw; t++, to += c) {
        const int ix = source(d, ox, t, d->pad_w, d->w);
        if (ix < 0)
            memset(to, 0, c * sizeof(float));
        else
            memcpy(to, row + (size_t)ix * c, c * sizeof(float));
    }
}

/* Windows of output rows [first, first + rows) of one image X [h][w][ci] into COL [rows*ow][kh*kw*ci]. */
static void gather(const hs_conv *conv, const float *x, int first, int rows, float *col)
{
    const hs_conv_desc *d = &conv->d;
    const size_t k_row = (size_t)d->kw * (size_t)d->ci, k_all = (size_t)conv->direct.k_all;
    for (int oy = first; oy < first + rows; oy++, col += (size_t)d->ow * k_all)
        for (int t = 0; t < d->kh; t++) {
            const int iy = source(d, oy, t, d->pad_h, d->h);
            const float *row = iy < 0 ? NULL : x + (size_t)iy * (size_t)d->w * (size_t)d->ci;
            for (int ox = 0; ox < d->ow; ox++)
                gather_row(d, row, ox, col + (size_t)ox * k_all + (size_t)t * k_row);
        }
}

static void add_row(int count, const float *from, float *to)
{
#pragma omp simd
    for (int i = 0; i < count; i++)
        to[i] += from[i];
}

/* Transpose of gather: adds to X. */
static void spread(const hs_conv *conv, const float *col, int first, int rows, float *x)
{
    const hs_conv_desc *d = &conv->d;
    for (int oy = first; oy < first + rows; oy++)
        for (int ox = 0; ox < d->ow; ox++)
            for (int ty = 0; ty < d->kh; ty++) {
                const int iy = source(d, oy, ty, d->pad_h, d->h);
                if (iy >= 0 && contiguous(d, ox)) {
                    add_row(d->kw * d->ci, col, x + ((size_t)iy * d->w + (size_t)(ox * d->stride - d->pad_w)) * d->ci);
                    col += (size_t)d->kw * d->ci;
                    continue;
                }
                for (int tx = 0; tx < d->kw; tx++, col += d->ci) {
                    const int ix = source(d, ox, tx, d->pad_w, d->w);
                    if (iy >= 0 && ix >= 0)
                        add_row(d->ci, col, x + ((size_t)iy * d->w + ix) * d->ci);
                }
            }
}

static void fill_bias(int pixels, int co, const float *bias, float *y)
{
    for (int p = 0; p < pixels; p++)
        memcpy(y + (size_t)p * co, bias, (size_t)co * sizeof(float));
}

/* Images are cut among threads in the order of threads. */
static hs_cpu_range images_of(const hs_conv *conv, int n, int thread)
{
    return hs_cpu_part((size_t)n, 1, thread, conv->threads);
}

static const float *windows(const hs_conv *conv, const float *image, int row, int rows, float *col)
{
    if (conv->direct.plain)
        return image + (size_t)row * conv->d.w * conv->d.ci;
    gather(conv, image, row, rows, col);
    return col;
}

static void forward_image(const hs_conv *conv, const float *x, const float *taps, const float *bias, float *y, float *col,
                          float *pack)
{
    const hs_conv_desc *d = &conv->d;
    for (int row = 0; row < d->oh; row += conv->direct.block_rows) {
        const int rows = d->oh - row < conv->direct.block_rows ? d->oh - row : conv->direct.block_rows, pixels = rows * d->ow;
        float *out = y + (size_t)row * d->ow * d->co;
        const float *a = windows(conv, x, row, rows, col);
        if (bias)
            fill_bias(pixels, d->co, bias, out);
        const size_t k = (size_t)conv->direct.k_all, co = (size_t)d->co;
        hs_cpu_product(conv->kernels, pack, false, false, pixels, d->co, (int)k, a, k, taps, co, bias != NULL, out, co);
    }
}

void hs_cpu_direct_forward(const hs_conv *conv, int n, const float *x, const float *taps, const float *bias, float *y, void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    const size_t in = (size_t)d->h * d->w * d->ci, out = (size_t)d->oh * d->ow * d->co;
#pragma omp parallel for num_threads(conv->threads) schedule(static, 1)
    for (int t = 0; t < conv->threads; t++) {
        const hs_cpu_range range = images_of(conv, n, t);
        for (size_t i = range.first; i < range.last; i++)
            forward_image(conv, x + i * in, taps, bias, y + i * out, thread_memory(conv, scratch, t), hs_cpu_pack(conv->device, t));
    }
}

/* One image: writes its DTAPS, and DX unless NULL. TURNED: taps transposed, [co][kh*kw*ci]. */
static void backward_image(const hs_conv *conv, const float *x, const float *turned, const float *dy, float *dx, float *dtaps, float *col,
                           float *pack)
{
    const hs_conv_desc *d = &conv->d;
    const size_t k = (size_t)conv->direct.k_all, co = (size_t)d->co;
    if (dx && !conv->direct.plain)
        memset(dx, 0, (size_t)d->h * d->w * d->ci * sizeof(float));
    for (int row = 0; row < d->oh; row += conv->direct.block_rows) {
        const int rows = d->oh - row < conv->direct.block_rows ? d->oh - row : conv->direct.block_rows, pixels = rows * d->ow;
        const float *grad = dy + (size_t)row * d->ow * d->co;
        hs_cpu_product(conv->kernels, pack, true, false, (int)k, d->co, pixels, windows(conv, x, row, rows, col), k, grad, co, row > 0, dtaps,
                       co);
        if (!dx)
            continue;
        float *to = conv->direct.plain ? dx + (size_t)row * d->w * d->ci : col;
        hs_cpu_product(conv->kernels, pack, false, false, pixels, (int)k, d->co, grad, co, turned, k, false, to, k);
        if (!conv->direct.plain)
            spread(conv, col, row, rows, dx);
    }
}

static void turn_taps(const hs_conv *conv, const float *taps, float *turned)
{
    const size_t k = (size_t)conv->direct.k_all, co = (size_t)conv->d.co;
#pragma omp parallel for num_threads(conv->threads) schedule(static) if (k * co > 20000)
    for (size_t o = 0; o < co; o++)
        for (size_t i = 0; i < k; i++)
            turned[o * k + i] = taps[i * co + o];
}

void hs_cpu_direct_backward(const hs_conv *conv, int n, const float *x, const float *taps, const float *dy, float *dx, float *dtaps,
                            void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    const size_t in = (size_t)d->h * d->w * d->ci, out = (size_t)d->oh * d->ow * d->co, count = (size_t)conv->direct.k_all * d->co;
    const size_t sum_at = thread_floats(conv) - gradient_floats(conv), image_at = sum_at - gradient_floats(conv);
    if (dx)
        turn_taps(conv, taps, turned_taps(scratch));
#pragma omp parallel for num_threads(conv->threads) schedule(static, 1)
    for (int t = 0; t < conv->threads; t++) {
        const hs_cpu_range range = images_of(conv, n, t);
        float *memory = thread_memory(conv, scratch, t);
        memset(memory + sum_at, 0, count * sizeof(float));
        for (size_t i = range.first; i < range.last; i++) {
            backward_image(conv, x + i * in, turned_taps(scratch), dy + i * out, dx ? dx + i * in : NULL, memory + image_at, memory,
                           hs_cpu_pack(conv->device, t));
            conv->kernels->add_scaled((int)count, 1, memory + image_at, memory + sum_at);
        }
    }
#pragma omp parallel for num_threads(conv->threads) schedule(static)
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (int t = 0; t < conv->threads; t++)
            sum += thread_memory(conv, scratch, t)[sum_at + i];
        dtaps[i] = sum;
    }
}
