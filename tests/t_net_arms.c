/* t_net_arms.c - one start in space gives the same filters in every arm; SGD follows one trajectory in all orthonormal arms, other
 * coordinates move by the factors of their normalisation; and what the initialisers draw. */
#include <math.h>

#include "hs_spectrum.h"
#include "net_fixture.h"

enum { TAPS_MAX = 4096 };
static const char *const arms[] = {"spatial", "spectral", "rotation", "spectral3d", "half-raw", "full-complex"};
enum { ARMS = 6, ORTHONORMAL = 4 };

static void open_arm(fixture *f, const char *form, const char *arm, hs_init init)
{
    char text[256];
    hs_net_options options;
    hs_net_options_default(&options);
    options.init = init;
    options.init_std = 0.05;
    options.seed = test_seed();
    snprintf(text, sizeof text, form, arm, arm);
    fixture_create(f, backend_named("ref"), text, &options, (hs_shape){6, 5, 2}, 3, 4);
    fixture_plan(f);
}

/* Filter I (counting filters) as taps. */
static size_t read_taps(fixture *f, int which, double *taps)
{
    int count = 0;
    const hs_param *p = hs_net_params(f->net, &count);
    for (int i = 0; i < count; i++)
        if (p[i].role == HS_ROLE_FILTER && which-- == 0) {
            OK(hs_net_filter_to_taps(f->net, &p[i], (const double *)hs_net_slab(f->net) + p[i].offset, taps));
            return (size_t)p[i].kh * (size_t)p[i].kw * (size_t)p[i].in * (size_t)p[i].out;
        }
    fail_msg("no such filter");
    return 0;
}

static double largest_difference(const double *a, const double *b, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(a[i] - b[i]));
    return largest;
}

static void test_same_start(void **state)
{
    static const char *const form = "C5k4x3{param=%s} R C4k5{param=%s} GA F3";
    static const hs_init inits[] = {HS_INIT_HE, HS_INIT_GLOROT, HS_INIT_TRUNCATED, HS_INIT_SPECTRUM};
    double first[TAPS_MAX], taps[TAPS_MAX];
    (void)state;
    for (int i = 0; i < 4; i++) {
        double loss = 0;
        for (int a = 0; a < ARMS; a++) {
            fixture f;
            open_arm(&f, form, arms[a], inits[i]);
            size_t n = read_taps(&f, 1, a ? taps : first);
            assert_true(n == 500 && (a == 0 || largest_difference(first, taps, n) < 1e-14));
            double now = fixture_loss(&f);
            assert_true(a == 0 || fabs(now - loss) < 1e-13);
            loss = a ? loss : now;
            fixture_destroy(&f);
        }
    }
}

static void sgd(fixture *f, double rate, double momentum, double *velocity)
{
    double *p = hs_net_slab(f->net);
    const double *g = hs_net_gradients(f->net);
    f->pass.step++;
    fixture_loss(f);
    OK(hs_net_backward(f->net, f->stream, &f->pass));
    for (size_t i = 0; i < hs_net_params_count(f->net); i++) {
        velocity[i] = momentum * velocity[i] + g[i];
        p[i] -= rate * velocity[i];
    }
}

/* 40 steps with momentum. The other arms must not agree: otherwise nothing was compared. */
static void test_trajectories(void **state)
{
    static const char *const forms[] = {
        "C5k4x3{param=%s} R SP4 C4k5{param=%s,boundary=zero} R F3",
        "C5k3{param=%s,boundary=periodic} T C4k2{param=%s,stride=2,flip=yes} R F3",
    };
    double first[2][TAPS_MAX], taps[TAPS_MAX];
    (void)state;
    for (int form = 0; form < 2; form++)
        for (int a = 0; a < ARMS; a++) {
            fixture f;
            double *velocity = NULL;
            open_arm(&f, forms[form], arms[a], HS_INIT_HE);
            OK(hs_calloc(hs_net_params_count(f.net), sizeof *velocity, "velocity", &velocity));
            for (int step = 0; step < 40; step++)
                sgd(&f, 0.05, 0.9, velocity);
            for (int i = 0; i < 2; i++) {
                size_t n = read_taps(&f, i, a ? taps : first[i]);
                double d = a ? largest_difference(first[i], taps, n) : 0;
                if (a < ORTHONORMAL ? d > 1e-11 : d < 1e-6)
                    fail_msg("%s: %s is %.3g away from spatial", forms[form], arms[a], d);
            }
            hs_free(velocity);
            fixture_destroy(&f);
        }
}

/* One step of SGD in unnormalised coordinates moves the filter 2/N (self-conjugate bins 1/N) as far as in orthonormal ones. */
static void test_half_raw(void **state)
{
    static const char *const form = "C3k4x3{param=%s} T F3";
    double start[24 * 3], spectrum[2][24 * 3], velocity[1024];
    (void)state;
    for (int a = 0; a < 2; a++) {
        fixture f;
        int count = 0;
        open_arm(&f, form, a ? "half-raw" : "spectral", HS_INIT_HE);
        const hs_param *p = hs_net_params(f.net, &count);
        memset(velocity, 0, sizeof velocity);
        assert_true(hs_net_params_count(f.net) <= 1024);
        OK(hs_net_filter_to_spectrum(f.net, p, hs_net_slab(f.net), start));
        sgd(&f, 0.1, 0, velocity);
        OK(hs_net_filter_to_spectrum(f.net, p, hs_net_slab(f.net), spectrum[a]));
        for (int i = 0; i < 72; i++)
            spectrum[a][i] -= start[i];
        fixture_destroy(&f);
    }
    for (int filter = 0; filter < 6; filter++)
        for (int u = 0; u < hs_bins_count(4, 3); u++) {
            int ky, kx, at = hs_bin_coord(4, 3, u);
            hs_bin_at(4, 3, u, &ky, &kx);
            bool self = hs_bin_is_self(4, 3, ky, kx);
            for (int part = 0; part < (self ? 1 : 2); part++) {
                int i = filter * 12 + at + part;
                assert_true(fabs(spectrum[1][i] - (self ? 1.0 : 2.0) / 12 * spectrum[0][i]) < 1e-13);
            }
        }
}

/* Spectra and round trips of every arm and embedding; band filters have the half spectrum of the k x k filter they were drawn as. */
static void test_conversions(void **state)
{
    static const char *const forms[] = {"C5k3x4{param=%s} R F3", "C5k3x4{param=%s,boundary=periodic,embed=band} R F3"};
    double first[TAPS_MAX], spectrum[TAPS_MAX], taps[TAPS_MAX], again[TAPS_MAX], coords[TAPS_MAX];
    (void)state;
    for (int form = 0; form < 2; form++)
        for (int a = 0; a < ARMS; a++) {
            if (form == 1 && strcmp(arms[a], "spectral3d") == 0)
                continue;
            fixture f;
            int count = 0;
            open_arm(&f, forms[form], arms[a], HS_INIT_HE);
            const hs_param *p = hs_net_params(f.net, &count);
            const double *slab = hs_net_slab(f.net);
            OK(hs_net_filter_to_spectrum(f.net, p, slab, a || form ? spectrum : first));
            assert_true((a == 0 && form == 0) || largest_difference(first, spectrum, 120) < 1e-14);
            OK(hs_net_filter_to_taps(f.net, p, slab, taps));
            OK(hs_net_filter_to_coords(f.net, p, taps, coords));
            OK(hs_net_filter_to_taps(f.net, p, coords, again));
            assert_true(largest_difference(taps, again, form ? 300 : 120) < 1e-14);
            fixture_destroy(&f);
        }
}

static void moments(const double *x, size_t n, double *mean, double *variance, double *largest)
{
    double sum = 0, squares = 0;
    *largest = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
        *largest = fmax(*largest, fabs(x[i]));
    }
    *mean = sum / (double)n;
    *variance = squares / (double)n - *mean * *mean;
}

/* Variances of 4608 filter weights and 9216 dense ones: within 10 % (deviation of a variance of n numbers: sqrt(2/n) = 2 %). */
static void test_initial(void **state)
{
    static const struct {
        hs_init init;
        double conv, dense, bound; /* variances; bound of conv */
    } cases[] = {
        {HS_INIT_HE, 2.0 / 144, 2.0 / 288, 1},
        {HS_INIT_SPECTRUM, 2.0 / 144, 2.0 / 288, 1},
        {HS_INIT_GLOROT, 2.0 / (144 + 288), 2.0 / (288 + 32), 0.11785113019775793}, /* sqrt(6/432) */
        {HS_INIT_TRUNCATED, 0.0025 * 0.7737413, 0.0025 * 0.7737413, 0.1},           /* variance of a normal number cut at 2 */
    };
    (void)state;
    for (int i = 0; i < 4; i++) {
        fixture f;
        hs_net_options options;
        double mean, variance, largest;
        int count = 0;
        hs_net_options_default(&options);
        options.init = cases[i].init;
        options.init_std = 0.05;
        options.init_bias = 0.25;
        options.seed = test_seed();
        fixture_create(&f, backend_named("ref"), "C32k3 C32k3{param=spatial} F32 F3", &options, (hs_shape){3, 3, 16}, 3, 1);
        fixture_plan(&f);
        const hs_param *p = hs_net_params(f.net, &count);
        const double *slab = hs_net_slab(f.net);
        double *taps = NULL;
        OK(hs_calloc(p[0].count, sizeof *taps, "taps", &taps));
        OK(hs_net_filter_to_taps(f.net, &p[0], slab, taps));
        moments(taps, p[0].count, &mean, &variance, &largest);
        assert_true(fabs(mean) < 0.005 && fabs(variance / cases[i].conv - 1) < 0.1 && largest <= cases[i].bound);
        moments(slab + p[4].offset, p[4].count, &mean, &variance, &largest);
        assert_true(fabs(mean) < 0.005 && fabs(variance / cases[i].dense - 1) < 0.1);
        assert_true(slab[p[1].offset] == 0.25 && slab[p[7].offset] == 0.25);
        hs_free(taps);
        fixture_destroy(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_start), cmocka_unit_test(test_trajectories), cmocka_unit_test(test_half_raw),
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_initial),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
