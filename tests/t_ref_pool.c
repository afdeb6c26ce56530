/* t_ref_pool.c - pooling of `ref` by its properties: windows, the mean of a plane, spectral pooling and frequency dropout. */
#include "ref_help.h"

#include "hs_spectrum.h"

/* ---- windows ------------------------------------------------------------------------------------------------------------------------ */

typedef struct pool {
    int n;
    hs_window w;
    size_t x, y;
} pool;

static pool pool_random(void)
{
    pool p = {pick(1, 2), {.h = pick(1, 9), .w = pick(1, 9), .c = pick(1, 3), .k = pick(1, 4), .stride = pick(1, 3)}, 0, 0};
    p.w.pad = (p.w.k - 1) / 2;
    p.w.oh = (p.w.h + p.w.stride - 1) / p.w.stride;
    p.w.ow = (p.w.w + p.w.stride - 1) / p.w.stride;
    p.x = (size_t)p.n * p.w.h * p.w.w * p.w.c;
    p.y = (size_t)p.n * p.w.oh * p.w.ow * p.w.c;
    return p;
}

static void max_of(void *context, const double *x, double *y)
{
    const pool *p = context;
    uint8_t *arg = malloc(p->y);
    assert_non_null(arg);
    assert_ok(ref->pool->max_fwd(stream, &p->w, p->n, x, y, arg));
    free(arg);
}

static void average_of(void *context, const double *x, double *y)
{
    const pool *p = context;
    assert_ok(ref->pool->average_fwd(stream, &p->w, p->n, x, y));
}

static void global_of(void *context, const double *x, double *y)
{
    const pool *p = context;
    assert_ok(ref->pool->global_fwd(stream, (hs_shape){p->w.h, p->w.w, p->w.c}, p->n, x, y));
}

/* Straight from the definition: the greatest, and the mean, of the window's cells that exist. */
static void windows_are_the_definition(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        pool p = pool_random();
        const hs_window *w = &p.w;
        double *x = normals(p.x), *top = zeros(p.y), *mean = zeros(p.y);
        max_of(&p, x, top);
        average_of(&p, x, mean);
        for (size_t at = 0; at < p.y; at++) {
            int c = (int)(at % w->c), ox = (int)(at / w->c % w->ow), oy = (int)(at / w->c / w->ow % w->oh), i = (int)(at / w->c / w->ow / w->oh);
            double best = -1e300, sum = 0, cells = 0;
            for (int y = oy * w->stride - w->pad; y < oy * w->stride - w->pad + w->k; y++)
                for (int col = ox * w->stride - w->pad; col < ox * w->stride - w->pad + w->k; col++) {
                    if (y < 0 || y >= w->h || col < 0 || col >= w->w)
                        continue;
                    double v = x[((size_t)(i * w->h + y) * w->w + col) * w->c + c];
                    best = v > best ? v : best;
                    sum += v;
                    cells++;
                }
            assert_near(top[at], best, 0);
            assert_near(mean[at], sum / cells, 1e-13);
        }
        free(x), free(top), free(mean);
    }
}

static void window_gradients_are_central_differences(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        pool p = pool_random();
        const size_t rows = (size_t)p.n * p.w.c;
        double *x = normals(p.x), *y = zeros(p.y), *dy = normals(p.y), *dx = normals(p.x), *row = normals(rows);
        uint8_t *arg = malloc(p.y);
        assert_non_null(arg);
        for (size_t i = 0; i < p.x; i++) /* no two numbers so close that the step of the difference changes the winner */
            x[i] = 0.01 * (double)hs_permute(test_seed, (uint32_t)round, p.x, i);
        assert_ok(ref->pool->max_fwd(stream, &p.w, p.n, x, y, arg));
        assert_ok(ref->pool->max_bwd(stream, &p.w, p.n, dy, arg, dx));
        assert_true(gradient_error(max_of, &p, p.x, x, p.y, dy, dx) < 1e-6);
        assert_ok(ref->pool->average_bwd(stream, &p.w, p.n, dy, dx));
        assert_true(gradient_error(average_of, &p, p.x, x, p.y, dy, dx) < 1e-6);
        assert_ok(ref->pool->global_bwd(stream, (hs_shape){p.w.h, p.w.w, p.w.c}, p.n, row, dx));
        assert_true(gradient_error(global_of, &p, p.x, x, rows, row, dx) < 1e-6);
        free(x), free(y), free(dy), free(dx), free(row), free(arg);
    }
}

static void ties_go_to_the_first_and_nan_wins(void **state)
{
    (void)state;
    const hs_window w = {.h = 2, .w = 4, .c = 1, .k = 2, .stride = 2, .pad = 0, .oh = 1, .ow = 2};
    const double x[8] = {1, 3, 5, 5, 3, 3, NAN, NAN}, dy[2] = {10, 20};
    double y[2], dx[8];
    uint8_t arg[2];
    assert_ok(ref->pool->max_fwd(stream, &w, 1, x, y, arg));
    assert_true(y[0] == 3 && arg[0] == 1 && isnan(y[1]) && arg[1] == 2);
    assert_ok(ref->pool->max_bwd(stream, &w, 1, dy, arg, dx));
    const double want[8] = {0, 10, 0, 0, 0, 0, 20, 0};
    assert_memory_equal(dx, want, sizeof want);
}

/* ---- spectral pooling --------------------------------------------------------------------------------------------------------------- */

typedef struct spool {
    int n;
    hs_spool_desc d;
    size_t x, y;
    hs_spool *plan;
    void *scratch;
} spool;

static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? (size_t)n * h * w * c : (size_t)hs_bins_count(h, w) * n * 2 * c;
}

static spool spool_open(int n, hs_spool_desc d)
{
    d.capacity = n + 1;
    spool p = {.n = n, .d = d, .x = count_of(d.in, n, d.h, d.w, d.c), .y = count_of(d.out, n, d.oh, d.ow, d.c)};
    assert_true(ref->pool->spectral_supports(device, &d));
    assert_ok(ref->pool->spectral_plan(device, &d, &p.plan));
    p.scratch = zeros(ref->pool->spectral_scratch_bytes(p.plan) / sizeof(double) + 1);
    return p;
}

static void spool_close(spool *p)
{
    ref->pool->spectral_destroy(&p->plan);
    assert_null(p->plan);
    free(p->scratch);
}

static double *down(const spool *p, const double *x)
{
    double *y = normals(p->y);
    assert_ok(ref->pool->spectral_fwd(stream, p->plan, p->n, x, y, NULL, p->scratch));
    return y;
}

static double *up(const spool *p, const double *dy)
{
    double *dx = normals(p->x);
    assert_ok(ref->pool->spectral_bwd(stream, p->plan, p->n, dy, dx, NULL, p->scratch));
    return dx;
}

static double *transformed(int n, int h, int w, int c, const double *x)
{
    hs_transform *plan = NULL;
    double *y = zeros(count_of(HS_SPECTRUM, n, h, w, c));
    assert_ok(ref->transform->plan(device, n, h, w, c, &plan));
    double *scratch = zeros(ref->transform->scratch_bytes(plan) / sizeof(double));
    assert_ok(ref->transform->forward(stream, plan, n, x, y, scratch));
    ref->transform->destroy(&plan);
    free(scratch);
    return y;
}

/* <P x, g> = <x, P^T g> and P P^T = norm factor: for every parity pair, both norms and all pairs of domains. */
static void pooling_and_its_transpose(void **state)
{
    (void)state;
    for (int round = 0; round < 128; round++) {
        const int oh = pick(1, 7), ow = pick(1, 7);
        spool p = spool_open(pick(1, 2), (hs_spool_desc){.h = oh + pick(0, 4), .w = ow + pick(0, 4), .c = pick(1, 2), .oh = oh, .ow = ow,
                                                         .norm = round & 4 ? HS_POOL_MEAN : HS_POOL_UNITARY,
                                                         .in = round & 1 ? HS_SPECTRUM : HS_SPACE, .out = round & 2 ? HS_SPECTRUM : HS_SPACE});
        double *x = normals(p.x), *g = normals(p.y), *y = down(&p, x), *xt = up(&p, g), *yt = down(&p, xt), *xx = up(&p, yt);
        double factor = p.d.norm == HS_POOL_UNITARY ? 1 : (double)oh * ow / ((double)p.d.h * p.d.w);
        assert_near(dot(p.y, y, g), dot(p.x, x, xt), 1e-11 * sqrt(dot(p.x, x, x) * dot(p.y, g, g)));
        for (size_t i = 0; i < p.x; i++)
            xt[i] *= factor;
        assert_true(distance(p.x, xx, xt) < 1e-12); /* P^T P P^T = factor P^T */
        free(x), free(g), free(y), free(xt), free(yt), free(xx);
        spool_close(&p);
    }
}

/* The pooled plane is the same whichever domains the plan names. */
static void domains_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        const int oh = pick(1, 7), ow = pick(1, 7);
        hs_spool_desc d = {.h = oh + pick(0, 4), .w = ow + pick(0, 4), .c = 2, .oh = oh, .ow = ow, .norm = round % 2 ? HS_POOL_MEAN : HS_POOL_UNITARY};
        spool plain = spool_open(2, d);
        double *x = normals(plain.x), *fx = transformed(2, d.h, d.w, d.c, x), *y = down(&plain, x), *fy = transformed(2, oh, ow, d.c, y);
        for (int flags = 1; flags < 4; flags++) {
            d.in = flags & 1 ? HS_SPECTRUM : HS_SPACE;
            d.out = flags & 2 ? HS_SPECTRUM : HS_SPACE;
            spool other = spool_open(2, d);
            double *got = down(&other, flags & 1 ? fx : x);
            assert_true(distance(other.y, got, flags & 2 ? fy : y) < 1e-12);
            free(got);
            spool_close(&other);
        }
        free(x), free(fx), free(y), free(fy);
        spool_close(&plain);
    }
}

static void norms_do_what_they_say(void **state)
{
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        spool p = spool_open(1, (hs_spool_desc){.h = 6, .w = 9, .c = 1, .oh = 4, .ow = 5, .norm = mean ? HS_POOL_MEAN : HS_POOL_UNITARY});
        double *x = zeros(p.x);
        for (size_t i = 0; i < p.x; i++)
            x[i] = 3;
        double *y = down(&p, x);
        for (size_t i = 0; i < p.y; i++)
            assert_near(y[i], mean ? 3 : 3 * sqrt(54.0 / 20), 1e-12);
        free(x), free(y);
        spool_close(&p);
    }
}

/* ---- frequency dropout -------------------------------------------------------------------------------------------------------------- */

static double *lowpass(const spool *p, const double *x, const int32_t *keep)
{
    double *y = normals(p->x);
    assert_ok(ref->pool->lowpass(stream, p->plan, p->n, x, keep, y, p->scratch));
    return y;
}

/* Keeping h' x w' coordinates is pooling to h' x w' and its transpose; idempotent and symmetric follow, and are seen. */
static void lowpass_is_pooling_and_back(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        const int h = pick(1, 8), w = pick(1, 8), kh = pick(1, h), kw = pick(1, w);
        const int32_t keep[4] = {kh, kw, h, 1};
        const hs_domain domain = round % 2 ? HS_SPECTRUM : HS_SPACE;
        hs_spool_desc d = {.h = h, .w = w, .c = 2, .oh = h, .ow = w, .in = domain, .out = domain};
        spool p = spool_open(2, d);
        d.oh = kh, d.ow = kw, d.in = d.out = HS_SPACE;
        spool crop = spool_open(1, d);
        double *x = normals((size_t)2 * h * w * 2), *fx = transformed(2, h, w, 2, x);
        double *y = lowpass(&p, domain == HS_SPACE ? x : fx, keep), *again = lowpass(&p, y, keep);
        double *small = down(&crop, x), *want = up(&crop, small), *rows = zeros((size_t)2 * h * w * 2);
        memcpy(rows, want, crop.x * sizeof *rows);
        for (int i = 0; i < h * w * 2; i++) { /* sample 1 keeps all rows and one coordinate along w: the mean of each row */
            const double *row = x + (size_t)h * w * 2 + i / (w * 2) * (w * 2);
            for (int j = 0; j < w; j++)
                rows[h * w * 2 + i] += row[2 * j + i % 2] / w;
        }
        double *frows = transformed(2, h, w, 2, rows);
        assert_true(distance(p.x, y, domain == HS_SPACE ? rows : frows) < 1e-11);
        assert_true(distance(p.x, again, y) < 1e-11);
        free(x), free(fx), free(y), free(again), free(small), free(want), free(rows), free(frows);
        spool_close(&p);
        spool_close(&crop);
    }
}

static void lowpass_needs_a_plan_that_keeps_the_size(void **state)
{
    (void)state;
    spool p = spool_open(1, (hs_spool_desc){.h = 4, .w = 4, .c = 1, .oh = 3, .ow = 4});
    const int32_t keep[2] = {1, 1};
    double x[16] = {0}, y[16];
    assert_int_equal(ref->pool->lowpass(stream, p.plan, 1, x, keep, y, p.scratch), HS_EINTERNAL);
    spool_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_the_definition),
        cmocka_unit_test(window_gradients_are_central_differences),
        cmocka_unit_test(ties_go_to_the_first_and_nan_wins),
        cmocka_unit_test(pooling_and_its_transpose),
        cmocka_unit_test(domains_agree),
        cmocka_unit_test(norms_do_what_they_say),
        cmocka_unit_test(lowpass_is_pooling_and_back),
        cmocka_unit_test(lowpass_needs_a_plan_that_keeps_the_size),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
