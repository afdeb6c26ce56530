/* spectrum_test.h - what the tests of spectra and optimizers share: cmocka, random numbers with a printed seed, comparison of arrays. */
#ifndef SPECTRUM_TEST_H
#define SPECTRUM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hs_rng.h"
#include "hs_status.h"

/* SEED in the environment, or 1. Printed once per program, so that a failure can be repeated. */
static inline uint64_t test_seed(void)
{
    const char *text = getenv("SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

/* COUNT normal numbers, different for every STREAM. */
static inline void fill_normal(double *x, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = hs_normal(hs_random(test_seed(), HS_DRAW_TEST, stream, 0, i));
}

static inline double dot(const double *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Largest |a - b|; NaN counts as infinite. */
static inline double distance(const double *a, const double *b, size_t count)
{
    double worst = 0.0;
    for (size_t i = 0; i < count; i++)
        if (!(fabs(a[i] - b[i]) <= worst))
            worst = isnan(a[i] - b[i]) ? INFINITY : fabs(a[i] - b[i]);
    return worst;
}

/* Largest deviation of M M^T from SCALE times the identity; M [rows][cols]. */
static inline double gram_error(const double *m, int rows, int cols, double scale)
{
    double worst = 0.0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j <= i; j++) {
            double gap = fabs(dot(m + (size_t)i * cols, m + (size_t)j * cols, (size_t)cols) - (i == j ? scale : 0.0));
            if (!(gap <= worst))
                worst = gap;
        }
    return worst;
}

/* OUT [rows] = M [rows][cols] X. */
static inline void apply(const double *m, int rows, int cols, const double *x, double *out)
{
    for (int i = 0; i < rows; i++)
        out[i] = dot(m + (size_t)i * cols, x, (size_t)cols);
}

static inline void assert_small(double error, double bound, const char *what)
{
    if (!(error <= bound))
        fail_msg("%s: error %.3g over %.3g (seed %llu)", what, error, bound, (unsigned long long)test_seed());
}

/* Assertions of cmocka do not know doubles of our tolerance. */
static inline void assert_near(double value, double expected, double bound)
{
    if (!(fabs(value - expected) <= bound))
        fail_msg("%.17g is not %.17g within %.3g (seed %llu)", value, expected, bound, (unsigned long long)test_seed());
}

static inline void *test_array(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    assert_non_null(p);
    return p;
}
static inline double *doubles(size_t count)
{
    return test_array(count, sizeof(double));
}

#endif
