/* t_data_sets.c - synthetic sets, the split into training and validation, and normalisation against plain loops. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <math.h>

#include "data_files.h"

enum { SIDE = 12, SIZE = SIDE * SIDE * 2, CLASSES = 5 };

static hs_dataset *open_synthetic(const char *spec, hs_split part, uint64_t seed)
{
    hs_dataset *set = NULL;
    assert_int_equal(hs_dataset_open(spec, part, seed, &set), HS_OK);
    return set;
}

static void read_one(hs_dataset *set, int64_t index, float *x, int32_t *label)
{
    assert_int_equal(hs_dataset_read(set, &index, 1, x, label), HS_OK);
}

/* ---- synthetic ------------------------------------------------------------------------------------------------- */

static void test_synthetic_is_pure(void **state)
{
    static float x[7 * SIZE], one[SIZE];
    int64_t index[7] = {99, 0, 5, 42, 5, 17, 63};
    int32_t label[7], alone;
    bool differs = false;
    (void)state;
    hs_dataset *a = open_synthetic("synthetic:100,12,12,2,5", HS_SPLIT_TRAIN, 3),
               *b = open_synthetic("synthetic:100,12,12,2,5", HS_SPLIT_TRAIN, 3);
    hs_dataset *c = open_synthetic("synthetic:100,12,12,2,5", HS_SPLIT_TRAIN, 4),
               *t = open_synthetic("synthetic:100,12,12,2,5", HS_SPLIT_TEST, 3);
    assert_true(a->count == 100 && t->count == 20 && a->classes == CLASSES && a->shape.c == 2 && a->bytes);
    assert_int_equal(hs_dataset_read(a, index, 7, x, label), HS_OK);
    for (int i = 0; i < 7; i++) {
        read_one(b, index[i], one, &alone); /* in another order, by another object */
        assert_memory_equal(one, x + i * SIZE, sizeof one);
        assert_int_equal(alone, label[i]);
        for (int k = 0; k < SIZE; k++)
            assert_true(one[k] >= 0 && one[k] <= 255 && one[k] == floorf(one[k]));
        read_one(c, index[i], one, &alone);
        differs = differs || memcmp(one, x + i * SIZE, sizeof one) != 0;
    }
    assert_true(differs);
    read_one(a, 0, x, label);
    read_one(t, 0, one, &alone);
    assert_memory_not_equal(x, one, sizeof one);
    assert_string_equal(a->digest, b->digest);
    assert_string_not_equal(a->digest, c->digest);
    assert_string_not_equal(a->digest, t->digest);
    hs_dataset_close(&a);
    hs_dataset_close(&b);
    hs_dataset_close(&c);
    hs_dataset_close(&t);
}

static int nearest(double mean[CLASSES][SIZE], const float *x)
{
    int best = 0;
    double least = INFINITY;
    for (int k = 0; k < CLASSES; k++) {
        double distance = 0;
        for (int i = 0; i < SIZE; i++)
            distance += (x[i] - mean[k][i]) * (x[i] - mean[k][i]);
        if (distance < least)
            least = distance, best = k;
    }
    return best;
}

/* The class means of the training part classify the test part: what a network can learn is there. */
static void test_synthetic_can_be_learned(void **state)
{
    static double mean[CLASSES][SIZE];
    static float x[SIZE];
    int seen[CLASSES] = {0}, right = 0;
    int32_t label;
    (void)state;
    hs_dataset *set = open_synthetic("synthetic:1000,12,12,2,5", HS_SPLIT_TRAIN, 8),
               *test = open_synthetic("synthetic:1000,12,12,2,5", HS_SPLIT_TEST, 8);
    for (int64_t i = 0; i < set->count; i++) {
        read_one(set, i, x, &label);
        seen[label]++;
        for (int k = 0; k < SIZE; k++)
            mean[label][k] += (x[k] - mean[label][k]) / seen[label];
    }
    for (int k = 0; k < CLASSES; k++)
        assert_int_equal(seen[k], 200);
    for (int64_t i = 0; i < test->count; i++) {
        read_one(test, i, x, &label);
        right += nearest(mean, x) == label;
    }
    assert_true(right > 0.9 * (double)test->count);
    hs_dataset_close(&set);
    hs_dataset_close(&test);
}

/* As long as anybody likes: opened and measured at once, by the samples that a shorter one has too. */
static void test_synthetic_without_end(void **state)
{
    (void)state;
    hs_scaling few, many;
    hs_dataset *set = open_synthetic("synthetic:4294967296,12,12,2,5", HS_SPLIT_TRAIN, 3),
               *test = open_synthetic("synthetic:4294967296,12,12,2,5", HS_SPLIT_TEST, 3),
               *plain = open_synthetic("synthetic:65536,12,12,2,5", HS_SPLIT_TRAIN, 3);
    alarm(60);
    assert_true(set->count == 1ll << 32 && test->count == 65536);
    assert_int_equal(hs_scaling_measure(set, HS_NORMALISE_CHANNEL, &many), HS_OK);
    assert_int_equal(hs_scaling_measure(plain, HS_NORMALISE_CHANNEL, &few), HS_OK);
    assert_memory_equal(many.mean, few.mean, 2 * sizeof(float));
    assert_memory_equal(many.inverse, few.inverse, 2 * sizeof(float));
    alarm(0);
    hs_scaling_free(&few);
    hs_scaling_free(&many);
    hs_dataset_close(&set);
    hs_dataset_close(&test);
    hs_dataset_close(&plain);
}

static void test_synthetic_misuse(void **state)
{
    (void)state;
    FAILS("synthetic:4294967297,8,8,1,3", HS_SPLIT_TRAIN, HS_EUSAGE, "N = 4294967297");
    FAILS("synthetic:10,8,8,1", HS_SPLIT_TRAIN, HS_EUSAGE, "five whole numbers");
    FAILS("synthetic:10,8,8,1,3,4", HS_SPLIT_TRAIN, HS_EUSAGE, "five whole numbers");
    FAILS("synthetic:10,8,8,1,", HS_SPLIT_TRAIN, HS_EUSAGE, "five whole numbers");
    FAILS("synthetic:10,-8,8,1,3", HS_SPLIT_TRAIN, HS_EUSAGE, "five whole numbers");
    FAILS("synthetic:0,8,8,1,3", HS_SPLIT_TRAIN, HS_EUSAGE, "N = 0");
    FAILS("synthetic:10,8,8,1,0", HS_SPLIT_TRAIN, HS_EUSAGE, "classes = 0");
    FAILS("synthetic:10,32768,32768,1,3", HS_SPLIT_TRAIN, HS_EUSAGE, "2^28");
    FAILS("synthetic:99999999999999999999,8,8,1,3", HS_SPLIT_TRAIN, HS_EUSAGE, "N =");
    hs_dataset *set = open_synthetic("synthetic:1,1,1,1,1", HS_SPLIT_TEST, 1);
    int64_t index[2] = {0, 1};
    float x[2];
    int32_t label[2];
    assert_int_equal(set->count, 1);
    assert_int_equal(hs_dataset_read(set, index, 2, x, label), HS_EINTERNAL);
    index[1] = -1;
    assert_int_equal(hs_dataset_read(set, index, 2, x, label), HS_EINTERNAL);
    hs_dataset_close(&set);
    hs_dataset_close(&set);
}

/* ---- split ----------------------------------------------------------------------------------------------------- */

/* Which samples of the whole are in VIEW: their pixels tell. */
static void mark(hs_dataset *view, hs_dataset *whole, int *times)
{
    static float all[300][4], one[4];
    int32_t label, other;
    for (int64_t i = 0; i < whole->count; i++)
        read_one(whole, i, all[i], &label);
    for (int64_t i = 0, at = 0; i < view->count; i++, at++) {
        read_one(view, i, one, &label);
        while (at < whole->count && memcmp(all[at], one, sizeof one) != 0) /* ascending, so one pass finds all */
            at++;
        assert_true(at < whole->count);
        times[at]++;
        read_one(whole, at, one, &other);
        assert_int_equal(label, other);
    }
}

static void test_split(void **state)
{
    static const double share[] = {0.1, 0.5, 0.9, 0.004};
    (void)state;
    for (int k = 0; k < 4; k++)
        for (uint64_t seed = 1; seed < 4; seed++) {
            int times[300] = {0};
            hs_dataset *part[2] = {NULL, NULL}, *whole = open_synthetic("synthetic:300,2,2,1,3", HS_SPLIT_TRAIN, 1);
            for (int i = 0; i < 2; i++) {
                hs_dataset *own = open_synthetic("synthetic:300,2,2,1,3", HS_SPLIT_TRAIN, 1);
                assert_int_equal(hs_dataset_split(own, i ? HS_SPLIT_VALIDATION : HS_SPLIT_TRAIN, share[k], seed, &part[i]),
                                 HS_OK);
                mark(part[i], whole, times);
            }
            assert_int_equal(part[1]->count, (int64_t)(share[k] * 300 + 0.5));
            for (int i = 0; i < 300; i++)
                assert_int_equal(times[i], 1); /* disjoint and complete */
            assert_true(part[0]->classes == 3 && part[0]->bytes && strstr(part[1]->source, "validation"));
            hs_dataset_close(&part[0]);
            hs_dataset_close(&part[1]);
            hs_dataset_close(&whole);
        }
}

static void test_split_by_seed(void **state)
{
    int a[300] = {0}, b[300] = {0};
    (void)state;
    for (uint64_t seed = 1; seed < 3; seed++) {
        hs_dataset *view = NULL, *whole = open_synthetic("synthetic:300,2,2,1,3", HS_SPLIT_TRAIN, 1);
        assert_int_equal(
            hs_dataset_split(open_synthetic("synthetic:300,2,2,1,3", HS_SPLIT_TRAIN, 1), HS_SPLIT_VALIDATION, 0.3, seed, &view),
            HS_OK);
        mark(view, whole, seed == 1 ? a : b);
        hs_dataset_close(&view);
        hs_dataset_close(&whole);
    }
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_split_misuse(void **state)
{
    static const double share[] = {-0.1, 1, NAN, 0.001, 0.999};
    long blocks = hs_live_blocks();
    (void)state;
    for (int k = 0; k < 5; k++) {
        hs_dataset *view = NULL, *set = open_synthetic("synthetic:10,2,2,1,2", HS_SPLIT_TRAIN, 1);
        assert_int_equal(hs_dataset_split(set, share[k] > 0.5 ? HS_SPLIT_TRAIN : HS_SPLIT_VALIDATION, share[k], 1, &view),
                         HS_EUSAGE);
        assert_null(view);
        assert_int_equal(hs_live_blocks(), blocks);
    }
}

/* ---- normalisation --------------------------------------------------------------------------------------------- */

typedef struct plain_set { /* floats far from zero, where sum(x^2) - n mean^2 would cancel */
    hs_dataset base;
} plain_set;

static float plain_value(int64_t sample, int k)
{
    return k == 3 ? 77.0f : 5000.0f + (float)((sample * 37 + k * 11) % 101) * 0.25f;
}

static hs_status plain_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    int size = (int)hs_shape_count(set->shape);
    for (int i = 0; i < count; i++) {
        labels[i] = 0;
        for (int k = 0; k < size; k++)
            pixels[i * size + k] = plain_value(indices[i], k);
    }
    return HS_OK;
}

static void check_scaling(hs_normalise kind, int count, hs_shape shape)
{
    static const hs_dataset_ops ops = {.kind = "plain", .read = plain_read};
    plain_set set = {{.ops = &ops, .count = count, .classes = 1, .shape = shape}};
    hs_scaling s;
    int size = (int)hs_shape_count(shape), groups = kind == HS_NORMALISE_CHANNEL ? shape.c : size;
    assert_int_equal(hs_scaling_measure(&set.base, kind, &s), HS_OK);
    assert_int_equal(s.count, groups);
    for (int g = 0; g < groups; g++) {
        double sum = 0, square = 0, n = (double)count * size / groups;
        for (int64_t i = 0; i < count; i++)
            for (int k = g; k < size; k += groups)
                sum += plain_value(i, k);
        for (int64_t i = 0; i < count; i++)
            for (int k = g; k < size; k += groups)
                square += (plain_value(i, k) - sum / n) * (plain_value(i, k) - sum / n);
        double deviation = sqrt(square / n), inverse = deviation > 0 ? 1 / deviation : 1;
        assert_true(fabs(s.mean[g] - sum / n) <= 1e-6 * fabs(sum / n));
        assert_true(fabs(s.inverse[g] - inverse) <= 1e-6 * inverse);
    }
    hs_scaling_free(&s);
    assert_null(s.mean);
}

static void test_scaling(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 255, 256, 257, 1000};
    for (int i = 0; i < 6; i++) {
        check_scaling(HS_NORMALISE_CHANNEL, counts[i], (hs_shape){3, 2, 1});
        check_scaling(HS_NORMALISE_CHANNEL, counts[i], (hs_shape){3, 2, 4}); /* channel 3 varies but for one pixel */
        check_scaling(HS_NORMALISE_CHANNEL, counts[i], (hs_shape){1, 1, 4}); /* channel 3 is constant: deviation 0 counts as 1 */
        check_scaling(HS_NORMALISE_PIXEL, counts[i], (hs_shape){3, 2, 2});
    }
    check_scaling(HS_NORMALISE_CHANNEL, 9, (hs_shape){1500, 1500, 1}); /* 7 at a time */
    hs_scaling none;
    assert_int_equal(hs_scaling_measure(NULL, HS_NORMALISE_NONE, &none), HS_OK);
    assert_true(none.count == 0 && none.mean == NULL);
    hs_scaling_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic_is_pure), cmocka_unit_test(test_synthetic_can_be_learned),
        cmocka_unit_test(test_synthetic_without_end), cmocka_unit_test(test_synthetic_misuse),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_by_seed),     cmocka_unit_test(test_split_misuse),
        cmocka_unit_test(test_scaling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
