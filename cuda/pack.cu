/* pack.cu - between our layouts and the one that cuFFT transforms in place.
 *
 * cuFFT: a plane [grid_h][2 K] of reals, K = grid_w/2 + 1 complex numbers a row, one per sample and channel. Ours: planes
 * [n][h][w][c] with the channel innermost, and spectra [bin][n][re c | im c] in orthonormal coordinates: with P = grid_h grid_w,
 * cuFFT's forward sums are sqrt(P) X and its inverse is sqrt(P) too large for unitary spectra, X = coordinate for a
 * self-conjugate bin and coordinate / sqrt2 for the others.
 *
 * The one has a row's positions side by side, the other channels, so a block turns 32 positions of 32 channels in shared memory: lanes
 * go along channels on our side, along the row on cuFFT's. Rows of 33 numbers there, so that both ways meet 32 banks. On the way a
 * plane gets its bias and is rectified, or a gradient passes the mask. */
#include "half.h"
#include "launch.h"
#include "line.h"

#include <math.h>

#include "kernels.h"

enum { PACK = 32, PACK_ROW = PACK + 1, PACK_LINES = HS_BLOCK / PACK, PACK_EACH = PACK / PACK_LINES };

static __host__ __device__ __forceinline__ int pack_row(const hs_cuda_grid &g)
{
    return 2 * (g.grid_w / 2 + 1);
}

/* Where a block is: the first position and channel of its tile. */
struct pack_tile {
    size_t sample;
    int row, first, channel;
};

static __device__ __forceinline__ pack_tile pack_tile_of(int rows, int across, int c)
{
    const unsigned channels = (unsigned)(c + PACK - 1) / PACK, tiles = (unsigned)(across + PACK - 1) / PACK;
    const unsigned i = blockIdx.x / channels, j = i / tiles;
    pack_tile t = {j / (unsigned)rows, (int)(j % (unsigned)rows), (int)(i % tiles) * PACK, (int)(blockIdx.x % channels) * PACK};
    return t;
}

static __device__ __forceinline__ size_t pack_grid_at(const hs_cuda_grid &g, const pack_tile &t, int channel)
{
    return ((t.sample * g.c + channel) * g.grid_h + t.row) * (size_t)pack_row(g);
}

/* ---- planes ------------------------------------------------------------------------------------------------------------------ */

template <typename T>
static __global__ void pack_plane(const hs_cuda_grid g, const T *x, const uint8_t *mask, float *grid)
{
    HS_SHARED(float, room);
    const int lane = (int)threadIdx.x % PACK, line = (int)threadIdx.x / PACK, row = pack_row(g), bytes = (g.c + 7) / 8;
    const pack_tile t = pack_tile_of(g.grid_h, row, g.c);
    const int ch = t.channel + lane;
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int col = t.first + line + i * PACK_LINES;
        const size_t cell = (t.sample * g.h + t.row) * g.w + col;
        const bool there = t.row < g.h && col < g.w && ch < g.c && (!mask || mask[cell * bytes + ch / 8] >> ch % 8 & 1);
        room[(col - t.first) * PACK_ROW + lane] = there ? hs_half_get(x[cell * g.c + ch]) : 0;
    }
    __syncthreads();
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int own = line + i * PACK_LINES;
        if (t.first + lane < row && t.channel + own < g.c)
            grid[pack_grid_at(g, t, t.channel + own) + t.first + lane] = room[lane * PACK_ROW + own];
    }
}

/* BIAS may be NULL. With MASK, of a bit a number, the plane is rectified; what is not a number passes. */
template <typename T>
static __global__ void unpack_plane(const hs_cuda_grid g, const float *grid, const float *bias, uint8_t *mask, T *x)
{
    HS_SHARED(float, room);
    const int lane = (int)threadIdx.x % PACK, line = (int)threadIdx.x / PACK, bytes = (g.c + 7) / 8;
    const pack_tile t = pack_tile_of(g.h, g.w, g.c);
    const int ch = t.channel + lane;
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int own = line + i * PACK_LINES;
        const bool there = t.first + lane < g.w && t.channel + own < g.c;
        room[own * PACK_ROW + lane] = there ? grid[pack_grid_at(g, t, t.channel + own) + t.first + lane] : 0;
    }
    __syncthreads();
    const float add = bias && ch < g.c ? bias[ch] : 0;
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int col = t.first + line + i * PACK_LINES; /* the same in a whole warp */
        if (col >= g.w)
            break;
        const size_t cell = (t.sample * g.h + t.row) * g.w + col;
        const float v = room[lane * PACK_ROW + col - t.first] + add;
        const bool passes = ch < g.c && !(v <= 0);
        if (mask) {
            const uint32_t seen = hs_ballot(passes);
            if (lane % 8 == 0 && ch < g.c)
                mask[cell * bytes + ch / 8] = (uint8_t)(seen >> lane);
        }
        if (ch < g.c)
            hs_half_put(mask && !passes ? 0 : v, x + cell * g.c + ch);
    }
}

/* ---- spectra ----------------------------------------------------------------------------------------------------------------- */

/* What (ky, kx) is of the unique bins, in the order of hs_spectrum.h: columns that are their own mirror hold half of theirs. */
struct pack_bin {
    size_t bin;
    bool self, mirrored; /* MIRRORED: the bin is that of -k */
    __device__ __forceinline__ pack_bin(int h, int w, int ky, int kx)
    {
        const bool own_mirror = kx == 0 || 2 * kx == w;
        const int column = kx ? h / 2 + 1 + (kx - 1) * h : 0;
        mirrored = own_mirror && 2 * ky > h;
        self = own_mirror && (ky == 0 || 2 * ky == h);
        bin = (size_t)(column + (mirrored ? h - ky : ky));
    }
};

template <typename T>
static __global__ void pack_bins(const hs_cuda_grid g, int n, float own, float pair, const T *spectrum, float *grid)
{
    HS_SHARED(float, room);
    float *im = room + PACK * PACK_ROW;
    const int lane = (int)threadIdx.x % PACK, line = (int)threadIdx.x / PACK, across = g.grid_w / 2 + 1;
    const pack_tile t = pack_tile_of(g.grid_h, across, g.c);
    const int ch = t.channel + lane;
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int kx = t.first + line + i * PACK_LINES, at = (kx - t.first) * PACK_ROW + lane;
        const pack_bin b(g.grid_h, g.grid_w, t.row, kx);
        const bool there = kx < across && ch < g.c;
        const T *from = spectrum + (b.bin * n + t.sample) * 2 * g.c + ch;
        const float factor = b.self ? own : pair, sine = there && !b.self ? factor * hs_half_get(from[g.c]) : 0;
        room[at] = there ? factor * hs_half_get(from[0]) : 0;
        im[at] = b.mirrored ? -sine : sine;
    }
    __syncthreads();
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int mine = line + i * PACK_LINES;
        if (t.first + lane < across && t.channel + mine < g.c)
            hs_put_two(room[lane * PACK_ROW + mine], im[lane * PACK_ROW + mine],
                       grid + pack_grid_at(g, t, t.channel + mine) + 2 * (t.first + lane));
    }
}

template <typename T>
static __global__ void unpack_bins(const hs_cuda_grid g, int n, float own, float pair, const float *grid, T *spectrum)
{
    HS_SHARED(float, room);
    float *im = room + PACK * PACK_ROW;
    const int lane = (int)threadIdx.x % PACK, line = (int)threadIdx.x / PACK, across = g.grid_w / 2 + 1;
    const pack_tile t = pack_tile_of(g.grid_h, across, g.c);
    const int ch = t.channel + lane;
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int mine = line + i * PACK_LINES, at = mine * PACK_ROW + lane;
        const bool there = t.first + lane < across && t.channel + mine < g.c;
        const float *from = grid + pack_grid_at(g, t, t.channel + mine) + 2 * (t.first + lane);
        room[at] = there ? from[0] : 0;
        im[at] = there ? from[1] : 0;
    }
    __syncthreads();
    HS_UNROLL
    for (int i = 0; i < PACK_EACH; i++) {
        const int kx = t.first + line + i * PACK_LINES, at = lane * PACK_ROW + kx - t.first;
        const pack_bin b(g.grid_h, g.grid_w, t.row, kx);
        if (kx >= across || ch >= g.c || b.mirrored)
            continue;
        T *to = spectrum + (b.bin * n + t.sample) * 2 * g.c + ch;
        const float factor = b.self ? own : pair;
        hs_half_put(factor * room[at], to);
        hs_half_put(b.self ? 0 : factor * im[at], to + g.c);
    }
}

/* ---- launches ---------------------------------------------------------------------------------------------------------------- */

enum { PACK_SHARED = PACK * PACK_ROW * 4 };

static unsigned pack_blocks(const hs_cuda_grid &g, int n, int rows, int across)
{
    return (unsigned)((size_t)n * rows * ((across + PACK - 1) / PACK) * ((g.c + PACK - 1) / PACK));
}

template <typename T> static cudaError_t start_pack_plane(cudaStream_t s, const hs_cuda_grid &g, int n, const T *x, const uint8_t *mask, float *grid)
{
    const auto pack_plane_kernel = pack_plane<T>;
    const unsigned blocks = pack_blocks(g, n, g.grid_h, pack_row(g));
    return blocks ? HS_LAUNCH_TOGETHER(pack_plane_kernel, blocks, HS_BLOCK, PACK_SHARED, s, g, x, mask, grid) : cudaSuccess;
}

cudaError_t hs_cuda_pack_plane(cudaStream_t s, hs_cuda_grid g, int n, const void *x, const uint8_t *mask, float *grid)
{
    return g.half_plane ? start_pack_plane(s, g, n, static_cast<const hs_half *>(x), mask, grid)
                        : start_pack_plane(s, g, n, static_cast<const float *>(x), mask, grid);
}

template <typename T>
static cudaError_t start_unpack_plane(cudaStream_t s, const hs_cuda_grid &g, int n, const float *grid, const float *bias, uint8_t *mask, T *x)
{
    const auto unpack_plane_kernel = unpack_plane<T>;
    const unsigned blocks = pack_blocks(g, n, g.h, g.w);
    return blocks ? HS_LAUNCH_TOGETHER(unpack_plane_kernel, blocks, HS_BLOCK, PACK_SHARED, s, g, grid, bias, mask, x) : cudaSuccess;
}

cudaError_t hs_cuda_unpack_plane(cudaStream_t s, hs_cuda_grid g, int n, const float *grid, const float *bias, uint8_t *mask, void *x)
{
    return g.half_plane ? start_unpack_plane(s, g, n, grid, bias, mask, static_cast<hs_half *>(x))
                        : start_unpack_plane(s, g, n, grid, bias, mask, static_cast<float *>(x));
}

template <typename T> static cudaError_t start_pack_bins(cudaStream_t s, const hs_cuda_grid &g, int n, const T *spectrum, float *grid)
{
    const auto pack_bins_kernel = pack_bins<T>;
    const unsigned blocks = pack_blocks(g, n, g.grid_h, g.grid_w / 2 + 1);
    const double unit = 1 / sqrt((double)g.grid_h * g.grid_w);
    return blocks ? HS_LAUNCH_TOGETHER(pack_bins_kernel, blocks, HS_BLOCK, 2 * PACK_SHARED, s, g, n, (float)unit, (float)(unit * sqrt(0.5)),
                                       spectrum, grid)
                  : cudaSuccess;
}

cudaError_t hs_cuda_pack_bins(cudaStream_t s, hs_cuda_grid g, int n, const void *spectrum, float *grid)
{
    return g.half ? start_pack_bins(s, g, n, static_cast<const hs_half *>(spectrum), grid)
                  : start_pack_bins(s, g, n, static_cast<const float *>(spectrum), grid);
}

template <typename T> static cudaError_t start_unpack_bins(cudaStream_t s, const hs_cuda_grid &g, int n, const float *grid, T *spectrum)
{
    const auto unpack_bins_kernel = unpack_bins<T>;
    const unsigned blocks = pack_blocks(g, n, g.grid_h, g.grid_w / 2 + 1);
    const double unit = 1 / sqrt((double)g.grid_h * g.grid_w);
    return blocks ? HS_LAUNCH_TOGETHER(unpack_bins_kernel, blocks, HS_BLOCK, 2 * PACK_SHARED, s, g, n, (float)unit, (float)(unit * sqrt(2.0)),
                                       grid, spectrum)
                  : cudaSuccess;
}

cudaError_t hs_cuda_unpack_bins(cudaStream_t s, hs_cuda_grid g, int n, const float *grid, void *spectrum)
{
    return g.half ? start_unpack_bins(s, g, n, grid, static_cast<hs_half *>(spectrum))
                  : start_unpack_bins(s, g, n, grid, static_cast<float *>(spectrum));
}
