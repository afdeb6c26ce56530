/* kernels_body.h - the kernels once, in GCC vectors of HS_LANES floats; compiled by kernels_{avx512,avx2,plain}.c. */
#include <string.h>

#include "kernels.h"
#include "vec.h"

#include "kernels_product.h"

/* ---- Fourier transforms ---------------------------------------------------------------------------------------------------------------- */

static void fold(int p, int len, int width, const float *x, ptrdiff_t ldx, float *e, float *o, ptrdiff_t lde)
{
    const int half = (p - 1) / 2;
    LOOP(l, width) STORE(e + l, LOAD(x + l));
    for (int j = 1; j <= half; j++) {
        const float *a = x + j * ldx, *b = x + (p - j) * ldx;
        float *sum = e + j * lde, *diff = o + (j - 1) * lde;
        LOOP(l, width)
        {
            const vec va = j < len ? LOAD(a + l) : (vec){0}, vb = p - j < len ? LOAD(b + l) : (vec){0};
            STORE(sum + l, va + vb);
            STORE(diff + l, va - vb);
        }
    }
    if (p % 2 == 0)
        LOOP(l, width) STORE(e + p / 2 * lde + l, p / 2 < len ? LOAD(x + p / 2 * ldx + l) : (vec){0});
}

static void unfold(int p, int len, int width, const float *e, const float *o, ptrdiff_t lde, const float *bias, float *x, ptrdiff_t ldx)
{
    LOOP(l, width)
    {
        const vec add = bias ? LOAD(bias + l) : (vec){0};
        STORE(x + l, LOAD(e + l) + add);
        for (int j = 1; j <= (p - 1) / 2 && j < len; j++) {
            const vec even = LOAD(e + j * lde + l) + add, odd = LOAD(o + (j - 1) * lde + l);
            STORE(x + j * ldx + l, even - odd);
            if (p - j < len)
                STORE(x + (p - j) * ldx + l, even + odd);
        }
        if (p % 2 == 0 && p / 2 < len)
            STORE(x + p / 2 * ldx + l, LOAD(e + p / 2 * lde + l) + add);
    }
}

static void join(int p, int width, const float *e, const float *o, float *out, ptrdiff_t ldu, ptrdiff_t im, bool stream)
{
    for (int u = 0; u <= p / 2; u++) {
        const float *a = e + (ptrdiff_t)u * 2 * width, *b = o + (ptrdiff_t)(u - 1) * 2 * width;
        float *plus = out + u * ldu, *minus = out + (p - u) * ldu;
        const bool pair = u > 0 && 2 * u < p;
        LOOP(l, width)
        {
            const vec ar = LOAD(a + l), ai = LOAD(a + width + l);
            if (!pair) {
                PUT(stream, plus + l, ar);
                PUT(stream, plus + im + l, ai);
                continue;
            }
            const vec br = LOAD(b + l), bi = LOAD(b + width + l);
            PUT(stream, plus + l, ar + bi);
            PUT(stream, plus + im + l, ai - br);
            PUT(stream, minus + l, ar - bi);
            PUT(stream, minus + im + l, ai + br);
        }
    }
}

static void split(int p, int width, const float *in, ptrdiff_t ldu, ptrdiff_t im, float *e, float *o)
{
    for (int u = 0; u <= p / 2; u++) {
        float *a = e + (ptrdiff_t)u * 2 * width, *b = o + (ptrdiff_t)(u - 1) * 2 * width;
        const float *plus = in + u * ldu, *minus = in + (p - u) * ldu;
        const bool pair = u > 0 && 2 * u < p;
        for (int part = 0; part < 2; part++, plus += im, minus += im, a += width, b += width)
            LOOP(l, width)
            {
                const vec x = LOAD(plus + l);
                if (!pair) {
                    STORE(a + l, x);
                    continue;
                }
                const vec y = LOAD(minus + l);
                STORE(a + l, x + y);
                STORE(b + l, x - y);
            }
    }
}

static void unfold_complex(int p, int len, int width, const float *a, const float *b, float *z)
{
    const ptrdiff_t row = 2 * (ptrdiff_t)width;
    for (int y = 0; y <= p / 2 && y < len; y++) {
        const float *ea = a + y * row, *ob = b + (y - 1) * row;
        float *plus = z + y * row, *minus = z + (p - y) * row;
        const bool pair = y > 0 && 2 * y < p;
        LOOP(l, width)
        {
            const vec ar = LOAD(ea + l), ai = LOAD(ea + width + l);
            const vec br = pair ? LOAD(ob + l) : (vec){0}, bi = pair ? LOAD(ob + width + l) : (vec){0};
            STORE(plus + l, ar - bi);
            STORE(plus + width + l, ai + br);
            if (pair && p - y < len) {
                STORE(minus + l, ar + bi);
                STORE(minus + width + l, ai - br);
            }
        }
    }
}

INLINE void gate_as(const hs_cpu_rows *r, const bool write, const bool read, const bool stream)
{
    for (int row = 0; row < r->rows; row++) {
        const float *x = r->x + row * r->ldx;
        float *y = r->y + row * r->ldy;
        uint16_t *to = write ? r->write + row * r->words : NULL;
        const uint16_t *from = read ? r->read + row * r->words : NULL;
        for (int first = 0; first < r->width; first += HS_CPU_PAD) {
            unsigned bits = 0;
            for (int l = 0; l < HS_CPU_PAD; l += HS_LANES) {
                const vec v = LOAD(x + first + l);
                const unsigned some = write ? PASSED(v) : read ? (unsigned)*from >> l : ~0u;
                bits |= some << l;
                PUT(stream, y + first + l, r->scale * (write || read ? KEPT(v, some) : v));
            }
            if (write)
                *to++ = (uint16_t)bits;
            if (read)
                from++;
        }
    }
}

/* One loop for each use: asked number by number, what to do would take longer than doing it. */
static void gate(const hs_cpu_rows *r)
{
    if (r->write && r->stream)
        gate_as(r, true, false, true);
    else if (r->write)
        gate_as(r, true, false, false);
    else if (r->read && r->stream)
        gate_as(r, false, true, true);
    else if (r->read)
        gate_as(r, false, true, false);
    else
        gate_as(r, false, false, r->stream);
}

/* ---- filter spectra -------------------------------------------------------------------------------------------------------------------- */

static void filter_column(const hs_cpu_filter *f, int ci, const float *planes, float *g)
{
    const int w = f->width, rx = f->rx;
    for (long row = 0; row < (long)ci * (2 * f->ry + 1); row++, planes += (2 * rx + 1) * w, g += 2 * w)
        LOOP(l, w)
        {
            vec re = LOAD(planes + l), im = {0};
            for (int j = 0; j < rx; j++) {
                re += f->cos_x[j] * LOAD(planes + (1 + j) * w + l);
                im += f->sin_x[j] * LOAD(planes + (1 + rx + j) * w + l);
            }
            STORE(g + l, re);
            STORE(g + w + l, im);
        }
}

static void filter_column_adjoint(const hs_cpu_filter *f, int ci, const float *g, float *planes)
{
    const int w = f->width, rx = f->rx;
    for (long row = 0; row < (long)ci * (2 * f->ry + 1); row++, planes += (2 * rx + 1) * w, g += 2 * w)
        LOOP(l, w)
        {
            const vec re = LOAD(g + l), im = LOAD(g + w + l);
            STORE(planes + l, LOAD(planes + l) + re);
            for (int j = 0; j < rx; j++) {
                float *even = planes + (1 + j) * w + l, *odd = planes + (1 + rx + j) * w + l;
                STORE(even, LOAD(even) + f->cos_x[j] * re);
                STORE(odd, LOAD(odd) + f->sin_x[j] * im);
            }
        }
}

static void filter_bin(const hs_cpu_filter *f, int ci, const float *g, const float *cos_u, const float *sin_u, float *plus, float *minus)
{
    const int w = f->width, ry = f->ry;
    const ptrdiff_t plane = (ptrdiff_t)ci * w;
    for (int c = 0; c < ci; c++, g += (2 * ry + 1) * 2 * w)
        LOOP(l, w)
        {
            vec ar = LOAD(g + l), ai = LOAD(g + w + l), br = {0}, bi = {0};
            for (int j = 0; j < ry; j++) {
                const float *even = g + (1 + j) * 2 * w + l, *odd = g + (1 + ry + j) * 2 * w + l;
                ar += cos_u[j] * LOAD(even);
                ai += cos_u[j] * LOAD(even + w);
                br += sin_u[j] * LOAD(odd);
                bi += sin_u[j] * LOAD(odd + w);
            }
            const ptrdiff_t at = (ptrdiff_t)c * w + l;
            const vec pr = ar - bi, pi = ai + br;
            STORE(plus + at, pr);
            STORE(plus + plane + at, -(pr + pi));
            STORE(plus + 2 * plane + at, pi - pr);
            if (minus) {
                const vec mr = ar + bi, mi = ai - br;
                STORE(minus + at, mr);
                STORE(minus + plane + at, -(mr + mi));
                STORE(minus + 2 * plane + at, mi - mr);
            }
        }
}

static void filter_bin_adjoint(const hs_cpu_filter *f, int ci, const float *plus, const float *minus, const float *cos_u, const float *sin_u,
                               float *g)
{
    const int w = f->width, ry = f->ry;
    const ptrdiff_t plane = (ptrdiff_t)ci * w;
    for (int c = 0; c < ci; c++, g += (2 * ry + 1) * 2 * w)
        LOOP(l, w)
        {
            const ptrdiff_t at = (ptrdiff_t)c * w + l;
            const vec k1 = LOAD(plus + at);
            vec ar = k1 - LOAD(plus + plane + at), ai = LOAD(plus + 2 * plane + at) - k1, br = ai, bi = -ar;
            if (minus) {
                const vec m1 = LOAD(minus + at), mr = m1 - LOAD(minus + plane + at), mi = LOAD(minus + 2 * plane + at) - m1;
                ar += mr, ai += mi, br -= mi, bi += mr;
            }
            STORE(g + l, LOAD(g + l) + ar);
            STORE(g + w + l, LOAD(g + w + l) + ai);
            for (int j = 0; j < ry; j++) {
                float *even = g + (1 + j) * 2 * w + l, *odd = g + (1 + ry + j) * 2 * w + l;
                STORE(even, LOAD(even) + cos_u[j] * ar);
                STORE(even + w, LOAD(even + w) + cos_u[j] * ai);
                STORE(odd, LOAD(odd) + sin_u[j] * br);
                STORE(odd + w, LOAD(odd + w) + sin_u[j] * bi);
            }
        }
}

#include "kernels_loops.h"
#include "kernels_pool.h"

const hs_cpu_kernels HS_KERNELS = {
    .name = HS_KERNELS_NAME,
    .codelets = HS_CODELETS,
    .dense = dense,
    .product = product,
    .bin = bin,
    .bin_adjoint = bin_adjoint,
    .sums = sums,
    .fold = fold,
    .unfold = unfold,
    .join = join,
    .split = split,
    .unfold_complex = unfold_complex,
    .gate = gate,
    .filter_column = filter_column,
    .filter_bin = filter_bin,
    .filter_bin_adjoint = filter_bin_adjoint,
    .filter_column_adjoint = filter_column_adjoint,
    .sgd = sgd,
    .adam = adam,
    .dot = dot,
    .distance = distance,
    .max_window = max_window,
    .max_cell = max_cell,
    .add_scaled = add_scaled,
    .moments = moments,
    .moments_adjoint = moments_adjoint,
};
