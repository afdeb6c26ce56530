/* t_cpu_ops.c - every op of a backend against `ref`: t_cpu_ops [BACKEND [FILTER]]. FILTER: only cases whose name contains it, and each is
 * shown. HS_TEST_SEED repeats a run. Not a cmocka program: it prints one TAP line a topic. */
#include <stdio.h>

#include "op_cases.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "cpu", *filter = argc > 2 ? argv[2] : NULL, *why = "";
    char program[128];
    const hs_backend *backend = NULL;
    op_suite *suite = NULL;
    snprintf(program, sizeof program, "t_cpu_ops %s", name);
    if (hs_backend_find(name, &backend) != HS_OK || !op_suite_open(backend, filter, program, &suite, &why)) {
        printf("1..0 # SKIP NOTHING WAS COMPARED: backend %s cannot be used here: %s\n", name, hs_fail_text());
        return 0;
    }
    printf("# %s against ref, HS_TEST_SEED=%llu\n", name, (unsigned long long)op_suite_seed(suite));
    ops_all(suite);
    int failed = op_suite_done(suite);
    op_suite_close(&suite);
    return failed;
}
