/* kernels.h - the inner loops of the CPU backend, one table per instruction set (AVX-512, AVX2, plain), chosen when a device is opened.
 *
 * Kernels run on the calling thread and know nothing of plans. Rows of vectors ("panels") are a multiple of HS_CPU_PAD floats wide, so no kernel
 * has a column remainder; whoever has odd channel counts pads them with zeros (hs_cpu_pad). */
#ifndef HS_CPU_KERNELS_H
#define HS_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codelet.h"

enum {
    HS_CPU_PAD = 16,   /* floats in a 64-byte line: every padded channel count is a multiple */
    HS_CPU_PANEL = 48, /* widest panel of a product: 3 vectors of AVX-512, so that an 8 x 48 tile fills 24 of its 32 registers */
};

static inline int hs_cpu_pad(int c)
{
    return (c + HS_CPU_PAD - 1) / HS_CPU_PAD * HS_CPU_PAD;
}

/* Memory to be brought into L2 while a product runs, which alone would wait for it: FLOATS from AT, spread over the product's steps. */
typedef struct hs_cpu_ahead {
    const float *at;
    size_t floats;
} hs_cpu_ahead;

/* C [m][n] = A B (+ C if ADD), A(i,k) at a[i*ai + k*ak], B and C row-major; n a multiple of HS_CPU_PAD. Meanwhile ROWS rows of LINES lines,
 * AHEAD_LD numbers apart, come into L2: once all through the product from AHEAD (a panel of B to come), or, with AHEAD NULL and LINES > 0, for each
 * tile the same columns of the rows of A behind it. */
typedef struct hs_cpu_dense {
    int m, n, k;
    const float *a, *b;
    ptrdiff_t ai, ak, ldb;
    float *c;
    ptrdiff_t ldc;
    bool add, stream; /* STREAM: C begins at whole lines and is stored past the cache */
    const float *ahead;
    ptrdiff_t ahead_ld;
    int rows, lines;
} hs_cpu_dense;

/* One frequency of a convolution, one panel of its out-channels, as three real products (Karatsuba):
 *   t = (xr + xi) w1,  yr = t + xi w2,  yi = t + xr w3   with  w1 = wr, w2 = -(wr + wi), w3 = wi - wr
 * x [rows][xr: k | xi at x_im], xs = xr + xi [rows][k]; w1 w2 w3 [k][width]; y [rows][yr: width | yi at y_im]. */
typedef struct hs_cpu_bin {
    int rows, k, width;
    const float *x, *xs;
    ptrdiff_t x_row, x_im, xs_row;
    const float *w1, *w2, *w3;
    float *y;
    ptrdiff_t y_row, y_im;
    bool stream;       /* y begins at whole lines: store past the cache */
    hs_cpu_ahead next; /* x of the next bin */
} hs_cpu_bin;

typedef struct hs_cpu_bin_adjoint {
    int rows, m, width;
    const float *x, *xs; /* xr | xi at x_im; xs = xr + xi */
    ptrdiff_t x_row, x_im, xs_row;
    const float *d, *sum, *diff; /* dr; dr + di, dr - di */
    ptrdiff_t d_row, d_im, sum_row;
    float *products;
    const float *ahead_x, *ahead_d; /* the same blocks of x (AHEAD_WIDTH columns) and d of the next bin, brought into L2 meanwhile */
    int ahead_width;
    ptrdiff_t size; /* of one product; set by the kernel */
} hs_cpu_bin_adjoint;

/* The factors of a bin's three products in bf16, two in 32 bits (the first below): neighbours of the sum, whose COUNT is that of pairs; an odd one's
 * partner is 0. In the order of hs_cpu_bin:         a [rows][count] = xs, xi, xr          b [count][width] = w1, w2, w3
 * Gradient, where sums run over rows of both:       a [count][m] = xs, xi, xr             b [count][width] = dr, dr - di, dr + di */
typedef struct hs_cpu_pairs {
    int count;
    const uint32_t *a[3], *b[3];
    ptrdiff_t a_row, b_row;
} hs_cpu_pairs;

/* ROWS of WIDTH floats from X to Y (or in place), times SCALE, through a rectifier: WRITE: y = max(0, x) (NaN stays) and one bit a number says what
 * was not cut off, WORDS apart from row to row; READ: y = x where the bit is set, else 0; neither: all of x. */
typedef struct hs_cpu_rows {
    int rows, width;
    const float *x;
    float *y;
    ptrdiff_t ldx, ldy, words;
    float scale;
    uint16_t *write;
    const uint16_t *read;
    bool stream;
} hs_cpu_rows;

/* ROWS x COLS pixels of a map, X_ROW and X_COL numbers apart: the cells of a window, cell CELL + row CELL_ROW + col CELL_COL of it; or the windows over
 * a cell, which is that number in them. ARG beside x in the second case. */
typedef struct hs_cpu_cells {
    int rows, cols, cell, cell_row, cell_col;
    const float *x;
    const uint8_t *arg;
    ptrdiff_t x_row, x_col;
} hs_cpu_cells;

/* Filter spectra of column v of a half spectrum; see conv_filter.c for the parity planes. R = floor(side/2) of each axis. */
typedef struct hs_cpu_filter {
    int ry, rx, width;
    const float *cos_x, *sin_x; /* [rx]: of column v, j = 1 .. rx */
} hs_cpu_filter;

/* hs_update in the kernels' own terms. */
typedef struct hs_cpu_step {
    float lr, decay, scale, momentum, beta1, beta2, epsilon;
    float new1, new2; /* 1 - beta, from the double: 1 - 0.999f is off by 2e-5 */
    float rate, root; /* lr / correction1 and 1 / sqrt(correction2) */
    bool nesterov;
} hs_cpu_step;

typedef struct hs_cpu_kernels {
    const char *name;
    const hs_cpu_codelet *codelets; /* ended by side 0; NULL: none */

    void (*dense)(const hs_cpu_dense *p);
    /* The same in plain. */
    void (*product)(int m, int n, int k, const float *a, ptrdiff_t ai, ptrdiff_t ak, const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc,
                    bool add);
    void (*bin)(const hs_cpu_bin *b);
    /* The same transposed, for the gradient: products[0] = xs^T d, products[1] = xi^T diff, products[2] = xr^T sum, each [m][width] over ROWS. */
    void (*bin_adjoint)(const hs_cpu_bin_adjoint *b);
    /* sum = a + b, diff = a - b (unless NULL), over rows of WIDTH floats. */
    void (*sums)(int rows, int width, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *sum, float *diff, ptrdiff_t ldo);

    /* Discrete Fourier transforms, halves of a symmetric split (dft.c). Rows of WIDTH floats, row r of x at x + r*ldx:
     *   fold    e[0] = x[0], e[j] = x[j] + x[p-j], o[j-1] = x[j] - x[p-j], e[p/2] = x[p/2] for even p; x[r] is 0 for r >= len
     *   unfold  x[j] = e[j] - o[j-1], x[p-j] = e[j] + o[j-1], rows r < len only; BIAS [width] added if not NULL */
    void (*fold)(int p, int len, int width, const float *x, ptrdiff_t ldx, float *e, float *o, ptrdiff_t lde);
    void (*unfold)(int p, int len, int width, const float *e, const float *o, ptrdiff_t lde, const float *bias, float *x, ptrdiff_t ldx);
    /* Column of a complex transform. E [p/2+1][re width | im width], O [(p-1)/2][same]: products with the cosines and sines of the folded
     * column. Writes bins u and p-u at out + u*ldu, re at 0, im at IM:  X(+-u) = (e.r +- o.i) + i (e.i -+ o.r).
     * STREAM: with stores that bypass the cache. */
    void (*join)(int p, int width, const float *e, const float *o, float *out, ptrdiff_t ldu, ptrdiff_t im, bool stream);
    /* Its transpose: e[u] = X(u) + X(-u), o[u-1] = X(u) - X(-u). */
    void (*split)(int p, int width, const float *in, ptrdiff_t ldu, ptrdiff_t im, float *e, float *o);
    /* z[y] = (a.r - b.i) + i (a.i + b.r), z[p-y] = (a.r + b.i) + i (a.i - b.r), rows y < len. */
    void (*unfold_complex)(int p, int len, int width, const float *a, const float *b, float *z);

    void (*gate)(const hs_cpu_rows *r);

    /* Filter spectra. PLANES [ci][(2ry+1)(2rx+1)][width] -> G [ci][2ry+1][re width | im width] for one column. */
    void (*filter_column)(const hs_cpu_filter *f, int ci, const float *planes, float *g);
    /* G -> the three planes of +u and, unless MINUS is NULL, of -u; COS, SIN [ry] of u. W [3][ci][width]. */
    void (*filter_bin)(const hs_cpu_filter *f, int ci, const float *g, const float *cos_u, const float *sin_u, float *plus, float *minus);
    /* Transposes. K [3][ci][width]: k1, k2, k3 of the gradient's three products; zr = k1 - k2, zi = k3 - k1. Adds to G. */
    void (*filter_bin_adjoint)(const hs_cpu_filter *f, int ci, const float *plus, const float *minus, const float *cos_u, const float *sin_u,
                               float *g);
    /* Adds to PLANES. */
    void (*filter_column_adjoint)(const hs_cpu_filter *f, int ci, const float *g, float *planes);

    /* kernels_loops.h: ranges of a slab, rows of channels. */
    void (*sgd)(const hs_cpu_step *u, size_t count, float *p, const float *g, float *m); /* m may be NULL */
    void (*adam)(const hs_cpu_step *u, size_t count, float *p, const float *g, float *m, float *v);
    double (*dot)(size_t count, const float *x, const float *y);              /* sum x y, summed in double */
    double (*distance)(size_t count, const float *x, const float *y);         /* sum (x - y)^2 */
    /* Y, ARG [c]: the largest of the window's cells, and which it is. */
    void (*max_window)(int c, const hs_cpu_cells *w, float *y, uint8_t *arg);
    /* DX [c]: the sum of W's x over those of its windows that this cell has won; STREAM as elsewhere. */
    void (*max_cell)(int c, const hs_cpu_cells *w, float *dx, bool stream);
    void (*add_scaled)(int c, float factor, const float *x, float *y);        /* y += factor x */
    void (*moments)(size_t rows, int c, int width, const float *x, double *sum, double *square);
    void (*moments_adjoint)(size_t rows, int c, int width, const float *x, const float *dy, const float *mean, const float *rstd, double *sum,
                            double *product);
} hs_cpu_kernels;

/* Products of a bin with factors of 8 bits, rounded to nearest even, and sums in fp32 (kernels_bf16.h). */
typedef struct hs_cpu_bf16 {
    /* Rows of K numbers a + b (B NULL: a) to pairs of neighbours. Of A and B hs_cpu_pad(k) numbers are read; LDO is hs_cpu_pair_row(k). */
    void (*along)(int rows, int k, const float *a, const float *b, ptrdiff_t ld, uint32_t *to, ptrdiff_t ldo);
    /* Rows r and r + 1 of a + FACTOR b (B NULL: a) to one row of pairs; WIDTH a multiple of HS_CPU_PAD. */
    void (*across)(int rows, int width, const float *a, const float *b, float factor, ptrdiff_t ld, uint32_t *to, ptrdiff_t ldo);
    /* Of the bins everything but the factors and their strides. */
    void (*bin)(const hs_cpu_bin *b, const hs_cpu_pairs *p);
    void (*bin_adjoint)(const hs_cpu_bin_adjoint *b, const hs_cpu_pairs *p);
} hs_cpu_bf16;

/* From row to row of K numbers in pairs, of which whole lines are written. */
static inline int hs_cpu_pair_row(int k)
{
    return hs_cpu_pad((k + 1) / 2);
}

extern const hs_cpu_kernels hs_cpu_kernels_plain;
extern const hs_cpu_bf16 hs_cpu_bf16_plain;
#if defined(__x86_64__)
extern const hs_cpu_kernels hs_cpu_kernels_avx2, hs_cpu_kernels_avx512;
extern const hs_cpu_bf16 hs_cpu_bf16_avx512;
#endif

/* The best table that this processor can run. NAME (NULL: the best) asks for one: "avx512", "avx2", "plain"; NULL is returned if it is
 * unknown or cannot run here. */
const hs_cpu_kernels *hs_cpu_kernels_find(const char *name);

/* Products in bf16 beside KERNELS; NULL: this processor has none. The plain ones do the same by other instructions, at the cost of several in
 * fp32: they are for tests, and stand beside plain kernels that were asked for BY_NAME. */
const hs_cpu_bf16 *hs_cpu_bf16_find(const hs_cpu_kernels *kernels, bool by_name);

#endif
