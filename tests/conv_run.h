/* conv_run.h - one convolution, forward and backward, on a backend of one's choice: inputs and outputs as doubles, whatever they are stored
 * as. At an edge that is sealed a GPU in precision bf16 stores maps so. */
#ifndef CONV_RUN_H
#define CONV_RUN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"

enum { Y, DX, DTAPS, DBIAS, OUTPUTS, GUARD = 64 };

typedef struct numbers {
    size_t count;
    double *value;
    bool half; /* stored as bf16 */
} numbers;

typedef struct run {
    numbers x, taps, bias, dy, out[OUTPUTS];
} run;

static inline void must(hs_status st)
{
    if (st != HS_OK)
        fail_msg("%s: %s", hs_status_name(st), hs_fail_text());
}

static inline double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(float)((double)(*state >> 33) / 1073741824.0 - 1);
}

static inline numbers fresh(size_t count, uint64_t seed)
{
    numbers n = {count, calloc(count + 1, sizeof *n.value), false};
    assert_non_null(n.value);
    for (size_t i = 0; seed && i < count; i++)
        n.value[i] = draw(&seed);
    return n;
}

/* The upper half of a float, nearest, ties to even. */
static inline uint16_t to_half(double value)
{
    const float x = (float)value;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static inline double from_half(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* N samples. */
static inline run fresh_run(const hs_conv_desc *d, int samples)
{
    const size_t n = (size_t)samples, in = n * d->h * d->w * d->ci, out = n * d->oh * d->ow * d->co;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co, co = (size_t)d->co;
    return (run){fresh(in, 1), fresh(taps, 2), fresh(co, 3), fresh(out, 4), {fresh(out, 0), fresh(in, 0), fresh(taps, 0), fresh(co, 0)}};
}

static inline void free_run(run *r)
{
    numbers *all[] = {&r->x, &r->taps, &r->bias, &r->dy, &r->out[Y], &r->out[DX], &r->out[DTAPS], &r->out[DBIAS]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->value);
}

/* ---- one run on one device -------------------------------------------------------------------------------------------------- */

static inline void *to_device(hs_stream *s, const numbers *n)
{
    const hs_backend *b = s->device->backend;
    const size_t bytes = n->count * (n->half ? 2 : (size_t)b->real);
    char *host = calloc(bytes + GUARD, 1);
    void *memory = NULL;
    assert_non_null(host);
    for (size_t i = 0; i < n->count; i++)
        if (n->half)
            ((uint16_t *)(void *)host)[i] = to_half(n->value[i]);
        else if (b->real == HS_F32)
            ((float *)(void *)host)[i] = (float)n->value[i];
        else
            ((double *)(void *)host)[i] = n->value[i];
    memset(host + bytes, 0x5A, GUARD);
    must(b->memory->alloc(s->device, bytes + GUARD, &memory));
    must(b->memory->upload(s, memory, host, bytes + GUARD));
    free(host);
    return memory;
}

static inline void from_device(hs_stream *s, void *memory, numbers *n)
{
    const hs_backend *b = s->device->backend;
    const size_t bytes = n->count * (n->half ? 2 : (size_t)b->real);
    char *host = calloc(bytes + GUARD, 1);
    assert_non_null(host);
    must(b->memory->download(s, host, memory, bytes + GUARD));
    for (size_t i = 0; i < n->count; i++)
        n->value[i] = n->half                ? from_half(((uint16_t *)(void *)host)[i])
                      : b->real == HS_F32 ? (double)((float *)(void *)host)[i]
                                             : ((double *)(void *)host)[i];
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(host[bytes + i], 0x5A); /* nobody writes behind the end */
    free(host);
    b->memory->free(s->device, memory);
}

static inline void compute(hs_stream *s, const hs_conv_desc *d, int n, run *r)
{
    const hs_backend *b = s->device->backend;
    hs_conv *plan = NULL;
    void *saved = NULL, *scratch = NULL, *out[OUTPUTS];
    must(b->conv->plan(s->device, d, &plan));
    must(b->memory->alloc(s->device, b->conv->saved_bytes(plan) + 1, &saved));
    must(b->memory->alloc(s->device, b->conv->scratch_bytes(plan) + 1, &scratch));
    void *x = to_device(s, &r->x), *taps = to_device(s, &r->taps), *bias = to_device(s, &r->bias), *dy = to_device(s, &r->dy);
    for (int i = 0; i < OUTPUTS; i++)
        out[i] = to_device(s, &r->out[i]);
    must(b->conv->forward(s, plan, n, x, taps, bias, out[Y], saved, scratch));
    must(b->conv->backward(s, plan, n, x, taps, dy, d->need_dx ? out[DX] : NULL, out[DTAPS], out[DBIAS], saved, scratch));
    for (int i = 0; i < OUTPUTS; i++)
        from_device(s, out[i], &r->out[i]);
    void *rest[] = {x, taps, bias, dy, saved, scratch};
    for (int i = 0; i < 6; i++)
        b->memory->free(s->device, rest[i]);
    b->conv->destroy(&plan);
}

static inline void compute_on(const char *backend, const char *precision, const hs_conv_desc *d, int n, run *r)
{
    const hs_backend *b = NULL;
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = precision};
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    must(hs_backend_find(backend, &b));
    must(b->device->open(b, &options, &device));
    must(b->device->stream_create(device, &stream));
    const bool half = precision && strcmp(precision, "bf16") == 0;
    r->x.half = r->out[DX].half = half && d->sealed_in;
    r->dy.half = r->out[Y].half = half && d->sealed_out;
    compute(stream, d, n, r);
    b->device->stream_destroy(&stream);
    hs_device_close(&device);
}

/* ref has no fused rectifier: y is rectified here, and its dy is masked as SEEN, whose signs near zero may differ, says. */
static inline void reference(const hs_conv_desc *desc, int n, const run *seen, run *r)
{
    hs_conv_desc d = *desc;
    d.relu = false;
    for (size_t i = 0; desc->relu && i < r->dy.count; i++)
        r->dy.value[i] = seen->out[Y].value[i] > 0 ? r->dy.value[i] : 0;
    compute_on("ref", "double", &d, n, r);
    for (size_t i = 0; desc->relu && i < r->dy.count; i++)
        r->out[Y].value[i] = r->out[Y].value[i] > 0 ? r->out[Y].value[i] : 0;
}

/* ---- comparisons ------------------------------------------------------------------------------------------------------------ */

/* Relative, in the mean square. */
static inline double distance(const numbers *a, const numbers *b)
{
    double gap = 0, norm = 0;
    for (size_t i = 0; i < a->count; i++) {
        gap += (a->value[i] - b->value[i]) * (a->value[i] - b->value[i]);
        norm += b->value[i] * b->value[i];
    }
    return gap == 0 ? 0 : sqrt(gap / norm);
}

#endif
