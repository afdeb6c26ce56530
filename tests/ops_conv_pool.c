/* ops_conv_pool.c - cases of a convolution with rectifier and max pool in one, against ref's three ops behind each other.
 *
 * Which number of a window wins is decided by the last bit where two are nearly equal, so the cases that look at gradients have inputs
 * of few bits, eighths and quarters: every product and sum is exact, in tf32 and bf16 too, equal numbers are many, and outputs must be
 * equal. Cases with numbers of full length look at y alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op_cases.h"

typedef enum kind { COARSE, FINE, NAN_BIAS, NAN_X } kind;
static const char *const kinds[] = {"", " fine", " bias nan", " x nan"};

typedef struct pooled {
    int n;
    hs_conv_desc d;
    kind kind;
} pooled;

/* The op, or for ref its parts with the maps between them. */
typedef struct way {
    hs_conv *plan;
    bool parts;
    hs_window window;
    size_t map; /* numbers of a sample's map */
    void *before, *behind, *arg, *gradient;
    void *saved, *scratch;
} way;

static void *numbers_in(op_run *run, const pooled *p, const char *what, size_t count, double unit)
{
    enum { MOST = 1 << 15 };
    static double values[MOST];
    if (p->kind == FINE || count > MOST)
        return op_in(run, what, count, 1);
    for (size_t i = 0; i < count; i++)
        values[i] = unit * fmax(-8, fmin(8, round(2 * op_normal(run, what, i))));
    if ((p->kind == NAN_BIAS && strcmp(what, "bias") == 0) || (p->kind == NAN_X && strcmp(what, "x") == 0))
        values[count / 3] = NAN;
    return op_in_values(run, what, OP_REAL, count, values);
}

static hs_status forward(op_run *run, const way *w, int n, const void *x, const void *taps, const void *bias, void *y)
{
    const hs_backend *b = op_backend(run);
    HS_TRY(b->conv->forward(op_stream(run), w->plan, n, x, taps, bias, w->parts ? w->before : y, w->saved, w->scratch));
    if (!w->parts)
        return HS_OK;
    HS_TRY(b->element->relu_fwd(op_stream(run), (size_t)n * w->map, w->before, w->behind));
    return b->pool->max_fwd(op_stream(run), &w->window, n, w->behind, y, w->arg);
}

static hs_status backward(op_run *run, const way *w, int n, const void *x, const void *taps, const void *dy, void *dtaps, void *dbias)
{
    const hs_backend *b = op_backend(run);
    if (w->parts) {
        HS_TRY(b->pool->max_bwd(op_stream(run), &w->window, n, dy, w->arg, w->gradient));
        HS_TRY(b->element->relu_bwd(op_stream(run), (size_t)n * w->map, w->behind, w->gradient, w->gradient));
        dy = w->gradient;
    }
    return b->conv->backward(op_stream(run), w->plan, n, x, taps, dy, NULL, dtaps, dbias, w->saved, w->scratch);
}

static hs_status run_planned(op_run *run, const pooled *p, const way *w)
{
    const hs_conv_desc *d = &p->d;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co, outputs = (size_t)d->ph * d->pw * d->co;
    const bool exact = p->kind != FINE;
    op_limit(run, exact ? 0 : 1e-5, exact ? "inputs of few bits" : "sums in single precision");
    op_floor(run, sqrt((double)d->kh * d->kw * d->ci));
    void *x = numbers_in(run, p, "x", (size_t)p->n * d->h * d->w * d->ci, 0.125);
    op_slab(run, true);
    void *f = numbers_in(run, p, "taps", taps, 0.25), *bias = d->bias ? numbers_in(run, p, "bias", (size_t)d->co, 0.125) : NULL;
    op_slab(run, false);
    void *y = op_out(run, "y", OP_REAL, (size_t)p->n * outputs), *dy = numbers_in(run, p, "dy", (size_t)p->n * outputs, 0.125);
    HS_TRY(forward(run, w, p->n, x, f, bias, y));
    if (p->kind == FINE || p->kind == NAN_X)
        return HS_OK;
    op_slab(run, true);
    void *dtaps = op_out(run, "dtaps", OP_REAL, taps), *dbias = d->bias ? op_out(run, "dbias", OP_REAL, (size_t)d->co) : NULL;
    return backward(run, w, p->n, x, f, dy, dtaps, dbias);
}

static void plan_parts(op_run *run, const hs_conv_desc *d, way *w)
{
    const size_t count = w->map * (size_t)d->capacity, real = (size_t)op_backend(run)->real;
    w->window = (hs_window){.h = d->oh, .w = d->ow, .c = d->co, .k = d->pool, .stride = d->pool_stride, .pad = (d->pool - 1) / 2,
                            .oh = d->ph, .ow = d->pw};
    w->before = op_scratch(run, count * real), w->behind = op_scratch(run, count * real), w->gradient = op_scratch(run, count * real);
    w->arg = op_scratch(run, (size_t)d->capacity * d->ph * d->pw * d->co);
}

static hs_status run_pooled(op_run *run, const void *parameters)
{
    const pooled *p = parameters;
    const hs_conv_ops *ops = op_backend(run)->conv;
    hs_conv_desc d = p->d;
    way w = {.parts = strcmp(op_backend(run)->name, "ref") == 0, .map = (size_t)d.oh * d.ow * d.co};
    if (w.parts)
        d.relu = false, d.pool = 0;
    if (!ops->supports(op_device(run), &d))
        return op_skip(run);
    if (!(ops->cost(op_device(run), &d) > 0))
        return hs_fail(HS_EINTERNAL, "cost() must be positive");
    HS_TRY(ops->plan(op_device(run), &d, &w.plan));
    w.scratch = op_scratch(run, ops->scratch_bytes(w.plan)), w.saved = op_scratch(run, ops->saved_bytes(w.plan));
    if (w.parts)
        plan_parts(run, &p->d, &w);
    hs_status st = run_planned(run, p, &w);
    ops->destroy(&w.plan);
    return st;
}

static void add_pooled(op_suite *suite, pooled p)
{
    hs_conv_desc *d = &p.d;
    d->engine = HS_ENGINE_DIRECT;
    d->stride = 1;
    d->relu = true;
    d->oh = d->h, d->ow = d->w;
    d->pad_h = (d->kh - 1) / 2, d->pad_w = (d->kw - 1) / 2;
    d->ph = (d->oh + d->pool_stride - 1) / d->pool_stride, d->pw = (d->ow + d->pool_stride - 1) / d->pool_stride;
    op_case(suite, run_pooled, &p, "conv pooled n=%d/%d %dx%d ci=%d co=%d k=%dx%d max %ds%d %s%s%s%s", p.n, d->capacity, d->h, d->w, d->ci,
            d->co, d->kh, d->kw, d->pool, d->pool_stride, d->boundary == HS_BOUNDARY_ZERO ? "zero" : "periodic", d->flip ? " flip" : "",
            d->bias ? " bias" : "", kinds[p.kind]);
}

static void shapes(op_suite *suite)
{
    op_topic(suite, "conv with rectifier and max pool");
    const int channels[] = {1, 5, 8, 20, 96}, pools[][2] = {{3, 2}, {2, 2}, {3, 1}, {3, 3}, {2, 1}, {5, 3}, {2, 3}, {4, 2}};
    const int sides[][2] = {{1, 1}, {3, 3}, {5, 5}, {7, 7}, {2, 4}, {11, 3}, {6, 6}};
    for (int i = 0; i < 28; i++)
        add_pooled(suite, (pooled){.n = 1 + i % 2, .d = {.capacity = 2, .h = 5 + i % 7, .w = 12 - i % 5, .ci = 1 + i % 4, .co = channels[i % 5],
                                       .kh = sides[i % 7][0], .kw = sides[i % 7][1], .pool = pools[i % 8][0], .pool_stride = pools[i % 8][1],
                                       .bias = i % 3, .flip = i % 4 == 3, .boundary = i % 5 < 2 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO}});
    /* several tiles either way, the last of them ragged; more samples than blocks take at once; smaller than any tile; no sample */
    add_pooled(suite, (pooled){.n = 2, .d = {.capacity = 3, .h = 33, .w = 37, .ci = 3, .co = 40, .kh = 3, .kw = 3, .pool = 3, .pool_stride = 2,
                                   .bias = true}});
    add_pooled(suite, (pooled){.n = 9, .d = {.capacity = 9, .h = 4, .w = 4, .ci = 2, .co = 3, .kh = 3, .kw = 3, .pool = 2, .pool_stride = 2,
                                   .bias = true}});
    add_pooled(suite, (pooled){.n = 1, .d = {.capacity = 1, .h = 3, .w = 70, .ci = 1, .co = 8, .kh = 3, .kw = 5, .pool = 3, .pool_stride = 1,
                                   .bias = true}});
    add_pooled(suite, (pooled){.n = 2, .d = {.capacity = 2, .h = 1, .w = 1, .ci = 1, .co = 1, .kh = 1, .kw = 1, .pool = 2, .pool_stride = 1}});
    add_pooled(suite, (pooled){.n = 0, .d = {.capacity = 2, .h = 6, .w = 6, .ci = 3, .co = 3, .kh = 3, .kw = 3, .pool = 3, .pool_stride = 2,
                                   .bias = true}});
    add_pooled(suite, (pooled){.n = 1, .d = {.capacity = 1, .h = 2, .w = 3, .ci = 2, .co = 4, .kh = 5, .kw = 5, .pool = 2, .pool_stride = 2,
                                   .boundary = HS_BOUNDARY_PERIODIC}});
}

static void numbers(op_suite *suite)
{
    op_topic(suite, "conv with rectifier and max pool: numbers of full length, and none");
    for (int i = 0; i < 8; i++)
        add_pooled(suite, (pooled){.n = 2, .kind = (kind)(1 + i % 3), .d = {.capacity = 2, .h = 10, .w = 9 + i, .ci = 3 - i % 2,
                                       .co = 12 + 4 * (i / 3), .kh = 3 + 2 * (i % 2), .kw = 3, .pool = 3 - i / 6, .pool_stride = 2, .bias = true,
                                       .boundary = i % 4 == 1 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO}});
}

void ops_conv_pool(op_suite *suite)
{
    shapes(suite);
    numbers(suite);
}
