/* t_cpu_agree.c - the CPU backend against itself: thread counts 1 to 4, the two convolution engines, and the kernels of every instruction set
 * give the same answers, for channel counts 1 to 40, odd and even sides, batches that fill no tile. Comparison with `ref` is t_cpu_ops. */
#define _GNU_SOURCE
#include "cpu_fixture.h"

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
    if (!fixture_ready())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_agree), cmocka_unit_test(engines_agree),   cmocka_unit_test(kernels_agree),
        cmocka_unit_test(unknown_kernels), cmocka_unit_test(part_of_a_batch), cmocka_unit_test(products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
