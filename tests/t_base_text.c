/* t_base_text.c - numbers under a foreign locale, near words, JSON strings, growing text, the clock. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hs_base.h"
#include "hs_rng.h"

static void numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "1.", ".5", "-1e3", "+2.5E-3", "1e+0"}, *const bad[] = {"",    ".",    "e5",  "1e",    "1e+", " 1",
                                                                                                   "1 ",  "1,5",  "0x1", "inf",   "nan", "1e999",
                                                                                                   "1.2.3", "--1", "1f", "-"};
    static const double value[] = {0, 1, 0.5, -1000, 0.0025, 1};
    double x;
    for (int i = 0; i < 6; i++) {
        assert_true(hs_number_parse(good[i], &x));
        assert_true(x == value[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hs_number_parse(bad[i], &x));
}

static void numbers_read_back(void **state)
{
    (void)state;
    char text[32];
    double back;
    for (uint64_t i = 0; i < 20000; i++) {
        double x = hs_normal(hs_random(7, HS_DRAW_TEST, 0, 0, i)) * pow(10, (double)(i % 600) - 300);
        hs_number_print(x, text, sizeof text);
        assert_true(hs_number_parse(text, &back));
        assert_true(back == x);
    }
    hs_number_print(0.001, text, sizeof text);
    assert_string_equal(text, "0.001");
    hs_number_print(0.1 + 0.2, text, sizeof text);
    assert_string_equal(text, "0.30000000000000004");
}

static void a_locale_with_a_comma(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "fr_FR.utf8"};
    char text[32];
    double x = 0;
    const char *got = NULL;
    for (int i = 0; i < 5 && !got; i++)
        got = setlocale(LC_ALL, names[i]);
    hs_number_print(1.5, text, sizeof text);
    assert_string_equal(text, "1.5");
    assert_true(hs_number_parse("1.5", &x));
    assert_true(x == 1.5);
    setlocale(LC_ALL, "C");
    if (!got) {
        printf("# no locale with a decimal comma is installed: checked in C only\n");
        skip();
    }
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(hs_edit_distance("", ""), 0);
    assert_int_equal(hs_edit_distance("abc", ""), 3);
    assert_int_equal(hs_edit_distance("epoch", "epochs"), 1);
    assert_int_equal(hs_edit_distance("bacth", "batch"), 1); /* neighbours swapped */
    assert_int_equal(hs_edit_distance("kitten", "sitting"), 3);
    static const char *const names[] = {"train", "eval", "info", "config"};
    assert_string_equal(hs_nearest("tarin", names, 4), "train");
    assert_string_equal(hs_nearest("CONFIG", names, 4), "config");
    assert_null(hs_nearest("zebra", names, 4));
    assert_null(hs_nearest("", names, 4));
    assert_null(hs_nearest("train", names, 0));
}

static void json(void **state)
{
    (void)state;
    char out[64] = "x";
    assert_true(hs_json_quote(out, sizeof out, "a\"\\\n\t\x01/\xC3\xA9"));
    assert_string_equal(out, "x\"a\\\"\\\\\\n\\t\\u0001/\xC3\xA9\"");
    out[0] = '\0';
    assert_true(hs_json_quote(out, sizeof out, "\xFF\xC0\x80\xED\xA0\x80z"));
    assert_string_equal(out, "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffdz\"");
    char small[8] = "";
    assert_true(hs_json_quote(small, 6, "abc"));
    small[0] = '\0';
    assert_false(hs_json_quote(small, 5, "abc"));
    assert_string_equal(small, "");
}

static void growing_text(void **state)
{
    (void)state;
    long blocks = hs_live_blocks();
    hs_text text = {0};
    char *out = NULL;
    for (int i = 0; i < 5000; i++)
        hs_text_add(&text, "%04d", i);
    assert_int_equal(hs_text_take(&text, &out), HS_OK);
    assert_int_equal(strlen(out), 20000);
    assert_memory_equal(out + 4 * 1234, "1234", 4);
    hs_free(out);
    assert_int_equal(hs_text_take(&text, &out), HS_OK);
    assert_string_equal(out, "");
    hs_free(out);
    assert_int_equal(hs_live_blocks(), blocks);
}

static void the_clock_runs(void **state)
{
    (void)state;
    char date[32];
    int year, month, day, hour, minute, second;
    double begin = hs_now();
    while (hs_now() == begin)
        ;
    assert_true(hs_now() > begin);
    hs_date_iso(date);
    assert_int_equal(sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second), 6);
    assert_int_equal(strlen(date), 25);
    assert_int_equal(date[22], ':');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(numbers_read_back), cmocka_unit_test(a_locale_with_a_comma), cmocka_unit_test(distances),
        cmocka_unit_test(json),    cmocka_unit_test(growing_text),      cmocka_unit_test(the_clock_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
