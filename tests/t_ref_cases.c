/* t_ref_cases.c - the op cases themselves: the float build of `ref` passes all of them, and a backend with one fault is caught. A fault is one
 * replaced entry in a copy of that build's tables. */
#include "ref_help.h"

#include "../src/ref/ref.h"
#include "op_cases.h"

static bool open_suite(const hs_backend *backend, const char *filter, op_suite **suite)
{
    const char *why;
    bool open = op_suite_open(backend, filter, "t_ref_cases", suite, &why);
    if (open)
        op_suite_quiet(*suite);
    return open;
}

/* How many cases of OPS whose name contains FILTER fail on ref32 with its elementwise (or gemm, conv) table replaced. */
static int failures(const hs_backend *backend, void (*ops)(op_suite *), const char *filter)
{
    op_suite *suite = NULL;
    assert_true(open_suite(backend, filter, &suite));
    ops(suite);
    int failed = op_suite_failures(suite);
    assert_int_equal(op_suite_done(suite), failed != 0);
    op_suite_close(&suite);
    return failed;
}

static void float_storage_passes_every_case(void **state)
{
    (void)state;
    assert_int_equal(failures(&hs_backend_ref32, ops_all, NULL), 0);
    assert_int_equal(failures(ref, ops_all, "gemm"), 0);
}

/* ---- faults ------------------------------------------------------------------------------------------------------------------------- */

static hs_status relu_loses_nan(hs_stream *s, size_t count, const void *x, void *y)
{
    (void)s;
    for (size_t i = 0; i < count; i++)
        ((float *)y)[i] = ((const float *)x)[i] > 0 ? ((const float *)x)[i] : 0;
    return HS_OK;
}

static hs_status relu_writes_too_far(hs_stream *s, size_t count, const void *x, void *y)
{
    HS_TRY(hs_ref32_relu_fwd(s, count, x, y));
    ((float *)y)[count] = 0;
    return HS_OK;
}

static hs_status relu_misses_the_last(hs_stream *s, size_t count, const void *x, void *y)
{
    return hs_ref32_relu_fwd(s, count ? count - 1 : 0, x, y);
}

static hs_status relu_refuses(hs_stream *s, size_t count, const void *x, void *y)
{
    (void)s, (void)count, (void)x, (void)y;
    return hs_fail(HS_EINTERNAL, "no");
}

static void faults_of_relu_are_caught(void **state)
{
    (void)state;
    hs_status (*const fault[])(hs_stream *, size_t, const void *, void *) = {relu_loses_nan, relu_writes_too_far, relu_misses_the_last, relu_refuses};
    for (size_t i = 0; i < sizeof fault / sizeof *fault; i++) {
        hs_element_ops ops = hs_ref32_element_ops;
        hs_backend broken = hs_backend_ref32;
        ops.relu_fwd = fault[i];
        broken.element = &ops;
        assert_true(failures(&broken, ops_element, "relu_fwd") >= 3);
        assert_int_equal(failures(&broken, ops_element, "tanh"), 0);
    }
}

/* Errors of one in ten thousand, and an input scaled in passing. */
static hs_status gemm_is_inexact(hs_stream *s, bool ta, bool tb, int m, int n, int k, double alpha, const void *a, int lda, const void *b, int ldb,
                                 double beta, void *c, int ldc)
{
    return hs_ref32_gemm(s, ta, tb, m, n, k, alpha * 1.0001, a, lda, b, ldb, beta, c, ldc);
}

static hs_status gemm_reads_c(hs_stream *s, bool ta, bool tb, int m, int n, int k, double alpha, const void *a, int lda, const void *b, int ldb,
                              double beta, void *c, int ldc)
{
    return hs_ref32_gemm(s, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta == 0 ? 1e-300 : beta, c, ldc);
}

static hs_status gemm_changes_a(hs_stream *s, bool ta, bool tb, int m, int n, int k, double alpha, const void *a, int lda, const void *b, int ldb,
                                double beta, void *c, int ldc)
{
    HS_TRY(hs_ref32_gemm(s, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc));
    if (m && k)
        *(float *)(uintptr_t)a += 1;
    return HS_OK;
}

static void faults_of_gemm_are_caught(void **state)
{
    (void)state;
    hs_gemm_ops ops = hs_ref32_gemm_ops;
    hs_backend broken = hs_backend_ref32;
    broken.gemm = &ops;
    ops.gemm = gemm_is_inexact;
    assert_true(failures(&broken, ops_gemm, "gemm nn 16x48x9") >= 1);
    ops.gemm = gemm_reads_c;
    assert_true(failures(&broken, ops_gemm, "beta=0") >= 4);
    ops.gemm = gemm_changes_a;
    assert_true(failures(&broken, ops_gemm, "gemm nn 16x48x9") == 2);
}

/* dtaps left as they are when there is no sample. */
static hs_status conv_forgets_to_clear(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx, void *dtaps,
                                       void *dbias, void *saved, void *scratch)
{
    return n ? hs_ref32_conv_backward(s, plan, n, x, taps, dy, dx, dtaps, dbias, saved, scratch) : HS_OK;
}

static void a_forgotten_gradient_is_caught(void **state)
{
    (void)state;
    hs_conv_ops ops = hs_ref32_conv_ops;
    hs_backend broken = hs_backend_ref32;
    broken.conv = &ops;
    ops.backward = conv_forgets_to_clear;
    assert_true(failures(&broken, ops_conv, "n=0/") >= 2);
    assert_int_equal(failures(&broken, ops_conv, "direct n=2/3"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_storage_passes_every_case),
        cmocka_unit_test(faults_of_relu_are_caught),
        cmocka_unit_test(faults_of_gemm_are_caught),
        cmocka_unit_test(a_forgotten_gradient_is_caught),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
