/* t_net_memory.c - the memory plan: one allocation of the size that hs_net_memory says, buffers that are alive together never overlap, nothing
 * stale is read, sharing changes no result, and a step allocates nothing. Looks into the network's private header to see the plan. */
#include "../src/net/net.h"
#include "net_fixture.h"

static const char *const nets[] = {
    "C4k3 R SP5 R C6k3{param=spatial} R M3s2 F8 R D0.3 F3",
    "C4k3{boundary=periodic} MR C4k3{boundary=periodic} SP*0.7 ST T F3",
    "C4k3 BN R ([C4k3 BN R C4k3 BN] R)*2 FD A2s2 GA F3",
    "C4k3 [[C4k1 R] T C4k1] R R GA F3",
    "[R] T [T] F3",
};
enum { NETS = sizeof nets / sizeof nets[0] };

/* ---- a backend that counts allocations ------------------------------------------------------------------------------------------ */

static int allocations;
static size_t allocated;

static hs_status counting_alloc(hs_device *device, size_t bytes, void **memory)
{
    allocations++;
    allocated += bytes;
    return backend_named("ref")->memory->alloc(device, bytes, memory);
}

static void test_planned_is_allocated(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++)
        for (int i = 0; i < NETS; i++) {
            const hs_backend *ref = backend_named("ref");
            hs_memory_ops memory = *ref->memory;
            hs_backend counting = *ref;
            hs_net_options options;
            fixture f;
            hs_net_bytes b;
            memory.alloc = counting_alloc;
            counting.memory = &memory;
            hs_net_options_default(&options);
            fixture_create(&f, ref, nets[i], &options, (hs_shape){8, 7, 2}, 3, 4);
            f.device->backend = &counting;
            allocations = 0;
            allocated = 0;
            hs_plan_options p = {.capacity = 4, .training = training, .mode = "estimate"};
            OK(hs_net_plan(f.net, f.device, f.stream, &p));
            hs_net_memory(f.net, &b);
            assert_int_equal(allocations, 1);
            assert_int_equal(allocated, b.total);
            assert_int_equal(b.total, b.params + b.gradients + b.statistics + b.activations + b.scratch + b.tables);
            assert_true(b.params >= hs_net_params_count(f.net) * 8 && (b.gradients == b.params) == training);
            f.device->backend = ref;
            fixture_destroy(&f);
        }
    assert_int_equal(hs_live_blocks(), 0);
}

/* ---- overlap -------------------------------------------------------------------------------------------------------------------------- */

/* Values and gradients that the steps of NET hold at the same time, and what layers asked for, must be apart. */
static void test_overlap(void **state)
{
    (void)state;
    for (int i = 0; i < NETS; i++) {
        hs_net_options options;
        fixture f;
        int shared = 0;
        hs_net_options_default(&options);
        fixture_create(&f, backend_named("ref"), nets[i], &options, (hs_shape){8, 7, 2}, 3, 4);
        fixture_plan(&f);
        const hs_want *w = f.net->want;
        for (int a = 0; a < f.net->wants; a++)
            for (int b = 0; b < a; b++) {
                const char *pa = *w[a].slot, *pb = *w[b].slot;
                bool apart = pa + w[a].bytes <= pb || pb + w[b].bytes <= pa;
                bool together = w[a].region != w[b].region || w[a].region == HS_REGION_TABLE || (w[a].first <= w[b].last && w[b].first <= w[a].last);
                if (together && !apart)
                    fail_msg("%s: requests %d and %d overlap", nets[i], a, b);
                shared += !apart;
            }
        assert_true(shared > 0); /* otherwise nothing was saved */
        fixture_destroy(&f);
    }
}

/* ---- results ------------------------------------------------------------------------------------------------------------------------------ */

/* Three steps of SGD; before each, every shared byte is made NaN if POISON. The final slab goes to OUT. */
static void run(const char *text, bool keep_all, bool poison, double *out, size_t *count, hs_net_bytes *bytes)
{
    hs_net_options options;
    fixture f;
    hs_net_options_default(&options);
    fixture_create(&f, backend_named("ref"), text, &options, (hs_shape){8, 7, 2}, 3, 4);
    f.net->keep_all = keep_all;
    fixture_plan(&f);
    double *p = hs_net_slab(f.net);
    const double *g = hs_net_gradients(f.net);
    hs_net_memory(f.net, bytes);
    *count = hs_net_params_count(f.net);
    for (int step = 0; step < 3; step++) {
        char *arena = (char *)f.net->scratch - bytes->activations;
        if (poison)
            memset(arena, 0xff, bytes->activations + bytes->scratch);
        f.pass.step = step;
        fixture_loss(&f);
        if (poison)
            memset(f.net->scratch, 0xff, bytes->scratch);
        OK(hs_net_backward(f.net, f.stream, &f.pass));
        for (size_t i = 0; i < *count; i++)
            p[i] -= 0.1 * g[i];
    }
    memcpy(out, p, *count * sizeof *p);
    fixture_destroy(&f);
}

static void test_sharing_changes_nothing(void **state)
{
    static double plain[4096], other[4096];
    (void)state;
    for (int i = 0; i < NETS; i++) {
        size_t count, again;
        hs_net_bytes shared, apart;
        run(nets[i], false, false, plain, &count, &shared);
        assert_true(count <= 4096);
        run(nets[i], true, false, other, &again, &apart);
        assert_memory_equal(plain, other, count * sizeof *plain);
        assert_true(shared.activations < apart.activations);
        run(nets[i], false, true, other, &again, &apart);
        assert_memory_equal(plain, other, count * sizeof *plain);
    }
}

/* ReLU runs in place, and the rows say so: its edge takes no memory of its own. */
static void test_in_place(void **state)
{
    static const char *const text = "C4k3 R T R M2 F3";
    static const bool own[] = {true, false, true, true, true, true}; /* R behind T may not: T runs backward from its output */
    hs_net_options options;
    fixture f;
    (void)state;
    hs_net_options_default(&options);
    fixture_create(&f, backend_named("ref"), text, &options, (hs_shape){8, 7, 2}, 3, 4);
    fixture_plan(&f);
    for (int i = 0; i < hs_net_rows(f.net); i++) {
        hs_layer_row row;
        hs_net_row(f.net, i, &row);
        assert_int_equal(row.activation_bytes > 0, own[i]);
        assert_true(!own[i] || row.activation_bytes == 4 * hs_shape_count(row.out) * 8);
    }
    fixture_destroy(&f);
}

/* Nothing to learn, and nobody: both are legal. */
static void test_empty(void **state)
{
    hs_net_options options;
    fixture f;
    (void)state;
    hs_net_options_default(&options);
    fixture_create(&f, backend_named("ref"), "R GA", &options, (hs_shape){4, 4, 3}, 3, 2);
    fixture_plan(&f);
    fixture_loss(&f);
    OK(hs_net_backward(f.net, f.stream, &f.pass));
    fixture_destroy(&f);
    fixture_create(&f, backend_named("ref"), nets[2], &options, (hs_shape){8, 7, 2}, 3, 2);
    fixture_plan(&f);
    double *g = hs_net_gradients(f.net);
    size_t count = hs_net_params_count(f.net);
    memset(g, 0xff, count * sizeof *g);
    f.pass.n = 0;
    assert_true(fixture_loss(&f) == 0);
    OK(hs_net_backward(f.net, f.stream, &f.pass));
    for (size_t i = 0; i < count; i++)
        assert_true(g[i] == 0);
    fixture_destroy(&f);
}

static void test_misuse(void **state)
{
    hs_net_options options;
    fixture f;
    (void)state;
    hs_net_options_default(&options);
    fixture_create(&f, backend_named("ref"), "F3", &options, (hs_shape){2, 2, 1}, 3, 2);
    assert_int_equal(hs_net_forward(f.net, f.stream, &f.pass, f.x), HS_EINTERNAL);
    assert_int_equal(hs_net_init(f.net, f.stream), HS_EINTERNAL);
    hs_plan_options p = {.capacity = 2, .training = false, .mode = "estimate"};
    OK(hs_net_plan(f.net, f.device, f.stream, &p));
    assert_int_equal(hs_net_plan(f.net, f.device, f.stream, &p), HS_EINTERNAL);
    assert_int_equal(hs_net_forward(f.net, f.stream, &f.pass, f.x), HS_EINTERNAL); /* a training pass in a plan for evaluation */
    f.pass.training = false;
    OK(hs_net_forward(f.net, f.stream, &f.pass, f.x));
    assert_int_equal(hs_net_backward(f.net, f.stream, &f.pass), HS_EINTERNAL);
    f.pass.n = 3;
    assert_int_equal(hs_net_forward(f.net, f.stream, &f.pass, f.x), HS_EINTERNAL);
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planned_is_allocated), cmocka_unit_test(test_overlap), cmocka_unit_test(test_sharing_changes_nothing),
        cmocka_unit_test(test_in_place),             cmocka_unit_test(test_empty),   cmocka_unit_test(test_misuse),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
