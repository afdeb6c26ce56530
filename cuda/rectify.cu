/* rectify.cu - a rectifier at the end of a convolution: with the bias in front and one bit a number for the way back, where the
 * bias' gradient is summed in the same pass. A number that is not one passes both ways, so that it is seen. */
#include "columns.h"

/* A thread does the columns of one byte. */
static __global__ void rectify(size_t count, int cols, const float *bias, float *y, uint8_t *mask)
{
    const int bytes = (cols + 7) / 8;
    HS_EACH (i, count) {
        const int first = (int)(i % bytes) * 8;
        float *row = y + i / bytes * cols;
        unsigned bits = 0;
        for (int c = first; c < cols && c < first + 8; c++) {
            const float v = row[c] + (bias ? bias[c] : 0);
            bits |= (unsigned)!(v <= 0) << (c - first);
            row[c] = v < 0 ? 0 : v;
        }
        mask[i] = (uint8_t)bits;
    }
}

struct masked_term {
    const float *dy;
    const uint8_t *mask;
    float *dm;
    int cols;
    __device__ void operator()(size_t row, int col, double *a, double *b) const
    {
        const size_t at = row * cols + col;
        const float v = mask[row * ((cols + 7) / 8) + col / 8] >> col % 8 & 1 ? dy[at] : 0;
        dm[at] = v;
        *a = v;
        *b = 0;
    }
};

static __global__ void masked_slices(size_t rows, int cols, size_t slice, const float *dy, const uint8_t *mask, float *dm,
                                     double *partial)
{
    HS_SHARED(double, room);
    hs_column_slice(masked_term{dy, mask, dm, cols}, rows, cols, slice, partial, room);
}

static __global__ void masked_total(int slices, int cols, const double *partial, float *dbias)
{
    HS_EACH (col, (size_t)cols)
        dbias[col] = (float)hs_column_total(partial, slices, cols, (int)col, 0);
}

cudaError_t hs_cuda_rectify(cudaStream_t s, size_t rows, int cols, const float *bias, float *y, uint8_t *mask)
{
    const size_t count = rows * ((cols + 7) / 8);
    return count ? HS_LAUNCH(rectify, hs_blocks(count), HS_BLOCK, 0, s, count, cols, bias, y, mask) : cudaSuccess;
}

cudaError_t hs_cuda_rectify_grad(cudaStream_t s, double *partial, size_t rows, int cols, const float *dy, const uint8_t *mask,
                                 float *dm, float *dbias)
{
    if (rows == 0 || cols == 0)
        return cudaSuccess;
    const cudaError_t error = HS_LAUNCH_TOGETHER(masked_slices, hs_column_grid(rows, cols), HS_COL_BLOCK, HS_COL_SHARED, s, rows,
                                                 cols, hs_slice_rows(rows, cols), dy, mask, dm, partial);
    if (error != cudaSuccess || !dbias)
        return error;
    return HS_LAUNCH(masked_total, hs_blocks(cols), HS_BLOCK, 0, s, hs_slices(rows, cols), cols, partial, dbias);
}
