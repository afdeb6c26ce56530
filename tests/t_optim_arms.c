/* t_optim_arms.c - what a change of coordinates does to training: SGD follows one trajectory in every orthonormal arm, Adam does not, half-raw
 * moves by its factors, and Adam with one second moment per modulus does not see where a filter is centred. */
#include "optim_test.h"

enum { K = 3, IN = 2, OUT = 2, TAPS = K * K, NUMBERS = TAPS * IN * OUT, STEPS = 40 };

/* Quadratic with a different curvature at every tap, which no Fourier basis diagonalises, plus a fixed random linear part. */
static void taps_gradient(const double *taps, double *gradient)
{
    for (int i = 0; i < NUMBERS; i++) {
        double linear = hs_normal(hs_random(test_seed(), HS_DRAW_TEST, 50, 0, (uint64_t)i));
        gradient[i] = (0.2 + 0.6 * ((i * 7) % 10) / 10.0) * taps[i] + 0.5 * linear;
    }
}

/* TAPS of STEPS steps of KIND in ARM from one start. */
static void train(hs_arm arm, hs_optim_kind kind, hs_moment moment, double lr, int steps, double *taps)
{
    bench b;
    double gradient[NUMBERS];
    hs_optim_config config = plain_config(kind);
    config.moment = moment;
    config.l2 = 0.05; /* the same in every orthonormal arm */
    bench_open(&b, &hs_backend_ref);
    bench_filter(&b, "conv1", arm, K, K, IN, OUT);
    bench_ready(&b, &config);
    bench_map map = map_of(&b.param[0]);
    fill_normal(taps, NUMBERS, 51);
    to_coords(&map, taps, b.slab);
    for (int t = 1; t <= steps; t++) {
        to_taps(&map, b.slab, taps);
        taps_gradient(taps, gradient);
        pull_back(&map, gradient, b.gradients);
        assert_int_equal(hs_optim_step(b.optim, b.stream, t, lr, NULL), HS_OK);
    }
    to_taps(&map, b.slab, taps);
    map_drop(&map);
    bench_close(&b);
}

static const hs_arm orthonormal[] = {HS_ARM_SPECTRAL, HS_ARM_ROTATION, HS_ARM_SPECTRAL3D};

static void sgd_is_one_trajectory(void **state)
{
    (void)state;
    const hs_optim_kind kinds[] = {HS_SGD, HS_MOMENTUM, HS_NESTEROV};
    double space[NUMBERS], other[NUMBERS];
    for (int k = 0; k < 3; k++) {
        train(HS_ARM_SPATIAL, kinds[k], HS_MOMENT_REAL, 0.1, STEPS, space);
        for (int a = 0; a < 3; a++) {
            train(orthonormal[a], kinds[k], HS_MOMENT_REAL, 0.1, STEPS, other);
            double gap = distance(space, other, NUMBERS);
            printf("# %s, %s: distance %.2g after %d steps\n", hs_optim_kind_name(kinds[k]), hs_arm_name(orthonormal[a]), gap, STEPS);
            assert_small(gap, 1e-13, hs_arm_name(orthonormal[a]));
        }
    }
}

static void adam_is_not(void **state)
{
    (void)state;
    double space[NUMBERS], other[NUMBERS];
    for (int moment = 0; moment < 2; moment++) {
        train(HS_ARM_SPATIAL, HS_ADAM, (hs_moment)moment, 0.05, STEPS, space);
        for (int a = 0; a < 3; a++) {
            train(orthonormal[a], HS_ADAM, (hs_moment)moment, 0.05, STEPS, other);
            assert_true(distance(space, other, NUMBERS) > 1e-2);
        }
    }
}

/* A moment per modulus changes nothing where there are no bins, and something where there are. */
static void modulus_concerns_bins_only(void **state)
{
    (void)state;
    double real[NUMBERS], modulus[NUMBERS];
    for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
        train((hs_arm)arm, HS_ADAM, HS_MOMENT_REAL, 0.05, STEPS, real);
        train((hs_arm)arm, HS_ADAM, HS_MOMENT_MODULUS, 0.05, STEPS, modulus);
        bool has_bins = arm != HS_ARM_SPATIAL && arm != HS_ARM_ROTATION;
        assert_int_equal(distance(real, modulus, NUMBERS) > 1e-3, has_bins);
        if (!has_bins)
            assert_true(distance(real, modulus, NUMBERS) == 0.0);
    }
}

/* From one start and one gradient, the spectrum of the step in half-raw over that in space: 2/N, and 1/N for the mean. */
static void half_raw_moves_by_its_factors(void **state)
{
    (void)state;
    double start[NUMBERS], space[NUMBERS], raw[NUMBERS], m[TAPS * TAPS], moved_space[NUMBERS], moved_raw[NUMBERS];
    fill_normal(start, NUMBERS, 51);
    hs_coord_matrix(K, K, m);
    bench b[2];
    const hs_arm arms[] = {HS_ARM_SPATIAL, HS_ARM_HALF_RAW};
    double *taps[] = {space, raw};
    for (int a = 0; a < 2; a++) {
        double gradient[NUMBERS];
        hs_optim_config config = plain_config(HS_SGD);
        bench_open(&b[a], &hs_backend_ref);
        bench_filter(&b[a], "conv1", arms[a], K, K, IN, OUT);
        bench_ready(&b[a], &config);
        bench_map map = map_of(&b[a].param[0]);
        to_coords(&map, start, b[a].slab);
        taps_gradient(start, gradient);
        pull_back(&map, gradient, b[a].gradients);
        assert_int_equal(hs_optim_step(b[a].optim, b[a].stream, 1, 0.1, NULL), HS_OK);
        to_taps(&map, b[a].slab, taps[a]);
        for (int i = 0; i < NUMBERS; i++)
            taps[a][i] -= start[i];
        map_drop(&map);
        bench_close(&b[a]);
    }
    product(m, TAPS, TAPS, false, IN * OUT, space, moved_space);
    product(m, TAPS, TAPS, false, IN * OUT, raw, moved_raw);
    for (int i = 0; i < NUMBERS; i++) {
        assert_true(fabs(moved_space[i]) > 1e-6);
        assert_near(moved_raw[i] / moved_space[i], i < IN * OUT ? 1.0 / TAPS : 2.0 / TAPS, 1e-8);
    }
}

/* Adam's step does not depend on the gradient's size, so in unnormalised coordinates a step of lr is sqrt(2/N) lr in orthonormal ones (the mean:
 * sqrt(1/N)): the filter moves sqrt(N/2) less. */
static void adam_in_half_raw_moves_less(void **state)
{
    (void)state;
    double start[NUMBERS], spectral[NUMBERS], raw[NUMBERS], m[TAPS * TAPS], a[NUMBERS], c[NUMBERS];
    fill_normal(start, NUMBERS, 51);
    train(HS_ARM_SPECTRAL, HS_ADAM, HS_MOMENT_REAL, 0.01, 1, spectral);
    train(HS_ARM_HALF_RAW, HS_ADAM, HS_MOMENT_REAL, 0.01, 1, raw);
    hs_coord_matrix(K, K, m);
    for (int i = 0; i < NUMBERS; i++) {
        spectral[i] -= start[i];
        raw[i] -= start[i];
    }
    product(m, TAPS, TAPS, false, IN * OUT, spectral, a);
    product(m, TAPS, TAPS, false, IN * OUT, raw, c);
    for (int i = 0; i < NUMBERS; i++)
        assert_near(c[i] / a[i], sqrt((i < IN * OUT ? 1.0 : 2.0) / TAPS), 1e-4);
}

/* ---- shifts ------------------------------------------------------------------------------------------------------------------------- */

/* Taps [y][x][in][out] rotated cyclically by (1, 2), and by one channel if CHANNELS. */
static void rotate(int k, bool channels, const double *from, double *to)
{
    for (int y = 0; y < k; y++)
        for (int x = 0; x < k; x++)
            for (int i = 0; i < IN; i++)
                for (int o = 0; o < OUT; o++) {
                    int row = ((y + 1) % k) * k + (x + 2) % k, channel = channels ? (i + 1) % IN : i;
                    to[(row * IN + channel) * OUT + o] = from[((y * k + x) * IN + i) * OUT + o];
                }
}

/* Adam on |taps - aim|^2 with a slowly changing weight: START and AIM rotated give rotated TAPS, or not. */
static void adam_towards(hs_arm arm, int k, hs_moment moment, const double *start, const double *aim, double *taps)
{
    bench b;
    int numbers = k * k * IN * OUT;
    double gradient[256];
    hs_optim_config config = plain_config(HS_ADAM);
    config.moment = moment;
    bench_open(&b, &hs_backend_ref);
    bench_filter(&b, "conv1", arm, k, k, IN, OUT);
    bench_ready(&b, &config);
    bench_map map = map_of(&b.param[0]);
    to_coords(&map, start, b.slab);
    for (int t = 1; t <= STEPS; t++) {
        to_taps(&map, b.slab, taps);
        for (int i = 0; i < numbers; i++)
            gradient[i] = (1.0 + 0.5 * sin(t)) * (taps[i] - aim[i]);
        pull_back(&map, gradient, b.gradients);
        assert_int_equal(hs_optim_step(b.optim, b.stream, t, 0.02, NULL), HS_OK);
    }
    to_taps(&map, b.slab, taps);
    map_drop(&map);
    bench_close(&b);
}

static double shift_error(hs_arm arm, int k, hs_moment moment)
{
    double start[256] = {0}, aim[256] = {0}, moved_start[256], moved_aim[256], taps[256], moved[256], expected[256];
    int numbers = k * k * IN * OUT;
    bool channels = arm == HS_ARM_SPECTRAL3D;
    fill_normal(start, (size_t)numbers, 60);
    fill_normal(aim, (size_t)numbers, 61);
    rotate(k, channels, start, moved_start);
    rotate(k, channels, aim, moved_aim);
    adam_towards(arm, k, moment, start, aim, taps);
    adam_towards(arm, k, moment, moved_start, moved_aim, moved);
    rotate(k, channels, taps, expected);
    return distance(moved, expected, (size_t)numbers);
}

static void modulus_does_not_see_the_centre(void **state)
{
    (void)state;
    for (int k = 3; k <= 5; k++) {
        assert_small(shift_error(HS_ARM_SPECTRAL, k, HS_MOMENT_MODULUS), 1e-12, "spectral");
        assert_small(shift_error(HS_ARM_HALF_RAW, k, HS_MOMENT_MODULUS), 1e-12, "half-raw");
        assert_small(shift_error(HS_ARM_SPECTRAL3D, k, HS_MOMENT_MODULUS), 1e-12, "spectral3d");
        if (k != 4) /* a moment per number does, but for quarter turns, which only swap re and im */
            assert_true(shift_error(HS_ARM_SPECTRAL, k, HS_MOMENT_REAL) > 1e-3);
    }
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd_is_one_trajectory),        cmocka_unit_test(adam_is_not),
        cmocka_unit_test(modulus_concerns_bins_only),   cmocka_unit_test(half_raw_moves_by_its_factors),
        cmocka_unit_test(adam_in_half_raw_moves_less),  cmocka_unit_test(modulus_does_not_see_the_centre),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
