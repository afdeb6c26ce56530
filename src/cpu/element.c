/* element.c - element by element; bounded by memory. */
#include "cpu.h"

#include <math.h>

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
        in[i] = out[i] <= 0.0f ? 0.0f : g; /* as forward: what is NaN passes */
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

static hs_status dropout(hs_stream *s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer, int64_t first,
                         const void *x, void *y)
{
    const float *in = x, factor = (float)(1.0 / (1.0 - p));
    float *out = y;
    const size_t count = (size_t)n * features;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if (count > LEAST / 10)
    for (size_t i = 0; i < count; i++) {
        const hs_words r = hs_random(seed, HS_DRAW_DROPOUT, *step, layer, (uint64_t)first * features + i);
        out[i] = hs_uniform(r.w[0], r.w[1]) < p ? 0.0f : in[i] * factor;
    }
    return HS_OK;
}

/* ---- spectral activations: z -> g z, g = max(1 + offset / |z|, 0), 0 at z = 0; offset b, or -|b| for the soft threshold ----------------- */

/* |z| of the unitary bin from its coordinates, and what they are times it. */
static float gain(float re, float im, float unit, float offset, float *modulus)
{
    *modulus = unit * sqrtf(re * re + im * im);
    const float g = *modulus > 0.0f ? 1.0f + offset / *modulus : *modulus == 0.0f ? 0.0f : *modulus;
    return g < 0.0f ? 0.0f : g;
}

static float offset_of(bool soft, float b)
{
    return soft ? -fabsf(b) : b;
}

static float unit_of(bool self)
{
    return self ? 1.0f : 0.70710678118654752f; /* coordinates of other bins are sqrt2 larger */
}

static hs_status modulus_fwd(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b, void *y)
{
    const float *offset = b;
    const size_t row = 2 * (size_t)c;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int u = 0; u < bins; u++)
        for (int i = 0; i < n; i++) {
            const float *in = (const float *)x + ((size_t)u * n + i) * row;
            float *out = (float *)y + ((size_t)u * n + i) * row, modulus;
            for (int j = 0; j < c; j++) {
                const float im = self[u] ? 0.0f : in[c + j], g = gain(in[j], im, unit_of(self[u]), offset_of(soft, offset[j]), &modulus);
                out[j] = g == 0.0f ? 0.0f : g * in[j];
                out[c + j] = g == 0.0f ? 0.0f : g * im;
            }
        }
    return HS_OK;
}

/* dv' = g dv - offset unit^2 (v . dv) / |z|^3 v and d offset = (v . dv) / |z|, both 0 where g is cut off; v the coordinates. */
static void modulus_columns(bool soft, bool self, int c, int width, const float *x, const float *b, const float *dy, float *dx,
                            double *db)
{
    const float unit = unit_of(self);
    for (int j = 0; j < width; j++) {
        const float offset = offset_of(soft, b[j]), im = self ? 0.0f : x[c + j], dim = self ? 0.0f : dy[c + j];
        float r;
        const float g = gain(x[j], im, unit, offset, &r), dot = x[j] * dy[j] + im * dim;
        const float along = g == 0.0f ? 0.0f : offset * (unit / r) * (unit / r) * (dot / r);
        dx[j] = g == 0.0f ? 0.0f : g * dy[j] - along * x[j];
        dx[c + j] = g == 0.0f ? 0.0f : g * dim - along * im;
        db[j] += g == 0.0f ? 0.0 : (double)(dot / r);
    }
}

/* A thread takes columns of channels through all bins, so that a channel's sum has one order. */
static hs_status modulus_bwd(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b, const void *dy,
                             void *dx, void *db)
{
    enum { COLUMNS = 16 };
    const float *offset = b;
#pragma omp parallel for num_threads(s->device->threads) schedule(static)
    for (int first = 0; first < c; first += COLUMNS) {
        const int width = c - first < COLUMNS ? c - first : COLUMNS;
        double sum[COLUMNS] = {0};
        for (size_t r = 0; r < (size_t)bins * n; r++)
            modulus_columns(soft, self[r / n], c, width, (const float *)x + r * 2 * c + first, offset + first, (const float *)dy + r * 2 * c + first,
                            (float *)dx + r * 2 * c + first, sum);
        for (int j = 0; j < width; j++) {
            const float value = offset[first + j];
            ((float *)db)[first + j] = (float)(!soft ? sum[j] : value > 0 ? -sum[j] : value < 0 ? sum[j] : 0);
        }
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
    .modulus_fwd = modulus_fwd,
    .modulus_bwd = modulus_bwd,
};
