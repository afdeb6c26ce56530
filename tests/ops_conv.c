/* ops_conv.c - cases of hs_conv_ops: both engines against the plain loops, every way an edge may lie. */
#include <math.h>
#include <stdio.h>

#include "hs_spectrum.h"
#include "op_cases.h"

typedef struct conv {
    int n;
    hs_conv_desc d;
} conv;

static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? (size_t)n * h * w * c : (size_t)hs_bins_count(h, w) * n * 2 * c;
}

static void *edge_in(op_run *run, const char *what, hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? op_in(run, what, count_of(domain, n, h, w, c), 1) : op_in_spectrum(run, what, n, h, w, c);
}

/* A full batch through the plan before the smaller one that is looked at: nothing of it may be left over. */
static hs_status run_full(op_run *run, const conv *p, hs_conv *plan, void *saved, void *scratch)
{
    const hs_conv_desc *d = &p->d;
    const hs_conv_ops *ops = op_backend(run)->conv;
    const int n = d->capacity;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co, real = (size_t)op_backend(run)->real;
    void *x = edge_in(run, "full x", d->in, n, d->h, d->w, d->ci), *w = op_in(run, "full taps", taps, 1);
    void *bias = op_in(run, "full bias", (size_t)d->co, 1), *dy = edge_in(run, "full dy", d->out, n, d->oh, d->ow, d->co);
    void *y = op_scratch(run, real * count_of(d->out, n, d->oh, d->ow, d->co));
    void *dx = d->need_dx ? op_scratch(run, real * count_of(d->in, n, d->h, d->w, d->ci)) : NULL;
    void *dtaps = op_scratch(run, real * taps), *dbias = op_scratch(run, real * d->co);
    HS_TRY(ops->forward(op_stream(run), plan, n, x, w, d->bias ? bias : NULL, y, saved, scratch));
    return ops->backward(op_stream(run), plan, n, ops->backward_reads_x(plan) ? x : NULL, w, dy, dx, dtaps, d->bias ? dbias : NULL, saved, scratch);
}

static hs_status run_planned(op_run *run, const conv *p, hs_conv *plan)
{
    const hs_conv_desc *d = &p->d;
    const hs_conv_ops *ops = op_backend(run)->conv;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co;
    void *scratch = op_scratch(run, ops->scratch_bytes(plan)), *saved = op_scratch(run, ops->saved_bytes(plan));
    if (p->n < d->capacity)
        HS_TRY(run_full(run, p, plan, saved, scratch));
    void *x = edge_in(run, "x", d->in, p->n, d->h, d->w, d->ci);
    op_slab(run, true);
    void *w = op_in(run, "taps", taps, 1), *bias = d->bias ? op_in(run, "bias", (size_t)d->co, 1) : NULL;
    op_slab(run, false);
    void *dy = edge_in(run, "dy", d->out, p->n, d->oh, d->ow, d->co);
    /* floors: sums of products of normal numbers; few of them may cancel by chance */
    op_floor(run, sqrt((double)d->kh * d->kw * d->ci));
    void *y = op_out(run, "y", OP_REAL, count_of(d->out, p->n, d->oh, d->ow, d->co));
    HS_TRY(ops->forward(op_stream(run), plan, p->n, x, w, bias, y, saved, scratch));
    op_floor(run, sqrt((double)d->kh * d->kw * d->co) / d->stride);
    void *dx = d->need_dx ? op_out(run, "dx", OP_REAL, count_of(d->in, p->n, d->h, d->w, d->ci)) : NULL;
    op_floor(run, sqrt((double)p->n * d->oh * d->ow));
    op_slab(run, true);
    void *dtaps = op_out(run, "dtaps", OP_REAL, taps), *dbias = d->bias ? op_out(run, "dbias", OP_REAL, (size_t)d->co) : NULL;
    return ops->backward(op_stream(run), plan, p->n, ops->backward_reads_x(plan) ? x : NULL, w, dy, dx, dtaps, dbias, saved, scratch);
}

static hs_status run_conv(op_run *run, const void *parameters)
{
    const conv *p = parameters;
    const hs_conv_ops *ops = op_backend(run)->conv;
    if (!ops->supports(op_device(run), &p->d))
        return op_skip(run);
    if (!(ops->cost(op_device(run), &p->d) > 0))
        return hs_fail(HS_EINTERNAL, "cost() must be positive");
    hs_conv *plan = NULL;
    HS_TRY(ops->plan(op_device(run), &p->d, &plan));
    hs_status st = run_planned(run, p, plan);
    ops->destroy(&plan);
    return st;
}

static void add_conv(op_suite *suite, conv p)
{
    hs_conv_desc *d = &p.d;
    d->oh = (d->h + d->stride - 1) / d->stride;
    d->ow = (d->w + d->stride - 1) / d->stride;
    d->pad_h = (d->kh - 1) / 2;
    d->pad_w = (d->kw - 1) / 2;
    op_case(suite, run_conv, &p, "conv %s n=%d/%d %dx%d ci=%d co=%d k=%dx%d s=%d %s %s>%s%s%s%s", d->engine == HS_ENGINE_FFT ? "fft" : "direct",
            p.n, d->capacity, d->h, d->w, d->ci, d->co, d->kh, d->kw, d->stride, d->boundary == HS_BOUNDARY_ZERO ? "zero" : "periodic",
            d->in == HS_SPACE ? "space" : "spectrum", d->out == HS_SPACE ? "space" : "spectrum", d->flip ? " flip" : "",
            d->bias ? " bias" : "", d->need_dx ? "" : " no-dx");
}

/* The same convolution through both engines. */
static void add_both(op_suite *suite, conv p)
{
    p.d.engine = HS_ENGINE_DIRECT;
    add_conv(suite, p);
    p.d.engine = HS_ENGINE_FFT;
    add_conv(suite, p);
}

/* Random, with the plain loops held under LIMIT multiply-adds by fewer channels. */
static conv random_conv(op_suite *suite, double limit)
{
    conv p = {.d = {.capacity = op_random(suite, 1, 5), .h = op_random(suite, 1, 33), .w = op_random(suite, 1, 33),
                    .ci = op_random(suite, 1, 40), .co = op_random(suite, 1, 40), .kh = op_random(suite, 1, 11),
                    .kw = op_random(suite, 1, 11), .stride = 1, .flip = op_random(suite, 0, 3) == 0, .bias = op_random(suite, 0, 1),
                    .need_dx = op_random(suite, 0, 3) != 0}};
    p.n = op_random(suite, 0, p.d.capacity);
    while ((double)p.n * p.d.h * p.d.w * p.d.kh * p.d.kw * p.d.ci * p.d.co > limit) {
        if (p.d.ci > 1)
            p.d.ci = (p.d.ci + 1) / 2;
        else if (p.d.co > 1)
            p.d.co = (p.d.co + 1) / 2;
        else
            break;
    }
    return p;
}

static void zero_boundary(op_suite *suite)
{
    op_topic(suite, "conv zero boundary");
    const int sides[][2] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {1, 3}, {3, 1}, {2, 5}, {7, 7}, {11, 11}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        add_both(suite, (conv){2, {.capacity = 3, .h = 9, .w = 12, .ci = 3, .co = 5, .kh = sides[i][0], .kw = sides[i][1], .stride = 1,
                                   .bias = i % 2, .need_dx = true, .flip = i % 3 == 2}});
    add_both(suite, (conv){0, {.capacity = 2, .h = 6, .w = 6, .ci = 2, .co = 3, .kh = 3, .kw = 3, .stride = 1, .bias = true, .need_dx = true}});
    add_both(suite, (conv){1, {.capacity = 1, .h = 1, .w = 1, .ci = 1, .co = 1, .kh = 3, .kw = 3, .stride = 1, .need_dx = true}});
    add_both(suite, (conv){2, {.capacity = 2, .h = 3, .w = 2, .ci = 2, .co = 2, .kh = 9, .kw = 9, .stride = 1, .need_dx = true}});
    add_both(suite, (conv){4, {.capacity = 4, .h = 28, .w = 28, .ci = 1, .co = 15, .kh = 10, .kw = 10, .stride = 1, .bias = true}});
    add_both(suite, (conv){2, {.capacity = 2, .h = 14, .w = 14, .ci = 32, .co = 40, .kh = 3, .kw = 3, .stride = 1, .bias = true, .need_dx = true}});
    const int channels[][2] = {{33, 39}, {17, 1}, {1, 33}, {40, 40}, {16, 31}, {3, 32}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        conv p = {1, {.capacity = 2, .h = 6, .w = 5, .ci = channels[i][0], .co = channels[i][1], .kh = 3, .kw = 3, .stride = 1, .bias = true, .need_dx = true}};
        add_both(suite, p);
        p.d.kh = p.d.kw = 1;
        add_both(suite, p);
    }
    for (int i = 0; i < 14; i++)
        add_both(suite, random_conv(suite, 2e6));
}

static void strides(op_suite *suite)
{
    op_topic(suite, "conv strides");
    for (int i = 0; i < 8; i++) {
        conv p = random_conv(suite, 2e6);
        p.d.stride = 2 + i % 4 / 3;
        p.d.boundary = i % 2 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO;
        add_both(suite, p);
    }
}

static void periodic(op_suite *suite)
{
    op_topic(suite, "conv periodic, every pair of domains");
    for (int i = 0; i < 24; i++) {
        conv p = random_conv(suite, 1e6);
        p.d.boundary = HS_BOUNDARY_PERIODIC;
        p.d.in = i & 1 ? HS_SPECTRUM : HS_SPACE;
        p.d.out = i & 2 ? HS_SPECTRUM : HS_SPACE;
        if (i >= 20) { /* filters larger than the plane wrap more than once */
            p.d.h = 1 + i % 3;
            p.d.w = 4;
        }
        add_both(suite, p);
    }
}

void ops_conv(op_suite *suite)
{
    zero_boundary(suite);
    strides(suite);
    periodic(suite);
}
