/* t_cuda_races.c - every op of the cuda backend once more, its kernels watched by the shadow memory (tests/cuda_emulation/shadow.h): no
 * race between threads of a block, between blocks or between kernels, nothing read that nobody wrote, nothing outside. What is found ends
 * the program, with words. t_cuda_races [FILTER]: all cases whose name contains it; without, some of them in each precision. */
#include <stdio.h>

#include "op_cases.h"

extern const hs_backend hs_backend_cuda;

static int failed;

static void look(const char *precision, void (*table)(op_suite *), int every, const char *filter)
{
    const char *why = "";
    op_suite *suite = NULL;
    if (!op_suite_open_as(&hs_backend_cuda, precision, filter, "t_cuda_races", &suite, &why)) {
        printf("not ok - the emulated device opens\n# %s\n", why);
        failed++;
        return;
    }
    printf("# precision = %s, HS_TEST_SEED=%llu\n", precision, (unsigned long long)op_suite_seed(suite));
    op_suite_relax(suite, 0.3, "it is about who touches what, not about numbers");
    if (!filter)
        op_suite_some(suite, every, NULL, NULL);
    table(suite);
    failed += op_suite_done(suite) && !filter;
    op_suite_close(&suite);
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : NULL;
    look("bf16", ops_all, 5, filter);
    look("tf32", ops_conv, 11, filter);
    look("fp32", ops_all, 7, filter);
    return failed != 0;
}
