/* t_cuda_pooled.c - networks whose first convolution, rectifier and max pool are one layer on the emulated GPU, against the same network with
 * layers of their own: which are joined, losses and gradients, evaluation, and what other ranks are told. */
#include <math.h>

#include "../src/net/net.h"
#include "net_fixture.h"

static const hs_shape map = {12, 11, 3};

typedef struct wish {
    const char *text, *precision, *mode, *forced;
    bool apart, want_dx;
    hs_boundary boundary;
} wish;

static void create(fixture *f, const wish *w)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = w->precision ? w->precision : "fp32"};
    hs_net_options net_options;
    hs_net_options_default(&net_options);
    net_options.boundary = w->boundary;
    net_options.init_bias = 0.05;
    fixture_create(f, backend_named("cuda"), w->text, &net_options, map, 4, 5);
    f->backend->device->stream_destroy(&f->stream);
    f->backend->device->close(&f->device);
    OK(f->backend->device->open(f->backend, &options, &f->device));
    OK(f->backend->device->stream_create(f->device, &f->stream));
    hs_net_want_input_gradient(f->net, w->want_dx);
    f->net->keep_apart = w->apart;
    if (w->forced)
        OK(hs_net_force_decisions(f->net, w->forced));
    hs_plan_options plan = {.capacity = f->n, .training = true, .mode = w->mode ? w->mode : "estimate"};
    OK(hs_net_plan(f->net, f->device, f->stream, &plan));
    OK(hs_net_init(f->net, f->stream));
}

/* ---- where ---------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    wish w;
    const char *rows;
} wheres[] = {
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4"}, "C8k3 R M3s2, C6k3 R, M2, F4, "}, /* a later layer owes its own input a gradient */
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4", .boundary = HS_BOUNDARY_PERIODIC}, "C8k3 R M3s2, C6k3 R, M2, F4, "},
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4", .precision = "tf32"}, "C8k3 R M3s2, C6k3 R, M2, F4, "},
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4", .precision = "bf16"}, "C8k3 R M3s2, C6k3 R, M2, F4, "},
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4", .want_dx = true}, "C8k3 R, M3s2, C6k3 R, M2, F4, "},
    {{.text = "C8k3 R M3s2 C6k3 R M2 F4", .apart = true}, "C8k3, R, M3s2, C6k3, R, M2, F4, "},
    {{.text = "SP8 C8k3 R M3s2 F4"}, "SP8, C8k3 R M3s2, F4, "},
    {{.text = "C8k3 R M3s2 M2 F4"}, "C8k3 R M3s2, M2, F4, "},
    {{.text = "C8k3 M3s2 R F4"}, "C8k3, M3s2, R, F4, "},
    {{.text = "C8k3 T M3s2 F4"}, "C8k3, T, M3s2, F4, "},
    {{.text = "C8k3 R A3s2 F4"}, "C8k3 R, A3s2, F4, "},
    {{.text = "C8k3{engine=fft} R M3s2 F4"}, "C8k3{engine=fft} R, M3s2, F4, "},
    {{.text = "C8k3{stride=2} R M2 F4"}, "C8k3{stride=2} R, M2, F4, "},
    {{.text = "C8k3 R M6s2 F4"}, "C8k3 R, M6s2, F4, "},
    {{.text = "C8k3 R [M3s1] M2 F4"}, "C8k3 R, M3s1, ], M2, F4, "}, /* two read the rectified map */
};

static void test_where(void **state)
{
    (void)state;
    char text[512];
    for (size_t i = 0; i < sizeof wheres / sizeof *wheres; i++) {
        fixture f;
        create(&f, &wheres[i].w);
        fixture_rows(f.net, text);
        assert_string_equal(text, wheres[i].rows);
        fixture_destroy(&f);
    }
}

/* A row of the plan: the pooled map, the way by name, and the parameters as they are apart. */
static void test_row(void **state)
{
    (void)state;
    fixture f;
    hs_layer_row row;
    int count = 0;
    create(&f, &(wish){.text = "C8k3 R M3s2 F4"});
    hs_net_row(f.net, 0, &row);
    assert_string_equal(row.name, "conv1");
    assert_string_equal(row.engine, "direct pooled");
    assert_true(row.in.h == 12 && row.in.w == 11 && row.in.c == 3 && row.out.h == 6 && row.out.w == 6 && row.out.c == 8);
    assert_true(fabs(row.gflop - 1e-9 * 2 * 2 * 27 * 8 * 12 * 11) < 1e-12); /* the whole convolution, twice */
    assert_int_equal(row.activation_bytes, 5 * 6 * 6 * 8 * 4);
    const hs_param *param = hs_net_params(f.net, &count);
    assert_int_equal(count, 4);
    assert_string_equal(param[0].layer, "conv1");
    assert_string_equal(param[2].layer, "fc1");
    fixture_destroy(&f);
}

/* ---- numbers --------------------------------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double loss, *gradient, logits[20];
    size_t count;
} outcome;

static outcome pass_of(const wish *w)
{
    fixture f;
    outcome o;
    create(&f, w);
    o.loss = fixture_loss(&f);
    OK(hs_net_backward(f.net, f.stream, &f.pass));
    o.count = hs_net_params_count(f.net);
    OK(hs_calloc(o.count, sizeof *o.gradient, "gradients", &o.gradient));
    fixture_read(&f, hs_net_gradients(f.net), o.count, o.gradient);
    fixture_read(&f, hs_net_logits(f.net), 20, o.logits);
    fixture_destroy(&f);
    return o;
}

/* Both ways round the same numbers in the same manner and add up in another order, so that a winner or a sign seldom differs. In bf16 the
 * map apart may be stored in 8 bits: more of its numbers are equal then, and the first takes the gradient. */
static void test_numbers(void **state)
{
    static const char *const texts[] = {"C8k3 R M3s2 C6k3 R F4", "C20k5{bias=no} R M2s2 F4", "C5k3{param=spatial, flip=yes} R M3s3 T F4"};
    static const struct {
        const char *precision;
        double loss, gradient;
    } levels[] = {{"fp32", 1e-6, 1e-5}, {"tf32", 1e-5, 1e-3}, {"bf16", 1e-2, 0.15}};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts * 6; i++) {
        wish w = {.text = texts[i / 6], .precision = levels[i % 3].precision, .boundary = i % 6 / 3 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO};
        const outcome joined = pass_of(&w);
        w.apart = true;
        const outcome apart = pass_of(&w);
        double gap = 0, norm = 0;
        for (size_t k = 0; k < joined.count; k++) {
            gap += (joined.gradient[k] - apart.gradient[k]) * (joined.gradient[k] - apart.gradient[k]);
            norm += apart.gradient[k] * apart.gradient[k];
        }
        printf("# %s, %s: loss %.1e, gradient %.1e, relative\n", w.text, w.precision, fabs(joined.loss / apart.loss - 1), sqrt(gap / norm));
        assert_int_equal(joined.count, apart.count);
        assert_true(norm > 0 && fabs(joined.loss / apart.loss - 1) <= levels[i % 3].loss);
        assert_true(sqrt(gap / norm) <= levels[i % 3].gradient);
        hs_free(joined.gradient);
        hs_free(apart.gradient);
    }
}

static void test_evaluation(void **state)
{
    (void)state;
    fixture f;
    hs_loss_sums sums[2];
    for (int i = 0; i < 2; i++) {
        create(&f, &(wish){.text = "C8k3 R M3s2 F4", .apart = i});
        f.pass.training = false;
        f.pass.n = 3; /* fewer than the plan holds */
        OK(hs_net_forward(f.net, f.stream, &f.pass, f.x));
        OK(hs_net_loss(f.net, f.stream, &f.pass, f.labels, &sums[i]));
        fixture_destroy(&f);
    }
    assert_true(sums[0].loss > 0 && fabs(sums[0].loss / sums[1].loss - 1) < 1e-6);
}

/* ---- sealed edges ------------------------------------------------------------------------------------------------------------------------ */

enum { SIDE = 11, CI = 3, CO = 20, P = 6, N = 2, NX = N * SIDE * SIDE * CI, NY = N * P * P * CO, TAPS = 9 * CI * CO };

/* Multiples of an eighth, which bf16 holds: as bf16 if HALF. */
static void *device_numbers(const fixture *f, uint32_t stream, int count, bool half)
{
    void *memory = NULL;
    float *full = malloc((size_t)count * sizeof *full);
    uint16_t *narrow = malloc((size_t)count * sizeof *narrow);
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        full[i] = (float)((int)test_draw(stream, (uint64_t)i, 33) - 16) / 8;
        memcpy(&bits, &full[i], sizeof bits);
        narrow[i] = (uint16_t)(bits >> 16);
    }
    OK(f->backend->memory->alloc(f->device, (size_t)count * sizeof *full, &memory));
    OK(f->backend->memory->upload(f->stream, memory, half ? (void *)narrow : full, (size_t)count * (half ? sizeof *narrow : sizeof *full)));
    free(full), free(narrow);
    return memory;
}

/* y and the gradients, y rounded to bf16 as upper halves of floats. */
static void run_sealed(const fixture *f, bool in, bool out, uint32_t *y, float *gradients)
{
    const hs_conv_ops *ops = f->backend->conv;
    const hs_memory_ops *memory = f->backend->memory;
    const hs_conv_desc d = {.capacity = N, .h = SIDE, .w = SIDE, .ci = CI, .co = CO, .kh = 3, .kw = 3, .stride = 1, .oh = SIDE, .ow = SIDE, .pad_h = 1,
                            .pad_w = 1, .bias = true, .relu = true, .pool = 3, .pool_stride = 2, .ph = P, .pw = P, .engine = HS_ENGINE_DIRECT,
                            .sealed_in = in, .sealed_out = out};
    hs_conv *conv = NULL;
    uint16_t half[NY];
    OK(ops->plan(f->device, &d, &conv));
    void *buffer[] = {device_numbers(f, 11, NX, in), device_numbers(f, 12, TAPS, false), device_numbers(f, 13, CO, false),
                      device_numbers(f, 14, NY, false), device_numbers(f, 15, NY, out), device_numbers(f, 16, TAPS, false),
                      device_numbers(f, 17, CO, false), NULL, NULL};
    OK(memory->alloc(f->device, ops->saved_bytes(conv), &buffer[7]));
    OK(memory->alloc(f->device, ops->scratch_bytes(conv), &buffer[8]));
    OK(ops->forward(f->stream, conv, N, buffer[0], buffer[1], buffer[2], buffer[3], buffer[7], buffer[8]));
    OK(ops->backward(f->stream, conv, N, buffer[0], buffer[1], buffer[4], NULL, buffer[5], buffer[6], buffer[7], buffer[8]));
    OK(memory->download(f->stream, out ? (void *)half : y, buffer[3], NY * (out ? sizeof *half : sizeof *y)));
    for (int i = 0; i < NY; i++)
        y[i] = out ? (uint32_t)half[i] << 16 : (y[i] + 0x7FFF + (y[i] >> 16 & 1)) & 0xFFFF0000u;
    OK(memory->download(f->stream, gradients, buffer[5], TAPS * sizeof *gradients));
    OK(memory->download(f->stream, gradients + TAPS, buffer[6], CO * sizeof *gradients));
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        memory->free(f->device, buffer[i]);
    ops->destroy(&conv);
}

/* What is stored as bf16 is read and written as such, and computed as it is without. */
static void test_sealed(void **state)
{
    (void)state;
    static uint32_t y[2][NY];
    static float gradients[2][TAPS + CO];
    double largest = 0;
    fixture f;
    create(&f, &(wish){.text = "C8k3 R M3s2 F4", .precision = "bf16"});
    run_sealed(&f, false, false, y[0], gradients[0]);
    for (int i = 0; i < TAPS + CO; i++)
        largest = gradients[0][i] > largest ? (double)gradients[0][i] : largest;
    assert_true(largest > 1);
    for (int edges = 1; edges < 4; edges++) {
        run_sealed(&f, edges & 1, edges & 2, y[1], gradients[1]);
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        assert_memory_equal(gradients[0], gradients[1], sizeof gradients[0]);
    }
    fixture_destroy(&f);
}

/* ---- plans ------------------------------------------------------------------------------------------------------------------------------ */

/* Ranks do what rank 0 does, joined or not, whatever their own estimates say. */
static void test_decisions(void **state)
{
    static const char *const text = "C8k3 R M3s2 C6k3 R F4";
    (void)state;
    fixture f, g;
    create(&f, &(wish){.text = text});
    assert_non_null(strstr(hs_net_decisions(f.net), "conv1=direct+relu+max:space>space;"));
    create(&g, &(wish){.text = text, .forced = hs_net_decisions(f.net)});
    assert_string_equal(hs_net_decisions(g.net), hs_net_decisions(f.net));
    assert_int_equal(hs_net_rows(g.net), hs_net_rows(f.net));
    fixture_destroy(&g);
    create(&g, &(wish){.text = text, .forced = "conv1=direct.1+relu:space>space;conv2=direct.1+relu:space>space;"});
    assert_int_equal(hs_net_rows(g.net), hs_net_rows(f.net) + 1);
    assert_true(fixture_loss(&g) > 0);
    fixture_destroy(&g), fixture_destroy(&f);
}

/* What is measured decides, joined or not; how fast an emulation is says nothing. Both were measured, so that wisdom knows next time. */
static void test_measured(void **state)
{
    (void)state;
    fixture f;
    hs_layer_row row;
    create(&f, &(wish){.text = "C8k3 R M3s2 F4", .mode = "measure"});
    hs_net_row(f.net, 0, &row);
    assert_true(strcmp(row.notation, "C8k3 R M3s2") == 0 || strcmp(row.notation, "C8k3 R") == 0);
    assert_int_equal(hs_net_rows(f.net), strcmp(row.notation, "C8k3 R") == 0 ? 3 : 2);
    assert_true(row.measured > 0 && row.predicted > 0);
    assert_true(fixture_loss(&f) > 0);
    fixture_destroy(&f);
}

static void learn(hs_wisdom *wisdom, double seconds, const char *before, int way, const char *behind)
{
    char what[HS_WISDOM_KEY], number[8] = "";
    if (way)
        snprintf(number, sizeof number, ".%d", way);
    snprintf(what, sizeof what, "%s%s%s", before, number, behind);
    OK(hs_wisdom_learn(wisdom, what, seconds));
}

/* A table that says what takes how long: joined costs 2.5 or 3.5 seconds, apart 2, in whichever way, and 1. */
static void test_wisdom(void **state)
{
    (void)state;
    for (int fast = 0; fast < 2; fast++) {
        hs_wisdom *wisdom = NULL;
        hs_net_options options;
        fixture f;
        OK(hs_wisdom_open("", "", NULL, &wisdom));
        learn(wisdom, fast ? 2.5 : 3.5, "C8k3 R M3s2 spectral zero, relu, max 3s2 | 12x11x3 > 6x6x8 | direct", 0, " space>space | n=5 dx=0 train=1");
        learn(wisdom, 1, "M3s2 | 12x11x8 > 6x6x8 | -", 0, " space>space | n=5 dx=1 train=1");
        for (int way = 1; way < 7; way++)
            learn(wisdom, 2, "C8k3 R spectral zero, relu | 12x11x3 > 12x11x8 | direct", way, " space>space | n=5 dx=0 train=1");
        learn(wisdom, 2, "C8k3 R spectral zero, relu | 12x11x3 > 12x11x8 | fft", 0, " space>space | n=5 dx=0 train=1");
        hs_net_options_default(&options);
        fixture_create(&f, backend_named("cuda"), "C8k3 R M3s2 F4", &options, map, 4, 5);
        hs_plan_options plan = {.capacity = 5, .training = true, .mode = "measure", .wisdom = wisdom};
        OK(hs_net_plan(f.net, f.device, f.stream, &plan));
        assert_int_equal(hs_net_rows(f.net), fast ? 2 : 3);
        fixture_destroy(&f);
        hs_wisdom_close(&wisdom);
    }
}

/* HALFSPEC_CUDA_CONV asks for a way that does not pool. */
static void test_asked_otherwise(void **state)
{
    (void)state;
    fixture f;
    setenv("HALFSPEC_CUDA_CONV", "windows", 1);
    create(&f, &(wish){.text = "C8k3 R M3s2 F4"});
    assert_int_equal(hs_net_rows(f.net), 3);
    fixture_destroy(&f);
    setenv("HALFSPEC_CUDA_CONV", "pooled", 1);
    create(&f, &(wish){.text = "C8k3 R M3s2 F4"});
    assert_int_equal(hs_net_rows(f.net), 2);
    fixture_destroy(&f);
    unsetenv("HALFSPEC_CUDA_CONV");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),     cmocka_unit_test(test_row),      cmocka_unit_test(test_numbers), cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_sealed),    cmocka_unit_test(test_decisions), cmocka_unit_test(test_measured), cmocka_unit_test(test_wisdom),
        cmocka_unit_test(test_asked_otherwise),
    };
    return cmocka_run_group_tests_name("pooled convolutions in networks", tests, NULL, NULL);
}
