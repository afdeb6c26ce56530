/* t_net_presets.c - the published networks: their text, map sizes and numbers of parameters. The counts were taken from PyTorch's nn.Module
 * of the same networks (Conv2d, Linear, with biases), 32 x 32 x 3 samples and 10 classes unless said. */
#include "net_fixture.h"

static void create(const char *text, hs_shape in, int classes, hs_net **net)
{
    hs_net_options options;
    hs_net_options_default(&options);
    OK(hs_net_create(text, &options, in, classes, net));
}

static void test_text(void **state)
{
    static const struct {
        const char *preset, *text;
    } cases[] = {
        {"paper-sp M=2 k=5 gamma=0.7", "C128k5 R SP*0.7 R C160k5 R SP*0.7 R C160k1 R C10k1 GA"},
        {" paper-sp   M=1 ", "C128k3 R SP*0.85 R C128k1 R C10k1 GA"},
        {"deep k=3", "C96k3 R C96k3 R M3s2 C192k3 R C192k3 R C192k3 R M3s2 F1024 R F512 R F10"},
        {"deep-conv", "C96k3 R C96k3 R M3s2 C192k3 R C192k3 R C192k3 R M3s2 C192k1 R C10k1 GA"},
        {"generic", "C96k3 R M3s2 C192k3 R M3s2 F1024 R F512 R F10"},
        {"seed-mnist", "C15k10 R M2s2 C1k6 R M2s2 F1024 R F10"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hs_net *net = NULL;
        char *text = NULL;
        OK(hs_net_expand(cases[i].preset, 10, &text));
        assert_string_equal(text, cases[i].text);
        hs_free(text);
        create(cases[i].preset, (hs_shape){32, 32, 3}, 10, &net);
        assert_string_equal(hs_net_notation(net), cases[i].text);
        hs_net_destroy(&net);
    }
}

static void test_counts(void **state)
{
    static const struct {
        const char *preset;
        size_t params;
    } cases[] = {
        {"deep k=3", 14029610},
        {"deep k=5", 15656234},
        {"generic k=3", 13282634},
        {"generic k=5", 13582154},
        {"paper-sp k=3", 2118346},
        {"paper-sp k=5", 5728970},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hs_net *net = NULL;
        create(cases[i].preset, (hs_shape){32, 32, 3}, 10, &net);
        if (hs_net_params_count(net) != cases[i].params)
            fail_msg("%s: %zu parameters, not %zu", cases[i].preset, hs_net_params_count(net), cases[i].params);
        hs_net_destroy(&net);
    }
}

/* 27 22 18 15 12 10 8 6 from 32 (Rippel, Snoek and Adams 2015, section 5.1). */
static void test_paper_maps(void **state)
{
    static const int sides[] = {27, 22, 18, 15, 12, 10, 8, 6}, filters[] = {128, 160, 192, 224, 256, 288, 288, 288};
    hs_net *net = NULL;
    hs_layer_row row;
    (void)state;
    create("paper-sp M=8", (hs_shape){32, 32, 3}, 100, &net);
    for (int m = 0; m < 8; m++) {
        hs_net_row(net, 4 * m + 2, &row);
        assert_int_equal(row.out.h, sides[m]);
        assert_int_equal(row.out.w, sides[m]);
        assert_int_equal(row.out.c, filters[m]);
    }
    hs_net_row(net, hs_net_rows(net) - 1, &row);
    assert_int_equal(row.out.c, 100);
    hs_net_destroy(&net);
}

/* In MNIST's shape, 28 -> 14 -> 7: F1024 sees 49 numbers. */
static void test_seed_mnist(void **state)
{
    hs_net *net = NULL;
    (void)state;
    create("seed-mnist", (hs_shape){28, 28, 1}, 10, &net);
    assert_int_equal(hs_net_params_count(net), (100 * 15 + 15) + (36 * 15 + 1) + (49 * 1024 + 1024) + (1024 * 10 + 10));
    hs_net_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text), cmocka_unit_test(test_counts), cmocka_unit_test(test_paper_maps), cmocka_unit_test(test_seed_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
