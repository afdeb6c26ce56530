/* t_cuda_optim.c - whole optimizer steps on the (emulated) device against `ref`: every rule and moment, penalties of every kind, clipping, a rate
 * per layer, ranges of more than one piece. Updates that flow (decided on the device) and those that go through the host. A gradient that is not
 * finite changes no bit of anything. Linked with the backend of a real GPU it is t_gpu_optim, which tests/gpu.sh runs. */
#include "optim_test.h"

#include <math.h>

enum { STEPS = 6, MOST = 8000 };

static float host[MOST];
static double wide_host[MOST];

static void tables(bench *b, const hs_backend *backend, hs_arm arm, const hs_optim_config *config)
{
    bench_open(b, backend);
    bench_filter(b, "conv1", arm, 4, 3, 5, 7);
    bench_add(b, "conv1", HS_ROLE_BIAS, 1, 7);
    bench_filter(b, "conv2", arm, 3, 3, 2, 3);
    bench_add(b, "fc1", HS_ROLE_DENSE, 97, 61); /* 5917: two pieces */
    bench_ready(b, config);
    assert_true(b->target.numbers <= MOST);
}

/* Normal numbers, the same in both, those of the float slab. */
static void fill_both(bench *narrow, void *to, double *wide, size_t count, uint32_t stream)
{
    fill_normal(wide_host, count, stream);
    for (size_t i = 0; i < count; i++)
        wide[i] = host[i] = (float)wide_host[i];
    assert_int_equal(narrow->backend->memory->upload(narrow->stream, to, host, count * sizeof *host), HS_OK);
}

static void fetch(bench *b, const void *from, float *to)
{
    assert_int_equal(b->backend->memory->download(b->stream, to, from, b->target.numbers * sizeof *to), HS_OK);
}

static void near_reports(const hs_optim_report *a, const hs_optim_report *b)
{
    assert_near(b->penalty_l1, a->penalty_l1, 1e-5 * fabs(a->penalty_l1));
    assert_near(b->penalty_l2, a->penalty_l2, 1e-5 * fabs(a->penalty_l2));
    assert_near(b->grad_norm, a->grad_norm, 1e-5 * a->grad_norm);
    assert_near(b->update_norm, a->update_norm, 1e-4 * a->update_norm);
    assert_near(b->param_norm, a->param_norm, 1e-5 * a->param_norm);
    assert_true(b->lr == a->lr && b->finite && a->finite);
}

/* As in t_optim_backend: numbers reach 4, up to ten roundings a step. */
static void compare(hs_arm arm, const hs_optim_config *config, bool flows)
{
    static float p[MOST];
    const hs_backend *cuda = NULL;
    bench wide, narrow;
    assert_int_equal(hs_backend_find("cuda", &cuda), HS_OK);
    tables(&wide, &hs_backend_ref, arm, config);
    tables(&narrow, cuda, arm, config);
    assert_true(hs_optim_flows(narrow.optim) == flows);
    const size_t count = wide.target.numbers;
    fill_both(&narrow, narrow.target.slab, wide.slab, count, 1);
    for (int t = 1; t <= STEPS; t++) {
        hs_optim_report a, b;
        fill_both(&narrow, narrow.target.gradients, wide.gradients, count, 1 + (uint32_t)t);
        assert_int_equal(hs_optim_step(wide.optim, wide.stream, t, 0.01 / t, &a), HS_OK);
        assert_int_equal(hs_optim_step(narrow.optim, narrow.stream, t, 0.01 / t, t % 2 ? &b : NULL), HS_OK);
        if (t % 2)
            near_reports(&a, &b);
        fetch(&narrow, narrow.target.gradients, p); /* penalties are part of the gradient that is kept */
        for (size_t i = 0; i < count; i++)
            assert_near(p[i], wide.gradients[i], 1e-5);
    }
    fetch(&narrow, narrow.target.slab, p);
    for (size_t i = 0; i < count; i++)
        if (!(fabs(p[i] - wide.slab[i]) <= 1e-5))
            fail_msg("%s, %s: number %zu is %.9g, not %.9g", hs_arm_name(arm), hs_optim_kind_name(config->kind), i, p[i], wide.slab[i]);
    bench_close(&wide);
    bench_close(&narrow);
}

static hs_optim_config variant_of(int kind, int variant, const hs_optim_layer *layer)
{
    hs_optim_config c = plain_config((hs_optim_kind)kind);
    c.layer = layer;
    c.layers = 1;
    c.epsilon = 1e-3;
    c.moment = variant & 1 ? HS_MOMENT_MODULUS : HS_MOMENT_REAL;
    c.l1_kind = variant & 1 ? HS_PENALTY_L1_SPLIT : HS_PENALTY_L1_MODULUS;
    c.clip = variant == 1 ? 5.0 : 0.0;
    c.l1_spectral = variant < 2 ? 0.5 : 0.0;
    c.sobolev = variant == 2 ? 0.05 : 0.0;
    c.penalty_mean = variant == 3;
    c.l2 = 0.1;
    return c;
}

static void every_rule(void **state)
{
    (void)state;
    const hs_optim_layer layer = {.layer = "conv2", .lr = 0.03, .l1_spectral = -1, .l1_spatial = -1, .l2 = 0.4, .sobolev = -1};
    static const hs_arm arms[] = {HS_ARM_SPECTRAL, HS_ARM_SPATIAL, HS_ARM_HALF_RAW};
    for (int kind = HS_SGD; kind <= HS_ADAMW; kind++)
        for (int variant = 0; variant < 4; variant++) {
            const hs_optim_config c = variant_of(kind, variant, &layer);
            for (int i = 0; i < 3; i++) /* a proximal step in another basis goes through the host */
                compare(arms[i], &c, c.l1_spectral == 0 || arms[i] == HS_ARM_SPECTRAL);
        }
}

static void frozen(void **state)
{
    (void)state;
    static float before[MOST], after[MOST];
    const hs_optim_config c = {.kind = HS_SGD, .l1_kind = HS_PENALTY_L1_MODULUS, .l1_prox = true, .l1_spectral = 1, .l2 = 1,
                               .schedule = {.kind = HS_RATE_CONSTANT, .base = 0.1}};
    const hs_backend *cuda = NULL;
    bench b;
    assert_int_equal(hs_backend_find("cuda", &cuda), HS_OK);
    tables(&b, cuda, HS_ARM_SPECTRAL, &c);
    fill_both(&b, b.target.slab, wide_host, b.target.numbers, 1);
    fill_both(&b, b.target.gradients, wide_host, b.target.numbers, 2);
    fetch(&b, b.target.slab, before);
    assert_int_equal(hs_optim_step(b.optim, b.stream, 1, 0, NULL), HS_OK); /* rate 0 */
    fetch(&b, b.target.slab, after);
    assert_memory_equal(before, after, b.target.numbers * sizeof *before);
    bench_close(&b);
}

static void keeps_all(const hs_backend *cuda, int kind, hs_moment moment, float poison)
{
    static float before[3][MOST], after[3][MOST];
    hs_optim_config c = plain_config((hs_optim_kind)kind);
    hs_optim_report report;
    bench b;
    c.l1_spectral = c.l2 = 0.1;
    c.moment = moment;
    tables(&b, cuda, HS_ARM_SPECTRAL, &c);
    const int slots = hs_optim_slots(b.optim);
    fill_both(&b, b.target.slab, wide_host, b.target.numbers, 1);
    for (int t = 1; t < 3; t++) {
        fill_both(&b, b.target.gradients, wide_host, b.target.numbers, 2);
        if (t == 2) {
            host[b.target.numbers - 1] = poison;
            assert_int_equal(cuda->memory->upload(b.stream, b.target.gradients, host, b.target.numbers * sizeof *host), HS_OK);
            fetch(&b, b.target.slab, before[2]);
            for (int k = 0; k < slots; k++)
                fetch(&b, hs_optim_slot(b.optim, k), before[k]);
        }
        assert_int_equal(hs_optim_step(b.optim, b.stream, t, 0.1, &report), t == 2 ? HS_ENONFINITE : HS_OK);
        assert_true(report.finite == (t == 1));
    }
    fetch(&b, b.target.slab, after[2]);
    assert_memory_equal(before[2], after[2], b.target.numbers * sizeof **before);
    for (int k = 0; k < slots; k++) {
        fetch(&b, hs_optim_slot(b.optim, k), after[k]);
        assert_memory_equal(before[k], after[k], b.target.numbers * sizeof **before);
    }
    bench_close(&b);
}

static void not_finite(void **state)
{
    (void)state;
    const hs_backend *cuda = NULL;
    assert_int_equal(hs_backend_find("cuda", &cuda), HS_OK);
    for (int kind = HS_SGD; kind <= HS_ADAMW; kind++) {
        keeps_all(cuda, kind, HS_MOMENT_REAL, NAN);
        keeps_all(cuda, kind, HS_MOMENT_MODULUS, -INFINITY);
    }
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_rule), cmocka_unit_test(frozen), cmocka_unit_test(not_finite)};
    return cmocka_run_group_tests_name("optimizer on the device", tests, NULL, NULL);
}
