/* t_net_fuse.c - rectifiers that join a neighbour: where they do, that numbers stay bit by bit what they are apart, and what other ranks are told. */
#include "../src/net/net.h"
#include "net_fixture.h"

static const hs_shape map = {9, 8, 3};

static void create(fixture *f, const char *device, const char *text, hs_boundary boundary, bool apart)
{
    hs_net_options options;
    hs_net_options_default(&options);
    options.boundary = boundary;
    options.init_bias = 0.05;
    fixture_create(f, backend_named(device), text, &options, map, 3, 5);
    hs_net_want_input_gradient(f->net, true);
    f->net->keep_apart = apart;
}

/* ---- where ---------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *cpu;
} wheres[] = {
    {"C4k3 R C5k3 T R F3", "C4k3 R, C5k3, T, R, F3, "},
    {"C4k3 R SP5 R C5k3 R GA F3", "C4k3, R SP5 R, C5k3 R, GA, F3, "}, /* into the pooling that alone reads it */
    {"C4k3 BN R SP5 F3", "C4k3, BN, R SP5, F3, "},
    {"C4k3 R R F3", "C4k3 R, R, F3, "},
    {"SP6 R SP5 R F3", "SP6, R SP5 R, F3, "},
    {"R SP6 F3", "R SP6, F3, "},                                      /* the input itself is not rectified */
    {"C4k3 R [C4k3 R C4k3] R F3", "C4k3 R, C4k3 R, C4k3, ], R, F3, "}, /* two read the first one */
    {"C4k3 [R C4k3] F3", "C4k3, R, C4k3, ], F3, "},                    /* two read what it would join */
    {"C5k3 GA C3k1 R", "C5k3, GA, C3k1 R, "},
};

static void test_where(void **state)
{
    (void)state;
    char text[512];
    for (size_t i = 0; i < sizeof wheres / sizeof *wheres; i++) {
        fixture f;
        create(&f, "cpu", wheres[i].text, HS_BOUNDARY_ZERO, false);
        fixture_plan(&f);
        fixture_rows(f.net, text);
        assert_string_equal(text, wheres[i].cpu);
        assert_true(fixture_loss(&f) > 0);
        fixture_destroy(&f);
    }
}

static void test_ref_keeps_them_apart(void **state)
{
    (void)state;
    char text[512];
    fixture f;
    create(&f, "ref", "C4k3 R SP5 R F3", HS_BOUNDARY_PERIODIC, false);
    fixture_plan(&f);
    fixture_rows(f.net, text);
    assert_string_equal(text, "C4k3, R, SP5, R, F3, ");
    fixture_destroy(&f);
}

/* ---- numbers --------------------------------------------------------------------------------------------------------------------------- */

/* Logits, gradients of parameters and of the input, one behind the other. */
static double *numbers_of(fixture *f, size_t *count)
{
    const size_t logits = (size_t)f->n * (size_t)f->classes, params = hs_net_params_count(f->net), inputs = (size_t)f->n * hs_shape_count(map);
    double *all = NULL;
    *count = logits + params + inputs;
    OK(hs_calloc(*count, sizeof *all, "numbers", &all));
    fixture_plan(f);
    fixture_loss(f);
    OK(hs_net_backward(f->net, f->stream, &f->pass));
    fixture_read(f, hs_net_logits(f->net), logits, all);
    fixture_read(f, hs_net_gradients(f->net), params, all + logits);
    OK(hs_net_input_gradient(f->net, f->stream, f->n, all + logits + params));
    return all;
}

/* Neither the order of any sum nor a domain differs: bits stay. */
static void test_same_bits(void **state)
{
    (void)state;
    const char *const texts[] = {"C17k3{engine=direct} R C5k3{engine=direct} R F3", "C17k3{engine=fft} R C5k3{engine=fft} R F3",
                                 "C4k3 R SP6 R C5k3{stride=2} R F3", "C4k3 BN R SP*0.7 F3", "C4k3 R [C4k3 R C4k3] R F3", "R SP6 R C3k1 GA"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fixture a, b;
        size_t count = 0, other = 0;
        create(&a, "cpu", texts[i], HS_BOUNDARY_ZERO, false);
        create(&b, "cpu", texts[i], HS_BOUNDARY_ZERO, true);
        double *x = numbers_of(&a, &count), *y = numbers_of(&b, &other);
        assert_true(hs_net_rows(a.net) < hs_net_rows(b.net) && count == other);
        for (size_t j = 0; j < count; j++)
            if (x[j] != y[j])
                fail_msg("%s: number %zu of %zu is %.9g joined, %.9g apart", texts[i], j, count, x[j], y[j]);
        hs_free(x), hs_free(y);
        fixture_destroy(&a), fixture_destroy(&b);
    }
}

static void test_evaluation(void **state)
{
    (void)state;
    fixture f;
    hs_loss_sums sums;
    create(&f, "cpu", "C4k3 R SP5 R F3", HS_BOUNDARY_PERIODIC, false);
    hs_plan_options options = {.capacity = f.n, .mode = "estimate"};
    OK(hs_net_plan(f.net, f.device, f.stream, &options));
    OK(hs_net_init(f.net, f.stream));
    f.pass.training = false;
    OK(hs_net_forward(f.net, f.stream, &f.pass, f.x));
    OK(hs_net_loss(f.net, f.stream, &f.pass, f.labels, &sums));
    assert_true(sums.loss > 0);
    fixture_destroy(&f);
}

/* ---- ranks ----------------------------------------------------------------------------------------------------------------------------- */

static void test_decisions(void **state)
{
    (void)state;
    fixture f, g;
    hs_plan_options options = {.capacity = 5, .training = true, .mode = "estimate"};
    create(&f, "cpu", "C4k3{engine=fft} R C4k3{engine=fft} R SP5 R F3", HS_BOUNDARY_ZERO, false);
    fixture_plan(&f);
    assert_string_equal(hs_net_decisions(f.net), "conv1=fft+relu:space>space;conv2=fft:space>space;pool1=relu+-+relu:space>space;");
    create(&g, "cpu", "C4k3{engine=fft} R C4k3{engine=fft} R SP5 R F3", HS_BOUNDARY_ZERO, false);
    OK(hs_net_force_decisions(g.net, hs_net_decisions(f.net)));
    fixture_plan(&g);
    assert_string_equal(hs_net_decisions(g.net), hs_net_decisions(f.net));
    fixture_destroy(&g);
    create(&g, "ref", "C4k3{engine=fft} R C4k3{engine=fft} R SP5 R F3", HS_BOUNDARY_ZERO, false);
    OK(hs_net_force_decisions(g.net, hs_net_decisions(f.net)));
    assert_int_equal(hs_net_plan(g.net, g.device, g.stream, &options), HS_EDESYNC);
    fixture_destroy(&g), fixture_destroy(&f);
}

/* Two periodic convolutions keep the spectrum through a rectifier, and through pooling with one on either side. */
static void test_resident(void **state)
{
    (void)state;
    fixture f;
    create(&f, "cpu", "C32k3{engine=fft} R C32k3{engine=fft} R SP6 R C32k3{engine=fft} GA F3", HS_BOUNDARY_PERIODIC, false);
    OK(hs_net_force_decisions(f.net, "conv1=fft+relu:space>spectrum;conv2=fft:spectrum>spectrum;pool1=relu+-+relu:spectrum>spectrum;"
                                     "conv3=fft:spectrum>space;"));
    fixture_plan(&f);
    assert_int_equal(hs_net_rows(f.net), 6);
    assert_true(fixture_loss(&f) > 0);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),      cmocka_unit_test(test_ref_keeps_them_apart), cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_evaluation), cmocka_unit_test(test_decisions),            cmocka_unit_test(test_resident),
    };
    if (!backend_named("cpu"))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
