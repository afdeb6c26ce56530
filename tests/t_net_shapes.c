/* t_net_shapes.c - output shapes, the parameter table, floating-point operations, and what flattening means. */
#include "net_fixture.h"

static hs_net *make(const char *text, hs_shape in)
{
    hs_net *net = NULL;
    hs_net_options options;
    hs_net_options_default(&options);
    OK(hs_net_create(text, &options, in, 10, &net));
    return net;
}

static void test_shapes(void **state)
{
    static const struct {
        const char *layer;
        hs_shape in, out;
    } cases[] = {
        {"C7k3", {9, 6, 2}, {9, 6, 7}},
        {"C7k4x1{stride=2}", {9, 6, 2}, {5, 3, 7}},
        {"C7k5{stride=4}", {9, 6, 2}, {3, 2, 7}},
        {"C7k9", {3, 3, 1}, {3, 3, 7}},
        {"M3s2", {32, 31, 3}, {16, 16, 3}},
        {"M3s2", {15, 8, 3}, {8, 4, 3}},
        {"M2", {15, 8, 3}, {8, 4, 3}},
        {"A2s1", {15, 8, 3}, {15, 8, 3}},
        {"GA", {15, 8, 3}, {1, 1, 3}},
        {"SP14", {28, 20, 3}, {14, 14, 3}},
        {"SP27x20", {28, 20, 3}, {27, 20, 3}},
        {"SP*0.85", {20, 27, 3}, {17, 22, 3}}, /* 0.85 * 20 is a little below 17 in binary */
        {"SP*0.29", {100, 100, 1}, {29, 29, 1}},
        {"SP*1", {20, 27, 3}, {20, 27, 3}},
        {"F12", {15, 8, 3}, {1, 1, 12}},
        {"R", {15, 8, 3}, {15, 8, 3}},
        {"FD", {15, 8, 3}, {15, 8, 3}},
        {"BN", {15, 8, 3}, {15, 8, 3}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        hs_layer_row row;
        snprintf(text, sizeof text, "%s F10", cases[i].layer);
        hs_net *net = make(text, cases[i].in);
        hs_net_row(net, 0, &row);
        if (row.out.h != cases[i].out.h || row.out.w != cases[i].out.w || row.out.c != cases[i].out.c)
            fail_msg("%s of %d x %d x %d gives %d x %d x %d", cases[i].layer, cases[i].in.h, cases[i].in.w, cases[i].in.c, row.out.h, row.out.w, row.out.c);
        hs_net_destroy(&net);
    }
}

/* Layers in network order, one behind the other without gaps. */
static void test_table(void **state)
{
    hs_net *net = make("C4k3{param=spatial} BN R C5k2x3{param=full-complex,bias=no} MR C6k3{param=spectral3d} F10", (hs_shape){6, 6, 3});
    int count = 0;
    size_t at = 0;
    const hs_param *p = hs_net_params(net, &count);
    (void)state;
    assert_int_equal(count, 10);
    for (int i = 0; i < count; i++) {
        assert_int_equal(p[i].offset, at);
        at += p[i].count;
    }
    assert_int_equal(at, hs_net_params_count(net));
    assert_int_equal(p[0].count, 9 * 3 * 4);
    assert_int_equal(p[0].arm, HS_ARM_SPATIAL);
    assert_int_equal(p[4].coords, 12); /* conv2.weight: real and imaginary parts of 2 x 3 bins */
    assert_int_equal(p[4].count, 12 * 4 * 5);
    assert_int_equal(p[4].kh, 2);
    assert_int_equal(p[4].kw, 3);
    assert_int_equal(p[5].role, HS_ROLE_THRESHOLD);
    assert_int_equal(p[5].count, 5);
    assert_int_equal(p[6].coords, 9);
    assert_int_equal(p[7].role, HS_ROLE_BIAS);
    assert_int_equal(p[8].in, 6 * 6 * 6);
    assert_int_equal(p[8].count, 216 * 10);
    hs_net_destroy(&net);
}

static void test_table_ends(void **state)
{
    hs_net *net = make("BN F10", (hs_shape){1, 1, 4});
    int count = 0;
    const hs_param *s = hs_net_statistics(net, &count);
    (void)state;
    assert_int_equal(count, 2);
    assert_int_equal(s[1].offset, 4);
    assert_int_equal(hs_net_statistics_count(net), 8);
    hs_net_destroy(&net);
}

/* Forward and weights for the first layer, and the input's gradient too behind it: 2 and 3 times 2 multiply-adds. */
static void test_flop(void **state)
{
    hs_net *net = make("C4k3 C8k5{stride=2} F10", (hs_shape){8, 6, 3});
    hs_layer_row row;
    (void)state;
    hs_net_row(net, 0, &row);
    assert_int_equal((long)(row.gflop * 1e9 + 0.5), (long)(2 * 2.0 * 8 * 6 * 9 * 3 * 4));
    hs_net_row(net, 1, &row);
    assert_int_equal((long)(row.gflop * 1e9 + 0.5), (long)(3 * 2.0 * 4 * 3 * 25 * 4 * 8));
    hs_net_row(net, 2, &row);
    assert_int_equal((long)(row.gflop * 1e9 + 0.5), (long)(3 * 2.0 * 96 * 10));
    hs_net_destroy(&net);
}

/* F sees H, W, C order: with a single weight, logit 1 is that number of the sample. */
static void test_flatten(void **state)
{
    fixture f;
    hs_net_options options;
    hs_net_options_default(&options);
    (void)state;
    fixture_create(&f, backend_named("ref"), "F2", &options, (hs_shape){2, 3, 4}, 2, 2);
    fixture_plan(&f);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 3; x++)
            for (int c = 0; c < 4; c++) {
                double *w = hs_net_slab(f.net);
                size_t element = (size_t)((y * 3 + x) * 4 + c);
                memset(w, 0, hs_net_params_count(f.net) * sizeof *w);
                w[element * 2 + 1] = 1; /* [in][out] */
                fixture_loss(&f);
                const double *logits = hs_net_logits(f.net);
                assert_true(logits[0] == 0 && logits[1] == f.x[element] && logits[3] == f.x[24 + element]);
            }
    fixture_destroy(&f);
}

/* Frequency dropout: cut-offs within floor(c_m H) .. H with c_m = alpha + (m/M)(beta - alpha), every value met, one draw per step and layer, and
 * none at test time. */
static void test_cutoffs(void **state)
{
    fixture f;
    hs_net_options options;
    int seen[2][13] = {{0}}, cut[4];
    hs_net_options_default(&options);
    (void)state;
    fixture_create(&f, backend_named("ref"), "FD FD{alpha=0.6,beta=0.4} F2", &options, (hs_shape){12, 12, 1}, 2, 2);
    fixture_plan(&f);
    assert_int_equal(hs_net_cutoffs(f.net, cut, 4), 2);
    for (f.pass.step = 0; f.pass.step < 300; f.pass.step++) {
        fixture_loss(&f);
        assert_int_equal(hs_net_cutoffs(f.net, cut, 4), 2);
        for (int m = 0; m < 2; m++) {
            assert_in_range(cut[m], 1, 12);
            seen[m][cut[m]]++;
        }
    }
    for (int r = 1; r <= 12; r++) {
        assert_int_equal(seen[0][r] > 0, r >= 2); /* c_1 = 0.3 - 0.15/2 = 0.225, floor(2.7) = 2 */
        assert_int_equal(seen[1][r] > 0, r >= 4); /* c_2 = 0.4, floor(4.8) = 4 */
    }
    double trained = fixture_loss(&f), plain;
    f.pass.training = false;
    plain = fixture_loss(&f);
    for (f.pass.step = 0; f.pass.step < 5; f.pass.step++)
        assert_true(fixture_loss(&f) == plain);
    assert_true(trained != plain || cut[0] == 12);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_table),   cmocka_unit_test(test_table_ends),
        cmocka_unit_test(test_flop),   cmocka_unit_test(test_flatten), cmocka_unit_test(test_cutoffs),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
