/* t_store_run.c - run.h5: rows come back, resuming cuts what is newer, flushing does not let the file grow, equal runs make equal
 * files. */
#include "store_fixture.h"

#include <sys/stat.h>

#include <hdf5.h>

static const hs_run_layer layer[] = {
    {"conv1", "C4k3", 3, 3, 1, 4, 40, HS_ARM_SPECTRAL, true},
    {"relu1", "R", 0, 0, 4, 4, 0, 0, false},
    {"conv2", "C6k4x5", 4, 5, 4, 6, 486, HS_ARM_SPATIAL, true},
    {"fc1", "F10", 1, 1, 10, 10, 110, 0, false},
};
enum { LAYERS = sizeof layer / sizeof layer[0], MOST = 6 * 4 * 20 };

/* Filter coordinates at STEP of layer L: any function of both. */
static void coords_at(int64_t step, int l, double *c)
{
    for (int i = 0; i < MOST; i++)
        c[i] = sin(1.7 * i + 0.01 * (double)step + l);
}

static void open_run(const char *dir, int64_t resume, const char *filters, hs_run **run)
{
    static hs_provenance p;
    p = provenance_make();
    hs_run_options o = {
        .dir = dir, .provenance = &p, .layer = layer, .layers = LAYERS, .history_filters = filters, .resume_step = resume};
    OK(hs_run_open(&o, run));
}

static void one_step(hs_run *run, int64_t step)
{
    double c[MOST];
    hs_train_row t = {
        .step = step, .epoch = 0.1 * (double)step, .loss = 1.0 / (double)step, .accuracy = 0.5, .lr = 1e-3, .elapsed = 2.0};
    hs_eval_row e = {.step = step, .epoch = step / 10, .loss = 2.0, .error_top1 = 1.0 / (double)step};
    OK(hs_run_train(run, &t));
    if (step % 10 != 0)
        return;
    OK(hs_run_eval(run, &e));
    for (int l = 0; l < LAYERS; l += 2) {
        hs_snapshot s = {.step = step, .layer = l, .spectrum = c, .gradient = c};
        coords_at(step, l, c);
        OK(hs_run_snapshot(run, &s));
    }
}

/* ---- reading back ---------------------------------------------------------------------------------------------------------- */

static hsize_t rows_of(const char *dir, const char *name)
{
    char path[128];
    hsize_t dim[5] = {0};
    snprintf(path, sizeof path, "%s/run.h5", dir);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), data = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(data);
    assert_true(data >= 0 && H5Sget_simple_extent_dims(space, dim, NULL) >= 1);
    H5Sclose(space);
    H5Dclose(data);
    H5Fclose(file);
    return dim[0];
}

static void read_doubles(const char *dir, const char *name, double *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/run.h5", dir);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), data = H5Dopen2(file, name, H5P_DEFAULT);
    assert_true(H5Dread(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Dclose(data);
    H5Fclose(file);
}

static int findings_of(const char *dir)
{
    char path[128];
    int findings = -1;
    FILE *out = tmpfile();
    snprintf(path, sizeof path, "%s/run.h5", dir);
    hs_store_check(path, out, &findings);
    rewind(out);
    for (char line[512]; findings && fgets(line, sizeof line, out);)
        printf("# %s", line);
    fclose(out);
    return findings;
}

static size_t size_of(const char *dir)
{
    struct stat s;
    char path[128];
    snprintf(path, sizeof path, "%s/run.h5", dir);
    assert_int_equal(stat(path, &s), 0);
    return (size_t)s.st_size;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------------- */

static void rows_come_back(void **state)
{
    (void)state;
    char *dir = scratch_make();
    double v[600];
    hs_run *run = NULL;
    open_run(dir, -1, "first:3", &run);
    for (int64_t s = 1; s <= 600; s++) /* more than the buffer holds */
        one_step(run, s);
    OK(hs_run_close(&run));
    assert_int_equal(rows_of(dir, "train/step"), 600);
    assert_int_equal(rows_of(dir, "eval/step"), 60);
    assert_int_equal(rows_of(dir, "history/conv2/half_spectrum"), 60);
    read_doubles(dir, "train/step", v);
    for (int i = 0; i < 600; i++)
        assert_true(v[i] == i + 1);
    read_doubles(dir, "train/loss", v);
    for (int i = 0; i < 600; i++)
        assert_true(v[i] == 1.0 / (i + 1));
    assert_int_equal(findings_of(dir), 0);
    scratch_remove(dir);
}

/* Statistics of the last snapshot against sums written out here. */
static void statistics(void **state)
{
    (void)state;
    char *dir = scratch_make();
    double c[MOST], v[64], l2 = 0.0, l1 = 0.0, power = 0.0;
    hs_run *run = NULL;
    open_run(dir, -1, "none", &run);
    one_step(run, 10);
    OK(hs_run_close(&run));
    coords_at(10, 0, c);
    for (int q = 0; q < 4; q++) /* 3x3: coordinate 0 is the mean, four pairs follow */
        for (int i = 0; i < 9; i++)
            l2 += c[q * 9 + i] * c[q * 9 + i];
    for (int q = 0; q < 4; q++) {
        l1 += fabs(c[q * 9]);
        for (int i = 1; i < 9; i += 2)
            l1 += 2.0 * sqrt(0.5 * (c[q * 9 + i] * c[q * 9 + i] + c[q * 9 + i + 1] * c[q * 9 + i + 1]));
    }
    read_doubles(dir, "history/conv1/l2", v);
    assert_true(fabs(v[0] - sqrt(l2)) < 1e-6 * sqrt(l2));
    read_doubles(dir, "history/conv1/grad_norm", v);
    assert_true(fabs(v[0] - sqrt(l2)) < 1e-6 * sqrt(l2));
    read_doubles(dir, "history/conv1/l1_spectral", v);
    assert_true(fabs(v[0] - l1) < 1e-6 * l1);
    read_doubles(dir, "history/conv1/update_ratio", v);
    assert_true(isnan(v[0]));
    read_doubles(dir, "history/conv1/radial_power", v);
    for (int r = 0; r < 2; r++)
        power += 4.0 * v[r];
    assert_true(fabs(power - l2) < 1e-5 * l2); /* Parseval over rings */
    read_doubles(dir, "history/conv1/hist_spectral", v);
    double sum = 0.0;
    for (int i = 0; i < 64; i++)
        sum += v[i];
    assert_true(sum == 4 * 9);
    scratch_remove(dir);
}

static void resume_cuts(void **state)
{
    (void)state;
    char *dir = scratch_make();
    double v[200];
    hs_run *run = NULL;
    open_run(dir, -1, "all", &run);
    for (int64_t s = 1; s <= 100; s++)
        one_step(run, s);
    OK(hs_run_close(&run));
    open_run(dir, 55, "none", &run); /* the file keeps what it started with */
    for (int64_t s = 56; s <= 90; s++)
        one_step(run, s);
    OK(hs_run_close(&run));
    assert_int_equal(rows_of(dir, "train/step"), 90);
    assert_int_equal(rows_of(dir, "eval/step"), 9);
    assert_int_equal(rows_of(dir, "history/conv1/step"), 9);
    assert_int_equal(rows_of(dir, "history/conv2/half_spectrum"), 9);
    assert_int_equal(rows_of(dir, "provenance/segments/segment"), 2);
    read_doubles(dir, "provenance/segments/step", v);
    assert_true(v[0] == 0 && v[1] == 55);
    read_doubles(dir, "train/step", v);
    for (int i = 0; i < 90; i++)
        assert_true(v[i] == i + 1);
    assert_int_equal(findings_of(dir), 0);
    scratch_remove(dir);
}

/* The same rows whether written in one go or with a stop between. */
static void resumed_values(void **state)
{
    (void)state;
    double v[2][2000];
    static const char *const name[] = {"train/loss", "eval/error_top1", "history/conv1/energy", "history/conv2/hoyer",
                                       "history/conv2/l2"};
    static char dirs[2][64];
    for (int r = 0; r < 2; r++) {
        snprintf(dirs[r], sizeof dirs[r], "%s", scratch_make());
        hs_run *run = NULL;
        open_run(dirs[r], -1, "first:2", &run);
        for (int64_t s = 1; s <= 60; s++)
            one_step(run, s);
        if (r == 1) {
            OK(hs_run_close(&run));
            open_run(dirs[r], 40, "first:2", &run);
            for (int64_t s = 41; s <= 60; s++)
                one_step(run, s);
        }
        OK(hs_run_close(&run));
    }
    for (size_t n = 0; n < sizeof name / sizeof name[0]; n++) {
        memset(v, 0, sizeof v);
        for (int r = 0; r < 2; r++)
            read_doubles(dirs[r], name[n], v[r]);
        assert_memory_equal(v[0], v[1], sizeof v[0]);
    }
    scratch_remove(dirs[0]);
    scratch_remove(dirs[1]);
}

/* Flushing after every row or once at the end: nearly the same size. */
static void flushing_costs_no_room(void **state)
{
    (void)state;
    size_t size[2];
    for (int r = 0; r < 2; r++) {
        char *dir = scratch_make();
        hs_run *run = NULL;
        open_run(dir, -1, "first:3", &run);
        for (int64_t s = 1; s <= 60; s++) {
            one_step(run, s);
            if (r == 1)
                OK(hs_run_flush(run));
        }
        OK(hs_run_close(&run));
        size[r] = size_of(dir);
        scratch_remove(dir);
    }
    printf("# %zu bytes in one go, %zu with 60 flushes\n", size[0], size[1]);
    assert_true((double)size[1] < 1.05 * (double)size[0]);
}

static void equal_runs_equal_bytes(void **state)
{
    (void)state;
    size_t bytes[2];
    char *data[2], path[128];
    for (int r = 0; r < 2; r++) {
        char *dir = scratch_make();
        hs_run *run = NULL;
        open_run(dir, -1, "first:3", &run);
        for (int64_t s = 1; s <= 40; s++)
            one_step(run, s);
        OK(hs_run_close(&run));
        snprintf(path, sizeof path, "%s/run.h5", dir);
        data[r] = slurp(path, &bytes[r]);
        scratch_remove(dir);
        sleep(r == 0 ? 1 : 0);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(data[0], data[1], bytes[0]);
    hs_free(data[0]);
    hs_free(data[1]);
}

static void refused(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[128];
    hs_provenance p = provenance_make();
    hs_run_options o = {
        .dir = dir, .provenance = &p, .layer = layer, .layers = LAYERS, .history_filters = "first:x", .resume_step = -1};
    hs_run *run = NULL;
    assert_int_equal(hs_run_open(&o, &run), HS_EUSAGE);
    o.history_filters = "first:2";
    OK(hs_run_open(&o, &run));
    OK(hs_run_close(&run));
    hs_run_layer other[LAYERS];
    memcpy(other, layer, sizeof other);
    other[0].kernel_h = 5;
    o.layer = other;
    o.resume_step = 0;
    assert_int_equal(hs_run_open(&o, &run), HS_EINPUT);
    assert_non_null(strstr(hs_fail_text(), "conv1"));
    o.layer = layer;
    snprintf(path, sizeof path, "%s/run.h5", dir);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(hs_run_open(&o, &run), HS_EINPUT);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* the name is taken: flush must fail and say so */
    o.resume_step = -1;
    OK(hs_run_open(&o, &run));
    assert_int_equal(hs_run_flush(run), HS_EIO);
    assert_int_equal(hs_run_close(&run), HS_EIO);
    scratch_remove(dir);
}

static void predictions(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[128];
    int64_t index[3] = {0, 1, 2};
    int32_t label[3] = {1, 0, 1};
    float logits[6] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f}, inputs[3 * 2 * 3 * 1];
    int findings = -1;
    for (int i = 0; i < 18; i++)
        inputs[i] = (float)i;
    snprintf(path, sizeof path, "%s/run.h5", dir);
    OK(hs_store_predictions(path, 3, 2, (hs_shape){2, 3, 1}, index, label, logits, inputs));
    assert_int_equal(findings_of(dir), 0);
    assert_int_equal(rows_of(dir, "input"), 3);
    OK(hs_store_predictions(path, 3, 2, (hs_shape){2, 3, 1}, index, label, logits, NULL));
    FILE *out = tmpfile();
    OK(hs_store_check(path, out, &findings));
    OK(hs_store_info(path, out));
    fclose(out);
    scratch_remove(dir);
}

/* A network of very many layers: groups with thousands of members are made in seconds. */
static void many_layers(void **state)
{
    enum { MANY = 300 };
    (void)state;
    static char name[MANY][16];
    static hs_run_layer list[MANY];
    char *dir = scratch_make();
    hs_provenance p = provenance_make();
    hs_run *run = NULL;
    for (int i = 0; i < MANY; i++) {
        list[i] = layer[0];
        snprintf(name[i], sizeof name[i], "conv%d", i + 1);
        list[i].name = name[i];
    }
    hs_run_options o = {.dir = dir, .provenance = &p, .layer = list, .layers = MANY, .history_filters = "first:1", .resume_step = -1};
    double begin = hs_now();
    OK(hs_run_open(&o, &run));
    OK(hs_run_close(&run));
    double spent = hs_now() - begin;
    printf("# %d layers: %.1f s\n", MANY, spent);
    assert_true(spent < 20);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(statistics),
        cmocka_unit_test(resume_cuts),
        cmocka_unit_test(resumed_values),
        cmocka_unit_test(flushing_costs_no_room),
        cmocka_unit_test(equal_runs_equal_bytes),
        cmocka_unit_test(refused),
        cmocka_unit_test(predictions),
        cmocka_unit_test(many_layers),
        cmocka_unit_test(no_leaks),
    };
    if (hs_store_start() != HS_OK)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
