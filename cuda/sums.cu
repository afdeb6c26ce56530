/* sums.cu - squares and squared distances of slabs. */
#include "sums.h"

#include "kernels.h"

static __global__ void distance(size_t count, const float *x, const float *y, double *partial)
{
    HS_SHARED(double, room);
    double sum = 0;
    HS_EACH (i, count) {
        const double gap = (double)x[i] - (y ? (double)y[i] : 0);
        sum += gap * gap;
    }
    sum = hs_block_sum(sum, room);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

cudaError_t hs_cuda_distance(cudaStream_t s, double *partial, size_t count, const float *x, const float *y, double *value)
{
    const unsigned blocks = hs_sum_blocks(count);
    const size_t shared = HS_SUM_BLOCK * sizeof(double);
    if (count == 0)
        return cudaSuccess;
    const cudaError_t error = HS_LAUNCH_TOGETHER(distance, blocks, HS_SUM_BLOCK, shared, s, count, x, y, partial);
    return error != cudaSuccess ? error
                                : HS_LAUNCH_TOGETHER(hs_sum_total, 1, HS_SUM_BLOCK, shared, s, (int)blocks, 1.0, partial, value);
}
