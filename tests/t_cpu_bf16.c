/* t_cpu_bf16.c - convolutions with precision = bf16 on the CPU backend: as far from fp32 as factors of 8 bits put them and no closer, whatever the
 * shape, the batch and the threads; the same by the processor's instructions as by plain arithmetic; and a network learns by them. */
#define _GNU_SOURCE
#include "cpu_fixture.h"
#include "train_fixture.h"

#include "../src/cpu/kernels.h"

/* The best kernels that this processor has for bf16, or the plain ones. */
static const char *best;

static hs_device *bf16_of(int threads)
{
    return device_with(threads, best, "bf16", NULL);
}

/* ---- rounding -------------------------------------------------------------------------------------------------------------------------- */

static float number(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Ties go to the even neighbour, large numbers to infinity, a NaN whose upper bits are those of infinity stays a NaN. */
static void rounding(void **state)
{
    (void)state;
    static const struct {
        uint32_t from, to;
    } each[] = {{0, 0}, {0x80000000, 0x8000}, {0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82},
                {0x3F817FFF, 0x3F81}, {0xBF818000, 0xBF82}, {0x7F7FFFFF, 0x7F80}, {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x7F800001, 0x7FC0},
                {0xFFFFFFFF, 0xFFFF}};
    enum { COUNT = sizeof each / sizeof each[0], K = 33, ROW = 32, ROWS = 3 };
    const hs_cpu_bf16 *tables[] = {&hs_cpu_bf16_plain, hs_cpu_bf16_find(hs_cpu_kernels_find(NULL), false)};
    float a[ROWS][48], zero[ROWS][48] = {{0}};
    for (int r = 0; r < ROWS; r++)
        for (int l = 0; l < 48; l++)
            a[r][l] = number(each[(7 * r + l) % COUNT].from); /* of the columns behind K too, which must not come through */
    for (int t = 0; t < 2 && tables[t]; t++) {
        uint32_t along[ROWS][ROW], across[(ROWS + 1) / 2][48];
        const float *b = t == 0 ? NULL : zero[0];
        tables[t]->along(ROWS, K, a[0], b, 48, along[0], ROW);
        tables[t]->across(ROWS, 48, a[0], NULL, 0, 48, across[0], 48);
        for (int r = 0; r < ROWS; r++)
            for (int l = 0; l < 48; l++) {
                const uint32_t want = each[(7 * r + l) % COUNT].to, got = along[r][l / 2] >> l % 2 * 16 & 0xFFFF;
                if (l < K + K % 2 && !(b && want == 0x8000)) /* -0 + 0 = 0 */
                    assert_int_equal(got, l < K ? want : 0);
                assert_int_equal(across[r / 2][l] >> r % 2 * 16 & 0xFFFF, want);
            }
        for (int l = 0; l < 48; l++)
            assert_int_equal(across[1][l] >> 16, 0);
    }
}

/* ---- errors ---------------------------------------------------------------------------------------------------------------------------- */

/* Sums over all convolutions of a kind, for errors relative to all of them. */
typedef struct total {
    double gap, size;
} total;

static double add(total *t, size_t count, const float *a, const float *b)
{
    total one = {0, 0};
    for (size_t i = 0; i < count; i++) {
        one.gap += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        one.size += (double)b[i] * b[i];
    }
    const double relative = one.size > 0 ? sqrt(one.gap / one.size) : one.gap > 0 ? INFINITY : 0;
    if (one.size > 0) { /* each convolution weighs the same */
        t->gap += one.gap / one.size;
        t->size += 1;
    }
    return relative;
}

/* One convolution: no result is further off than LIMIT, and each that has enough numbers for that further than fp32 alone could be. */
static void one_error(hs_device *device, hs_device *fp32, const hs_conv_desc *d, int n, double limit, total totals[3])
{
    results a = convolve(device, d, n), b = convolve(fp32, d, n);
    const double error[3] = {add(&totals[0], a.ny, a.y, b.y), add(&totals[1], a.nx, a.dx, b.dx), add(&totals[2], a.nw, a.dtaps, b.dtaps)};
    for (int i = 0; i < 3; i++)
        if (!(error[i] <= limit) || (n > 0 && !(error[i] > 1e-5))) {
            print_message("n %d of %d, %d x %d, %d -> %d channels, filter %d x %d, boundary %d: y %g dx %g dtaps %g, HS_TEST_SEED=%llu\n", n,
                          d->capacity, d->h, d->w, d->ci, d->co, d->kh, d->kw, d->boundary, error[0], error[1], error[2],
                          (unsigned long long)seed);
            fail();
        }
    release(&a), release(&b);
}

/* Every number of channels to 40, and a few beyond a panel and a block; filters 1 to 6, both boundaries, any batch. One convolution of few numbers
 * may lie off by more than the rest; all together they are as far from fp32 as 8 bits a factor, rounded sums included, put them. */
static void errors(void **state)
{
    (void)state;
    static const int large[] = {48, 64, 65, 95, 96, 130};
    hs_device *device = bf16_of(2), *fp32 = device_of(2, NULL);
    total totals[3] = {{0, 0}};
    for (int i = 1; i <= 46; i++) {
        hs_conv_desc d = random_desc(i <= 40 ? i : large[i - 41], pick(1, i <= 40 ? 40 : 100));
        if (i % 2) {
            const int c = d.ci;
            d.ci = d.co, d.co = c;
        }
        one_error(device, fp32, &d, i % 8 ? pick(1, d.capacity) : 0, 8e-3, totals);
    }
    const double y = sqrt(totals[0].gap / totals[0].size), dx = sqrt(totals[1].gap / totals[1].size), dtaps = sqrt(totals[2].gap / totals[2].size);
    print_message("relative rms error: y %.2e, dx %.2e, dtaps %.2e\n", y, dx, dtaps);
    assert_true(y < 4e-3 && dx < 4e-3 && dtaps < 4e-3 && y > 1e-3 && dx > 1e-3 && dtaps > 1e-3);
    cpu->device->close(&device), cpu->device->close(&fp32);
}

/* With as many channels and samples as layers have, each convolution by itself. */
static void layers(void **state)
{
    (void)state;
    hs_device *device = bf16_of(2), *fp32 = device_of(2, NULL);
    for (int k = 1; k <= 5; k += 2)
        for (int boundary = 0; boundary < 2; boundary++) {
            const hs_conv_desc d = {.h = 16, .w = 16, .oh = 16, .ow = 16, .ci = 72, .co = 96, .kh = k, .kw = k, .pad_h = k / 2, .pad_w = k / 2,
                                    .stride = 1, .bias = true, .need_dx = true, .boundary = boundary ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO, .capacity = 9,
                                    .engine = HS_ENGINE_FFT};
            total totals[3] = {{0, 0}};
            one_error(device, fp32, &d, 9, 4e-3, totals);
        }
    cpu->device->close(&device), cpu->device->close(&fp32);
}

/* The order of the sums is the same by any instructions; transforms in fp32 differ in the last place, and now and then a number close to a tie is
 * rounded the other way: seldom more than 1e-4, 5e-4 at most in 400 small convolutions. Rounding in another way would leave 3e-3. */
static void instructions_agree(void **state)
{
    (void)state;
    hs_device *native = bf16_of(2), *plain = device_with(2, "plain", "bf16", NULL);
    for (int i = 0; i < 6; i++) {
        hs_conv_desc d = random_desc(pick(1, 70), pick(1, 70));
        results a = convolve(native, &d, d.capacity), b = convolve(plain, &d, d.capacity);
        compare("instructions", &d, d.capacity, &a, &b, 1e-3);
        release(&a), release(&b);
    }
    cpu->device->close(&native), cpu->device->close(&plain);
}

/* ---- batches and threads --------------------------------------------------------------------------------------------------------------- */

static void threads_agree(void **state)
{
    (void)state;
    hs_device *one = bf16_of(1), *two = bf16_of(2);
    for (int i = 0; i < 6; i++) {
        hs_conv_desc d = random_desc(pick(1, 70), pick(1, 70));
        results a = convolve(one, &d, d.capacity), b = convolve(two, &d, d.capacity);
        compare("threads", &d, d.capacity, &b, &a, 0);
        release(&a), release(&b);
    }
    cpu->device->close(&one), cpu->device->close(&two);
}

/* Samples of a smaller batch, odd or even, are what they are in a full one. */
static void part_of_a_batch(void **state)
{
    (void)state;
    hs_device *device = bf16_of(2);
    for (int n = 0; n < 9; n++) {
        hs_conv_desc d = random_desc(pick(1, 40), pick(1, 40));
        d.capacity = 9;
        results whole = convolve(device, &d, 9), part = convolve(device, &d, n);
        assert_true(difference(part.ny, part.y, whole.y, 0) == 0);
        assert_true(difference(part.nx, part.dx, whole.dx, 0) == 0);
        for (size_t i = 0; n == 0 && i < part.nw; i++)
            assert_true(part.dtaps[i] == 0);
        release(&whole), release(&part);
    }
    cpu->device->close(&device);
}

/* ---- what a processor cannot do -------------------------------------------------------------------------------------------------------- */

/* Opens with KERNELS and PRECISION; returns how many warnings that gave. */
static int warnings_of(const char *kernels, const char *precision, hs_device **device)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    const hs_log log = {.out = file, .err = file, .level = HS_LOG_WARN};
    *device = device_with(2, kernels, precision, &log);
    fclose(file);
    int count = 0;
    for (const char *at = text; (at = strstr(at, "warning")); at++)
        count++;
    if (count)
        assert_non_null(strstr(text, "fp32"));
    free(text);
    return count;
}

static void without(void **state)
{
    (void)state;
    hs_device *masked = NULL, *fp32 = NULL, *other = NULL;
    assert_int_equal(warnings_of("plain", "tf32", &other), 1);
    cpu->device->close(&other);
    assert_int_equal(warnings_of("plain", "bf16", &other), 0);
    cpu->device->close(&other);
    const int count = warnings_of("avx2", "bf16", &masked);
    if (!masked) {
        print_message("avx2: not on this processor\n");
        return;
    }
    assert_int_equal(count, 1);
    fp32 = device_of(2, "avx2");
    hs_conv_desc d = random_desc(20, 33);
    results a = convolve(masked, &d, d.capacity), b = convolve(fp32, &d, d.capacity);
    compare("masked", &d, d.capacity, &a, &b, 0);
    release(&a), release(&b);
    cpu->device->close(&masked), cpu->device->close(&fp32);
}

/* ---- a network ------------------------------------------------------------------------------------------------------------------------- */

/* Twelve steps of Adam: losses stay within 1 % of those of fp32, are not the same, and fall. */
static void training(void **state)
{
    (void)state;
    hs_comm *comm = NULL;
    char scratch[256], run[320];
    trace seen[2] = {{.steps = 0}, {.steps = 0}};
    assert_int_equal(hs_comm_self(&comm), HS_OK);
    fixture_scratch(comm, scratch);
    for (int i = 0; i < 2; i++) {
        snprintf(run, sizeof run, "%s/%d", scratch, i);
        if (best)
            setenv("HALFSPEC_KERNELS", best, 1);
        const char *const words[] = {"device=cpu", "net=C12k3 R SP5 C20k3 R F4", "conv.engine=fft", "comm=self", "max-steps=12", "lr=1e-3",
                                     i ? "precision=bf16" : "precision=fp32", NULL};
        const hs_status st = fixture_train(comm, run, words, &seen[i]);
        unsetenv("HALFSPEC_KERNELS");
        assert_int_equal(st, HS_OK);
    }
    const double distance = fixture_distance(&seen[0], &seen[1], 12);
    print_message("largest relative difference of 12 losses %.1e; %.4f to %.4f\n", distance, seen[1].loss[0], seen[1].loss[11]);
    assert_true(distance < 1e-2 && distance > 1e-6);
    assert_true(seen[1].loss[11] < 0.95 * seen[1].loss[0]);
    fixture_remove(scratch);
    hs_comm_destroy(&comm);
}

int main(void)
{
    if (!fixture_ready())
        return 1;
    if (!hs_cpu_bf16_find(hs_cpu_kernels_find(NULL), false)) {
        best = "plain";
        fprintf(stderr, "# NOT TESTED: instructions for bf16, which this processor has not got; plain arithmetic instead\n");
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding),      cmocka_unit_test(errors),          cmocka_unit_test(layers),  cmocka_unit_test(instructions_agree),
        cmocka_unit_test(threads_agree), cmocka_unit_test(part_of_a_batch), cmocka_unit_test(without), cmocka_unit_test(training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
