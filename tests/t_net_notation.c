/* t_net_notation.c - what the notation accepts and how it is normalised, and that every error points at its place. */
#include "net_fixture.h"

static hs_status create(const char *text, hs_net **net)
{
    hs_net_options options;
    hs_net_options_default(&options);
    return hs_net_create(text, &options, (hs_shape){28, 28, 3}, 10, net);
}

static void test_good(void **state)
{
    static const struct {
        const char *text, *normalised;
    } cases[] = {
        {"F10", "F10"},
        {"  C16k5   R\tSP14\n F10 ", "C16k5 R SP14 F10"},
        {"C16k3x5 T MR ST F10", "C16k3x5 T MR ST F10"},
        {"C4k3 { param = spatial , bias = no } R F10", "C4k3{param=spatial,bias=no} R F10"},
        {"C4k3{param=half-raw,embed=band,boundary=periodic,stride=2,engine=direct,flip=yes,bias=yes} GA F10",
         "C4k3{param=half-raw,embed=band,boundary=periodic,stride=2,engine=direct,flip=yes,bias=yes} GA F10"},
        {"SP27x20 SP*0.85 SP7{norm=mean} F10", "SP27x20 SP*0.85 SP7{norm=mean} F10"},
        {"FD FD{alpha=0.3,beta=.15,draw=sample} F10", "FD FD{alpha=0.3,beta=.15,draw=sample} F10"},
        {"M3s2 A2s2 M2 GA F10", "M3s2 A2s2 M2 GA F10"},
        {"F1024 D0.5 BN F10", "F1024 D0.5 BN F10"},
        {"( C8k3 R ) *3 F10", NULL},
        {"( C8k3 R )*3 F10", "(C8k3 R)*3 F10"},
        {"C8k3[C8k3 R]F10", "C8k3 [C8k3 R] F10"},
        {"C8k3 ([ (C8k3 R)*2 BN] SP*0.9)*2 F10", "C8k3 ([(C8k3 R)*2 BN] SP*0.9)*2 F10"},
        {"C8k3 R C10k1 GA", "C8k3 R C10k1 GA"},
        {"SP1 C10k1", "SP1 C10k1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hs_net *net = NULL, *again = NULL;
        if (!cases[i].normalised) { /* white space before * is not part of the notation */
            assert_int_equal(create(cases[i].text, &net), HS_EUSAGE);
            continue;
        }
        OK(create(cases[i].text, &net));
        assert_string_equal(hs_net_notation(net), cases[i].normalised);
        OK(create(hs_net_notation(net), &again)); /* what files record reads back as the same network */
        assert_string_equal(hs_net_notation(again), cases[i].normalised);
        assert_int_equal(hs_net_rows(net), hs_net_rows(again));
        assert_int_equal(hs_net_params_count(net), hs_net_params_count(again));
        hs_net_destroy(&net);
        hs_net_destroy(&again);
    }
}

/* The whole message: reason, text, caret. */
static void test_messages(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"C16k5 R SP40", "network: the pooling size 40 x 40 is larger than its map, 28 x 28\n"
                         "  C16k5 R SP40\n"
                         "          ^^^^"},
        {"C16 R F10", "network: the kernel size is missing; write for example C16k3 or C16k3x5\n"
                      "  C16 R F10\n"
                      "  ^^^"},
        {"Ck3", "network: the number of filters is missing; write for example C96k3\n"
                "  Ck3\n"
                "  ^^"},
        {"C16k3 XR", "network: unknown layer 'XR'; did you mean 'MR'? (layers: C R T MR ST SP FD M A GA F D BN)\n"
                     "  C16k3 XR\n"
                     "        ^^"},
        {"C16k3R", "network: unexpected 'R' after C16k3; an example of this layer is C96k3, and layers are separated by spaces\n"
                   "  C16k3R\n"
                   "       ^"},
        {"C16k3 R SP14", "network: the network ends in 14 x 14 x 16, but must give 10 numbers, one per class; append F10 (or a 1x1 convolution and GA)\n"
                         "  C16k3 R SP14\n"
                         "          ^^^^"},
        {"C10k3", "network: the network ends in 28 x 28 x 10, but must give 10 numbers, one per class; append GA or F10\n"
                  "  C10k3\n"
                  "  ^^^^^"},
        {"C3k3 M40", "network: the 40 x 40 window is larger than its map, 28 x 28\n"
                     "  C3k3 M40\n"
                     "       ^^^"},
        {"C4k3 [R C8k3] F10", "network: a residual block adds its input, 28 x 28 x 4, to its output, 28 x 28 x 8: the shapes must agree\n"
                              "  C4k3 [R C8k3] F10\n"
                              "       ^^^^^^^^"},
        {"C3k3{parm=spatial}", "network: unknown option 'parm'; did you mean 'param'? (one of param, embed, boundary, stride, bias, engine, flip)\n"
                               "  C3k3{parm=spatial}\n"
                               "       ^^^^"},
        {"C3k3{param=spectra}",
         "network: unknown value 'spectra'; did you mean 'spectral'? (one of spatial, spectral, half-raw, full-complex, rotation, spectral3d)\n"
         "  C3k3{param=spectra}\n"
         "             ^^^^^^^"},
        {"C3k3{embed=band} F10", "network: embed = band makes filters as large as the map, which needs boundary = periodic\n"
                                 "  C3k3{embed=band} F10\n"
                                 "  ^^^^^^^^^^^^^^^^"},
        {"C3k3 (R C3k3 F10", "network: this bracket is not closed by ')'\n"
                             "  C3k3 (R C3k3 F10\n"
                             "       ^"},
        {"", "network: the network is empty; for a start try C16k5 R SP14 F128 R F10\n"
             "  \n"
             "  ^"},
        {"C3k3\t\nQ", "network: unknown layer 'Q' (layers: C R T MR ST SP FD M A GA F D BN)\n"
                      "  C3k3  Q\n"
                      "        ^"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hs_net *net = NULL;
        assert_int_equal(create(cases[i].text, &net), HS_EUSAGE);
        assert_null(net);
        assert_string_equal(hs_fail_text(), cases[i].message);
    }
}

/* More of what is wrong: that the status is right, the reason mentioned, and the caret under the given column. */
static void test_bad(void **state)
{
    static const struct {
        const char *text, *reason;
        size_t column;
    } cases[] = {
        {"C3k3 r F10", "did you mean 'R'", 5}, {"C16k", "kernel size is missing", 0}, {"C0k3 F10", "must be 1 .. 65536", 1},
        {"C16k3x F10", "width is missing", 0}, {"C16k300 F10", "kernel size must be", 4}, {"CONV16", "did you mean 'C'", 0},
        {"C3k3)", "closes nothing", 4}, {"(C3k3]*2", "where ')' is expected", 5}, {"(C3k3)4", "how often to repeat", 5},
        {"(C3k3)*0 F10", "number of repeats", 7}, {"(C3k3)* F10", "number of repeats is missing", 5}, {"()*3", "nothing to repeat", 0},
        {"C3k3 [] F10", "empty residual block", 5}, {"F10 D1.0", "must be below 1", 5}, {"F10 D", "share to drop is missing", 4},
        {"R{x=1} F10", "takes no options", 1}, {"C3k3{param} F10", "options are key=value", 5}, {"C3k3{stride=0} F10", "stride must be", 12},
        {"C3k3{stride=2,stride=2} F10", "said twice", 14}, {"C3k3{bias=maybe} F10", "unknown value 'maybe'", 10},
        {"C3k3{param=spatial F10", "not closed by }", 4}, {"SP*1.5 F10", "factor must be", 3}, {"SP*0.01 F10", "nothing of the 28 x 28 map", 0},
        {"SP0 F10", "size must be", 2}, {"SP F10", "size is missing", 0}, {"SP14x F10", "width is missing", 0}, {"SP7{norm=max} F10", "unitary, mean", 9},
        {"FD{alpha=2} F10", "alpha must be a number", 9}, {"FD{draw=all} F10", "batch, sample, rank", 8}, {"M F10", "window's side is missing", 0},
        {"M16 F10", "at most 15 x 15", 0}, {"M3s0 F10", "stride must be", 3}, {"F F10", "number of outputs is missing", 0}, {"F9", "append F10", 0},
        {"C3k3, F10", "unexpected ','", 4}, {"3C F10", "begins with a capital", 0}, {"F1000000 F1000000 F10", "1e+12 parameters", 9},
        {"C3k31{boundary=periodic} F10", "larger than its periodic 28 x 28 map", 0},
        {"C3k129{param=spectral} F10", "a matrix of 16641 x 16641 numbers", 0},
        {"C3k33{param=rotation} F10", "a matrix of 1089 x 1089 numbers, at most 1024 a side", 0},
        {"C2000k1 C3k3{param=spectral3d} F10", "a matrix of 18000 x 18000 numbers", 8},
        {"C3k3{param=spectral3d,embed=band,boundary=periodic} F10", "embed = space only", 0}, {"((((((((((((((((((R", "nested deeper", 16},
        {"(R)*1000 ((R)*1000)*1000 F10", "more than 1999 layers", 11},
        {"depe", "did you mean 'deep'", 0}, {"deep j=3", "no such setting", 5}, {"deep k", "a value is missing", 5}, {"deep k=0", "k must be", 7},
        {"seed-mnist k=3", "has no settings", 11}, {"paper-sp gamma=2", "gamma must be", 15}, {"paper-sp M=", "M must be", 11},
        {"generic k=3 x", "no such setting", 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hs_net *net = NULL;
        if (create(cases[i].text, &net) != HS_EUSAGE)
            fail_msg("'%s' was accepted or failed otherwise", cases[i].text);
        const char *text = hs_fail_text(), *last = strrchr(text, '\n');
        assert_non_null(last);
        if (!strstr(text, cases[i].reason) || (size_t)(strchr(last, '^') - last - 3) != cases[i].column)
            fail_msg("'%s' should say '%s' under column %zu, but:\n%s", cases[i].text, cases[i].reason, cases[i].column, text);
    }
}

/* A long text is shown around the place, and the caret still stands under it. */
static void test_long(void **state)
{
    char text[2048] = "";
    hs_net *net = NULL;
    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(text, "C3k3 ");
    strcat(text, "QQ ");
    for (int i = 0; i < 100; i++)
        strcat(text, "R ");
    assert_int_equal(create(text, &net), HS_EUSAGE);
    const char *second = strchr(hs_fail_text(), '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_true((size_t)(third - second) < 110);
    assert_memory_equal(second + (strchr(third, '^') - third), "QQ ", 3);
    assert_string_equal(strchr(third, '^'), "^^");
}

/* Garbage ends in an error, not in a crash: texts of letters that the notation uses, changed at random. */
static void test_noise(void **state)
{
    static const char letters[] = "CRTMSPFDGABNkxs0123456789.*()[]{}=, paramstridebias";
    (void)state;
    for (uint32_t i = 0; i < 3000; i++) {
        char text[40];
        size_t length = 1 + test_draw(100, i, 38);
        for (size_t j = 0; j < length; j++)
            text[j] = letters[test_draw(101, i * 64 + j, sizeof letters - 1)];
        text[length] = '\0';
        hs_net *net = NULL;
        hs_status st = create(text, &net);
        assert_true(st == HS_EUSAGE || st == HS_OK);
        hs_net_destroy(&net);
    }
    assert_int_equal(hs_live_blocks(), 0);
}

static void test_names(void **state)
{
    static const char *const names[] = {"conv1", "bn1", "relu1", "pool1", "conv2", "add1", "pool2", "tanh1", "fc1", "drop1", "fc2"};
    hs_net *net = NULL;
    hs_layer_row row;
    int count = 0;
    (void)state;
    OK(create("C4k3 BN R M2 [C4k3] SP*0.5 T F8 D0.5 F10", &net));
    assert_int_equal(hs_net_rows(net), sizeof names / sizeof names[0]);
    for (int i = 0; i < hs_net_rows(net); i++) {
        hs_net_row(net, i, &row);
        assert_string_equal(row.name, names[i]);
    }
    const hs_param *p = hs_net_params(net, &count);
    assert_int_equal(count, 10);
    assert_string_equal(p[0].layer, "conv1");
    assert_string_equal(p[0].name, "weight");
    assert_string_equal(p[2].name, "gamma");
    assert_string_equal(p[9].layer, "fc2");
    assert_string_equal(p[9].name, "bias");
    p = hs_net_statistics(net, &count);
    assert_int_equal(count, 2);
    assert_string_equal(p[0].name, "mean");
    assert_string_equal(p[1].name, "var");
    assert_true(hs_net_has_batch_statistics(net));
    hs_net_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_messages), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_long), cmocka_unit_test(test_noise),    cmocka_unit_test(test_names),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
