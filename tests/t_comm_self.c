/* t_comm_self.c - a process that no launcher started is one rank without MPI, and quick about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hs_base.h"
#include "hs_comm.h"

static void test_world_is_self(void **state)
{
    hs_comm *c = NULL;
    double start = hs_now();
    (void)state;
    assert_int_equal(hs_comm_start(NULL, NULL), HS_OK);
    assert_int_equal(hs_comm_world(&c), HS_OK);
    assert_string_equal(c->ops->name, "self");
    assert_int_equal(c->rank, 0);
    assert_int_equal(c->size, 1);
    assert_int_equal(c->local_rank, 0);
    assert_int_equal(c->local_size, 1);
    assert_true(c->host[0] != '\0');
    hs_comm_destroy(&c);
    assert_null(c);
    hs_comm_destroy(&c);
    hs_comm_finish();
    hs_comm_finish();
    assert_true(hs_now() - start < 0.2); /* MPI_Init alone would take longer */
}

static void test_operations_change_nothing(void **state)
{
    hs_comm *c = NULL, *part = NULL;
    double x[3] = {1, -2, 3}, all[3] = {0}, scratch[3];
    (void)state;
    assert_int_equal(hs_comm_self(&c), HS_OK);
    for (int op = HS_SUM; op <= HS_MIN; op++)
        assert_int_equal(hs_allreduce(c, x, 3, HS_COMM_F64, (hs_reduce)op), HS_OK);
    assert_int_equal(hs_broadcast(c, x, sizeof x, 0), HS_OK);
    assert_int_equal(hs_barrier(c), HS_OK);
    assert_int_equal(c->ops->start(c, 0, x, 3, HS_COMM_F64), HS_OK);
    c->ops->progress(c);
    assert_int_equal(c->ops->wait(c, 0), HS_OK);
    assert_int_equal(hs_tree_sum(c, x, 3, HS_COMM_F64, scratch), HS_OK);
    assert_true(x[0] == 1 && x[1] == -2 && x[2] == 3);
    assert_int_equal(c->ops->gather(c, x, sizeof x, all, 0), HS_OK);
    assert_memory_equal(x, all, sizeof x);
    assert_int_equal(c->ops->gather(c, NULL, 0, NULL, 0), HS_OK);
    assert_int_equal(hs_agree(c, HS_OK), HS_OK);
    assert_int_equal(hs_agree(c, HS_EIO), HS_EIO);
    assert_int_equal(hs_comm_split(c, 3, &part), HS_OK);
    assert_int_equal(part->size, 1);
    hs_comm_destroy(&part);
    hs_comm_destroy(&c);
}

static void test_buckets(void **state)
{
    hs_comm *c = NULL;
    hs_buckets *b = NULL;
    float slab[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    long blocks = hs_live_blocks();
    (void)state;
    assert_int_equal(hs_comm_self(&c), HS_OK);
    assert_int_equal(hs_buckets_create(c, slab, 10, HS_F32, 12, &b), HS_OK);
    assert_int_equal(hs_buckets_begin(b), HS_OK);
    assert_int_equal(hs_buckets_ready(b, 4, 6), HS_OK);
    assert_int_equal(hs_buckets_ready(b, 0, 4), HS_OK);
    assert_int_equal(hs_buckets_finish(b), HS_OK);
    for (int i = 0; i < 10; i++)
        assert_true(slab[i] == (float)i);
    hs_buckets_destroy(&b);
    hs_comm_destroy(&c);
    assert_int_equal(hs_live_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_is_self),
        cmocka_unit_test(test_operations_change_nothing),
        cmocka_unit_test(test_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
