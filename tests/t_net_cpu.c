/* t_net_cpu.c - networks on cpu against ref: logits, loss and every gradient, for random shapes and the planner's own choices.
 *
 * Bound: cpu rounds to float (6e-8) and the deepest sums here have some 2,000 terms, so errors grow like sqrt(2000) * 6e-8 = 3e-6 per layer;
 * 5e-5 of a tensor's norm allows for six layers and for transforms. ReLU and max pooling may decide otherwise within that error, which moves
 * a gradient by whole elements, of a small map by more than the 1e-2 that nets with them are given: then, logits and loss being right, another draw
 * decides, and after three of them it is no accident. (BN of vectors is left out: of two samples it makes +1 and -1, and what gradient is
 * left is rounding.) */
#include <math.h>

#include "net_fixture.h"

/* %d: filters and sizes drawn at random; the map is at least 8 x 8. */
static const struct {
    const char *text;
    bool kinks;
} nets[] = {
    {"C%dk3{param=spatial} T C%dk5 T F3", false},
    {"C%dk3 T SP6 T C%dk3x2{param=half-raw} T SP*0.7 GA F3", false},
    {"C%dk3{boundary=periodic} SP7 T C%dk3{boundary=periodic,engine=fft} T F3", false},
    {"C%dk5{boundary=periodic,engine=fft} MR C%dk3{boundary=periodic,bias=no} SP5x6 ST GA F3", false},
    {"C%dk5{engine=fft} T C%dk7{engine=fft,flip=yes} A3s2 F3", false},
    {"C%dk3{stride=2} T C%dk4{flip=yes,stride=2,boundary=periodic,param=rotation} T F3", false},
    {"C%dk3{embed=band,boundary=periodic} T C%dk1 T GA F3", false},
    {"C%1$dk3 BN T [C%2$dk3 BN T C%1$dk3 T] F9 T F3", false},
    {"C%dk3 T FD C%dk3 T FD{draw=sample} D0.3 F3", false},
    {"C%dk3{param=spectral3d} T C%dk2{param=full-complex} T F3", false},
    {"C%dk3 R M3s2 C%dk3 R SP3 R F16 R D0.5 F3", true},
    {"C%dk1 R C%dk1 R GA F3", true},
    {"C%dk3{boundary=periodic,engine=fft} R C%dk3{boundary=periodic,engine=fft} R SP7x6 R F3", true},
    {"C%dk3{boundary=periodic} R SP*0.85 R C%dk3{boundary=periodic,engine=fft} R SP*0.85 R GA F3", true},
};
enum { NETS = sizeof nets / sizeof nets[0], ROUNDS = 4 };

static double distance(const double *a, const double *b, size_t count, double floor_norm)
{
    double d = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        d += (a[i] - b[i]) * (a[i] - b[i]);
        norm += a[i] * a[i];
    }
    return sqrt(d) / fmax(sqrt(norm), floor_norm);
}

typedef struct result {
    double *logits, *gradient, *dx, loss;
} result;

static void run(fixture *f, result *r)
{
    size_t count = hs_net_params_count(f->net), inputs = (size_t)f->n * hs_shape_count(hs_net_input(f->net));
    OK(hs_calloc((size_t)f->n * (size_t)f->classes, sizeof(double), "logits", &r->logits));
    OK(hs_calloc(count, sizeof(double), "gradient", &r->gradient));
    OK(hs_calloc(inputs, sizeof(double), "gradient", &r->dx));
    r->loss = fixture_loss(f);
    OK(hs_net_backward(f->net, f->stream, &f->pass));
    fixture_read(f, hs_net_logits(f->net), (size_t)f->n * (size_t)f->classes, r->logits);
    fixture_read(f, hs_net_gradients(f->net), count, r->gradient);
    OK(hs_net_input_gradient(f->net, f->stream, f->n, r->dx));
}

static void free_result(result *r)
{
    hs_free(r->logits);
    hs_free(r->gradient);
    hs_free(r->dx);
}

static double norm_of(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* Whether gradients agree; logits and loss must. WHY [160]: where they do not. */
static bool compare(fixture *ref, const result *a, const result *b, const char *text, bool kinks, char *why)
{
    int count = 0;
    const hs_param *p = hs_net_params(ref->net, &count);
    double smooth = 5e-5, bound = kinks ? 1e-2 : smooth;
    /* A gradient that is zero in exact arithmetic (a bias in front of BN) is noise beside the others. */
    double floor_norm = 1e-2 * norm_of(a->gradient, hs_net_params_count(ref->net));
    double logits = distance(a->logits, b->logits, (size_t)ref->n * (size_t)ref->classes, 1e-6);
    double input = distance(a->dx, b->dx, (size_t)ref->n * hs_shape_count(hs_net_input(ref->net)), floor_norm);
    if (!(logits <= smooth) || !(fabs(a->loss - b->loss) <= smooth * fabs(a->loss)))
        fail_msg("%s: logits differ by %.3g, loss by %.3g", text, logits, fabs(a->loss - b->loss));
    snprintf(why, 160, "the input's gradient differs by %.3g", input);
    bool same = input <= bound;
    for (int i = 0; i < count && same; i++) {
        double d = distance(a->gradient + p[i].offset, b->gradient + p[i].offset, p[i].count, floor_norm);
        snprintf(why, 160, "the gradient of %s.%s differs by %.3g", p[i].layer, p[i].name, d);
        same = d <= bound;
    }
    return same;
}

static bool agree(int which, uint32_t round, char *text, char *why)
{
    fixture ref, cpu;
    result a, b;
    hs_net_options options;
    hs_net_options_default(&options);
    options.init_bias = 0.05;
    options.seed = test_seed() + round;
    uint32_t key = 300 + (uint32_t)which * 16 + round;
    hs_shape in = {8 + (int)test_draw(key, 0, 9), 8 + (int)test_draw(key, 1, 9), 1 + (int)test_draw(key, 2, 5)};
    int n = 2 + (int)test_draw(key, 3, 5), f1 = 2 + (int)test_draw(key, 4, 18), f2 = 2 + (int)test_draw(key, 5, 18);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, 256, nets[which].text, f1, f2);
#pragma GCC diagnostic pop
    fixture_create(&ref, backend_named("ref"), text, &options, in, 3, n);
    fixture_create(&cpu, backend_named("cpu"), text, &options, in, 3, n);
    hs_net_want_input_gradient(ref.net, true);
    hs_net_want_input_gradient(cpu.net, true);
    fixture_plan(&ref);
    fixture_plan(&cpu);
    size_t count = hs_net_params_count(cpu.net);
    double *params = NULL; /* float numbers for both */
    OK(hs_calloc(count, sizeof *params, "parameters", &params));
    fixture_read(&cpu, hs_net_slab(cpu.net), count, params);
    fixture_write(&ref, params, count, hs_net_slab(ref.net));
    run(&ref, &a);
    run(&cpu, &b);
    bool same = compare(&ref, &a, &b, text, nets[which].kinks, why);
    hs_free(params);
    free_result(&a);
    free_result(&b);
    fixture_destroy(&ref);
    fixture_destroy(&cpu);
    return same;
}

static void check(int which, uint32_t round)
{
    char text[256], why[160];
    int draws = nets[which].kinks ? 3 : 1;
    for (int i = 0; i < draws; i++)
        if (agree(which, round + ROUNDS * (uint32_t)i, text, why))
            return;
    fail_msg("%s: %s", text, why);
}

static void test_cpu(void **state)
{
    (void)state;
    if (!backend_named("cpu"))
        skip();
    for (int which = 0; which < NETS; which++)
        for (uint32_t round = 0; round < ROUNDS; round++)
            check(which, round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpu)};
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
