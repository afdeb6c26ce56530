/* pack.cu - between our layouts and the one that cuFFT transforms in place.
 *
 * cuFFT: a plane [grid_h][2 K] of reals, K = grid_w/2 + 1 complex numbers a row, one per sample and channel. Ours: planes
 * [n][h][w][c] with the channel innermost, and spectra [bin][n][re c | im c] in orthonormal coordinates: with P = grid_h grid_w,
 * cuFFT's forward sums are sqrt(P) X and its inverse is sqrt(P) too large for unitary spectra, X = coordinate for a
 * self-conjugate bin and coordinate / sqrt2 for the others. Threads go along the side that they write, channels innermost where
 * both sides have them. */
#include "launch.h"

#include "kernels.h"

static __global__ void pack_plane(size_t count, int h, int w, int c, int grid_h, int grid_row, const float *x, float *grid)
{
    HS_EACH (i, count) {
        const int col = (int)(i % grid_row), row = (int)(i / grid_row % grid_h), ch = (int)(i / grid_row / grid_h % c);
        const size_t sample = i / grid_row / grid_h / c;
        grid[i] = row < h && col < w ? x[((sample * h + row) * w + col) * c + ch] : 0;
    }
}

static __global__ void unpack_plane(size_t count, int h, int w, int c, int grid_h, int grid_row, const float *grid, float *x)
{
    HS_EACH (i, count) {
        const int ch = (int)(i % c), col = (int)(i / c % w), row = (int)(i / c / w % h);
        const size_t sample = i / c / w / h;
        x[i] = grid[((sample * c + ch) * grid_h + row) * grid_row + col];
    }
}

/* Bin U of sample and channel; COUNT = bins n c. */
struct entry {
    int ky, kx, self, mirror;
    size_t spectrum, plane; /* of re in the spectrum; of the first number of the plane in the grid */
};

static __device__ entry entry_of(size_t i, int n, int c, int grid_h, int grid_row, const int32_t *bin)
{
    const size_t u = i / c / n, sample = i / c % n, ch = i % c;
    entry e = {bin[4 * u],
               bin[4 * u + 1],
               bin[4 * u + 2],
               bin[4 * u + 3],
               (u * n + sample) * 2 * c + ch,
               (sample * c + ch) * (size_t)grid_h * grid_row};
    return e;
}

static __global__ void pack_bins(size_t count, int n, int c, int grid_h, int grid_row, const int32_t *bin, float own, float pair,
                                 const float *spectrum, float *grid)
{
    HS_EACH (i, count) {
        const entry e = entry_of(i, n, c, grid_h, grid_row, bin);
        const float factor = e.self ? own : pair, re = factor * spectrum[e.spectrum],
                    im = e.self ? 0 : factor * spectrum[e.spectrum + c];
        float *to = grid + e.plane + (size_t)e.ky * grid_row + 2 * e.kx;
        to[0] = re;
        to[1] = im;
        if (e.mirror >= 0) { /* the same column holds -k too */
            to = grid + e.plane + (size_t)e.mirror * grid_row + 2 * e.kx;
            to[0] = re;
            to[1] = -im;
        }
    }
}

static __global__ void unpack_bins(size_t count, int n, int c, int grid_h, int grid_row, const int32_t *bin, float own,
                                   float pair, const float *grid, float *spectrum)
{
    HS_EACH (i, count) {
        const entry e = entry_of(i, n, c, grid_h, grid_row, bin);
        const float *from = grid + e.plane + (size_t)e.ky * grid_row + 2 * e.kx;
        spectrum[e.spectrum] = (e.self ? own : pair) * from[0];
        spectrum[e.spectrum + c] = e.self ? 0 : pair * from[1];
    }
}

static int row_of(int grid_w)
{
    return 2 * (grid_w / 2 + 1);
}

cudaError_t hs_cuda_pack_plane(cudaStream_t s, int n, int h, int w, int c, int grid_h, int grid_w, const float *x, float *grid)
{
    const size_t count = (size_t)n * c * grid_h * row_of(grid_w);
    return count ? HS_LAUNCH(pack_plane, hs_blocks(count), HS_BLOCK, 0, s, count, h, w, c, grid_h, row_of(grid_w), x, grid)
                 : cudaSuccess;
}

cudaError_t hs_cuda_unpack_plane(cudaStream_t s, int n, int h, int w, int c, int grid_h, int grid_w, const float *grid, float *x)
{
    const size_t count = (size_t)n * h * w * c;
    return count ? HS_LAUNCH(unpack_plane, hs_blocks(count), HS_BLOCK, 0, s, count, h, w, c, grid_h, row_of(grid_w), grid, x)
                 : cudaSuccess;
}

cudaError_t hs_cuda_pack_bins(cudaStream_t s, int n, int c, int grid_h, int grid_w, int bins, const int32_t *bin,
                              const float *spectrum, float *grid)
{
    const size_t count = (size_t)bins * n * c;
    const double unit = 1 / sqrt((double)grid_h * grid_w);
    return count ? HS_LAUNCH(pack_bins, hs_blocks(count), HS_BLOCK, 0, s, count, n, c, grid_h, row_of(grid_w), bin, (float)unit,
                             (float)(unit * sqrt(0.5)), spectrum, grid)
                 : cudaSuccess;
}

cudaError_t hs_cuda_unpack_bins(cudaStream_t s, int n, int c, int grid_h, int grid_w, int bins, const int32_t *bin,
                                const float *grid, float *spectrum)
{
    const size_t count = (size_t)bins * n * c;
    const double unit = 1 / sqrt((double)grid_h * grid_w);
    return count ? HS_LAUNCH(unpack_bins, hs_blocks(count), HS_BLOCK, 0, s, count, n, c, grid_h, row_of(grid_w), bin, (float)unit,
                             (float)(unit * sqrt(2.0)), grid, spectrum)
                 : cudaSuccess;
}
