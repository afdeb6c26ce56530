/* optim_test.h - an optimizer on a made-up parameter table, without a network: slabs on backend `ref`, whose memory the host may read. */
#ifndef OPTIM_TEST_H
#define OPTIM_TEST_H

#include <string.h>

#include "../src/optim/optim_internal.h"
#include "hs_base.h"
#include "hs_spectrum.h"
#include "spectrum_test.h"

enum { BENCH_PARAMS = 8, BENCH_ROTATION_SEED = 11 };

typedef struct bench {
    const hs_backend *backend;
    hs_device *device;
    hs_stream *stream;
    hs_param param[BENCH_PARAMS];
    hs_optim_target target;
    hs_optim *optim;
    double *slab, *gradients; /* of ref: doubles that the host may touch */
} bench;

static inline hs_status bench_rotation(void *context, const hs_param *param, double *synthesis)
{
    (void)context;
    hs_arm_shape shape = {.arm = param->arm, .kh = param->kh, .kw = param->kw, .in = param->in, .seed = BENCH_ROTATION_SEED};
    return hs_arm_matrices(&shape, synthesis, NULL);
}

static inline void bench_open(bench *b, const hs_backend *backend)
{
    *b = (bench){.backend = backend};
    hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = backend->real == HS_F64 ? "double" : "fp32"};
    assert_int_equal(backend->device->open(backend, &options, &b->device), HS_OK);
    assert_int_equal(backend->device->stream_create(b->device, &b->stream), HS_OK);
    b->target.rotation = bench_rotation;
}

static inline hs_param *bench_add(bench *b, const char *layer, hs_role role, int in, int out)
{
    hs_param *p = &b->param[b->target.params_count++];
    *p = (hs_param){.role = role, .offset = b->target.numbers, .in = in, .out = out, .kh = 1, .kw = 1, .coords = 1};
    snprintf(p->layer, sizeof p->layer, "%s", layer);
    p->count = (size_t)in * out;
    b->target.numbers += p->count;
    return p;
}

static inline hs_param *bench_filter(bench *b, const char *layer, hs_arm arm, int kh, int kw, int in, int out)
{
    hs_param *p = bench_add(b, layer, HS_ROLE_FILTER, in, out);
    p->arm = arm;
    p->kh = kh;
    p->kw = kw;
    p->coords = hs_arm_coords(arm, kh, kw);
    b->target.numbers += (size_t)(p->coords - 1) * p->count;
    p->count *= (size_t)p->coords;
    return p;
}

/* Slabs, and the optimizer for CONFIG. */
static inline void bench_ready(bench *b, const hs_optim_config *config)
{
    size_t bytes = b->target.numbers * (size_t)b->backend->real;
    b->target.params = b->param;
    assert_int_equal(b->backend->memory->alloc(b->device, bytes, &b->target.slab), HS_OK);
    assert_int_equal(b->backend->memory->alloc(b->device, bytes, &b->target.gradients), HS_OK);
    b->slab = b->target.slab;
    b->gradients = b->target.gradients;
    assert_int_equal(hs_optim_create_on(config, &b->target, b->device, b->stream, &b->optim), HS_OK);
}

static inline void bench_close(bench *b)
{
    hs_optim_destroy(&b->optim);
    b->backend->memory->free(b->device, b->target.slab);
    b->backend->memory->free(b->device, b->target.gradients);
    b->backend->device->stream_destroy(&b->stream);
    b->backend->device->close(&b->device);
}

/* S and A of a filter as they act on the slab's [cols][n] block, whatever the arm mixes. */
typedef struct bench_map {
    int rows, cols, n;
    double *synthesis, *analysis;
} bench_map;

static inline bench_map map_of(const hs_param *p)
{
    hs_arm_shape shape = {.arm = p->arm, .kh = p->kh, .kw = p->kw, .in = p->in, .seed = BENCH_ROTATION_SEED};
    bench_map map;
    hs_arm_size(&shape, &map.rows, &map.cols);
    map.n = (int)(p->count / (size_t)map.cols);
    map.synthesis = doubles((size_t)map.rows * map.cols);
    map.analysis = doubles((size_t)map.rows * map.cols);
    assert_int_equal(hs_arm_matrices(&shape, map.synthesis, map.analysis), HS_OK);
    return map;
}

static inline void map_drop(bench_map *map)
{
    free(map->synthesis);
    free(map->analysis);
}

/* OUT [rows][n] = M X, or M^T X with M [x's rows][rows]. */
static inline void product(const double *m, int rows, int cols, bool transposed, int n, const double *x, double *out)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int c = 0; c < cols; c++)
                sum += (transposed ? m[(size_t)c * rows + r] : m[(size_t)r * cols + c]) * x[(size_t)c * n + j];
            out[(size_t)r * n + j] = sum;
        }
}

/* Taps [tap][in][out] of the slab's coordinates, coordinates of taps, and gradients of taps as gradients of coordinates. */
static inline void to_taps(const bench_map *m, const double *coords, double *taps)
{
    product(m->synthesis, m->rows, m->cols, false, m->n, coords, taps);
}
static inline void to_coords(const bench_map *m, const double *taps, double *coords)
{
    product(m->analysis, m->cols, m->rows, false, m->n, taps, coords);
}
static inline void pull_back(const bench_map *m, const double *taps, double *coords)
{
    product(m->synthesis, m->cols, m->rows, true, m->n, taps, coords);
}

static inline hs_optim_config plain_config(hs_optim_kind kind)
{
    return (hs_optim_config){.kind = kind, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.01, .sobolev_p = 1.0,
                             .l1_kind = HS_PENALTY_L1_MODULUS, .l1_prox = true,
                             .schedule = {.kind = HS_RATE_CONSTANT, .base = 0.1}};
}

extern const hs_backend hs_backend_ref, hs_backend_ref32;

#endif
