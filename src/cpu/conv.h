/* conv.h - convolution inside the backend: one plan, two engines. */
#ifndef HS_CPU_CONV_H
#define HS_CPU_CONV_H

#include "cpu.h"
#include "dft.h"

/* Trigonometry and sizes of filter spectra on a grid (conv_filter.c). */
typedef struct hs_cpu_grid {
    int ph, pw, ry, rx;  /* grid; floor(kh/2), floor(kw/2) */
    int taps;            /* (2 ry + 1)(2 rx + 1): parity planes; more than kh*kw for even sides */
    float *cos_x, *sin_x; /* [pw/2+1][rx], j = 1 .. rx */
    float *cos_y, *sin_y; /* [ph/2+1][ry] */
} hs_cpu_grid;

typedef struct hs_cpu_direct {
    int k_all;      /* kh*kw*ci */
    int block_rows; /* output rows of one im2col block */
    bool plain;     /* 1 x 1, stride 1: x is its own im2col */
} hs_cpu_direct;

typedef struct hs_cpu_conv_fft {
    hs_cpu_grid grid;
    hs_cpu_dft *dft_x, *dft_y;
    int bins, cip, cop;
    ptrdiff_t bin_x, bin_y;        /* numbers from bin to bin of our own buffers */
    bool own_x, own_y;             /* spectra in our buffers; false: x and dx, y and dy are used as they lie */
    size_t thread_bytes, dft_bytes; /* scratch of one thread of the products; of all threads of the transforms */
} hs_cpu_conv_fft;

struct hs_conv {
    hs_conv_desc d;
    const hs_cpu_device *device;
    const hs_cpu_kernels *kernels;
    int threads;
    hs_cpu_direct direct;
    hs_cpu_conv_fft fft;
};

/* conv_filter.c. PLANES [panel][rows][taps][width]: even and odd combinations of the taps about the anchor, of a panel of columns; ROWS = ci and
 * columns = out-channels, or transposed with mirrored offsets for the gradient of x. */
hs_status hs_cpu_grid_plan(hs_cpu_grid *grid, int ph, int pw, int kh, int kw);
void hs_cpu_grid_destroy(hs_cpu_grid *grid);
void hs_cpu_filter_planes(const struct hs_conv *conv, bool transposed, const float *taps, float *planes);
/* Gradient of taps [kh*kw][ci][co] of the block of M in-channels from CI and WIDTH out-channels from CO, from that of its planes
 * [m][taps][width], which are overwritten. */
void hs_cpu_filter_taps(const struct hs_conv *conv, int ci, int m, int co, int width, float *planes, float *dtaps);

/* conv_cost.c: seconds of forward and backward; and the grid of the FFT engine, with what it takes on one core. */
double hs_cpu_conv_cost(const hs_device *device, const hs_conv_desc *desc);
double hs_cpu_fft_grid(const hs_cpu_kernels *kernels, const hs_conv_desc *desc, int *ph, int *pw);

/* conv_direct.c */
hs_status hs_cpu_direct_plan(struct hs_conv *conv);
size_t hs_cpu_direct_saved(const struct hs_conv *conv);
size_t hs_cpu_direct_scratch(const struct hs_conv *conv);
void hs_cpu_direct_forward(const struct hs_conv *conv, int n, const float *x, const float *taps, const float *bias, float *y, void *saved,
                           void *scratch);
void hs_cpu_direct_backward(const struct hs_conv *conv, int n, const float *x, const float *taps, const float *dy, float *dx, float *dtaps,
                            float *dbias, void *saved, void *scratch);

/* conv_fft.c */
hs_status hs_cpu_fft_plan(const hs_cpu_device *device, struct hs_conv *conv);
void hs_cpu_fft_destroy(struct hs_conv *conv);
size_t hs_cpu_fft_saved(const struct hs_conv *conv);
size_t hs_cpu_fft_scratch(const struct hs_conv *conv);
void hs_cpu_fft_forward(const struct hs_conv *conv, int n, const float *x, const float *taps, const float *bias, float *y, void *saved,
                        void *scratch);
void hs_cpu_fft_backward(const struct hs_conv *conv, int n, const float *x, const float *taps, const float *dy, float *dx, float *dtaps,
                         float *dbias, void *saved, void *scratch);

/* conv_bins.c: the products at every frequency. Y = filter * X, all bins; SCRATCH has fft.thread_bytes for each thread. */
typedef struct hs_cpu_bins {
    const struct hs_conv *conv;
    int n, k, cp;           /* samples, channels of x (in use), channels of y (padded) */
    hs_cpu_spectrum x, y;
    void *scratch;
    bool stream;            /* y may be stored past the cache */
} hs_cpu_bins;
size_t hs_cpu_bins_thread_bytes(const struct hs_conv *conv);
void hs_cpu_bins_multiply(const hs_cpu_bins *b, const float *planes);
/* dtaps of X (k = ci channels) and of the gradient in b->y. */
void hs_cpu_bins_correlate(const hs_cpu_bins *b, float *dtaps);

/* conv_bf16.c: factors of a bin rounded to bf16. Numbers of 32 bits that the factors of x take in one bin of K channels, and a panel of the filter
 * (0 in fp32). */
size_t hs_cpu_pairs_x_size(const struct hs_conv *conv, int k);
size_t hs_cpu_pairs_panel(const struct hs_conv *conv, int k);
/* X of one bin -> TO [xs, xi, xr][n][hs_cpu_pair_row(k)]. */
void hs_cpu_pairs_x(const hs_cpu_bins *b, const float *x, uint32_t *to);
/* W [3][k][width] -> TO [3][][width]; with X as above, what the product takes. */
hs_cpu_pairs hs_cpu_pairs_filter(const hs_cpu_bins *b, int width, const float *w, const uint32_t *x, uint32_t *to);
/* MW channels of x from X and WIDE of the gradient from D, of one bin -> TO, three times pairs of samples [mw] of xs, xi, xr and
 * [wide] of dr, dr - di, dr + di. */
hs_cpu_pairs hs_cpu_pairs_block(const hs_cpu_bins *b, const float *x, int mw, const float *d, int wide, uint32_t *to);

#endif
