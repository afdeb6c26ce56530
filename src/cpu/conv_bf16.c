/* conv_bf16.c - the factors of a frequency's three products, rounded to bf16 and laid out in pairs for the kernels.
 *
 * What is rounded are spectra and their sums, each once, from fp32: against fp32 results are off by 3e-3, relative rms, as spectra have as many large
 * and small numbers as maps have. Filters, transforms, accumulators and gradients stay fp32. Rounding is done bin by bin, into L2, so spectra lie
 * in memory as in fp32. */
#include "conv.h"

size_t hs_cpu_pairs_x_size(const hs_conv *conv, int k)
{
    return 3 * (size_t)conv->d.capacity * (size_t)hs_cpu_pair_row(k);
}

size_t hs_cpu_pairs_panel(const hs_conv *conv, int k)
{
    return conv->device->bf16 ? 3 * (((size_t)k + 1) / 2) * HS_CPU_PANEL : 0;
}

void hs_cpu_pairs_x(const hs_cpu_bins *b, const float *x, uint32_t *to)
{
    const hs_cpu_bf16 *bf16 = b->conv->device->bf16;
    const float *im = x + b->x.im;
    const int row = hs_cpu_pair_row(b->k);
    const ptrdiff_t size = (ptrdiff_t)b->n * row;
    bf16->along(b->n, b->k, x, im, b->x.sample, to, row);
    bf16->along(b->n, b->k, im, NULL, b->x.sample, to + size, row);
    bf16->along(b->n, b->k, x, NULL, b->x.sample, to + 2 * size, row);
}

hs_cpu_pairs hs_cpu_pairs_filter(const hs_cpu_bins *b, int width, const float *w, const uint32_t *x, uint32_t *to)
{
    hs_cpu_pairs p = {.count = (b->k + 1) / 2, .a_row = hs_cpu_pair_row(b->k), .b_row = width};
    for (int i = 0; i < 3; i++, w += (ptrdiff_t)b->k * width, x += b->n * p.a_row, to += (ptrdiff_t)p.count * width) {
        b->conv->device->bf16->across(b->k, width, w, NULL, 0, width, to, width);
        p.a[i] = x;
        p.b[i] = to;
    }
    return p;
}

hs_cpu_pairs hs_cpu_pairs_block(const hs_cpu_bins *b, const float *x, int mw, const float *d, int wide, uint32_t *to)
{
    const hs_cpu_bf16 *bf16 = b->conv->device->bf16;
    const float *xi = x + b->x.im, *di = d + b->y.im;
    hs_cpu_pairs p = {.count = (b->n + 1) / 2, .a_row = mw, .b_row = wide};
    const struct {
        const float *of, *with;
        float factor;
    } left[3] = {{x, xi, 1}, {xi, NULL, 0}, {x, NULL, 0}}, right[3] = {{d, NULL, 0}, {d, di, -1}, {d, di, 1}};
    for (int i = 0; i < 3; i++, to += (ptrdiff_t)p.count * (mw + wide)) {
        bf16->across(b->n, mw, left[i].of, left[i].with, left[i].factor, b->x.sample, to, mw);
        bf16->across(b->n, wide, right[i].of, right[i].with, right[i].factor, b->y.sample, to + (ptrdiff_t)p.count * mw, wide);
        p.a[i] = to;
        p.b[i] = to + (ptrdiff_t)p.count * mw;
    }
    return p;
}
