/* t_optim_net.c - the optimizer on real networks: the same filters in every arm have the same penalties and, by SGD with proximal steps, the same
 * future; the rotation arm's basis is asked of the network. */
#include <string.h>

#include "hs_base.h"
#include "hs_optim.h"
#include "hs_spectrum.h"
#include "spectrum_test.h"

typedef struct rig {
    const hs_backend *backend;
    hs_device *device;
    hs_stream *stream;
    hs_net *net;
    hs_optim *optim;
} rig;

static void rig_open(rig *r, const char *notation, hs_arm arm, const hs_optim_config *config)
{
    hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "double"};
    hs_net_options net_options;
    hs_plan_options plan = {.capacity = 2, .training = true, .mode = "estimate"};
    hs_net_options_default(&net_options);
    net_options.param = arm;
    net_options.seed = test_seed();
    assert_int_equal(hs_backend_find("ref", &r->backend), HS_OK);
    assert_int_equal(hs_device_open("ref", &options, &r->device), HS_OK);
    assert_int_equal(r->backend->device->stream_create(r->device, &r->stream), HS_OK);
    assert_int_equal(hs_net_create(notation, &net_options, (hs_shape){6, 5, 2}, 3, &r->net), HS_OK);
    assert_int_equal(hs_net_plan(r->net, r->device, r->stream, &plan), HS_OK);
    assert_int_equal(hs_net_init(r->net, r->stream), HS_OK);
    assert_int_equal(hs_optim_create(config, r->net, r->device, r->stream, &r->optim), HS_OK);
}

static void rig_close(rig *r)
{
    hs_optim_destroy(&r->optim);
    hs_net_destroy(&r->net);
    r->backend->device->stream_destroy(&r->stream);
    hs_device_close(&r->device);
}

static hs_optim_config penalised(void)
{
    return (hs_optim_config){.kind = HS_MOMENTUM, .momentum = 0.9, .schedule = {.base = 0.1}, .l1_spectral = 0.01, .l1_spatial = 0.02, .l2 = 0.1,
                             .sobolev = 0.03, .sobolev_p = 1.0, .l1_kind = HS_PENALTY_L1_MODULUS, .l1_prox = true};
}

/* Loss after each of STEPS steps on a fixed batch, and the penalties before the first. */
static void train(rig *r, int steps, double *loss, hs_optim_report *first)
{
    float x[2 * 6 * 5 * 2];
    const int32_t labels[2] = {0, 2};
    for (int i = 0; i < 120; i++)
        x[i] = (float)hs_normal(hs_random(test_seed(), HS_DRAW_TEST, 5, 0, (uint64_t)i));
    for (int t = 1; t <= steps; t++) {
        hs_pass pass = {.n = 2, .global = 2, .training = true, .step = t - 1};
        hs_loss_sums sums;
        hs_optim_report report;
        assert_int_equal(hs_net_forward(r->net, r->stream, &pass, x), HS_OK);
        assert_int_equal(hs_net_loss(r->net, r->stream, &pass, labels, &sums), HS_OK);
        assert_int_equal(hs_net_backward(r->net, r->stream, &pass), HS_OK);
        assert_int_equal(hs_optim_step(r->optim, r->stream, t, 0.05, &report), HS_OK);
        loss[t - 1] = sums.loss;
        if (t == 1)
            *first = report;
    }
}

enum { STEPS = 20 };
static const char *const notation = "C4k3 T C2k3 T F3";

static void same_penalties_in_every_arm(void **state)
{
    (void)state;
    hs_optim_config config = penalised();
    double first1 = 0.0, first2 = 0.0;
    for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
        rig r;
        double l1, l2;
        rig_open(&r, notation, (hs_arm)arm, &config);
        assert_int_equal(hs_optim_penalty(r.optim, r.stream, &l1, &l2), HS_OK);
        if (arm == 0) {
            first1 = l1;
            first2 = l2;
        }
        assert_true(l1 > 0.0 && l2 > 0.0);
        assert_near(l1, first1, 1e-12);
        assert_near(l2, first2, 1e-12);
        rig_close(&r);
    }
}

static void same_training_in_orthonormal_arms(void **state)
{
    (void)state;
    hs_optim_config config = penalised();
    long before = hs_live_blocks();
    double space[STEPS], other[STEPS];
    for (int arm = 0; arm < HS_ARM_COUNT; arm++) {
        rig r;
        hs_optim_report report;
        if (!hs_arm_is_orthonormal((hs_arm)arm))
            continue;
        rig_open(&r, notation, (hs_arm)arm, &config);
        train(&r, STEPS, arm == HS_ARM_SPATIAL ? space : other, &report);
        assert_true(report.penalty_l1 > 0.0 && report.update_norm > 0.0);
        if (arm != HS_ARM_SPATIAL)
            assert_small(distance(space, other, STEPS), 1e-12, hs_arm_name((hs_arm)arm));
        rig_close(&r);
    }
    assert_true(space[STEPS - 1] < space[0]);
    assert_int_equal(hs_live_blocks(), before);
}

/* A filter with fewer (in, out) pairs than taps is probed in several turns. */
static void rotation_of_a_single_pair(void **state)
{
    (void)state;
    hs_optim_config config = penalised();
    double value[2];
    const hs_arm arms[] = {HS_ARM_SPECTRAL, HS_ARM_ROTATION};
    for (int a = 0; a < 2; a++) {
        rig r;
        double l2;
        rig_open(&r, "C1k3 T C1k5 T F3", arms[a], &config);
        assert_int_equal(hs_optim_penalty(r.optim, r.stream, &value[a], &l2), HS_OK);
        rig_close(&r);
    }
    assert_near(value[0], value[1], 1e-12);
}

/* Band filters are penalised by the half spectrum that they are. */
static void band_filters(void **state)
{
    (void)state;
    hs_optim_config config = penalised();
    rig r;
    double loss[STEPS];
    hs_optim_report report;
    rig_open(&r, "C4k3{embed=band,boundary=periodic} T F3", HS_ARM_SPECTRAL, &config);
    train(&r, STEPS, loss, &report);
    assert_true(report.penalty_l1 > 0.0 && loss[STEPS - 1] < loss[0]);
    rig_close(&r);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_penalties_in_every_arm),
        cmocka_unit_test(same_training_in_orthonormal_arms),
        cmocka_unit_test(rotation_of_a_single_pair),
        cmocka_unit_test(band_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
