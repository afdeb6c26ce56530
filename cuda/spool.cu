/* spool.cu - what spectral pooling and frequency dropout need besides matrix products. */
#include "launch.h"

#include "kernels.h"

enum { SPARSE_CHUNK = 4 * HS_BLOCK };

/* Spectra are [bin][n][half][c]; row and column name bin and half. A block does CHUNK numbers of one row, so that all find the same entries
 * and divide by c alone. */
static __global__ void sparse(unsigned chunks, const int32_t *start, const int32_t *column, const float *weight, int n, int c,
                              const float *x, float *y)
{
    const unsigned row = blockIdx.x / chunks, first = blockIdx.x % chunks * SPARSE_CHUNK, inner = (unsigned)n * (unsigned)c,
                   end = first + SPARSE_CHUNK < inner ? first + SPARSE_CHUNK : inner;
    for (unsigned i = first + threadIdx.x; i < end; i += blockDim.x) {
        const size_t sample = i / (unsigned)c, ch = i % (unsigned)c;
        double sum = 0;
        for (int32_t e = start[row]; e < start[row + 1]; e++)
            sum += (double)weight[e] * (double)x[(((size_t)(column[e] / 2) * n + sample) * 2 + column[e] % 2) * c + ch];
        y[(((size_t)(row / 2) * n + sample) * 2 + row % 2) * c + ch] = (float)sum;
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
    const unsigned chunks = ((unsigned)n * (unsigned)c + SPARSE_CHUNK - 1) / SPARSE_CHUNK, blocks = (unsigned)rows * chunks;
    return blocks ? HS_LAUNCH(sparse, blocks, HS_BLOCK, 0, s, chunks, start, column, weight, n, c, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_mask(cudaStream_t s, int n, int h, int w, int c, const int32_t *keep, float *x)
{
    const size_t count = (size_t)n * h * w * c;
    return count ? HS_LAUNCH(mask, hs_blocks(count), HS_BLOCK, 0, s, count, h, w, c, keep, x) : cudaSuccess;
}
