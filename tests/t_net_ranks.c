/* t_net_ranks.c - a batch in uneven parts, some empty, gives the gradients of the whole batch: batch normalisation sums over all ranks, dropout
 * and frequency dropout go by the place in the global batch. Ranks are threads here, each with a network of its own; the sum over them is a
 * barrier and a loop. Also: the hook that reports finished gradients reports each number once, from the end of the slab. */
#include "config.h"

#include <math.h>
#include <pthread.h>

#include "net_fixture.h"

enum { RANKS = 4, GLOBAL = 7 };
static const int share[RANKS] = {3, 0, 3, 1};
static const char *const text = "C4k3 BN R [C4k3 D0.3 BN T] FD{draw=sample} SP4 F6 BN T D0.5 F3";

typedef struct world {
    pthread_barrier_t barrier;
    double *values[RANKS];
    fixture f[RANKS];
    hs_net_hooks hooks[RANKS];
    struct rank {
        struct world *world;
        int rank;
        hs_status status;
        hs_loss_sums sums;
        size_t next; /* gradients from here on have been reported */
    } rank[RANKS];
} world;

/* All-reduce: everybody shows a pointer, then everybody adds in the same order. */
static hs_status sum(void *context, double *values, size_t count)
{
    struct rank *r = context;
    world *w = r->world;
    double total[64];
    w->values[r->rank] = values;
    pthread_barrier_wait(&w->barrier);
    for (size_t i = 0; i < count && i < 64; i++) {
        total[i] = 0;
        for (int k = 0; k < RANKS; k++)
            total[i] += w->values[k][i];
    }
    pthread_barrier_wait(&w->barrier);
    memcpy(values, total, count * sizeof *values);
    return count <= 64 ? HS_OK : HS_EINTERNAL;
}

static hs_status ready(void *context, size_t offset, size_t count)
{
    struct rank *r = context;
    if (count == 0 || offset + count != r->next)
        return HS_EINTERNAL;
    r->next = offset;
    return HS_OK;
}

static void *work(void *argument)
{
    struct rank *r = argument;
    fixture *f = &r->world->f[r->rank];
    r->status = hs_net_forward(f->net, f->stream, &f->pass, f->x);
    if (r->status == HS_OK)
        r->status = hs_net_loss(f->net, f->stream, &f->pass, f->labels, &r->sums);
    if (r->status == HS_OK)
        r->status = hs_net_backward(f->net, f->stream, &f->pass);
    return NULL;
}

static void create(fixture *f, const char *backend)
{
    hs_net_options options;
    hs_net_options_default(&options);
    fixture_create(f, backend_named(backend), text, &options, (hs_shape){6, 7, 2}, 3, GLOBAL);
    fixture_plan(f);
}

/* The part of the batch that belongs to RANK, moved to the front. */
static void take_share(fixture *f, int rank)
{
    int first = 0;
    for (int k = 0; k < rank; k++)
        first += share[k];
    f->pass.n = share[rank];
    f->pass.first = first;
    f->pass.rank = rank;
    memmove(f->x, f->x + first * 84, (size_t)share[rank] * 84 * sizeof *f->x);
    memmove(f->labels, f->labels + first, (size_t)share[rank] * sizeof *f->labels);
}

static void check(const char *backend, double limit)
{
    static world w;
    fixture whole;
    pthread_t thread[RANKS];
    create(&whole, backend);
    double loss = fixture_loss(&whole) * GLOBAL, split = 0;
    OK(hs_net_backward(whole.net, whole.stream, &whole.pass));
    size_t count = hs_net_params_count(whole.net), kept = hs_net_statistics_count(whole.net);
    double *expected = NULL, *part = NULL, *added = NULL;
    OK(hs_calloc(count, sizeof *expected, "gradients", &expected));
    OK(hs_calloc(count, sizeof *added, "gradients", &added));
    OK(hs_calloc(count, sizeof *part, "gradients", &part));
    fixture_read(&whole, hs_net_gradients(whole.net), count, expected);
    assert_int_equal(pthread_barrier_init(&w.barrier, NULL, RANKS), 0);
    for (int k = 0; k < RANKS; k++) {
        create(&w.f[k], backend);
        take_share(&w.f[k], k);
        w.rank[k] = (struct rank){.world = &w, .rank = k, .next = count};
        w.hooks[k] = (hs_net_hooks){.context = &w.rank[k], .ready = ready, .sum = sum};
        w.f[k].pass.hooks = &w.hooks[k];
    }
    for (int k = 0; k < RANKS; k++)
        assert_int_equal(pthread_create(&thread[k], NULL, work, &w.rank[k]), 0);
    for (int k = 0; k < RANKS; k++) {
        pthread_join(thread[k], NULL);
        assert_int_equal(w.rank[k].status, HS_OK);
        assert_int_equal(w.rank[k].next, 0);
        split += w.rank[k].sums.loss;
        fixture_read(&w.f[k], hs_net_gradients(w.f[k].net), count, part);
        for (size_t i = 0; i < count; i++)
            added[i] += part[i];
    }
    assert_true(fabs(split - loss) < limit * fabs(loss));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(added[i] - expected[i]) < limit))
            fail_msg("%s: gradient %zu is %.9g over ranks, %.9g alone", backend, i, added[i], expected[i]);
    for (int k = 0; k < RANKS; k++) { /* running statistics are the whole batch's on every rank */
        fixture_read(&whole, hs_net_statistics_slab(whole.net), kept, expected);
        fixture_read(&w.f[k], hs_net_statistics_slab(w.f[k].net), kept, part);
        for (size_t i = 0; i < kept; i++)
            assert_true(fabs(part[i] - expected[i]) < limit);
        fixture_destroy(&w.f[k]);
    }
    fixture_destroy(&whole);
    pthread_barrier_destroy(&w.barrier);
    hs_free(expected);
    hs_free(added);
    hs_free(part);
}

static void test_ref(void **state)
{
    (void)state;
    check("ref", 1e-12);
}

static void test_cpu(void **state)
{
    (void)state;
    if (!backend_named("cpu"))
        skip();
    check("cpu", 1e-4);
}

/* Running statistics against PyTorch's rule: (1 - m) old + m new, the variance unbiased; and evaluation uses them. */
static void test_running(void **state)
{
    fixture f;
    hs_net_options options;
    (void)state;
    hs_net_options_default(&options);
    options.bn_momentum = 0.25;
    fixture_create(&f, backend_named("ref"), "BN F3", &options, (hs_shape){2, 2, 1}, 3, 5);
    fixture_plan(&f);
    const double *kept = hs_net_statistics_slab(f.net);
    assert_true(kept[0] == 0 && kept[1] == 1);
    double mean = 0, variance = 0;
    for (int i = 0; i < 20; i++)
        mean += (double)f.x[i] / 20;
    for (int i = 0; i < 20; i++)
        variance += ((double)f.x[i] - mean) * ((double)f.x[i] - mean) / 19;
    fixture_loss(&f);
    assert_true(fabs(kept[0] - 0.25 * mean) < 1e-14 && fabs(kept[1] - (0.75 + 0.25 * variance)) < 1e-14);
    f.pass.training = false;
    fixture_loss(&f);
    assert_true(fabs(kept[0] - 0.25 * mean) < 1e-14); /* evaluation leaves them alone */
    const double *w = hs_net_slab(f.net), *logits = hs_net_logits(f.net);
    double logit = 0;
    for (int i = 0; i < 4; i++)
        logit += ((double)f.x[i] - kept[0]) / sqrt(kept[1] + options.bn_epsilon) * w[2 + i * 3];
    assert_true(fabs(logits[0] - logit) < 1e-13);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ref), cmocka_unit_test(test_cpu), cmocka_unit_test(test_running)};
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
