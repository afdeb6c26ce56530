/* conv_taps.cu - the filter gradient: every number of dtaps is a sum over the cells of y of a gathered number of x times dy. An
 * implicit product with a short result and a long inner side, which is cut into spans: blocks sum a span each, a second kernel
 * adds the spans up in order. */
#include "columns.h"
#include "conv_tile.h"

/* A slice of cells: gathered numbers of x at the places FIRST .. FIRST + 127, a line for each cell, UNIT neighbours at a time. The place of
 * a thread does not change from slice to slice. */
template <typename Math, int UNIT>
static __device__ __forceinline__ void fetch_places(const hs_cuda_gather &g, int first, const hs_cuda_place *place,
                                                    const typename Math::number *from, const hs_spots &spots,
                                                    typename Math::number *tile)
{
    enum { ACROSS = TILE_M / UNIT };
    const int m = (int)threadIdx.x % ACROSS * UNIT;
    const hs_cuda_place none = {-1, 0, 0, 0}, p = first + m < g.places ? place[first + m] : none;
    for (int k = (int)threadIdx.x / ACROSS; k < Math::DEPTH; k += TILE_THREADS / ACROSS)
        hs_fetch<UNIT>(tile + k * Math::depths::LINE + m, hs_gathered(g, from, spots.sample[k], spots.y[k], spots.x[k], p), from);
}

template <typename Math>
static __device__ __forceinline__ void fetch_cells(const hs_cuda_gather &g, int first, const hs_cuda_place *place,
                                                   const typename Math::number *from, const hs_spots &spots,
                                                   typename Math::number *tile)
{
    enum { LINE = 16 / sizeof(typename Math::number) };
    if (g.channels % LINE == 0)
        fetch_places<Math, LINE>(g, first, place, from, spots, tile);
    else if (LINE > 4 && g.channels % 4 == 0)
        fetch_places<Math, 4>(g, first, place, from, spots, tile);
    else
        fetch_places<Math, 1>(g, first, place, from, spots, tile);
}

/* dy of the same cells, columns COLUMN .. COLUMN + N - 1. */
template <typename Math, int NI, int UNIT>
static __device__ __forceinline__ void fetch_columns(int cell, int end, int column, int columns, const typename Math::number *dy,
                                                     typename Math::number *tile)
{
    enum { ACROSS = 16 * NI / UNIT, LINE = hs_tile<Math, NI>::LINE_B };
    for (int i = threadIdx.x; i < Math::DEPTH * ACROSS; i += TILE_THREADS) {
        const int k = i / ACROSS, n = i % ACROSS * UNIT;
        const bool inside = cell + k < end && column + n < columns;
        hs_fetch<UNIT>(tile + k * LINE + n, inside ? dy + (size_t)(cell + k) * columns + column + n : NULL, dy);
    }
}

template <typename Math, int NI>
static __device__ __forceinline__ void fetch_gradient(int cell, int end, int column, int columns, const typename Math::number *dy,
                                                      typename Math::number *tile)
{
    enum { LINE = 16 / sizeof(typename Math::number) };
    if (columns % LINE == 0)
        fetch_columns<Math, NI, LINE>(cell, end, column, columns, dy, tile);
    else if (LINE > 4 && columns % 4 == 0)
        fetch_columns<Math, NI, 4>(cell, end, column, columns, dy, tile);
    else
        fetch_columns<Math, NI, 1>(cell, end, column, columns, dy, tile);
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
static __global__ void __launch_bounds__(TILE_THREADS, NI == 6 ? 3 : 4)
    conv_taps(hs_cuda_gather g, int rows, int span, int columns, const hs_cuda_place *place, const typename Math::number *from,
              const typename Math::number *dy, float *partial)
{
    typedef hs_tile<Math, NI> tile;
    typedef typename Math::depths lines;
    typedef typename Math::number number;
    enum { STAGES = Math::STAGES, DEPTH = Math::DEPTH };
    HS_SHARED(number, room);
    number *const b_room = room + STAGES * lines::NUMBERS;
    int *const ints = reinterpret_cast<int *>(b_room + STAGES * tile::NUMBERS_B);
    const int across = (columns + tile::N - 1) / tile::N, column = (int)(blockIdx.x % across) * tile::N;
    const int first = (int)(blockIdx.x / across) * TILE_M, start = (int)blockIdx.y * span,
              end = rows - start < span ? rows : start + span;
    const int slices = (end - start + DEPTH - 1) / DEPTH, warp = threadIdx.x / 32, m0 = warp / 2 * WARP_M, n0 = warp % 2 * 8 * NI;
    float acc[FRAGMENTS_M][NI][4] = {};
    for (int s = -STAGES; s < slices; s++) {
        const int known = s + STAGES - 1, next = known % STAGES; /* the slice whose spots are known: it is fetched */
        if (s >= 0)
            hs_copy_wait<STAGES - 2>();
        __syncthreads(); /* slice s is here, nobody reads what s - 1 was multiplied from */
        if (threadIdx.x < DEPTH && known + 1 < slices) {
            int *const here = ints + (known + 1) % 2 * 3 * DEPTH;
            const hs_spots spots = {here, here + DEPTH, here + 2 * DEPTH};
            spots.put(g, threadIdx.x, start + (known + 1) * DEPTH + (int)threadIdx.x, end);
        }
        if (known >= 0 && known < slices) {
            int *const here = ints + known % 2 * 3 * DEPTH;
            const hs_spots spots = {here, here + DEPTH, here + 2 * DEPTH};
            fetch_cells<Math>(g, first, place, from, spots, room + next * lines::NUMBERS);
            fetch_gradient<Math, NI>(start + known * DEPTH, end, column, columns, dy, b_room + next * tile::NUMBERS_B);
        }
        if (known >= 0)
            hs_copy_group(); /* one a slice, so that STAGES - 2 of them are the slices behind s */
        if (s >= 0)
            Math::template multiply<lines, NI>(room + s % STAGES * lines::NUMBERS, b_room + s % STAGES * tile::NUMBERS_B, m0, n0, acc);
    }
    float *const out = partial + (size_t)blockIdx.y * g.taps * g.channels * columns;
    put_taps<NI>(g, first + m0 + (int)threadIdx.x % 32 / 4, column + n0 + (int)threadIdx.x % 4 * 2, columns, place, acc, out);
}

static __global__ void add_spans(int count, int spans, const float *partial, float *dtaps)
{
    HS_SHARED(double, room);
    int i;
    double sum;
    if (hs_column_total(partial, spans, (size_t)count, count, room, &i, &sum))
        dtaps[i] = (float)sum;
}

template <typename Math, int NI>
static cudaError_t start_taps(cudaStream_t s, const hs_cuda_gather &g, int rows, int span, int columns, const hs_cuda_place *place,
                              const void *from, const void *dy, float *partial)
{
    typedef typename Math::number number;
    const auto conv_taps_kernel = conv_taps<Math, NI>;
    const int down = (g.places + TILE_M - 1) / TILE_M, across = (columns + 16 * NI - 1) / (16 * NI);
    const dim3 grid((unsigned)(down * across), (unsigned)((rows + span - 1) / span));
    if (rows == 0)
        return hs_tile_prepare(conv_taps_kernel, hs_tile<Math, NI>::BY_DEPTH);
    return HS_LAUNCH_TOGETHER(conv_taps_kernel, grid, TILE_THREADS, (hs_tile<Math, NI>::BY_DEPTH), s, g, rows, span, columns, place,
                              static_cast<const number *>(from), static_cast<const number *>(dy), partial);
}

template <int NI>
static cudaError_t start_taps_math(cudaStream_t s, hs_cuda_math math, const hs_cuda_gather &g, int rows, int span, int columns,
                                   const hs_cuda_place *place, const void *from, const void *dy, float *partial)
{
    return g.half                 ? start_taps<hs_half_math, NI>(s, g, rows, span, columns, place, from, dy, partial)
           : math == HS_CUDA_BF16 ? start_taps<hs_bf16_math, NI>(s, g, rows, span, columns, place, from, dy, partial)
           : math == HS_CUDA_TF32 ? start_taps<hs_tf32_math, NI>(s, g, rows, span, columns, place, from, dy, partial)
                                  : start_taps<hs_plain_math, NI>(s, g, rows, span, columns, place, from, dy, partial);
}

cudaError_t hs_cuda_conv_taps(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int span, int columns,
                              const hs_cuda_place *place, const void *from, const void *dy, float *partial, float *dtaps)
{
    const int rows = n * g.side_h * g.side_w, spans = (rows + span - 1) / span;
    const size_t count = (size_t)g.taps * g.channels * columns;
    if (count == 0)
        return cudaSuccess;
    const cudaError_t error = hs_cuda_tile_width(columns) == 96
                                  ? start_taps_math<6>(s, math, g, rows, span, columns, place, from, dy, partial)
                                  : start_taps_math<4>(s, math, g, rows, span, columns, place, from, dy, partial);
    if (error != cudaSuccess || rows == 0)
        return error;
    return HS_LAUNCH_TOGETHER(add_spans, hs_total_grid((int)count, 1), HS_COL_BLOCK, HS_COL_SHARED, s, (int)count, spans, partial, dtaps);
}
