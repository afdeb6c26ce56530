/* optim.c - updates and norms on the flat slab. Sums go over a fixed number of pieces, added in order, whatever the threads. */
#include "optim.h"

#include <math.h>

enum { PIECES = 256, GRAIN = 1024 };

hs_cpu_step hs_cpu_step_of(const hs_update *u)
{
    return (hs_cpu_step){.lr = (float)u->lr, .decay = (float)u->decay, .scale = (float)u->grad_scale, .momentum = (float)u->momentum,
                         .beta1 = (float)u->beta1, .beta2 = (float)u->beta2, .epsilon = (float)u->epsilon, .nesterov = u->nesterov,
                         .new1 = (float)(1 - u->beta1), .new2 = (float)(1 - u->beta2),
                         .rate = (float)(u->correction1 > 0 ? u->lr / u->correction1 : u->lr),
                         .root = (float)(u->correction2 > 0 ? 1 / sqrt(u->correction2) : 1)};
}

static hs_status sgd(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
    const hs_cpu_step step = hs_cpu_step_of(u);
#pragma omp parallel for num_threads(s->device->threads) schedule(static, 1) if (count > 50000)
    for (int t = 0; t < s->device->threads; t++) {
        const hs_cpu_range r = hs_cpu_part(count, GRAIN, t, s->device->threads);
        k->sgd(&step, r.last - r.first, (float *)p + r.first, (const float *)g + r.first, m ? (float *)m + r.first : NULL);
    }
    return HS_OK;
}

static hs_status adam(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m, void *v)
{
    const hs_cpu_kernels *k = hs_cpu_of(s)->kernels;
    const hs_cpu_step step = hs_cpu_step_of(u);
#pragma omp parallel for num_threads(s->device->threads) schedule(static, 1) if (count > 50000)
    for (int t = 0; t < s->device->threads; t++) {
        const hs_cpu_range r = hs_cpu_part(count, GRAIN, t, s->device->threads);
        k->adam(&step, r.last - r.first, (float *)p + r.first, (const float *)g + r.first, (float *)m + r.first, (float *)v + r.first);
    }
    return HS_OK;
}

static double pieces_sum(hs_stream *s, double (*kernel)(size_t, const float *, const float *), size_t count, const float *x, const float *y)
{
    double part[PIECES], sum = 0;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (count > 50000)
    for (int i = 0; i < PIECES; i++) {
        const hs_cpu_range r = hs_cpu_part(count, GRAIN, i, PIECES);
        part[i] = kernel(r.last - r.first, x + r.first, y + r.first);
    }
    for (int i = 0; i < PIECES; i++)
        sum += part[i];
    return sum;
}

static hs_status sum_squares(hs_stream *s, size_t count, const void *x, double *value)
{
    *value += pieces_sum(s, hs_cpu_of(s)->kernels->dot, count, x, x);
    return HS_OK;
}

static hs_status distance_squares(hs_stream *s, size_t count, const void *x, const void *y, double *value)
{
    *value += pieces_sum(s, hs_cpu_of(s)->kernels->distance, count, x, y);
    return HS_OK;
}

static hs_status axpy(hs_stream *s, size_t count, double alpha, const void *x, void *y)
{
    const float factor = (float)alpha, *in = x;
    float *out = y;
#pragma omp parallel for simd num_threads(s->device->threads) schedule(static) if (parallel : count > 50000)
    for (size_t i = 0; i < count; i++)
        out[i] += factor * in[i];
    return HS_OK;
}

const hs_optim_ops hs_cpu_optim_ops = {
    .sgd = sgd,
    .adam = adam,
    .adam_modulus = hs_cpu_adam_modulus,
    .penalty_gradient = hs_cpu_penalty_gradient,
    .penalty_prox = hs_cpu_penalty_prox,
    .sum_squares = sum_squares,
    .distance_squares = distance_squares,
    .axpy = axpy,
};
