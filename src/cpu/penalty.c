/* penalty.c - what looks at whole bins of filters [T][q]: penalties, their proximal maps, and Adam with one second moment per complex modulus.
 * Rows are shared among threads; sums go over fixed parts in order. */

#include <math.h>

#include "optim.h"

/* ---- penalties ------------------------------------------------------------------------------------------------------------------------ */

/* Sum of f over one row of one piece: a modulus counts once, in the first of its two rows. */
static double row_value(hs_penalty_kind kind, const float *own, const float *other, size_t count)
{
    double sum = 0;
    if (kind == HS_PENALTY_L2) {
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < count; j++)
            sum += 0.5 * (double)own[j] * (double)own[j];
    } else if (kind == HS_PENALTY_L1_SPLIT || other == own) {
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < count; j++)
            sum += (double)fabsf(own[j]);
    } else {
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < count; j++)
            sum += sqrt((double)own[j] * (double)own[j] + (double)other[j] * (double)other[j]);
    }
    return sum;
}

/* In PARTS sums, added in order: VALUE does not depend on the threads. */
static void add_value(hs_stream *s, hs_penalty_kind kind, const hs_groups *g, size_t q, double lambda, const float *p, double *value)
{
    enum { PARTS = 64 };
    double part[PARTS] = {0};
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int i = 0; i < PARTS; i++)
        for (int t = i; t < g->coords; t += PARTS) {
            const int partner = g->partner[t];
            if (kind == HS_PENALTY_L1_MODULUS && partner < t)
                continue;
            part[i] += g->weight[t] * row_value(kind, p + (size_t)t * q, p + (size_t)partner * q, q);
        }
    for (int i = 0; i < PARTS; i++)
        *value += lambda * part[i];
}

static void add_slope(hs_penalty_kind kind, float factor, const float *own, const float *other, size_t count, float *g)
{
    if (kind == HS_PENALTY_L2) {
#pragma omp simd
        for (size_t j = 0; j < count; j++)
            g[j] += factor * own[j];
    } else if (kind == HS_PENALTY_L1_SPLIT || own == other) {
        for (size_t j = 0; j < count; j++)
            g[j] += own[j] > 0 ? factor : own[j] < 0 ? -factor : factor * own[j]; /* 0 at 0, NaN stays */
    } else {
        for (size_t j = 0; j < count; j++) {
            const double modulus = sqrt((double)own[j] * (double)own[j] + (double)other[j] * (double)other[j]);
            g[j] += own[j] == 0 ? 0.0f : (float)((double)factor * (double)own[j] / modulus);
        }
    }
}

hs_status hs_cpu_penalty_gradient(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const void *p, void *g,
                                  double *value)
{
    add_value(s, kind, groups, q, lambda, p, value);
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int t = 0; t < groups->coords; t++)
        add_slope(kind, (float)(lambda * groups->weight[t]), (const float *)p + (size_t)t * q, (const float *)p + (size_t)groups->partner[t] * q, q,
                  (float *)g + (size_t)t * q);
    return HS_OK;
}

/* argmin over z of |z - p|^2 / 2 + threshold |z| is max(1 - threshold / |p|, 0) p: exact zeros below the threshold. */
static double shrink(double size, double threshold)
{
    return size <= threshold ? 0 : 1 - threshold / size;
}

static void prox_rows(hs_penalty_kind kind, double threshold, float *own, float *other, size_t count)
{
    if (kind == HS_PENALTY_L2) {
        const float factor = (float)(1 / (1 + threshold));
#pragma omp simd
        for (size_t j = 0; j < count; j++)
            own[j] *= factor;
        return;
    }
    for (size_t j = 0; j < count; j++) {
        const double x = own[j], y = other == own ? 0 : (double)other[j], factor = shrink(sqrt(x * x + y * y), threshold);
        own[j] = (float)(factor * x);
        if (other != own)
            other[j] = (float)(factor * y);
    }
}

hs_status hs_cpu_penalty_prox(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p, double *value)
{
    add_value(s, kind, groups, q, lambda, p, value);
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int t = 0; t < groups->coords; t++) {
        const int partner = kind == HS_PENALTY_L1_MODULUS ? groups->partner[t] : t;
        if (partner >= t) /* both rows of a bin shrink alike: the first does both */
            prox_rows(kind, lambda * groups->weight[t], (float *)p + (size_t)t * q, (float *)p + (size_t)partner * q, q);
    }
    return HS_OK;
}

/* ---- Adam per modulus ------------------------------------------------------------------------------------------------------------------ */

hs_status hs_cpu_adam_modulus(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g, void *m, void *v)
{
    const hs_cpu_step k = hs_cpu_step_of(u);
    const float shrunk = k.lr * k.decay;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int t = 0; t < groups->coords; t++) {
        const size_t at = (size_t)t * q;
        const float *own = (const float *)g + at, *other = (const float *)g + (size_t)groups->partner[t] * q;
        float *param = (float *)p + at, *first = (float *)m + at, *second = (float *)v + at;
#pragma omp simd
        for (size_t j = 0; j < q; j++) {
            const float a = k.scale * own[j], b = k.scale * other[j]; /* alone in its bin: b = a, and the half sum is a^2 */
            const float f = k.beta1 * first[j] + k.new1 * a, w = k.beta2 * second[j] + k.new2 * (0.5f * (a * a + b * b));
            first[j] = f;
            second[j] = w;
            param[j] -= k.rate * f / (k.root * sqrtf(w) + k.epsilon) + shrunk * param[j];
        }
    }
    return HS_OK;
}
