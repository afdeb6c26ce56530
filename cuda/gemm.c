/* gemm.c - matrix products through cuBLAS. It thinks in columns: a row-major C = A B is its C^T = B^T A^T. */
#include "hs_cuda.h"

enum { BATCH = 65535 }; /* most products of one call: a grid has no more blocks along its second and third axis */

/* One product by the call for one: the call for many may choose a kernel that is many times slower for it, as cuBLAS 12 did. */
static cublasStatus_t call(const hs_cuda_stream *s, const hs_cuda_product *p, cublasComputeType_t compute)
{
    const cudaDataType ab = p->half ? CUDA_R_16BF : CUDA_R_32F, c = p->half_c ? CUDA_R_16BF : CUDA_R_32F;
    const cublasOperation_t op_a = p->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = p->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    if (p->batch == 1)
        return cublasGemmEx(s->blas, op_b, op_a, p->n, p->m, p->k, &p->alpha, p->b, ab, p->ldb, p->a, ab, p->lda, &p->beta, p->c, c, p->ldc, compute,
                            CUBLAS_GEMM_DEFAULT);
    return cublasGemmStridedBatchedEx(s->blas, op_b, op_a, p->n, p->m, p->k, &p->alpha, p->b, ab, p->ldb, p->stride_b, p->a, ab, p->lda, p->stride_a,
                                      &p->beta, p->c, c, p->ldc, p->stride_c, p->batch, compute, CUBLAS_GEMM_DEFAULT);
}

static hs_status multiply_some(hs_stream *stream, const hs_cuda_product *p)
{
    const hs_cuda_stream *s = hs_cuda_stream_of(stream);
    if (p->m == 0 || p->n == 0 || p->batch == 0)
        return HS_OK;
    if (p->k == 0 && !p->half_c) { /* nothing to add; C may hold NaN where beta is 0 */
        for (int i = 0; i < p->batch; i++)
            HS_TRY(hs_cuda_check(
                hs_cuda_scale_rows(s->stream, (size_t)p->m, p->n, p->ldc, (double)p->beta, (float *)p->c + i * p->stride_c), "a product"));
        return HS_OK;
    }
    const cublasComputeType_t compute = p->exact  ? CUBLAS_COMPUTE_32F_PEDANTIC
                                        : p->half ? CUBLAS_COMPUTE_32F
                                                  : hs_cuda_of(stream)->compute;
    return hs_cuda_check_blas(call(s, p, compute), "a product");
}

hs_status hs_cuda_multiply(hs_stream *stream, const hs_cuda_product *all)
{
    hs_cuda_product p = *all;
    for (int done = 0; done < all->batch; done += p.batch) {
        p.batch = all->batch - done < BATCH ? all->batch - done : BATCH;
        p.a = (const char *)all->a + done * all->stride_a * (all->half ? 2 : 4);
        p.b = (const char *)all->b + done * all->stride_b * (all->half ? 2 : 4);
        p.c = (char *)all->c + done * all->stride_c * (all->half_c ? 2 : 4);
        HS_TRY(multiply_some(stream, &p));
    }
    return HS_OK;
}

static hs_status gemm(hs_stream *s, bool trans_a, bool trans_b, int m, int n, int k, double alpha, const void *a, int lda,
                      const void *b, int ldb, double beta, void *c, int ldc)
{
    const hs_cuda_product p = {.trans_a = trans_a,
                               .trans_b = trans_b,
                               .m = m,
                               .n = n,
                               .k = k,
                               .a = a,
                               .b = b,
                               .c = c,
                               .lda = lda,
                               .ldb = ldb,
                               .ldc = ldc,
                               .batch = 1,
                               .alpha = (float)alpha,
                               .beta = (float)beta};
    return hs_cuda_multiply(s, &p);
}

static hs_status bias_add(hs_stream *s, int rows, int cols, const void *bias, void *y)
{
    return hs_cuda_check(hs_cuda_bias_add(hs_cuda_raw(s), (size_t)rows, cols, cols, 1, bias, y), "bias_add");
}

static hs_status bias_grad(hs_stream *s, int rows, int cols, const void *dy, void *dbias)
{
    return hs_cuda_check(hs_cuda_bias_grad(hs_cuda_raw(s), hs_cuda_partial(s), (size_t)rows, cols, cols, 1, dy, dbias),
                         "bias_grad");
}

const hs_gemm_ops hs_cuda_gemm_ops = {
    .gemm = gemm,
    .bias_add = bias_add,
    .bias_grad = bias_grad,
};
