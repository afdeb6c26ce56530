/* t_ref_optim.c - updates, penalties and norms of `ref` by their definitions: formulas by hand, gradients by differences, proximal maps as the
 * minima they are. */
#include "ref_help.h"

/* ---- updates ------------------------------------------------------------------------------------------------------------------------ */

static void sgd_in_its_three_forms(void **state)
{
    (void)state;
    const double g = 4;
    double p = 1, m = 2;
    hs_update u = {.lr = 0.1, .momentum = 0.5, .grad_scale = 0.5};
    assert_ok(ref->optim->sgd(stream, &u, 1, &p, &g, NULL));
    assert_near(p, 1 - 0.1 * 2, 1e-15);
    p = 1;
    assert_ok(ref->optim->sgd(stream, &u, 1, &p, &g, &m));
    assert_near(m, 0.5 * 2 + 2, 1e-15);
    assert_near(p, 1 - 0.1 * 3, 1e-15);
    p = 1, m = 2, u.nesterov = true, u.decay = 0.01;
    assert_ok(ref->optim->sgd(stream, &u, 1, &p, &g, &m));
    assert_near(p, 1 - 0.1 * (2 + 0.5 * 3) - 0.1 * 0.01 * 1, 1e-15);
}

/* The first step of Adam is lr * sign(g), whatever the scale of g. */
static void adam_is_its_formula(void **state)
{
    (void)state;
    double p = 1, m = 0, v = 0, g = -1e-3;
    hs_update u = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-12, .grad_scale = 1, .correction1 = 0.1, .correction2 = 0.01};
    assert_ok(ref->optim->adam(stream, &u, 1, &p, &g, &m, &v));
    assert_near(p, 1 + 0.1, 1e-9);
    assert_near(m, 0.1 * g, 1e-18);
    assert_near(v, 0.01 * g * g, 1e-18);
    u.correction1 = 1 - 0.81, u.correction2 = 1 - 0.99 * 0.99, u.decay = 0.5;
    double before = p, want_m = 0.9 * m + 0.1 * 2, want_v = 0.99 * v + 0.01 * 4;
    g = 2;
    assert_ok(ref->optim->adam(stream, &u, 1, &p, &g, &m, &v));
    assert_near(p, before - 0.1 * (want_m / 0.19) / (sqrt(want_v / (1 - 0.99 * 0.99)) + 1e-12) - 0.1 * 0.5 * before, 1e-14);
}

enum { ROWS = 6, Q = 4, COUNT = ROWS * Q };
static const int32_t partner[ROWS] = {0, 2, 1, 4, 3, 5}; /* two rows alone, two pairs */
static const double weight[ROWS] = {1, 2, 2, 0.5, 0.5, 3};
static const hs_groups groups = {ROWS, partner, weight};

/* Turns every pair of rows by ANGLE, as moving a filter in space does to its bins. */
static void turn(double angle, double *x)
{
    for (int t = 1; t < 5; t += 2)
        for (int j = 0; j < Q; j++) {
            double re = x[t * Q + j], im = x[(t + 1) * Q + j];
            x[t * Q + j] = re * cos(angle) - im * sin(angle);
            x[(t + 1) * Q + j] = re * sin(angle) + im * cos(angle);
        }
}

/* With one second moment a bin, turning parameters and gradients and then stepping is stepping and then turning; plain Adam is not so. */
static void adam_of_the_modulus_does_not_see_the_phase(void **state)
{
    (void)state;
    const hs_update u = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .grad_scale = 1, .correction1 = 0.1, .correction2 = 0.01};
    double *p = normals(COUNT), *g = normals(COUNT), *pt = zeros(COUNT), *gt = zeros(COUNT);
    for (int plain = 0; plain < 2; plain++) {
        double m[COUNT] = {0}, v[COUNT] = {0}, mt[COUNT] = {0}, vt[COUNT] = {0};
        memcpy(pt, p, COUNT * sizeof *p);
        memcpy(gt, g, COUNT * sizeof *g);
        turn(0.7, pt);
        turn(0.7, gt);
        if (plain) {
            assert_ok(ref->optim->adam(stream, &u, COUNT, p, g, m, v));
            assert_ok(ref->optim->adam(stream, &u, COUNT, pt, gt, mt, vt));
        } else {
            assert_ok(ref->optim->adam_modulus(stream, &u, &groups, Q, p, g, m, v));
            assert_ok(ref->optim->adam_modulus(stream, &u, &groups, Q, pt, gt, mt, vt));
            assert_near(v[1 * Q], 0.01 * 0.5 * (g[1 * Q] * g[1 * Q] + g[2 * Q] * g[2 * Q]), 1e-15);
            assert_near(v[1 * Q], v[2 * Q], 0);
            assert_near(v[5 * Q], 0.01 * g[5 * Q] * g[5 * Q], 1e-15);
        }
        turn(0.7, p);
        assert_true(plain ? distance(COUNT, pt, p) > 1e-3 : distance(COUNT, pt, p) < 1e-12);
        turn(-0.7, p);
    }
    free(p), free(g), free(pt), free(gt);
}

/* ---- penalties ---------------------------------------------------------------------------------------------------------------------- */

static double penalty(hs_penalty_kind kind, const double *p)
{
    double g[COUNT] = {0}, value = 0;
    assert_ok(ref->optim->penalty_gradient(stream, kind, &groups, Q, 0.3, p, g, &value));
    return value;
}

static void penalty_of(void *context, const double *p, double *y)
{
    *y = penalty(*(hs_penalty_kind *)context, p);
}

/* Numbers at least 0.1 from zero, where the subgradient jumps. */
static double *away_from_zero(void)
{
    double *p = normals(COUNT);
    for (int i = 0; i < COUNT; i++)
        p[i] += p[i] < 0 ? -0.1 : 0.1;
    return p;
}

static void penalty_values_by_hand(void **state)
{
    (void)state;
    double p[COUNT] = {0};
    p[0 * Q] = -2;                /* alone, weight 1 */
    p[1 * Q + 1] = 3, p[2 * Q + 1] = -4; /* a pair, weight 2, modulus 5 */
    assert_near(penalty(HS_PENALTY_L2, p), 0.3 * (2 + 2 * 12.5), 1e-13);
    assert_near(penalty(HS_PENALTY_L1_SPLIT, p), 0.3 * (2 + 2 * 7), 1e-13);
    assert_near(penalty(HS_PENALTY_L1_MODULUS, p), 0.3 * (2 + 2 * 5), 1e-13);
}

static void penalties_have_their_gradients(void **state)
{
    (void)state;
    for (int kind = HS_PENALTY_L2; kind <= HS_PENALTY_L1_MODULUS; kind++) {
        hs_penalty_kind which = (hs_penalty_kind)kind;
        double *p = away_from_zero(), *g = normals(COUNT), *before = zeros(COUNT), value = 7, one = 1;
        memcpy(before, g, COUNT * sizeof *g);
        assert_ok(ref->optim->penalty_gradient(stream, which, &groups, Q, 0.3, p, g, &value));
        assert_near(value, 7 + penalty(which, p), 1e-12); /* adds to what is there, gradient too */
        for (int i = 0; i < COUNT; i++)
            g[i] -= before[i];
        assert_true(gradient_error(penalty_of, &which, COUNT, p, 1, &one, g) < 1e-6);
        free(p), free(g), free(before);
    }
}

/* prox(p) is the minimum of |z - p|^2 / 2 + penalty(z): nothing near it is lower, and one bin is small enough to become exactly zero. */
static void proximal_maps_are_minima(void **state)
{
    (void)state;
    for (int kind = HS_PENALTY_L2; kind <= HS_PENALTY_L1_MODULUS; kind++) {
        double *p = away_from_zero(), *z = zeros(COUNT), *other = zeros(COUNT), value = 0;
        p[1 * Q] = 0.2, p[2 * Q] = -0.3; /* modulus 0.36 < 0.3 * 2, each part below too */
        memcpy(z, p, COUNT * sizeof *p);
        assert_ok(ref->optim->penalty_prox(stream, (hs_penalty_kind)kind, &groups, Q, 0.3, z, &value));
        assert_near(value, penalty((hs_penalty_kind)kind, p), 1e-12);
        assert_true(kind == HS_PENALTY_L2 ? z[1 * Q] > 0 : z[1 * Q] == 0 && z[2 * Q] == 0);
        double d = distance(COUNT, z, p) * sqrt(dot(COUNT, p, p)), lowest = d * d / 2 + penalty((hs_penalty_kind)kind, z);
        for (int round = 0; round < 200; round++) {
            double *direction = normals(COUNT), gap = 0;
            for (int i = 0; i < COUNT; i++) {
                other[i] = z[i] + 1e-3 * direction[i] * (round % 2 ? 1 : i == round % COUNT);
                gap += (other[i] - p[i]) * (other[i] - p[i]);
            }
            assert_true(gap / 2 + penalty((hs_penalty_kind)kind, other) > lowest);
            free(direction);
        }
        free(p), free(z), free(other);
    }
}

/* ---- norms -------------------------------------------------------------------------------------------------------------------------- */

static void norms_add_up(void **state)
{
    (void)state;
    const double x[3] = {1, 2, -3}, bad[2] = {1, NAN};
    double y[3] = {0, 4, 1}, value = 1;
    assert_ok(ref->optim->sum_squares(stream, 3, x, &value));
    assert_near(value, 15, 0);
    assert_ok(ref->optim->distance_squares(stream, 3, x, y, &value));
    assert_near(value, 15 + 1 + 4 + 16, 0);
    assert_ok(ref->optim->axpy(stream, 3, 2, x, y));
    assert_true(y[0] == 2 && y[1] == 8 && y[2] == -5);
    assert_ok(ref->optim->sum_squares(stream, 0, NULL, &value));
    assert_near(value, 36, 0);
    assert_ok(ref->optim->sum_squares(stream, 2, bad, &value));
    assert_true(isnan(value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd_in_its_three_forms),
        cmocka_unit_test(adam_is_its_formula),
        cmocka_unit_test(adam_of_the_modulus_does_not_see_the_phase),
        cmocka_unit_test(penalty_values_by_hand),
        cmocka_unit_test(penalties_have_their_gradients),
        cmocka_unit_test(proximal_maps_are_minima),
        cmocka_unit_test(norms_add_up),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
