/* gemm.c - matrix product and the bias of dense layers. */
#include "real.h"

enum { BLOCK = 64 };

/* Columns j .. j + width of row i of op(A) op(B), summed in double. Blocks of columns let the inner loop read rows of B in order. */
static void row_block(bool trans_a, bool trans_b, int i, int j, int width, int k, const real *a, int lda, const real *b, int ldb,
                      double sum[BLOCK])
{
    for (int col = 0; col < width; col++)
        sum[col] = 0;
    for (int l = 0; l < k; l++) {
        double left = trans_a ? a[(size_t)l * lda + i] : a[(size_t)i * lda + l];
        if (trans_b)
            for (int col = 0; col < width; col++)
                sum[col] += left * (double)b[(size_t)(j + col) * ldb + l];
        else
            for (int col = 0; col < width; col++)
                sum[col] += left * (double)b[(size_t)l * ldb + j + col];
    }
}

hs_status REF(gemm)(hs_stream *s, bool trans_a, bool trans_b, int m, int n, int k, double alpha, const void *a, int lda, const void *b,
                    int ldb, double beta, void *c, int ldc)
{
    (void)s;
    for (int i = 0; i < m; i++) {
        real *row = (real *)c + (size_t)i * ldc;
        for (int j = 0; j < n; j += BLOCK) {
            double sum[BLOCK];
            int width = n - j < BLOCK ? n - j : BLOCK;
            row_block(trans_a, trans_b, i, j, width, k, a, lda, b, ldb, sum);
            for (int col = 0; col < width; col++) /* beta = 0 must not read C: it may hold anything, NaN too */
                row[j + col] = (real)(beta == 0 ? alpha * sum[col] : alpha * sum[col] + beta * (double)row[j + col]);
        }
    }
    return HS_OK;
}

hs_status REF(bias_add)(hs_stream *s, int rows, int cols, const void *bias, void *y)
{
    (void)s;
    const real *add = bias;
    real *out = y;
    for (size_t r = 0; r < (size_t)rows; r++)
        for (int c = 0; c < cols; c++)
            out[r * cols + c] = (real)((double)out[r * cols + c] + (double)add[c]);
    return HS_OK;
}

hs_status REF(bias_grad)(hs_stream *s, int rows, int cols, const void *dy, void *dbias)
{
    (void)s;
    const real *grad = dy;
    real *out = dbias;
    for (int c = 0; c < cols; c++) {
        double sum = 0;
        for (size_t r = 0; r < (size_t)rows; r++)
            sum += grad[r * cols + c];
        out[c] = (real)sum;
    }
    return HS_OK;
}

const hs_gemm_ops REF(gemm_ops) = {
    .gemm = REF(gemm),
    .bias_add = REF(bias_add),
    .bias_grad = REF(bias_grad),
};
