/* t_cuda_ops.c - every op of the cuda backend against `ref`, its kernels run by the emulation of tests/cuda_emulation: t_cuda_ops
 * [FILTER]. FILTER: only cases whose name contains it. HS_TEST_SEED repeats a run. Nothing here touches a GPU. */
#include <stdio.h>

#include "op_cases.h"

extern const hs_backend hs_backend_cuda;

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : NULL, *why = "";
    op_suite *suite = NULL;
    if (!op_suite_open(&hs_backend_cuda, filter, "t_cuda_ops", &suite, &why)) {
        printf("1..1\nnot ok 1 - the emulated device opens\n# %s\n", why);
        return 1;
    }
    printf("# cuda under emulation against ref, HS_TEST_SEED=%llu\n", (unsigned long long)op_suite_seed(suite));
    ops_all(suite);
    const int failed = op_suite_done(suite);
    op_suite_close(&suite);
    return failed;
}
