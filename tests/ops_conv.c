/* ops_conv.c - cases of hs_conv_ops: both engines against the plain loops, every way an edge may lie. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hs_spectrum.h"
#include "op_cases.h"

typedef struct conv {
    int n;
    hs_conv_desc d;
    bool nan; /* the first channel's bias is not a number */
} conv;

/* A convolution, with a rectifier behind it: in one if the backend does that, or for ref by itself, in space, with transforms around it. */
typedef struct way {
    hs_conv *plan;
    bool parts;
    hs_transform *transform;      /* parts, out = SPECTRUM */
    size_t count;                 /* numbers of the rectified map */
    void *before, *map, *gradient; /* parts: the map before and behind the rectifier */
    void *saved, *scratch, *transform_scratch;
} way;

static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? (size_t)n * h * w * c : (size_t)hs_bins_count(h, w) * n * 2 * c;
}

static void *edge_in(op_run *run, const char *what, hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? op_in(run, what, count_of(domain, n, h, w, c), 1) : op_in_spectrum(run, what, n, h, w, c);
}

/* The buffers to come are x or dx, y or dy. */
static void is_in(op_run *run, const hs_conv_desc *d)
{
    op_seal(run, d->sealed_in, d->in, d->h, d->w);
}

static void is_out(op_run *run, const hs_conv_desc *d)
{
    op_seal(run, d->sealed_out, d->out, d->oh, d->ow);
}

static void is_parameter(op_run *run)
{
    op_seal(run, false, HS_SPACE, 0, 0);
}

static hs_status forward(op_run *run, const way *w, int n, const void *x, const void *taps, const void *bias, void *y)
{
    const hs_backend *b = op_backend(run);
    if (!w->parts)
        return b->conv->forward(op_stream(run), w->plan, n, x, taps, bias, y, w->saved, w->scratch);
    HS_TRY(b->conv->forward(op_stream(run), w->plan, n, x, taps, bias, w->before, w->saved, w->scratch));
    op_kinks(run, w->count * (size_t)n, w->before);
    HS_TRY(b->element->relu_fwd(op_stream(run), w->count * (size_t)n, w->before, w->transform ? w->map : y));
    if (!w->transform)
        return b->memory->copy(op_stream(run), w->map, y, w->count * (size_t)n * b->real);
    return b->transform->forward(op_stream(run), w->transform, n, w->map, y, w->transform_scratch);
}

static hs_status backward(op_run *run, const way *w, int n, const void *x, const void *taps, const void *dy, void *dx, void *dtaps, void *dbias)
{
    const hs_backend *b = op_backend(run);
    const void *from = b->conv->backward_reads_x(w->plan) ? x : NULL, *gradient = dy;
    if (w->transform)
        HS_TRY(b->transform->inverse(op_stream(run), w->transform, n, dy, w->gradient, w->transform_scratch));
    if (w->parts) {
        HS_TRY(b->element->relu_bwd(op_stream(run), w->count * (size_t)n, w->map, w->transform ? w->gradient : dy, w->gradient));
        gradient = w->gradient;
    }
    return b->conv->backward(op_stream(run), w->plan, n, from, taps, gradient, dx, dtaps, dbias, w->saved, w->scratch);
}

/* A full batch through the plan before the smaller one that is looked at: nothing of it may be left over. */
static hs_status run_full(op_run *run, const conv *p, const way *way)
{
    const hs_conv_desc *d = &p->d;
    const int n = d->capacity;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co, real = (size_t)op_backend(run)->real;
    is_in(run, d);
    void *x = edge_in(run, "full x", d->in, n, d->h, d->w, d->ci);
    is_parameter(run);
    void *w = op_in(run, "full taps", taps, 1), *bias = op_in(run, "full bias", (size_t)d->co, 1);
    is_out(run, d);
    void *dy = edge_in(run, "full dy", d->out, n, d->oh, d->ow, d->co);
    void *y = op_scratch(run, real * count_of(d->out, n, d->oh, d->ow, d->co));
    void *dx = d->need_dx ? op_scratch(run, real * count_of(d->in, n, d->h, d->w, d->ci)) : NULL;
    void *dtaps = op_scratch(run, real * taps), *dbias = op_scratch(run, real * d->co);
    HS_TRY(forward(run, way, n, x, w, d->bias ? bias : NULL, y));
    return backward(run, way, n, x, w, dy, dx, dtaps, d->bias ? dbias : NULL);
}

static void *bias_of(op_run *run, const conv *p)
{
    double values[64];
    if (!p->nan)
        return op_in(run, "bias", (size_t)p->d.co, 1);
    for (int c = 0; c < p->d.co && c < 64; c++)
        values[c] = c == 0 ? NAN : op_normal(run, "bias", (size_t)c);
    return op_in_values(run, "bias", OP_REAL, (size_t)p->d.co, values);
}

static hs_status run_planned(op_run *run, const conv *p, const way *way)
{
    const hs_conv_desc *d = &p->d;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co;
    if (p->n < d->capacity)
        HS_TRY(run_full(run, p, way));
    is_in(run, d);
    void *x = edge_in(run, "x", d->in, p->n, d->h, d->w, d->ci);
    is_parameter(run);
    op_slab(run, true);
    void *w = op_in(run, "taps", taps, 1), *bias = d->bias ? bias_of(run, p) : NULL;
    op_slab(run, false);
    is_out(run, d);
    void *dy = edge_in(run, "dy", d->out, p->n, d->oh, d->ow, d->co);
    /* floors: sums of products of normal numbers; few of them may cancel by chance */
    op_floor(run, sqrt((double)d->kh * d->kw * d->ci));
    void *y = op_out(run, "y", OP_REAL, count_of(d->out, p->n, d->oh, d->ow, d->co));
    HS_TRY(forward(run, way, p->n, x, w, bias, y));
    op_floor(run, sqrt((double)d->kh * d->kw * d->co) / d->stride);
    is_in(run, d);
    void *dx = d->need_dx ? op_out(run, "dx", OP_REAL, count_of(d->in, p->n, d->h, d->w, d->ci)) : NULL;
    op_floor(run, sqrt((double)p->n * d->oh * d->ow));
    is_parameter(run);
    op_slab(run, true);
    void *dtaps = op_out(run, "dtaps", OP_REAL, taps), *dbias = d->bias ? op_out(run, "dbias", OP_REAL, (size_t)d->co) : NULL;
    return backward(run, way, p->n, x, w, dy, dx, dtaps, dbias);
}

static hs_status plan_parts(op_run *run, const hs_conv_desc *d, way *w)
{
    const hs_transform_ops *ops = op_backend(run)->transform;
    const size_t bytes = w->count * (size_t)d->capacity * op_backend(run)->real;
    w->before = op_scratch(run, bytes), w->map = op_scratch(run, bytes), w->gradient = op_scratch(run, bytes);
    if (d->out == HS_SPACE)
        return HS_OK;
    HS_TRY(ops->plan(op_device(run), d->capacity, d->oh, d->ow, d->co, &w->transform));
    w->transform_scratch = op_scratch(run, ops->scratch_bytes(w->transform));
    return HS_OK;
}

static hs_status run_conv(op_run *run, const void *parameters)
{
    const conv *p = parameters;
    const hs_conv_ops *ops = op_backend(run)->conv;
    hs_conv_desc d = p->d;
    way w = {.parts = d.relu && strcmp(op_backend(run)->name, "ref") == 0, .count = (size_t)d.oh * d.ow * d.co};
    d.relu = d.relu && !w.parts;
    d.out = w.parts ? HS_SPACE : d.out;
    if (!ops->supports(op_device(run), &d))
        return op_skip(run);
    if (d.engine == HS_ENGINE_DIRECT && (d.sealed_in || d.sealed_out) && ops->seals && !ops->seals(op_device(run), HS_SPACE))
        return op_skip(run);
    if (d.way && ops->ways && !(ops->ways(op_device(run), &d) >> (d.way - 1) & 1))
        return op_skip(run);
    if (!(ops->cost(op_device(run), &d) > 0))
        return hs_fail(HS_EINTERNAL, "cost() must be positive");
    HS_TRY(ops->plan(op_device(run), &d, &w.plan));
    w.scratch = op_scratch(run, ops->scratch_bytes(w.plan)), w.saved = op_scratch(run, ops->saved_bytes(w.plan));
    hs_status st = w.parts ? plan_parts(run, &p->d, &w) : HS_OK;
    if (st == HS_OK)
        st = run_planned(run, p, &w);
    if (w.transform)
        op_backend(run)->transform->destroy(&w.transform);
    ops->destroy(&w.plan);
    return st;
}

static void add_conv(op_suite *suite, conv p)
{
    hs_conv_desc *d = &p.d;
    char way[16] = "";
    if (d->way)
        snprintf(way, sizeof way, " way=%d", d->way);
    d->oh = (d->h + d->stride - 1) / d->stride;
    d->ow = (d->w + d->stride - 1) / d->stride;
    d->pad_h = (d->kh - 1) / 2;
    d->pad_w = (d->kw - 1) / 2;
    op_case(suite, run_conv, &p, "conv %s n=%d/%d %dx%d ci=%d co=%d k=%dx%d s=%d %s %s>%s%s%s%s%s%s%s%s", d->engine == HS_ENGINE_FFT ? "fft" : "direct",
            p.n, d->capacity, d->h, d->w, d->ci, d->co, d->kh, d->kw, d->stride, d->boundary == HS_BOUNDARY_ZERO ? "zero" : "periodic",
            d->in == HS_SPACE ? "space" : "spectrum", d->out == HS_SPACE ? "space" : "spectrum", d->flip ? " flip" : "",
            d->bias ? " bias" : "", d->need_dx ? "" : " no-dx", !d->relu ? "" : p.nan ? " relu nan" : " relu", d->sealed_in ? " sealed-in" : "",
            d->sealed_out ? " sealed-out" : "", way);
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
        add_both(suite, (conv){.n = 2, .d = {.capacity = 3, .h = 9, .w = 12, .ci = 3, .co = 5, .kh = sides[i][0], .kw = sides[i][1], .stride = 1,
                                   .bias = i % 2, .need_dx = true, .flip = i % 3 == 2}});
    add_both(suite, (conv){.n = 0, .d = {.capacity = 2, .h = 6, .w = 6, .ci = 2, .co = 3, .kh = 3, .kw = 3, .stride = 1, .bias = true,
                                        .need_dx = true}});
    add_both(suite, (conv){.n = 1, .d = {.capacity = 1, .h = 1, .w = 1, .ci = 1, .co = 1, .kh = 3, .kw = 3, .stride = 1, .need_dx = true}});
    add_both(suite, (conv){.n = 2, .d = {.capacity = 2, .h = 3, .w = 2, .ci = 2, .co = 2, .kh = 9, .kw = 9, .stride = 1, .need_dx = true}});
    add_both(suite, (conv){.n = 4, .d = {.capacity = 4, .h = 28, .w = 28, .ci = 1, .co = 15, .kh = 10, .kw = 10, .stride = 1, .bias = true}});
    add_both(suite, (conv){.n = 2, .d = {.capacity = 2, .h = 14, .w = 14, .ci = 32, .co = 40, .kh = 3, .kw = 3, .stride = 1, .bias = true,
                                        .need_dx = true}});
    const int channels[][2] = {{33, 39}, {17, 1}, {1, 33}, {40, 40}, {16, 31}, {3, 32}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        conv p = {.n = 1, .d = {.capacity = 2, .h = 6, .w = 5, .ci = channels[i][0], .co = channels[i][1], .kh = 3, .kw = 3, .stride = 1,
                                  .bias = true, .need_dx = true}};
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

/* What a backend that fuses must do: the cases above with a rectifier, in channels that leave lanes over and in whole lines. */
static void rectified(op_suite *suite)
{
    op_topic(suite, "conv with a rectifier");
    const int channels[][2] = {{3, 5}, {16, 16}, {1, 33}, {5, 48}, {20, 17}, {32, 64}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        add_both(suite, (conv){.n = i % 3, .d = {.capacity = 2, .h = 6, .w = 7, .ci = channels[i][0], .co = channels[i][1], .kh = 3, .kw = 3,
                                                   .stride = 1, .bias = i % 2, .need_dx = true, .relu = true}});
    for (int i = 0; i < 6; i++)
        add_both(suite, (conv){.n = 2, .d = {.capacity = 2, .h = 5, .w = 4, .ci = 3, .co = 17, .kh = 3, .kw = 3, .stride = 1, .bias = true,
                                               .need_dx = true, .relu = true, .boundary = i < 2 ? HS_BOUNDARY_ZERO : HS_BOUNDARY_PERIODIC,
                                   .out = i < 4 ? HS_SPACE : HS_SPECTRUM}, .nan = i % 2});
    for (int i = 0; i < 24; i++) {
        conv p = random_conv(suite, 3e5);
        p.d.relu = true;
        p.d.boundary = i % 3 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO;
        p.d.stride = i % 8 == 7 ? 2 : 1;
        p.d.in = p.d.stride == 1 && i % 3 && i & 4 ? HS_SPECTRUM : HS_SPACE;
        p.d.out = p.d.stride == 1 && i % 3 == 2 ? HS_SPECTRUM : HS_SPACE;
        add_both(suite, p);
    }
}

/* Every pair of edges, sealed or not, with and without rectifiers; grids of one pass and larger ones. */
static void sealed(op_suite *suite)
{
    op_topic(suite, "conv between sealed edges");
    const int channels[][2] = {{3, 5}, {1, 8}, {8, 16}, {20, 12}, {5, 1}, {16, 24}, {12, 33}}, sizes[][2] = {{6, 7}, {9, 4}, {45, 5}, {1, 3}, {5, 8}};
    for (int i = 0; i < 80; i++) {
        const bool zero = i % 5 == 0, large = i % 5 == 2;
        conv p = {.d = {.capacity = op_random(suite, 1, 3), .h = sizes[i % 5][0], .w = sizes[i % 5][1], .ci = channels[i % 7][0], .co = channels[i % 7][1],
                        .kh = op_random(suite, 1, 5), .kw = op_random(suite, 1, 5), .stride = 1, .flip = i % 6 == 1, .bias = i & 1, .need_dx = i % 9 != 7,
                        .relu = i / 16 % 2, .boundary = zero ? HS_BOUNDARY_ZERO : HS_BOUNDARY_PERIODIC,
                        .in = !zero && i & 8 && !(i & 4) ? HS_SPECTRUM : HS_SPACE, .out = !zero && !large && i & 4 ? HS_SPECTRUM : HS_SPACE,
                        .sealed_in = i & 1, .sealed_out = i & 2}};
        p.n = i % 11 == 3 ? 0 : op_random(suite, 1, p.d.capacity);
        add_both(suite, p);
    }
}

/* Filters of one tap, on maps and on single pixels, which are dense layers: every pair of edges by every way that a backend numbers. */
static void one_tap(op_suite *suite)
{
    op_topic(suite, "conv by one tap, each way");
    const int channels[][2] = {{64, 32}, {33, 10}, {7, 12}, {1, 9}, {200, 24}, {16, 100}}, edges = op_suite_is_half(suite) ? 4 : 1;
    for (int i = 0; i < 12; i++)
        for (int way = 1; way <= 5; way++)
            for (int edge = 0; edge < edges; edge++) {
                const bool pixel = i & 1, large = i % 6 == 2; /* more rows than a pass sums */
                conv p = {.n = i % 5 == 4 ? 0 : pixel ? 20 - i : 2,
                          .d = {.capacity = pixel ? 20 : 2 + i % 3, .h = pixel ? 1 : large ? 26 : 3, .w = pixel ? 1 : large ? 21 : 5,
                                .ci = channels[i % 6][0], .co = channels[i % 6][1], .kh = 1, .kw = 1, .stride = 1, .bias = i % 4 != 3,
                                .need_dx = i % 7 != 6, .relu = i >= 6,
                                .boundary = i % 3 == 2 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO, .sealed_in = edge & 1, .sealed_out = edge & 2,
                                .engine = HS_ENGINE_DIRECT, .way = way}};
                add_conv(suite, p);
            }
}

void ops_conv(op_suite *suite)
{
    zero_boundary(suite);
    strides(suite);
    periodic(suite);
    rectified(suite);
    one_tap(suite);
    if (op_suite_is_half(suite))
        sealed(suite);
}
