/* t_store_checkpoint.c - checkpoints come back bit for bit, equal states make equal files, and another network's checkpoint is
 * refused by name. */
#include "store_fixture.h"

static void save(const char *dir, model *m, int64_t step, int keep, bool best)
{
    hs_provenance p = provenance_make();
    m->ck.state.step = step;
    OK(hs_checkpoint_write(dir, &m->ck, &p, keep, best, 0.5));
}

static void path_of(const char *dir, int64_t step, char path[256])
{
    snprintf(path, 256, "%s/ckpt/step-%08lld.h5", dir, (long long)step);
}

static void round_trip_of(hs_real real)
{
    char *dir = scratch_make(), path[256];
    model *m = model_make(real, 10), *back = model_make(real, 50);
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);
    model_clear(back);
    OK(hs_checkpoint_read(path, &back->ck));
    assert_true(model_equal(m, back));
    int findings = -1;
    FILE *null = fopen("/dev/null", "w");
    OK(hs_store_check(path, null, &findings));
    OK(hs_store_info(path, null));
    fclose(null);
    assert_int_equal(findings, 0);
    model_free(m);
    model_free(back);
    scratch_remove(dir);
}

static void round_trip_float(void **state)
{
    (void)state;
    round_trip_of(HS_F32);
}

static void round_trip_double(void **state)
{
    (void)state;
    round_trip_of(HS_F64);
}

/* moments == 0: what evaluation does; the optimizer's name does not matter then. */
static void weights_alone(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F32, 10), *back = model_make(HS_F32, 50);
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);
    back->ck.moments = 0;
    back->ck.optimizer = "sgd";
    OK(hs_checkpoint_read(path, &back->ck));
    assert_memory_equal(m->slab, back->slab, m->count * sizeof(float));
    assert_memory_not_equal(m->m, back->m, m->count * sizeof(float));
    model_free(m);
    model_free(back);
    scratch_remove(dir);
}

/* Evaluation may run in another precision than training did; a float is a double, exactly. */
static void other_precision(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F32, 10), *wide = model_make(HS_F64, 50), *narrow = model_make(HS_F32, 70);
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);
    wide->ck.moments = narrow->ck.moments = 0;
    OK(hs_checkpoint_read(path, &wide->ck));
    for (size_t i = 0; i < m->count; i++)
        assert_true(((double *)wide->slab)[i] == (double)((float *)m->slab)[i]);
    save(dir, wide, 20, 2, false);
    path_of(dir, 20, path);
    OK(hs_checkpoint_read(path, &narrow->ck));
    assert_memory_equal(narrow->slab, m->slab, m->count * sizeof(float));
    model_free(m);
    model_free(wide);
    model_free(narrow);
    scratch_remove(dir);
}

static void equal_states_equal_bytes(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    size_t bytes[2];
    char *data[2];
    model *m = model_make(HS_F32, 10);
    path_of(dir, 10, path);
    for (int i = 0; i < 2; i++) {
        save(dir, m, 10, 2, false);
        data[i] = slurp(path, &bytes[i]);
        sleep(i == 0 ? 1 : 0); /* a time stamp in the file would show */
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(data[0], data[1], bytes[0]);
    ((float *)m->slab)[3] += 1.0f;
    hs_free(data[1]);
    save(dir, m, 10, 2, false);
    data[1] = slurp(path, &bytes[1]);
    assert_true(bytes[0] != bytes[1] || memcmp(data[0], data[1], bytes[0]) != 0);
    hs_free(data[0]);
    hs_free(data[1]);
    model_free(m);
    scratch_remove(dir);
}

/* ---- another network ------------------------------------------------------------------------------------------------------- */

static void must_refuse(const char *path, model *wrong, const char *word)
{
    hs_status st = hs_checkpoint_read(path, &wrong->ck);
    if (st != HS_EINPUT || !strstr(hs_fail_text(), word))
        fail_msg("status %s, message \"%s\" lacks \"%s\"", hs_status_name(st), hs_fail_text(), word);
    model_free(wrong);
}

static void wrong_network(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F32, 10), *w;
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);

    w = model_make(HS_F32, 20);
    w->param[1].arm = HS_ARM_ROTATION; /* same numbers, other meaning */
    must_refuse(path, w, "param = spectral");
    w = model_make(HS_F32, 20);
    w->param[0].embed = HS_EMBED_BAND;
    must_refuse(path, w, "embed = space");
    w = model_make(HS_F32, 20);
    w->param[6].kh = 6, w->param[6].kw = 2; /* as many taps */
    must_refuse(path, w, "2x6");
    w = model_make(HS_F32, 20);
    w->param[1].out = 4, w->param[1].in = 5;
    must_refuse(path, w, "[5,4,25]");
    w = model_make(HS_F32, 20);
    snprintf(w->param[11].layer, HS_NAME_MAX, "fc2");
    must_refuse(path, w, "no layer fc2");
    w = model_make(HS_F32, 20);
    w->ck.params--; /* conv1's bias: a layer we have anyway */
    w->ck.params -= 2;
    must_refuse(path, w, "a layer fc1");
    w = model_make(HS_F32, 20);
    w->ck.optimizer = "momentum";
    must_refuse(path, w, "optimizer = adam");
    w = model_make(HS_F32, 20);
    w->ck.moments = 1;
    must_refuse(path, w, "2 moments");
    w = model_make(HS_F64, 20);
    must_refuse(path, w, "4 bytes");
    model_free(m);
    scratch_remove(dir);
}

/* ---- parts ----------------------------------------------------------------------------------------------------------------- */

static void peek(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    hs_checkpoint_head head;
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);
    OK(hs_checkpoint_peek(path, &head));
    assert_string_equal(head.notation, m->ck.notation);
    assert_string_equal(head.config_text, p.config_text);
    assert_string_equal(head.dataset, p.dataset);
    assert_string_equal(head.precision, p.precision);
    assert_memory_equal(&head.state, &m->ck.state, sizeof head.state);
    assert_memory_equal(&head.in, &m->ck.in, sizeof head.in);
    assert_int_equal(head.classes, 10);
    hs_checkpoint_head_free(&head);
    model_free(m);
    scratch_remove(dir);
}

/* A configuration longer than the 64 KiB that fit an object header of the old format. */
static void long_configuration(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256], *text = malloc(200001);
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    hs_checkpoint_head head;
    memset(text, 'x', 200000);
    text[200000] = '\0';
    p.config_text = text;
    m->ck.state.step = 10;
    OK(hs_checkpoint_write(dir, &m->ck, &p, 1, false, NAN));
    path_of(dir, 10, path);
    OK(hs_checkpoint_peek(path, &head));
    assert_string_equal(head.config_text, text);
    hs_checkpoint_head_free(&head);
    free(text);
    model_free(m);
    scratch_remove(dir);
}

static void filters(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F64, 10);
    save(dir, m, 10, 2, false);
    path_of(dir, 10, path);
    for (int i = 0; i < FILTERS; i++) {
        const hs_param *p = &m->param[i];
        int out, in, kh, kw;
        double *got = NULL, want[512];
        OK(hs_checkpoint_filters(path, p->layer, &out, &in, &kh, &kw, &got));
        assert_true(out == p->out && in == p->in && kh == p->kh && kw == p->kw);
        OK(model_spectrum(NULL, p, (double *)m->slab + p->offset, want));
        for (int k = 0; k < out * in * kh * kw; k++)
            assert_true(fabs(got[k] - want[k]) < 1e-13);
        hs_free(got);
    }
    int a, b, c, d;
    double *none = NULL;
    assert_int_equal(hs_checkpoint_filters(path, "conv77", &a, &b, &c, &d, &none), HS_EINPUT);
    assert_non_null(strstr(hs_fail_text(), "conv77"));
    assert_int_equal(hs_checkpoint_filters(path, "fc1", &a, &b, &c, &d, &none), HS_EINPUT);
    model_free(m);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_float),
        cmocka_unit_test(round_trip_double),
        cmocka_unit_test(weights_alone),
        cmocka_unit_test(other_precision),
        cmocka_unit_test(equal_states_equal_bytes),
        cmocka_unit_test(wrong_network),
        cmocka_unit_test(peek),
        cmocka_unit_test(long_configuration),
        cmocka_unit_test(filters),
        cmocka_unit_test(no_leaks),
    };
    if (hs_store_start() != HS_OK)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
