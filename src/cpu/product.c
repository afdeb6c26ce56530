/* product.c - matrix products on one thread with the tile kernel.
 *
 * BLAS libraries choose their kernels by processor model and fall back to SSE on one they do not know (measured: OpenBLAS 0.3.21 on a newer Xeon
 * 18 GF/s, this 120 to 160), so dense layers use our own. The kernel reads A by broadcasts from where it lies, transposed or not, and B in rows
 * of panels: B that is stored transposed, or has a ragged width, is packed; where A is the smaller one, C^T = op(B)^T op(A)^T is formed
 * instead, so that what is packed is small and what is large (the weights) is read once, in order. */
#include "cpu.h"

#include <string.h>

enum {
    DEPTH = 256,   /* k of one pass: a panel of B, 256 x 48 floats, is 48 KB */
    ROWS = 1024,   /* of one pass: with DEPTH columns 1 MB of A, and ROWS x 48 of C in the buffer */
    BLOCK = 16,    /* of transposition: one line each way */
};

/* OUT [cols][ldo] = transposed IN [rows][ldi], in blocks that use whole lines on both sides. */
static void transpose(int rows, int cols, const float *in, size_t ldi, float *out, size_t ldo)
{
    for (int r0 = 0; r0 < rows; r0 += BLOCK)
        for (int c0 = 0; c0 < cols; c0 += BLOCK) {
            const int r1 = r0 + BLOCK < rows ? r0 + BLOCK : rows, c1 = c0 + BLOCK < cols ? c0 + BLOCK : cols;
            for (int c = c0; c < c1; c++)
                for (int r = r0; r < r1; r++)
                    out[(size_t)c * ldo + (size_t)r] = in[(size_t)r * ldi + (size_t)c];
        }
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
    bool trans_b, trans_c, add;
} work;

/* Rows [row, row + rows), columns of one panel, k from K0. */
static void panel_pass(const work *w, int row, int rows, int col, int used, int width, int k0, int depth)
{
    const bool direct_b = !w->trans_b && used == width, direct_c = !w->trans_c && used == width, add = w->add || k0 > 0;
    const float *b = w->pack;
    if (direct_b)
        b = w->b + (size_t)k0 * w->ldb + (size_t)col;
    else
        pack_panel(w->trans_b, k0, depth, col, used, width, w->b, w->ldb, w->pack);
    const float *a = w->a + row * w->ai + k0 * w->ak;
    float *c = w->trans_c ? w->c + (size_t)col * w->ldc + (size_t)row : w->c + (size_t)row * w->ldc + (size_t)col;
    if (direct_c) {
        w->kernels->product(rows, width, depth, a, w->ai, w->ak, b, direct_b ? (ptrdiff_t)w->ldb : width, c, (ptrdiff_t)w->ldc, add);
        return;
    }
    if (add) {
        if (used < width) /* the rest is multiplied and thrown away, but must be a number */
            memset(w->tile, 0, (size_t)rows * (size_t)width * sizeof(float));
        copy_c(true, w->trans_c, rows, used, width, c, w->ldc, w->tile);
    }
    w->kernels->product(rows, width, depth, a, w->ai, w->ak, b, direct_b ? (ptrdiff_t)w->ldb : width, w->tile, width, add);
    copy_c(false, w->trans_c, rows, used, width, c, w->ldc, w->tile);
}

static void all_passes(const work *w, int m, int n, int k)
{
    const int cp = hs_cpu_pad(n);
    for (int row = 0; row < m; row += ROWS) {
        const int rows = m - row < ROWS ? m - row : ROWS;
        for (int k0 = 0; k0 == 0 || k0 < k; k0 += DEPTH) {
            const int depth = k - k0 < DEPTH ? k - k0 : DEPTH;
            for (int col = 0, width; col < cp; col += width) {
                const int left = cp - col;
                width = left >= 48 && left != 64 ? 48 : left >= 32 ? 32 : 16; /* as hs_cpu_panel */
                panel_pass(w, row, rows, col, n - col < width ? n - col : width, width, k0, depth);
            }
        }
    }
}

void hs_cpu_product(const hs_cpu_kernels *kernels, float *pack, bool trans_a, bool trans_b, int m, int n, int k, const float *a, size_t lda,
                    const float *b, size_t ldb, bool add, float *c, size_t ldc)
{
    work w = {.kernels = kernels, .pack = pack, .tile = pack + DEPTH * HS_CPU_PANEL, .c = c, .ldc = ldc, .add = add};
    if (trans_b && m < n) { /* C^T = B A^T: B [n][k] takes the place of A, which is packed */
        w.a = b, w.ai = (ptrdiff_t)ldb, w.ak = 1;
        w.b = a, w.ldb = lda, w.trans_b = !trans_a, w.trans_c = true;
        all_passes(&w, n, m, k);
        return;
    }
    w.a = a, w.ai = trans_a ? 1 : (ptrdiff_t)lda, w.ak = trans_a ? (ptrdiff_t)lda : 1;
    w.b = b, w.ldb = ldb, w.trans_b = trans_b;
    all_passes(&w, m, n, k);
}
