/* t_base_config.c - configuration: what is read, what is refused and in which words, and that what is printed reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hs_base.h"
#include "hs_config.h"

static void defaults_stand(void **state)
{
    (void)state;
    hs_config c;
    hs_config_init(&c);
    assert_string_equal(c.data, "fashion-mnist");
    assert_int_equal(c.batch, 128);
    assert_true(c.lr == 1e-3);
    assert_int_equal(c.eval_every, HS_EPOCH);
    assert_int_equal(c.log_every, 50);
    assert_true(c.prefetch);
    assert_false(c.reproducible);
    assert_int_equal(c.param, HS_ARM_SPECTRAL);
    assert_int_equal(c.layers, 0);
    assert_string_equal(c.origin[0], "default");
    assert_int_equal(hs_config_check(&c), HS_OK);
}

static void a_file_is_read(void **state)
{
    (void)state;
    hs_config c;
    hs_config_init(&c);
    const char *text = "\xEF\xBB\xBF# a comment\r\n"
                       "net = C8k3 R GA F10   # behind white space\r\n"
                       "\n"
                       "  run=out#1\n"
                       "data = \"hdf5:my file #2.h5\" # quoted\n"
                       "lr.schedule = 'cosine'\n"
                       "lr = +2.5e-3\n"
                       "lr.conv2 = 1e-4\n"
                       "l1.spectral = 1e-5\n"
                       "l1.spectral.conv1 = 3\n"
                       "conv.param = rotation\n"
                       "history.every = 0\n"
                       "checkpoint.every = 200\n"
                       "eval-every = epoch\n"
                       "augment.flip = true\n"
                       "seed = 9223372036854775807"; /* no newline at the end */
    assert_int_equal(hs_config_parse(&c, "a.conf", text), HS_OK);
    assert_string_equal(c.net, "C8k3 R GA F10");
    assert_string_equal(c.run, "out#1");
    assert_string_equal(c.data, "hdf5:my file #2.h5");
    assert_int_equal(c.lr_schedule, 3);
    assert_true(c.lr == 2.5e-3);
    assert_true(c.l1_spectral == 1e-5);
    assert_int_equal(c.layers, 2);
    assert_string_equal(c.layer[0].key, "lr");
    assert_string_equal(c.layer[0].layer, "conv2");
    assert_string_equal(c.layer[0].origin, "a.conf:8");
    assert_string_equal(c.layer[1].key, "l1.spectral");
    assert_true(c.layer[1].value == 3);
    assert_int_equal(c.param, HS_ARM_ROTATION);
    assert_int_equal(c.history_every, 0);
    assert_int_equal(c.ckpt_every, 200);
    assert_int_equal(c.eval_every, HS_EPOCH);
    assert_true(c.aug_flip);
    assert_true(c.seed == INT64_MAX);
    assert_string_equal(c.origin[0], "a.conf:2");
}

static void later_wins(void **state)
{
    (void)state;
    hs_config c;
    hs_config_init(&c);
    assert_int_equal(hs_config_parse(&c, "a.conf", "batch = 64\nlr.fc1 = 1\n"), HS_OK);
    assert_int_equal(hs_config_assign(&c, "batch=32"), HS_OK);
    assert_int_equal(hs_config_assign(&c, "lr.fc1=2"), HS_OK);
    assert_int_equal(hs_config_assign(&c, "net=C4k3 R GA F10 # no comment here"), HS_OK);
    assert_int_equal(c.batch, 32);
    assert_int_equal(c.layers, 1);
    assert_true(c.layer[0].value == 2);
    assert_string_equal(c.net, "C4k3 R GA F10 # no comment here");
    assert_string_equal(c.origin[0], "command line");
}

/* Every refusal, word for word: these sentences are what people see. */
static const struct {
    const char *text, *message;
} misuse[] = {
    {"\n\nlearning_rate = 1", "fashion.conf:3: unknown key 'learning_rate'; did you mean 'lr'?"},
    {"epoch = 1", "fashion.conf:1: unknown key 'epoch'; did you mean 'epochs'?"},
    {"checkpoint_every = 1", "fashion.conf:1: unknown key 'checkpoint_every'; did you mean 'checkpoint.every'?"},
    {"warmup = 1", "fashion.conf:1: unknown key 'warmup'; did you mean 'lr.warmup'?"},
    {"lr.shedule = step", "fashion.conf:1: unknown key 'lr.shedule'; did you mean 'lr.schedule'?"},
    {"conv.boundry = zero", "fashion.conf:1: unknown key 'conv.boundry'; did you mean 'conv.boundary'?"},
    {"l1.spectral.conv = 1", "fashion.conf:1: unknown key 'l1.spectral.conv'; did you mean 'l1.spectral'?"},
    {"l2.second layer = 1",
     "fashion.conf:1: unknown key 'l2.second layer': 'second layer' is no layer; layers are named by kind and number, e.g. l2.conv2"},
    {"zzzzzzzzzz = 1", "fashion.conf:1: unknown key 'zzzzzzzzzz'; `halfspec help keys` lists them all"},
    {"lr 0.1", "fashion.conf:1: 'lr 0.1' is not of the form key = value"},
    {"lr # = 0.1", "fashion.conf:1: 'lr ' is not of the form key = value"},
    {"lr = fast", "fashion.conf:1: lr = fast: not a number; write it like 0.001 or 1e-3"},
    {"lr = 1,5", "fashion.conf:1: lr = 1,5: not a number; write it like 0.001 or 1e-3"},
    {"lr = nan", "fashion.conf:1: lr = nan: not a number; write it like 0.001 or 1e-3"},
    {"lr = 0x1", "fashion.conf:1: lr = 0x1: not a number; write it like 0.001 or 1e-3"},
    {"lr = 1e999", "fashion.conf:1: lr = 1e999: not a number; write it like 0.001 or 1e-3"},
    {"lr = -1", "fashion.conf:1: lr = -1 is out of range: 0 to 1000000"},
    {"lr =", "fashion.conf:1: lr has no value; write for example lr = 1e-3"},
    {"lr.conv1 = much", "fashion.conf:1: lr.conv1 = much: not a number; write it like 0.001 or 1e-3"},
    {"batch = 12.5", "fashion.conf:1: batch = 12.5: not a whole number; write digits only, e.g. batch = 128"},
    {"batch = 0", "fashion.conf:1: batch = 0 is out of range: 1 to 1000000000 samples"},
    {"seed = 9223372036854775808", "fashion.conf:1: seed = 9223372036854775808 is out of range: 0 to 9.223372036854776e+18"},
    {"optimizer = adm", "fashion.conf:1: optimizer = adm: no such choice; did you mean 'adam'? (sgd|momentum|nesterov|adam|adamw)"},
    {"reproducible = maybe", "fashion.conf:1: reproducible = maybe: write yes or no"},
    {"log-every = often", "fashion.conf:1: log-every = often: not an interval; write a number of steps, 0 for never, or the word epoch"},
    {"log-every = -1", "fashion.conf:1: log-every = -1 is out of range: 0 to 1e+15 steps|epoch"},
    {"net = \"C8k3", "fashion.conf:1: a double quote is opened and not closed; add the closing one"},
    {"net = \"C8k3\" R", "fashion.conf:1: there is more text behind the closing quote: R"},
    {"net = \"C\\x\"", "fashion.conf:1: after a backslash in double quotes only \" \\ n t may stand; use single quotes for plain text"},
};

static void refusals_are_literal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        hs_config c;
        hs_config_init(&c);
        assert_int_equal(hs_config_parse(&c, "fashion.conf", misuse[i].text), HS_EUSAGE);
        assert_string_equal(hs_fail_text(), misuse[i].message);
        assert_int_equal(c.layers, 0);
    }
    hs_config c;
    hs_config_init(&c);
    assert_int_equal(hs_config_assign(&c, "bach=4"), HS_EUSAGE);
    assert_string_equal(hs_fail_text(), "command line: unknown key 'bach'; did you mean 'batch'?");
    assert_int_equal(hs_config_assign(&c, "batch"), HS_EUSAGE);
    assert_string_equal(hs_fail_text(), "command line: 'batch' is not of the form key=value");
}

static void long_texts_are_refused(void **state)
{
    (void)state;
    static char text[3 * HS_TEXT_MAX];
    hs_config c;
    hs_config_init(&c);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(hs_config_parse(&c, "a.conf", text), HS_EUSAGE);
    memcpy(text, "net = ", 6);
    assert_int_equal(hs_config_parse(&c, "a.conf", text), HS_EUSAGE);
    memcpy(text, "net = \"", 7);
    assert_int_equal(hs_config_parse(&c, "a.conf", text), HS_EUSAGE);
    text[200] = '=';
    assert_int_equal(hs_config_assign(&c, text + 7), HS_EUSAGE); /* a key of 193 characters */
}

static void keys_are_checked_together(void **state)
{
    (void)state;
    static const struct {
        const char *text, *begin;
    } bad[] = {
        {"net = ''", "a.conf:1: net is empty"},
        {"lr.schedule = step", "a.conf:1: lr.schedule = step needs lr.milestones"},
        {"lr.schedule = step\nlr.milestones = 4,3", "a.conf:2: lr.milestones = 4,3: '3' is not an epoch later"},
        {"lr.schedule = step\nlr.milestones = 4, x", "a.conf:2: lr.milestones = 4, x: 'x' is not an epoch later"},
        {"lr.minimum = 2\nlr = 1", "a.conf:1: lr.minimum = 2 is larger than lr = 1 (a.conf:2)"},
        {"beta2 = 1", "a.conf:1: Adam divides by 1 - beta2^t"},
        {"optimizer = sgd\nmoment = modulus", "a.conf:2: moment = modulus is about Adam"},
        {"history.filters = first:", "a.conf:1: history.filters = first:: write none, all, or first:N"},
        {"precision = double", "a.conf:1: precision = double runs only on device = ref"},
    };
    hs_config c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hs_config_init(&c);
        assert_int_equal(hs_config_parse(&c, "a.conf", bad[i].text), HS_OK);
        assert_int_equal(hs_config_check(&c), HS_EUSAGE);
        if (strncmp(hs_fail_text(), bad[i].begin, strlen(bad[i].begin)) != 0)
            fail_msg("expected \"%s...\", got \"%s\"", bad[i].begin, hs_fail_text());
    }
    hs_config_init(&c);
    assert_int_equal(hs_config_parse(&c, "a.conf", "lr.schedule=step\nlr.milestones = 1, 2.5,3\nprecision=double\ndevice=ref\nbeta1=1\noptimizer=sgd"), HS_OK);
    assert_int_equal(hs_config_check(&c), HS_OK);
}

/* Equal in everything but where the values came from. */
static void assert_same(const hs_config *a, const hs_config *b)
{
    int count;
    const hs_key *key = hs_keys(&count);
    static const size_t size[] = {
        [HS_KEY_CHOICE] = sizeof(int), [HS_KEY_INT] = 8, [HS_KEY_REAL] = 8, [HS_KEY_BOOL] = sizeof(bool), [HS_KEY_INTERVAL] = 8};
    for (int i = 0; i < count; i++) {
        const char *x = (const char *)a + key[i].offset, *y = (const char *)b + key[i].offset;
        if (key[i].type == HS_KEY_STRING)
            assert_string_equal(x, y);
        else
            assert_memory_equal(x, y, size[key[i].type]);
    }
    assert_int_equal(a->layers, b->layers);
    for (int i = 0; i < a->layers; i++) {
        assert_string_equal(a->layer[i].key, b->layer[i].key);
        assert_string_equal(a->layer[i].layer, b->layer[i].layer);
        assert_true(a->layer[i].value == b->layer[i].value);
    }
}

static void round_trip(const hs_config *c)
{
    for (int origins = 0; origins < 2; origins++) {
        char *text = NULL, *again = NULL;
        hs_config back;
        hs_config_init(&back);
        assert_int_equal(hs_config_print(c, origins, &text), HS_OK);
        if (hs_config_parse(&back, "printed", text) != HS_OK)
            fail_msg("%s", hs_fail_text());
        assert_same(c, &back);
        if (!origins) {
            assert_int_equal(hs_config_print(&back, false, &again), HS_OK);
            assert_string_equal(text, again);
        }
        hs_free(text);
        hs_free(again);
    }
}

/* Set every key to something that is not its default. */
static void set_everything(hs_config *c)
{
    int count;
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++) {
        char *field = (char *)c + key[i].offset;
        size_t n = strlen(key[i].name);
        if (n > 2 && key[i].name[n - 1] == '*') {
            char word[128];
            snprintf(word, sizeof word, "%.*sfc%d=0.%d", (int)n - 1, key[i].name, i % 7 + 1, i + 1);
            assert_int_equal(hs_config_assign(c, word), HS_OK);
            continue;
        }
        switch (key[i].type) {
        case HS_KEY_STRING: snprintf(field, HS_TEXT_MAX, "  #%d \"odd\"\t\\ text\n= 'x' ", i); break;
        case HS_KEY_CHOICE: *(int *)field = 1; break;
        case HS_KEY_INT: *(int64_t *)field = (int64_t)(key[i].maximum > 1e18 ? 9.2e18 : key[i].maximum) - 3; break;
        case HS_KEY_INTERVAL: *(int64_t *)field = *(int64_t *)field == HS_EPOCH ? i : HS_EPOCH; break;
        case HS_KEY_REAL: *(double *)field = key[i].minimum + (key[i].maximum - key[i].minimum) / 3; break;
        case HS_KEY_BOOL: *(bool *)field = !*(bool *)field; break;
        }
    }
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    hs_config c;
    long blocks = hs_live_blocks();
    hs_config_init(&c);
    round_trip(&c);
    set_everything(&c);
    round_trip(&c);
    static const char *const strings[] = {"", " ", "\"", "'", "a\"b", "a'b", "\"a\"", "'a'", "#", "a#b", "a #b", "\\", "a\\", "\\n", "a\nb", "\x01", "a=b", "\r", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        strcpy(c.net, strings[i]);
        round_trip(&c);
    }
    memset(c.net, '"', HS_TEXT_MAX - 1);
    round_trip(&c);
    assert_int_equal(hs_live_blocks(), blocks);
}

static void a_value_can_be_asked_for(void **state)
{
    (void)state;
    hs_config c;
    char text[64];
    int count;
    const hs_key *key = hs_keys(&count);
    hs_config_init(&c);
    for (int i = 0; i < count; i++) {
        hs_config_value(&c, i, text, sizeof text);
        if (strcmp(key[i].name, "param") == 0)
            assert_string_equal(text, "spectral");
        if (strcmp(key[i].name, "epsilon") == 0)
            assert_string_equal(text, "1e-08");
        if (strcmp(key[i].name, "warm-start") == 0)
            assert_string_equal(text, "\"\"");
    }
}

static void json_has_types(void **state)
{
    (void)state;
    hs_config c;
    char *text = NULL;
    hs_config_init(&c);
    assert_int_equal(hs_config_assign(&c, "lr.conv1=0.5"), HS_OK);
    assert_int_equal(hs_config_assign(&c, "run=a \"b\""), HS_OK);
    assert_int_equal(hs_config_json(&c, &text), HS_OK);
    assert_non_null(strstr(text, "\"run\": \"a \\\"b\\\"\""));
    assert_non_null(strstr(text, "\"batch\": 128,"));
    assert_non_null(strstr(text, "\"lr\": 0.001,"));
    assert_non_null(strstr(text, "\"lr.conv1\": 0.5,"));
    assert_non_null(strstr(text, "\"eval-every\": \"epoch\""));
    assert_non_null(strstr(text, "\"log-every\": 50,"));
    assert_non_null(strstr(text, "\"reproducible\": false"));
    assert_non_null(strstr(text, "\"optimizer\": \"adam\""));
    hs_free(text);
}

static void differences_that_matter(void **state)
{
    (void)state;
    hs_config a, b;
    char *text = NULL;
    hs_config_init(&a);
    hs_config_init(&b);
    const char *free_to_change = "run=x\nepochs=99\nmax-steps=3\nmax-hours=2\nthreads=3\ncomm=self\nlog-every=1\nhistory.filters=all\ndata.prefetch=no\n";
    assert_int_equal(hs_config_parse(&b, "b.conf", free_to_change), HS_OK);
    assert_int_equal(hs_config_difference(&a, &b, &text), HS_OK);
    assert_string_equal(text, "");
    hs_free(text);
    assert_int_equal(hs_config_parse(&a, "a.conf", "lr.conv1 = 1\nlr.conv2 = 1\n"), HS_OK);
    assert_int_equal(hs_config_parse(&b, "b.conf", "batch = 64\nlr.conv2 = 2\nlr.conv3 = 3\nnet = ''"), HS_OK);
    assert_int_equal(hs_config_difference(&a, &b, &text), HS_OK);
    assert_string_equal(text, "net: C16k5 R SP14 C32k5 R SP7 F128 R F10 -> \"\"\nbatch: 128 -> 64\nlr.conv1: 1 -> (not set)\nlr.conv2: 1 -> 2\n"
                              "lr.conv3: (not set) -> 3\n");
    hs_free(text);
}

static void one_layer_too_many(void **state)
{
    (void)state;
    hs_config c;
    char word[64];
    hs_config_init(&c);
    for (int i = 1; i <= 64; i++) {
        snprintf(word, sizeof word, "lr.conv%d=1", i);
        assert_int_equal(hs_config_assign(&c, word), HS_OK);
    }
    assert_int_equal(hs_config_assign(&c, "lr.conv65=1"), HS_EUSAGE);
    assert_int_equal(hs_config_assign(&c, "lr.conv64=2"), HS_OK);
    assert_int_equal(c.layers, 64);
}

/* The table itself: no name twice, defaults in range, every line complete. */
static void the_table_is_sound(void **state)
{
    (void)state;
    int count;
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++) {
        assert_true(*key[i].name && *key[i].help && *key[i].section);
        assert_true(strlen(key[i].name) < HS_NAME_MAX);
        if (key[i].type == HS_KEY_CHOICE)
            assert_non_null(strchr(key[i].unit, '|'));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(key[i].name, key[j].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand),           cmocka_unit_test(a_file_is_read),          cmocka_unit_test(later_wins),
        cmocka_unit_test(refusals_are_literal),     cmocka_unit_test(long_texts_are_refused),  cmocka_unit_test(keys_are_checked_together),
        cmocka_unit_test(what_is_printed_reads_back), cmocka_unit_test(a_value_can_be_asked_for), cmocka_unit_test(json_has_types),
        cmocka_unit_test(differences_that_matter),  cmocka_unit_test(one_layer_too_many),      cmocka_unit_test(the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
