/* norm.c - batch normalisation in two halves: sums, which the caller may add up over ranks, and the map itself. */
#include "real.h"

#include <math.h>

hs_status REF(moments)(hs_stream *s, size_t rows, int c, const void *x, double *sums)
{
    (void)s;
    const real *in = x;
    for (int j = 0; j < c; j++) {
        double sum = 0, square = 0;
        for (size_t r = 0; r < rows; r++) {
            double v = in[r * c + j];
            sum += v;
            square += v * v;
        }
        sums[j] = sum;
        sums[c + j] = square;
    }
    return HS_OK;
}

hs_status REF(norm_apply)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                          const void *beta, void *y)
{
    (void)s;
    const real *in = x, *factor = gamma, *shift = beta;
    real *out = y;
    for (size_t r = 0; r < rows; r++)
        for (int j = 0; j < c; j++)
            out[r * c + j] = (real)((double)factor[j] * ((double)in[r * c + j] - mean[j]) * rstd[j] + (double)shift[j]);
    return HS_OK;
}

hs_status REF(moments_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *dy,
                           double *sums)
{
    (void)s;
    const real *in = x, *grad = dy;
    for (int j = 0; j < c; j++) {
        double sum = 0, product = 0;
        for (size_t r = 0; r < rows; r++) {
            double g = grad[r * c + j];
            sum += g;
            product += g * ((double)in[r * c + j] - mean[j]) * rstd[j];
        }
        sums[j] = sum;
        sums[c + j] = product;
    }
    return HS_OK;
}

hs_status REF(norm_apply_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                              const void *dy, const double *sums, double total, void *dx)
{
    (void)s;
    const real *in = x, *factor = gamma, *grad = dy;
    real *out = dx;
    for (size_t r = 0; r < rows; r++) {
        for (int j = 0; j < c; j++) {
            double xhat = ((double)in[r * c + j] - mean[j]) * rstd[j];
            double centred = (double)grad[r * c + j] - sums[j] / total - xhat * sums[c + j] / total;
            out[r * c + j] = (real)((double)factor[j] * rstd[j] * centred);
        }
    }
    return HS_OK;
}

hs_status REF(norm_statistics)(hs_stream *s, int c, const double *sums, double total, double epsilon, double momentum, double *mean, double *rstd,
                               void *running_mean, void *running_var)
{
    (void)s;
    real *old_mean = running_mean, *old_var = running_var;
    for (int j = 0; j < c; j++) {
        double var = fmax(sums[c + j] / total - sums[j] / total * (sums[j] / total), 0);
        mean[j] = sums[j] / total;
        rstd[j] = 1 / sqrt(var + epsilon);
        old_mean[j] = (real)((1 - momentum) * (double)old_mean[j] + momentum * mean[j]);
        old_var[j] = (real)((1 - momentum) * (double)old_var[j] + momentum * (var * total / fmax(total - 1, 1)));
    }
    return HS_OK;
}

hs_status REF(norm_running)(hs_stream *s, int c, const void *running_mean, const void *running_var, double epsilon, double *mean, double *rstd)
{
    (void)s;
    for (int j = 0; j < c; j++) {
        mean[j] = ((const real *)running_mean)[j];
        rstd[j] = 1 / sqrt((double)((const real *)running_var)[j] + epsilon);
    }
    return HS_OK;
}

hs_status REF(norm_gradients)(hs_stream *s, int c, const double *sums, void *dgamma, void *dbeta)
{
    (void)s;
    for (int j = 0; j < c; j++) {
        ((real *)dbeta)[j] = (real)sums[j];
        ((real *)dgamma)[j] = (real)sums[c + j];
    }
    return HS_OK;
}

const hs_norm_ops REF(norm_ops) = {
    .moments = REF(moments),
    .apply = REF(norm_apply),
    .moments_bwd = REF(moments_bwd),
    .apply_bwd = REF(norm_apply_bwd),
    .statistics = REF(norm_statistics),
    .running = REF(norm_running),
    .gradients = REF(norm_gradients),
};
