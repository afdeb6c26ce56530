/* ops_gemm.c - cases of hs_gemm_ops. */
#include <math.h>

#include "op_cases.h"

typedef struct product {
    bool trans_a, trans_b;
    int m, n, k, extra; /* extra: leading dimensions are so much wider than needed */
    double alpha, beta;
} product;

static hs_status run_product(op_run *run, const void *parameters)
{
    const product *p = parameters;
    const int lda = (p->trans_a ? p->m : p->k) + p->extra, ldb = (p->trans_b ? p->k : p->n) + p->extra, ldc = p->n + p->extra;
    void *a = op_in(run, "a", (size_t)(p->trans_a ? p->k : p->m) * lda, 1);
    op_slab(run, p->extra == 0); /* B as weights, C as their gradient */
    void *b = op_in(run, "b", (size_t)(p->trans_b ? p->n : p->k) * ldb, 1);
    op_floor(run, sqrt(p->k) * fabs(p->alpha));
    /* beta = 0: C holds NaN, which must not come through; the columns beyond n must stay as they are */
    void *c = p->beta == 0 ? op_out(run, "c", OP_REAL, (size_t)p->m * ldc) : op_inout(run, "c", (size_t)p->m * ldc, 1);
    return op_backend(run)->gemm->gemm(op_stream(run), p->trans_a, p->trans_b, p->m, p->n, p->k, p->alpha, a, lda, b, ldb, p->beta, c, ldc);
}

static void add_product(op_suite *suite, product p)
{
    op_case(suite, run_product, &p, "gemm %c%c %dx%dx%d extra=%d alpha=%g beta=%g", p.trans_a ? 't' : 'n', p.trans_b ? 't' : 'n', p.m, p.n, p.k,
            p.extra, p.alpha, p.beta);
}

typedef struct bias_shape {
    int rows, cols;
    bool grad;
} bias_shape;

static hs_status run_bias(op_run *run, const void *parameters)
{
    const bias_shape *p = parameters;
    const size_t count = (size_t)p->rows * p->cols;
    const hs_gemm_ops *ops = op_backend(run)->gemm;
    if (p->grad) {
        void *dy = op_in(run, "dy", count, 1);
        op_floor(run, sqrt(p->rows));
        op_slab(run, true);
        return ops->bias_grad(op_stream(run), p->rows, p->cols, dy, op_out(run, "dbias", OP_REAL, (size_t)p->cols));
    }
    op_limit(run, 1e-6, "one rounding a number");
    op_slab(run, true);
    void *bias = op_in(run, "bias", (size_t)p->cols, 1);
    op_slab(run, false);
    return ops->bias_add(op_stream(run), p->rows, p->cols, bias, op_inout(run, "y", count, 1));
}

void ops_gemm(op_suite *suite)
{
    op_topic(suite, "gemm");
    const int sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 48, 9}, {65, 130, 33}, {50, 10, 1024}, {0, 4, 3}, {4, 3, 0}, {128, 1, 17}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int flags = 0; flags < 4; flags++) {
            add_product(suite, (product){flags & 1, flags & 2, sizes[i][0], sizes[i][1], sizes[i][2], 0, 1, 0});
            add_product(suite, (product){flags & 1, flags & 2, sizes[i][0], sizes[i][1], sizes[i][2], 3, -0.5, 2});
        }
    for (int i = 0; i < 12; i++)
        add_product(suite, (product){op_random(suite, 0, 1), op_random(suite, 0, 1), op_random(suite, 1, 70), op_random(suite, 1, 70),
                                     op_random(suite, 1, 200), op_random(suite, 0, 2), 1, op_random(suite, 0, 1)});
    op_topic(suite, "bias");
    for (int i = 0; i < 12; i++) {
        bias_shape p = {i == 0 ? 0 : op_random(suite, 1, 300), op_random(suite, 1, 40), false};
        op_case(suite, run_bias, &p, "bias_add rows=%d cols=%d", p.rows, p.cols);
        p.grad = true;
        op_case(suite, run_bias, &p, "bias_grad rows=%d cols=%d", p.rows, p.cols);
    }
    const bias_shape wide = {2, (1 << 17) + 5, true}; /* more sums than a GPU's stream has room for at a time */
    op_case(suite, run_bias, &wide, "bias_grad rows=%d cols=%d", wide.rows, wide.cols);
}
