/* conv_rows.cu - rows of a convolution: every row of y is gathered numbers of x times packed taps (forward), every row of dx
 * gathered numbers of dy times packed transposed taps (data gradient). An implicit product: windows exist only in shared memory.
 *
 * The inner side runs over the places of a plan's table, 16 or 32 to a slice. Packed taps are [places][padded columns], zero where
 * there is nothing, so that their tile is copied without questions; a slice of channels goes through all taps before the next
 * (the host orders the table so), which leaves what neighbouring taps share in the first-level cache. */
#include "conv_tile.h"

static __device__ __forceinline__ float tap_of(const hs_cuda_gather &g, const hs_cuda_place &p, int column, int columns,
                                               const float *taps)
{
    /* taps are [tap][ci][co]: gathered channels are ci forward, co in the data gradient */
    const size_t at = g.transposed ? ((size_t)p.tap * columns + column) * g.channels + p.channel
                                   : ((size_t)p.tap * g.channels + p.channel) * columns + column;
    return p.channel >= 0 && column < columns ? taps[at] : 0;
}

static __global__ void pack_taps(hs_cuda_gather g, size_t count, int columns, int padded, const hs_cuda_place *place,
                                 const float *taps, float *packed)
{
    HS_EACH (i, count)
        packed[i] = tap_of(g, place[i / padded], (int)(i % padded), columns, taps);
}

static __global__ void pack_pairs(hs_cuda_gather g, size_t count, int columns, int padded, const hs_cuda_place *place,
                                  const float *taps, uint32_t *packed)
{
    HS_EACH (i, count) {
        const hs_cuda_place *pair = place + 2 * (i / padded);
        const int column = (int)(i % padded);
        packed[i] = hs_to_bf16(tap_of(g, pair[0], column, columns, taps), tap_of(g, pair[1], column, columns, taps));
    }
}

/* A slice of places for all rows of the tile, UNIT neighbours at a time. */
template <typename Math, int UNIT>
static __device__ __forceinline__ void fetch_units(const hs_cuda_gather &g, int first, const hs_cuda_place *place,
                                                   const typename Math::number *from, const hs_spots &spots,
                                                   typename Math::number *tile)
{
    enum { ACROSS = Math::DEPTH / UNIT };
    const int k = threadIdx.x % ACROSS * UNIT;
    const hs_cuda_place p = place[first + k];
    HS_UNROLL
    for (int i = 0; i < TILE_M * ACROSS / TILE_THREADS; i++) {
        const int m = threadIdx.x / ACROSS + TILE_THREADS / ACROSS * i;
        hs_fetch<UNIT>(tile + m * Math::rows::LINE + k, hs_gathered(g, from, spots.sample[m], spots.y[m], spots.x[m], p), from);
    }
}

template <typename Math>
static __device__ __forceinline__ void fetch_rows(const hs_cuda_gather &g, int first, const hs_cuda_place *place,
                                                  const typename Math::number *from, const hs_spots &spots,
                                                  typename Math::number *tile)
{
    enum { LINE = 16 / sizeof(typename Math::number) };
    if (g.channels % LINE == 0)
        fetch_units<Math, LINE>(g, first, place, from, spots, tile);
    else if (LINE > 4 && g.channels % 4 == 0)
        fetch_units<Math, 4>(g, first, place, from, spots, tile);
    else
        fetch_units<Math, 1>(g, first, place, from, spots, tile);
}

/* Packed taps lie in lines of so many bytes as they do here, but for what is added at the end: DEPTH of them, or, with two numbers in a
 * word, half as many of twice as many. */
template <typename Math, int NI>
static __device__ __forceinline__ void fetch_packed(int first, int padded, int column, const typename Math::number *packed,
                                                    typename Math::number *tile)
{
    enum { LINE = hs_tile<Math, NI>::LINE_B, N = hs_tile<Math, NI>::N, PER = 4 / sizeof(typename Math::number), UNIT = 4 * PER };
    HS_UNROLL
    for (int i = threadIdx.x; i < Math::DEPTH / PER * N / 4; i += TILE_THREADS) {
        const int k = i / (N / 4), n = i % (N / 4) * 4;
        hs_copy<16>(tile + (k * LINE + n) * PER, packed + ((size_t)(first / PER + k) * padded + column + n) * PER, true);
    }
    static_assert(UNIT * sizeof(typename Math::number) == 16, "a copy is of four words");
}

/* Two neighbours of a row of y. */
static __device__ __forceinline__ void put_two(bool has_low, bool has_high, bool together, float low, float high, float *to)
{
    if (has_high && together)
        *reinterpret_cast<hs_two *>(to) = {low, high};
    else if (has_low)
        to[0] = low;
    if (has_high && !together)
        to[1] = high;
}

static __device__ __forceinline__ void put_two(bool has_low, bool has_high, bool together, float low, float high, hs_half *to)
{
    const uint32_t both = hs_to_bf16(low, high);
    if (has_high && together)
        *reinterpret_cast<uint32_t *>(to) = both;
    else if (has_low)
        to[0].bits = (uint16_t)both;
    if (has_high && !together)
        to[1].bits = (uint16_t)(both >> 16);
}

/* Bias, rectifier and its mask (a bit a number, bytes of eight columns [rows][(columns + 7) / 8]) on the way out. A number that
 * is not one passes, so that it is seen. All lanes come here, as four of them share a byte. */
static __device__ __forceinline__ void finish(int row, int rows, int column, int columns, float low, float high, const float *bias,
                                              bool half_y, void *y, uint8_t *mask)
{
    const bool has_low = row < rows && column < columns, has_high = row < rows && column + 1 < columns;
    if (bias) {
        low += has_low ? bias[column] : 0;
        high += has_high ? bias[column + 1] : 0;
    }
    if (mask) {
        unsigned bits = (unsigned)(has_low && !(low <= 0)) << column % 8 | (unsigned)(has_high && !(high <= 0)) << (column + 1) % 8;
        bits |= __shfl_xor_sync(~0u, bits, 1);
        bits |= __shfl_xor_sync(~0u, bits, 2);
        if (threadIdx.x % 4 == 0 && has_low)
            mask[(size_t)row * ((columns + 7) / 8) + column / 8] = (uint8_t)bits;
        low = low < 0 ? 0 : low;
        high = high < 0 ? 0 : high;
    }
    const size_t at = (size_t)row * columns + column;
    if (half_y)
        put_two(has_low, has_high, columns % 2 == 0, low, high, static_cast<hs_half *>(y) + at);
    else
        put_two(has_low, has_high, columns % 2 == 0, low, high, static_cast<float *>(y) + at);
}

template <typename Math, int NI>
static __global__ void __launch_bounds__(TILE_THREADS)
    conv_rows(hs_cuda_gather g, int rows, int columns, int padded, const hs_cuda_place *place, const typename Math::number *from,
              const typename Math::number *packed, const float *bias, bool half_y, void *y, uint8_t *mask)
{
    typedef hs_tile<Math, NI> tile;
    typedef typename Math::rows lines;
    typedef typename Math::number number;
    enum { STAGES = Math::STAGES };
    HS_SHARED(number, room);
    number *const b_room = room + STAGES * lines::NUMBERS;
    int *const ints = reinterpret_cast<int *>(b_room + STAGES * tile::NUMBERS_B);
    const hs_spots spots = {ints, ints + TILE_M, ints + 2 * TILE_M};
    const int across = padded / tile::N, column = (int)(blockIdx.x % across) * tile::N, row = (int)(blockIdx.x / across) * TILE_M;
    const int slices = g.places / Math::DEPTH, warp = threadIdx.x / 32, m0 = warp / 2 * WARP_M, n0 = warp % 2 * 8 * NI;
    float acc[FRAGMENTS_M][NI][4] = {};
    spots.put(g, threadIdx.x, row + (int)threadIdx.x, rows);
    __syncthreads();
    for (int s = 1 - STAGES; s < slices; s++) {
        if (s >= 0) {
            hs_copy_wait<STAGES - 2>();
            __syncthreads(); /* slice s is here, and nobody reads what s - 1 was multiplied from */
        }
        if (s + STAGES - 1 < slices) {
            const int next = (s + STAGES - 1) % STAGES, first = (s + STAGES - 1) * Math::DEPTH;
            fetch_rows<Math>(g, first, place, from, spots, room + next * lines::NUMBERS);
            fetch_packed<Math, NI>(first, padded, column, packed, b_room + next * tile::NUMBERS_B);
        }
        hs_copy_group(); /* one a slice, so that STAGES - 2 of them are the slices behind s */
        if (s >= 0)
            Math::template multiply<lines, NI>(room + s % STAGES * lines::NUMBERS, b_room + s % STAGES * tile::NUMBERS_B, m0, n0, acc);
    }
    const int r = row + m0 + (int)threadIdx.x % 32 / 4, c = column + n0 + (int)threadIdx.x % 4 * 2;
    HS_UNROLL
    for (int i = 0; i < FRAGMENTS_M; i++)
        HS_UNROLL
        for (int j = 0; j < NI; j++) {
            finish(r + 16 * i, rows, c + 8 * j, columns, acc[i][j][0], acc[i][j][1], bias, half_y, y, mask);
            finish(r + 16 * i + 8, rows, c + 8 * j, columns, acc[i][j][2], acc[i][j][3], bias, half_y, y, mask);
        }
}

template <typename Math, int NI>
static cudaError_t start_rows(cudaStream_t s, const hs_cuda_gather &g, int rows, int columns, const hs_cuda_place *place,
                              const void *from, const void *packed, const float *bias, bool half_y, void *y, uint8_t *mask)
{
    typedef typename Math::number number;
    const auto conv_rows_kernel = conv_rows<Math, NI>;
    const int padded = hs_cuda_padded(columns);
    const unsigned blocks = (unsigned)((rows + TILE_M - 1) / TILE_M * (padded / (16 * NI)));
    if (rows == 0)
        return hs_tile_prepare(conv_rows_kernel, hs_tile<Math, NI>::BY_ROW);
    return HS_LAUNCH_TOGETHER(conv_rows_kernel, blocks, TILE_THREADS, (hs_tile<Math, NI>::BY_ROW), s, g, rows, columns, padded, place,
                              static_cast<const number *>(from), static_cast<const number *>(packed), bias, half_y, y, mask);
}

template <int NI>
static cudaError_t start_math(cudaStream_t s, hs_cuda_math math, const hs_cuda_gather &g, int rows, int columns,
                              const hs_cuda_place *place, const void *from, const void *packed, const float *bias, bool half_y, void *y,
                              uint8_t *mask)
{
    return g.half                 ? start_rows<hs_half_math, NI>(s, g, rows, columns, place, from, packed, bias, half_y, y, mask)
           : math == HS_CUDA_BF16 ? start_rows<hs_bf16_math, NI>(s, g, rows, columns, place, from, packed, bias, half_y, y, mask)
           : math == HS_CUDA_TF32 ? start_rows<hs_tf32_math, NI>(s, g, rows, columns, place, from, packed, bias, half_y, y, mask)
                                  : start_rows<hs_plain_math, NI>(s, g, rows, columns, place, from, packed, bias, half_y, y, mask);
}

cudaError_t hs_cuda_conv_rows(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int columns, const hs_cuda_place *place,
                              const void *from, const void *packed, const float *bias, bool half_y, void *y, uint8_t *mask)
{
    const int rows = n * g.side_h * g.side_w;
    return hs_cuda_tile_width(columns) == 96
               ? start_math<6>(s, math, g, rows, columns, place, from, packed, bias, half_y, y, mask)
               : start_math<4>(s, math, g, rows, columns, place, from, packed, bias, half_y, y, mask);
}

cudaError_t hs_cuda_pack_taps(cudaStream_t s, hs_cuda_gather g, int columns, const hs_cuda_place *place, const float *taps,
                              void *packed)
{
    const int padded = hs_cuda_padded(columns);
    const size_t count = (size_t)g.places / (g.half ? 2 : 1) * padded;
    return g.half ? HS_LAUNCH(pack_pairs, hs_blocks(count), HS_BLOCK, 0, s, g, count, columns, padded, place, taps, (uint32_t *)packed)
                  : HS_LAUNCH(pack_taps, hs_blocks(count), HS_BLOCK, 0, s, g, count, columns, padded, place, taps, (float *)packed);
}
