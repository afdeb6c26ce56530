/* conv_product.c - convolution by a filter of one tap at stride 1, in space, as what it is: y [rows][co] = x [rows][ci] taps, by cuBLAS. A dense layer is one
 * on a map of one pixel.
 *
 * Where a map is stored as bf16 so is all that is multiplied: taps once a pass and dy come rounded (conv_space.c), and an x that is fp32 is rounded here, into
 * scratch. y and dx are written as they are stored; filter gradients are fp32, as sums are. cuBLAS takes rows of any length, those of eights fastest. */
#include "hs_cuda.h"

#include <limits.h>

static bool is_half(const hs_conv *conv)
{
    return conv->half_in || conv->half_out;
}

static hs_status plan(hs_conv *conv)
{
    (void)conv;
    return HS_OK;
}

static void destroy(hs_conv *conv)
{
    (void)conv;
}

static size_t count_of_x(const hs_conv *conv, int n)
{
    return (size_t)n * conv->d.h * conv->d.w * conv->d.ci;
}

static size_t scratch_bytes(const hs_conv *conv)
{
    return is_half(conv) && !conv->half_in ? hs_cuda_line(2 * count_of_x(conv, conv->d.capacity)) : 0;
}

/* x as it is multiplied. */
static hs_status seen(hs_stream *s, const hs_conv *conv, int n, const void *x, void *scratch, const void **out)
{
    const bool rounds = is_half(conv) && !conv->half_in;
    *out = rounds ? scratch : x;
    return rounds ? hs_cuda_check(hs_cuda_to_bf16(hs_cuda_raw(s), count_of_x(conv, n), x, scratch), "convolution") : HS_OK;
}

/* Bias and rectifier come afterwards. */
static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    const int ci = conv->d.ci, co = conv->d.co;
    hs_cuda_product p = {.half = is_half(conv), .half_c = conv->half_out, .m = n * conv->d.h * conv->d.w, .n = co, .k = ci, .lda = ci,
                         .b = taps, .ldb = co, .c = y, .ldc = co, .batch = 1, .alpha = 1};
    (void)bias, (void)mask;
    HS_TRY(seen(s, conv, n, x, scratch, &p.a));
    return hs_cuda_multiply(s, &p);
}

/* dtaps = x^T dy, dx = dy taps^T. */
static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    const int ci = conv->d.ci, co = conv->d.co, rows = n * conv->d.h * conv->d.w;
    hs_cuda_product filter = {.half = is_half(conv), .trans_a = true, .m = ci, .n = co, .k = rows, .lda = ci, .b = dy, .ldb = co,
                              .c = dtaps, .ldc = co, .batch = 1, .alpha = 1};
    const hs_cuda_product input = {.half = is_half(conv), .half_c = conv->half_in, .trans_b = true, .m = rows, .n = ci, .k = co, .a = dy, .lda = co,
                                   .b = taps, .ldb = co, .c = dx, .ldc = ci, .batch = 1, .alpha = 1};
    HS_TRY(seen(s, conv, n, x, scratch, &filter.a));
    HS_TRY(hs_cuda_multiply(s, &filter));
    return dx ? hs_cuda_multiply(s, &input) : HS_OK;
}

/* Rows are counted in int. */
static bool offers(const hs_cuda_device *device, const hs_conv_desc *d)
{
    (void)device;
    return d->kh == 1 && d->kw == 1 && d->stride == 1 && (double)d->capacity * d->h * d->w < INT_MAX;
}

/* Maps and taps are moved three times, or twice without dx. Numbers that cuBLAS rounds on its way to tensor cores hold these up: half the rate, an estimate. */
static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const bool in = hs_cuda_half_edge(&d->base, c->sealed_in), out = hs_cuda_half_edge(&d->base, c->sealed_out), half = in || out;
    const double cells = (double)c->capacity * c->h * c->w, x = cells * c->ci, y = cells * c->co, taps = (double)c->ci * c->co;
    const double rate = d->math == HS_CUDA_BF16 && !half ? d->products / 2 : d->products, size = half ? 0.5 : 1;
    const double pass = hs_cuda_longest(d, size * (x + y + taps), 2 * cells * taps, rate);
    const double rounded = (half ? hs_cuda_longest(d, 1.5 * taps, 0, d->plain) : 0) + (out && !in ? 2 * hs_cuda_longest(d, 1.5 * x, 0, d->plain) : 0);
    return (c->need_dx ? 3 : 2) * pass + rounded;
}

const hs_cuda_way hs_cuda_product_way = {
    .name = "product",
    .finishes = false,
    .rounds = true,
    .offers = offers,
    .seconds = seconds,
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
};
