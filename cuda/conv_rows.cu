/* conv_rows.cu - rows of a convolution: every row of y is gathered numbers of x times packed taps (forward), every row of dx
 * gathered numbers of dy times packed transposed taps (data gradient). An implicit product: windows exist only in shared memory.
 *
 * The inner side runs over the places of a plan's table, 16 to a slice. Packed taps are [places][padded columns], zero where
 * there is nothing, so that their tile is copied without questions; a slice of channels goes through all taps before the next
 * (the host orders the table so), which leaves what neighbouring taps share in the first-level cache. */
#include "conv_tile.h"

static __global__ void pack_taps(hs_cuda_gather g, size_t count, int columns, int padded, const hs_cuda_place *place,
                                 const float *taps, float *packed)
{
    HS_EACH (i, count) {
        const hs_cuda_place p = place[i / padded];
        const int column = (int)(i % padded);
        const bool is_real = p.channel >= 0 && column < columns;
        /* taps are [tap][ci][co]: gathered channels are ci forward, co in the data gradient */
        const size_t at = g.transposed ? ((size_t)p.tap * columns + column) * g.channels + p.channel
                                       : ((size_t)p.tap * g.channels + p.channel) * columns + column;
        packed[i] = is_real ? taps[at] : 0;
    }
}

/* A slice of places for all rows of the tile. */
template <typename Lines>
static __device__ __forceinline__ void fetch_rows(const hs_cuda_gather &g, int first, const hs_cuda_place *place, const float *from,
                                                  const hs_spots &spots, float *tile)
{
    if (g.wide) {
        const int k = threadIdx.x % 4 * 4;
        const hs_cuda_place p = place[first + k];
        HS_UNROLL
        for (int i = 0; i < TILE_M / 32; i++) {
            const int m = threadIdx.x / 4 + 32 * i;
            const float *at = hs_gathered(g, from, spots.sample[m], spots.y[m], spots.x[m], p);
            hs_copy<16>(tile + m * Lines::LINE + k, at ? at : from, at != NULL);
        }
        return;
    }
    const int k = threadIdx.x % TILE_K;
    const hs_cuda_place p = place[first + k];
    for (int m = threadIdx.x / TILE_K; m < TILE_M; m += TILE_THREADS / TILE_K) {
        const float *at = hs_gathered(g, from, spots.sample[m], spots.y[m], spots.x[m], p);
        hs_copy<4>(tile + m * Lines::LINE + k, at ? at : from, at != NULL);
    }
}

template <int N, int LINE>
static __device__ __forceinline__ void fetch_packed(int first, int padded, int column, const float *packed, float *tile)
{
    HS_UNROLL
    for (int i = threadIdx.x; i < TILE_K * N / 4; i += TILE_THREADS) {
        const int k = i / (N / 4), n = i % (N / 4) * 4;
        hs_copy<16>(tile + k * LINE + n, packed + (size_t)(first + k) * padded + column + n, true);
    }
}

/* Bias, rectifier and its mask (a bit a number, bytes of eight columns [rows][(columns + 7) / 8]) on the way out. A number that
 * is not one passes, so that it is seen. All lanes come here, as four of them share a byte. */
static __device__ __forceinline__ void finish(int row, int rows, int column, int columns, float low, float high, const float *bias,
                                              float *y, uint8_t *mask)
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
    float *to = y + (size_t)row * columns + column;
    if (has_high && columns % 2 == 0) {
        *reinterpret_cast<hs_two *>(to) = {low, high};
        return;
    }
    if (has_low)
        to[0] = low;
    if (has_high)
        to[1] = high;
}

template <typename Math, int NI>
static __global__ void __launch_bounds__(TILE_THREADS)
    conv_rows(hs_cuda_gather g, int rows, int columns, int padded, const hs_cuda_place *place, const float *from,
              const float *packed, const float *bias, float *y, uint8_t *mask)
{
    typedef hs_tile<Math, NI> tile;
    typedef typename Math::rows lines;
    HS_SHARED(float, room);
    float *const b_room = room + 2 * lines::NUMBERS;
    int *const ints = reinterpret_cast<int *>(b_room + 2 * tile::NUMBERS_B);
    const hs_spots spots = {ints, ints + TILE_M, ints + 2 * TILE_M};
    const int across = padded / tile::N, column = (int)(blockIdx.x % across) * tile::N, row = (int)(blockIdx.x / across) * TILE_M;
    const int slices = g.places / TILE_K, warp = threadIdx.x / 32, m0 = warp / 2 * WARP_M, n0 = warp % 2 * 8 * NI;
    float acc[FRAGMENTS_M][NI][4] = {};
    spots.put(g, threadIdx.x, row + (int)threadIdx.x, rows);
    __syncthreads();
    for (int s = -1; s < slices; s++) {
        if (s >= 0) {
            hs_copy_wait<0>();
            __syncthreads(); /* slice s is here, and nobody reads what s - 1 was multiplied from */
        }
        if (s + 1 < slices) {
            const int next = (s + 1) % 2, first = (s + 1) * TILE_K;
            fetch_rows<lines>(g, first, place, from, spots, room + next * lines::NUMBERS);
            fetch_packed<tile::N, tile::LINE_B>(first, padded, column, packed, b_room + next * tile::NUMBERS_B);
            hs_copy_group();
        }
        if (s >= 0)
            Math::template multiply<lines, NI>(room + s % 2 * lines::NUMBERS, b_room + s % 2 * tile::NUMBERS_B, m0, n0, acc);
    }
    const int r = row + m0 + (int)threadIdx.x % 32 / 4, c = column + n0 + (int)threadIdx.x % 4 * 2;
    HS_UNROLL
    for (int i = 0; i < FRAGMENTS_M; i++)
        HS_UNROLL
        for (int j = 0; j < NI; j++) {
            finish(r + 16 * i, rows, c + 8 * j, columns, acc[i][j][0], acc[i][j][1], bias, y, mask);
            finish(r + 16 * i + 8, rows, c + 8 * j, columns, acc[i][j][2], acc[i][j][3], bias, y, mask);
        }
}

template <typename Math, int NI>
static cudaError_t start_rows(cudaStream_t s, const hs_cuda_gather &g, int rows, int columns, const hs_cuda_place *place,
                              const float *from, const float *packed, const float *bias, float *y, uint8_t *mask)
{
    const auto conv_rows_kernel = conv_rows<Math, NI>;
    const int padded = hs_cuda_padded(columns);
    const unsigned blocks = (unsigned)((rows + TILE_M - 1) / TILE_M * (padded / (16 * NI)));
    return HS_LAUNCH_TOGETHER(conv_rows_kernel, blocks, TILE_THREADS, (hs_tile<Math, NI>::BY_ROW), s, g, rows, columns, padded,
                              place, from, packed, bias, y, mask);
}

template <int NI>
static cudaError_t start_math(cudaStream_t s, hs_cuda_math math, const hs_cuda_gather &g, int rows, int columns,
                              const hs_cuda_place *place, const float *from, const float *packed, const float *bias, float *y,
                              uint8_t *mask)
{
    return math == HS_CUDA_BF16   ? start_rows<hs_bf16_math, NI>(s, g, rows, columns, place, from, packed, bias, y, mask)
           : math == HS_CUDA_TF32 ? start_rows<hs_tf32_math, NI>(s, g, rows, columns, place, from, packed, bias, y, mask)
                                  : start_rows<hs_plain_math, NI>(s, g, rows, columns, place, from, packed, bias, y, mask);
}

cudaError_t hs_cuda_conv_rows(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int columns, const hs_cuda_place *place,
                              const float *from, const float *packed, const float *bias, float *y, uint8_t *mask)
{
    const int rows = n * g.side_h * g.side_w;
    if (rows == 0)
        return cudaSuccess;
    return hs_cuda_tile_width(columns) == 96 ? start_math<6>(s, math, g, rows, columns, place, from, packed, bias, y, mask)
                                             : start_math<4>(s, math, g, rows, columns, place, from, packed, bias, y, mask);
}

cudaError_t hs_cuda_pack_taps(cudaStream_t s, hs_cuda_gather g, int columns, const hs_cuda_place *place, const float *taps,
                              float *packed)
{
    const int padded = hs_cuda_padded(columns);
    const size_t count = (size_t)g.places * padded;
    return HS_LAUNCH(pack_taps, hs_blocks(count), HS_BLOCK, 0, s, g, count, columns, padded, place, taps, packed);
}
