/* t_cuda_plan.c - what the planner makes of the costs that the cuda backend states: a periodic network of the paper's stays in the spectrum
 * from its second convolution on, rectifiers and all, whatever the precision. The emulated devices have no memory for the batch that is asked
 * for, so that planning ends where the decisions have been made. And what runs there: spectra that only convolutions and pooling see are
 * bf16 in that precision. */
#include <math.h>

#include "net_fixture.h"

extern const hs_backend hs_backend_cuda;

static int count(const char *text, const char *word)
{
    int found = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        found++;
    return found;
}

static void decide(const char *precision, const char *notation, hs_boundary boundary, int n, char *decisions, size_t capacity)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = precision};
    const hs_plan_options plan = {.capacity = n, .training = true, .mode = "estimate"};
    hs_net_options net_options;
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    hs_net *net = NULL;
    OK(hs_backend_cuda.device->open(&hs_backend_cuda, &options, &device));
    OK(hs_backend_cuda.device->stream_create(device, &stream));
    hs_net_options_default(&net_options);
    net_options.boundary = boundary;
    OK(hs_net_create(notation, &net_options, (hs_shape){32, 32, 3}, 10, &net));
    assert_int_not_equal(hs_net_plan(net, device, stream, &plan), HS_OK);
    assert_non_null(strstr(hs_fail_text(), "device memory"));
    snprintf(decisions, capacity, "%s", hs_net_decisions(net));
    hs_net_destroy(&net);
    hs_backend_cuda.device->stream_destroy(&stream);
    hs_backend_cuda.device->close(&device);
}

static void stays_in_the_spectrum(void **state)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    char decisions[2048];
    (void)state;
    for (int i = 0; i < 3; i++) {
        decide(precisions[i], "paper-sp", HS_BOUNDARY_PERIODIC, 512, decisions, sizeof decisions);
        printf("# %s: %s\n", precisions[i], decisions);
        if (count(decisions, "fft:spectrum>spectrum") != 5 || count(decisions, "relu+-+relu:spectrum>spectrum") < 4)
            fail_msg("%s: %s", precisions[i], decisions);
    }
}

/* What one plan asks of a kernel must do for those that were made before it: blocks of the larger map need more shared memory. */
static void leaves_larger_plans_their_memory(void **state)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = "bf16"};
    const hs_backend *b = &hs_backend_cuda;
    enum { LARGE = 27, SMALL = 22, CHANNELS = 32 };
    hs_transform *large = NULL, *small = NULL;
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    void *x = NULL, *y = NULL;
    (void)state;
    OK(b->device->open(b, &options, &device));
    OK(b->device->stream_create(device, &stream));
    OK(b->memory->alloc(device, 2 * LARGE * LARGE * CHANNELS * sizeof(float), &x));
    OK(b->memory->alloc(device, 2 * LARGE * LARGE * CHANNELS * sizeof(float), &y));
    OK(b->transform->plan(device, 1, LARGE, LARGE, CHANNELS, &large));
    OK(b->transform->plan(device, 1, SMALL, SMALL, CHANNELS, &small));
    OK(b->transform->forward(stream, large, 1, x, y, NULL));
    OK(b->transform->forward(stream, small, 1, x, y, NULL));
    OK(b->device->stream_sync(stream));
    b->transform->destroy(&large);
    b->transform->destroy(&small);
    b->memory->free(device, x);
    b->memory->free(device, y);
    b->device->stream_destroy(&stream);
    b->device->close(&device);
}

/* ---- sealed edges ------------------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double loss, *gradient;
    size_t count;
} outcome;

/* Every edge between convolutions and pooling in the spectrum, or in space. */
static void all_in(const char *domain, const char *text, char *out, size_t capacity)
{
    size_t used = 0;
    for (bool first = true; *text; first = false) {
        const size_t name = strcspn(text, ":"), item = strcspn(text, ";") + 1;
        used += (size_t)snprintf(out + used, capacity - used, "%.*s:%s>%s;", (int)name, text, first ? "space" : domain,
                                 text[item] ? domain : "space");
        text += item;
    }
}

static outcome pass_of(const char *notation, hs_engine engine, int side, const char *domain, const char *precision)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = precision};
    hs_net_options net_options;
    char forced[2048];
    fixture f;
    outcome o;
    hs_net_options_default(&net_options);
    net_options.boundary = HS_BOUNDARY_PERIODIC;
    net_options.engine = engine;
    for (int round = 0; round < 2; round++) {
        fixture_create(&f, &hs_backend_cuda, notation, &net_options, (hs_shape){side, side, 3}, 4, 3);
        f.backend->device->stream_destroy(&f.stream);
        f.backend->device->close(&f.device);
        OK(f.backend->device->open(f.backend, &options, &f.device));
        OK(f.backend->device->stream_create(f.device, &f.stream));
        if (round == 1)
            OK(hs_net_force_decisions(f.net, forced));
        fixture_plan(&f);
        if (round == 0) {
            all_in(domain, hs_net_decisions(f.net), forced, sizeof forced);
            fixture_destroy(&f);
        }
    }
    assert_string_equal(hs_net_decisions(f.net), forced);
    o.loss = fixture_loss(&f);
    OK(hs_net_backward(f.net, f.stream, &f.pass));
    o.count = hs_net_params_count(f.net);
    OK(hs_calloc(o.count, sizeof *o.gradient, "gradients", &o.gradient));
    fixture_read(&f, hs_net_gradients(f.net), o.count, o.gradient);
    fixture_destroy(&f);
    return o;
}

/* A layer that took bf16 for fp32, or the other way round, would compute nonsense. In between, the errors of bf16: spectra keep 8 bits,
 * and rectifiers let some numbers near 0 through that fp32 stops; three tenths are far more than either makes here, and far from nonsense. */
static void compare(const char *notation, hs_engine engine, int side, const char *domain)
{
    const outcome fine = pass_of(notation, engine, side, domain, "fp32"), half = pass_of(notation, engine, side, domain, "bf16");
    double gap = 0, norm = 0;
    for (size_t i = 0; i < fine.count; i++) {
        gap += (half.gradient[i] - fine.gradient[i]) * (half.gradient[i] - fine.gradient[i]);
        norm += fine.gradient[i] * fine.gradient[i];
    }
    printf("# %s: bf16 against fp32: loss %.2e, gradient %.2e, relative\n", notation, fabs(half.loss / fine.loss - 1), sqrt(gap / norm));
    assert_true(fabs(half.loss / fine.loss - 1) < 3e-2);
    assert_true(gap > 0 && sqrt(gap / norm) < 0.3);
    hs_free(fine.gradient);
    hs_free(half.gradient);
}

static void keeps_sealed_edges(void **state)
{
    (void)state;
    compare("C8k3 SP8 R C12k3 C12k3 SP5 F4", HS_ENGINE_FFT, 12, "spectrum");
    compare("C8k3 R C8k3 R SP8 R C12k3 F4", HS_ENGINE_FFT, 12, "spectrum");
}

/* The same in space: convolutions by either engine, windows, spectral pooling; 43 x 43 is too large for one pass. Winners of bf16 may be
 * others than those of fp32 where two are nearly equal, so that maxima stand where few gradients meet them. */
static void keeps_sealed_edges_in_space(void **state)
{
    (void)state;
    compare("C8k3 C8k3 A2s2 C12k3 A3s2 C5k3 F4", HS_ENGINE_DIRECT, 12, "space");
    compare("C8k3 C8k3 A2s2 C12k3 SP4 C8k3 F4", HS_ENGINE_FFT, 12, "space");
    compare("C8k3 A2s2 SP5 C12k3 R C8k3 F4", HS_ENGINE_DIRECT, 11, "space");
    compare("C4k3 C8k3 SP20 C3k3 A3s3 F4", HS_ENGINE_FFT, 43, "space");
    compare("C8k3 M3s2 C8k3 F4", HS_ENGINE_DIRECT, 12, "space");
}

/* Dense layers behind pooling, behind each other and at the end. Without rectifiers: of a few dozen units one whose sign differs is seen in the whole
 * gradient; ops_conv.c has those. */
static void keeps_sealed_edges_of_dense_layers(void **state)
{
    (void)state;
    compare("C8k3 A2s2 F24 F16 F4", HS_ENGINE_DIRECT, 12, "space");
    compare("C8k3 SP4 F20 F10 F4", HS_ENGINE_FFT, 12, "space");
    compare("C5k1 F10 F7 T F9 F4", HS_ENGINE_DIRECT, 6, "space");
}

/* Which edges of a network that ends in dense layers are bf16: all but the images, what a tanh is between, and the logits. */
static void seals_dense_layers(void **state)
{
    static const char *const notation[] = {"C8k3 R", "A2s2", "F24 R", "F16 R", "F6", "T", "F4"};
    static const bool sealed[] = {true, true, true, true, false, false, false};
    static const char *const precisions[] = {"bf16", "tf32"};
    (void)state;
    for (int p = 0; p < 2; p++) {
        const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = precisions[p]};
        hs_net_options net_options;
        fixture f;
        hs_net_options_default(&net_options);
        fixture_create(&f, &hs_backend_cuda, "C8k3 R A2s2 F24 R F16 R F6 T F4", &net_options, (hs_shape){12, 12, 3}, 4, 3);
        f.backend->device->stream_destroy(&f.stream);
        f.backend->device->close(&f.device);
        OK(f.backend->device->open(f.backend, &options, &f.device));
        OK(f.backend->device->stream_create(f.device, &f.stream));
        fixture_plan(&f);
        assert_int_equal(hs_net_rows(f.net), 7);
        for (int i = 0; i < 7; i++) {
            hs_layer_row row;
            hs_net_row(f.net, i, &row);
            assert_string_equal(row.notation, notation[i]);
            assert_int_equal(row.sealed, sealed[i] && p == 0);
            assert_int_equal(row.sealed_from, i > 0 && sealed[i - 1] && p == 0);
        }
        fixture_destroy(&f);
    }
}

static int little_memory(void **state)
{
    (void)state;
    return setenv("HS_EMULATE_MEMORY", "268435456", 1);
}

static int much_memory(void **state)
{
    (void)state;
    return unsetenv("HS_EMULATE_MEMORY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stays_in_the_spectrum, little_memory, much_memory),
        cmocka_unit_test(leaves_larger_plans_their_memory),
        cmocka_unit_test(keeps_sealed_edges),
        cmocka_unit_test(keeps_sealed_edges_in_space),
        cmocka_unit_test(keeps_sealed_edges_of_dense_layers),
        cmocka_unit_test(seals_dense_layers),
    };
    return cmocka_run_group_tests_name("plans on emulated devices", tests, NULL, NULL);
}
