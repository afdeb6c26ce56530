/* t_store_sample.c - no test: writes one file of each kind into a directory, for the tests in Python. Every number is a plain
 * formula there, too.
 *
 *   t_store_sample DIR      DIR/run.h5 (resumed once), DIR/ckpt/step-00000010.h5 (float) and -20.h5 (double), DIR/predictions.h5
 *   t_store_sample check F  prints what `halfspec check` would; exit 0 if it finds nothing, 65 otherwise
 *   t_store_sample read F   reads a checkpoint whole and opens F as a data set: for hostile files; exit 65 when refused */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_data.h"
#include "hs_spectrum.h"
#include "hs_store.h"

#define TRY(call)                                                                                        \
    do {                                                                                                 \
        hs_status st_ = (call);                                                                          \
        if (st_ != HS_OK) {                                                                              \
            printf("%s\n", hs_fail_text());                                                              \
            exit(hs_status_exit_code(st_));                                                              \
        }                                                                                                \
    } while (0)

static const hs_run_layer layer[] = {
    {"conv1", "C4k3", 3, 3, 1, 4, 40, HS_ARM_SPECTRAL, true},
    {"conv2", "C6k4x5", 4, 5, 3, 6, 366, HS_ARM_SPATIAL, true},
    {"fc1", "F10", 1, 1, 10, 10, 110, 0, false},
};
enum { LAYERS = 3, MOST = 6 * 3 * 20 };

/* Tap (y, x) of filter Q (out * in-channels + in) of layer L at STEP. */
static double tap(int l, int q, int y, int x, int64_t step)
{
    return cos(0.7 * q + 1.3 * y - 0.4 * x + 0.01 * (double)step + l);
}

static void spectrum_at(int l, int64_t step, double *coords)
{
    int kh = layer[l].kernel_h, kw = layer[l].kernel_w;
    double plane[32], scratch[64];
    for (int q = 0; q < layer[l].in_channels * layer[l].out_channels; q++) {
        for (int t = 0; t < kh * kw; t++)
            plane[t] = tap(l, q, t / kw, t % kw, step);
        hs_plane_to_coords(kh, kw, plane, coords + q * kh * kw, scratch);
    }
}

static hs_provenance provenance(void)
{
    static const char *const host[] = {"n1", "n2"};
    return (hs_provenance){.version = "0.1.0",
                           .commit = "abc",
                           .argv = "halfspec train",
                           .config_text = "net = C4k3 # comment\nseed = 1\n",
                           .config_json = "{}",
                           .build = "gcc",
                           .libraries = "HDF5",
                           .dataset = "synthetic",
                           .dataset_digest = "00",
                           .precision = "fp32",
                           .device = "cpu",
                           .notation = "C4k3 R C6k4x5 \xc3\xa9 F10",
                           .slurm_job = "",
                           .hosts = host,
                           .world_size = 2,
                           .seed = 7,
                           .date = "2026-01-01T00:00:00Z"};
}

/* ---- run.h5 ---------------------------------------------------------------------------------------------------------------- */

/* The plan is written twice, as training does: what it took is known later. */
static void plan_of(hs_run *run)
{
    hs_run_step step[3] = {{"conv1", "C4k3", "space", "direct", 8, 8, 4, 1024, 0.5, 1e-3, NAN, NAN, NAN},
                           {"fft1", "-", "spectrum", "", 8, 8, 4, 1280, 0, 2e-4, NAN, NAN, NAN},
                           {"conv2", "C6k4x5 \u00e9", "spectrum", "fft 8x8", 8, 8, 6, 1920, 1.5, 3e-3, NAN, NAN, NAN}};
    hs_run_plan_facts facts = {.capacity = 32, .threads = 2, .planned_bytes = 1e6};
    TRY(hs_run_plan(run, step, 2, &facts));
    for (int i = 0; i < 3; i++) {
        step[i].forward = 1e-3 * (i + 1);
        step[i].backward = 2e-3 * (i + 1);
    }
    step[2].measured = 2.5e-3;
    facts.peak_bytes = 1.1e6;
    TRY(hs_run_plan(run, step, 3, &facts));
}

static void run_steps(const char *dir, int64_t resume, int64_t first, int64_t last)
{
    static double c[MOST], g[MOST];
    hs_provenance p = provenance();
    hs_run_options o = {
        .dir = dir, .provenance = &p, .layer = layer, .layers = LAYERS, .history_filters = "first:5", .resume_step = resume};
    hs_run *run = NULL;
    TRY(hs_run_open(&o, &run));
    plan_of(run);
    for (int64_t s = first; s <= last; s++) {
        double d = (double)s;
        hs_train_row t = {.step = s,
                          .epoch = d / 10,
                          .loss = 2.3 * exp(-d / 20),
                          .loss_data = 2.2 * exp(-d / 20),
                          .accuracy = 0.5,
                          .lr = 1e-3,
                          .elapsed = d};
        hs_eval_row e = {.step = s,
                         .epoch = s / 10,
                         .loss = 2.4 * exp(-d / 20),
                         .error_top1 = 0.9 * exp(-d / 30),
                         .error_top5 = 0.1,
                         .elapsed = d};
        if (s > 0)
            TRY(hs_run_train(run, &t));
        if (s % 10 != 0)
            continue;
        if (s > 0)
            TRY(hs_run_eval(run, &e));
        for (int l = 0; l < 2; l++) {
            hs_snapshot shot = {.step = s, .layer = l, .spectrum = c, .gradient = s > 0 ? g : NULL};
            spectrum_at(l, s, c);
            spectrum_at(l, 2 * s, g);
            TRY(hs_run_snapshot(run, &shot));
        }
        TRY(hs_run_flush(run));
    }
    TRY(hs_run_close(&run));
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------------------- */

/* Spectral coordinates in slab order are those of the filters; taps likewise: the callback only moves them. */
static hs_status show(void *context, const hs_param *p, const double *coords, double *spectrum)
{
    (void)context;
    int taps = p->kh * p->kw;
    double plane[32], scratch[64];
    for (int o = 0; o < p->out; o++)
        for (int i = 0; i < p->in; i++) {
            for (int t = 0; t < taps; t++)
                plane[t] = coords[(t * p->in + i) * p->out + o];
            if (p->arm == HS_ARM_SPECTRAL)
                memcpy(spectrum + (o * p->in + i) * taps, plane, (size_t)taps * sizeof *plane);
            else
                hs_plane_to_coords(p->kh, p->kw, plane, spectrum + (o * p->in + i) * taps, scratch);
        }
    return HS_OK;
}

static void put(void *slab, hs_real real, size_t i, double x)
{
    if (real == HS_F64)
        ((double *)slab)[i] = x;
    else
        ((float *)slab)[i] = (float)x;
}

static void checkpoint(const char *dir, hs_real real, int64_t step)
{
    static double slab[1024], moment[1024], coords[MOST];
    hs_param p[3] = {
        {.layer = "conv1",
         .name = "weight",
         .role = HS_ROLE_FILTER,
         .offset = 0,
         .count = 36,
         .out = 4,
         .in = 1,
         .kh = 3,
         .kw = 3,
         .arm = HS_ARM_SPECTRAL,
         .coords = 9},
        {.layer = "conv2",
         .name = "weight",
         .role = HS_ROLE_FILTER,
         .offset = 36,
         .count = 360,
         .out = 6,
         .in = 3,
         .kh = 4,
         .kw = 5,
         .arm = HS_ARM_SPATIAL,
         .coords = 20},
        {.layer = "fc1",
         .name = "weight",
         .role = HS_ROLE_DENSE,
         .offset = 396,
         .count = 110,
         .out = 10,
         .in = 11,
         .kh = 1,
         .kw = 1,
         .coords = 1},
    };
    hs_provenance from = provenance();
    hs_checkpoint ck = {.real = real,
                        .param = p,
                        .params = 3,
                        .parameters = {"", slab, 506},
                        .moment = {{"m", moment, 506}},
                        .moments = 1,
                        .optimizer = "momentum",
                        .notation = from.notation,
                        .in = {28, 28, 1},
                        .classes = 10,
                        .spectrum = show,
                        .state = {.step = step, .best_error = 0.25}};
    for (int l = 0; l < 2; l++) {
        spectrum_at(l, step, coords);
        for (int o = 0; o < p[l].out; o++)
            for (int i = 0; i < p[l].in; i++)
                for (int t = 0; t < p[l].coords; t++) {
                    int q = o * p[l].in + i;
                    double x = l == 0 ? coords[q * p[l].coords + t] : tap(l, q, t / p[l].kw, t % p[l].kw, step);
                    put(slab, real, p[l].offset + (size_t)((t * p[l].in + i) * p[l].out + o), x);
                }
    }
    for (size_t i = 0; i < 110; i++) /* in i / 10, out i % 10 */
        put(slab, real, 396 + i, (double)i);
    for (size_t i = 0; i < 506; i++)
        put(moment, real, i, -(double)i);
    TRY(hs_checkpoint_write(dir, &ck, &from, 5, false, 0.25));
}

static void predictions(const char *dir)
{
    char path[4096];
    int64_t index[4] = {0, 1, 2, 3};
    int32_t label[4] = {0, 1, 2, 0};
    float logits[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0}, inputs[4 * 2 * 2];
    for (int i = 0; i < 16; i++)
        inputs[i] = (float)i;
    snprintf(path, sizeof path, "%s/predictions.h5", dir);
    TRY(hs_store_predictions(path, 4, 3, (hs_shape){2, 2, 1}, index, label, logits, inputs));
}

static int read_file(const char *path)
{
    hs_checkpoint_head head;
    hs_dataset *set = NULL;
    double *filters = NULL;
    int a, b, c, d;
    hs_status first = hs_checkpoint_peek(path, &head);
    if (first == HS_OK)
        hs_checkpoint_head_free(&head);
    if (first == HS_OK)
        first = hs_checkpoint_filters(path, "conv1", &a, &b, &c, &d, &filters);
    hs_free(filters);
    printf("checkpoint: %s %s\n", hs_status_name(first), first == HS_OK ? "" : hs_fail_text());
    hs_status second = hs_dataset_hdf5(path, HS_SPLIT_TRAIN, &set);
    printf("data: %s %s\n", hs_status_name(second), second == HS_OK ? "" : hs_fail_text());
    if (second == HS_OK) {
        int64_t index[2] = {0, set->count - 1};
        float *pixels = calloc(2 * hs_shape_count(set->shape), sizeof *pixels);
        int32_t labels[2];
        second = hs_dataset_read(set, index, 2, pixels, labels);
        printf("read: %s %s %d classes\n", hs_status_name(second), second == HS_OK ? "" : hs_fail_text(), set->classes);
        free(pixels);
        hs_dataset_close(&set);
    }
    return first == HS_OK || second == HS_OK ? 0 : 65;
}

int main(int argc, char **argv)
{
    TRY(hs_store_start());
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return hs_status_exit_code(hs_store_check(argv[2], stdout, NULL));
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_file(argv[2]);
    if (argc != 2)
        return 2;
    run_steps(argv[1], -1, 0, 60);
    run_steps(argv[1], 40, 41, 100);
    checkpoint(argv[1], HS_F32, 10);
    checkpoint(argv[1], HS_F64, 20);
    predictions(argv[1]);
    return 0;
}
