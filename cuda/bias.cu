/* bias.cu - one number a column: added to every row, and the sum of every row's gradient. */
#include "columns.h"

static __global__ void bias_add(size_t count, int cols, int width, float factor, const float *bias, float *y)
{
    HS_EACH (i, count) {
        const size_t row = i / cols, col = i % cols;
        y[row * width + col] += factor * bias[col];
    }
}

struct one_term {
    const float *dy;
    int width;
    __device__ void operator()(size_t row, int col, double *a, double *b) const
    {
        *a = dy[row * width + col];
        *b = 0;
    }
};

static __global__ void bias_slices(size_t rows, int cols, int width, size_t slice, const float *dy, double *partial)
{
    HS_SHARED(double, room);
    hs_column_slice(one_term{dy, width}, rows, cols, slice, partial, room);
}

static __global__ void bias_total(int slices, int cols, float factor, const double *partial, float *dbias)
{
    HS_SHARED(double, room);
    int col;
    double sum;
    if (hs_column_total(partial, slices, 2 * (size_t)cols, cols, room, &col, &sum))
        dbias[col] = (float)(factor * sum);
}

cudaError_t hs_cuda_bias_add(cudaStream_t s, size_t rows, int cols, int width, float factor, const float *bias, float *y)
{
    const size_t count = rows * cols;
    return count ? HS_LAUNCH(bias_add, hs_blocks(count), HS_BLOCK, 0, s, count, cols, width, factor, bias, y) : cudaSuccess;
}

/* Of so many columns that PARTIAL holds a slice's sums. */
static cudaError_t start_bias(cudaStream_t s, double *partial, size_t rows, int cols, int width, float factor, const float *dy, float *dbias)
{
    if (rows > 0) {
        const cudaError_t error = HS_LAUNCH_TOGETHER(bias_slices, hs_column_grid(rows, cols), HS_COL_BLOCK, HS_COL_SHARED, s,
                                                     rows, cols, width, hs_slice_rows(rows, cols), dy, partial);
        if (error != cudaSuccess)
            return error;
    }
    return HS_LAUNCH_TOGETHER(bias_total, hs_total_grid(cols, 1), HS_COL_BLOCK, HS_COL_SHARED, s, hs_slices(rows, cols), cols, factor,
                              partial, dbias);
}

cudaError_t hs_cuda_bias_grad(cudaStream_t s, double *partial, size_t rows, int cols, int width, float factor, const float *dy,
                              float *dbias)
{
    enum { MOST = HS_CUDA_PARTIALS / HS_COL_SUMS };
    cudaError_t error = cudaSuccess;
    for (int first = 0; first < cols && error == cudaSuccess; first += MOST)
        error = start_bias(s, partial, rows, cols - first < MOST ? cols - first : (int)MOST, width, factor, dy + first, dbias + first);
    return error;
}
