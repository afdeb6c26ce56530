/* t_data_augment.c - augmentation: a pure function of (seed, epoch, sample), and each change is what its name says. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <math.h>

#include "data_files.h"

enum { H = 9, W = 11, SIZE = H * W * 3, SAMPLES = 400 };

/* A set of random colours in 1..255, so that a 0 can only come from outside of the picture. */
static float value(int64_t sample, int k)
{
    return (float)(1 + (sample * 7919 + k * 104729 + k * k * 31) % 255);
}

static hs_status colour_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    (void)set;
    for (int i = 0; i < count; i++) {
        labels[i] = (int32_t)indices[i];
        for (int k = 0; k < SIZE; k++)
            pixels[i * SIZE + k] = value(indices[i], k);
    }
    return HS_OK;
}

static const hs_dataset_ops ops = {.kind = "colours", .read = colour_read};
static hs_dataset set = {.ops = &ops, .count = SAMPLES, .classes = 1, .shape = {H, W, 3}, .bytes = true};

/* All samples of EPOCH, fetched in batches of BATCH. */
static void fetch(const hs_augment *augment, uint64_t seed, int64_t epoch, int batch, bool shuffle, float (*out)[SIZE])
{
    const hs_batcher_options options = {.capacity = batch, .shuffle = shuffle, .seed = seed, .augment = augment};
    hs_batcher *b = NULL;
    const float *x;
    const int32_t *label;
    assert_int_equal(hs_batcher_create(&set, &options, &b), HS_OK);
    for (int at = 0; at < SAMPLES; at += batch) {
        int n = SAMPLES - at < batch ? SAMPLES - at : batch;
        assert_int_equal(hs_batcher_get(b, epoch, at, n, &x, &label), HS_OK);
        for (int i = 0; i < n; i++)
            memcpy(out[label[i]], x + (size_t)i * SIZE, sizeof *out);
    }
    hs_batcher_destroy(&b);
}

static float a[SAMPLES][SIZE], b[SAMPLES][SIZE];

static void test_pure(void **state)
{
    const hs_augment all = {.shift = 2, .flip = true, .crop = 3, .hue = 0.1, .saturation = 0.3, .value = 0.2};
    (void)state;
    fetch(&all, 1, 4, 1, false, a);
    fetch(&all, 1, 4, 33, false, b);
    assert_memory_equal(a, b, sizeof a);
    fetch(&all, 1, 4, 64, true, b); /* another order */
    assert_memory_equal(a, b, sizeof a);
    fetch(&all, 1, 5, 64, false, b);
    assert_memory_not_equal(a, b, sizeof a);
    fetch(&all, 2, 4, 64, false, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static bool is_moved(const float *x, int64_t sample, int dy, int dx, bool flipped)
{
    for (int y = 0; y < H; y++)
        for (int u = 0; u < W; u++)
            for (int c = 0; c < 3; c++) {
                int from_y = y + dy, from_x = (flipped ? W - 1 - u : u) + dx;
                bool inside = from_y >= 0 && from_y < H && from_x >= 0 && from_x < W;
                if (x[(y * W + u) * 3 + c] != (inside ? value(sample, (from_y * W + from_x) * 3 + c) : 0))
                    return false;
            }
    return true;
}

/* Every sample is moved by one of the legal distances, each of which occurs about equally often. */
static void check_moves(const hs_augment *augment, int reach)
{
    int times[15][15] = {{0}}, wide = 2 * reach + 1, flips = 0;
    fetch(augment, 3, 0, 50, true, a);
    for (int64_t i = 0; i < SAMPLES; i++) {
        int found = 0;
        for (int dy = -reach; dy <= reach; dy++)
            for (int dx = -reach; dx <= reach; dx++)
                for (int f = 0; f <= augment->flip; f++)
                    if (is_moved(a[i], i, dy, dx, f)) {
                        found++;
                        flips += f;
                        times[dy + reach][dx + reach]++;
                    }
        assert_int_equal(found, 1);
    }
    for (int y = 0; y < wide; y++)
        for (int x = 0; x < wide; x++)
            assert_true(fabs(times[y][x] - SAMPLES / (double)(wide * wide)) < 5 * sqrt(SAMPLES / (double)(wide * wide)));
    if (augment->flip)
        assert_true(abs(flips - SAMPLES / 2) < 5 * sqrt(SAMPLES / 4.0));
}

static void test_moves(void **state)
{
    (void)state;
    check_moves(&(hs_augment){.shift = 1}, 1);
    check_moves(&(hs_augment){.shift = 3}, 3);
    check_moves(&(hs_augment){.crop = 2}, 2);
    check_moves(&(hs_augment){.flip = true}, 0);
    check_moves(&(hs_augment){.shift = 2, .flip = true}, 2);
}

/* Foley and van Dam's textbook form, other than the one in use; hue in turns. */
static void to_hsv(const float *p, double hsv[3])
{
    double r = p[0], g = p[1], bl = p[2], most = fmax(r, fmax(g, bl)), least = fmin(r, fmin(g, bl)), d = most - least, h = 0;
    if (d > 0) {
        if (most == r)
            h = fmod((g - bl) / d + 6, 6);
        else if (most == g)
            h = (bl - r) / d + 2;
        else
            h = (r - g) / d + 4;
    }
    hsv[0] = h / 6;
    hsv[1] = most > 0 ? d / most : 0;
    hsv[2] = most;
}

/* Difference of hues in -1/2 .. 1/2. */
static double turn(double from, double to)
{
    double d = to - from;
    return d - floor(d + 0.5);
}

/* In every sample all pixels turn by the same hue, and keep saturation and value. */
static void check_hue(double reach)
{
    double least = 1, most = -1;
    fetch(&(hs_augment){.hue = reach}, 3, 0, 50, true, a);
    for (int64_t i = 0; i < SAMPLES; i++) {
        double by = NAN;
        for (int k = 0; k < H * W; k++) {
            float before[3] = {value(i, 3 * k), value(i, 3 * k + 1), value(i, 3 * k + 2)};
            double p[3], q[3];
            to_hsv(before, p);
            to_hsv(&a[i][3 * k], q);
            assert_true(fabs(p[1] - q[1]) < 1e-5 && fabs(p[2] - q[2]) < 1e-3);
            if (p[1] < 0.05)
                continue; /* a grey's hue is not defined well */
            if (isnan(by))
                by = turn(p[0], q[0]);
            assert_true(fabs(turn(p[0], q[0]) - by) < 1e-4);
        }
        assert_true(fabs(by) <= reach + 1e-4);
        least = fmin(least, by);
        most = fmax(most, by);
    }
    assert_true(least < -0.95 * reach && most > 0.95 * reach);
}

static void test_hue(void **state)
{
    (void)state;
    check_hue(0.1);
    check_hue(0.49);
}

/* Saturation and value of all pixels of a sample are multiplied by the same numbers, up to the largest legal value. */
static void test_saturation_and_value(void **state)
{
    (void)state;
    fetch(&(hs_augment){.saturation = 0.5, .value = 0.4}, 3, 0, 50, true, a);
    for (int64_t i = 0; i < SAMPLES; i++) {
        double by_s = NAN, by_v = NAN;
        for (int k = 0; k < H * W; k++) {
            float before[3] = {value(i, 3 * k), value(i, 3 * k + 1), value(i, 3 * k + 2)};
            double p[3], q[3];
            to_hsv(before, p);
            to_hsv(&a[i][3 * k], q);
            assert_true(q[2] <= 255 && q[1] <= 1 + 1e-6);
            if (q[1] < 0.99 && p[1] > 0.05) {
                if (isnan(by_s))
                    by_s = q[1] / p[1];
                assert_true(fabs(q[1] / p[1] - by_s) < 1e-3 && by_s > 0.499 && by_s < 1.501);
                if (p[1] < 0.9)
                    assert_true(fabs(turn(p[0], q[0])) < 1e-4);
            }
            if (q[2] < 254.9 && p[2] > 5) {
                if (isnan(by_v))
                    by_v = q[2] / p[2];
                assert_true(fabs(q[2] / p[2] - by_v) < 1e-4 && by_v > 0.599 && by_v < 1.401);
            }
        }
    }
}

static void test_misuse(void **state)
{
    hs_batcher *made = NULL;
    hs_augment augment = {.shift = 5, .crop = 4};
    const hs_batcher_options options = {.capacity = 4, .augment = &augment};
    (void)state;
    assert_int_equal(hs_batcher_create(&set, &options, &made), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "augment.shift = 5"));
    augment = (hs_augment){.hue = 0.6};
    assert_int_equal(hs_batcher_create(&set, &options, &made), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "augment.hue = 0.6"));
    augment = (hs_augment){.saturation = 0.1};
    set.shape.c = 1;
    assert_int_equal(hs_batcher_create(&set, &options, &made), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "3 channels"));
    set.shape.c = 3;
    assert_null(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pure),   cmocka_unit_test(test_moves),
        cmocka_unit_test(test_hue),    cmocka_unit_test(test_saturation_and_value),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
