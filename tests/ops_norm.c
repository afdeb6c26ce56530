/* ops_norm.c - cases of hs_norm_ops. */
#include <math.h>

#include "op_cases.h"

typedef struct norm {
    size_t rows;
    int c;
    double total; /* rows of all ranks */
} norm;

/* mean and 1/deviation [c], as some batch may have them. */
static void fill_statistics(const op_run *run, int c, double *mean, double *rstd)
{
    for (int j = 0; j < c; j++) {
        mean[j] = op_normal(run, "mean", (size_t)j);
        rstd[j] = exp(0.3 * op_normal(run, "rstd", (size_t)j));
    }
}

static hs_status run_norm(op_run *run, const void *parameters)
{
    enum { CHANNELS = 64 };
    const norm *p = parameters;
    const size_t count = p->rows * p->c, c = (size_t)p->c;
    const hs_norm_ops *ops = op_backend(run)->norm;
    double mean_host[CHANNELS], rstd_host[CHANNELS], sums_host[2 * CHANNELS];
    fill_statistics(run, p->c, mean_host, rstd_host);
    for (size_t j = 0; j < 2 * c; j++)
        sums_host[j] = 5 * op_normal(run, "sums", j);
    void *x = op_in(run, "x", count, 2), *dy = op_in(run, "dy", count, 1);
    op_slab(run, true);
    void *gamma = op_in(run, "gamma", c, 1), *beta = op_in(run, "beta", c, 1);
    op_slab(run, false);
    double *mean = op_in_values(run, "mean", OP_DOUBLE, c, mean_host), *rstd = op_in_values(run, "rstd", OP_DOUBLE, c, rstd_host);
    double *all = op_in_values(run, "sums of all ranks", OP_DOUBLE, 2 * c, sums_host);
    op_limit(run, 2e-6, "sums in double or pairwise");
    op_floor(run, 2 * sqrt((double)p->rows));
    HS_TRY(ops->moments(op_stream(run), p->rows, p->c, x, op_out(run, "sums", OP_DOUBLE, 2 * c)));
    HS_TRY(ops->moments_bwd(op_stream(run), p->rows, p->c, x, mean, rstd, dy, op_out(run, "sums bwd", OP_DOUBLE, 2 * c)));
    op_limit(run, 2e-6, "a few roundings a number");
    op_floor(run, 0.5); /* two terms of size 1 may cancel */
    HS_TRY(ops->apply(op_stream(run), p->rows, p->c, x, mean, rstd, gamma, beta, op_out(run, "y", OP_REAL, count)));
    return ops->apply_bwd(op_stream(run), p->rows, p->c, x, mean, rstd, gamma, dy, all, p->total, op_out(run, "dx", OP_REAL, count));
}

/* What is made of sums over TOTAL rows; one channel in seven has no variance at all. */
static hs_status run_statistics(op_run *run, const void *parameters)
{
    enum { CHANNELS = 64 };
    const norm *p = parameters;
    const size_t c = (size_t)p->c;
    const hs_norm_ops *ops = op_backend(run)->norm;
    double sums_host[2 * CHANNELS], var_host[CHANNELS];
    for (size_t j = 0; j < c; j++) {
        const double mean = op_normal(run, "mean", j), var = j % 7 == 3 ? 0 : exp(op_normal(run, "var", j));
        sums_host[j] = mean * p->total;
        sums_host[c + j] = (var + mean * mean) * p->total;
        var_host[j] = exp(op_normal(run, "old var", j));
    }
    double *sums = op_in_values(run, "sums", OP_DOUBLE, 2 * c, sums_host);
    op_limit(run, 1e-5, "differences of squares, in double; kept as float");
    op_slab(run, true);
    void *mean = op_inout(run, "running mean", c, 1), *var = op_inout_values(run, "running var", OP_REAL, c, var_host);
    void *dgamma = op_out(run, "dgamma", OP_REAL, c), *dbeta = op_out(run, "dbeta", OP_REAL, c);
    op_slab(run, false);
    HS_TRY(ops->running(op_stream(run), p->c, mean, var, 1e-3, op_out(run, "old mean", OP_DOUBLE, c), op_out(run, "old rstd", OP_DOUBLE, c)));
    HS_TRY(ops->statistics(op_stream(run), p->c, sums, p->total, 1e-3, 0.3, op_out(run, "mean", OP_DOUBLE, c), op_out(run, "rstd", OP_DOUBLE, c),
                           mean, var));
    return ops->gradients(op_stream(run), p->c, sums, dgamma, dbeta);
}

void ops_norm(op_suite *suite)
{
    op_topic(suite, "batch norm");
    for (int i = 0; i < 16; i++) {
        norm p = {i < 2 ? (size_t)i : (size_t)op_random(suite, 1, 3000), op_random(suite, 1, 40), 1};
        p.total = (double)p.rows + op_random(suite, 1, 100);
        op_case(suite, run_norm, &p, "norm rows=%zu c=%d total=%g", p.rows, p.c, p.total);
        op_case(suite, run_statistics, &p, "norm statistics c=%d total=%g", p.c, p.total);
    }
}
