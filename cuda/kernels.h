/* kernels.h - the launchers of the .cu files, for the C host side. Each queues its kernels on a stream and returns the status of
 * the launch. Pointers are device memory. COUNT = 0 launches nothing. PARTIAL is the stream's memory for sums in two passes,
 * [HS_CUDA_PARTIALS] doubles. */
#ifndef HS_CUDA_KERNELS_H
#define HS_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_backend.h"
#include "hs_data.h"

enum { HS_CUDA_PARTIALS = 1 << 18 }; /* 2 MiB */

#ifdef __cplusplus
extern "C" {
#endif

/* probe.cu: OUT [1] = 42, to learn whether this program holds code for the device. */
cudaError_t hs_cuda_probe(cudaStream_t s, int *out);

/* element.cu */
cudaError_t hs_cuda_relu_fwd(cudaStream_t s, size_t count, const float *x, float *y);
cudaError_t hs_cuda_relu_bwd(cudaStream_t s, size_t count, const float *y, const float *dy, float *dx);
cudaError_t hs_cuda_tanh_fwd(cudaStream_t s, size_t count, const float *x, float *y);
cudaError_t hs_cuda_tanh_bwd(cudaStream_t s, size_t count, const float *y, const float *dy, float *dx);
cudaError_t hs_cuda_add(cudaStream_t s, size_t count, const float *a, const float *b, float *y);
cudaError_t hs_cuda_scale(cudaStream_t s, size_t count, double factor, float *y);
/* C [rows][width], its first COLS: times FACTOR, or zero whatever it holds if FACTOR is 0. */
cudaError_t hs_cuda_scale_rows(cudaStream_t s, size_t rows, int cols, int width, double factor, float *c);
cudaError_t hs_cuda_axpy(cudaStream_t s, size_t count, double alpha, const float *x, float *y);
/* dropout.cu */
cudaError_t hs_cuda_dropout(cudaStream_t s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer,
                            int64_t first, const float *x, float *y);
/* modulus.cu */
cudaError_t hs_cuda_modulus_fwd(cudaStream_t s, bool soft, int bins, const uint8_t *self, int n, int c, const float *x,
                                const float *b, float *y);
cudaError_t hs_cuda_modulus_bwd(cudaStream_t s, double *partial, bool soft, int bins, const uint8_t *self, int n, int c,
                                const float *x, const float *b, const float *dy, float *dx, float *db);

/* bias.cu; y and dy have rows of WIDTH numbers of which the first COLS matter. */
cudaError_t hs_cuda_bias_add(cudaStream_t s, size_t rows, int cols, int width, float factor, const float *bias, float *y);
cudaError_t hs_cuda_bias_grad(cudaStream_t s, double *partial, size_t rows, int cols, int width, float factor, const float *dy,
                              float *dbias);
/* norm.cu */
cudaError_t hs_cuda_moments(cudaStream_t s, double *partial, size_t rows, int c, const float *x, double *sums);
cudaError_t hs_cuda_norm_apply(cudaStream_t s, size_t rows, int c, const float *x, const double *mean, const double *rstd,
                               const float *gamma, const float *beta, float *y);
cudaError_t hs_cuda_moments_bwd(cudaStream_t s, double *partial, size_t rows, int c, const float *x, const double *mean,
                                const double *rstd, const float *dy, double *sums);
cudaError_t hs_cuda_norm_apply_bwd(cudaStream_t s, size_t rows, int c, const float *x, const double *mean, const double *rstd,
                                   const float *gamma, const float *dy, const double *sums, double total, float *dx);
cudaError_t hs_cuda_norm_statistics(cudaStream_t s, int c, const double *sums, double total, double epsilon, double momentum,
                                    double *mean, double *rstd, float *running_mean, float *running_var);
cudaError_t hs_cuda_norm_running(cudaStream_t s, int c, const float *running_mean, const float *running_var, double epsilon,
                                 double *mean, double *rstd);
cudaError_t hs_cuda_norm_gradients(cudaStream_t s, int c, const double *sums, float *dgamma, float *dbeta);
/* loss.cu */
cudaError_t hs_cuda_softmax(cudaStream_t s, double *partial, int n, int classes, const float *logits, const int32_t *labels,
                            double scale, float *dlogits, double *totals);

/* optim.cu */
cudaError_t hs_cuda_sgd(cudaStream_t s, hs_update u, size_t count, float *p, const float *g, float *m);
cudaError_t hs_cuda_adam(cudaStream_t s, hs_update u, size_t count, float *p, const float *g, float *m, float *v);
cudaError_t hs_cuda_adam_modulus(cudaStream_t s, hs_update u, int coords, const int32_t *partner, size_t q, float *p,
                                 const float *g, float *m, float *v);
cudaError_t hs_cuda_penalised_squares(cudaStream_t s, double *partial, const hs_piece *piece, int pieces, const float *p, float *g,
                                      double *value);
cudaError_t hs_cuda_judge(cudaStream_t s, double clip, const double *squares, hs_update_now *now);
cudaError_t hs_cuda_update_pieces(cudaStream_t s, hs_update u, const hs_update_now *now, const hs_piece *piece, int pieces,
                                  float *p, const float *g, float *m, float *v);
cudaError_t hs_cuda_update_modulus(cudaStream_t s, hs_update u, const hs_update_now *now, double rate, int coords,
                                   const int32_t *partner, size_t q, float *p, const float *g, float *m, float *v);
/* penalty.cu; g NULL: the proximal map, whose step is LAMBDA, times NOW's rate if NOW is not NULL. */
cudaError_t hs_cuda_penalty(cudaStream_t s, double *partial, hs_penalty_kind kind, bool prox, int coords, const int32_t *partner,
                            const double *weight, size_t q, double lambda, const hs_update_now *now, float *p, float *g, double *value);
/* sums.cu: *VALUE += sum of (x - y)^2; y NULL: of x^2. */
cudaError_t hs_cuda_distance(cudaStream_t s, double *partial, size_t count, const float *x, const float *y, double *value);

/* wire.cu */
cudaError_t hs_cuda_to_bf16(cudaStream_t s, size_t count, const float *x, uint16_t *y);
cudaError_t hs_cuda_from_bf16(cudaStream_t s, size_t count, const uint16_t *x, float *y);

/* pool.cu: the greatest of every window, with winners in ARG, or where ARG is NULL the mean. HALF_IN: x and dx are bf16; HALF_OUT: y and dy. */
cudaError_t hs_cuda_pool_fwd(cudaStream_t s, hs_window w, bool half_in, bool half_out, int n, const void *x, void *y, uint8_t *arg);
cudaError_t hs_cuda_pool_bwd(cudaStream_t s, hs_window w, bool half_in, bool half_out, int n, const void *dy, const uint8_t *arg,
                             void *dx);
cudaError_t hs_cuda_global_fwd(cudaStream_t s, hs_shape shape, int n, const float *x, float *y);
cudaError_t hs_cuda_global_bwd(cudaStream_t s, hs_shape shape, int n, const float *dy, float *dx);
/* spool.cu: rows of y, [rows][n][c], are sums over the entries of a sparse map; a row is half a bin. */
cudaError_t hs_cuda_sparse(cudaStream_t s, int rows, const int32_t *start, const int32_t *column, const float *weight, int n,
                           int c, const float *x, float *y);
/* x [n][h][w][c], coordinates along h and w: zero where a sample keeps fewer. */
cudaError_t hs_cuda_mask(cudaStream_t s, int n, int h, int w, int c, const int32_t *keep, float *x);

/* pack.cu: between planes [n][h][w][c] and the rows of cuFFT, [n][c][grid_h][2 (grid_w/2 + 1)], in place transforms; planes
 * smaller than the grid are filled up with zeros. BIAS may be NULL. MASK [n*h*w][(c+7)/8], a bit a number: unpacking rectifies and
 * writes it, packing takes what it lets pass; NULL: neither. */
typedef struct hs_cuda_grid {
    int h, w, c, grid_h, grid_w;
    bool half_plane, half; /* planes, spectra are stored as bf16 */
} hs_cuda_grid;
cudaError_t hs_cuda_pack_plane(cudaStream_t s, hs_cuda_grid g, int n, const void *x, const uint8_t *mask, float *grid);
cudaError_t hs_cuda_unpack_plane(cudaStream_t s, hs_cuda_grid g, int n, const float *grid, const float *bias, uint8_t *mask, void *x);
cudaError_t hs_cuda_pack_bins(cudaStream_t s, hs_cuda_grid g, int n, const void *spectrum, float *grid);
cudaError_t hs_cuda_unpack_bins(cudaStream_t s, hs_cuda_grid g, int n, const float *grid, void *spectrum);

/* gather.cu: samples [first, first + n) of an epoch's order out of PIXELS [count][shape], in file units. MEAN, INVERSE [scales]. */
typedef struct hs_cuda_batch {
    int64_t count, epoch, first;
    uint64_t seed;
    hs_augment augment;
    hs_shape shape;
    float top;     /* the largest legal value, for jitter */
    size_t scales; /* 0: nothing is normalised */
    bool shuffle, augmented;
} hs_cuda_batch;
cudaError_t hs_cuda_gather_bytes(cudaStream_t s, hs_cuda_batch b, int n, const uint8_t *pixels, const int32_t *set_labels,
                                 const float *mean, const float *inverse, float *x, int32_t *labels);
cudaError_t hs_cuda_gather_floats(cudaStream_t s, hs_cuda_batch b, int n, const float *pixels, const int32_t *set_labels,
                                  const float *mean, const float *inverse, float *x, int32_t *labels);

/* im2col.cu: the geometry of one convolution. */
typedef struct hs_cuda_taps {
    int h, w, ci, kh, kw, stride, oh, ow, pad_h, pad_w;
    bool periodic, flip;
} hs_cuda_taps;
/* COLS [n*oh*ow][kh*kw][ci] from x [n][h][w][ci], and the sum of what each number of x went to. */
cudaError_t hs_cuda_im2col(cudaStream_t s, hs_cuda_taps t, int n, const float *x, float *cols);
cudaError_t hs_cuda_col2im(cudaStream_t s, hs_cuda_taps t, int n, const float *cols, float *dx);
/* conv_rows.cu, conv_taps.cu: convolution as implicit products. Rows are cells of planes side_h x side_w, scaled by SCALE; a place
 * of the inner side moves a row's cell by (dy, dx) and takes a channel of a tensor [n][from_h][from_w][channels]: coordinates lie
 * in 0 .. range-1 (or wrap once, dy and dx being 0 .. range-1) and must divide by DIVIDE. HALF: the tensor is bf16, and so is what it
 * is multiplied with. PLACES is a multiple of 32, filled up with channel -1; where channels come in eights or fours, so do places, from
 * memory aligned to 16 bytes. */
typedef struct hs_cuda_gather {
    int side_h, side_w, scale, range_h, range_w, divide, from_h, from_w, channels, taps, places;
    bool periodic, half, transposed;
} hs_cuda_gather;
typedef struct __attribute__((aligned(16))) hs_cuda_place {
    int channel, dy, dx, tap;
} hs_cuda_place;
typedef enum hs_cuda_math { HS_CUDA_PLAIN, HS_CUDA_TF32, HS_CUDA_BF16 } hs_cuda_math;

/* Columns of a tile, 64 or 96: what leaves fewer empty. */
static inline int hs_cuda_tile_width(int columns)
{
    return (columns + 95) / 96 * 96 <= (columns + 63) / 64 * 64 ? 96 : 64;
}
static inline int hs_cuda_padded(int columns)
{
    const int width = hs_cuda_tile_width(columns);
    return (columns + width - 1) / width * width;
}
/* PACKED [places][padded(columns)] of taps [taps][ci][co], or of their transpose; if HALF [places / 2][padded][2] in bf16. */
cudaError_t hs_cuda_pack_taps(cudaStream_t s, hs_cuda_gather g, int columns, const hs_cuda_place *place, const float *taps,
                              void *packed);
/* Y [n*side_h*side_w][columns], in bf16 if HALF_Y, = gathered numbers times PACKED (+ BIAS, if there is one; rectified, with a mask, if that
 * is). This and the next are called with n = 0 when a plan is made: a kernel asks for its shared memory then. */
cudaError_t hs_cuda_conv_rows(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int columns, const hs_cuda_place *place,
                              const void *from, const void *packed, const float *bias, bool half_y, void *y, uint8_t *mask);
/* DTAPS [taps][channels][columns] = gathered numbers^T times DY [rows][columns], sums of SPAN rows at a time (a multiple of 32) in
 * PARTIAL [spans][taps][channels][columns]. */
cudaError_t hs_cuda_conv_taps(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int span, int columns,
                              const hs_cuda_place *place, const void *from, const void *dy, float *partial, float *dtaps);

/* filter.cu: FILTER [wide_co][taps][wide_ci], stored as bf16 if HALF and filled up with zeros, from taps [taps][ci][co], reversed if
 * FLIP, and back. */
typedef struct hs_cuda_filter {
    int taps, ci, co, wide_ci, wide_co;
    bool flip, half;
} hs_cuda_filter;
cudaError_t hs_cuda_put_filter(cudaStream_t s, hs_cuda_filter f, const float *from, void *filter);
cudaError_t hs_cuda_get_filter(cudaStream_t s, hs_cuda_filter f, const void *filter, float *to);
/* [rows][WIDE] in bf16, a multiple of eight, from [rows][cols], and back; 16-byte aligned where cols = WIDE, as [rows][WIDE] always is. */
cudaError_t hs_cuda_narrow(cudaStream_t s, size_t rows, int cols, int wide, const float *from, void *to);
cudaError_t hs_cuda_widen(cudaStream_t s, size_t rows, int cols, int wide, const void *from, float *to);
/* rectify.cu: maps [rows][cols], stored as bf16 if HALF, and masks of a bit a number, [rows][(cols + 7) / 8] bytes. Y = max(0, Y + BIAS),
 * BIAS may be NULL; DM = DY where the mask says so, else 0, and DBIAS (may be NULL) the sums of its columns. MASK NULL: no rectifier,
 * Y + BIAS alone, DM = DY; DM NULL: nothing but the sums. */
cudaError_t hs_cuda_rectify(cudaStream_t s, size_t rows, int cols, const float *bias, bool half, void *y, uint8_t *mask);
cudaError_t hs_cuda_rectify_grad(cudaStream_t s, double *partial, size_t rows, int cols, bool half, const void *dy,
                                 const uint8_t *mask, bool half_dm, void *dm, float *dbias);
/* response.cu: PHASES [bins][taps][re, im] times FILTERS [taps][ci][co] as EMBEDDED [bins][2 ci][2 co] = [[re, im], [-im, re]],
 * in bf16 or float, and the transpose. PARTIAL [slices][taps][ci][co]. */
cudaError_t hs_cuda_response(cudaStream_t s, bool half, int bins, int taps, int ci, int co, const float *phases,
                             const float *filters, void *embedded);
int hs_cuda_response_slices(int bins, int taps, int ci, int co);
cudaError_t hs_cuda_response_gradient(cudaStream_t s, int bins, int taps, int ci, int co, const float *phases,
                                      const float *embedded, float *partial, float *gradient);
/* Bin 0 of a spectrum [bins][n][2 co] in bf16: plus FACTOR times BIAS. */
cudaError_t hs_cuda_bias_add_half(cudaStream_t s, int n, int co, float factor, const float *bias, void *y);

#ifdef __cplusplus
}
#endif
#endif
