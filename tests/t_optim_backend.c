/* t_optim_backend.c - whole steps (penalties in their frames, clipping, every rule and moment, rates per layer) of each float backend whose memory
 * the host can read, against `ref`, on shapes that do not divide by any vector width. */
#include "optim_test.h"

enum { STEPS = 8, IN = 13, OUT = 11 };

static void tables(bench *b, const hs_backend *backend, hs_arm arm, const hs_optim_config *config)
{
    bench_open(b, backend);
    bench_filter(b, "conv1", arm, 4, 3, IN, OUT);
    bench_add(b, "conv1", HS_ROLE_BIAS, 1, OUT);
    bench_filter(b, "conv2", arm, 3, 3, 2, 3);
    bench_add(b, "fc1", HS_ROLE_DENSE, 37, 29);
    bench_ready(b, config);
}

/* Both slabs get the same numbers: those of the float one. */
static void fill_both(void *narrow, double *wide, size_t count, uint32_t stream)
{
    float *f = narrow;
    fill_normal(wide, count, stream);
    for (size_t i = 0; i < count; i++)
        wide[i] = f[i] = (float)wide[i];
}

/* Numbers reach 4, so that one rounding is 1.2e-7. A step rounds in up to ten places (update, two thresholds, four products of 12 terms): 8 steps
 * can add up to 1e-5. Thresholds are continuous maps and add nothing of their own. */
static void compare(const hs_backend *backend, hs_arm arm, const hs_optim_config *config)
{
    bench wide, narrow;
    tables(&wide, &hs_backend_ref, arm, config);
    tables(&narrow, backend, arm, config);
    size_t count = wide.target.numbers;
    fill_both(narrow.target.slab, wide.slab, count, 1);
    for (int t = 1; t <= STEPS; t++) {
        hs_optim_report a, b;
        fill_both(narrow.target.gradients, wide.gradients, count, 1 + (uint32_t)t);
        assert_int_equal(hs_optim_step(wide.optim, wide.stream, t, 0.01, &a), HS_OK);
        assert_int_equal(hs_optim_step(narrow.optim, narrow.stream, t, 0.01, t % 2 ? &b : NULL), HS_OK);
        if (t % 2 == 0)
            continue;
        assert_near(b.penalty_l1, a.penalty_l1, 1e-5 * fabs(a.penalty_l1));
        assert_near(b.penalty_l2, a.penalty_l2, 1e-5 * fabs(a.penalty_l2));
        assert_near(b.grad_norm, a.grad_norm, 1e-5 * a.grad_norm);
        assert_near(b.update_norm, a.update_norm, 1e-4 * a.update_norm);
        assert_near(b.param_norm, a.param_norm, 1e-5 * a.param_norm);
    }
    backend->device->stream_sync(narrow.stream);
    const float *p = narrow.target.slab;
    for (size_t i = 0; i < count; i++)
        if (!(fabs(p[i] - wide.slab[i]) <= 1e-5))
            fail_msg("%s, %s, %s: number %zu is %.9g, not %.9g", backend->name, hs_arm_name(arm), hs_optim_kind_name(config->kind), i, p[i],
                     wide.slab[i]);
    bench_close(&wide);
    bench_close(&narrow);
}

static hs_optim_layer one_rate(void)
{
    return (hs_optim_layer){.layer = "conv2", .lr = 0.03, .l1_spectral = -1, .l1_spatial = -1, .l2 = -1, .sobolev = -1};
}

static void every_case(const hs_backend *backend)
{
    hs_optim_layer layer = one_rate();
    for (int kind = HS_SGD; kind <= HS_ADAMW; kind++)
        for (int arm = 0; arm < HS_ARM_COUNT; arm++)
            for (int variant = 0; variant < 4; variant++) {
                hs_optim_config c = plain_config((hs_optim_kind)kind);
                c.layer = &layer;
                c.layers = 1;
                c.epsilon = 1e-3; /* so that Adam's quotient is as well conditioned as its arguments */
                c.moment = variant & 1 ? HS_MOMENT_MODULUS : HS_MOMENT_REAL;
                c.l1_kind = variant & 1 ? HS_PENALTY_L1_SPLIT : HS_PENALTY_L1_MODULUS;
                c.l1_prox = variant < 2;
                c.clip = variant == 1 ? 5.0 : 0.0;
                c.l1_spectral = variant < 2 ? 0.5 : 0.0; /* a subgradient jumps at zero: no bound holds across it */
                c.l1_spatial = variant < 2 ? 0.2 : 0.0;
                c.sobolev = 0.02;
                c.l2 = 0.1;
                compare(backend, (hs_arm)arm, &c);
            }
}

static void listed_backends(void **state)
{
    (void)state;
    for (const hs_backend *const *b = hs_backends(); *b; b++) {
        bool fits = (*b)->real == HS_F32 && (*b)->memory->host_visible;
        printf("# %s: %s\n", (*b)->name, fits ? "compared with ref" : "passed over (not float in host memory)");
        if (fits)
            every_case(*b);
    }
}

static void reference_in_float(void **state)
{
    (void)state;
    every_case(&hs_backend_ref32);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_in_float), cmocka_unit_test(listed_backends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
