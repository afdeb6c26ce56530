/* element.c - element by element; bounded by memory. */
#include "cpu.h"

#include <math.h>

#include "../ref/ref.h"
#include "hs_rng.h"

/* Starting the threads takes as long as some 20,000 numbers. */
enum { LEAST = 20000 };

#define PARALLEL_LOOP(s) _Pragma("omp parallel for simd num_threads((s)->device->threads) schedule(static) if (parallel : count > LEAST)")

static hs_status relu_fwd(hs_stream *s, size_t count, const void *x, void *y)
{
    const float *in = x;
    float *out = y;
    PARALLEL_LOOP(s)
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] <= 0.0f ? 0.0f : in[i]; /* so that NaN stays */
    return HS_OK;
}

static hs_status relu_bwd(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    const float *out = y, *grad = dy;
    float *in = dx;
    PARALLEL_LOOP(s)
    for (size_t i = 0; i < count; i++) {
        const float g = grad[i]; /* read in any case: a conditional read is not vectorised */
        in[i] = out[i] > 0.0f ? g : 0.0f;
    }
    return HS_OK;
}

static hs_status tanh_fwd(hs_stream *s, size_t count, const void *x, void *y)
{
    const float *in = x;
    float *out = y;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (count > LEAST / 10)
    for (size_t i = 0; i < count; i++)
        out[i] = tanhf(in[i]);
    return HS_OK;
}

static hs_status tanh_bwd(hs_stream *s, size_t count, const void *y, const void *dy, void *dx)
{
    const float *out = y, *grad = dy;
    float *in = dx;
    PARALLEL_LOOP(s)
    for (size_t i = 0; i < count; i++)
        in[i] = grad[i] * (1.0f - out[i] * out[i]);
    return HS_OK;
}

static hs_status add(hs_stream *s, size_t count, const void *a, const void *b, void *y)
{
    const float *left = a, *right = b;
    float *out = y;
    PARALLEL_LOOP(s)
    for (size_t i = 0; i < count; i++)
        out[i] = left[i] + right[i];
    return HS_OK;
}

static hs_status scale(hs_stream *s, size_t count, double factor, void *y)
{
    const float f = (float)factor;
    float *out = y;
    PARALLEL_LOOP(s)
    for (size_t i = 0; i < count; i++)
        out[i] *= f;
    return HS_OK;
}

static hs_status dropout(hs_stream *s, int n, size_t features, double p, uint64_t seed, uint32_t step, uint32_t layer, int64_t first,
                         const void *x, void *y)
{
    const float *in = x, factor = (float)(1.0 / (1.0 - p));
    float *out = y;
    const size_t count = (size_t)n * features;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (count > LEAST / 10)
    for (size_t i = 0; i < count; i++) {
        const hs_words r = hs_random(seed, HS_DRAW_DROPOUT, step, layer, (uint64_t)first * features + i);
        out[i] = hs_uniform(r.w[0], r.w[1]) < p ? 0.0f : in[i] * factor;
    }
    return HS_OK;
}

const hs_element_ops hs_cpu_element_ops = {
    .relu_fwd = relu_fwd,
    .relu_bwd = relu_bwd,
    .tanh_fwd = tanh_fwd,
    .tanh_bwd = tanh_bwd,
    .add = add,
    .scale = scale,
    .dropout = dropout,
    .modulus_fwd = hs_ref32_modulus_fwd,
    .modulus_bwd = hs_ref32_modulus_bwd,
};
