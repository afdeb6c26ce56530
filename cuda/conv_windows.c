/* conv_windows.c - convolution in space as products of windows and taps: y [rows][co] = windows [rows][kh*kw*ci] taps. Windows are
 * laid out for as many samples at a time as a fixed amount of memory holds; where x is its own windows conv_product.c needs none. Maps are
 * fp32: where an edge is bf16, others do as well and need no windows. */
#include "hs_cuda.h"

static const size_t windows_bytes = (size_t)256 << 20;

static int depth_of(const hs_conv *conv)
{
    return conv->taps * conv->d.ci;
}

static hs_status plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    const size_t sample = (size_t)d->oh * d->ow * depth_of(conv) * sizeof(float), fit = windows_bytes / sample;
    conv->geometry = (hs_cuda_taps){
        d->h,   d->w, d->ci, d->kh, d->kw, d->stride, d->oh, d->ow, d->pad_h, d->pad_w, d->boundary == HS_BOUNDARY_PERIODIC,
        d->flip};
    conv->chunk = fit < 1 ? 1 : fit < (size_t)d->capacity ? (int)fit : d->capacity;
    return HS_OK;
}

static void destroy(hs_conv *conv)
{
    (void)conv;
}

static size_t scratch_bytes(const hs_conv *conv)
{
    return (size_t)conv->chunk * conv->d.oh * conv->d.ow * depth_of(conv) * sizeof(float);
}

/* Samples FIRST .. FIRST + N - 1 of this call. */
typedef struct part {
    int n, rows;
    const float *x, *dy;
    float *y, *dx;
} part;

static part part_at(const hs_conv *conv, int first, int all, const float *x, const float *dy, float *y, float *dx)
{
    const hs_conv_desc *d = &conv->d;
    const size_t in = (size_t)first * d->h * d->w * d->ci, out = (size_t)first * d->oh * d->ow * d->co;
    part p = {.n = all - first < conv->chunk ? all - first : conv->chunk};
    p.rows = p.n * d->oh * d->ow;
    p.x = x ? x + in : NULL;
    p.dy = dy ? dy + out : NULL;
    p.y = y ? y + out : NULL;
    p.dx = dx ? dx + in : NULL;
    return p;
}

static hs_status windows_of(hs_stream *s, const hs_conv *conv, const part *p, float *windows)
{
    return hs_cuda_check(hs_cuda_im2col(hs_cuda_raw(s), conv->geometry, p->n, p->x, windows), "convolution");
}

/* Bias and rectifier come afterwards. */
static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    (void)bias, (void)mask;
    const int depth = depth_of(conv), co = conv->d.co;
    for (int first = 0; first < n; first += conv->chunk) {
        const part p = part_at(conv, first, n, x, NULL, y, NULL);
        HS_TRY(windows_of(s, conv, &p, scratch));
        const hs_cuda_product product = {.m = p.rows,
                                         .n = co,
                                         .k = depth,
                                         .a = scratch,
                                         .lda = depth,
                                         .b = taps,
                                         .ldb = co,
                                         .c = p.y,
                                         .ldc = co,
                                         .batch = 1,
                                         .alpha = 1};
        HS_TRY(hs_cuda_multiply(s, &product));
    }
    return HS_OK;
}

/* dtaps = windows^T dy, added up over the parts in order. */
static hs_status taps_gradient(hs_stream *s, const hs_conv *conv, const part *p, bool adds, const float *windows, float *dtaps)
{
    const int depth = depth_of(conv), co = conv->d.co;
    const hs_cuda_product product = {.trans_a = true,
                                     .m = depth,
                                     .n = co,
                                     .k = p->rows,
                                     .a = windows,
                                     .lda = depth,
                                     .b = p->dy,
                                     .ldb = co,
                                     .c = dtaps,
                                     .ldc = co,
                                     .batch = 1,
                                     .alpha = 1,
                                     .beta = adds ? 1 : 0};
    return hs_cuda_multiply(s, &product);
}

/* dwindows = dy taps^T, then every number of dx gathers what it went to. */
static hs_status input_gradient(hs_stream *s, const hs_conv *conv, const part *p, const float *taps, float *scratch)
{
    const int depth = depth_of(conv), co = conv->d.co;
    const hs_cuda_product product = {.trans_b = true,
                                     .m = p->rows,
                                     .n = depth,
                                     .k = co,
                                     .a = p->dy,
                                     .lda = co,
                                     .b = taps,
                                     .ldb = co,
                                     .c = scratch,
                                     .ldc = depth,
                                     .batch = 1,
                                     .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &product));
    return hs_cuda_check(hs_cuda_col2im(hs_cuda_raw(s), conv->geometry, p->n, scratch, p->dx), "convolution");
}

static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    for (int first = 0; first < n; first += conv->chunk) {
        const part p = part_at(conv, first, n, x, dy, NULL, dx);
        HS_TRY(windows_of(s, conv, &p, scratch));
        HS_TRY(taps_gradient(s, conv, &p, first > 0, scratch, dtaps));
        if (dx)
            HS_TRY(input_gradient(s, conv, &p, taps, scratch));
    }
    return HS_OK;
}

static bool offers(const hs_cuda_device *device, const hs_conv_desc *desc)
{
    const bool is_plain = desc->kh == 1 && desc->kw == 1 && desc->stride == 1;
    return !is_plain && !hs_cuda_half_edge(&device->base, desc->sealed_in || desc->sealed_out);
}

/* Windows are written and read once a pass. */
static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const double rows = (double)c->capacity * c->oh * c->ow, k = (double)c->kh * c->kw * c->ci, passes = c->need_dx ? 3 : 2;
    const double x = (double)c->capacity * c->h * c->w * c->ci, windows = rows * k + x;
    return passes * (hs_cuda_longest(d, windows, 0, d->plain) +
                     hs_cuda_longest(d, rows * (k + c->co) + k * c->co, 2 * rows * k * c->co, d->products));
}

const hs_cuda_way hs_cuda_windows_way = {
    .name = "windows",
    .finishes = false,
    .offers = offers,
    .seconds = seconds,
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
};
