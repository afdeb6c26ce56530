/* conv_direct.c - convolution as matrix products over gathered windows (im2col), any stride, boundary and filter.
 *
 * A block is some output rows of one image: its windows [pixels][kh*kw*ci] fit in L2 beside the result. Forward and the gradient of x go image by
 * image, so they do not depend on the threads; the filter gradient has one sum per image, added to one per thread, and these in the order of threads:
 * a single sum over 65,536 pixels would lose 3e-6. A rectifier takes a block as soon as its products are done, and masks dy into a copy of the block:
 * neither leaves L2. Its bits: each row of an output map, [ow * co] numbers, has words of its own.
 *
 * 3 > 96 channels, 3x3, 32 x 32 maps, batch 64: 0.34 GF forward, 2 ms at 173 GF/s, and 25 MB of y, 1.2 ms past the cache at 21 GB/s; backward as much,
 * and dy is read, 1.8 ms. Gathering windows of 27 numbers, rectifying and adding up the bias in L2 take as long again (measured: 5.3 and 6.2 ms). */
#include "conv.h"

#include <stdatomic.h>
#include <string.h>

enum {
    BLOCK_BYTES = 256 * 1024, /* of windows, or of the results beside them: both stay in L2 */
};

hs_status hs_cpu_direct_plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    hs_cpu_direct *p = &conv->direct;
    p->k_all = d->kh * d->kw * d->ci;
    p->plain = d->kh == 1 && d->kw == 1 && d->stride == 1;
    const size_t wider = (size_t)(p->k_all > d->co ? p->k_all : d->co), row_bytes = (size_t)d->ow * wider * sizeof(float);
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

/* Of the filter and of the bias; the transposed taps take no more. */
static size_t gradient_floats(const hs_conv *conv)
{
    return ((size_t)(conv->direct.k_all + 1) * (size_t)conv->d.co + 15) / 16 * 16;
}

static size_t masked_floats(const hs_conv *conv)
{
    const size_t floats = (size_t)conv->direct.block_rows * (size_t)conv->d.ow * (size_t)conv->d.co;
    return conv->d.relu ? (floats + 15) / 16 * 16 : 0;
}

static size_t thread_floats(const hs_conv *conv)
{
    return (conv->direct.plain ? 0 : window_floats(conv)) + 2 * gradient_floats(conv) + masked_floats(conv);
}

static size_t row_words(const hs_conv *conv)
{
    return ((size_t)conv->d.ow * (size_t)conv->d.co + HS_CPU_PAD - 1) / HS_CPU_PAD;
}

size_t hs_cpu_direct_saved(const hs_conv *conv)
{
    return conv->d.relu ? (size_t)conv->d.capacity * (size_t)conv->d.oh * row_words(conv) * sizeof(uint16_t) : 0;
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

/* COUNT numbers from a window's row. Short rows are copied without a call, which would take longer than they. */
static void copy_run(size_t count, const float *from, float *to)
{
    if (count > 16) {
        memcpy(to, from, count * sizeof(float));
        return;
    }
    for (; count >= 4; count -= 4, from += 4, to += 4)
        memcpy(to, from, 4 * sizeof(float));
    for (; count > 0; count--)
        *to++ = *from++;
}

static void gather_row(const hs_conv_desc *d, const float *row, int ox, float *to)
{
    const size_t c = (size_t)d->ci;
    if (!row) {
        memset(to, 0, (size_t)d->kw * c * sizeof(float));
        return;
    }
    if (contiguous(d, ox)) {
        copy_run((size_t)d->kw * c, row + (size_t)(ox * d->stride - d->pad_w) * c, to);
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

static const float *windows(const hs_conv *conv, const float *image, int row, int rows, float *col)
{
    if (conv->direct.plain)
        return image + (size_t)row * conv->d.w * conv->d.ci;
    gather(conv, image, row, rows, col);
    return col;
}

/* ROWS rows of an output map through the rectifier, writing its bits or (READ) obeying them. */
static void gate_rows(const hs_conv *conv, bool read, int rows, const float *x, float *y, uint16_t *bits)
{
    const int width = conv->d.ow * conv->d.co, whole = width / HS_CPU_PAD * HS_CPU_PAD;
    const bool stream = !read && width == whole && (uintptr_t)y % 64 == 0; /* y is not read soon; masked gradients are */
    hs_cpu_rows r = {.rows = rows, .width = whole, .x = x, .ldx = width, .y = y, .ldy = width, .scale = 1, .words = (ptrdiff_t)row_words(conv), .stream = stream,
                     .write = read ? NULL : bits, .read = read ? bits : NULL};
    conv->kernels->gate(&r);
    for (int row = 0; row < rows && whole < width; row++) {
        float rest[HS_CPU_PAD] = {0};
        const size_t at = (size_t)row * (size_t)width + (size_t)whole, bytes = (size_t)(width - whole) * sizeof(float);
        uint16_t *word = bits + (size_t)(row + 1) * row_words(conv) - 1;
        memcpy(rest, x + at, bytes);
        conv->kernels->gate(&(hs_cpu_rows){.rows = 1, .width = HS_CPU_PAD, .x = rest, .y = rest, .scale = 1, .write = read ? NULL : word,
                                           .read = read ? word : NULL});
        memcpy(y + at, rest, bytes);
    }
}

/* What every thread of a pass is told. */
typedef struct batch {
    const hs_conv *conv;
    int n;
    const float *x, *taps, *bias, *dy;
    float *y, *dx;
    uint16_t *bits;
    void *scratch;
    bool want_bias;
} batch;

/* Images are cut among threads in the order of threads. */
static hs_cpu_range images_of(const batch *b, int thread)
{
    return hs_cpu_part((size_t)b->n, 1, thread, b->conv->threads);
}

static uint16_t *row_bits(const batch *b, size_t image, int row)
{
    return b->bits + (image * (size_t)b->conv->d.oh + (size_t)row) * row_words(b->conv);
}

static int rows_at(const hs_conv *conv, int row)
{
    return conv->d.oh - row < conv->direct.block_rows ? conv->d.oh - row : conv->direct.block_rows;
}

/* A thread's memory: windows, a block on its way through the rectifier, the gradients of an image and their sums: taps [kh*kw][ci][co], bias [co]. */
typedef struct room {
    float *col, *masked, *image, *sum;
} room;

static room room_of(const hs_conv *conv, void *scratch, int thread)
{
    room r = {.col = thread_memory(conv, scratch, thread)};
    r.masked = r.col + (conv->direct.plain ? 0 : window_floats(conv));
    r.image = r.masked + masked_floats(conv);
    r.sum = r.image + gradient_floats(conv);
    return r;
}

static void forward_image(const batch *b, size_t image, room r, float *pack)
{
    const hs_conv *conv = b->conv;
    const hs_conv_desc *d = &conv->d;
    const size_t k = (size_t)conv->direct.k_all, co = (size_t)d->co;
    const float *x = b->x + image * ((size_t)d->h * d->w * d->ci);
    for (int row = 0; row < d->oh; row += conv->direct.block_rows) {
        const int rows = rows_at(conv, row), pixels = rows * d->ow;
        float *y = b->y + (image * d->oh + row) * d->ow * co, *out = d->relu ? r.masked : y;
        const float *a = windows(conv, x, row, rows, r.col);
        if (b->bias)
            fill_bias(pixels, d->co, b->bias, out);
        hs_cpu_product(conv->kernels, pack, false, false, pixels, d->co, (int)k, a, k, b->taps, co, b->bias != NULL, out, co);
        if (d->relu)
            gate_rows(conv, false, rows, out, y, row_bits(b, image, row));
    }
}

static void forward(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_cpu_range range = images_of(b, task);
    (void)thread;
    for (size_t i = range.first; i < range.last; i++)
        forward_image(b, i, room_of(b->conv, b->scratch, task), hs_cpu_pack(b->conv->device, task));
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

void hs_cpu_direct_forward(const hs_conv *conv, int n, const float *x, const float *taps, const float *bias, float *y, void *saved,
                           void *scratch)
{
    const batch b = {.conv = conv, .n = n, .x = x, .taps = taps, .bias = bias, .y = y, .bits = saved, .scratch = scratch};
    hs_cpu_each(conv->threads, conv->threads, forward, &b);
}

/* ---- backward --------------------------------------------------------------------------------------------------------------------------- */

static size_t taps_of(const hs_conv *conv)
{
    return (size_t)conv->direct.k_all * (size_t)conv->d.co;
}

static void add_columns(int rows, int cols, bool first, const float *from, float *sum)
{
    if (first)
        memset(sum, 0, (size_t)cols * sizeof(float));
    for (int r = 0; r < rows; r++)
        add_row(cols, from + (size_t)r * cols, sum);
}

/* One image: writes its gradients of the filter and the bias, and of x where that is wanted. */
static void backward_image(const batch *b, size_t image, room r, float *pack)
{
    const hs_conv *conv = b->conv;
    const hs_conv_desc *d = &conv->d;
    const size_t k = (size_t)conv->direct.k_all, co = (size_t)d->co, in = (size_t)d->h * d->w * d->ci;
    float *dx = b->dx ? b->dx + image * in : NULL;
    if (dx && !conv->direct.plain)
        memset(dx, 0, in * sizeof(float));
    for (int row = 0; row < d->oh; row += conv->direct.block_rows) {
        const int rows = rows_at(conv, row), pixels = rows * d->ow;
        const float *grad = b->dy + (image * d->oh + row) * d->ow * co, *col = windows(conv, b->x + image * in, row, rows, r.col);
        if (d->relu) {
            gate_rows(conv, true, rows, grad, r.masked, row_bits(b, image, row));
            grad = r.masked;
        }
        hs_cpu_product(conv->kernels, pack, true, false, (int)k, d->co, pixels, col, k, grad, co, row > 0, r.image, co);
        if (b->want_bias)
            add_columns(pixels, d->co, row == 0, grad, r.image + taps_of(conv));
        if (!dx)
            continue;
        float *to = conv->direct.plain ? dx + (size_t)row * d->w * d->ci : r.col;
        hs_cpu_product(conv->kernels, pack, false, false, pixels, (int)k, d->co, grad, co, turned_taps(b->scratch), k, false, to, k);
        if (!conv->direct.plain)
            spread(conv, r.col, row, rows, dx);
    }
}

static void backward(const void *context, int task, int thread)
{
    const batch *b = context;
    const hs_cpu_range range = images_of(b, task);
    const room r = room_of(b->conv, b->scratch, task);
    const size_t count = taps_of(b->conv) + (b->want_bias ? (size_t)b->conv->d.co : 0);
    (void)thread;
    memset(r.sum, 0, count * sizeof(float));
    for (size_t i = range.first; i < range.last; i++) {
        backward_image(b, i, r, hs_cpu_pack(b->conv->device, task));
        b->conv->kernels->add_scaled((int)count, 1, r.image, r.sum);
    }
}

/* TURNED: taps transposed, [co][kh*kw*ci]. */
static void turn_taps(const hs_conv *conv, const float *taps, float *turned)
{
    const size_t k = (size_t)conv->direct.k_all, co = (size_t)conv->d.co;
    for (size_t o = 0; o < co; o++)
        for (size_t i = 0; i < k; i++)
            turned[o * k + i] = taps[i * co + o];
}

/* COUNT sums from AT, over the threads in their order. */
static void join_threads(const hs_conv *conv, void *scratch, size_t at, size_t count, float *out)
{
    memcpy(out, room_of(conv, scratch, 0).sum + at, count * sizeof(float));
    for (int t = 1; t < conv->threads; t++)
        conv->kernels->add_scaled((int)count, 1, room_of(conv, scratch, t).sum + at, out);
}

void hs_cpu_direct_backward(const hs_conv *conv, int n, const float *x, const float *taps, const float *dy, float *dx, float *dtaps,
                            float *dbias, void *saved, void *scratch)
{
    const batch b = {.conv = conv, .n = n, .x = x, .taps = taps, .dy = dy, .dx = dx, .bits = saved, .scratch = scratch, .want_bias = dbias != NULL};
    if (dx)
        turn_taps(conv, taps, turned_taps(scratch));
    hs_cpu_each(conv->threads, conv->threads, backward, &b);
    join_threads(conv, scratch, 0, taps_of(conv), dtaps);
    if (dbias)
        join_threads(conv, scratch, taps_of(conv), (size_t)conv->d.co, dbias);
}
