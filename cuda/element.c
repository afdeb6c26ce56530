/* element.c - the entries for elementwise ops, batch normalisation and the loss: a launch each. */
#include "hs_cuda.h"

static hs_status relu_fwd(hs_stream *s, size_t count, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_relu_fwd(hs_cuda_raw(s), count, x, y), "relu_fwd");
}

static hs_status relu_bwd(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    return hs_cuda_check(hs_cuda_relu_bwd(hs_cuda_raw(s), count, y, dy, dx), "relu_bwd");
}

static hs_status tanh_fwd(hs_stream *s, size_t count, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_tanh_fwd(hs_cuda_raw(s), count, x, y), "tanh_fwd");
}

static hs_status tanh_bwd(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    return hs_cuda_check(hs_cuda_tanh_bwd(hs_cuda_raw(s), count, y, dy, dx), "tanh_bwd");
}

static hs_status add(hs_stream *s, size_t count, const void *a, const void *b, void *y)
{
    return hs_cuda_check(hs_cuda_add(hs_cuda_raw(s), count, a, b, y), "add");
}

static hs_status scale(hs_stream *s, size_t count, double factor, void *y)
{
    return hs_cuda_check(hs_cuda_scale(hs_cuda_raw(s), count, factor, y), "scale");
}

static hs_status dropout(hs_stream *s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer,
                         int64_t first, const void *x, void *y)
{
    return hs_cuda_check(hs_cuda_dropout(hs_cuda_raw(s), n, features, p, seed, step, layer, first, x, y), "dropout");
}

static hs_status modulus_fwd(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                             void *y)
{
    return hs_cuda_check(hs_cuda_modulus_fwd(hs_cuda_raw(s), soft, bins, self, n, c, x, b, y), "modulus_fwd");
}

static hs_status modulus_bwd(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                             const void *dy, void *dx, void *db)
{
    return hs_cuda_check(hs_cuda_modulus_bwd(hs_cuda_raw(s), hs_cuda_partial(s), soft, bins, self, n, c, x, b, dy, dx, db),
                         "modulus_bwd");
}

const hs_element_ops hs_cuda_element_ops = {
    .relu_fwd = relu_fwd,
    .relu_bwd = relu_bwd,
    .tanh_fwd = tanh_fwd,
    .tanh_bwd = tanh_bwd,
    .add = add,
    .scale = scale,
    .dropout = dropout,
    .modulus_fwd = modulus_fwd,
    .modulus_bwd = modulus_bwd,
};

/* ---- batch normalisation ------------------------------------------------------------------------------------------------ */

static hs_status moments(hs_stream *s, size_t rows, int c, const void *x, double *sums)
{
    return hs_cuda_check(hs_cuda_moments(hs_cuda_raw(s), hs_cuda_partial(s), rows, c, x, sums), "moments");
}

static hs_status apply(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                       const void *beta, void *y)
{
    return hs_cuda_check(hs_cuda_norm_apply(hs_cuda_raw(s), rows, c, x, mean, rstd, gamma, beta, y), "norm apply");
}

static hs_status moments_bwd(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd,
                             const void *dy, double *sums)
{
    return hs_cuda_check(hs_cuda_moments_bwd(hs_cuda_raw(s), hs_cuda_partial(s), rows, c, x, mean, rstd, dy, sums),
                         "moments_bwd");
}

static hs_status apply_bwd(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd,
                           const void *gamma, const void *dy, const double *sums, double total, void *dx)
{
    return hs_cuda_check(hs_cuda_norm_apply_bwd(hs_cuda_raw(s), rows, c, x, mean, rstd, gamma, dy, sums, total, dx),
                         "norm apply_bwd");
}

static hs_status statistics(hs_stream *s, int c, const double *sums, double total, double epsilon, double momentum, double *mean,
                            double *rstd, void *running_mean, void *running_var)
{
    return hs_cuda_check(hs_cuda_norm_statistics(hs_cuda_raw(s), c, sums, total, epsilon, momentum, mean, rstd, running_mean, running_var),
                         "norm statistics");
}

static hs_status running(hs_stream *s, int c, const void *running_mean, const void *running_var, double epsilon, double *mean,
                         double *rstd)
{
    return hs_cuda_check(hs_cuda_norm_running(hs_cuda_raw(s), c, running_mean, running_var, epsilon, mean, rstd), "norm running");
}

static hs_status gradients(hs_stream *s, int c, const double *sums, void *dgamma, void *dbeta)
{
    return hs_cuda_check(hs_cuda_norm_gradients(hs_cuda_raw(s), c, sums, dgamma, dbeta), "norm gradients");
}

const hs_norm_ops hs_cuda_norm_ops = {
    .moments = moments,
    .apply = apply,
    .moments_bwd = moments_bwd,
    .apply_bwd = apply_bwd,
    .statistics = statistics,
    .running = running,
    .gradients = gradients,
};

/* ---- loss --------------------------------------------------------------------------------------------------------------- */

static hs_status softmax(hs_stream *s, int n, int classes, const void *logits, const int32_t *labels, double scale_by,
                         void *dlogits, double *totals)
{
    return hs_cuda_check(
        hs_cuda_softmax(hs_cuda_raw(s), hs_cuda_partial(s), n, classes, logits, labels, scale_by, dlogits, totals), "softmax");
}

const hs_loss_ops hs_cuda_loss_ops = {
    .softmax = softmax,
};
