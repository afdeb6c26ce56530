/* conv_pool.h - convolution, rectifier and max pooling as one: what conv_pool.c plans and the kernels of conv_pool.cu and
 * conv_pool_taps.cu are told. */
#ifndef HS_CUDA_CONV_POOL_H
#define HS_CUDA_CONV_POOL_H

#include "kernels.h"

/* A block of four warps computes tiles of 64 pooled outputs, sixteen to a warp, 32 channels at a time. A byte says which number of
 * its window won, or that nothing passes. */
enum { HS_POOLED_THREADS = 128, HS_POOLED_TILE = 64, HS_POOLED_CHANNELS = 32, HS_POOLED_RUN = 16, HS_POOLED_BLOCKED = 255 };

typedef struct hs_cuda_pooled {
    int h, w, ci, co, kh, kw, oh, ow;
    int before_h, before_w;        /* how far before its own cell a filter begins to read */
    int pool, stride, pad, ph, pw; /* the window of the pool */
    int tile_h, tile_w;            /* pooled outputs of a tile; both are powers of two */
    int rows, line;                /* the patch of x below a tile, and numbers in a row of it */
    int run;                       /* numbers of x that a row of the filter reads, kw ci, up to even */
    int depth;                     /* kh run, up to a multiple of 16: the inner side of the product */
    int chunks, together;          /* of 32 channels: in all, and in a block */
    int words;                     /* of packed taps for 32 channels */
    bool periodic, flip, half_x, half_y;
} hs_cuda_pooled;

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of shared memory that forward needs for CHUNKS of 32 channels. */
static inline size_t hs_cuda_pooled_shared(const hs_cuda_pooled *g, int chunks)
{
    return 4 * ((size_t)chunks * g->words + 2 * (size_t)g->depth + (size_t)g->rows * g->line);
}
static inline int hs_cuda_pooled_tiles(const hs_cuda_pooled *g, int n)
{
    return n * ((g->ph + g->tile_h - 1) / g->tile_h) * ((g->pw + g->tile_w - 1) / g->tile_w);
}
/* Blocks of the filter gradient beside those that share its tiles: they take groups of channels and parts of the filter. */
static inline int hs_cuda_pooled_parts(const hs_cuda_pooled *g)
{
    return g->kh * ((g->kw * g->ci + HS_POOLED_RUN - 1) / HS_POOLED_RUN);
}

/* PACKED [chunks][words] of taps [kh*kw][ci][co], in the order in which lanes take them. */
cudaError_t hs_cuda_pooled_pack(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, const float *taps, uint32_t *packed);
/* Y [n][ph][pw][co] = max(0, greatest of each window of the convolution + BIAS, may be NULL), and who won, as many bytes. */
cudaError_t hs_cuda_pooled_forward(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int n, int blocks, const void *x,
                                   const uint32_t *packed, const float *bias, void *y, uint8_t *winner);
/* DTAPS and DBIAS (may be NULL) of dy [n][ph][pw][co], by way of PARTIAL [blocks][kh*kw*ci + 1][co]. */
cudaError_t hs_cuda_pooled_gradient(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int n, int blocks, const void *x,
                                    const void *dy, const uint8_t *winner, float *partial, float *dtaps, float *dbias);

#ifdef __cplusplus
}
#endif
#endif
