/* cpu_fixture.h - one random convolution on the CPU backend, on devices with other threads, kernels and precision, for the tests of src/cpu. */
#ifndef CPU_FIXTURE_H
#define CPU_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_rng.h"

static const hs_backend *cpu;
static uint64_t seed;
static uint64_t draws;

static inline int pick(int lo, int hi)
{
    return lo + (int)(hs_uniform(hs_random(seed, HS_DRAW_TEST, 0, 0, draws++).w[0], 0) * (hi - lo + 1));
}

static inline float *normal(size_t count, uint32_t what)
{
    float *x = NULL;
    assert_int_equal(hs_calloc(count + 1, sizeof *x, "numbers", &x), HS_OK);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)hs_normal(hs_random(seed, HS_DRAW_TEST, 1, what, i));
    return x;
}

/* Relative to the size of B, or to FLOOR per number where terms may cancel. */
static inline double difference(size_t count, const float *a, const float *b, double floor)
{
    double gap = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        gap += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
        if (!isfinite(a[i]))
            return INFINITY;
    }
    const double least = (double)count * floor * floor;
    return sqrt(gap / (size > least ? size : least > 0 ? least : 1));
}

/* What one convolution makes. */
typedef struct results {
    size_t ny, nx, nw;
    float *y, *dx, *dtaps, *dbias;
} results;

static inline void release(results *r)
{
    hs_free(r->y), hs_free(r->dx), hs_free(r->dtaps), hs_free(r->dbias);
}

/* KERNELS NULL: the best. NULL if this processor has not got them. */
static inline hs_device *device_with(int threads, const char *kernels, const char *precision, const hs_log *log)
{
    hs_device *device = NULL;
    const hs_device_options options = {.threads = threads, .ordinal = -1, .precision = precision, .log = log};
    if (kernels)
        setenv("HALFSPEC_KERNELS", kernels, 1);
    else
        unsetenv("HALFSPEC_KERNELS");
    const hs_status st = cpu->device->open(cpu, &options, &device);
    unsetenv("HALFSPEC_KERNELS");
    return st == HS_OK ? device : NULL;
}

static inline hs_device *device_of(int threads, const char *kernels)
{
    return device_with(threads, kernels, "fp32", NULL);
}

static inline results convolve(hs_device *device, const hs_conv_desc *d, int n)
{
    const size_t nx = (size_t)n * d->h * d->w * d->ci, ny = (size_t)n * d->oh * d->ow * d->co, nw = (size_t)d->kh * d->kw * d->ci * d->co;
    results r = {.ny = ny, .nx = nx, .nw = nw, .y = normal(ny, 9), .dx = normal(nx, 9), .dtaps = normal(nw, 9), .dbias = normal(d->co, 9)};
    float *x = normal(nx, 1), *taps = normal(nw, 2), *bias = normal(d->co, 3), *dy = normal(ny, 4);
    void *saved = NULL, *scratch = NULL;
    hs_conv *plan = NULL;
    hs_stream *s = NULL;
    assert_int_equal(cpu->device->stream_create(device, &s), HS_OK);
    assert_int_equal(cpu->conv->plan(device, d, &plan), HS_OK);
    assert_int_equal(hs_calloc(cpu->conv->saved_bytes(plan) + 1, 1, "saved", &saved), HS_OK);
    assert_int_equal(hs_calloc(cpu->conv->scratch_bytes(plan) + 1, 1, "scratch", &scratch), HS_OK);
    assert_int_equal(cpu->conv->forward(s, plan, n, x, taps, bias, r.y, saved, scratch), HS_OK);
    assert_int_equal(cpu->conv->backward(s, plan, n, x, taps, dy, r.dx, r.dtaps, r.dbias, saved, scratch), HS_OK);
    cpu->conv->destroy(&plan);
    cpu->device->stream_destroy(&s);
    hs_free(x), hs_free(taps), hs_free(bias), hs_free(dy), hs_free(saved), hs_free(scratch);
    return r;
}

static inline void compare(const char *what, const hs_conv_desc *d, int n, const results *a, const results *b, double limit)
{
    const double worst[4] = {difference(a->ny, a->y, b->y, 0), difference(a->nx, a->dx, b->dx, 0), difference(a->nw, a->dtaps, b->dtaps, 0),
                             difference((size_t)d->co, a->dbias, b->dbias, sqrt((double)n * d->h * d->w))}; /* of n h w normal numbers */
    for (int i = 0; i < 4; i++)
        if (!(worst[i] <= limit)) {
            print_message("%s: n %d, %d x %d, %d -> %d channels, filter %d x %d, boundary %d, engine %d: y %g dx %g dtaps %g dbias %g, limit %g, "
                          "HS_TEST_SEED=%llu\n", what, n, d->h, d->w, d->ci, d->co, d->kh, d->kw, d->boundary, d->engine, worst[0], worst[1],
                          worst[2], worst[3], limit, (unsigned long long)seed);
            fail();
        }
}

static inline hs_conv_desc random_desc(int ci, int co)
{
    hs_conv_desc d = {.h = pick(3, 14), .w = pick(3, 14), .ci = ci, .co = co, .kh = pick(1, 6), .kw = pick(1, 6), .stride = 1, .bias = true,
                      .need_dx = true, .flip = pick(0, 1), .boundary = pick(0, 1) ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO};
    d.oh = d.h, d.ow = d.w, d.pad_h = (d.kh - 1) / 2, d.pad_w = (d.kw - 1) / 2;
    d.capacity = pick(1, 19);
    d.engine = HS_ENGINE_FFT;
    return d;
}

/* Seed and backend, before the tests. */
static inline bool fixture_ready(void)
{
    const char *given = getenv("HS_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    fprintf(stderr, "# HS_TEST_SEED=%llu\n", (unsigned long long)seed);
    return hs_backend_find("cpu", &cpu) == HS_OK;
}

#endif
