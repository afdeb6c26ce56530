/* conv_pool_dense.cu - the filter gradient of conv_pool.cu on tensor cores: for each cell of the pooling windows a product of the
 * numbers of x below it and of dy where that cell won, zero elsewhere. That is pool^2 times the products that conv_pool_taps.cu
 * makes, and yet less time, as tensor cores make them.
 *
 * Numbers of the filter are rows, channels columns, and the inner side runs over pooled outputs. dy and winners come from memory once
 * into registers and are masked there for each cell; only x is in shared memory.
 *
 * What bounds it, by estimate, for 512 x 32 x 32 x 3, 96 filters 3 x 3, windows of 3 at stride 2 on an H100: 69 MB of dy, winners
 * and x, 23 us; 7.2 GFLOP, some 18 us in bf16 and 25 us in tf32; a word of shared memory a product, 8 and 15 us; masks, 11 us. */
#include "conv_patch.h"

/* What a lane holds of a warp's sixteen outputs: four of them, four neighbouring channels each, as tensor cores take them. */
template <int PER> struct pooled_gradients {
    uint32_t word[4 / PER][4]; /* output or pair of them, channel */
    uint32_t winner[4];        /* a byte a channel */
};

/* Where outputs of a lane are: with one number to a word t, t + 4, t + 8, t + 12; with two 2t, 2t + 1, 2t + 8, 2t + 9. */
template <int PER> static __device__ __forceinline__ int pooled_output(int i)
{
    const int t = (int)threadIdx.x % 4;
    return PER == 1 ? t + 4 * i : 2 * t + i % 2 + i / 2 * 8;
}

struct __attribute__((aligned(16))) pooled_quad {
    float v[4];
};
struct __attribute__((aligned(8))) pooled_half_quad {
    hs_half v[4];
};

/* Four channels of one output, COUNT of which there are. */
static __device__ __forceinline__ void pooled_read(const hs_cuda_pooled &g, size_t at, int count, const void *dy, const uint8_t *winner,
                                                   float *v, uint32_t *winners)
{
    if (g.co % 4 == 0) {
        *winners = *reinterpret_cast<const uint32_t *>(winner + at);
        const pooled_half_quad half = g.half_y ? *reinterpret_cast<const pooled_half_quad *>(static_cast<const hs_half *>(dy) + at)
                                               : pooled_half_quad();
        const pooled_quad full = g.half_y ? pooled_quad() : *reinterpret_cast<const pooled_quad *>(static_cast<const float *>(dy) + at);
        HS_UNROLL
        for (int j = 0; j < 4; j++)
            v[j] = g.half_y ? hs_half_get(half.v[j]) : full.v[j];
        return;
    }
    HS_UNROLL
    for (int j = 0; j < 4; j++)
        if (j < count) {
            *winners = (*winners & ~(0xFFu << 8 * j)) | (uint32_t)winner[at + j] << 8 * j;
            v[j] = g.half_y ? hs_half_get(static_cast<const hs_half *>(dy)[at + j]) : static_cast<const float *>(dy)[at + j];
        }
}

static __device__ __forceinline__ bool pooled_won(uint32_t winners, int j, int cell)
{
    return (int)(winners >> 8 * j & 0xFF) == cell;
}

/* The lane's numbers from CHANNEL on; what lies outside has no winner. What passed is added to TOTAL [4]. */
template <typename Math>
static __device__ __forceinline__ void pooled_take(const hs_cuda_pooled &g, const pooled_spot &spot, int channel, const void *dy,
                                                   const uint8_t *winner, pooled_gradients<Math::PER> *own, float *total)
{
    float last[4] = {};
    HS_UNROLL
    for (int i = 0; i < 4; i++) {
        const int m = (int)threadIdx.x / 32 * 16 + pooled_output<Math::PER>(i), r = spot.row + m / g.tile_w, c = spot.col + m % g.tile_w;
        float v[4] = {};
        own->winner[i] = ~0u;
        if (r < g.ph && c < g.pw && channel < g.co)
            pooled_read(g, (((size_t)spot.sample * g.ph + r) * g.pw + c) * g.co + channel, g.co - channel, dy, winner, v,
                        &own->winner[i]);
        HS_UNROLL
        for (int j = 0; j < 4; j++) {
            total[j] += pooled_won(own->winner[i], j, HS_POOLED_BLOCKED) ? 0 : v[j];
            if (Math::PER == 1 || i % 2)
                own->word[i / Math::PER][j] = Math::word(Math::PER == 1 ? v[j] : last[j], v[j]);
            last[j] = v[j];
        }
    }
}

/* Row of the filter and number in it of row K of the product; the first where K is beyond the last. */
static __device__ __forceinline__ int pooled_tap_place(const hs_cuda_pooled &g, int k)
{
    const int width = g.kw * g.ci;
    return k < g.kh * width ? k / width * g.line + k % width : 0;
}

/* ACC [tiles][fragments][of D] += numbers of x at PATCH + PLACE (rows of the product) + BASE (outputs) times dy where CELL won. Column
 * n of fragment j is channel 4 n + j. */
template <int TILES, int PER>
static __device__ __forceinline__ void pooled_add(const uint32_t *patch, const int *base, const int *place,
                                                  const pooled_gradients<PER> &own, int cell, float (*acc)[4][4])
{
    HS_UNROLL
    for (int s = 0; s < 2 / PER; s++) {
        uint32_t right[4][2];
        HS_UNROLL
        for (int j = 0; j < 4; j++)
            HS_UNROLL
            for (int h = 0; h < 2; h++) {
                const uint32_t *won = own.winner + (2 * s + h) * PER;
                const uint32_t low = pooled_won(won[0], j, cell) ? (PER == 1 ? ~0u : 0xFFFFu) : 0;
                const uint32_t high = PER == 2 && pooled_won(won[PER - 1], j, cell) ? 0xFFFF0000u : 0;
                right[j][h] = own.word[2 * s + h][j] & (low | high);
            }
        HS_UNROLL
        for (int i = 0; i < TILES; i++) {
            uint32_t left[4];
            HS_UNROLL
            for (int w = 0; w < 4; w++)
                left[w] = patch[base[2 * s + w / 2] + place[2 * i + w % 2]];
            HS_UNROLL
            for (int j = 0; j < 4; j++) {
                if (PER == 1)
                    hs_mma_tf32(acc[i][j], left, right[j]);
                else
                    hs_mma_bf16(acc[i][j], left, right[j]);
            }
        }
    }
}

struct pooled_tf32_sums : pooled_tf32_words {
    enum { PER = 1 };
};
struct pooled_bf16_sums : pooled_bf16_words {
    enum { PER = 2 };
};

/* The four warps' sums into SUM [16 TILES][32], one after the other, sixteen numbers a lane at a time, so that few registers hold what
 * was read; below it a row for each warp, dy's own sums. */
template <int TILES> static __device__ __forceinline__ void pooled_gather(const float (*acc)[4][4], const float *total, float *sum)
{
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, own = (int)threadIdx.x / 32;
    HS_UNROLL
    for (int i = 0; i < TILES; i++) {
        POOLED_ROLLED
        for (int warp = 0; warp < HS_POOLED_THREADS / 32; warp++) {
            __syncthreads(); /* nobody reads the patch, or adds to these sums */
            if (warp != own)
                continue;
            HS_UNROLL
            for (int j = 0; j < 16; j++) {
                const int w = j % 4, row = 16 * i + 8 * (w / 2) + g;
                float *const to = sum + row * HS_POOLED_CHANNELS + 4 * (2 * t + w % 2) + j / 4;
                *to = (warp ? *to : 0) + acc[i][j / 4][w];
            }
        }
    }
    HS_UNROLL
    for (int j = 0; j < 4; j++)
        if (t == 0)
            sum[(16 * TILES + own) * HS_POOLED_CHANNELS + 4 * g + j] = total[j];
    __syncthreads();
}

/* What a block has summed up to its place in PARTIAL, in the order of taps. */
template <int TILES>
static __device__ __forceinline__ void pooled_put(const hs_cuda_pooled &g, int first, int channels, const float *sum, float *out)
{
    const int width = g.kw * g.ci;
    for (int i = (int)threadIdx.x; i < 16 * TILES * HS_POOLED_CHANNELS; i += HS_POOLED_THREADS) {
        const int k = first + i / HS_POOLED_CHANNELS, in = k % width, tap = k / width * g.kw + in / g.ci;
        const int channel = channels + i % HS_POOLED_CHANNELS;
        if (channel < g.co && k < g.kh * width)
            out[((size_t)(g.flip ? g.kh * g.kw - 1 - tap : tap) * g.ci + in % g.ci) * g.co + channel] = sum[i];
    }
    const int channel = channels + (int)threadIdx.x;
    const float *const own = sum + 16 * TILES * HS_POOLED_CHANNELS + threadIdx.x;
    if (first == 0 && threadIdx.x < HS_POOLED_CHANNELS && channel < g.co)
        out[(size_t)g.kh * width * g.co + channel] =
            own[0] + own[HS_POOLED_CHANNELS] + own[2 * HS_POOLED_CHANNELS] + own[3 * HS_POOLED_CHANNELS];
}

/* A block takes 32 channels and 16 TILES numbers of the filter, PARTIAL [blocks][kh*kw*ci + 1][co]. */
template <typename Math, int TILES>
static __global__ void __launch_bounds__(HS_POOLED_THREADS, 3)
    pooled_dense(hs_cuda_pooled g, int tiles, const void *x, const void *dy, const uint8_t *winner, float *partial)
{
    HS_SHARED(uint32_t, patch);
    const int lane = (int)threadIdx.x % 32, first = (int)blockIdx.z * 16 * TILES, channels = (int)blockIdx.y * HS_POOLED_CHANNELS;
    float acc[TILES][4][4] = {}, total[4] = {};
    int base[4 / Math::PER], place[2 * TILES];
    HS_UNROLL
    for (int i = 0; i < 4 / Math::PER; i++) {
        const int m = (int)threadIdx.x / 32 * 16 + pooled_output<Math::PER>(i * Math::PER);
        base[i] = m / g.tile_w * g.stride * g.line + m % g.tile_w * g.stride * g.ci;
    }
    HS_UNROLL
    for (int i = 0; i < 2 * TILES; i++)
        place[i] = pooled_tap_place(g, first + 8 * i + lane / 4);
    for (int tile = (int)blockIdx.x; tile < tiles; tile += (int)gridDim.x) {
        const pooled_spot spot = pooled_tile(g, tile);
        pooled_gradients<Math::PER> own;
        pooled_take<Math>(g, spot, channels + lane / 4 * 4, dy, winner, &own, total);
        __syncthreads(); /* nobody reads the last patch */
        pooled_fetch<Math>(g, spot, Math::PER == 2 ? g.stride * g.ci : 0, x, patch);
        __syncthreads();
        POOLED_ROLLED
        for (int cell = 0; cell < g.pool * g.pool; cell++)
            pooled_add<TILES, Math::PER>(patch + cell / g.pool * g.line + cell % g.pool * g.ci, base, place, own, cell, acc);
    }
    HS_UNROLL
    for (int j = 0; j < 4; j++) {
        total[j] += __shfl_xor_sync(~0u, total[j], 1);
        total[j] += __shfl_xor_sync(~0u, total[j], 2);
    }
    float *const sum = reinterpret_cast<float *>(patch);
    pooled_gather<TILES>(acc, total, sum);
    pooled_put<TILES>(g, first, channels, sum, partial + (size_t)blockIdx.x * (g.kh * g.kw * g.ci + 1) * g.co);
}

template <typename Math, int TILES>
static cudaError_t start_dense(cudaStream_t s, const hs_cuda_pooled &g, int tiles, int blocks, const void *x, const void *dy,
                               const uint8_t *winner, float *partial)
{
    const auto pooled_dense_kernel = pooled_dense<Math, TILES>;
    const int rows = 16 * TILES, parts = (g.kh * g.kw * g.ci + rows - 1) / rows;
    const dim3 grid((unsigned)blocks, (unsigned)g.chunks, (unsigned)parts);
    const size_t patch = (size_t)g.rows * g.line, sums = (size_t)(rows + HS_POOLED_THREADS / 32) * HS_POOLED_CHANNELS;
    return HS_LAUNCH_TOGETHER(pooled_dense_kernel, grid, HS_POOLED_THREADS, (patch > sums ? patch : sums) * sizeof(float), s, g, tiles, x, dy,
                              winner, partial);
}

cudaError_t hs_cuda_pooled_dense(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int tiles, int blocks, const void *x,
                                 const void *dy, const uint8_t *winner, float *partial)
{
    if (hs_cuda_pooled_rows(&g) == 32)
        return math == HS_CUDA_BF16 ? start_dense<pooled_bf16_sums, 2>(s, g, tiles, blocks, x, dy, winner, partial)
                                    : start_dense<pooled_tf32_sums, 2>(s, g, tiles, blocks, x, dy, winner, partial);
    return math == HS_CUDA_BF16 ? start_dense<pooled_bf16_sums, 5>(s, g, tiles, blocks, x, dy, winner, partial)
                                : start_dense<pooled_tf32_sums, 5>(s, g, tiles, blocks, x, dy, winner, partial);
}
