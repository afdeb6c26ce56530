/* norm.cu - batch normalisation over rows of c channels: sums in double, which the caller may add up over ranks, and the maps. */
#include "columns.h"

struct moments_term {
    const float *x;
    int c;
    __device__ void operator()(size_t row, int col, double *a, double *b) const
    {
        const double v = x[row * c + col];
        *a = v;
        *b = v * v;
    }
};

struct moments_bwd_term {
    const float *x, *dy;
    const double *mean, *rstd;
    int c;
    __device__ void operator()(size_t row, int col, double *a, double *b) const
    {
        const double g = dy[row * c + col];
        *a = g;
        *b = g * ((double)x[row * c + col] - mean[col]) * rstd[col];
    }
};

static __global__ void moments_slices(size_t rows, int c, size_t slice, const float *x, double *partial)
{
    HS_SHARED(double, room);
    hs_column_slice(moments_term{x, c}, rows, c, slice, partial, room);
}

static __global__ void moments_bwd_slices(size_t rows, int c, size_t slice, const float *x, const double *mean,
                                          const double *rstd, const float *dy, double *partial)
{
    HS_SHARED(double, room);
    hs_column_slice(moments_bwd_term{x, dy, mean, rstd, c}, rows, c, slice, partial, room);
}

static __global__ void moments_total(int slices, int c, const double *partial, double *sums)
{
    HS_SHARED(double, room);
    int col;
    double sum;
    if (hs_column_total(partial + (size_t)blockIdx.y * c, slices, 2 * (size_t)c, c, room, &col, &sum))
        sums[(size_t)blockIdx.y * c + col] = sum;
}

static __global__ void apply(size_t count, int c, const float *x, const double *mean, const double *rstd, const float *gamma,
                             const float *beta, float *y)
{
    HS_EACH (i, count) {
        const size_t j = i % c;
        y[i] = (float)((double)gamma[j] * ((double)x[i] - mean[j]) * rstd[j] + (double)beta[j]);
    }
}

static __global__ void apply_bwd(size_t count, int c, const float *x, const double *mean, const double *rstd, const float *gamma,
                                 const float *dy, const double *sums, double total, float *dx)
{
    HS_EACH (i, count) {
        const size_t j = i % c;
        const double xhat = ((double)x[i] - mean[j]) * rstd[j];
        dx[i] = (float)((double)gamma[j] * rstd[j] * ((double)dy[i] - sums[j] / total - xhat * sums[c + j] / total));
    }
}

/* ---- what is made of the sums: a number a channel ------------------------------------------------------------------------ */

static __global__ void statistics(int c, const double *sums, double total, double epsilon, double momentum, double *mean,
                                  double *rstd, float *running_mean, float *running_var)
{
    HS_EACH (j, (size_t)c) {
        const double m = sums[j] / total, raw = sums[c + j] / total - m * m, var = raw < 0 ? 0 : raw;
        mean[j] = m;
        rstd[j] = 1 / sqrt(var + epsilon);
        running_mean[j] = (float)((1 - momentum) * (double)running_mean[j] + momentum * m);
        running_var[j] = (float)((1 - momentum) * (double)running_var[j] + momentum * (var * total / (total > 2 ? total - 1 : 1)));
    }
}

static __global__ void running(int c, const float *running_mean, const float *running_var, double epsilon, double *mean,
                               double *rstd)
{
    HS_EACH (j, (size_t)c) {
        mean[j] = running_mean[j];
        rstd[j] = 1 / sqrt((double)running_var[j] + epsilon);
    }
}

static __global__ void gradients(int c, const double *sums, float *dgamma, float *dbeta)
{
    HS_EACH (j, (size_t)c) {
        dbeta[j] = (float)sums[j];
        dgamma[j] = (float)sums[c + j];
    }
}

cudaError_t hs_cuda_norm_statistics(cudaStream_t s, int c, const double *sums, double total, double epsilon, double momentum,
                                    double *mean, double *rstd, float *running_mean, float *running_var)
{
    return HS_LAUNCH(statistics, hs_blocks((size_t)c), HS_BLOCK, 0, s, c, sums, total, epsilon, momentum, mean, rstd, running_mean,
                     running_var);
}

cudaError_t hs_cuda_norm_running(cudaStream_t s, int c, const float *running_mean, const float *running_var, double epsilon,
                                 double *mean, double *rstd)
{
    return HS_LAUNCH(running, hs_blocks((size_t)c), HS_BLOCK, 0, s, c, running_mean, running_var, epsilon, mean, rstd);
}

cudaError_t hs_cuda_norm_gradients(cudaStream_t s, int c, const double *sums, float *dgamma, float *dbeta)
{
    return HS_LAUNCH(gradients, hs_blocks((size_t)c), HS_BLOCK, 0, s, c, sums, dgamma, dbeta);
}

static cudaError_t finish_moments(cudaStream_t s, cudaError_t slices, size_t rows, int c, const double *partial, double *sums)
{
    if (slices != cudaSuccess)
        return slices;
    return HS_LAUNCH_TOGETHER(moments_total, hs_total_grid(c, 2), HS_COL_BLOCK, HS_COL_SHARED, s, hs_slices(rows, c), c, partial, sums);
}

cudaError_t hs_cuda_moments(cudaStream_t s, double *partial, size_t rows, int c, const float *x, double *sums)
{
    cudaError_t error = cudaSuccess;
    if (rows > 0)
        error = HS_LAUNCH_TOGETHER(moments_slices, hs_column_grid(rows, c), HS_COL_BLOCK, HS_COL_SHARED, s, rows, c,
                                   hs_slice_rows(rows, c), x, partial);
    return finish_moments(s, error, rows, c, partial, sums);
}

cudaError_t hs_cuda_moments_bwd(cudaStream_t s, double *partial, size_t rows, int c, const float *x, const double *mean,
                                const double *rstd, const float *dy, double *sums)
{
    cudaError_t error = cudaSuccess;
    if (rows > 0)
        error = HS_LAUNCH_TOGETHER(moments_bwd_slices, hs_column_grid(rows, c), HS_COL_BLOCK, HS_COL_SHARED, s, rows, c,
                                   hs_slice_rows(rows, c), x, mean, rstd, dy, partial);
    return finish_moments(s, error, rows, c, partial, sums);
}

cudaError_t hs_cuda_norm_apply(cudaStream_t s, size_t rows, int c, const float *x, const double *mean, const double *rstd,
                               const float *gamma, const float *beta, float *y)
{
    const size_t count = rows * c;
    return count ? HS_LAUNCH(apply, hs_blocks(count), HS_BLOCK, 0, s, count, c, x, mean, rstd, gamma, beta, y) : cudaSuccess;
}

cudaError_t hs_cuda_norm_apply_bwd(cudaStream_t s, size_t rows, int c, const float *x, const double *mean, const double *rstd,
                                   const float *gamma, const float *dy, const double *sums, double total, float *dx)
{
    const size_t count = rows * c;
    return count ? HS_LAUNCH(apply_bwd, hs_blocks(count), HS_BLOCK, 0, s, count, c, x, mean, rstd, gamma, dy, sums, total, dx)
                 : cudaSuccess;
}
