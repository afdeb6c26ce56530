/* kernels_body.h - the kernels once, in GCC vectors of HS_LANES floats; compiled by kernels_{avx512,avx2,plain}.c.
 *
 * TILE_WIDE and TILE_MID are columns of a product's register tile in vectors, ROWS_WIDE and ROWS_MID its rows: rows x vectors of accumulators,
 * one vector of B per column and one broadcast of A must fit the register file (32 with AVX-512, 16 otherwise), and at least 8 accumulators are
 * needed to hide the latency of 4 cycles on two multiply-add pipes. */
#include <string.h>

#include "kernels.h"

enum { MOST_ROWS = MAX_MID > MAX_WIDE ? MAX_MID : MAX_WIDE };
typedef float vec __attribute__((vector_size(HS_LANES * 4)));
typedef float mem __attribute__((vector_size(HS_LANES * 4), aligned(4), may_alias)); /* as it lies in memory, any alignment */

#define INLINE static inline __attribute__((always_inline))
#define LOAD(p) ((vec) * (const mem *)(p))
#define STORE(p, v) (*(mem *)(p) = (mem)(v))
#define LOOP(l, width) for (int l = 0; l < (width); l += HS_LANES)

/* ---- products ------------------------------------------------------------------------------------------------------------------------ */

/* acc [R][NV] += A [R][k] B [k][NV vectors]. The arrays have constant sizes and every index is constant after unrolling: they are registers. */
INLINE void multiply(const int R, const int NV, vec acc[][TILE_WIDE], int k, const float *a, ptrdiff_t ai, ptrdiff_t ak, const float *b,
                     ptrdiff_t ldb, const float *ahead, ptrdiff_t ahead_step)
{
    for (int i = 0; i < k; i++, a += ak, b += ldb) {
        if (ahead_step) { /* a constant 0 where nothing is to be fetched: no code then */
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
        }
        vec row[TILE_WIDE];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            row[v] = LOAD(b + v * HS_LANES);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            const float f = a[r * ai];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                acc[r][v] += f * row[v];
        }
    }
}

INLINE void tile_load(const int R, const int NV, vec acc[][TILE_WIDE], const float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            acc[r][v] = c ? LOAD(c + r * ldc + v * HS_LANES) : (vec){0};
}

INLINE void tile_store(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            STORE(c + r * ldc + v * HS_LANES, acc[r][v]);
}

typedef struct matrix_product {
    int k;
    const float *a, *b;
    ptrdiff_t ai, ak, ldb;
    float *c;
    ptrdiff_t ldc;
    bool add;
} matrix_product;

INLINE void product_tile(const int R, const int NV, const matrix_product *p)
{
    vec acc[MOST_ROWS][TILE_WIDE];
    tile_load(R, NV, acc, p->add ? p->c : NULL, p->ldc);
    multiply(R, NV, acc, p->k, p->a, p->ai, p->ak, p->b, p->ldb, NULL, 0);
    tile_store(R, NV, acc, p->c, p->ldc);
}

INLINE void tile_stream(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            PUT(true, c + r * ldc + v * HS_LANES, acc[r][v]);
}

INLINE void tile_put(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc, bool stream)
{
    if (stream)
        tile_stream(R, NV, acc, c, ldc);
    else
        tile_store(R, NV, acc, c, ldc);
}

/* next.floats is here what each of the three products fetches, a multiple of its k steps. */
INLINE void bin_tile(const int R, const int NV, const hs_cpu_bin *b)
{
    float t[MOST_ROWS * TILE_WIDE * HS_LANES] __attribute__((aligned(64)));
    vec acc[MOST_ROWS][TILE_WIDE];
    const ptrdiff_t share = (ptrdiff_t)b->next.floats, step = share / b->k;
    tile_load(R, NV, acc, NULL, 0);
    multiply(R, NV, acc, b->k, b->xs, b->xs_row, 1, b->w1, b->width, b->next.at, step);
    tile_store(R, NV, acc, t, NV * HS_LANES);
    multiply(R, NV, acc, b->k, b->x + b->x_im, b->x_row, 1, b->w2, b->width, b->next.at + share, step);
    tile_put(R, NV, acc, b->y, b->y_row, b->stream);
    tile_load(R, NV, acc, t, NV * HS_LANES);
    multiply(R, NV, acc, b->k, b->x, b->x_row, 1, b->w3, b->width, b->next.at + 2 * share, step);
    tile_put(R, NV, acc, b->y + b->y_im, b->y_row, b->stream);
}

/* Row counts are split evenly (17 = 6 + 6 + 5, not 8 + 8 + 1), so every count up to the tile's rows has its own unrolled body. */
#define BODY(R, NV, FUNCTION, ARG) \
    case R:                        \
        FUNCTION(R, NV, ARG);      \
        break;
#define DISPATCH_WIDE(rows, FUNCTION, ARG) switch (rows) { ROWS_WIDE(BODY, TILE_WIDE, FUNCTION, ARG) }
#define DISPATCH_MID(rows, FUNCTION, ARG) switch (rows) { ROWS_MID(BODY, TILE_MID, FUNCTION, ARG) }
#define DISPATCH_ONE(rows, FUNCTION, ARG) switch (rows) { ROWS_ONE(BODY, 1, FUNCTION, ARG) }
#define ROWS_4(X, NV, F, A) X(1, NV, F, A) X(2, NV, F, A) X(3, NV, F, A) X(4, NV, F, A)
#define ROWS_6(X, NV, F, A) ROWS_4(X, NV, F, A) X(5, NV, F, A) X(6, NV, F, A)
#define ROWS_8(X, NV, F, A) ROWS_6(X, NV, F, A) X(7, NV, F, A) X(8, NV, F, A)
#define ROWS_12(X, NV, F, A) ROWS_8(X, NV, F, A) X(9, NV, F, A) X(10, NV, F, A) X(11, NV, F, A) X(12, NV, F, A)

/* Vectors of the widest tile for LEFT columns: whole wide tiles, then mid ones, so that 64 columns go as 2 x 2 and not as 3 + 1. */
INLINE int tile_vectors(int left)
{
    const int v = left / HS_LANES;
    if (v >= TILE_WIDE && v != TILE_WIDE + 1)
        return TILE_WIDE;
    return v >= TILE_MID ? TILE_MID : 1;
}

INLINE int tile_rows(int vectors)
{
    return vectors == TILE_WIDE ? MAX_WIDE : vectors == TILE_MID ? MAX_MID : MAX_ONE;
}

static __attribute__((noinline)) void product_rows(int rows, int vectors, const matrix_product *p)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, product_tile, p)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, product_tile, p)
    else
        DISPATCH_ONE(rows, product_tile, p)
}

static __attribute__((noinline)) void bin_rows(int rows, int vectors, const hs_cpu_bin *b)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, bin_tile, b)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, bin_tile, b)
    else
        DISPATCH_ONE(rows, bin_tile, b)
}

static void product(int m, int n, int k, const float *a, ptrdiff_t ai, ptrdiff_t ak, const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc,
                    bool add)
{
    for (int col = 0; col < n;) {
        const int vectors = tile_vectors(n - col), most = tile_rows(vectors), tiles = (m + most - 1) / most;
        for (int t = 0; t < tiles; t++) {
            const int first = (int)((long)m * t / tiles), rows = (int)((long)m * (t + 1) / tiles) - first;
            product_rows(rows, vectors,
                         &(matrix_product){k, a + first * ai, b + col, ai, ak, ldb, c + first * ldc + col, ldc, add});
        }
        col += vectors * HS_LANES;
    }
}

/* What each product of each of the tiles fetches so that all of NEXT comes, in whole numbers a step of k. */
static size_t ahead_share(hs_cpu_ahead next, int tiles, int k)
{
    const size_t steps = 3 * (size_t)tiles * (size_t)k;
    return next.at && steps ? (next.floats + steps - 1) / steps * (size_t)k : 0;
}

static void bin(const hs_cpu_bin *whole)
{
    for (int col = 0; col < whole->width;) {
        const int vectors = tile_vectors(whole->width - col), most = tile_rows(vectors), tiles = (whole->rows + most - 1) / most;
        const size_t share = col == 0 ? ahead_share(whole->next, tiles, whole->k) : 0;
        for (int t = 0; t < tiles; t++) {
            const int first = (int)((long)whole->rows * t / tiles), rows = (int)((long)whole->rows * (t + 1) / tiles) - first;
            hs_cpu_bin b = *whole;
            b.x += first * b.x_row;
            b.xs += first * b.xs_row;
            b.w1 += col, b.w2 += col, b.w3 += col;
            b.y += first * b.y_row + col;
            b.next = (hs_cpu_ahead){b.next.at + 3 * (size_t)t * share, share};
            bin_rows(rows, vectors, &b);
        }
        col += vectors * HS_LANES;
    }
}

static void fetch_rows(int first, int last, int width, const float *at, ptrdiff_t row, ptrdiff_t im)
{
    for (int r = first; r < last; r++)
        for (int l = 0; l < width; l += 16) {
            __builtin_prefetch(at + r * row + l, 0, 2);
            __builtin_prefetch(at + r * row + im + l, 0, 2);
        }
}

/* Tiles of M rows; between tiles a part of the next operands is fetched. */
static void bin_adjoint(const hs_cpu_bin_adjoint *w)
{
    const ptrdiff_t size = (ptrdiff_t)w->m * w->width;
    const int step = 8, parts = (w->m + step - 1) / step;
    for (int part = 0; part < parts; part++) {
        const int i = part * step, m = w->m - i < step ? w->m - i : step;
        float *to = w->products + (ptrdiff_t)i * w->width;
        const int r0 = w->rows * part / parts, r1 = w->rows * (part + 1) / parts;
        fetch_rows(r0, r1, w->ahead_width, w->ahead_x, w->x_row, w->x_im);
        fetch_rows(r0, r1, w->width, w->ahead_d, w->d_row, w->d_im);
        product(m, w->width, w->rows, w->xs + i, 1, w->xs_row, w->d, w->d_row, to, w->width, false);
        product(m, w->width, w->rows, w->x + w->x_im + i, 1, w->x_row, w->diff, w->width, to + size, w->width, false);
        product(m, w->width, w->rows, w->x + i, 1, w->x_row, w->sum, w->width, to + 2 * size, w->width, false);
    }
}

static void sums(int rows, int width, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *sum, float *diff, ptrdiff_t ldo)
{
    for (int r = 0; r < rows; r++)
        LOOP(l, width)
        {
            const vec x = LOAD(a + r * lda + l), y = LOAD(b + r * ldb + l);
            if (sum)
                STORE(sum + r * ldo + l, x + y);
            if (diff)
                STORE(diff + r * ldo + l, x - y);
        }
}

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

#ifdef HS_CODELETS
#include "codelets.h"
#define CODELETS codelets
#else
#define CODELETS NULL
#endif

const hs_cpu_kernels HS_KERNELS = {
    .name = HS_KERNELS_NAME,
    .codelets = CODELETS,
    .product = product,
    .bin = bin,
    .bin_adjoint = bin_adjoint,
    .sums = sums,
    .fold = fold,
    .unfold = unfold,
    .join = join,
    .split = split,
    .unfold_complex = unfold_complex,
    .filter_column = filter_column,
    .filter_bin = filter_bin,
    .filter_bin_adjoint = filter_bin_adjoint,
    .filter_column_adjoint = filter_column_adjoint,
    .sgd = sgd,
    .adam = adam,
    .dot = dot,
    .distance = distance,
    .max_cell = max_cell,
    .max_cell_adjoint = max_cell_adjoint,
    .add_scaled = add_scaled,
    .moments = moments,
    .moments_adjoint = moments_adjoint,
};
