/* norm.c - batch normalisation over rows of channels, and the loss, which is too small to be worth an own form.
 *
 * Sums go one line of 16 channels at a time over all rows, in runs of float added in double: the same for any number of threads. */
#include "cpu.h"

#include "../ref/ref.h"

enum { LINE = 16 };

static hs_status moments(hs_stream *s, size_t rows, int c, const void *x, double *sums)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (rows * (size_t)c > 20000)
    for (int first = 0; first < c; first += LINE) {
        const int width = c - first < LINE ? c - first : LINE;
        double sum[LINE] = {0}, square[LINE] = {0};
        k->moments(rows, c, width, (const float *)x + first, sum, square);
        for (int i = 0; i < width; i++)
            sums[first + i] = sum[i], sums[c + first + i] = square[i];
    }
    return HS_OK;
}

static hs_status moments_bwd(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *dy,
                             double *sums)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (rows * (size_t)c > 20000)
    for (int first = 0; first < c; first += LINE) {
        const int width = c - first < LINE ? c - first : LINE;
        double sum[LINE] = {0}, product[LINE] = {0};
        float centre[LINE], scale[LINE];
        for (int i = 0; i < width; i++)
            centre[i] = (float)mean[first + i], scale[i] = (float)rstd[first + i];
        k->moments_adjoint(rows, c, width, (const float *)x + first, (const float *)dy + first, centre, scale, sum, product);
        for (int i = 0; i < width; i++)
            sums[first + i] = sum[i], sums[c + first + i] = product[i];
    }
    return HS_OK;
}

static hs_status apply(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                       const void *beta, void *y)
{
    const float *in = x, *g = gamma, *b = beta;
    float *out = y;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (rows * (size_t)c > 20000)
    for (size_t r = 0; r < rows; r++) {
        const float *from = in + r * (size_t)c;
        float *to = out + r * (size_t)c;
#pragma omp simd
        for (int j = 0; j < c; j++)
            to[j] = g[j] * (from[j] - (float)mean[j]) * (float)rstd[j] + b[j];
    }
    return HS_OK;
}

static hs_status apply_bwd(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                           const void *dy, const double *sums, double total, void *dx)
{
    const float *in = x, *g = gamma, *grad = dy;
    float *out = dx;
    const double share = 1 / total;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (rows * (size_t)c > 20000)
    for (size_t r = 0; r < rows; r++) {
        const size_t at = r * (size_t)c;
#pragma omp simd
        for (int j = 0; j < c; j++) {
            const float scale = (float)rstd[j], xhat = (in[at + j] - (float)mean[j]) * scale;
            out[at + j] = g[j] * scale * (grad[at + j] - (float)(sums[j] * share) - xhat * (float)(sums[c + j] * share));
        }
    }
    return HS_OK;
}

const hs_norm_ops hs_cpu_norm_ops = {
    .moments = moments,
    .apply = apply,
    .moments_bwd = moments_bwd,
    .apply_bwd = apply_bwd,
    .statistics = hs_ref32_norm_statistics,
    .running = hs_ref32_norm_running,
    .gradients = hs_ref32_norm_gradients,
};
const hs_loss_ops hs_cpu_loss_ops = {.softmax = hs_ref32_softmax};
