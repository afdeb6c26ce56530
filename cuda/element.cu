/* element.cu - what works on each number by itself. A NaN that goes in comes out. */
#include "launch.h"

#include "kernels.h"

static __global__ void relu_fwd(size_t count, const float *x, float *y)
{
    HS_EACH(i, count)
        y[i] = x[i] < 0 ? 0 : x[i];
}

static __global__ void relu_bwd(size_t count, const float *y, const float *dy, float *dx)
{
    HS_EACH(i, count)
        dx[i] = y[i] <= 0 ? 0 : dy[i];
}

static __global__ void tanh_fwd(size_t count, const float *x, float *y)
{
    HS_EACH(i, count)
        y[i] = tanhf(x[i]);
}

static __global__ void tanh_bwd(size_t count, const float *y, const float *dy, float *dx)
{
    HS_EACH(i, count)
        dx[i] = (float)((double)dy[i] * (1 - (double)y[i] * (double)y[i])); /* y near 1: the difference would lose its digits */
}

static __global__ void add(size_t count, const float *a, const float *b, float *y)
{
    HS_EACH(i, count)
        y[i] = a[i] + b[i];
}

static __global__ void scale(size_t count, float factor, float *y)
{
    HS_EACH(i, count)
        y[i] = factor * y[i];
}

static __global__ void scale_rows(size_t count, int cols, int width, float factor, float *c)
{
    HS_EACH(i, count)
    {
        float *at = c + i / cols * width + i % cols;
        *at = factor == 0 ? 0 : factor * *at;
    }
}

static __global__ void axpy(size_t count, float alpha, const float *x, float *y)
{
    HS_EACH(i, count)
        y[i] = y[i] + alpha * x[i];
}

cudaError_t hs_cuda_relu_fwd(cudaStream_t s, size_t count, const float *x, float *y)
{
    return count ? HS_LAUNCH(relu_fwd, hs_blocks(count), HS_BLOCK, 0, s, count, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_relu_bwd(cudaStream_t s, size_t count, const float *y, const float *dy, float *dx)
{
    return count ? HS_LAUNCH(relu_bwd, hs_blocks(count), HS_BLOCK, 0, s, count, y, dy, dx) : cudaSuccess;
}

cudaError_t hs_cuda_tanh_fwd(cudaStream_t s, size_t count, const float *x, float *y)
{
    return count ? HS_LAUNCH(tanh_fwd, hs_blocks(count), HS_BLOCK, 0, s, count, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_tanh_bwd(cudaStream_t s, size_t count, const float *y, const float *dy, float *dx)
{
    return count ? HS_LAUNCH(tanh_bwd, hs_blocks(count), HS_BLOCK, 0, s, count, y, dy, dx) : cudaSuccess;
}

cudaError_t hs_cuda_add(cudaStream_t s, size_t count, const float *a, const float *b, float *y)
{
    return count ? HS_LAUNCH(add, hs_blocks(count), HS_BLOCK, 0, s, count, a, b, y) : cudaSuccess;
}

cudaError_t hs_cuda_scale(cudaStream_t s, size_t count, double factor, float *y)
{
    return count ? HS_LAUNCH(scale, hs_blocks(count), HS_BLOCK, 0, s, count, (float)factor, y) : cudaSuccess;
}

cudaError_t hs_cuda_axpy(cudaStream_t s, size_t count, double alpha, const float *x, float *y)
{
    return count ? HS_LAUNCH(axpy, hs_blocks(count), HS_BLOCK, 0, s, count, (float)alpha, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_scale_rows(cudaStream_t s, size_t rows, int cols, int width, double factor, float *c)
{
    const size_t count = rows * cols;
    return count ? HS_LAUNCH(scale_rows, hs_blocks(count), HS_BLOCK, 0, s, count, cols, width, (float)factor, c) : cudaSuccess;
}
