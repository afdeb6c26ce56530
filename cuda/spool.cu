/* spool.cu - what spectral pooling and frequency dropout need besides matrix products. */
#include "launch.h"

#include "kernels.h"

static __global__ void sparse(size_t count, const int32_t *start, const int32_t *column, const float *weight, int n, int c,
                              const float *x, float *y)
{
    HS_EACH (i, count) {
        /* spectra are [bin][n][half][c]; row and column name bin and half */
        const int ch = (int)(i % c), half = (int)(i / c % 2), sample = (int)(i / c / 2 % n),
                  row = (int)(i / c / 2 / n) * 2 + half;
        double sum = 0;
        for (int32_t e = start[row]; e < start[row + 1]; e++)
            sum += (double)weight[e] * (double)x[(((size_t)(column[e] / 2) * n + sample) * 2 + column[e] % 2) * c + ch];
        y[i] = (float)sum;
    }
}

static __global__ void mask(size_t count, int h, int w, int c, const int32_t *keep, float *x)
{
    HS_EACH (i, count) {
        const int col = (int)(i / c % w), row = (int)(i / c / w % h);
        const size_t sample = i / c / w / h;
        if (row >= keep[2 * sample] || col >= keep[2 * sample + 1])
            x[i] = 0;
    }
}

cudaError_t hs_cuda_sparse(cudaStream_t s, int rows, const int32_t *start, const int32_t *column, const float *weight, int n,
                           int c, const float *x, float *y)
{
    const size_t count = (size_t)rows * n * c;
    return count ? HS_LAUNCH(sparse, hs_blocks(count), HS_BLOCK, 0, s, count, start, column, weight, n, c, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_mask(cudaStream_t s, int n, int h, int w, int c, const int32_t *keep, float *x)
{
    const size_t count = (size_t)n * h * w * c;
    return count ? HS_LAUNCH(mask, hs_blocks(count), HS_BLOCK, 0, s, count, h, w, c, keep, x) : cudaSuccess;
}
