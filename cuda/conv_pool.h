/* conv_pool.h - convolution, rectifier and max pooling as one: what conv_pool.c plans and the kernels of conv_pool*.cu are
 * told. */
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
/* The filter gradient is shared by blocks that take tiles, 32 channels, and a part of the filter: warps of a block up to RUN
 * neighbouring numbers of one of its rows (sparse), or a block that many numbers (dense). */
static inline int hs_cuda_pooled_parts(const hs_cuda_pooled *g)
{
    return g->kh * ((g->kw * g->ci + HS_POOLED_RUN - 1) / HS_POOLED_RUN);
}
static inline int hs_cuda_pooled_rows(const hs_cuda_pooled *g)
{
    return g->kh * g->kw * g->ci <= 32 ? 32 : 80; /* 3 x 3 or 5 x 5 of three channels */
}

/* PACKED [chunks][words] of taps [kh*kw][ci][co], in the order in which lanes take them. */
cudaError_t hs_cuda_pooled_pack(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, const float *taps, uint32_t *packed);
/* Y [n][ph][pw][co] = max(0, greatest of each window of the convolution + BIAS, may be NULL), and who won, as many bytes. */
cudaError_t hs_cuda_pooled_forward(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int n, int blocks, const void *x,
                                   const uint32_t *packed, const float *bias, void *y, uint8_t *winner);
/* PARTIAL [blocks][kh*kw*ci + 1][co]: sums of products of x and dy [n][ph][pw][co] over the tiles of a block, the last row of dy alone.
 * One product for each dy, or one for each cell of its window on tensor cores. */
cudaError_t hs_cuda_pooled_sparse(cudaStream_t s, hs_cuda_pooled g, int tiles, int blocks, const void *x, const void *dy,
                                  const uint8_t *winner, float *partial);
cudaError_t hs_cuda_pooled_dense(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int tiles, int blocks, const void *x,
                                 const void *dy, const uint8_t *winner, float *partial);
/* DTAPS and DBIAS (may be NULL) from them. */
cudaError_t hs_cuda_pooled_total(cudaStream_t s, hs_cuda_pooled g, int blocks, const float *partial, float *dtaps, float *dbias);

#ifdef __cplusplus
}
#endif
#endif
