/* t_optim_penalty.c - penalties in every arm: values against their definition over the full spectrum, gradients against central differences,
 * proximal maps against brute force, exact zeros, sums and means. */
#include "optim_test.h"

enum { KH = 4, KW = 3, IN = 3, OUT = 2, TAPS = KH * KW, PAIRS = IN * OUT };

/* Full spectrum of one filter by its definition: L1 by modulus, L1 split, Sobolev sum. */
static void full_spectrum(const double *taps, double p, double out[3])
{
    const double turn = 2.0 * acos(-1.0);
    out[0] = out[1] = out[2] = 0.0;
    for (int ky = -((KH - 1) / 2); ky <= KH / 2; ky++)
        for (int kx = -((KW - 1) / 2); kx <= KW / 2; kx++) {
            double re = 0.0, im = 0.0;
            for (int t = 0; t < TAPS; t++) {
                double angle = turn * ((double)ky * (t / KW) / KH + (double)kx * (t % KW) / KW);
                re += taps[t] * cos(angle) / sqrt(TAPS);
                im -= taps[t] * sin(angle) / sqrt(TAPS);
            }
            out[0] += hypot(re, im);
            out[1] += fabs(re) + fabs(im);
            out[2] += pow(ky * ky + kx * kx, p) * (re * re + im * im);
        }
}

typedef struct expected_values {
    double modulus, split, sobolev, l1, square;
} expected_values;

static expected_values define(const double *taps, double p)
{
    expected_values e = {0};
    for (int q = 0; q < PAIRS; q++) {
        double one[TAPS], sums[3];
        for (int t = 0; t < TAPS; t++) {
            one[t] = taps[t * PAIRS + q];
            e.l1 += fabs(one[t]);
            e.square += one[t] * one[t];
        }
        full_spectrum(one, p, sums);
        e.modulus += sums[0];
        e.split += sums[1];
        e.sobolev += sums[2];
    }
    return e;
}

/* A bench of one filter in ARM whose taps are TAPS, with CONFIG. */
static bench_map one_filter(bench *b, hs_arm arm, const hs_optim_config *config, const double *taps)
{
    bench_open(b, &hs_backend_ref);
    bench_filter(b, "conv1", arm, KH, KW, IN, OUT);
    bench_ready(b, config);
    bench_map map = map_of(&b->param[0]);
    to_coords(&map, taps, b->slab);
    return map;
}

static void check_value(hs_arm arm, const hs_optim_config *config, const double *taps, double l1, double l2)
{
    bench b;
    bench_map map = one_filter(&b, arm, config, taps);
    double got1, got2;
    assert_int_equal(hs_optim_penalty(b.optim, b.stream, &got1, &got2), HS_OK);
    assert_near(got1, l1, 1e-11);
    assert_near(got2, l2, 1e-11);
    hs_optim_report report; /* the same numbers, taken before the update */
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, &report), HS_OK);
    assert_near(report.penalty_l1, l1, 1e-11);
    assert_near(report.penalty_l2, l2, 1e-11);
    map_drop(&map);
    bench_close(&b);
}

static void values_by_definition(void **state)
{
    (void)state;
    double taps[TAPS * PAIRS];
    fill_normal(taps, TAPS * PAIRS, 1);
    expected_values e = define(taps, 1.5);
    for (int arm = 0; arm < HS_ARM_COUNT; arm++)
        for (int prox = 0; prox < 2; prox++)
            for (int mean = 0; mean < 2; mean++) {
                double scale = mean ? 1.0 / (TAPS * PAIRS) : 1.0;
                hs_optim_config c = plain_config(HS_SGD);
                c.l1_prox = prox;
                c.penalty_mean = mean;
                c.sobolev_p = 1.5;
                c.l1_spectral = 0.3;
                check_value((hs_arm)arm, &c, taps, 0.3 * e.modulus * scale, 0.0);
                c.l1_kind = HS_PENALTY_L1_SPLIT;
                check_value((hs_arm)arm, &c, taps, 0.3 * e.split * scale, 0.0);
                c.l1_spatial = 0.2;
                check_value((hs_arm)arm, &c, taps, (0.3 * e.split + 0.2 * e.l1) * scale, 0.0);
                c.l1_spatial = c.l1_spectral = 0.0;
                c.l2 = 0.4;
                check_value((hs_arm)arm, &c, taps, 0.0, 0.2 * e.square * scale);
                c.sobolev = 0.6;
                check_value((hs_arm)arm, &c, taps, 0.0, (0.2 * e.square + 0.3 * e.sobolev) * scale);
            }
}

/* With p = 0 every frequency weighs 1: Sobolev is L2. */
static void sobolev_of_order_zero_is_l2(void **state)
{
    (void)state;
    double taps[TAPS * PAIRS];
    fill_normal(taps, TAPS * PAIRS, 2);
    expected_values e = define(taps, 0.0);
    hs_optim_config c = plain_config(HS_SGD);
    c.sobolev = 1.0;
    c.sobolev_p = 0.0;
    assert_near(e.sobolev, e.square, 1e-11);
    check_value(HS_ARM_SPECTRAL, &c, taps, 0.0, 0.5 * e.square);
}

/* All penalties at once as gradients, rate 1 and no other gradient: the step is minus the slope of the value. */
static void check_gradient(hs_arm arm, hs_penalty_kind kind)
{
    bench b;
    double taps[TAPS * PAIRS], start[2 * TAPS * PAIRS], slope[2 * TAPS * PAIRS];
    hs_optim_config c = plain_config(HS_SGD);
    c.l1_prox = false;
    c.l1_kind = kind;
    c.l1_spectral = 0.3;
    c.l1_spatial = 0.2;
    c.l2 = 0.4;
    c.sobolev = 0.1;
    fill_normal(taps, TAPS * PAIRS, 3);
    bench_map map = one_filter(&b, arm, &c, taps);
    size_t count = b.target.numbers;
    memcpy(start, b.slab, count * sizeof *start);
    hs_optim_report report;
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 1.0, &report), HS_OK);
    double norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        slope[i] = start[i] - b.slab[i];
        norm += slope[i] * slope[i];
    }
    assert_near(report.grad_norm, sqrt(norm), 1e-11);
    memcpy(b.slab, start, count * sizeof *start);
    for (size_t i = 0; i < count; i++) {
        double value[2], l1, l2, h = 1e-6;
        for (int side = 0; side < 2; side++) {
            b.slab[i] = start[i] + (side ? h : -h);
            assert_int_equal(hs_optim_penalty(b.optim, b.stream, &l1, &l2), HS_OK);
            value[side] = l1 + l2;
        }
        b.slab[i] = start[i];
        assert_near(slope[i], (value[1] - value[0]) / (2.0 * h), 1e-6);
    }
    map_drop(&map);
    bench_close(&b);
}

static void gradients_by_differences(void **state)
{
    (void)state;
    for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
        check_gradient((hs_arm)arm, HS_PENALTY_L1_MODULUS);
        check_gradient((hs_arm)arm, HS_PENALTY_L1_SPLIT);
    }
}

/* One 3 x 1 filter: coordinates (mean, re, im). Objective of the proximal step at Z0. */
static double objective(hs_penalty_kind kind, double threshold, const double *z, const double *z0)
{
    double size = kind == HS_PENALTY_L1_MODULUS ? hypot(z[1], z[2]) : fabs(z[1]) + fabs(z[2]), away = 0.0;
    for (int i = 0; i < 3; i++)
        away += 0.5 * (z[i] - z0[i]) * (z[i] - z0[i]);
    return away + threshold * (fabs(z[0]) + sqrt(2.0) * size);
}

/* The best of a grid, refined around it until the mesh is 1e-7: convex, so this finds the minimum. */
static void brute_force(hs_penalty_kind kind, double threshold, const double *z0, double *best)
{
    for (int i = 0; i < 3; i++)
        best[i] = 0.0;
    for (double mesh = 0.5; mesh > 1e-8; mesh *= 0.5)
        for (int moved = 1; moved;) {
            moved = 0;
            for (int i = 0; i < 27; i++) {
                double z[3] = {best[0] + mesh * (i % 3 - 1), best[1] + mesh * (i / 3 % 3 - 1), best[2] + mesh * (i / 9 - 1)};
                if (objective(kind, threshold, z, z0) < objective(kind, threshold, best, z0)) {
                    memcpy(best, z, sizeof z);
                    moved = 1;
                }
            }
        }
}

static void prox_is_the_minimum(void **state)
{
    (void)state;
    const hs_penalty_kind kinds[] = {HS_PENALTY_L1_MODULUS, HS_PENALTY_L1_SPLIT};
    for (int trial = 0; trial < 20; trial++)
        for (int k = 0; k < 2; k++) {
            bench b;
            double z0[3], best[3];
            hs_optim_config c = plain_config(HS_SGD);
            c.l1_kind = kinds[k];
            c.l1_spectral = 4.0;
            fill_normal(z0, 3, 100 + (uint32_t)trial);
            bench_open(&b, &hs_backend_ref);
            bench_filter(&b, "conv1", HS_ARM_SPECTRAL, 3, 1, 1, 1);
            bench_ready(&b, &c);
            memcpy(b.slab, z0, sizeof z0);
            assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, NULL), HS_OK);
            brute_force(kinds[k], 0.4, z0, best);
            assert_small(distance(b.slab, best, 3), 1e-6, "prox and brute force");
            bench_close(&b);
        }
}

/* Spatial: p - lr g, then soft threshold by lr lambda, to the last bit zero; a layer's own rate scales both. */
static void prox_follows_the_update(void **state)
{
    (void)state;
    bench b;
    hs_optim_config c = plain_config(HS_SGD);
    hs_optim_layer own = {.layer = "conv1", .lr = 0.05, .l1_spectral = -1, .l1_spatial = 2.0, .l2 = -1, .sobolev = -1};
    c.l1_spatial = 99.0; /* overruled by the layer's */
    c.layer = &own;
    c.layers = 1;
    bench_open(&b, &hs_backend_ref);
    bench_filter(&b, "conv1", HS_ARM_SPATIAL, 2, 2, 1, 1);
    bench_ready(&b, &c);
    const double p[4] = {1.0, -0.11, 0.3, 0.0}, g[4] = {1.0, -0.3, 7.9, 0.5};
    memcpy(b.slab, p, sizeof p);
    memcpy(b.gradients, g, sizeof g);
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, NULL), HS_OK); /* rate 0.05, threshold 0.1 */
    assert_near(b.slab[0], 0.95 - 0.1, 1e-15);
    assert_true(b.slab[1] == 0.0); /* -0.095 */
    assert_true(b.slab[2] == 0.0); /* likewise */
    assert_true(b.slab[3] == 0.0);
    bench_close(&b);
}

/* The same step from the same taps in every orthonormal arm; in the spectral arm whole bins are exact zeros. */
static void prox_commutes_with_orthogonal_arms(void **state)
{
    (void)state;
    double taps[TAPS * PAIRS], first[TAPS * PAIRS], after[TAPS * PAIRS];
    fill_normal(taps, TAPS * PAIRS, 5);
    for (int domain = 0; domain < 2; domain++)
        for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
            if (arm == HS_ARM_HALF_RAW || arm == HS_ARM_FULL_COMPLEX)
                continue;
            bench b;
            hs_optim_config c = plain_config(HS_SGD);
            c.l1_spectral = domain ? 5.0 : 0.0;
            c.l1_spatial = domain ? 0.0 : 5.0;
            bench_map map = one_filter(&b, (hs_arm)arm, &c, taps);
            assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, NULL), HS_OK);
            to_taps(&map, b.slab, arm == HS_ARM_SPATIAL ? first : after);
            if (arm != HS_ARM_SPATIAL)
                assert_small(distance(first, after, TAPS * PAIRS), 1e-13, hs_arm_name((hs_arm)arm));
            int zeros = 0;
            for (size_t i = 0; i < b.target.numbers; i++)
                zeros += b.slab[i] == 0.0;
            if (arm == (domain ? HS_ARM_SPECTRAL : HS_ARM_SPATIAL))
                assert_in_range(zeros, 5, TAPS * PAIRS - 5);
            map_drop(&map);
            bench_close(&b);
        }
    double sums = 0.0; /* the penalty has moved something at all */
    for (int i = 0; i < TAPS * PAIRS; i++)
        sums += fabs(first[i] - taps[i]);
    assert_true(sums > 1.0);
}

/* half-raw and full-complex take the step in the frame's own metric: the taps move as in the orthonormal arms. */
static void prox_of_the_raw_arms(void **state)
{
    (void)state;
    const hs_arm arms[] = {HS_ARM_SPECTRAL, HS_ARM_HALF_RAW, HS_ARM_FULL_COMPLEX};
    double taps[TAPS * PAIRS], after[3][TAPS * PAIRS];
    fill_normal(taps, TAPS * PAIRS, 6);
    for (int a = 0; a < 3; a++) {
        bench b;
        hs_optim_config c = plain_config(HS_SGD);
        c.l1_spectral = 5.0;
        c.l1_spatial = 1.0;
        bench_map map = one_filter(&b, arms[a], &c, taps);
        assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, NULL), HS_OK);
        to_taps(&map, b.slab, after[a]);
        map_drop(&map);
        bench_close(&b);
    }
    assert_small(distance(after[0], after[1], TAPS * PAIRS), 1e-13, "half-raw");
    assert_small(distance(after[0], after[2], TAPS * PAIRS), 1e-13, "full-complex");
}

/* Rate 0 keeps a layer to the last bit, in arms whose penalty acts in another frame too. */
static void frozen_layers_keep_every_bit(void **state)
{
    (void)state;
    double taps[TAPS * PAIRS], before[2 * TAPS * PAIRS];
    fill_normal(taps, TAPS * PAIRS, 9);
    for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
        bench b;
        hs_optim_config c = plain_config(HS_MOMENTUM);
        hs_optim_layer own = {.layer = "conv1", .lr = 0.0, .l1_spectral = -1, .l1_spatial = -1, .l2 = -1, .sobolev = -1};
        c.l1_spectral = c.l1_spatial = c.l2 = c.sobolev = 0.3;
        c.layer = &own;
        c.layers = 1;
        bench_map map = one_filter(&b, (hs_arm)arm, &c, taps);
        memcpy(before, b.slab, b.target.numbers * sizeof *before);
        for (int t = 1; t <= 3; t++)
            assert_int_equal(hs_optim_step(b.optim, b.stream, t, 0.1, NULL), HS_OK);
        assert_memory_equal(before, b.slab, b.target.numbers * sizeof *before);
        map_drop(&map);
        bench_close(&b);
    }
}

/* Dense weights take L2 always, L1 only where their layer is named; biases and scales nothing. */
static void dense_weights(void **state)
{
    (void)state;
    bench b;
    hs_optim_config c = plain_config(HS_SGD);
    hs_optim_layer own = {.layer = "fc2", .lr = -1, .l1_spectral = -1, .l1_spatial = 0.5, .l2 = 3.0, .sobolev = -1};
    c.l2 = 2.0;
    c.l1_spatial = 1.0;
    c.l1_spectral = 1.0;
    c.layer = &own;
    c.layers = 1;
    bench_open(&b, &hs_backend_ref);
    bench_add(&b, "fc1", HS_ROLE_DENSE, 2, 2);
    bench_add(&b, "fc2", HS_ROLE_DENSE, 2, 2);
    bench_add(&b, "fc2", HS_ROLE_BIAS, 1, 2);
    bench_add(&b, "bn1", HS_ROLE_SCALE, 1, 2);
    bench_ready(&b, &c);
    for (size_t i = 0; i < b.target.numbers; i++)
        b.slab[i] = -2.0;
    double l1, l2;
    assert_int_equal(hs_optim_penalty(b.optim, b.stream, &l1, &l2), HS_OK);
    assert_near(l1, 0.5 * 8.0, 1e-12);
    assert_near(l2, 1.0 * 16.0 + 1.5 * 16.0, 1e-12);
    bench_close(&b);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_by_definition),
        cmocka_unit_test(sobolev_of_order_zero_is_l2),
        cmocka_unit_test(gradients_by_differences),
        cmocka_unit_test(prox_is_the_minimum),
        cmocka_unit_test(prox_follows_the_update),
        cmocka_unit_test(prox_commutes_with_orthogonal_arms),
        cmocka_unit_test(prox_of_the_raw_arms),
        cmocka_unit_test(frozen_layers_keep_every_bit),
        cmocka_unit_test(dense_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
