/* op_buffers.c - the buffers of a case: a host image with sentinels and seeded numbers, and its copy on the device. */
#include "op_private.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_rng.h"
#include "hs_spectrum.h"

void op_must(hs_status st, const char *what)
{
    if (st == HS_OK)
        return;
    printf("Bail out! %s: %s\n", what, hs_fail_text());
    exit(99);
}

const hs_backend *op_backend(const op_run *run)
{
    return run->side->device->backend;
}

hs_device *op_device(const op_run *run)
{
    return run->side->device;
}

hs_stream *op_stream(const op_run *run)
{
    return run->side->stream;
}

void op_limit(op_run *run, double limit, const char *reason)
{
    run->limit = limit;
    run->reason = reason;
}

void op_floor(op_run *run, double floor)
{
    run->floor = floor;
}

void op_slab(op_run *run, bool on)
{
    run->slab = on;
}

void op_kinks(op_run *run, size_t count, const void *values)
{
    const double *v = values;
    double squares = 0, least = INFINITY;
    if (op_backend(run)->real != HS_F64)
        return;
    for (size_t i = 0; i < count; i++)
        if (isfinite(v[i])) {
            squares += v[i] * v[i];
            least = fabs(v[i]) < least && v[i] != 0 ? fabs(v[i]) : least; /* what is exactly zero stays so */
        }
    run->again = run->again || least < 1e-5 * sqrt(squares / (double)(count ? count : 1));
}

void op_seal(op_run *run, bool sealed, hs_domain domain, int h, int w)
{
    run->sealed = sealed && (domain == HS_SPACE || (h <= 40 && w <= 40));
}

void op_limit_stored(op_run *run, bool sealed, double limit, const char *reason)
{
    const bool wide = run->half && sealed && limit < 2e-3;
    op_limit(run, wide ? 2e-3 : limit, wide ? "stored as bf16" : reason);
}

hs_status op_skip(op_run *run)
{
    run->skipped = true;
    return HS_OK;
}

/* ---- buffers ------------------------------------------------------------------------------------------------------------------------ */

static size_t size_of(const op_run *run, op_kind kind)
{
    switch (kind) {
    case OP_REAL:
        return (size_t)op_backend(run)->real;
    case OP_DOUBLE:
        return sizeof(double);
    case OP_INT32:
        return sizeof(int32_t);
    case OP_HALF:
        return sizeof(uint16_t);
    default:
        return 1;
    }
}

/* A buffer whose host image SENT holds sentinels and garbage; upload makes it one of the device. */
static op_buffer *new_buffer(op_run *run, const char *what, op_role part, op_kind kind, size_t count)
{
    if (run->buffers == OP_BUFFERS)
        op_must(hs_fail(HS_EINTERNAL, "a case with more than %d buffers", OP_BUFFERS), what);
    op_buffer *b = &run->buffer[run->buffers++];
    const bool half = run->half && run->sealed && kind == OP_REAL;
    kind = half && op_backend(run)->real == HS_F32 ? OP_HALF : kind;
    *b = (op_buffer){.role = part, .kind = kind, .half = half, .count = count, .bytes = count * size_of(run, kind)};
    b->start = OP_GUARD + (run->slab ? size_of(run, kind) : 0);
    b->limit = run->limit, b->floor = run->floor, b->reason = run->reason;
    snprintf(b->what, sizeof b->what, "%s", what);
    const size_t all = op_extent(b);
    op_must(hs_calloc(all, 1, what, &b->sent), what);
    op_must(hs_calloc(all, 1, what, &b->back), what);
    op_must(op_backend(run)->memory->alloc(op_device(run), all, (void **)&b->memory), what);
    memset(b->sent, OP_SENTINEL, all);
    memset(b->sent + b->start, OP_GARBAGE, b->bytes);
    return b;
}

static void *upload(op_run *run, op_buffer *b)
{
    op_must(op_backend(run)->memory->upload(op_stream(run), b->memory, b->sent, op_extent(b)), b->what);
    return b->memory + b->start;
}

static void put_real(const op_run *run, op_buffer *b, size_t i, double value)
{
    value = b->half ? op_from_half(op_to_half(value)) : value;
    if (b->kind == OP_HALF)
        ((uint16_t *)(void *)(b->sent + b->start))[i] = op_to_half(value);
    else if (op_backend(run)->real == HS_F32)
        ((float *)(void *)(b->sent + b->start))[i] = (float)value;
    else
        ((double *)(void *)(b->sent + b->start))[i] = (float)value;
}

double op_number(const op_run *run, const op_buffer *b, const char *image, size_t i)
{
    const void *at = image + b->start;
    switch (b->kind) {
    case OP_REAL:
        return op_backend(run)->real == HS_F32 ? (double)((const float *)at)[i] : ((const double *)at)[i];
    case OP_DOUBLE:
        return ((const double *)at)[i];
    case OP_INT32:
        return ((const int32_t *)at)[i];
    case OP_HALF:
        return op_from_half(((const uint16_t *)at)[i]);
    default:
        return ((const uint8_t *)at)[i];
    }
}

double op_normal(const op_run *run, const char *what, size_t index)
{
    uint32_t key = (uint32_t)hs_hash64(what, strlen(what), 0);
    return hs_normal(hs_random(run->seed, HS_DRAW_TEST, key, 1, index));
}

static void fill_normal(const op_run *run, op_buffer *b, double scale)
{
    for (size_t i = 0; i < b->count; i++)
        put_real(run, b, i, scale * op_normal(run, b->what, i));
}

static void fill_special(const op_run *run, op_buffer *b)
{
    const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_MIN, 1e-30};
    const size_t kinds = sizeof special / sizeof *special;
    fill_normal(run, b, 1);
    for (size_t i = 0; i < b->count; i++) {
        hs_words draw = hs_random(run->seed, HS_DRAW_TEST, (uint32_t)hs_hash64(b->what, strlen(b->what), 0), 2, i);
        if (draw.w[0] % 4 == 0)
            put_real(run, b, i, special[draw.w[1] % kinds]);
    }
}

static void fill_values(const op_run *run, op_buffer *b, const void *values)
{
    if (b->kind != OP_REAL && b->kind != OP_HALF)
        memcpy(b->sent + b->start, values, b->bytes);
    else
        for (size_t i = 0; i < b->count; i++)
            put_real(run, b, i, ((const double *)values)[i]);
}

void *op_in(op_run *run, const char *what, size_t count, double scale)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_IN, OP_REAL, count);
    fill_normal(run, b, scale);
    return upload(run, b);
}

void *op_in_special(op_run *run, const char *what, size_t count)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_IN, OP_REAL, count);
    fill_special(run, b);
    return upload(run, b);
}

void *op_in_spectrum(op_run *run, const char *what, int n, int h, int w, int c)
{
    const int bins = hs_bins_count(h, w);
    op_buffer *b = new_buffer(run, what, OP_ROLE_IN, OP_REAL, (size_t)bins * n * 2 * c);
    fill_normal(run, b, 1);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        for (int i = 0; hs_bin_is_self(h, w, ky, kx) && i < n * c; i++)
            put_real(run, b, ((size_t)u * n + i / c) * 2 * c + c + i % c, 0);
    }
    return upload(run, b);
}

void *op_in_values(op_run *run, const char *what, op_kind kind, size_t count, const void *values)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_IN, kind, count);
    fill_values(run, b, values);
    return upload(run, b);
}

void *op_out(op_run *run, const char *what, op_kind kind, size_t count)
{
    return upload(run, new_buffer(run, what, OP_ROLE_OUT, kind, count));
}

void *op_inout(op_run *run, const char *what, size_t count, double scale)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_OUT, OP_REAL, count);
    fill_normal(run, b, scale);
    return upload(run, b);
}

void *op_inout_special(op_run *run, const char *what, size_t count)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_OUT, OP_REAL, count);
    fill_special(run, b);
    return upload(run, b);
}

void *op_inout_values(op_run *run, const char *what, op_kind kind, size_t count, const void *values)
{
    op_buffer *b = new_buffer(run, what, OP_ROLE_OUT, kind, count);
    fill_values(run, b, values);
    return upload(run, b);
}

void *op_scratch(op_run *run, size_t bytes)
{
    return upload(run, new_buffer(run, "scratch", OP_ROLE_SCRATCH, OP_BYTE, bytes));
}
