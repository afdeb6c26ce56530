/* timing.c - medians of repeated measurements. A median, because what else runs on a machine only ever adds time; the spread says how much did. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void hs_timing_add(hs_timing *t, double seconds)
{
    if (t->count < HS_BENCH_REPEATS)
        t->sample[t->count++] = seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Value below which a share Q of the samples lies, interpolated. */
static double quantile(const hs_timing *t, double q)
{
    double sorted[HS_BENCH_REPEATS];
    if (t->count == 0)
        return NAN;
    memcpy(sorted, t->sample, (size_t)t->count * sizeof *sorted);
    qsort(sorted, (size_t)t->count, sizeof *sorted, compare);
    double at = q * (t->count - 1);
    int i = (int)at, next = i + 1 < t->count ? i + 1 : i;
    return sorted[i] + (at - i) * (sorted[next] - sorted[i]);
}

double hs_timing_median(const hs_timing *t)
{
    return quantile(t, 0.5);
}

double hs_timing_best(const hs_timing *t)
{
    return quantile(t, 0);
}

double hs_timing_spread(const hs_timing *t)
{
    double median = quantile(t, 0.5);
    return median > 0 ? (quantile(t, 0.75) - quantile(t, 0.25)) / 2 / median : 0;
}

int hs_timing_repeats(double seconds, double budget)
{
    double fit = seconds > 0 ? budget / seconds : HS_BENCH_REPEATS;
    return fit < 3 ? 3 : fit > HS_BENCH_REPEATS ? HS_BENCH_REPEATS : (int)fit;
}

hs_status hs_timing_run(hs_status (*once)(void *context), void *context, double budget, hs_timing *t)
{
    double begin = hs_now();
    t->count = 0;
    HS_TRY(once(context)); /* pages are touched, caches and clocks come up */
    int repeats = hs_timing_repeats(hs_now() - begin, budget);
    for (int i = 0; i < repeats; i++) {
        begin = hs_now();
        HS_TRY(once(context));
        hs_timing_add(t, hs_now() - begin);
    }
    return HS_OK;
}
