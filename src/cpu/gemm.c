/* gemm.c - matrix products of dense layers, cut among the threads; bias and its gradient. Our own kernel does what layers ask for, BLAS the rest
 * (a factor, or a fraction of the old C). */
#include "cpu.h"

#include <cblas.h>

/* Below this many multiply-adds starting the threads costs more than it saves (about 5 us against 1 us per 100,000). */
static const double least_parallel = 4e5;

typedef struct product {
    const hs_cpu_device *device;
    bool trans_a, trans_b;
    int m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
} product;

/* Rows [first, last) or columns of C. */
static void sub_product(const product *p, int thread, bool rows, hs_cpu_range range)
{
    const size_t first = range.first, count = range.last - range.first;
    if (count == 0)
        return;
    const float *a = p->a, *b = p->b;
    float *c = p->c;
    if (rows) {
        a += p->trans_a ? first : first * (size_t)p->lda;
        c += first * (size_t)p->ldc;
    } else {
        b += p->trans_b ? first * (size_t)p->ldb : first;
        c += first;
    }
    const int m = rows ? (int)count : p->m, n = rows ? p->n : (int)count;
    if (p->alpha == 1 && (p->beta == 0 || p->beta == 1))
        hs_cpu_product(p->device->kernels, hs_cpu_pack(p->device, thread), p->trans_a, p->trans_b, m, n, p->k, a, (size_t)p->lda, b,
                       (size_t)p->ldb, p->beta == 1, c, (size_t)p->ldc);
    else
        cblas_sgemm(CblasRowMajor, p->trans_a ? CblasTrans : CblasNoTrans, p->trans_b ? CblasTrans : CblasNoTrans, m, n, p->k, p->alpha, a,
                    p->lda, b, p->ldb, p->beta, c, p->ldc);
}

static hs_status gemm(hs_stream *s, bool trans_a, bool trans_b, int m, int n, int k, double alpha, const void *a, int lda, const void *b,
                      int ldb, double beta, void *c, int ldc)
{
    const product p = {hs_cpu_of(s), trans_a, trans_b, m, n, k, lda, ldb, ldc, (float)alpha, (float)beta, a, b, c};
    const bool rows = m > n; /* cut the longer side */
    const size_t total = (size_t)(rows ? m : n);
    const int threads = (double)m * n * k < least_parallel ? 1 : s->device->threads;
    if (m == 0 || n == 0)
        return HS_OK;
    if (threads == 1) {
        sub_product(&p, 0, rows, (hs_cpu_range){0, total});
        return HS_OK;
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++)
        sub_product(&p, t, rows, hs_cpu_part(total, HS_CPU_PANEL, t, threads));
    return HS_OK;
}

static hs_status bias_add(hs_stream *s, int rows, int cols, const void *bias, void *y)
{
    const float *b = bias;
    float *out = y;
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if ((long)rows * cols > 20000)
    for (int r = 0; r < rows; r++) {
        float *row = out + (size_t)r * cols;
#pragma omp simd
        for (int c = 0; c < cols; c++)
            row[c] += b[c];
    }
    return HS_OK;
}

enum { COLUMNS = 16, RUN = 256 };

/* Columns are summed one line of 16 at a time: RUN rows in float, the runs in double, so neither order nor rounding depends on the threads. */
static void column_sums(int rows, int cols, int width, const float *dy, float *out)
{
    double total[COLUMNS] = {0};
    for (int first = 0; first < rows; first += RUN) {
        float run[COLUMNS] = {0};
        const int last = first + RUN < rows ? first + RUN : rows;
        for (int r = first; r < last; r++) {
            const float *row = dy + (size_t)r * cols;
#pragma omp simd
            for (int c = 0; c < width; c++)
                run[c] += row[c];
        }
        for (int c = 0; c < width; c++)
            total[c] += run[c];
    }
    for (int c = 0; c < width; c++)
        out[c] = (float)total[c];
}

static hs_status bias_grad(hs_stream *s, int rows, int cols, const void *dy, void *dbias)
{
#pragma omp parallel for num_threads(s->device->threads) schedule(static) if ((long)rows * cols > 20000)
    for (int c = 0; c < cols; c += COLUMNS) {
        const float *from = (const float *)dy + c;
        float *to = (float *)dbias + c;
        if (cols - c >= COLUMNS)
            column_sums(rows, cols, COLUMNS, from, to);
        else
            column_sums(rows, cols, cols - c, from, to);
    }
    return HS_OK;
}

const hs_gemm_ops hs_cpu_gemm_ops = {.gemm = gemm, .bias_add = bias_add, .bias_grad = bias_grad};
