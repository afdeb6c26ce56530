/* conv_taps.cu - the filter gradient: every number of dtaps is a sum over the cells of y of a gathered number of x times dy. An
 * implicit product with a short result and a long inner side, which is cut into spans: blocks sum a span each, a second kernel
 * adds the spans up in order. */
#include "conv_tile.h"

/* A slice of cells: gathered numbers of x at the places FIRST .. FIRST + 127, a line for each cell. The place of a thread does not
 * change from slice to slice. */
template <typename Lines>
static __device__ __forceinline__ void fetch_cells(const hs_cuda_gather &g, int first, const hs_cuda_place *place, const float *from,
                                                   const hs_spots &spots, float *tile)
{
    const int per = g.wide ? 4 : 1, lines = TILE_THREADS * per / TILE_M, m = (int)threadIdx.x % (TILE_M / per) * per;
    const hs_cuda_place none = {-1, 0, 0, 0}, p = first + m < g.places ? place[first + m] : none;
    for (int k = (int)threadIdx.x / (TILE_M / per); k < TILE_K; k += lines) {
        const float *at = hs_gathered(g, from, spots.sample[k], spots.y[k], spots.x[k], p);
        if (g.wide)
            hs_copy<16>(tile + k * Lines::LINE + m, at ? at : from, at != NULL);
        else
            hs_copy<4>(tile + k * Lines::LINE + m, at ? at : from, at != NULL);
    }
}

/* dy of the same cells, columns COLUMN .. COLUMN + N - 1. */
template <int N, int LINE>
static __device__ __forceinline__ void fetch_gradient(int cell, int end, int column, int columns, const float *dy, float *tile)
{
    if (columns % 4 == 0) {
        HS_UNROLL
        for (int i = threadIdx.x; i < TILE_K * N / 4; i += TILE_THREADS) {
            const int k = i / (N / 4), n = i % (N / 4) * 4;
            const bool inside = cell + k < end && column + n < columns;
            hs_copy<16>(tile + k * LINE + n, inside ? dy + (size_t)(cell + k) * columns + column + n : dy, inside);
        }
        return;
    }
    for (int i = threadIdx.x; i < TILE_K * N; i += TILE_THREADS) {
        const int k = i / N, n = i % N;
        const bool inside = cell + k < end && column + n < columns;
        hs_copy<4>(tile + k * LINE + n, inside ? dy + (size_t)(cell + k) * columns + column + n : dy, inside);
    }
}

/* PARTIAL [spans][taps * ci][co]. A number goes where its place says. */
template <int NI>
static __device__ __forceinline__ void put_taps(const hs_cuda_gather &g, int first, int column, int columns,
                                                const hs_cuda_place *place, float (*acc)[NI][4], float *partial)
{
    HS_UNROLL
    for (int i = 0; i < 2 * FRAGMENTS_M; i++) {
        const int m = first + 8 * i;
        const hs_cuda_place none = {-1, 0, 0, 0}, p = m < g.places ? place[m] : none;
        HS_UNROLL
        for (int j = 0; j < 2 * NI; j++) {
            const int c = column + j / 2 * 8 + j % 2;
            if (p.channel >= 0 && c < columns)
                partial[((size_t)p.tap * g.channels + p.channel) * columns + c] = acc[i / 2][j / 2][i % 2 * 2 + j % 2];
        }
    }
}

template <typename Math, int NI>
static __global__ void __launch_bounds__(TILE_THREADS)
    conv_taps(hs_cuda_gather g, int rows, int span, int columns, const hs_cuda_place *place, const float *from, const float *dy,
              float *partial)
{
    typedef hs_tile<Math, NI> tile;
    typedef typename Math::depths lines;
    HS_SHARED(float, room);
    float *const b_room = room + 2 * lines::NUMBERS;
    int *const ints = reinterpret_cast<int *>(b_room + 2 * tile::NUMBERS_B);
    const int across = (columns + tile::N - 1) / tile::N, column = (int)(blockIdx.x % across) * tile::N;
    const int first = (int)(blockIdx.x / across) * TILE_M, start = (int)blockIdx.y * span,
              end = rows - start < span ? rows : start + span;
    const int slices = (end - start + TILE_K - 1) / TILE_K, warp = threadIdx.x / 32, m0 = warp / 2 * WARP_M, n0 = warp % 2 * 8 * NI;
    float acc[FRAGMENTS_M][NI][4] = {};
    for (int s = -2; s < slices; s++) {
        if (s >= 0)
            hs_copy_wait<0>();
        __syncthreads(); /* slice s is here, nobody reads what s - 1 was multiplied from, the spots of s + 1 are known */
        int *const next_ints = ints + (s + 3) % 2 * 3 * TILE_K, *const after = ints + (s + 2) % 2 * 3 * TILE_K;
        if (threadIdx.x < TILE_K && s + 2 < slices) {
            const hs_spots spots = {after, after + TILE_K, after + 2 * TILE_K};
            spots.put(g, threadIdx.x, start + (s + 2) * TILE_K + (int)threadIdx.x, end);
        }
        if (s >= -1 && s + 1 < slices) {
            const int next = (s + 1) % 2;
            const hs_spots spots = {next_ints, next_ints + TILE_K, next_ints + 2 * TILE_K};
            fetch_cells<lines>(g, first, place, from, spots, room + next * lines::NUMBERS);
            fetch_gradient<tile::N, tile::LINE_B>(start + (s + 1) * TILE_K, end, column, columns, dy,
                                                  b_room + next * tile::NUMBERS_B);
            hs_copy_group();
        }
        if (s >= 0)
            Math::template multiply<lines, NI>(room + s % 2 * lines::NUMBERS, b_room + s % 2 * tile::NUMBERS_B, m0, n0, acc);
    }
    float *const out = partial + (size_t)blockIdx.y * g.taps * g.channels * columns;
    put_taps<NI>(g, first + m0 + (int)threadIdx.x % 32 / 4, column + n0 + (int)threadIdx.x % 4 * 2, columns, place, acc, out);
}

static __global__ void add_spans(size_t count, int spans, const float *partial, float *dtaps)
{
    HS_EACH (i, count) {
        double sum = 0;
        for (int k = 0; k < spans; k++)
            sum += partial[(size_t)k * count + i];
        dtaps[i] = (float)sum;
    }
}

template <typename Math, int NI>
static cudaError_t start_taps(cudaStream_t s, const hs_cuda_gather &g, int rows, int span, int columns, const hs_cuda_place *place,
                              const float *from, const float *dy, float *partial)
{
    const auto conv_taps_kernel = conv_taps<Math, NI>;
    const int down = (g.places + TILE_M - 1) / TILE_M, across = (columns + 16 * NI - 1) / (16 * NI);
    const dim3 grid((unsigned)(down * across), (unsigned)((rows + span - 1) / span));
    return HS_LAUNCH_TOGETHER(conv_taps_kernel, grid, TILE_THREADS, (hs_tile<Math, NI>::BY_DEPTH), s, g, rows, span, columns,
                              place, from, dy, partial);
}

template <int NI>
static cudaError_t start_taps_math(cudaStream_t s, hs_cuda_math math, const hs_cuda_gather &g, int rows, int span, int columns,
                                   const hs_cuda_place *place, const float *from, const float *dy, float *partial)
{
    return math == HS_CUDA_BF16   ? start_taps<hs_bf16_math, NI>(s, g, rows, span, columns, place, from, dy, partial)
           : math == HS_CUDA_TF32 ? start_taps<hs_tf32_math, NI>(s, g, rows, span, columns, place, from, dy, partial)
                                  : start_taps<hs_plain_math, NI>(s, g, rows, span, columns, place, from, dy, partial);
}

cudaError_t hs_cuda_conv_taps(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int span, int columns,
                              const hs_cuda_place *place, const float *from, const float *dy, float *partial, float *dtaps)
{
    const int rows = n * g.side_h * g.side_w, spans = (rows + span - 1) / span;
    const size_t count = (size_t)g.taps * g.channels * columns;
    if (count == 0 || rows == 0)
        return cudaSuccess;
    const cudaError_t error = hs_cuda_tile_width(columns) == 96
                                  ? start_taps_math<6>(s, math, g, rows, span, columns, place, from, dy, partial)
                                  : start_taps_math<4>(s, math, g, rows, span, columns, place, from, dy, partial);
    if (error != cudaSuccess)
        return error;
    return HS_LAUNCH(add_spans, hs_blocks(count), HS_BLOCK, 0, s, count, spans, partial, dtaps);
}
