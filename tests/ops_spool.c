/* ops_spool.c - cases of spectral pooling and frequency dropout. */
#include <string.h>

#include "hs_spectrum.h"
#include "op_cases.h"

typedef struct spool {
    int n;
    hs_spool_desc d;
    int32_t keep[16]; /* of lowpass: [n][2] */
} spool;

static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? (size_t)n * h * w * c : (size_t)hs_bins_count(h, w) * n * 2 * c;
}

static void *edge_in(op_run *run, const char *what, hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? op_in(run, what, count_of(domain, n, h, w, c), 1) : op_in_spectrum(run, what, n, h, w, c);
}

/* Spectral pooling, with rectifiers around it: in one if the backend does that, or for ref by itself, in space, with transforms around them. */
typedef struct way {
    const hs_spool_desc *d;
    hs_spool *plan;
    hs_transform *big, *small; /* parts */
    bool parts;
    size_t in, out;               /* numbers of a sample of the two maps */
    void *x, *kept, *y, *pooled;  /* parts: before and behind the first rectifier, before and behind the second */
    void *saved, *scratch, *work; /* WORK: of transforms */
} way;

static hs_status rectify(op_run *run, bool on, size_t count, const void *before, void *behind)
{
    const hs_backend *b = op_backend(run);
    if (!on)
        return b->memory->copy(op_stream(run), behind, before, count * b->real);
    op_kinks(run, count, before);
    return b->element->relu_fwd(op_stream(run), count, before, behind);
}

static hs_status mask(op_run *run, bool on, size_t count, const void *behind, void *gradient)
{
    return on ? op_backend(run)->element->relu_bwd(op_stream(run), count, behind, gradient, gradient) : HS_OK;
}

/* Between an edge, in whichever domain it lies, and its map. */
static hs_status to_map(op_run *run, const way *w, hs_transform *t, hs_domain domain, size_t count, int n, const void *edge, void *map)
{
    const hs_backend *b = op_backend(run);
    if (domain == HS_SPACE)
        return b->memory->copy(op_stream(run), map, edge, count * (size_t)n * b->real);
    return b->transform->inverse(op_stream(run), t, n, edge, map, w->work);
}

static hs_status from_map(op_run *run, const way *w, hs_transform *t, hs_domain domain, size_t count, int n, const void *map, void *edge)
{
    const hs_backend *b = op_backend(run);
    if (domain == HS_SPACE)
        return b->memory->copy(op_stream(run), edge, map, count * (size_t)n * b->real);
    return b->transform->forward(op_stream(run), t, n, map, edge, w->work);
}

static hs_status forward(op_run *run, const way *w, int n, const void *x, void *y)
{
    const hs_pool_ops *ops = op_backend(run)->pool;
    const size_t in = w->in * (size_t)n, out = w->out * (size_t)n;
    if (!w->parts)
        return ops->spectral_fwd(op_stream(run), w->plan, n, x, y, w->saved, w->scratch);
    HS_TRY(to_map(run, w, w->big, w->d->in, w->in, n, x, w->x));
    HS_TRY(rectify(run, w->d->relu_in, in, w->x, w->kept));
    HS_TRY(ops->spectral_fwd(op_stream(run), w->plan, n, w->kept, w->y, w->saved, w->scratch));
    HS_TRY(rectify(run, w->d->relu_out, out, w->y, w->pooled));
    return from_map(run, w, w->small, w->d->out, w->out, n, w->pooled, y);
}

static hs_status backward(op_run *run, const way *w, int n, const void *dy, void *dx)
{
    const hs_pool_ops *ops = op_backend(run)->pool;
    if (!w->parts)
        return ops->spectral_bwd(op_stream(run), w->plan, n, dy, dx, w->saved, w->scratch);
    HS_TRY(to_map(run, w, w->small, w->d->out, w->out, n, dy, w->y));
    HS_TRY(mask(run, w->d->relu_out, w->out * (size_t)n, w->pooled, w->y));
    HS_TRY(ops->spectral_bwd(op_stream(run), w->plan, n, w->y, w->x, w->saved, w->scratch));
    HS_TRY(mask(run, w->d->relu_in, w->in * (size_t)n, w->kept, w->x));
    return from_map(run, w, w->big, w->d->in, w->in, n, w->x, dx);
}

static hs_status pool_planned(op_run *run, const spool *p, const way *w)
{
    const hs_spool_desc *d = &p->d;
    op_seal(run, d->sealed_in, d->in, d->h, d->w);
    void *x = edge_in(run, "x", d->in, p->n, d->h, d->w, d->c);
    op_seal(run, d->sealed_out, d->out, d->oh, d->ow);
    void *dy = edge_in(run, "dy", d->out, p->n, d->oh, d->ow, d->c);
    op_limit(run, 5e-6, "orthonormal, sums of one row and one column");
    op_floor(run, d->norm == HS_POOL_UNITARY ? 0.1 : 0.01);
    void *y = op_out(run, "y", OP_REAL, count_of(d->out, p->n, d->oh, d->ow, d->c));
    HS_TRY(forward(run, w, p->n, x, y));
    op_seal(run, d->sealed_in, d->in, d->h, d->w);
    return backward(run, w, p->n, dy, op_out(run, "dx", OP_REAL, count_of(d->in, p->n, d->h, d->w, d->c)));
}

static hs_status plan_parts(op_run *run, way *w)
{
    const hs_transform_ops *ops = op_backend(run)->transform;
    const hs_spool_desc *d = w->d;
    const size_t real = (size_t)d->capacity * op_backend(run)->real;
    w->x = op_scratch(run, w->in * real), w->kept = op_scratch(run, w->in * real);
    w->y = op_scratch(run, w->out * real), w->pooled = op_scratch(run, w->out * real);
    HS_TRY(ops->plan(op_device(run), d->capacity, d->h, d->w, d->c, &w->big));
    HS_TRY(ops->plan(op_device(run), d->capacity, d->oh, d->ow, d->c, &w->small));
    const size_t a = ops->scratch_bytes(w->big), b = ops->scratch_bytes(w->small);
    w->work = op_scratch(run, a > b ? a : b);
    return HS_OK;
}

static void destroy(op_run *run, way *w)
{
    if (w->big)
        op_backend(run)->transform->destroy(&w->big);
    if (w->small)
        op_backend(run)->transform->destroy(&w->small);
    op_backend(run)->pool->spectral_destroy(&w->plan);
}

static hs_status run_pool(op_run *run, const void *parameters)
{
    const spool *p = parameters;
    const hs_pool_ops *ops = op_backend(run)->pool;
    hs_spool_desc d = p->d;
    way w = {.d = &p->d, .parts = (d.relu_in || d.relu_out) && strcmp(op_backend(run)->name, "ref") == 0, .in = (size_t)d.h * d.w * d.c,
             .out = (size_t)d.oh * d.ow * d.c};
    if (w.parts)
        d.in = d.out = HS_SPACE, d.relu_in = d.relu_out = false;
    if (!ops->spectral_supports(op_device(run), &d))
        return op_skip(run);
    if (!(ops->spectral_cost(op_device(run), &d) > 0))
        return hs_fail(HS_EINTERNAL, "cost() must be positive");
    HS_TRY(ops->spectral_plan(op_device(run), &d, &w.plan));
    w.scratch = op_scratch(run, ops->spectral_scratch_bytes(w.plan)), w.saved = op_scratch(run, ops->spectral_saved_bytes(w.plan));
    hs_status st = w.parts ? plan_parts(run, &w) : HS_OK;
    if (st == HS_OK)
        st = pool_planned(run, p, &w);
    destroy(run, &w);
    return st;
}

static hs_status run_lowpass(op_run *run, const void *parameters)
{
    const spool *p = parameters;
    const hs_spool_desc *d = &p->d;
    const hs_pool_ops *ops = op_backend(run)->pool;
    if (!ops->spectral_supports(op_device(run), d))
        return op_skip(run);
    hs_spool *plan = NULL;
    HS_TRY(ops->spectral_plan(op_device(run), d, &plan));
    void *scratch = op_scratch(run, ops->spectral_scratch_bytes(plan)), *x = edge_in(run, "x", d->in, p->n, d->h, d->w, d->c);
    void *keep = op_in_values(run, "keep", OP_INT32, 2 * (size_t)p->n, p->keep);
    op_limit(run, 5e-6, "a projection, sums of one row and one column");
    op_floor(run, 0.1);
    hs_status st = ops->lowpass(op_stream(run), plan, p->n, x, keep, op_out(run, "y", OP_REAL, count_of(d->in, p->n, d->h, d->w, d->c)), scratch);
    ops->spectral_destroy(&plan);
    return st;
}

static const char *domain_name(hs_domain domain)
{
    return domain == HS_SPACE ? "space" : "spectrum";
}

static void add_pool(op_suite *suite, spool p)
{
    op_case(suite, run_pool, &p, "spool n=%d/%d %dx%d>%dx%d c=%d %s %s%s%s>%s%s%s", p.n, p.d.capacity, p.d.h, p.d.w, p.d.oh, p.d.ow, p.d.c,
            p.d.norm == HS_POOL_UNITARY ? "unitary" : "mean", p.d.sealed_in ? "sealed " : "", domain_name(p.d.in), p.d.relu_in ? " relu" : "",
            p.d.relu_out ? "relu " : "", p.d.sealed_out ? "sealed " : "", domain_name(p.d.out));
}

/* Every pair of edges, sealed or not, in space or in the spectrum, with and without rectifiers; channels that leave lanes over and even lines;
 * maps of one pass and larger ones. */
static void sealed(op_suite *suite)
{
    op_topic(suite, "spectral pooling between sealed edges");
    const int sizes[][4] = {{4, 5, 3, 4}, {8, 7, 5, 6}, {9, 6, 6, 3}, {45, 6, 33, 5}, {6, 5, 6, 5}, {3, 44, 3, 43}}, channels[] = {1, 3, 8, 5, 12, 20, 40};
    for (int i = 0; i < 96; i++) {
        const int *size = sizes[(i / 16 + i) % 6], flags = i % 16, capacity = 1 + i % 3, relu = size[0] > 40 || size[1] > 40 ? 0 : i / 32;
        add_pool(suite, (spool){.n = i % 17 == 5 ? 0 : op_random(suite, 1, capacity),
                                .d = {.capacity = capacity, .h = size[0], .w = size[1], .c = channels[i % 7], .oh = size[2], .ow = size[3],
                                      .norm = i % 3 ? HS_POOL_MEAN : HS_POOL_UNITARY, .in = flags & 1 ? HS_SPECTRUM : HS_SPACE,
                                      .out = flags & 2 ? HS_SPECTRUM : HS_SPACE, .relu_in = relu & 1, .relu_out = relu & 2,
                                      .sealed_in = flags & 4, .sealed_out = flags & 8}});
    }
}

/* Every pair of domains and of rectifiers, sizes of every parity, channels that leave lanes over and whole lines; with OH = H a plain rectifier. */
static void rectified(op_suite *suite)
{
    op_topic(suite, "spectral pooling with rectifiers");
    const int sizes[][4] = {{4, 5, 3, 4}, {8, 7, 5, 6}, {9, 6, 6, 3}, {6, 5, 6, 5}, {37, 8, 29, 7}}, channels[] = {3, 16, 33, 48, 64};
    for (int i = 0; i < 60; i++) {
        const int *size = sizes[i % 5], flags = i % 12, capacity = 1 + i % 3;
        add_pool(suite, (spool){.n = i % 7 == 0 ? 0 : op_random(suite, 1, capacity),
                                .d = {.capacity = capacity, .h = size[0], .w = size[1], .c = channels[(i + i / 5) % 5], .oh = size[2], .ow = size[3],
                                      .norm = i % 2 ? HS_POOL_MEAN : HS_POOL_UNITARY, .in = flags & 1 ? HS_SPECTRUM : HS_SPACE,
                                      .out = flags & 2 ? HS_SPECTRUM : HS_SPACE, .relu_in = flags < 8, .relu_out = flags >= 4}});
    }
    for (int i = 0; i < 4; i++)
        add_pool(suite, (spool){.n = 1, .d = {.capacity = 1, .h = 32, .w = 32, .c = 5, .oh = 27, .ow = 27, .in = i & 1 ? HS_SPECTRUM : HS_SPACE,
                                              .out = i & 2 ? HS_SPECTRUM : HS_SPACE, .relu_in = true, .relu_out = true}});
}

static void add_lowpass(op_suite *suite, spool p)
{
    p.d.oh = p.d.h, p.d.ow = p.d.w, p.d.out = p.d.in;
    for (int i = 0; i < p.n; i++) {
        p.keep[2 * i] = op_random(suite, 1, p.d.h);
        p.keep[2 * i + 1] = op_random(suite, 1, p.d.w);
    }
    op_case(suite, run_lowpass, &p, "lowpass n=%d/%d %dx%d c=%d %s keep=%dx%d,..", p.n, p.d.capacity, p.d.h, p.d.w, p.d.c, domain_name(p.d.in),
            p.keep[0], p.keep[1]);
}

void ops_spool(op_suite *suite)
{
    op_topic(suite, "spectral pooling");
    const int sizes[][4] = {{1, 1, 1, 1}, {4, 4, 2, 2}, {4, 5, 3, 4}, {5, 4, 2, 3}, {8, 8, 5, 5}, {7, 9, 6, 4}, {6, 6, 6, 6}, {6, 5, 1, 1}, {32, 32, 27, 27}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int flags = 0; flags < 8; flags++)
            add_pool(suite, (spool){2, {3, sizes[i][0], sizes[i][1], 3, sizes[i][2], sizes[i][3], flags & 4 ? HS_POOL_MEAN : HS_POOL_UNITARY,
                                        flags & 1 ? HS_SPECTRUM : HS_SPACE, flags & 2 ? HS_SPECTRUM : HS_SPACE, false, false, false, false}, {0}});
    for (int i = 0; i < 16; i++) {
        int capacity = op_random(suite, 1, 4), h = op_random(suite, 1, 33), w = op_random(suite, 1, 33);
        add_pool(suite, (spool){op_random(suite, 0, capacity),
                                {capacity, h, w, op_random(suite, 1, 40), op_random(suite, 1, h), op_random(suite, 1, w), HS_POOL_UNITARY,
                                 i & 1 ? HS_SPECTRUM : HS_SPACE, i & 2 ? HS_SPECTRUM : HS_SPACE, false, false, false, false}, {0}});
    }
    rectified(suite);
    if (op_suite_is_half(suite))
        sealed(suite);
    op_topic(suite, "frequency dropout");
    for (int i = 0; i < 24; i++)
        add_lowpass(suite, (spool){i ? op_random(suite, 1, 4) : 0,
                                   {4, op_random(suite, 1, i < 12 ? 8 : 32), op_random(suite, 1, i < 12 ? 8 : 32), op_random(suite, 1, 20), 0, 0,
                                    HS_POOL_UNITARY, i & 1 ? HS_SPECTRUM : HS_SPACE, HS_SPACE, false, false, false, false}, {0}});
}
