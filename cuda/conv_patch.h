/* conv_patch.h - what the kernels of conv_pool*.cu share: where a tile of pooled outputs lies, and the patch of x below it in
 * shared memory. */
#ifndef HS_CUDA_CONV_PATCH_H
#define HS_CUDA_CONV_PATCH_H

#include "half.h"

#include "conv_pool.h"

/* Loops over the inner side stay loops: unrolled, their addresses take the registers that sums need. */
#ifdef __CUDACC__
#define POOLED_ROLLED _Pragma("unroll 1")
#else
#define POOLED_ROLLED
#endif

/* The first pooled output of a tile. */
struct pooled_spot {
    int sample, row, col;
};

static __device__ __forceinline__ pooled_spot pooled_tile(const hs_cuda_pooled &g, int tile)
{
    const int across = (g.pw + g.tile_w - 1) / g.tile_w, down = (g.ph + g.tile_h - 1) / g.tile_h, in = tile % (across * down);
    return {tile / (across * down), in / across * g.tile_h, in % across * g.tile_w};
}

/* A coordinate inside, or -1. */
static __device__ __forceinline__ int pooled_cell(int at, int side, bool periodic)
{
    if (periodic)
        return (at % side + side) % side;
    return at >= 0 && at < side ? at : -1;
}

/* How numbers of the patch lie in memory: as they are, rounded, or two to a word, a number and the one STEP further on. */
struct pooled_plain_words {
    static __device__ __forceinline__ uint32_t word(float x, float)
    {
        return hs_word(x);
    }
};
struct pooled_tf32_words {
    static __device__ __forceinline__ uint32_t word(float x, float)
    {
        return hs_to_tf32(x);
    }
};
struct pooled_bf16_words {
    static __device__ __forceinline__ uint32_t word(float x, float next)
    {
        return hs_to_bf16(x, next);
    }
};

/* Number J of a row of the patch whose first is number FIRST of row X [w*ci]; zero outside. */
static __device__ __forceinline__ float pooled_number(const hs_cuda_pooled &g, const void *x, size_t row, int at)
{
    at = pooled_cell(at, g.w * g.ci, g.periodic);
    if (at < 0)
        return 0;
    return g.half_x ? hs_half_get(static_cast<const hs_half *>(x)[row + at]) : static_cast<const float *>(x)[row + at];
}

/* PATCH [rows][line], by all threads; a warp takes a row. */
template <typename Words>
static __device__ __forceinline__ void pooled_fetch(const hs_cuda_pooled &g, const pooled_spot &spot, int step, const void *x,
                                                    uint32_t *patch)
{
    const int top = spot.row * g.stride - g.pad - g.before_h, left = (spot.col * g.stride - g.pad - g.before_w) * g.ci;
    for (int r = (int)threadIdx.x / 32; r < g.rows; r += HS_POOLED_THREADS / 32) {
        const int y = pooled_cell(top + r, g.h, g.periodic);
        const size_t row = ((size_t)spot.sample * g.h + (y < 0 ? 0 : y)) * g.w * g.ci;
        for (int j = (int)threadIdx.x % 32; j < g.line; j += 32) {
            const float own = y < 0 ? 0 : pooled_number(g, x, row, left + j);
            const float next = step && y >= 0 && j + step < g.line ? pooled_number(g, x, row, left + j + step) : 0;
            patch[r * g.line + j] = Words::word(own, next);
        }
    }
}

#endif
