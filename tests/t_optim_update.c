/* t_optim_update.c - every update rule against plain loops over 100 steps, cases with exactly predictable results, rates per layer, clipping,
 * what a step reports, and that a gradient which is not finite changes nothing. */
#include "optim_test.h"

enum { STEPS = 100 };

/* conv1 and fc1 with their biases: 18 + 2 + 6 + 3 numbers. */
static void small_net(bench *b, const hs_backend *backend)
{
    bench_open(b, backend);
    bench_filter(b, "conv1", HS_ARM_SPECTRAL, 3, 3, 1, 2);
    bench_add(b, "conv1", HS_ROLE_BIAS, 1, 2);
    bench_add(b, "fc1", HS_ROLE_DENSE, 2, 3);
    bench_add(b, "fc1", HS_ROLE_BIAS, 1, 3);
}
enum { NUMBERS = 29 };

/* Gradient of step T at P: a pull towards a target plus noise, the same for whoever asks. */
static double slope(size_t i, int t, double p)
{
    return (0.3 + 0.1 * (double)(i % 5)) * (p - sin((double)i)) + 0.2 * hs_normal(hs_random(test_seed(), HS_DRAW_TEST, (uint32_t)t, 7, i));
}

typedef struct plain {
    double p[NUMBERS], m[NUMBERS], v[NUMBERS];
} plain;

/* The rules as they stand in their papers, one number at a time. */
static void plain_step(plain *x, const hs_optim_config *c, int t, double lr)
{
    for (int i = 0; i < NUMBERS; i++) {
        double g = slope((size_t)i, t, x->p[i]);
        switch (c->kind) {
        case HS_SGD:
            x->p[i] -= lr * g;
            break;
        case HS_MOMENTUM:
            x->m[i] = c->momentum * x->m[i] + g;
            x->p[i] -= lr * x->m[i];
            break;
        case HS_NESTEROV:
            x->m[i] = c->momentum * x->m[i] + g;
            x->p[i] -= lr * (g + c->momentum * x->m[i]);
            break;
        case HS_ADAM:
        case HS_ADAMW:
            x->m[i] = c->beta1 * x->m[i] + (1.0 - c->beta1) * g;
            x->v[i] = c->beta2 * x->v[i] + (1.0 - c->beta2) * g * g;
            double first = x->m[i] / (1.0 - pow(c->beta1, t)), second = x->v[i] / (1.0 - pow(c->beta2, t));
            x->p[i] -= lr * (first / (sqrt(second) + c->epsilon) + (c->kind == HS_ADAMW ? c->decay * x->p[i] : 0.0));
        }
    }
}

static void check_rule(hs_optim_kind kind, int slots)
{
    bench b;
    plain x = {.m = {0}};
    hs_optim_config config = plain_config(kind);
    small_net(&b, &hs_backend_ref);
    bench_ready(&b, &config);
    assert_int_equal(b.target.numbers, NUMBERS);
    assert_int_equal(hs_optim_slots(b.optim), slots);
    assert_true(hs_optim_bytes(b.optim) >= (size_t)(slots + 1) * NUMBERS * sizeof(double));
    fill_normal(x.p, NUMBERS, 1);
    memcpy(b.slab, x.p, sizeof x.p);
    for (int t = 1; t <= STEPS; t++) {
        double lr = 0.05 + 0.01 * (t % 3);
        for (size_t i = 0; i < NUMBERS; i++)
            b.gradients[i] = slope(i, t, b.slab[i]);
        assert_int_equal(hs_optim_step(b.optim, b.stream, t, lr, NULL), HS_OK);
        plain_step(&x, &config, t, lr);
    }
    assert_small(distance(b.slab, x.p, NUMBERS), 1e-13, hs_optim_kind_name(kind));
    if (slots > 0) {
        assert_string_equal(hs_optim_slot_name(b.optim, 0), "m");
        assert_small(distance(hs_optim_slot(b.optim, 0), x.m, NUMBERS), 1e-13, "first moment");
    }
    if (slots > 1) {
        assert_string_equal(hs_optim_slot_name(b.optim, 1), "v");
        assert_small(distance(hs_optim_slot(b.optim, 1), x.v, NUMBERS), 1e-13, "second moment");
    }
    bench_close(&b);
}

static void rules_against_plain_loops(void **state)
{
    (void)state;
    check_rule(HS_SGD, 0);
    check_rule(HS_MOMENTUM, 1);
    check_rule(HS_NESTEROV, 1);
    check_rule(HS_ADAM, 2);
    check_rule(HS_ADAMW, 2);
}

/* With both betas and epsilon 0 Adam moves by the rate against the sign; without momentum both momentum rules are SGD to the last bit. */
static void predictable_cases(void **state)
{
    (void)state;
    bench b, plainly;
    hs_optim_config config = plain_config(HS_ADAM), sgd = plain_config(HS_SGD);
    config.beta1 = config.beta2 = config.epsilon = 0.0;
    small_net(&b, &hs_backend_ref);
    bench_ready(&b, &config);
    for (int i = 0; i < NUMBERS; i++)
        b.gradients[i] = i % 2 ? -4.0 : 0.25;
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.5, NULL), HS_OK);
    for (int i = 0; i < NUMBERS; i++)
        assert_true(b.slab[i] == (i % 2 ? 0.5 : -0.5));
    bench_close(&b);

    const hs_optim_kind kinds[] = {HS_MOMENTUM, HS_NESTEROV};
    for (int k = 0; k < 2; k++) {
        config = plain_config(kinds[k]);
        config.momentum = 0.0;
        small_net(&b, &hs_backend_ref);
        small_net(&plainly, &hs_backend_ref);
        bench_ready(&b, &config);
        bench_ready(&plainly, &sgd);
        for (int t = 1; t <= 10; t++) {
            for (size_t i = 0; i < NUMBERS; i++)
                b.gradients[i] = plainly.gradients[i] = slope(i, t, 0.0);
            assert_int_equal(hs_optim_step(b.optim, b.stream, t, 0.1, NULL), HS_OK);
            assert_int_equal(hs_optim_step(plainly.optim, plainly.stream, t, 0.1, NULL), HS_OK);
        }
        assert_memory_equal(b.slab, plainly.slab, NUMBERS * sizeof(double));
        bench_close(&b);
        bench_close(&plainly);
    }
}

static const hs_optim_layer as_general = {.lr = -1.0, .l1_spectral = -1.0, .l1_spatial = -1.0, .l2 = -1.0, .sobolev = -1.0};

static hs_optim_layer layer_named(const char *name)
{
    hs_optim_layer layer = as_general;
    snprintf(layer.layer, sizeof layer.layer, "%s", name);
    return layer;
}

/* lr.fc1 = 0.02 at lr = 0.1 is a fifth of whatever the schedule says; 0 freezes a layer. */
static void rates_per_layer(void **state)
{
    (void)state;
    bench b;
    hs_optim_config config = plain_config(HS_SGD);
    hs_optim_layer own[2] = {layer_named("fc1"), layer_named("conv1")};
    own[0].lr = 0.02;
    own[1].lr = 0.0;
    config.layer = own;
    config.layers = 1;
    small_net(&b, &hs_backend_ref);
    bench_ready(&b, &config);
    for (int i = 0; i < NUMBERS; i++)
        b.gradients[i] = 1.0;
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.05, NULL), HS_OK);
    for (int i = 0; i < NUMBERS; i++)
        assert_near(b.slab[i], i < 20 ? -0.05 : -0.01, 1e-17);
    bench_close(&b);

    config.layers = 2;
    small_net(&b, &hs_backend_ref);
    bench_ready(&b, &config);
    for (int i = 0; i < NUMBERS; i++)
        b.gradients[i] = 1.0;
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.05, NULL), HS_OK);
    for (int i = 0; i < NUMBERS; i++)
        assert_near(b.slab[i], i < 20 ? 0.0 : -0.01, 1e-17);
    bench_close(&b);
}

static hs_status refused(bench *b, const hs_optim_config *config)
{
    b->target.params = b->param;
    return hs_optim_create_on(config, &b->target, b->device, b->stream, &b->optim);
}

static void wrong_layers_are_named(void **state)
{
    (void)state;
    bench b;
    hs_optim_config config = plain_config(HS_SGD);
    hs_optim_layer own = layer_named("conv2");
    long before = hs_live_blocks();
    config.layer = &own;
    config.layers = 1;
    small_net(&b, &hs_backend_ref);
    own.lr = 0.1;
    assert_int_equal(refused(&b, &config), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "'conv2'"));
    assert_non_null(strstr(hs_fail_text(), "'conv1'"));
    own = layer_named("fc1");
    own.l1_spectral = 0.1;
    assert_int_equal(refused(&b, &config), HS_EUSAGE);
    own = layer_named("fc1");
    own.lr = 0.1;
    config.schedule.base = 0.0;
    assert_int_equal(refused(&b, &config), HS_EUSAGE);
    assert_null(b.optim);
    bench_close(&b);
    assert_int_equal(hs_live_blocks(), before);
}

static void clipping(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        bench b;
        hs_optim_config config = plain_config(HS_SGD);
        config.clip = k == 0 ? 1.0 : k == 1 ? 100.0 : 0.0;
        small_net(&b, &hs_backend_ref);
        bench_ready(&b, &config);
        fill_normal(b.gradients, NUMBERS, 3);
        double g[NUMBERS], norm = sqrt(dot(b.gradients, b.gradients, NUMBERS));
        memcpy(g, b.gradients, sizeof g);
        assert_true(norm > 1.0 && norm < 100.0);
        hs_optim_report report;
        assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.5, &report), HS_OK);
        assert_near(report.grad_norm, norm, 1e-12); /* what it was before clipping */
        assert_near(report.update_norm, 0.5 * (k == 0 ? 1.0 : norm), 1e-12);
        for (int i = 0; i < NUMBERS; i++)
            assert_near(b.slab[i], -0.5 * g[i] / (k == 0 ? norm : 1.0), 1e-15);
        bench_close(&b);
    }
}

static void reports(void **state)
{
    (void)state;
    bench b;
    hs_optim_config config = plain_config(HS_SGD);
    config.l2 = 0.5;
    small_net(&b, &hs_backend_ref);
    bench_ready(&b, &config);
    long before = hs_live_blocks();
    for (int i = 0; i < NUMBERS; i++)
        b.slab[i] = 2.0;
    hs_optim_report report;
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, &report), HS_OK);
    /* 18 + 6 weights of 2 with lambda 1/2: value 24 * 4 / 4, gradient 1 each; biases are left alone */
    assert_true(report.finite && report.lr == 0.1 && report.penalty_l1 == 0.0);
    assert_near(report.penalty_l2, 24.0, 1e-12);
    assert_near(report.grad_norm, sqrt(24.0), 1e-12);
    assert_near(report.update_norm, 0.1 * sqrt(24.0), 1e-12);
    assert_near(report.param_norm, sqrt(24.0 * 1.9 * 1.9 + 5.0 * 4.0), 1e-12);
    assert_true(b.slab[18] == 2.0 && b.slab[28] == 2.0);
    assert_int_equal(hs_live_blocks(), before);
    bench_close(&b);
}

static void not_finite_changes_nothing(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        bench b;
        hs_optim_config config = plain_config(HS_ADAM);
        config.l1_spectral = 0.1;
        config.clip = 1.0;
        small_net(&b, &hs_backend_ref);
        bench_ready(&b, &config);
        double kept[3][NUMBERS];
        fill_normal(b.slab, NUMBERS, 4);
        fill_normal(b.gradients, NUMBERS, 5);
        assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0.1, NULL), HS_OK);
        const void *state_now[3] = {b.slab, hs_optim_slot(b.optim, 0), hs_optim_slot(b.optim, 1)};
        for (int i = 0; i < 3; i++)
            memcpy(kept[i], state_now[i], sizeof kept[i]);
        b.gradients[17] = bad[k];
        hs_optim_report report = {.finite = true};
        hs_fail_clear();
        assert_int_equal(hs_optim_step(b.optim, b.stream, 2, 0.1, &report), HS_ENONFINITE);
        assert_false(report.finite);
        assert_string_equal(hs_fail_text(), "");
        assert_int_equal(hs_optim_step(b.optim, b.stream, 2, 0.1, NULL), HS_ENONFINITE);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(state_now[i], kept[i], sizeof kept[i]);
        bench_close(&b);
    }
}

/* A step with a report and one without do the same to the last bit. */
static void reporting_changes_nothing(void **state)
{
    (void)state;
    double result[2][NUMBERS];
    for (int k = 0; k < 2; k++) {
        bench b;
        hs_optim_config config = plain_config(HS_ADAMW);
        config.l1_spectral = 0.01;
        config.l1_spatial = 0.01;
        config.sobolev = 0.1;
        config.l2 = 0.1;
        small_net(&b, &hs_backend_ref);
        bench_ready(&b, &config);
        fill_normal(b.slab, NUMBERS, 4);
        for (int t = 1; t <= 5; t++) {
            hs_optim_report report;
            fill_normal(b.gradients, NUMBERS, 5 + (uint32_t)t);
            assert_int_equal(hs_optim_step(b.optim, b.stream, t, 0.1, k ? &report : NULL), HS_OK);
        }
        memcpy(result[k], b.slab, sizeof result[k]);
        bench_close(&b);
    }
    assert_memory_equal(result[0], result[1], sizeof result[0]);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_against_plain_loops), cmocka_unit_test(predictable_cases),
        cmocka_unit_test(rates_per_layer),           cmocka_unit_test(wrong_layers_are_named),
        cmocka_unit_test(clipping),                  cmocka_unit_test(reports),
        cmocka_unit_test(not_finite_changes_nothing), cmocka_unit_test(reporting_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
