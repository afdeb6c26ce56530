/* net_fixture.h - a network on a device with random samples, for the tests of src/net. Everything random is a function of a printed seed. */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hs_base.h"
#include "hs_net.h"
#include "hs_rng.h"

#define OK(call)                                                                                        \
    do {                                                                                                \
        hs_status ok_st_ = (call);                                                                      \
        if (ok_st_ != HS_OK)                                                                            \
            fail_msg("%s: %s: %s (%s)", #call, hs_status_name(ok_st_), hs_fail_text(), hs_fail_place()); \
    } while (0)

typedef struct fixture {
    hs_device *device;
    hs_stream *stream;
    hs_net *net;
    const hs_backend *backend;
    int n, classes;
    float *x;        /* [n][h][w][c], odd multiples of 2^-9 */
    int32_t *labels; /* [n] */
    hs_pass pass;
} fixture;

/* Seed of this run: HS_TEST_SEED if set, else the clock; printed, so that a failure can be run again. */
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

/* Uniform whole number 0 .. limit-1, number I of stream A. */
static inline uint32_t test_draw(uint32_t a, uint64_t i, uint32_t limit)
{
    return (uint32_t)(((uint64_t)hs_random(test_seed(), HS_DRAW_TEST, a, 0, i).w[0] * limit) >> 32);
}

static inline const hs_backend *backend_named(const char *name)
{
    for (const hs_backend *const *b = hs_backends(); *b; b++)
        if (strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

/* Open the device; create NOTATION, not yet planned. */
static inline void fixture_create(fixture *f, const hs_backend *backend, const char *notation, const hs_net_options *options, hs_shape in, int classes,
                                  int n)
{
    hs_device_options d = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = backend->real == HS_F64 ? "double" : "fp32"};
    *f = (fixture){.backend = backend, .n = n, .classes = classes};
    OK(backend->device->open(backend, &d, &f->device));
    OK(backend->device->stream_create(f->device, &f->stream));
    OK(hs_net_create(notation, options, in, classes, &f->net));
    size_t count = hs_shape_count(in);
    OK(hs_calloc((size_t)n * count + 1, sizeof *f->x, "samples", &f->x));
    OK(hs_calloc((size_t)n + 1, sizeof *f->labels, "labels", &f->labels));
    for (size_t i = 0; i < (size_t)n * count; i++)
        f->x[i] = (float)(2 * (int)test_draw(1, i, 512) - 511) / 512.0f; /* never 0, where ReLU has its kink */
    for (int i = 0; i < n; i++)
        f->labels[i] = (int32_t)test_draw(2, (uint64_t)i, (uint32_t)classes);
    f->pass = (hs_pass){.n = n, .first = 0, .global = n, .seed = test_seed(), .step = 3, .training = true};
}

static inline void fixture_plan(fixture *f)
{
    hs_plan_options p = {.capacity = f->n, .training = true, .mode = "estimate"};
    OK(hs_net_plan(f->net, f->device, f->stream, &p));
    OK(hs_net_init(f->net, f->stream));
}

static inline void fixture_destroy(fixture *f)
{
    hs_net_destroy(&f->net);
    f->backend->device->stream_destroy(&f->stream);
    f->backend->device->close(&f->device);
    hs_free(f->x);
    hs_free(f->labels);
}

/* Mean loss of the batch. */
static inline double fixture_loss(fixture *f)
{
    hs_loss_sums sums;
    OK(hs_net_forward(f->net, f->stream, &f->pass, f->x));
    OK(hs_net_loss(f->net, f->stream, &f->pass, f->labels, &sums));
    return sums.loss / (double)f->pass.global;
}

/* COUNT numbers of the backend's real as doubles. */
static inline void fixture_read(const fixture *f, const void *device, size_t count, double *out)
{
    OK(f->backend->memory->download(f->stream, out, device, count * f->backend->real));
    if (f->backend->real == HS_F32) {
        for (size_t i = count; i-- > 0;) {
            float narrow;
            memcpy(&narrow, (char *)out + i * sizeof narrow, sizeof narrow);
            out[i] = (double)narrow;
        }
    }
}

static inline void fixture_write(const fixture *f, const double *from, size_t count, void *device)
{
    if (f->backend->real == HS_F64) {
        OK(f->backend->memory->upload(f->stream, device, from, count * sizeof *from));
        return;
    }
    float *narrow = NULL;
    OK(hs_calloc(count + 1, sizeof *narrow, "numbers", &narrow));
    for (size_t i = 0; i < count; i++)
        narrow[i] = (float)from[i];
    OK(f->backend->memory->upload(f->stream, device, narrow, count * sizeof *narrow));
    hs_free(narrow);
}

/* The layers of the plan by their notation, transforms left out. */
static inline void fixture_rows(const hs_net *net, char *text)
{
    text[0] = '\0';
    for (int i = 0; i < hs_net_rows(net); i++) {
        hs_layer_row row;
        hs_net_row(net, i, &row);
        if (strcmp(row.notation, "-") != 0)
            strcat(strcat(text, row.notation), ", ");
    }
}

/* Replace the planner's decisions about domains by random ones that are legal where every convolution is periodic with stride 1: convolutions and
 * spectral pooling take any pair, frequency dropout equal ones. TEXT is changed into OUT [capacity]. */
static inline void random_domains(const char *text, char *out, size_t capacity)
{
    static const char *const names[] = {"space", "spectrum"};
    uint64_t draw = 0;
    size_t used = 0;
    out[0] = '\0';
    while (*text) {
        size_t name = strcspn(text, ":"), item = strcspn(text, ";") + 1;
        uint32_t in = test_draw(3, draw++, 2), to = test_draw(3, draw++, 2);
        if (strncmp(text, "fd", 2) == 0)
            to = in;
        if (strncmp(text, "modrelu", 7) == 0 || strncmp(text, "soft", 4) == 0)
            in = to = 1;
        used += (size_t)snprintf(out + used, capacity - used, "%.*s:%s>%s;", (int)name, text, names[in], names[to]);
        text += item;
    }
}

#endif
