/* norm.c - batch normalisation in two halves: sums, which the caller may add up over ranks, and the map itself. */
#include "real.h"

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

const hs_norm_ops REF(norm_ops) = {
    .moments = REF(moments),
    .apply = REF(norm_apply),
    .moments_bwd = REF(moments_bwd),
    .apply_bwd = REF(norm_apply_bwd),
};
