/* t_train_arms - the proof that the coordinates are right: an orthonormal change of variables leaves SGD, with momentum too, on the same
 * trajectory, so `spatial`, `spectral`, `rotation` and `spectral3d` must have equal losses to rounding; Adam must not; half-raw must not at an
 * equal rate. And one batch can be learnt by heart. */
#include "train_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static hs_comm *self;
static char scratch[256];
enum { STEPS = 40 };

static void train_arm(const char *arm, const char *const *words, trace *out)
{
    char run[400], param[64];
    static int number;
    snprintf(run, sizeof run, "%s/arm-%d", scratch, number++);
    snprintf(param, sizeof param, "param=%s", arm);
    const char *all[12] = {param, "max-steps=40"};
    for (int i = 0; words[i]; i++)
        all[2 + i] = words[i];
    assert_int_equal(fixture_train(self, run, all, out), HS_OK);
    assert_int_equal(out->steps, STEPS);
}

static double against_spatial(const char *arm, const char *const *words)
{
    trace spatial = {0}, other = {0};
    train_arm("spatial", words, &spatial);
    train_arm(arm, words, &other);
    assert_true(fabs(spatial.loss[STEPS - 1] - spatial.loss[0]) > 0.05 * spatial.loss[0]);
    return fixture_distance(&spatial, &other, STEPS);
}

static void momentum_keeps_its_path(void **state)
{
    (void)state;
    static const char *const arms[] = {"spectral", "rotation", "spectral3d"};
    static const char *const nets[] = {"net=C4k3 R SP5 C6k4 R F4", "net=C4k5x3{boundary=periodic} R SP5 C4k3 R F4"};
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < 3; i++) {
            double d = against_spatial(arms[i], (const char *const[]){"optimizer=momentum", "lr=0.01", "l2=1e-3", nets[n], NULL});
            print_message("# %s %s: %.2g\n", arms[i], nets[n], d);
            assert_true(d < 1e-11);
        }
}

static void float_too(void **state)
{
    (void)state;
    double d = against_spatial("spectral", (const char *const[]){"optimizer=momentum", "lr=0.01", "device=cpu", NULL});
    print_message("# cpu: %.2g\n", d);
    assert_true(d < 1e-4);
}

static void adam_does_not(void **state)
{
    (void)state;
    assert_true(against_spatial("spectral", (const char *const[]){"optimizer=adam", "lr=1e-2", NULL}) > 1e-3);
}

static void unnormalised_does_not(void **state)
{
    (void)state;
    assert_true(against_spatial("half-raw", (const char *const[]){"optimizer=sgd", "lr=0.01", NULL}) > 1e-3);
}

static void learns_a_batch_by_heart(void **state)
{
    (void)state;
    static const char *const devices[] = {"device=ref", "device=cpu"};
    for (size_t i = 0; i < 2; i++) {
        trace t = {0};
        char run[400];
        snprintf(run, sizeof run, "%s/heart-%zu", scratch, i);
        const char *words[] = {"data=synthetic:16,8,8,1,4", "batch=16", "optimizer=adam", "lr=1e-2", "max-steps=200", devices[i], NULL};
        assert_int_equal(fixture_train(self, run, words, &t), HS_OK);
        print_message("# %s: loss %.3g -> %.3g\n", devices[i], t.loss[0], t.loss[199]);
        assert_true(t.loss[0] > 0.5);
        assert_true(t.loss[199] < 0.01);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(momentum_keeps_its_path), cmocka_unit_test(float_too),
        cmocka_unit_test(adam_does_not),           cmocka_unit_test(unnormalised_does_not),
        cmocka_unit_test(learns_a_batch_by_heart),
    };
    if (hs_comm_self(&self) != HS_OK)
        return 99;
    fixture_scratch(self, scratch);
    int failed = cmocka_run_group_tests_name("train_arms", tests, NULL, NULL);
    fixture_remove(scratch);
    hs_comm_destroy(&self);
    return failed;
}
