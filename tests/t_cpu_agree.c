/* t_cpu_agree.c - the CPU backend against itself: thread counts 1 to 4, the two convolution engines, and the kernels of every instruction set
 * give the same answers, for channel counts 1 to 40, odd and even sides, batches that fill no tile. Comparison with `ref` is t_cpu_ops. */
#define _GNU_SOURCE
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

static int pick(int lo, int hi)
{
    return lo + (int)(hs_uniform(hs_random(seed, HS_DRAW_TEST, 0, 0, draws++).w[0], 0) * (hi - lo + 1));
}

static float *normal(size_t count, uint32_t what)
{
    float *x = NULL;
    assert_int_equal(hs_calloc(count + 1, sizeof *x, "numbers", &x), HS_OK);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)hs_normal(hs_random(seed, HS_DRAW_TEST, 1, what, i));
    return x;
}

/* Relative to the size of B, or to FLOOR per number where terms may cancel. */
static double difference(size_t count, const float *a, const float *b, double floor)
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

static void release(results *r)
{
    hs_free(r->y), hs_free(r->dx), hs_free(r->dtaps), hs_free(r->dbias);
}

static hs_device *device_of(int threads, const char *kernels)
{
    hs_device *device = NULL;
    const hs_device_options options = {.threads = threads, .ordinal = -1};
    if (kernels)
        setenv("HALFSPEC_KERNELS", kernels, 1);
    else
        unsetenv("HALFSPEC_KERNELS");
    const hs_status st = cpu->device->open(cpu, &options, &device);
    unsetenv("HALFSPEC_KERNELS");
    return st == HS_OK ? device : NULL;
}

static results convolve(hs_device *device, const hs_conv_desc *d, int n)
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

static void compare(const char *what, const hs_conv_desc *d, int n, const results *a, const results *b, double limit)
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

static hs_conv_desc random_desc(int ci, int co)
{
    hs_conv_desc d = {.h = pick(3, 14), .w = pick(3, 14), .ci = ci, .co = co, .kh = pick(1, 6), .kw = pick(1, 6), .stride = 1, .bias = true,
                      .need_dx = true, .flip = pick(0, 1), .boundary = pick(0, 1) ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO};
    d.oh = d.h, d.ow = d.w, d.pad_h = (d.kh - 1) / 2, d.pad_w = (d.kw - 1) / 2;
    d.capacity = pick(1, 19);
    d.engine = HS_ENGINE_FFT;
    return d;
}

/* Sums of the FFT engine do not depend on the threads: equal to the bit. The direct engine adds one filter gradient a thread. */
static void threads_agree(void **state)
{
    (void)state;
    for (int engine = 0; engine < 2; engine++)
        for (int i = 0; i < 6; i++) {
            hs_conv_desc d = random_desc(pick(1, 70), pick(1, 70));
            d.engine = engine ? HS_ENGINE_FFT : HS_ENGINE_DIRECT;
            hs_device *one = device_of(1, NULL);
            results first = convolve(one, &d, d.capacity);
            for (int threads = 2; threads <= 4; threads++) {
                hs_device *many = device_of(threads, NULL);
                results other = convolve(many, &d, d.capacity);
                compare("threads", &d, d.capacity, &other, &first, engine ? 0 : 1e-6);
                results again = convolve(many, &d, d.capacity);
                compare("repeated", &d, d.capacity, &again, &other, 0);
                release(&again), release(&other);
                cpu->device->close(&many);
            }
            release(&first);
            cpu->device->close(&one);
        }
}

/* Every channel count from 1 to 40 on either side; 1e-6 is what fp32 sums of this length leave. */
static void engines_agree(void **state)
{
    (void)state;
    hs_device *device = device_of(2, NULL);
    for (int c = 1; c <= 40; c++) {
        hs_conv_desc d = random_desc(c, pick(1, 40));
        if (c % 2)
            d.co = d.ci, d.ci = pick(1, 40);
        const int n = pick(0, d.capacity);
        results fft = convolve(device, &d, n);
        d.engine = HS_ENGINE_DIRECT;
        results direct = convolve(device, &d, n);
        compare("engines", &d, n, &fft, &direct, 1e-6);
        release(&fft), release(&direct);
    }
    cpu->device->close(&device);
}

/* A processor without AVX-512, or without AVX2, takes other kernels: here they are masked. */
static void kernels_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "avx2", "avx512"};
    hs_device *best = device_of(2, NULL);
    for (int k = 0; k < 3; k++) {
        hs_device *other = device_of(2, names[k]);
        if (!other) {
            print_message("%s: not on this processor\n", names[k]);
            continue;
        }
        for (int i = 0; i < 4; i++) {
            hs_conv_desc d = random_desc(pick(1, 70), pick(33, 70));
            d.engine = i % 2 ? HS_ENGINE_FFT : HS_ENGINE_DIRECT;
            results a = convolve(best, &d, d.capacity), b = convolve(other, &d, d.capacity);
            compare(names[k], &d, d.capacity, &b, &a, 1e-6);
            release(&a), release(&b);
        }
        cpu->device->close(&other);
    }
    cpu->device->close(&best);
}

static void unknown_kernels(void **state)
{
    (void)state;
    assert_null(device_of(1, "avx1024"));
    assert_non_null(strstr(hs_fail_text(), "avx1024"));
}

/* Samples of a smaller batch are what they are in a full one. */
static void part_of_a_batch(void **state)
{
    (void)state;
    hs_device *device = device_of(2, NULL);
    for (int i = 0; i < 4; i++) {
        hs_conv_desc d = random_desc(pick(1, 40), pick(1, 40));
        d.capacity = 13;
        results whole = convolve(device, &d, 13), part = convolve(device, &d, 5);
        assert_true(difference(part.ny, part.y, whole.y, 0) == 0);
        release(&whole), release(&part);
    }
    cpu->device->close(&device);
}

/* Products of every shape near the tile borders, by every combination of transposition, against plain sums. */
static void products(void **state)
{
    (void)state;
    hs_device *device = device_of(2, NULL);
    hs_stream *s = NULL;
    assert_int_equal(cpu->device->stream_create(device, &s), HS_OK);
    for (int i = 0; i < 120; i++) {
        const bool ta = i & 1, tb = i & 2, add = i & 4;
        const int m = pick(1, i % 10 ? 60 : 300), n = pick(1, i % 10 ? 130 : 300), k = pick(1, i % 7 ? 90 : 600);
        const int lda = (ta ? m : k) + pick(0, 3), ldb = (tb ? k : n) + pick(0, 3), ldc = n + pick(0, 3);
        float *a = normal((size_t)lda * (ta ? k : m), 1), *b = normal((size_t)ldb * (tb ? n : k), 2), *c = normal((size_t)m * ldc, 3);
        float *want = normal((size_t)m * ldc, 3);
        for (int r = 0; r < m; r++)
            for (int j = 0; j < n; j++) {
                double sum = add ? want[r * ldc + j] : 0;
                for (int l = 0; l < k; l++)
                    sum += (double)(ta ? a[l * lda + r] : a[r * lda + l]) * (tb ? b[j * ldb + l] : b[l * ldb + j]);
                want[r * ldc + j] = (float)sum;
            }
        assert_int_equal(cpu->gemm->gemm(s, ta, tb, m, n, k, 1, a, lda, b, ldb, add, c, ldc), HS_OK);
        if (!(difference((size_t)m * ldc, c, want, 0) < 1e-6)) {
            print_message("product %d x %d x %d, transposed %d %d, add %d: %g\n", m, n, k, ta, tb, add, difference((size_t)m * ldc, c, want, 0));
            fail();
        }
        hs_free(a), hs_free(b), hs_free(c), hs_free(want);
    }
    cpu->device->stream_destroy(&s);
    cpu->device->close(&device);
}

int main(void)
{
    const char *given = getenv("HS_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    fprintf(stderr, "# HS_TEST_SEED=%llu\n", (unsigned long long)seed);
    if (hs_backend_find("cpu", &cpu) != HS_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_agree), cmocka_unit_test(engines_agree),   cmocka_unit_test(kernels_agree),
        cmocka_unit_test(unknown_kernels), cmocka_unit_test(part_of_a_batch), cmocka_unit_test(products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
