/* t_ref_element.c - elementwise ops, dropout, spectral activations, batch normalisation and the loss of `ref` by their properties. */
#include "ref_help.h"

#include "hs_spectrum.h"

/* ---- one number by itself ----------------------------------------------------------------------------------------------------------- */

static size_t length; /* of the vectors of relu_of and tanh_of */

static void relu_of(void *context, const double *x, double *y)
{
    (void)context;
    assert_ok(ref->element->relu_fwd(stream, length, x, y));
}

static void tanh_of(void *context, const double *x, double *y)
{
    (void)context;
    assert_ok(ref->element->tanh_fwd(stream, length, x, y));
}

static void activations_have_their_gradients(void **state)
{
    (void)state;
    length = 50;
    double *x = normals(length), *y = zeros(length), *dy = normals(length), *dx = zeros(length);
    for (size_t i = 0; i < length; i++) /* away from the kink */
        x[i] += x[i] < 0 ? -0.01 : 0.01;
    relu_of(NULL, x, y);
    assert_ok(ref->element->relu_bwd(stream, length, y, dy, dx));
    assert_true(gradient_error(relu_of, NULL, length, x, length, dy, dx) < 1e-6);
    tanh_of(NULL, x, y);
    assert_ok(ref->element->tanh_bwd(stream, length, y, dy, dx));
    assert_true(gradient_error(tanh_of, NULL, length, x, length, dy, dx) < 1e-6);
    free(x), free(y), free(dy), free(dx);
}

static void nan_is_not_lost(void **state)
{
    (void)state;
    double x[4] = {NAN, INFINITY, -INFINITY, -2};
    assert_ok(ref->element->relu_fwd(stream, 4, x, x));
    assert_true(isnan(x[0]) && x[1] == INFINITY && x[2] == 0 && x[3] == 0);
    assert_ok(ref->element->scale(stream, 4, 2, x));
    assert_true(isnan(x[0]));
}

/* ---- dropout ------------------------------------------------------------------------------------------------------------------------ */

static void dropout_depends_on_the_global_position_alone(void **state)
{
    (void)state;
    enum { N = 12, F = 31 };
    double *x = normals(N * F), *whole = zeros(N * F), *parts = zeros(N * F);
    assert_ok(ref->element->dropout(stream, N, F, 0.4, 9, &(uint32_t){5}, 2, 100, x, whole));
    for (int from = 0, n; from < N; from += n) {
        n = pick(1, N - from);
        assert_ok(ref->element->dropout(stream, n, F, 0.4, 9, &(uint32_t){5}, 2, 100 + from, x + from * F, parts + from * F));
    }
    assert_memory_equal(whole, parts, N * F * sizeof *x);
    assert_ok(ref->element->dropout(stream, N, F, 0.4, 9, &(uint32_t){6}, 2, 100, x, parts)); /* another step: another mask */
    assert_true(distance(N * F, parts, whole) > 0.1);
    free(x), free(whole), free(parts);
}

static void dropout_keeps_the_mean(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    double *x = zeros(COUNT), *y = zeros(COUNT), kept = 0;
    for (int i = 0; i < COUNT; i++)
        x[i] = 1;
    assert_ok(ref->element->dropout(stream, 1, COUNT, 0.3, test_seed, &(uint32_t){0}, 0, 0, x, y));
    for (int i = 0; i < COUNT; i++) {
        assert_true(y[i] == 0 || fabs(y[i] - 1 / 0.7) < 1e-15);
        kept += y[i] != 0;
    }
    assert_near(kept / COUNT, 0.7, 6 * sqrt(0.3 * 0.7 / COUNT));
    assert_ok(ref->element->dropout(stream, 1, COUNT, 0, test_seed, &(uint32_t){0}, 0, 0, x, y));
    assert_memory_equal(x, y, COUNT * sizeof *x);
    free(x), free(y);
}

/* ---- spectral activations ----------------------------------------------------------------------------------------------------------- */

typedef struct modulus {
    bool soft;
    int h, w, n, c, bins;
    size_t count;
    uint8_t self[64];
    double *x, *b;
} modulus;

static modulus modulus_random(bool soft)
{
    modulus m = {.soft = soft, .h = pick(1, 6), .w = pick(1, 6), .n = pick(1, 2), .c = pick(1, 3)};
    m.bins = hs_bins_count(m.h, m.w);
    m.count = (size_t)m.bins * m.n * 2 * m.c;
    m.x = normals(m.count);
    m.b = normals((size_t)m.c);
    for (int u = 0; u < m.bins; u++) {
        int ky, kx;
        hs_bin_at(m.h, m.w, u, &ky, &kx);
        m.self[u] = hs_bin_is_self(m.h, m.w, ky, kx);
        for (int i = 0; i < m.n * m.c; i++) {
            double *re = m.x + ((size_t)u * m.n + i / m.c) * 2 * m.c + i % m.c, *im = re + m.c;
            *re += *re < 0 ? -0.2 : 0.2; /* away from the origin, where the curvature has no bound */
            *im = m.self[u] ? 0 : *im;
            double r = hypot(*re, *im) * (m.self[u] ? 1 : sqrt(0.5)), offset = soft ? -fabs(m.b[i % m.c]) : m.b[i % m.c];
            double factor = fabs(r + offset) < 0.01 ? 2 : 1; /* away from the cut, where the derivative jumps */
            *re *= factor;
            *im *= factor;
        }
    }
    return m;
}

static void modulus_of_x(void *context, const double *x, double *y)
{
    const modulus *m = context;
    assert_ok(ref->element->modulus_fwd(stream, m->soft, m->bins, m->self, m->n, m->c, x, m->b, y));
}

static void modulus_of_b(void *context, const double *b, double *y)
{
    const modulus *m = context;
    assert_ok(ref->element->modulus_fwd(stream, m->soft, m->bins, m->self, m->n, m->c, m->x, b, y));
}

static void spectral_activations_have_their_gradients(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        modulus m = modulus_random(round % 2);
        double *dy = normals(m.count), *dx = normals(m.count), *db = normals((size_t)m.c);
        assert_ok(ref->element->modulus_bwd(stream, m.soft, m.bins, m.self, m.n, m.c, m.x, m.b, dy, dx, db));
        assert_true(gradient_error(modulus_of_x, &m, m.count, m.x, m.count, dy, dx) < 1e-6);
        assert_true(gradient_error(modulus_of_b, &m, (size_t)m.c, m.b, m.count, dy, db) < 1e-6);
        free(m.x), free(m.b), free(dy), free(dx), free(db);
    }
}

/* The phase stays, the modulus of the unitary bin moves by the offset and stops at zero. */
static void spectral_activations_move_the_modulus(void **state)
{
    (void)state;
    const uint8_t self[2] = {1, 0};
    const double root = sqrt(2), b = -1, x[4] = {-3, 0, 3 * root, 4 * root}; /* |z| = 3 and 5 */
    double y[4];
    for (int soft = 0; soft < 2; soft++) {
        assert_ok(ref->element->modulus_fwd(stream, soft, 2, self, 1, 1, x, &b, y));
        assert_near(y[0], -2, 1e-14);
        assert_near(y[1], 0, 0);
        assert_near(y[2], 3 * root * 4 / 5, 1e-14);
        assert_near(y[3], 4 * root * 4 / 5, 1e-14);
    }
    const double up = 1; /* modReLU grows, the threshold uses |b| and shrinks all the same */
    assert_ok(ref->element->modulus_fwd(stream, false, 2, self, 1, 1, x, &up, y));
    assert_near(y[0], -4, 1e-14);
    assert_ok(ref->element->modulus_fwd(stream, true, 2, self, 1, 1, x, &up, y));
    assert_near(y[0], -2, 1e-14);
    const double cut = -4, zero[4] = {0};
    assert_ok(ref->element->modulus_fwd(stream, false, 2, self, 1, 1, x, &cut, y));
    assert_near(y[0], 0, 0);
    assert_near(y[2], 3 * root / 5, 1e-14);
    assert_ok(ref->element->modulus_fwd(stream, false, 2, self, 1, 1, zero, &up, y));
    assert_memory_equal(y, zero, sizeof y);
}

/* ---- batch normalisation ------------------------------------------------------------------------------------------------------------ */

typedef struct norm {
    size_t rows;
    int c;
    const double *gamma, *beta;
    double mean[8], rstd[8];
} norm;

static void norm_of_x(void *context, const double *x, double *y)
{
    norm *p = context;
    double sums[16];
    assert_ok(ref->norm->moments(stream, p->rows, p->c, x, sums));
    for (int j = 0; j < p->c; j++) {
        p->mean[j] = sums[j] / (double)p->rows;
        p->rstd[j] = 1 / sqrt(sums[p->c + j] / (double)p->rows - p->mean[j] * p->mean[j] + 1e-3);
    }
    assert_ok(ref->norm->apply(stream, p->rows, p->c, x, p->mean, p->rstd, p->gamma, p->beta, y));
}

static void batch_norm_has_its_gradient(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        norm p = {.rows = (size_t)pick(2, 12), .c = pick(1, 4)};
        const size_t count = p.rows * p.c;
        double *x = normals(count), *y = zeros(count), *dy = normals(count), *dx = zeros(count), sums[16];
        double *gamma = normals((size_t)p.c), *beta = normals((size_t)p.c);
        p.gamma = gamma, p.beta = beta;
        norm_of_x(&p, x, y);
        for (int j = 0; j < p.c; j++) {
            double mean = 0;
            for (size_t r = 0; r < p.rows; r++)
                mean += y[r * p.c + j] / (double)p.rows;
            assert_near(mean, beta[j], 1e-12);
        }
        assert_ok(ref->norm->moments_bwd(stream, p.rows, p.c, x, p.mean, p.rstd, dy, sums));
        assert_ok(ref->norm->apply_bwd(stream, p.rows, p.c, x, p.mean, p.rstd, gamma, dy, sums, (double)p.rows, dx));
        assert_true(gradient_error(norm_of_x, &p, count, x, count, dy, dx) < 1e-6);
        free(x), free(y), free(dy), free(dx), free(gamma), free(beta);
    }
}

/* ---- loss --------------------------------------------------------------------------------------------------------------------------- */

typedef struct loss {
    int n, classes;
    int32_t labels[8];
} loss;

static void loss_of(void *context, const double *z, double *y)
{
    const loss *p = context;
    double totals[3];
    assert_ok(ref->loss->softmax(stream, p->n, p->classes, z, p->labels, 1, NULL, totals));
    *y = totals[0];
}

static void softmax_has_its_gradient(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        loss p = {.n = pick(1, 8), .classes = pick(1, 12)};
        const size_t count = (size_t)p.n * p.classes;
        const double scale = 0.25;
        double *z = normals(count), *dz = zeros(count), totals[3];
        for (int i = 0; i < p.n; i++)
            p.labels[i] = pick(0, p.classes - 1);
        assert_ok(ref->loss->softmax(stream, p.n, p.classes, z, p.labels, scale, dz, totals));
        assert_true(gradient_error(loss_of, &p, count, z, 1, &scale, dz) < 1e-6);
        free(z), free(dz);
    }
}

static void softmax_is_stable(void **state)
{
    (void)state;
    const double z[6] = {1e4, 1e4 + 1, -1e4, 700, -700, -1e300};
    const int32_t labels[2] = {1, 0};
    double dz[6], totals[3];
    assert_ok(ref->loss->softmax(stream, 2, 3, z, labels, 1, dz, totals));
    assert_near(totals[0], log(1 + exp(-1)), 1e-9);
    assert_near(dz[0], 1 / (1 + exp(1)), 1e-9);
    assert_near(dz[2], 0, 0);
    assert_ok(ref->loss->softmax(stream, 0, 3, NULL, NULL, 1, NULL, totals));
    assert_true(totals[0] == 0 && totals[1] == 0 && totals[2] == 0);
}

static void ties_count_against(void **state)
{
    (void)state;
    const double z[14] = {1, 2, 3, 4, 5, 6, 7, /**/ 5, 5, 5, 5, 5, 1, 0};
    const int32_t best[2] = {6, 0}, fifth[2] = {2, 5}, nan_label = 0;
    double totals[3];
    assert_ok(ref->loss->softmax(stream, 2, 7, z, best, 1, NULL, totals));
    assert_true(totals[1] == 1 && totals[2] == 2); /* 5 five times: rank 4 at best, still among five */
    assert_ok(ref->loss->softmax(stream, 2, 7, z, fifth, 1, NULL, totals));
    assert_true(totals[1] == 0 && totals[2] == 1); /* 3 is fifth; 1 is sixth */
    const double nan[2] = {NAN, NAN};
    assert_ok(ref->loss->softmax(stream, 1, 2, nan, &nan_label, 1, NULL, totals));
    assert_true(isnan(totals[0]) && totals[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_have_their_gradients),
        cmocka_unit_test(nan_is_not_lost),
        cmocka_unit_test(dropout_depends_on_the_global_position_alone),
        cmocka_unit_test(dropout_keeps_the_mean),
        cmocka_unit_test(spectral_activations_have_their_gradients),
        cmocka_unit_test(spectral_activations_move_the_modulus),
        cmocka_unit_test(batch_norm_has_its_gradient),
        cmocka_unit_test(softmax_has_its_gradient),
        cmocka_unit_test(softmax_is_stable),
        cmocka_unit_test(ties_count_against),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
