/* ops_pool.c - cases of the window pools and the global mean. */
#include "op_cases.h"

typedef struct pool {
    int n;
    hs_window w;
    bool special; /* NaN and infinities in x: max must not lose a NaN */
} pool;

static size_t in_count(const pool *p)
{
    return (size_t)p->n * p->w.h * p->w.w * p->w.c;
}

static size_t out_count(const pool *p)
{
    return (size_t)p->n * p->w.oh * p->w.ow * p->w.c;
}

static void edge_in(op_run *run, const pool *p)
{
    op_seal(run, p->w.sealed_in, HS_SPACE, p->w.h, p->w.w);
}

static void edge_out(op_run *run, const pool *p)
{
    op_seal(run, p->w.sealed_out, HS_SPACE, p->w.oh, p->w.ow);
}

/* Backward takes the winners that forward found. */
static hs_status run_max(op_run *run, const void *parameters)
{
    const pool *p = parameters;
    const hs_pool_ops *ops = op_backend(run)->pool;
    op_limit(run, 0, "numbers are copied");
    edge_in(run, p);
    void *x = p->special ? op_in_special(run, "x", in_count(p)) : op_in(run, "x", in_count(p), 1);
    edge_out(run, p);
    void *dy = op_in(run, "dy", out_count(p), 1), *y = op_out(run, "y", OP_REAL, out_count(p));
    uint8_t *arg = op_out(run, "arg", OP_BYTE, out_count(p));
    HS_TRY(ops->max_fwd(op_stream(run), &p->w, p->n, x, y, arg));
    op_limit_stored(run, p->w.sealed_in, 1e-6, "windows that overlap add up");
    edge_in(run, p);
    return ops->max_bwd(op_stream(run), &p->w, p->n, dy, arg, op_out(run, "dx", OP_REAL, in_count(p)));
}

static hs_status run_average(op_run *run, const void *parameters)
{
    const pool *p = parameters;
    const hs_pool_ops *ops = op_backend(run)->pool;
    op_floor(run, 1.0 / p->w.k);
    edge_in(run, p);
    void *x = op_in(run, "x", in_count(p), 1);
    op_limit_stored(run, p->w.sealed_out, 2e-6, "short sums");
    edge_out(run, p);
    void *dy = op_in(run, "dy", out_count(p), 1), *y = op_out(run, "y", OP_REAL, out_count(p));
    HS_TRY(ops->average_fwd(op_stream(run), &p->w, p->n, x, y));
    op_limit_stored(run, p->w.sealed_in, 2e-6, "short sums");
    edge_in(run, p);
    return ops->average_bwd(op_stream(run), &p->w, p->n, dy, op_out(run, "dx", OP_REAL, in_count(p)));
}

static hs_status run_global(op_run *run, const void *parameters)
{
    const pool *p = parameters;
    const hs_pool_ops *ops = op_backend(run)->pool;
    const hs_shape shape = {p->w.h, p->w.w, p->w.c};
    const size_t out = (size_t)p->n * shape.c;
    op_limit(run, 2e-6, "mean of one plane");
    op_floor(run, 0.03);
    void *x = op_in(run, "x", in_count(p), 1), *dy = op_in(run, "dy", out, 1);
    HS_TRY(ops->global_fwd(op_stream(run), shape, p->n, x, op_out(run, "y", OP_REAL, out)));
    op_floor(run, 0);
    return ops->global_bwd(op_stream(run), shape, p->n, dy, op_out(run, "dx", OP_REAL, in_count(p)));
}

static void add_pool(op_suite *suite, pool p)
{
    hs_window *w = &p.w;
    w->pad = (w->k - 1) / 2;
    w->oh = (w->h + w->stride - 1) / w->stride;
    w->ow = (w->w + w->stride - 1) / w->stride;
    const char *sealed = w->sealed_in && w->sealed_out ? " sealed" : w->sealed_in ? " sealed in" : w->sealed_out ? " sealed out" : "";
    op_case(suite, run_max, &p, "max n=%d %dx%dx%d k=%d s=%d%s%s", p.n, w->h, w->w, w->c, w->k, w->stride, p.special ? " special" : "", sealed);
    if (!p.special)
        op_case(suite, run_average, &p, "average n=%d %dx%dx%d k=%d s=%d%s", p.n, w->h, w->w, w->c, w->k, w->stride, sealed);
}

/* Every window up to the largest, channels that come in lines of 16 bytes and others. */
static void sealed_pools(op_suite *suite)
{
    static const int channels[] = {1, 3, 5, 8, 12, 20, 16, 7, 24};
    op_topic(suite, "window pools between sealed edges");
    for (int i = 0; i < 84; i++) {
        const int k = 2 + i % 14, stride = 1 + i % 3, n = i % 28 == 5 ? 0 : op_random(suite, 1, 3);
        add_pool(suite, (pool){n, {.h = op_random(suite, 1, 18), .w = op_random(suite, 1, 18), .c = channels[i % 9], .k = k, .stride = stride,
                                   .sealed_in = i / 2 & 1, .sealed_out = (i / 3 + i) & 1}, i % 5 == 0});
    }
}

void ops_pool(op_suite *suite)
{
    op_topic(suite, "window pools");
    for (int k = 1; k <= 5; k++)
        for (int stride = 1; stride <= 3; stride++)
            add_pool(suite, (pool){2, {.h = 7 + k, .w = 12 - k, .c = 3, .k = k, .stride = stride}, k == 3});
    add_pool(suite, (pool){0, {.h = 4, .w = 4, .c = 2, .k = 2, .stride = 2}, false});
    add_pool(suite, (pool){1, {.h = 1, .w = 1, .c = 1, .k = 2, .stride = 2}, false});
    add_pool(suite, (pool){1, {.h = 20, .w = 20, .c = 2, .k = 16, .stride = 5}, false}); /* the largest index, 255 */
    for (int i = 0; i < 10; i++)
        add_pool(suite, (pool){op_random(suite, 1, 4),
                               {.h = op_random(suite, 1, 33), .w = op_random(suite, 1, 33), .c = op_random(suite, 1, 40),
                                .k = op_random(suite, 1, 4), .stride = op_random(suite, 1, 3)}, i % 3 == 0});
    if (op_suite_is_half(suite))
        sealed_pools(suite);
    op_topic(suite, "global mean");
    for (int i = 0; i < 8; i++) {
        pool p = {i ? op_random(suite, 1, 4) : 0, {.h = op_random(suite, 1, 33), .w = op_random(suite, 1, 33), .c = op_random(suite, 1, 40)}, false};
        op_case(suite, run_global, &p, "global n=%d %dx%dx%d", p.n, p.w.h, p.w.w, p.w.c);
    }
}
