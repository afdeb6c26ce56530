/* ops_spool.c - cases of spectral pooling and frequency dropout. */
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

static hs_status pool_planned(op_run *run, const spool *p, hs_spool *plan)
{
    const hs_spool_desc *d = &p->d;
    const hs_pool_ops *ops = op_backend(run)->pool;
    void *scratch = op_scratch(run, ops->spectral_scratch_bytes(plan)), *saved = op_scratch(run, ops->spectral_saved_bytes(plan));
    void *x = edge_in(run, "x", d->in, p->n, d->h, d->w, d->c), *dy = edge_in(run, "dy", d->out, p->n, d->oh, d->ow, d->c);
    op_limit(run, 2e-6, "orthonormal, sums of one row and one column");
    op_floor(run, d->norm == HS_POOL_UNITARY ? 0.1 : 0.01);
    void *y = op_out(run, "y", OP_REAL, count_of(d->out, p->n, d->oh, d->ow, d->c));
    HS_TRY(ops->spectral_fwd(op_stream(run), plan, p->n, x, y, saved, scratch));
    void *dx = op_out(run, "dx", OP_REAL, count_of(d->in, p->n, d->h, d->w, d->c));
    return ops->spectral_bwd(op_stream(run), plan, p->n, dy, dx, saved, scratch);
}

static hs_status run_pool(op_run *run, const void *parameters)
{
    const spool *p = parameters;
    const hs_pool_ops *ops = op_backend(run)->pool;
    if (!ops->spectral_supports(op_device(run), &p->d))
        return op_skip(run);
    if (!(ops->spectral_cost(op_device(run), &p->d) > 0))
        return hs_fail(HS_EINTERNAL, "cost() must be positive");
    hs_spool *plan = NULL;
    HS_TRY(ops->spectral_plan(op_device(run), &p->d, &plan));
    hs_status st = pool_planned(run, p, plan);
    ops->spectral_destroy(&plan);
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
    op_limit(run, 2e-6, "a projection, sums of one row and one column");
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
    op_case(suite, run_pool, &p, "spool n=%d/%d %dx%d>%dx%d c=%d %s %s>%s", p.n, p.d.capacity, p.d.h, p.d.w, p.d.oh, p.d.ow, p.d.c,
            p.d.norm == HS_POOL_UNITARY ? "unitary" : "mean", domain_name(p.d.in), domain_name(p.d.out));
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
                                        flags & 1 ? HS_SPECTRUM : HS_SPACE, flags & 2 ? HS_SPECTRUM : HS_SPACE, false, false}, {0}});
    for (int i = 0; i < 16; i++) {
        int capacity = op_random(suite, 1, 4), h = op_random(suite, 1, 33), w = op_random(suite, 1, 33);
        add_pool(suite, (spool){op_random(suite, 0, capacity),
                                {capacity, h, w, op_random(suite, 1, 40), op_random(suite, 1, h), op_random(suite, 1, w), HS_POOL_UNITARY,
                                 i & 1 ? HS_SPECTRUM : HS_SPACE, i & 2 ? HS_SPECTRUM : HS_SPACE, false, false}, {0}});
    }
    op_topic(suite, "frequency dropout");
    for (int i = 0; i < 24; i++)
        add_lowpass(suite, (spool){i ? op_random(suite, 1, 4) : 0,
                                   {4, op_random(suite, 1, i < 12 ? 8 : 32), op_random(suite, 1, i < 12 ? 8 : 32), op_random(suite, 1, 20), 0, 0,
                                    HS_POOL_UNITARY, i & 1 ? HS_SPECTRUM : HS_SPACE, HS_SPACE, false, false}, {0}});
}
