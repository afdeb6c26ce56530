/* t_net_plan.c - the planner: the cheapest path over random costs (against trying everything), transforms exactly where domains differ, decisions
 * that travel as text, and requests that a backend cannot serve. */
#include "net_fixture.h"

/* ---- ref with costs of our own ------------------------------------------------------------------------------------------------------- */

static uint32_t round_number; /* which set of random costs */

/* 1 .. 100, a function of what is to be done. */
static double random_cost(int kind, int a, int b, int in, int out, int engine)
{
    uint64_t key = (uint64_t)(((((kind * 64 + a) * 64 + b) * 2 + in) * 2 + out) * 3 + engine);
    return 1 + test_draw(200 + round_number, key, 100);
}

static double conv_cost(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    return random_cost(1, d->h, d->co, (int)d->in, (int)d->out, (int)d->engine);
}

static double spool_cost(const hs_device *device, const hs_spool_desc *d)
{
    (void)device;
    return random_cost(2, d->h, d->oh, (int)d->in, (int)d->out, 0);
}

static bool refuses_fft(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    return d->engine != HS_ENGINE_FFT && d->in == HS_SPACE && d->out == HS_SPACE;
}

typedef struct altered {
    hs_backend backend;
    hs_conv_ops conv;
    hs_pool_ops pool;
} altered;

static void alter(altered *a)
{
    const hs_backend *ref = backend_named("ref");
    a->backend = *ref;
    a->conv = *ref->conv;
    a->pool = *ref->pool;
    a->backend.conv = &a->conv;
    a->backend.pool = &a->pool;
}

static void create(fixture *f, altered *a, const char *text)
{
    hs_net_options options;
    hs_net_options_default(&options);
    options.boundary = HS_BOUNDARY_PERIODIC;
    fixture_create(f, backend_named("ref"), text, &options, (hs_shape){8, 8, 2}, 3, 2);
    f->device->backend = &a->backend;
}

static hs_status plan(fixture *f)
{
    hs_plan_options p = {.capacity = 2, .training = true, .mode = "estimate"};
    return hs_net_plan(f->net, f->device, f->stream, &p);
}

static void destroy(fixture *f)
{
    hs_net_destroy(&f->net);
    f->device->backend = backend_named("ref");
    fixture_destroy(f);
}

/* ---- C5k3 C6k3 SP4 C7k3 SP3 ReLU F3, all ways --------------------------------------------------------------------------------------------- */

static double change_cost(int from, int to, int side)
{
    return from == to ? 0 : random_cost(2, side, side, from, to, 0);
}

/* Cheapest way from layer I on with its input in domain FROM. Layers: co > 0 a convolution of a SIDE map, else pooling to -co. */
static double cheapest(int i, int from)
{
    static const int side[] = {8, 8, 8, 4, 4}, what[] = {5, 6, -4, 7, -3};
    if (i == 5)
        return change_cost(from, HS_SPACE, 3); /* ReLU needs space */
    double best = 1e300;
    for (int in = 0; in < 2; in++)
        for (int out = 0; out < 2; out++)
            for (int engine = what[i] > 0 ? HS_ENGINE_DIRECT : HS_ENGINE_AUTO; engine <= (what[i] > 0 ? HS_ENGINE_FFT : HS_ENGINE_AUTO); engine++) {
                double own = what[i] > 0 ? random_cost(1, side[i], what[i], in, out, engine) : random_cost(2, side[i], -what[i], in, out, 0);
                double total = change_cost(from, in, side[i]) + own + cheapest(i + 1, out);
                best = total < best ? total : best;
            }
    return best;
}

/* Cost of what the network decided, from its decisions. */
static double cost_of(const char *decisions)
{
    static const int side[] = {8, 8, 8, 4, 4}, what[] = {5, 6, -4, 7, -3};
    double total = 0;
    int from = HS_SPACE;
    for (int i = 0; i < 5; i++) {
        const char *end = strchr(decisions, ';');
        int in = strncmp(strchr(decisions, ':') + 1, "spectrum", 8) == 0, out = strncmp(strchr(decisions, '>') + 1, "spectrum", 8) == 0;
        int engine = strncmp(strchr(decisions, '=') + 1, "fft", 3) == 0 ? HS_ENGINE_FFT : HS_ENGINE_DIRECT;
        total += change_cost(from, in, side[i]);
        total += what[i] > 0 ? random_cost(1, side[i], what[i], in, out, engine) : random_cost(2, side[i], -what[i], in, out, 0);
        from = out;
        decisions = end + 1;
    }
    return total + change_cost(from, HS_SPACE, 3);
}

static void test_shortest(void **state)
{
    (void)state;
    for (round_number = 0; round_number < 40; round_number++) {
        altered a;
        fixture f;
        alter(&a);
        a.conv.cost = conv_cost;
        a.pool.spectral_cost = spool_cost;
        create(&f, &a, "C5k3 C6k3 SP4 C7k3 SP3 R F3");
        OK(plan(&f));
        assert_true(cost_of(hs_net_decisions(f.net)) == cheapest(0, HS_SPACE));
        destroy(&f);
    }
}

/* Every edge has one domain: walking the rows, a transform stands exactly where the domain changes without a layer doing it. */
static void test_transforms(void **state)
{
    int inserted = 0;
    (void)state;
    for (round_number = 100; round_number < 120; round_number++) {
        altered a;
        fixture f;
        alter(&a);
        a.conv.cost = conv_cost;
        a.pool.spectral_cost = spool_cost;
        create(&f, &a, "C5k3 MR [C5k3 ST SP8] FD SP4 C7k3 SP3 GA F3");
        OK(plan(&f));
        bool was_transform = false;
        for (int i = 0; i < hs_net_rows(f.net); i++) {
            hs_layer_row row;
            hs_net_row(f.net, i, &row);
            bool transform = strstr(row.name, "fft") != NULL;
            assert_false(transform && was_transform); /* a pair would cancel */
            was_transform = transform;
            inserted += transform;
            if (strncmp(row.name, "modrelu", 7) == 0 || strncmp(row.name, "soft", 4) == 0)
                assert_int_equal(row.domain, HS_SPECTRUM);
            if (strncmp(row.name, "add", 3) == 0 || strncmp(row.name, "fc", 2) == 0)
                assert_int_equal(row.domain, HS_SPACE);
        }
        destroy(&f);
    }
    assert_true(inserted > 20);
}

static void test_force(void **state)
{
    static const char *const wish = "conv1=fft:space>spectrum;pool1=-:spectrum>spectrum;conv2=direct:spectrum>space;";
    altered a;
    fixture f;
    (void)state;
    alter(&a);
    create(&f, &a, "C5k3 SP4 C7k3 F3");
    OK(hs_net_force_decisions(f.net, wish));
    OK(plan(&f));
    assert_string_equal(hs_net_decisions(f.net), wish);
    destroy(&f);
    create(&f, &a, "C5k3 SP4 C7k3 F3"); /* of another network: conv2 is not mentioned */
    OK(hs_net_force_decisions(f.net, "conv1=fft:space>spectrum;pool1=-:spectrum>spectrum;xconv2=direct:spectrum>space;"));
    assert_int_equal(plan(&f), HS_EDESYNC);
    assert_non_null(strstr(hs_fail_text(), "conv2"));
    destroy(&f);
    assert_int_equal(hs_live_blocks(), 0);
}

/* ---- plan = measure: a direct engine that says it is fast and is slow --------------------------------------------------------------- */

static hs_conv *slow[64];
static int slow_count;

static hs_status plan_noting_direct(hs_device *device, const hs_conv_desc *desc, hs_conv **out)
{
    hs_status st = backend_named("ref")->conv->plan(device, desc, out);
    if (st == HS_OK && desc->engine == HS_ENGINE_DIRECT && slow_count < 64)
        slow[slow_count++] = *out;
    return st;
}

static void destroy_noted(hs_conv **plan)
{
    for (int i = 0; i < slow_count; i++)
        slow[i] = slow[i] == *plan ? NULL : slow[i];
    backend_named("ref")->conv->destroy(plan);
}

static hs_status slow_forward(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y, void *saved, void *scratch)
{
    double start = hs_now();
    for (int i = 0; i < slow_count; i++)
        while (slow[i] == plan && hs_now() < start + 0.003)
            ;
    return backend_named("ref")->conv->forward(s, plan, n, x, taps, bias, y, saved, scratch);
}

static double cheap_direct(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    return d->engine == HS_ENGINE_DIRECT ? 1e-9 : 1;
}

static void test_measure(void **state)
{
    (void)state;
    for (int measure = 0; measure < 2; measure++) {
        altered a;
        fixture f;
        alter(&a);
        a.conv.plan = plan_noting_direct;
        a.conv.destroy = destroy_noted;
        a.conv.forward = slow_forward;
        a.conv.cost = cheap_direct;
        slow_count = 0;
        create(&f, &a, "C5k3 BN T FD C5k3{param=spatial} MR D0.5 F3");
        hs_plan_options p = {.capacity = 2, .training = true, .mode = measure ? "measure" : "estimate"};
        OK(hs_net_plan(f.net, f.device, f.stream, &p));
        OK(hs_net_init(f.net, f.stream));
        assert_true((strstr(hs_net_decisions(f.net), "direct") == NULL) == measure);
        fixture_loss(&f);
        destroy(&f);
    }
    assert_int_equal(hs_live_blocks(), 0);
}

static void test_unsupported(void **state)
{
    altered a;
    fixture f;
    (void)state;
    alter(&a);
    a.conv.supports = refuses_fft;
    create(&f, &a, "C5k3{engine=fft} F3");
    assert_int_equal(plan(&f), HS_EUNSUPPORTED);
    assert_non_null(strstr(hs_fail_text(), "conv1"));
    destroy(&f);
    create(&f, &a, "C5k3 F3");
    OK(plan(&f));
    assert_string_equal(hs_net_decisions(f.net), "conv1=direct:space>space;");
    destroy(&f);
    assert_int_equal(hs_live_blocks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shortest), cmocka_unit_test(test_transforms), cmocka_unit_test(test_force),
        cmocka_unit_test(test_measure),  cmocka_unit_test(test_unsupported),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
