/* conv_pool.cu - convolution of few channels, rectifier and max pooling in one pass: the map in between, many times as large as what
 * goes in and out, is never in memory.
 *
 * It is a product: pooled outputs are rows, filters columns, and the inner side runs over a window's numbers of x. A lane of a
 * fragment of m16n8 (mma.h) owns the same outputs whatever cell of their pooling windows is computed, so the greatest of a window
 * is found in registers, without a word between threads: every cell of every window is computed for itself, (pool / stride)^2
 * times as many as there are, 2.25 for windows of 3 at stride 2. That work is cheaper than the exchange would be.
 *
 * What bounds it, by estimate, for 512 x 32 x 32 x 3, 96 filters 3 x 3, windows of 3 at stride 2 on an H100: 63 MB of outputs and
 * winners, 21 us; 7.2 GFLOP filled up, some 20 us in bf16 and 30 us in tf32; 1.7 words of shared memory a product, 13 and 26 us;
 * the comparisons, three instructions a number, 12 us. All of that runs side by side. In fp32 the products take 100 us. */
#include "conv_patch.h"

/* Where number K of the inner side lies behind a window's first number, and which of its bits count: none where the inner side is
 * filled up, half of them for the last of an odd row in bf16. The filter has zeros there, but zero times infinity is none. */
struct __attribute__((aligned(8))) pooled_place {
    int at;
    uint32_t mask;
};
struct __attribute__((aligned(8))) pooled_pair {
    uint32_t low, high;
};
struct __attribute__((aligned(16))) pooled_four {
    uint32_t v[4];
};

/* What a lane has found: outputs g and g + 8 of its warp, eight channels each. */
struct pooled_best {
    float value[2][8];
    int winner[2][8];
};

/* ---- products ------------------------------------------------------------------------------------------------------------------ */

/* ACC [cell][fragment][of D] += AHEAD neighbouring cells of the windows at BASE [2] times the filters of 32 channels. Column n of
 * fragment j is channel 8 (n / 2) + 2 j + n % 2, so that a lane has eight neighbours in the end. */
template <int PER> struct pooled_tensor {
    static __device__ __forceinline__ void multiply_one(float *d, const uint32_t *a, const uint32_t *b)
    {
        if (PER == 1)
            hs_mma_tf32(d, a, b);
        else
            hs_mma_bf16(d, a, b);
    }
    template <int AHEAD>
    static __device__ __forceinline__ void multiply(const uint32_t *patch, const int *base, int step, int depth,
                                                    const pooled_place *place, const uint32_t *filters, float (*acc)[4][4])
    {
        const int lane = (int)threadIdx.x % 32, t = lane % 4;
        POOLED_ROLLED
        for (int k = 0; k < depth; k += 8 * PER) {
            const pooled_place near = place[k + PER * t], far = place[k + PER * (t + 4)];
            uint32_t left[AHEAD][4];
            HS_UNROLL
            for (int i = 0; i < AHEAD; i++)
                HS_UNROLL
                for (int h = 0; h < 2; h++) {
                    left[i][h] = patch[base[h] + i * step + near.at] & near.mask;
                    left[i][2 + h] = patch[base[h] + i * step + far.at] & far.mask;
                }
            HS_UNROLL
            for (int j = 0; j < 4; j++) {
                const pooled_pair two = *reinterpret_cast<const pooled_pair *>(filters + (k / (8 * PER) * 4 + j) * 64 + lane * 2);
                const uint32_t right[2] = {two.low, two.high};
                HS_UNROLL
                for (int i = 0; i < AHEAD; i++)
                    multiply_one(acc[i][j], left[i], right);
            }
        }
    }
};

struct pooled_tf32 : pooled_tensor<1>, pooled_tf32_words {
    enum { PER = 1 };
};
struct pooled_bf16 : pooled_tensor<2>, pooled_bf16_words {
    enum { PER = 2 };
};

struct pooled_plain : pooled_plain_words { /* the same owners; filters lie [depth][32] */
    enum { PER = 1 };
    template <int AHEAD>
    static __device__ __forceinline__ void multiply(const uint32_t *patch, const int *base, int step, int depth,
                                                    const pooled_place *place, const uint32_t *filters, float (*acc)[4][4])
    {
        const int t = (int)threadIdx.x % 4;
        POOLED_ROLLED
        for (int k = 0; k < depth; k++) {
            const pooled_place p = place[k];
            if (!p.mask)
                continue;
            const pooled_four *right = reinterpret_cast<const pooled_four *>(filters + k * HS_POOLED_CHANNELS + 8 * t);
            const pooled_four low = right[0], high = right[1];
            HS_UNROLL
            for (int i = 0; i < AHEAD; i++)
                HS_UNROLL
                for (int h = 0; h < 2; h++) {
                    const float left = hs_number(patch[base[h] + i * step + p.at]);
                    HS_UNROLL
                    for (int c = 0; c < 8; c++)
                        acc[i][c / 2][2 * h + c % 2] += left * hs_number(c < 4 ? low.v[c % 4] : high.v[c % 4]);
                }
        }
    }
};

/* ---- a warp's sixteen outputs ---------------------------------------------------------------------------------------------------- */

/* A NaN is greater than anything, so that it is not lost, and the first in row order wins a tie. */
static __device__ __forceinline__ void pooled_meet(float v, int cell, bool inside, float *best, int *winner)
{
    const bool wins = inside && !(v <= *best) && *best == *best;
    *best = wins ? v : *best;
    *winner = wins ? cell : *winner;
}

template <typename Math, int AHEAD>
static __device__ __forceinline__ void pooled_search(const hs_cuda_pooled &g, const int *base, const int *row, const int *col,
                                                     const uint32_t *patch, const pooled_place *place, const uint32_t *filters,
                                                     pooled_best *best)
{
    POOLED_ROLLED
    for (int y = 0; y < g.pool; y++)
        for (int x = 0; x < g.pool; x += AHEAD) {
            float acc[AHEAD][4][4] = {};
            Math::template multiply<AHEAD>(patch + y * g.line + x * g.ci, base, g.ci, g.depth, place, filters, acc);
            HS_UNROLL
            for (int i = 0; i < AHEAD; i++)
                HS_UNROLL
                for (int h = 0; h < 2; h++) {
                    const bool inside = (unsigned)(row[h] + y) < (unsigned)g.oh && (unsigned)(col[h] + x + i) < (unsigned)g.ow;
                    HS_UNROLL
                    for (int c = 0; c < 8; c++)
                        pooled_meet(acc[i][c / 2][2 * h + c % 2], y * g.pool + x + i, inside, &best->value[h][c],
                                    &best->winner[h][c]);
                }
        }
}

/* Bias and rectifier for eight neighbouring channels. Where the bias alone is no number all of a window are equal: the first wins. */
static __device__ __forceinline__ void pooled_finish(const float *bias, int channel, int co, int first, float *value, int *winner)
{
    HS_UNROLL
    for (int c = 0; c < 8; c++) {
        const float v = value[c] + (bias && channel + c < co ? bias[channel + c] : 0);
        winner[c] = v != v && value[c] == value[c] ? first : v <= 0 ? (int)HS_POOLED_BLOCKED : winner[c];
        value[c] = v <= 0 ? 0 : v;
    }
}

static __device__ __forceinline__ void pooled_store(bool half, size_t at, int count, bool whole, const float *value,
                                                    const int *winner, void *y, uint8_t *to)
{
    if (!whole) {
        HS_UNROLL
        for (int c = 0; c < 8; c++)
            if (c < count) {
                if (half)
                    hs_half_put(value[c], static_cast<hs_half *>(y) + at + c);
                else
                    static_cast<float *>(y)[at + c] = value[c];
                to[at + c] = (uint8_t)winner[c];
            }
        return;
    }
    uint32_t bytes[2] = {0, 0};
    HS_UNROLL
    for (int c = 0; c < 8; c++)
        bytes[c / 4] |= (uint32_t)winner[c] << c % 4 * 8;
    *reinterpret_cast<pooled_pair *>(to + at) = {bytes[0], bytes[1]};
    if (half) {
        *reinterpret_cast<pooled_four *>(static_cast<hs_half *>(y) + at) = {{hs_to_bf16(value[0], value[1]), hs_to_bf16(value[2], value[3]),
                                                                            hs_to_bf16(value[4], value[5]), hs_to_bf16(value[6], value[7])}};
        return;
    }
    HS_UNROLL
    for (int c = 0; c < 8; c += 4)
        *reinterpret_cast<pooled_four *>(static_cast<float *>(y) + at + c) = {
            {pooled_plain_words::word(value[c], 0), pooled_plain_words::word(value[c + 1], 0),
             pooled_plain_words::word(value[c + 2], 0), pooled_plain_words::word(value[c + 3], 0)}};
}

/* The outputs of a warp, 32 channels from CHANNEL on. */
template <typename Math, int AHEAD>
static __device__ __forceinline__ void pooled_outputs(const hs_cuda_pooled &g, const pooled_spot &spot, int channel,
                                                      const uint32_t *patch, const pooled_place *place, const uint32_t *filters,
                                                      const float *bias, void *y, uint8_t *winner)
{
    const int lane = (int)threadIdx.x % 32, m = (int)threadIdx.x / 32 * 16 + lane / 4, own = channel + lane % 4 * 8;
    int base[2], row[2], col[2];
    pooled_best best;
    HS_UNROLL
    for (int h = 0; h < 2; h++) {
        const int r = (m + 8 * h) / g.tile_w, c = (m + 8 * h) % g.tile_w;
        base[h] = r * g.stride * g.line + c * g.stride * g.ci;
        row[h] = (spot.row + r) * g.stride - g.pad;
        col[h] = (spot.col + c) * g.stride - g.pad;
        HS_UNROLL
        for (int j = 0; j < 8; j++) {
            best.value[h][j] = -INFINITY;
            best.winner[h][j] = HS_POOLED_BLOCKED;
        }
    }
    pooled_search<Math, AHEAD>(g, base, row, col, patch, place, filters, &best);
    HS_UNROLL
    for (int h = 0; h < 2; h++) {
        const int r = spot.row + (m + 8 * h) / g.tile_w, c = spot.col + (m + 8 * h) % g.tile_w;
        if (r >= g.ph || c >= g.pw || own >= g.co)
            continue;
        const int first = (row[h] < 0 ? -row[h] : 0) * g.pool + (col[h] < 0 ? -col[h] : 0);
        const size_t at = (((size_t)spot.sample * g.ph + r) * g.pw + c) * g.co + own;
        pooled_finish(bias, own, g.co, first, best.value[h], best.winner[h]);
        pooled_store(g.half_y, at, g.co - own, g.co % 8 == 0, best.value[h], best.winner[h], y, winner);
    }
}

/* ---- kernels ----------------------------------------------------------------------------------------------------------------------- */

template <typename Math> static __device__ __forceinline__ void pooled_places(const hs_cuda_pooled &g, pooled_place *place)
{
    const int width = g.kw * g.ci;
    for (int k = (int)threadIdx.x; k < g.depth; k += HS_POOLED_THREADS) {
        const int row = k / g.run, in = k % g.run;
        const bool some = row < g.kh && in < width, both = Math::PER == 1 || in + 1 < width;
        place[k] = {some ? row * g.line + in : 0, !some ? 0 : both ? ~0u : 0xFFFFu};
    }
}

/* Blocks keep the filters of their channels and go from tile to tile. */
template <typename Math, int AHEAD>
static __global__ void __launch_bounds__(HS_POOLED_THREADS, 3)
    pooled_forward(hs_cuda_pooled g, int tiles, const void *x, const uint32_t *packed, const float *bias, void *y, uint8_t *winner)
{
    HS_SHARED(uint32_t, room);
    const int words = g.words, first = (int)blockIdx.y * g.together;
    const int chunks = g.chunks - first < g.together ? g.chunks - first : g.together;
    pooled_place *const place = reinterpret_cast<pooled_place *>(room + g.together * words);
    uint32_t *const patch = reinterpret_cast<uint32_t *>(place + g.depth);
    for (int i = (int)threadIdx.x * 4; i < chunks * words; i += HS_POOLED_THREADS * 4)
        hs_copy<16>(room + i, packed + (size_t)first * words + i, true);
    hs_copy_group();
    pooled_places<Math>(g, place);
    hs_copy_wait<0>();
    for (int tile = (int)blockIdx.x; tile < tiles; tile += (int)gridDim.x) {
        const pooled_spot spot = pooled_tile(g, tile);
        __syncthreads(); /* nobody reads the last patch */
        pooled_fetch<Math>(g, spot, Math::PER - 1, x, patch);
        __syncthreads();
        if (spot.row + (int)threadIdx.x / 32 * 16 / g.tile_w >= g.ph) /* all of the warp's lie below the map */
            continue;
        for (int i = 0; i < chunks; i++)
            pooled_outputs<Math, AHEAD>(g, spot, (first + i) * HS_POOLED_CHANNELS, patch, place, room + i * words, bias, y, winner);
    }
}

/* Tap (k, column) of the inner side: zero where it is filled up. */
static __device__ float pooled_tap(const hs_cuda_pooled &g, int k, int channel, const float *taps)
{
    const int row = k / g.run, in = k % g.run, tap = row * g.kw + in / g.ci;
    if (row >= g.kh || in >= g.kw * g.ci || channel >= g.co)
        return 0;
    return taps[((size_t)(g.flip ? g.kh * g.kw - 1 - tap : tap) * g.ci + in % g.ci) * g.co + channel];
}

static __global__ void pooled_pack(hs_cuda_math math, hs_cuda_pooled g, const float *taps, uint32_t *packed)
{
    const int words = g.words, per = math == HS_CUDA_BF16 ? 2 : 1;
    HS_EACH (i, (size_t)g.chunks * words) {
        const int chunk = (int)(i / words), at = (int)(i % words);
        if (math == HS_CUDA_PLAIN) {
            packed[i] = pooled_plain_words::word(
                pooled_tap(g, at / HS_POOLED_CHANNELS, chunk * HS_POOLED_CHANNELS + at % HS_POOLED_CHANNELS, taps), 0);
            continue;
        }
        const int lane = at / 2 % 32, j = at / 64 % 4, n = lane / 4, k = at / 256 * 8 * per + per * (lane % 4 + at % 2 * 4);
        const int channel = chunk * HS_POOLED_CHANNELS + n / 2 * 8 + 2 * j + n % 2;
        const float low = pooled_tap(g, k, channel, taps);
        packed[i] = per == 2 ? hs_to_bf16(low, pooled_tap(g, k + 1, channel, taps)) : hs_to_tf32(low);
    }
}

template <typename Math, int AHEAD>
static cudaError_t start_pooled(cudaStream_t s, const hs_cuda_pooled &g, int n, int blocks, const void *x, const uint32_t *packed,
                                const float *bias, void *y, uint8_t *winner)
{
    const auto pooled_forward_kernel = pooled_forward<Math, AHEAD>;
    const int tiles = hs_cuda_pooled_tiles(&g, n);
    const dim3 grid((unsigned)(tiles < blocks ? tiles : blocks), (unsigned)((g.chunks + g.together - 1) / g.together));
    return HS_LAUNCH_TOGETHER(pooled_forward_kernel, grid, HS_POOLED_THREADS, hs_cuda_pooled_shared(&g, g.together), s, g,
                              tiles, x, packed, bias, y, winner);
}

template <typename Math>
static cudaError_t start_pooled_math(cudaStream_t s, const hs_cuda_pooled &g, int n, int blocks, const void *x,
                                     const uint32_t *packed, const float *bias, void *y, uint8_t *winner)
{
    return g.pool == 3   ? start_pooled<Math, 3>(s, g, n, blocks, x, packed, bias, y, winner)
           : g.pool == 2 ? start_pooled<Math, 2>(s, g, n, blocks, x, packed, bias, y, winner)
                         : start_pooled<Math, 1>(s, g, n, blocks, x, packed, bias, y, winner);
}

cudaError_t hs_cuda_pooled_forward(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int n, int blocks, const void *x,
                                   const uint32_t *packed, const float *bias, void *y, uint8_t *winner)
{
    return math == HS_CUDA_BF16   ? start_pooled_math<pooled_bf16>(s, g, n, blocks, x, packed, bias, y, winner)
           : math == HS_CUDA_TF32 ? start_pooled_math<pooled_tf32>(s, g, n, blocks, x, packed, bias, y, winner)
                                  : start_pooled_math<pooled_plain>(s, g, n, blocks, x, packed, bias, y, winner);
}

cudaError_t hs_cuda_pooled_pack(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, const float *taps, uint32_t *packed)
{
    const size_t count = (size_t)g.chunks * g.words;
    return HS_LAUNCH(pooled_pack, hs_blocks(count), HS_BLOCK, 0, s, math, g, taps, packed);
}
