/* optim.c - updates, penalties and norms over ranges of the parameter slab. A filter is [T][q]: coordinate, then (in, out) pair; the two
 * coordinates of a complex bin are partners. */
#include "real.h"

#include <math.h>

/* p - lr (step + decay p): the decay is not seen by the moments (Loshchilov and Hutter 2019, algorithm 2). */
static real moved(const hs_update *u, double p, double step)
{
    return (real)(p - u->lr * (step + u->decay * p));
}

hs_status REF(sgd)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m)
{
    (void)s;
    real *param = p, *velocity = m;
    const real *grad = g;
    for (size_t i = 0; i < count; i++) {
        double step = u->grad_scale * (double)grad[i];
        if (velocity) {
            double v = u->momentum * (double)velocity[i] + step;
            velocity[i] = (real)v;
            step = u->nesterov ? step + u->momentum * v : v;
        }
        param[i] = moved(u, param[i], step);
    }
    return HS_OK;
}

/* One number with gradient G, whose second moment grows by SQUARE. */
static void adam_one(const hs_update *u, double g, double square, real *p, real *m, real *v)
{
    double first = u->beta1 * (double)*m + (1 - u->beta1) * g;
    double second = u->beta2 * (double)*v + (1 - u->beta2) * square;
    *m = (real)first;
    *v = (real)second;
    *p = moved(u, *p, first / u->correction1 / (sqrt(second / u->correction2) + u->epsilon));
}

hs_status REF(adam)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m, void *v)
{
    (void)s;
    const real *grad = g;
    for (size_t i = 0; i < count; i++) {
        double scaled = u->grad_scale * (double)grad[i];
        adam_one(u, scaled, scaled * scaled, (real *)p + i, (real *)m + i, (real *)v + i);
    }
    return HS_OK;
}

hs_status REF(adam_modulus)(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g, void *m, void *v)
{
    (void)s;
    const real *grad = g;
    for (size_t t = 0; t < (size_t)groups->coords; t++) {
        const size_t partner = (size_t)groups->partner[t];
        for (size_t j = 0; j < q; j++) {
            const size_t at = t * q + j;
            double own = u->grad_scale * (double)grad[at], other = u->grad_scale * (double)grad[partner * q + j];
            double square = partner == t ? own * own : 0.5 * (own * own + other * other);
            adam_one(u, own, square, (real *)p + at, (real *)m + at, (real *)v + at);
        }
    }
    return HS_OK;
}

/* ---- penalties: lambda sum over rows t of weight[t] f(t). A complex bin counts its modulus once, in the first of its two rows, whose
 * weights are equal. ------------------------------------------------------------------------------------------------------------------- */

static double modulus_at(const hs_groups *groups, size_t q, const real *p, int t, size_t j)
{
    int partner = groups->partner[t];
    double own = p[(size_t)t * q + j];
    return partner == t ? fabs(own) : hypot(own, p[(size_t)partner * q + j]);
}

static double value_at(hs_penalty_kind kind, const hs_groups *groups, size_t q, const real *p, int t, size_t j)
{
    double own = p[(size_t)t * q + j];
    switch (kind) {
    case HS_PENALTY_L2:
        return own * own / 2;
    case HS_PENALTY_L1_SPLIT:
        return fabs(own);
    default:
        return groups->partner[t] < t ? 0 : modulus_at(groups, q, p, t, j);
    }
}

static void add_value(hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const real *p, double *value)
{
    double sum = 0;
    for (int t = 0; t < groups->coords; t++) {
        double row = 0;
        for (size_t j = 0; j < q; j++)
            row += value_at(kind, groups, q, p, t, j);
        sum += groups->weight[t] * row;
    }
    *value += lambda * sum;
}

/* Derivative by p(t, j); 0 at a kink. */
static double slope_at(hs_penalty_kind kind, const hs_groups *groups, size_t q, const real *p, int t, size_t j)
{
    double own = p[(size_t)t * q + j];
    if (kind == HS_PENALTY_L2)
        return groups->weight[t] * own;
    if (own == 0)
        return 0;
    if (kind == HS_PENALTY_L1_SPLIT)
        return groups->weight[t] * (own > 0 ? 1 : own < 0 ? -1 : own);
    return groups->weight[t] * own / modulus_at(groups, q, p, t, j);
}

hs_status REF(penalty_gradient)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const void *p,
                                void *g, double *value)
{
    (void)s;
    real *grad = g;
    add_value(kind, groups, q, lambda, p, value);
    for (int t = 0; t < groups->coords; t++)
        for (size_t j = 0; j < q; j++)
            grad[(size_t)t * q + j] = (real)((double)grad[(size_t)t * q + j] + lambda * slope_at(kind, groups, q, p, t, j));
    return HS_OK;
}

/* Factor of the proximal map: argmin over z of |z - p|^2 / 2 + threshold |z| is max(1 - threshold / |p|, 0) p. */
static double shrink(double size, double threshold)
{
    return size <= threshold ? 0 : 1 - threshold / size;
}

/* The factor of row T; for the modulus both partners get the same, so the row that comes first does the pair. */
static void prox_row(hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, real *p, int t)
{
    const int partner = kind == HS_PENALTY_L1_MODULUS ? groups->partner[t] : t;
    if (partner < t)
        return;
    for (size_t j = 0; j < q; j++) {
        real *own = p + (size_t)t * q + j, *other = p + (size_t)partner * q + j;
        double factor;
        if (kind == HS_PENALTY_L2)
            factor = 1 / (1 + lambda * groups->weight[t]);
        else if (kind == HS_PENALTY_L1_SPLIT)
            factor = shrink(fabs((double)*own), lambda * groups->weight[t]);
        else
            factor = shrink(modulus_at(groups, q, p, t, j), lambda * groups->weight[t]);
        *own = (real)(factor * (double)*own);
        if (other != own)
            *other = (real)(factor * (double)*other);
    }
}

hs_status REF(penalty_prox)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p, double *value)
{
    (void)s;
    add_value(kind, groups, q, lambda, p, value);
    for (int t = 0; t < groups->coords; t++)
        prox_row(kind, groups, q, lambda, p, t);
    return HS_OK;
}

/* ---- norms ------------------------------------------------------------------------------------------------------------------------- */

hs_status REF(sum_squares)(hs_stream *s, size_t count, const void *x, double *value)
{
    (void)s;
    const real *in = x;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)in[i] * (double)in[i];
    *value += sum;
    return HS_OK;
}

hs_status REF(distance_squares)(hs_stream *s, size_t count, const void *x, const void *y, double *value)
{
    (void)s;
    const real *left = x, *right = y;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double gap = (double)left[i] - (double)right[i];
        sum += gap * gap;
    }
    *value += sum;
    return HS_OK;
}

hs_status REF(axpy)(hs_stream *s, size_t count, double alpha, const void *x, void *y)
{
    (void)s;
    const real *in = x;
    real *out = y;
    for (size_t i = 0; i < count; i++)
        out[i] = (real)((double)out[i] + alpha * (double)in[i]);
    return HS_OK;
}

const hs_optim_ops REF(optim_ops) = {
    .sgd = REF(sgd),
    .adam = REF(adam),
    .adam_modulus = REF(adam_modulus),
    .penalty_gradient = REF(penalty_gradient),
    .penalty_prox = REF(penalty_prox),
    .sum_squares = REF(sum_squares),
    .distance_squares = REF(distance_squares),
    .axpy = REF(axpy),
};
