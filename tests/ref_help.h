/* ref_help.h - for the property tests of `ref`: an open device, seeded numbers, and gradients by central differences. */
#ifndef REF_HELP_H
#define REF_HELP_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_rng.h"

static const hs_backend *ref;
static hs_device *device;
static hs_stream *stream;
static uint64_t test_seed;

static inline int ref_open(void **state)
{
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "double"};
    const char *given = getenv("HS_TEST_SEED");
    (void)state;
    test_seed = given && *given ? strtoull(given, NULL, 10) : (uint64_t)(hs_now() * 1e6) % 1000000;
    printf("# repeat with HS_TEST_SEED=%llu\n", (unsigned long long)test_seed);
    return hs_backend_find("ref", &ref) != HS_OK || ref->device->open(ref, &options, &device) != HS_OK ||
           ref->device->stream_create(device, &stream) != HS_OK;
}

static inline int ref_close(void **state)
{
    (void)state;
    ref->device->stream_destroy(&stream);
    ref->device->close(&device);
    return device || stream || hs_live_blocks() != 0;
}

#define assert_ok(call) assert_int_equal((call), HS_OK)
#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

static inline int pick(int lo, int hi)
{
    static uint64_t drawn;
    hs_words draw = hs_random(test_seed, HS_DRAW_TEST, 1, 0, drawn++);
    return lo + (int)(draw.w[0] % (uint32_t)(hi - lo + 1));
}

/* COUNT zeros, to be given back with free. */
static inline double *zeros(size_t count)
{
    double *x = calloc(count + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

/* COUNT normal numbers, new ones at every call. */
static inline double *normals(size_t count)
{
    static uint32_t calls;
    double *x = zeros(count);
    calls++;
    for (size_t i = 0; i < count; i++)
        x[i] = hs_normal(hs_random(test_seed, HS_DRAW_TEST, 2, calls, i));
    return x;
}

static inline double dot(size_t count, const double *x, const double *y)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

/* |x - y| / |y|, both as vectors; |x| if y is zero. */
static inline double distance(size_t count, const double *x, const double *y)
{
    double gap = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        gap += (x[i] - y[i]) * (x[i] - y[i]);
        norm += y[i] * y[i];
    }
    return norm > 0 ? sqrt(gap / norm) : sqrt(gap);
}

/* y [ny] = f(x [nx]). */
typedef void (*ref_map)(void *context, const double *x, double *y);

/* How far GRADIENT [nx] is from that of <dy, f(x)> by central differences, relative. X is changed and put back. Step 1e-5: truncation and
 * rounding are both near 1e-10 for functions of size 1. */
static inline double gradient_error(ref_map f, void *context, size_t nx, double *x, size_t ny, const double *dy, const double *gradient)
{
    const double step = 1e-5;
    double *difference = zeros(nx), *plus = zeros(ny), *minus = zeros(ny);
    for (size_t i = 0; i < nx; i++) {
        double here = x[i];
        x[i] = here + step;
        f(context, x, plus);
        x[i] = here - step;
        f(context, x, minus);
        x[i] = here;
        difference[i] = (dot(ny, dy, plus) - dot(ny, dy, minus)) / (2 * step);
    }
    double error = distance(nx, gradient, difference);
    free(difference);
    free(plus);
    free(minus);
    return error;
}

#endif
