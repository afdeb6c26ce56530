/* product.c - matrix products on one thread with the tile kernel.
 *
 * BLAS libraries choose their kernels by processor model and fall back to SSE on one they do not know (measured: OpenBLAS 0.3.21 on a newer Xeon
 * 18 GF/s, this 120 to 160), so dense layers use our own. The kernel reads A by broadcasts from where it lies, transposed or not, and B in rows
 * of panels: B that is stored transposed, or has a ragged width, is packed; where A is the smaller one, C^T = op(B)^T op(A)^T is formed
 * instead, so that what is packed is small and what is large (the weights) is read once, in order.
 *
 * A dense layer of 12288 x 1024 and 64 samples does 1.6 GF a product, 9.3 ms at 173 GF/s, and moves 50 MB of weights, 3.5 ms at 14 GB/s. So that the
 * two overlap the kernel fetches the next panel of B, or the next rows of A, while it multiplies, and the gradient of the weights, of which
 * nothing is read soon, is stored past the cache. */
#include "cpu.h"

#include <stdatomic.h>
#include <string.h>

enum {
    DEPTH = 512,   /* k of one pass where B is packed: a panel, 512 x 48 floats, is 96 KB in L2 */
    SHORT = 128,   /* of one pass where B is read as it lies, rows of a layer's width apart: 24 KB, of which L1 keeps more */
    ROWS = 512,    /* of one pass: with DEPTH columns 1 MB of A, and ROWS x 48 of C in the buffer */
    OUTER = 64,    /* of one pass where C is large and stored past the cache: its rows fill whole pages one after the other */
    FLOATS_OF_LINE = 16,
    LARGE = 1 << 20, /* numbers of C, 4 MB: more than a core keeps */
    BLOCK = 4,     /* of transposition */
};

typedef float four __attribute__((vector_size(16)));
typedef float four_in_memory __attribute__((vector_size(16), aligned(4), may_alias));
typedef int four_places __attribute__((vector_size(16)));

static void transpose_block(const float *in, size_t ldi, float *out, size_t ldo)
{
    const four a = *(const four_in_memory *)in, b = *(const four_in_memory *)(in + ldi), c = *(const four_in_memory *)(in + 2 * ldi),
               d = *(const four_in_memory *)(in + 3 * ldi);
    const four_places low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
    const four ab0 = __builtin_shuffle(a, b, low), ab1 = __builtin_shuffle(a, b, high), cd0 = __builtin_shuffle(c, d, low),
               cd1 = __builtin_shuffle(c, d, high);
    *(four_in_memory *)out = __builtin_shuffle(ab0, cd0, first);
    *(four_in_memory *)(out + ldo) = __builtin_shuffle(ab0, cd0, second);
    *(four_in_memory *)(out + 2 * ldo) = __builtin_shuffle(ab1, cd1, first);
    *(four_in_memory *)(out + 3 * ldo) = __builtin_shuffle(ab1, cd1, second);
}

/* OUT [cols][ldo] = transposed IN [rows][ldi]. */
static void transpose(int rows, int cols, const float *in, size_t ldi, float *out, size_t ldo)
{
    const int whole_rows = rows / BLOCK * BLOCK, whole_cols = cols / BLOCK * BLOCK;
    for (int c = 0; c < whole_cols; c += BLOCK)
        for (int r = 0; r < whole_rows; r += BLOCK)
            transpose_block(in + (size_t)r * ldi + (size_t)c, ldi, out + (size_t)c * ldo + (size_t)r, ldo);
    for (int r = 0; r < rows; r++)
        for (int c = r < whole_rows ? whole_cols : 0; c < cols; c++)
            out[(size_t)c * ldo + (size_t)r] = in[(size_t)r * ldi + (size_t)c];
}

/* B [depth][width] of a panel, USED columns from COL, the rest zero. */
static void pack_panel(bool trans, int k0, int depth, int col, int used, int width, const float *b, size_t ldb, float *to)
{
    if (used < width)
        memset(to, 0, (size_t)depth * (size_t)width * sizeof(float));
    if (trans) {
        transpose(used, depth, b + (size_t)col * ldb + (size_t)k0, ldb, to, (size_t)width);
        return;
    }
    for (int i = 0; i < depth; i++)
        memcpy(to + (size_t)i * (size_t)width, b + (size_t)(k0 + i) * ldb + (size_t)col, (size_t)used * sizeof(float));
}

/* Moves a ragged or transposed part of C to or from rows of WIDTH. */
static void copy_c(bool in, bool trans, int rows, int used, int width, float *c, size_t ldc, float *t)
{
    for (int r = 0; r < rows && !trans; r++) {
        float *row = c + (size_t)r * ldc, *own = t + (size_t)r * (size_t)width;
        memcpy(in ? own : row, in ? row : own, (size_t)used * sizeof(float));
    }
    if (trans && in)
        transpose(used, rows, c, ldc, t, (size_t)width);
    else if (trans)
        transpose(rows, used, t, (size_t)width, c, ldc);
}

typedef struct work {
    const hs_cpu_kernels *kernels;
    float *pack, *tile;      /* [DEPTH][48], [ROWS][48] */
    const float *a, *b;
    ptrdiff_t ai, ak;
    size_t ldb, ldc;
    float *c;
    bool trans_b, trans_c, add, stream;
    int depth; /* k of one pass */
} work;

/* A place in a product: rows [row, row + rows), USED of the WIDTH columns of a panel from COL, k from K0. */
typedef struct place {
    int row, rows, col, used, width, k0, depth;
} place;

static bool b_as_it_lies(const work *w, const place *p)
{
    return !w->trans_b && p->used == p->width;
}

/* What the kernel should fetch: the panel of B behind this one, or rows of A where A is the large one and this the first to read them. */
static void look_ahead(const work *w, const place *p, int n, int k, hs_cpu_dense *d)
{
    if (w->trans_b) {
        if (w->ak == 1 && p->col == 0) {
            d->lines = p->depth / FLOATS_OF_LINE;
            d->ahead_ld = w->ai;
        }
        return;
    }
    const bool last = p->col + p->width >= n;
    const int k0 = last ? p->k0 + p->depth : p->k0;
    if (w->ak != 1 || k0 >= k)
        return; /* B of a transposed A is small */
    d->ahead = w->b + (size_t)k0 * w->ldb + (size_t)(last ? 0 : p->col + p->width);
    d->ahead_ld = (ptrdiff_t)w->ldb;
    d->rows = k - k0 < w->depth ? k - k0 : w->depth;
    d->lines = (p->width + FLOATS_OF_LINE - 1) / FLOATS_OF_LINE;
}

static void panel_pass(const work *w, const place *p, int n, int k)
{
    const bool direct_c = !w->trans_c && p->used == p->width;
    float *c = w->trans_c ? w->c + (size_t)p->col * w->ldc + (size_t)p->row : w->c + (size_t)p->row * w->ldc + (size_t)p->col;
    hs_cpu_dense d = {.m = p->rows, .n = p->width, .k = p->depth, .a = w->a + p->row * w->ai + p->k0 * w->ak, .ai = w->ai, .ak = w->ak,
                      .b = w->b + (size_t)p->k0 * w->ldb + (size_t)p->col, .ldb = (ptrdiff_t)w->ldb, .c = c, .ldc = (ptrdiff_t)w->ldc,
                      .add = w->add || p->k0 > 0, .stream = w->stream && direct_c};
    look_ahead(w, p, n, k, &d);
    if (!b_as_it_lies(w, p)) {
        pack_panel(w->trans_b, p->k0, p->depth, p->col, p->used, p->width, w->b, w->ldb, w->pack);
        d.b = w->pack, d.ldb = p->width;
    }
    if (direct_c) {
        w->kernels->dense(&d);
        return;
    }
    d.c = w->tile, d.ldc = p->width;
    if (d.add) {
        if (p->used < p->width) /* the rest is multiplied and thrown away, but must be a number */
            memset(w->tile, 0, (size_t)p->rows * (size_t)p->width * sizeof(float));
        copy_c(true, w->trans_c, p->rows, p->used, p->width, c, w->ldc, w->tile);
    }
    w->kernels->dense(&d);
    copy_c(false, w->trans_c, p->rows, p->used, p->width, c, w->ldc, w->tile);
}

static void all_passes(const work *w, int m, int n, int k, int most_rows)
{
    const int cp = hs_cpu_pad(n);
    place p = {0};
    for (p.row = 0; p.row < m; p.row += p.rows) {
        p.rows = m - p.row < most_rows ? m - p.row : most_rows;
        for (p.k0 = 0; p.k0 == 0 || p.k0 < k; p.k0 += w->depth) {
            p.depth = k - p.k0 < w->depth ? k - p.k0 : w->depth;
            for (p.col = 0; p.col < cp; p.col += p.width) {
                p.width = hs_cpu_panel_width(cp - p.col);
                p.used = n - p.col < p.width ? n - p.col : p.width;
                panel_pass(w, &p, n, k);
            }
        }
    }
}

/* C = A^T B with few k, a gradient of weights: blocks of A^T are packed, because their columns lie whole rows of the batch apart, and C, much larger
 * than both, is stored past the cache where it lies on whole lines. */
static void outer_product(work *w, int m, int n, int k)
{
    const float *a = w->a;
    const size_t lda = (size_t)w->ak;
    w->depth = DEPTH;
    w->stream = ((uintptr_t)w->c | w->ldc * sizeof(float)) % 64 == 0;
    w->a = w->tile, w->ai = 1, w->ak = OUTER;
    float *c = w->c;
    for (int row = 0; row < m; row += OUTER) {
        const int rows = m - row < OUTER ? m - row : OUTER;
        for (int i = 0; i < k; i++)
            memcpy(w->tile + (size_t)i * OUTER, a + (size_t)i * lda + (size_t)row, (size_t)rows * sizeof(float));
        w->c = c + (size_t)row * w->ldc;
        all_passes(w, rows, n, k, OUTER);
    }
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

void hs_cpu_product(const hs_cpu_kernels *kernels, float *pack, bool trans_a, bool trans_b, int m, int n, int k, const float *a, size_t lda,
                    const float *b, size_t ldb, bool add, float *c, size_t ldc)
{
    work w = {.kernels = kernels, .pack = pack, .tile = pack + DEPTH * HS_CPU_PANEL, .c = c, .ldc = ldc, .add = add, .depth = trans_b ? DEPTH : SHORT};
    if (trans_b && m < n) { /* C^T = B A^T: B [n][k] takes the place of A, which is packed */
        w.a = b, w.ai = (ptrdiff_t)ldb, w.ak = 1;
        w.b = a, w.ldb = lda, w.trans_b = !trans_a, w.trans_c = true;
        all_passes(&w, n, m, k, ROWS);
        return;
    }
    w.a = a, w.ai = trans_a ? 1 : (ptrdiff_t)lda, w.ak = trans_a ? (ptrdiff_t)lda : 1;
    w.b = b, w.ldb = ldb, w.trans_b = trans_b;
    if (trans_a && !trans_b && !add && k <= DEPTH && n % HS_CPU_PAD == 0 && (size_t)m * (size_t)n >= LARGE)
        outer_product(&w, m, n, k);
    else
        all_passes(&w, m, n, k, ROWS);
}
