/* store_fixture.h - a made-up training state with filters of every arm and shape, for the tests of src/store. All numbers follow
 * from a printed seed. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hs_base.h"
#include "hs_rng.h"
#include "hs_spectrum.h"
#include "hs_store.h"

#define OK(call)                                                                                             \
    do {                                                                                                     \
        hs_status ok_st_ = (call);                                                                           \
        if (ok_st_ != HS_OK)                                                                                 \
            fail_msg("%s: %s: %s (%s)", #call, hs_status_name(ok_st_), hs_fail_text(), hs_fail_place()); \
    } while (0)

static inline uint64_t test_seed(void)
{
    static uint64_t seed;
    if (seed == 0) {
        const char *text = getenv("HS_TEST_SEED");
        seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) + 1;
        printf("# HS_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

static inline uint64_t test_draw(uint32_t a, uint64_t i, uint64_t limit)
{
    hs_words w = hs_random(test_seed(), HS_DRAW_TEST, a, 0, i);
    return (((uint64_t)w.w[0] << 32) | w.w[1]) % limit;
}

/* The last test of a program: everything that hs_calloc gave is back. */
static inline void no_leaks(void **state)
{
    (void)state;
    assert_int_equal(hs_live_blocks(), 0);
}

/* ---- directories ----------------------------------------------------------------------------------------------------------- */

static inline char *scratch_make(void)
{
    static char path[64]; /* short, so that paths built on it fit their buffers */
    const char *folder = getenv("TMPDIR");
    if (!folder || !folder[0] || strlen(folder) > 40)
        folder = P_tmpdir;
    snprintf(path, sizeof path, "%.40s/hs-store-XXXXXX", folder);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void scratch_remove(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

/* ---- parameters ------------------------------------------------------------------------------------------------------------ */

enum { FILTERS = 8, PARAMS = FILTERS + 6, STATISTICS = 2 };

typedef struct model {
    hs_real real;
    hs_param param[PARAMS], statistic[STATISTICS];
    size_t count, statistic_count;
    void *slab, *m, *v, *statistics;
    hs_checkpoint ck;
} model;

static inline void add_param(hs_param *p, size_t *at, const char *layer, const char *name, hs_role role, int out, int in, int kh,
                             int kw, hs_arm arm)
{
    *p = (hs_param){.role = role, .offset = *at, .out = out, .in = in, .kh = kh, .kw = kw, .arm = arm, .coords = 1};
    snprintf(p->layer, sizeof p->layer, "%s", layer);
    snprintf(p->name, sizeof p->name, "%s", name);
    if (role == HS_ROLE_FILTER)
        p->coords = hs_arm_coords(arm, kh, kw);
    p->count = (size_t)out * (size_t)in * (size_t)p->coords;
    *at += p->count;
}

static inline void model_params(model *m)
{
    static const struct {
        int out, in, kh, kw;
        hs_arm arm;
    } f[FILTERS] = {{4, 3, 3, 3, HS_ARM_SPATIAL},      {5, 4, 5, 5, HS_ARM_SPECTRAL}, {3, 2, 4, 4, HS_ARM_HALF_RAW},
                    {2, 3, 3, 5, HS_ARM_FULL_COMPLEX}, {3, 2, 4, 3, HS_ARM_ROTATION}, {2, 3, 3, 3, HS_ARM_SPECTRAL3D},
                    {3, 1, 2, 6, HS_ARM_SPECTRAL},     {2, 2, 1, 1, HS_ARM_SPECTRAL}};
    hs_param *p = m->param;
    for (int i = 0; i < FILTERS; i++) {
        char layer[16];
        snprintf(layer, sizeof layer, "conv%d", i + 1);
        add_param(p++, &m->count, layer, "weight", HS_ROLE_FILTER, f[i].out, f[i].in, f[i].kh, f[i].kw, f[i].arm);
    }
    add_param(p++, &m->count, "conv9", "threshold", HS_ROLE_THRESHOLD, 7, 1, 1, 1, 0);
    add_param(p++, &m->count, "bn1", "gamma", HS_ROLE_SCALE, 5, 1, 1, 1, 0);
    add_param(p++, &m->count, "bn1", "beta", HS_ROLE_SHIFT, 5, 1, 1, 1, 0);
    add_param(p++, &m->count, "fc1", "weight", HS_ROLE_DENSE, 10, 12, 1, 1, 0);
    add_param(p++, &m->count, "fc1", "bias", HS_ROLE_BIAS, 10, 1, 1, 1, 0);
    add_param(p++, &m->count, "conv1", "bias", HS_ROLE_BIAS, 4, 1, 1, 1, 0);
    add_param(&m->statistic[0], &m->statistic_count, "bn1", "mean", HS_ROLE_STATISTIC, 5, 1, 1, 1, 0);
    add_param(&m->statistic[1], &m->statistic_count, "bn1", "var", HS_ROLE_STATISTIC, 5, 1, 1, 1, 0);
}

/* What a network's callback does: taps by the arm's matrix, then orthonormal coordinates. CONTEXT unused. */
static inline hs_status model_spectrum(void *context, const hs_param *p, const double *coords, double *spectrum)
{
    (void)context;
    hs_arm_shape shape = {.arm = p->arm, .kh = p->kh, .kw = p->kw, .in = p->in, .seed = 1};
    int rows, cols, in = p->in, out = p->out, taps = p->kh * p->kw;
    bool whole = p->arm == HS_ARM_SPECTRAL3D; /* its matrix maps [tap][in] of one out-channel */
    double *matrix = NULL, plane[64], scratch[128];
    hs_arm_size(&shape, &rows, &cols);
    HS_TRY(hs_calloc((size_t)rows * (size_t)cols, sizeof *matrix, "matrix", &matrix));
    hs_status st = hs_arm_matrices(&shape, matrix, NULL);
    for (int o = 0; st == HS_OK && o < out; o++)
        for (int i = 0; i < in; i++) {
            for (int t = 0; t < taps; t++) {
                const double *row = matrix + (size_t)(whole ? t * in + i : t) * (size_t)cols;
                plane[t] = 0.0;
                for (int c = 0; c < cols; c++)
                    plane[t] += row[c] * (whole ? coords[c * out + o] : coords[(c * in + i) * out + o]);
            }
            hs_plane_to_coords(p->kh, p->kw, plane, spectrum + (size_t)(o * in + i) * (size_t)taps, scratch);
        }
    hs_free(matrix);
    return st;
}

static inline void fill(hs_real real, void *slab, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) {
        double x = hs_normal(hs_random(test_seed(), HS_DRAW_TEST, stream, 1, i)) * (i % 7 == 0 ? 0.0 : 0.3);
        if (real == HS_F64)
            ((double *)slab)[i] = x;
        else
            ((float *)slab)[i] = (float)x;
    }
}

static inline model *model_make(hs_real real, uint32_t stream)
{
    model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->real = real;
    model_params(m);
    m->slab = calloc(m->count, real);
    m->m = calloc(m->count, real);
    m->v = calloc(m->count, real);
    m->statistics = calloc(m->statistic_count, real);
    fill(real, m->slab, m->count, stream);
    fill(real, m->m, m->count, stream + 1);
    fill(real, m->v, m->count, stream + 2);
    fill(real, m->statistics, m->statistic_count, stream + 3);
    m->ck = (hs_checkpoint){.real = real,
                            .param = m->param,
                            .params = PARAMS,
                            .statistic = m->statistic,
                            .statistics = STATISTICS,
                            .parameters = {"", m->slab, m->count},
                            .statistics_slab = {"", m->statistics, m->statistic_count},
                            .moment = {{"m", m->m, m->count}, {"v", m->v, m->count}},
                            .moments = 2,
                            .optimizer = "adam",
                            .notation = "C4k3 R F10",
                            .in = {28, 27, 3},
                            .classes = 10,
                            .spectrum = model_spectrum};
    m->ck.state = (hs_state){.step = 10,
                             .epoch = 1,
                             .position = 77,
                             .seed = UINT64_MAX - 5,
                             .best_error = 0.125,
                             .best_step = 8,
                             .elapsed = 12.5,
                             .plateau_best = INFINITY,
                             .plateau_scale = 0.1,
                             .plateau_bad = 3,
                             .adam_t = 10,
                             .window = {0.1, -0.0, 1e-300},
                             .window_count = 3};
    return m;
}

static inline void model_free(model *m)
{
    free(m->slab);
    free(m->m);
    free(m->v);
    free(m->statistics);
    free(m);
}

static inline void model_clear(model *m)
{
    memset(m->slab, 0xff, m->count * m->real);
    memset(m->m, 0xff, m->count * m->real);
    memset(m->v, 0xff, m->count * m->real);
    memset(m->statistics, 0xff, m->statistic_count * m->real);
    memset(&m->ck.state, 0xff, sizeof m->ck.state);
}

static inline bool model_equal(const model *a, const model *b)
{
    return memcmp(a->slab, b->slab, a->count * a->real) == 0 && memcmp(a->m, b->m, a->count * a->real) == 0 &&
           memcmp(a->v, b->v, a->count * a->real) == 0 && memcmp(a->statistics, b->statistics, a->statistic_count * a->real) == 0 &&
           memcmp(&a->ck.state, &b->ck.state, sizeof a->ck.state) == 0;
}

static inline hs_provenance provenance_make(void)
{
    static const char *const host[] = {"n1", "n1", "n2"};
    return (hs_provenance){.version = "0.1.0",
                           .commit = "abc",
                           .argv = "halfspec train",
                           .config_text = "net = C4k3\nseed = 1\n",
                           .config_json = "{}",
                           .build = "gcc",
                           .libraries = "HDF5",
                           .dataset = "synthetic:8,4,4,1,2",
                           .dataset_digest = "00",
                           .precision = "fp32",
                           .device = "cpu",
                           .notation = "C4k3 R F10",
                           .slurm_job = "",
                           .hosts = host,
                           .world_size = 3,
                           .seed = 1,
                           .date = "2026-01-01T00:00:00Z"};
}

/* Bytes of a file; freed with hs_free. */
static inline char *slurp(const char *path, size_t *bytes)
{
    char *data = NULL;
    OK(hs_file_read(path, (size_t)1 << 30, &data, bytes));
    return data;
}

static inline void spill_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

#endif
