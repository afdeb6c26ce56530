/* ops_optim.c - cases of hs_optim_ops: updates, penalties, norms. */
#include <math.h>
#include <stdlib.h>

#include "op_cases.h"

enum rule { SGD, MOMENTUM, NESTEROV, ADAM, ADAM_MODULUS, RULES };
static const char *const rule_name[] = {"sgd", "momentum", "nesterov", "adam", "adam_modulus"};

typedef struct update {
    enum rule rule;
    int coords;
    size_t q;
    double decay, grad_scale;
} update;

enum { ROWS = 64 };

/* Rows 0 and, if their number is even, the last stand alone; the others are pairs (re, im). */
static void fill_partners(int coords, int32_t *partner)
{
    for (int t = 0; t < coords; t++)
        partner[t] = t == 0 || (t == coords - 1 && coords % 2 == 0) ? t : t % 2 ? t + 1 : t - 1;
}

/* Second moments are squares. */
static void *second_moment(op_run *run, size_t count)
{
    double *v = calloc(count + 1, sizeof *v);
    for (size_t i = 0; v && i < count; i++)
        v[i] = pow(op_normal(run, "v", i), 2);
    void *memory = v ? op_inout_values(run, "v", OP_REAL, count, v) : NULL;
    free(v);
    return memory;
}

static hs_status run_update(op_run *run, const void *parameters)
{
    const update *p = parameters;
    const hs_optim_ops *ops = op_backend(run)->optim;
    const size_t count = (size_t)p->coords * p->q;
    int32_t partner[ROWS];
    double weight[ROWS] = {0};
    fill_partners(p->coords, partner);
    hs_update u = {.lr = 0.05, .momentum = p->rule == SGD ? 0 : 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = p->decay,
                   .grad_scale = p->grad_scale, .correction1 = 0.19, .correction2 = 0.002, .nesterov = p->rule == NESTEROV};
    op_limit(run, 2e-6, "a few roundings a number");
    op_floor(run, 0.5); /* two terms of size 1 may cancel */
    op_slab(run, true);
    void *param = op_inout(run, "p", count, 1), *g = op_in(run, "g", count, 1);
    if (p->rule == SGD)
        return ops->sgd(op_stream(run), &u, count, param, g, NULL);
    void *m = op_inout(run, "m", count, 1);
    if (p->rule <= NESTEROV)
        return ops->sgd(op_stream(run), &u, count, param, g, m);
    void *v = second_moment(run, count);
    if (p->rule == ADAM)
        return ops->adam(op_stream(run), &u, count, param, g, m, v);
    hs_groups groups = {p->coords, op_in_values(run, "partner", OP_INT32, (size_t)p->coords, partner),
                        op_in_values(run, "weight", OP_DOUBLE, (size_t)p->coords, weight)};
    return ops->adam_modulus(op_stream(run), &u, &groups, p->q, param, g, m, v);
}

/* ---- penalties ---------------------------------------------------------------------------------------------------------------------- */

static const char *const penalty_name[] = {"l2", "l1-split", "l1-modulus"};

typedef struct penalty {
    hs_penalty_kind kind;
    bool prox;
    int coords;
    size_t q;
    double lambda;
} penalty;

/* Partners have equal weights; every fifth number is zero, where the subgradient is 0. */
static void fill_penalty(const op_run *run, const penalty *p, double *weight, double *values)
{
    for (int t = 0; t < p->coords; t++)
        weight[t] = 0.5 + (t + 1) / 2;
    for (size_t i = 0; i < (size_t)p->coords * p->q; i++)
        values[i] = i % p->q % 5 == 3 ? 0 : op_normal(run, "p", i);
}

static hs_status run_filled(op_run *run, const penalty *p, double *values)
{
    const hs_optim_ops *ops = op_backend(run)->optim;
    const size_t count = (size_t)p->coords * p->q;
    int32_t partner[ROWS];
    double weight[ROWS], start = 0.5;
    fill_partners(p->coords, partner);
    fill_penalty(run, p, weight, values);
    hs_groups groups = {p->coords, op_in_values(run, "partner", OP_INT32, (size_t)p->coords, partner),
                        op_in_values(run, "weight", OP_DOUBLE, (size_t)p->coords, weight)};
    op_limit(run, 2e-6, "a few roundings a number, the sum in double or pairwise");
    op_floor(run, 0.3); /* what a threshold leaves of a number just above it is small */
    double *value = op_inout_values(run, "value", OP_DOUBLE, 1, &start);
    op_slab(run, true);
    if (p->prox)
        return ops->penalty_prox(op_stream(run), p->kind, &groups, p->q, p->lambda, op_inout_values(run, "p", OP_REAL, count, values), value);
    void *param = op_in_values(run, "p", OP_REAL, count, values);
    return ops->penalty_gradient(op_stream(run), p->kind, &groups, p->q, p->lambda, param, op_inout(run, "g", count, 1), value);
}

static hs_status run_penalty(op_run *run, const void *parameters)
{
    const penalty *p = parameters;
    double *values = calloc((size_t)p->coords * p->q + 1, sizeof *values);
    hs_status st = values ? run_filled(run, p, values) : hs_fail(HS_EINTERNAL, "no memory");
    free(values);
    return st;
}

/* ---- norms -------------------------------------------------------------------------------------------------------------------------- */

typedef struct norm {
    size_t count;
    double poison; /* put in the middle, if not 0 */
} norm;

static hs_status run_norms(op_run *run, const void *parameters)
{
    const norm *p = parameters;
    const hs_optim_ops *ops = op_backend(run)->optim;
    const double start = 0.25;
    double *x = calloc(p->count + 1, sizeof *x);
    for (size_t i = 0; x && i < p->count; i++)
        x[i] = p->poison != 0 && i == p->count / 2 ? p->poison : op_normal(run, "x", i);
    op_floor(run, 0.3);
    op_slab(run, true);
    void *a = x ? op_in_values(run, "x", OP_REAL, p->count, x) : NULL, *b = op_in(run, "y", p->count, 1);
    free(x);
    op_limit(run, 2e-6, "sums in double or pairwise");
    HS_TRY(ops->sum_squares(op_stream(run), p->count, a, op_inout_values(run, "squares", OP_DOUBLE, 1, &start)));
    HS_TRY(ops->distance_squares(op_stream(run), p->count, a, b, op_inout_values(run, "distance", OP_DOUBLE, 1, &start)));
    return ops->axpy(op_stream(run), p->count, -0.75, a, op_inout(run, "z", p->count, 1));
}

void ops_optim(op_suite *suite)
{
    op_topic(suite, "updates");
    for (int i = 0; i < 6 * RULES; i++) {
        update p = {(enum rule)(i % RULES), op_random(suite, 1, 50), (size_t)(i < RULES ? 0 : op_random(suite, 1, 200)), i % 3 ? 0 : 0.01,
                    i % 4 ? 1 : 0.3};
        op_case(suite, run_update, &p, "%s coords=%d q=%zu decay=%g scale=%g", rule_name[p.rule], p.coords, p.q, p.decay, p.grad_scale);
    }
    op_topic(suite, "penalties");
    for (int i = 0; i < 24; i++) {
        penalty p = {(hs_penalty_kind)(i % 3), i / 3 % 2, op_random(suite, 1, 50), (size_t)op_random(suite, 1, 200), i % 4 == 3 ? 0 : 0.02};
        op_case(suite, run_penalty, &p, "penalty %s %s coords=%d q=%zu lambda=%g", penalty_name[p.kind], p.prox ? "prox" : "gradient", p.coords,
                p.q, p.lambda);
    }
    op_topic(suite, "norms");
    for (int i = 0; i < 9; i++) {
        norm p = {i ? (size_t)op_random(suite, 1, 100000) : 0, i % 3 == 1 ? NAN : i % 3 == 2 ? INFINITY : 0};
        op_case(suite, run_norms, &p, "norms count=%zu poison=%g", p.count, p.poison);
    }
}
