/* t_optim_schedule.c - learning rates at their boundaries, and reduce-on-plateau. */
#include "hs_optim.h"
#include "spectrum_test.h"

static double rate(const hs_schedule *schedule, int64_t step)
{
    return hs_schedule_rate(schedule, NULL, step);
}

static void constant(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_CONSTANT, .base = 0.3, .epoch_steps = 10, .total = 100};
    assert_true(rate(&s, 0) == 0.3 && rate(&s, 99) == 0.3 && rate(&s, 1000000) == 0.3);
}

/* Milestones are epochs: step 100 * epoch_steps is the first of epoch 100. */
static void milestones(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_STEP, .base = 0.0088, .factor = 0.1, .epoch_steps = 7, .milestone = {100, 140}, .milestones = 2};
    assert_true(rate(&s, 0) == 0.0088 && rate(&s, 699) == 0.0088);
    assert_near(rate(&s, 700), 0.00088, 1e-17);
    assert_near(rate(&s, 979), 0.00088, 1e-17);
    assert_near(rate(&s, 980), 0.000088, 1e-18);
    s.milestone[0] = 0.5; /* half an epoch of 7 steps: from step 4 on */
    assert_true(rate(&s, 3) == 0.0088);
    assert_near(rate(&s, 4), 0.00088, 1e-17);
}

static void exponential(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_EXPONENTIAL, .base = 1.0, .factor = 0.5, .epoch_steps = 4};
    assert_true(rate(&s, 0) == 1.0 && rate(&s, 3) == 1.0 && rate(&s, 4) == 0.5 && rate(&s, 7) == 0.5 && rate(&s, 12) == 0.125);
}

static void cosine(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_COSINE, .base = 1.0, .minimum = 0.2, .total = 100};
    assert_true(rate(&s, 0) == 1.0);
    assert_near(rate(&s, 50), 0.6, 1e-15);
    assert_near(rate(&s, 25), 0.6 + 0.4 * sqrt(0.5), 1e-15);
    assert_near(rate(&s, 100), 0.2, 1e-15);
    assert_near(rate(&s, 5000), 0.2, 1e-15);
    for (int64_t i = 1; i <= 100; i++)
        assert_true(rate(&s, i) < rate(&s, i - 1));
}

/* Linear from base/warmup at the first step; the cosine begins where it ends. */
static void warm_up(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_CONSTANT, .base = 0.4, .warmup = 4};
    assert_near(rate(&s, 0), 0.1, 1e-16);
    assert_near(rate(&s, 1), 0.2, 1e-16);
    assert_near(rate(&s, 3), 0.4, 1e-16);
    assert_true(rate(&s, 4) == 0.4);
    s = (hs_schedule){.kind = HS_RATE_COSINE, .base = 1.0, .total = 20, .warmup = 10};
    assert_near(rate(&s, 0), 0.1, 1e-16);
    assert_near(rate(&s, 9), 1.0, 1e-16);
    assert_near(rate(&s, 10), 1.0, 1e-16);
    assert_near(rate(&s, 15), 0.5, 1e-15);
    assert_near(rate(&s, 20), 0.0, 1e-16);
    s.total = 5; /* a run that ends while it warms up */
    assert_near(rate(&s, 4), 0.5, 1e-16);
    assert_true(isfinite(rate(&s, 12)));
}

static void plateau(void **state)
{
    (void)state;
    hs_schedule s = {.kind = HS_RATE_PLATEAU, .base = 1.0, .factor = 0.5, .minimum = 0.3, .patience = 2};
    hs_plateau p;
    hs_plateau_start(&p);
    assert_true(hs_schedule_rate(&s, &p, 0) == 1.0);
    hs_plateau_see(&s, &p, 2.0);
    hs_plateau_see(&s, &p, 1.0);
    hs_plateau_see(&s, &p, 1.0); /* equal is no improvement */
    assert_true(hs_schedule_rate(&s, &p, 9) == 1.0);
    hs_plateau_see(&s, &p, 0.9);
    assert_int_equal(p.bad, 0);
    hs_plateau_see(&s, &p, 0.95);
    assert_true(hs_schedule_rate(&s, &p, 9) == 1.0);
    hs_plateau_see(&s, &p, NAN);
    assert_true(hs_schedule_rate(&s, &p, 9) == 0.5);
    assert_int_equal(p.bad, 0);
    hs_plateau_see(&s, &p, 5.0);
    hs_plateau_see(&s, &p, 5.0);
    assert_true(p.scale == 0.25 && hs_schedule_rate(&s, &p, 9) == 0.3); /* never below the minimum */
    assert_true(p.best == 0.9);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(hs_optim_kind_name(HS_SGD), "sgd");
    assert_string_equal(hs_optim_kind_name(HS_MOMENTUM), "momentum");
    assert_string_equal(hs_optim_kind_name(HS_NESTEROV), "nesterov");
    assert_string_equal(hs_optim_kind_name(HS_ADAM), "adam");
    assert_string_equal(hs_optim_kind_name(HS_ADAMW), "adamw");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant), cmocka_unit_test(milestones), cmocka_unit_test(exponential), cmocka_unit_test(cosine),
        cmocka_unit_test(warm_up),  cmocka_unit_test(plateau),    cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
