/* t_cuda_precision.c - ops of the cuda backend in exact, tf32 and bf16 precision, run by the emulation, against `ref`. What rounds,
 * and by how much:
 *   exact   transforms through cuFFT and products in fp32: the limits of fp32 hold.
 *   tf32    both factors of every product keep 11 bits: 2^-12 each at most, 1.4e-4 in the mean square. A number goes through one
 *           such product, or through up to six lines of a map; in a small map all numbers may meet the same few rounded entries of
 *           the matrices, which then do not average out: 2^-12 a line.
 *   bf16    factors keep 8 bits, and so do spectra inside a convolution, x, filter and y, and the same backward: 2^-9 each at most,
 *           1.1e-3 in the mean square. Transforms and pooling round as tf32; at sealed edges their results are rounded to bf16, as ref's
 *           are before they are compared: one that tf32 put on the other side of a tie is a whole 2^-8 away, and there may be few others.
 * Where a rectifier decides, numbers near 0 that change sign take or lose their gradient as a whole: of an error e, 0.8 e of them,
 * sqrt(1.6 e) of the norm, 0.1 for bf16. t_cuda_conv compares those with the signs that were seen. */
#include <stdio.h>
#include <string.h>

#include "op_cases.h"

extern const hs_backend hs_backend_cuda;

typedef struct level {
    const char *precision;
    double products, maps, signs; /* limits of convolutions and matrix products, of transforms and pooling, behind rectifiers */
    const char *reason;
} level;

static int failed;

/* Every EVERY-th case of a table with ONLY in its name and not WITHOUT. Sealed edges are bf16 in that precision. */
static void look(const level *l, void (*table)(op_suite *), double least, int every, const char *only, const char *without,
                 const char *filter)
{
    const char *why = "";
    op_suite *suite = NULL;
    if (!op_suite_open_as(&hs_backend_cuda, l->precision, filter, "t_cuda_precision", &suite, &why)) {
        printf("not ok - the emulated device opens\n# %s\n", why);
        failed++;
        return;
    }
    printf("# precision = %s, HS_TEST_SEED=%llu\n", l->precision, (unsigned long long)op_suite_seed(suite));
    op_suite_relax(suite, least, l->reason);
    if (strcmp(l->precision, "bf16") == 0)
        op_suite_half(suite);
    op_suite_some(suite, every, only, without);
    table(suite);
    failed += op_suite_done(suite) && !filter;
    op_suite_close(&suite);
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : NULL;
    static const level levels[] = {
        {"exact", 1e-5, 1e-5, 1e-5, "sums in single precision"},
        {"tf32", 2e-3, 2e-3, 0.1, "factors of 11 bits"},
        {"bf16", 1e-2, 6e-3, 0.2, "factors and spectra of 8 bits"},
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const level *l = &levels[i];
        look(l, ops_gemm, l->products, 4, NULL, NULL, filter);
        look(l, ops_transform, l->maps, 2, NULL, NULL, filter);
        look(l, ops_spool, l->maps, 2, NULL, "relu", filter);
        look(l, ops_spool, l->signs, 4, "relu", NULL, filter);
        look(l, ops_conv, l->products, 6, "conv fft", "relu", filter);
        look(l, ops_conv, l->signs, 12, " relu", "nan", filter);
        look(l, ops_conv_pool, l->products, 1, NULL, NULL, filter);
        if (strcmp(l->precision, "bf16") != 0)
            continue;
        look(l, ops_pool, 1e-6, 1, "sealed", NULL, filter);
        look(l, ops_spool, l->maps, 1, "sealed", "relu", filter);
        look(l, ops_spool, l->signs, 1, "sealed", "nothing", filter);
        look(l, ops_conv, l->products, 1, "sealed", "relu", filter);
    }
    return failed != 0;
}
