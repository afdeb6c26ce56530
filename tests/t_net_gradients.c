/* t_net_gradients.c - every layer and every arm: analytic gradients against central differences in double on ref, relative error below 1e-6.
 *
 * Differences are Richardson's R(h) = (4 D(h) - D(2h))/3. Where R(h) and R(2h) disagree, ReLU or max pooling has a kink in between: such an
 * element is left out. One activation that happens to lie at its kink spoils most elements: then the net is drawn again. Whatever is random follows a printed seed. */
#include <math.h>

#include "net_fixture.h"

static const double limit = 1e-6, kink = 1e-6, h_param = 3e-5, h_input = 1.0 / 8192;

/* What was compared in one tensor. */
typedef struct tally {
    double difference, norm; /* sums of squares */
    int used, left_out;
} tally;

/* D: differences with steps h, 2h, 4h. */
static void compare(tally *t, const double d[3], double analytic, double scale)
{
    double numeric = (4 * d[0] - d[1]) / 3, wider = (4 * d[1] - d[2]) / 3;
    if (fabs(numeric - wider) > kink * (fabs(numeric) + scale)) {
        t->left_out++;
        return;
    }
    t->used++;
    t->difference += (numeric - analytic) * (numeric - analytic);
    t->norm += numeric * numeric;
}

/* False if too much had to be left out. SCALE: gradients so small beside the others of the net are rounding noise (a bias in front of batch normalisation is exactly 0). */
static bool judge(const tally *t, const char *notation, const char *what, double scale)
{
    double error = sqrt(t->difference) / (sqrt(t->norm) + 1e-3 * scale);
    if (error > limit)
        fail_msg("%s: %s: relative error %.3g over %d elements, %d left out (seed %llu)", notation, what, error, t->used, t->left_out,
                 (unsigned long long)test_seed());
    return t->left_out * 5 <= t->used;
}

static double root_mean_square(const double *g, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += g[i] * g[i];
    return count ? sqrt(sum / (double)count) : 0;
}

static double difference_of_param(fixture *f, double *p, double h)
{
    double keep = *p, up, down;
    *p = keep + h;
    up = fixture_loss(f);
    *p = keep - h;
    down = fixture_loss(f);
    *p = keep;
    return (up - down) / (2 * h);
}

/* At most 60 elements of each tensor, spread over it. */
static bool check_params(fixture *f, const double *gradient, const char *notation)
{
    int count = 0;
    bool enough = true;
    const hs_param *param = hs_net_params(f->net, &count);
    double scale = root_mean_square(gradient, hs_net_params_count(f->net));
    for (int i = 0; i < count; i++) {
        tally t = {0};
        char what[64];
        double own = root_mean_square(gradient + param[i].offset, param[i].count) + 1e-3 * scale;
        size_t stride = param[i].count / 60 + 1;
        for (size_t j = test_draw(4, (uint64_t)i, (uint32_t)stride); j < param[i].count; j += stride) {
            double *p = (double *)hs_net_slab(f->net) + param[i].offset + j;
            double d[3];
            for (int k = 0; k < 3; k++)
                d[k] = difference_of_param(f, p, h_param * (1 << k));
            compare(&t, d, gradient[param[i].offset + j], own);
        }
        snprintf(what, sizeof what, "%s.%s", param[i].layer, param[i].name);
        enough = judge(&t, notation, what, scale) && enough;
    }
    return enough;
}

/* Samples are floats: h is a power of two, so that x + h is exact. */
static double difference_of_input(fixture *f, float *x, double h)
{
    float keep = *x;
    *x = keep + (float)h;
    double up = fixture_loss(f);
    *x = keep - (float)h;
    double down = fixture_loss(f);
    *x = keep;
    return (up - down) / (2 * h);
}

static bool check_input(fixture *f, const double *dx, size_t count, const char *notation)
{
    tally t = {0};
    double scale = root_mean_square(dx, count);
    size_t stride = count / 60 + 1;
    for (size_t i = test_draw(5, 0, (uint32_t)stride); i < count; i += stride) {
        double d[3];
        for (int k = 0; k < 3; k++)
            d[k] = difference_of_input(f, f->x + i, h_input * (1 << k));
        compare(&t, d, dx[i], scale);
    }
    return judge(&t, notation, "input", scale);
}

/* Random offsets in place of the constants, so that thresholds, gamma and beta are not at special points. */
static void shake(fixture *f)
{
    int count = 0;
    const hs_param *param = hs_net_params(f->net, &count);
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < param[i].count; j++) {
            double *p = (double *)hs_net_slab(f->net) + param[i].offset + j;
            double u = (double)test_draw(6, param[i].offset + j, 1000) / 1000;
            if (param[i].role == HS_ROLE_THRESHOLD)
                *p = 0.02 + 0.05 * u;
            else if (param[i].role != HS_ROLE_FILTER && param[i].role != HS_ROLE_DENSE)
                *p += 0.2 * u;
        }
}

/* False if too many elements met kinks. DOMAINS: domains drawn at random instead of the planner's. */
static bool check_once(const char *notation, hs_shape in, const hs_net_options *options, bool domains)
{
    fixture f;
    char forced[2048];
    fixture_create(&f, backend_named("ref"), notation, options, in, 3, 3);
    if (domains) {
        fixture_plan(&f);
        random_domains(hs_net_decisions(f.net), forced, sizeof forced);
        fixture_destroy(&f);
        fixture_create(&f, backend_named("ref"), notation, options, in, 3, 3);
        OK(hs_net_force_decisions(f.net, forced));
    }
    hs_net_want_input_gradient(f.net, true);
    fixture_plan(&f);
    if (domains)
        assert_string_equal(hs_net_decisions(f.net), forced);
    shake(&f);
    size_t count = hs_net_params_count(f.net), inputs = (size_t)f.n * hs_shape_count(in);
    double *gradient = NULL, *dx = NULL;
    OK(hs_calloc(count + 1, sizeof *gradient, "gradients", &gradient));
    OK(hs_calloc(inputs, sizeof *dx, "gradients", &dx));
    fixture_loss(&f);
    OK(hs_net_backward(f.net, f.stream, &f.pass));
    fixture_read(&f, hs_net_gradients(f.net), count, gradient);
    OK(hs_net_input_gradient(f.net, f.stream, f.n, dx));
    bool enough = check_params(&f, gradient, notation);
    enough = check_input(&f, dx, inputs, notation) && enough;
    hs_free(gradient);
    hs_free(dx);
    fixture_destroy(&f);
    return enough;
}

static void check_net(const char *notation, hs_shape in, const hs_net_options *options, bool domains)
{
    hs_net_options own = *options;
    for (own.seed = test_seed(); own.seed < test_seed() + 8; own.seed++)
        if (check_once(notation, in, &own, domains))
            return;
    fail_msg("%s: kinks everywhere, 8 times", notation);
}

static const char *const arms[] = {"spatial", "spectral", "half-raw", "full-complex", "rotation", "spectral3d"};

/* Convolutions: arm, boundary, square and oblong, odd and even, stride, true convolution, no bias. */
static void test_arms(void **state)
{
    static const char *const forms[] = {
        "C4k3{param=%s} T C3k2x3{param=%s,stride=2} T F3",
        "C3k4x1{param=%s,boundary=periodic,flip=yes} T C3k3{param=%s,boundary=periodic,bias=no} GA",
        "C3k5{param=%s,engine=fft} T C3k1{param=%s} T C3k3{param=%s,engine=fft,boundary=periodic} T A2s2 F3",
        "C3k3{param=%s,stride=2,boundary=periodic} R C3k2{param=%s,flip=yes} GA",
    };
    (void)state;
    hs_net_options options;
    hs_net_options_default(&options);
    for (size_t a = 0; a < sizeof arms / sizeof arms[0]; a++)
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            char text[256];
            snprintf(text, sizeof text, forms[i], arms[a], arms[a], arms[a]);
            options.init_bias = 0.1;
            check_net(text, (hs_shape){6, 5, 2}, &options, false);
        }
}

static void test_band(void **state)
{
    (void)state;
    hs_net_options options;
    hs_net_options_default(&options);
    for (size_t a = 0; a < sizeof arms / sizeof arms[0] - 1; a++) { /* spectral3d has no band form */
        char text[256];
        snprintf(text, sizeof text, "C3k3{param=%s,embed=band,boundary=periodic} T C3k2x4{param=%s,embed=band,boundary=periodic,stride=2} GA", arms[a], arms[a]);
        check_net(text, (hs_shape){6, 5, 2}, &options, false);
    }
}

static void test_layers(void **state)
{
    static const char *const texts[] = {
        "C4k3 R M3s2 F8 R F3",
        "C4k3 T M2s1 M2 C4k2 R A3s2 F3",
        "C4k3 T SP4 T SP3x2{norm=mean} F3",
        "C4k3 T SP*0.6 GA F3",
        "C4k3 BN R C3k3 BN GA",
        "F6 BN T F3",
        "C4k3 FD T FD{draw=sample,alpha=0.1,beta=0.1} F3",
        "C4k3 D0.4 R F12 R D0.5 F3",
        "C4k3 MR C4k3{boundary=periodic} ST T F3",
        "MR ST F3",
        "R C3k3 MR GA",
    };
    (void)state;
    hs_net_options options;
    hs_net_options_default(&options);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_net(texts[i], (hs_shape){6, 7, 2}, &options, false);
}

static void test_residual(void **state)
{
    static const char *const texts[] = {
        "C4k3 [C4k3 R] R F3",
        "C4k3 R [R C4k3 R C4k3] T F3",
        "C4k3 T ([BN R C4k3])*2 GA F3",
        "C4k3 [[C4k1] T C4k1] GA F3",
        "[[T] T] F3",
        "C4k3 MR [ST C4k3 [T MR]] F3",
    };
    (void)state;
    hs_net_options options;
    hs_net_options_default(&options);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_net(texts[i], (hs_shape){5, 4, 2}, &options, false);
}

/* Spectra handed from layer to layer, with domains drawn at random. */
static void test_domains(void **state)
{
    static const char *const texts[] = {
        "C4k3 SP5x4 T C4k3 T FD SP4 F3",
        "C4k3 MR SP4 ST C4k2x3 FD T F3",
        "C4k3{bias=no} C4k3{engine=fft} SP3{norm=mean} [FD C4k3] GA F3",
    };
    (void)state;
    hs_net_options options;
    hs_net_options_default(&options);
    options.boundary = HS_BOUNDARY_PERIODIC;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int repeat = 0; repeat < 3; repeat++)
            check_net(texts[i], (hs_shape){6, 5 + repeat, 2}, &options, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arms), cmocka_unit_test(test_band), cmocka_unit_test(test_layers), cmocka_unit_test(test_residual),
        cmocka_unit_test(test_domains),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
