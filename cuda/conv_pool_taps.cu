/* conv_pool_taps.cu - the filter gradient of conv_pool.cu from the POOLED gradient: an output adds dy times the numbers of x below the
 * cell that won, so that neither the map nor its gradient is ever in memory.
 *
 * A lane is a channel, a warp up to sixteen neighbouring numbers of one row of the filter, whose sums it keeps in registers; where
 * its neighbours' winners lie differs from lane to lane, so every product reads its own word of the patch in shared memory. That
 * is a quarter of the dense gradient's products at stride 2, and none is made for what the rectifier stopped.
 *
 * What bounds it, by estimate, for 512 x 32 x 32 x 3, 96 filters 3 x 3, windows of 3 at stride 2 on an H100: 340 million products, a
 * word of shared memory each: 50 to 60 us. dy, winners and x are 69 MB, 23 us. */
#include "columns.h"
#include "conv_patch.h"

/* Sums of one lane: RUN numbers of a row of the filter, and dy itself. */
struct pooled_sums {
    float tap[HS_POOLED_RUN], dy;
};

/* All outputs of a tile. CELL [pool*pool]: where a window's numbers lie in the patch. */
static __device__ __forceinline__ void pooled_scatter(const hs_cuda_pooled &g, const pooled_spot &spot, int channel, int count,
                                                      const float *patch, const int *cell, const void *dy, const uint8_t *winner,
                                                      pooled_sums *sums)
{
    for (int m = 0; m < HS_POOLED_TILE; m++) {
        const int r = m / g.tile_w, c = m % g.tile_w;
        if (spot.row + r >= g.ph || spot.col + c >= g.pw)
            continue;
        const size_t at = (((size_t)spot.sample * g.ph + spot.row + r) * g.pw + spot.col + c) * g.co + channel;
        const int own = winner[at];
        if (own == HS_POOLED_BLOCKED)
            continue;
        const float v = g.half_y ? hs_half_get(static_cast<const hs_half *>(dy)[at]) : static_cast<const float *>(dy)[at];
        const float *from = patch + r * g.stride * g.line + c * g.stride * g.ci + cell[own];
        sums->dy += v;
        HS_UNROLL
        for (int j = 0; j < HS_POOLED_RUN; j++)
            if (j < count)
                sums->tap[j] += v * from[j];
    }
}

/* A block takes 32 channels and four parts of the filter, PARTIAL [blocks][kh*kw*ci + 1][co]. */
static __global__ void __launch_bounds__(HS_POOLED_THREADS)
    pooled_sparse(hs_cuda_pooled g, int tiles, const void *x, const void *dy, const uint8_t *winner, float *partial)
{
    HS_SHARED(uint32_t, patch);
    int *const cell = reinterpret_cast<int *>(patch + g.rows * g.line);
    const int width = g.kw * g.ci, per = (width + HS_POOLED_RUN - 1) / HS_POOLED_RUN;
    const int part = (int)blockIdx.z * (HS_POOLED_THREADS / 32) + (int)threadIdx.x / 32, row = part / per;
    const int first = part % per * HS_POOLED_RUN, count = width - first < HS_POOLED_RUN ? width - first : (int)HS_POOLED_RUN;
    const int channel = (int)blockIdx.y * HS_POOLED_CHANNELS + (int)threadIdx.x % 32;
    const bool busy = row < g.kh && channel < g.co;
    pooled_sums sums = {};
    for (int i = (int)threadIdx.x; i < g.pool * g.pool; i += HS_POOLED_THREADS)
        cell[i] = i / g.pool * g.line + i % g.pool * g.ci;
    for (int tile = (int)blockIdx.x; tile < tiles; tile += (int)gridDim.x) {
        const pooled_spot spot = pooled_tile(g, tile);
        __syncthreads(); /* nobody reads the last patch */
        pooled_fetch<pooled_plain_words>(g, spot, 0, x, patch);
        __syncthreads();
        if (busy)
            pooled_scatter(g, spot, channel, count, reinterpret_cast<const float *>(patch) + row * g.line + first, cell, dy, winner,
                           &sums);
    }
    if (!busy)
        return;
    float *const out = partial + (size_t)blockIdx.x * (g.kh * width + 1) * g.co + channel;
    HS_UNROLL
    for (int j = 0; j < HS_POOLED_RUN; j++) {
        const int in = first + j, tap = row * g.kw + in / g.ci;
        if (j < count)
            out[(size_t)((g.flip ? g.kh * g.kw - 1 - tap : tap) * g.ci + in % g.ci) * g.co] = sums.tap[j];
    }
    if (part == 0)
        out[(size_t)g.kh * width * g.co] = sums.dy;
}

/* ---- the blocks' sums, in order -------------------------------------------------------------------------------------------------- */

static __global__ void pooled_total(int count, int taps, int spans, const float *partial, float *dtaps, float *dbias)
{
    HS_SHARED(double, room);
    int i;
    double sum;
    if (!hs_column_total(partial, spans, (size_t)count, count, room, &i, &sum))
        return;
    if (i < taps)
        dtaps[i] = (float)sum;
    else if (dbias)
        dbias[i - taps] = (float)sum;
}

cudaError_t hs_cuda_pooled_sparse(cudaStream_t s, hs_cuda_pooled g, int tiles, int blocks, const void *x, const void *dy,
                                  const uint8_t *winner, float *partial)
{
    const int warps = HS_POOLED_THREADS / 32;
    const dim3 grid((unsigned)blocks, (unsigned)g.chunks, (unsigned)((hs_cuda_pooled_parts(&g) + warps - 1) / warps));
    const size_t shared = ((size_t)g.rows * g.line + (size_t)g.pool * g.pool) * sizeof(float);
    return HS_LAUNCH_TOGETHER(pooled_sparse, grid, HS_POOLED_THREADS, shared, s, g, tiles, x, dy, winner, partial);
}

cudaError_t hs_cuda_pooled_total(cudaStream_t s, hs_cuda_pooled g, int blocks, const float *partial, float *dtaps, float *dbias)
{
    const int taps = g.kh * g.kw * g.ci * g.co, count = taps + g.co;
    return HS_LAUNCH_TOGETHER(pooled_total, hs_total_grid(count, 1), HS_COL_BLOCK, HS_COL_SHARED, s, count, taps, blocks, partial, dtaps, dbias);
}
