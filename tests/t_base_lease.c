/* t_base_lease.c - the memory plan: leases alive together never overlap, and the arena stays near the most that is alive at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hs_base.h"
#include "hs_rng.h"

enum { MOST = 120, ALIGN = 64 };

static uint64_t seed;

static int draw(uint64_t *at, int limit)
{
    return (int)(hs_random(seed, HS_DRAW_TEST, 0, 0, (*at)++).w[0] % (uint32_t)limit);
}

static void assert_sound(const hs_lease *lease, int count, size_t align, size_t total)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(lease[i].offset % align, 0);
        assert_true(lease[i].offset + lease[i].bytes <= total);
        for (int j = 0; j < i; j++) {
            bool meet = lease[i].first <= lease[j].last && lease[j].first <= lease[i].last;
            bool apart = lease[i].offset + lease[i].bytes <= lease[j].offset || lease[j].offset + lease[j].bytes <= lease[i].offset;
            if (meet && !apart && lease[i].bytes && lease[j].bytes)
                fail_msg("leases %d and %d overlap; seed %llu", i, j, (unsigned long long)seed);
        }
    }
}

/* The most bytes (rounded up) alive at one time: no plan can do with less. */
static size_t lower_bound(const hs_lease *lease, int count, size_t align)
{
    size_t most = 0;
    for (int i = 0; i < count; i++) { /* the peak is at the first moment of some lease */
        size_t alive = 0;
        for (int j = 0; j < count; j++)
            if (lease[j].first <= lease[i].first && lease[i].first <= lease[j].last)
                alive += (lease[j].bytes + align - 1) / align * align;
        most = alive > most ? alive : most;
    }
    return most;
}

static void random_leases(void **state)
{
    (void)state;
    uint64_t at = 0;
    double worst = 1, sum = 0;
    for (int round = 0; round < 300; round++) {
        hs_lease lease[MOST];
        int count = 1 + draw(&at, MOST), times = 1 + draw(&at, 60);
        for (int i = 0; i < count; i++) {
            int first = draw(&at, times);
            lease[i] = (hs_lease){.bytes = (size_t)draw(&at, 100000), .first = first, .last = first + draw(&at, times - first)};
        }
        size_t total = 0;
        assert_int_equal(hs_lease_pack(lease, count, ALIGN, &total), HS_OK);
        assert_sound(lease, count, ALIGN, total);
        size_t bound = lower_bound(lease, count, ALIGN);
        assert_true(total >= bound);
        double ratio = bound ? (double)total / (double)bound : 1;
        sum += ratio;
        worst = ratio > worst ? ratio : worst;
    }
    printf("# arena over lower bound: mean %.3f, worst %.3f\n", sum / 300, worst);
    assert_true(sum / 300 < 1.06);
    assert_true(worst < 1.6);
}

/* A plain chain, each buffer alive with its neighbour only: the two largest neighbours are all that is needed. */
static void a_chain_needs_two_neighbours(void **state)
{
    (void)state;
    hs_lease lease[50];
    for (int i = 0; i < 50; i++)
        lease[i] = (hs_lease){.bytes = (size_t)(50 - i) * 1024, .first = i, .last = i + 1};
    size_t total = 0;
    assert_int_equal(hs_lease_pack(lease, 50, ALIGN, &total), HS_OK);
    assert_sound(lease, 50, ALIGN, total);
    assert_int_equal(total, (50 + 49) * 1024);
}

static void ends(void **state)
{
    (void)state;
    long blocks = hs_live_blocks();
    size_t total = 99;
    assert_int_equal(hs_lease_pack(NULL, 0, 64, &total), HS_OK);
    assert_int_equal(total, 0);
    hs_lease huge[2] = {{SIZE_MAX / 2, 0, 1, 0}, {SIZE_MAX / 2, 0, 1, 0}};
    assert_int_equal(hs_lease_pack(huge, 2, 64, &total), HS_EINTERNAL);
    assert_int_equal(hs_live_blocks(), blocks);
}

static void memory_is_counted_and_aligned(void **state)
{
    (void)state;
    long before = hs_live_blocks();
    for (size_t n = 0; n < 200; n++) {
        unsigned char *block = NULL;
        assert_int_equal(hs_calloc(n, 3, "test", &block), HS_OK);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t i = 0; i < 3 * n; i++)
            assert_int_equal(block[i], 0);
        assert_int_equal(hs_live_blocks(), before + 1);
        hs_free(block);
    }
    void *none = &before;
    assert_int_equal(hs_calloc(SIZE_MAX / 2, 3, "too much", &none), HS_EINTERNAL);
    assert_ptr_equal(none, &before);
    assert_int_equal(hs_live_blocks(), before);
    double free_bytes = hs_available_bytes();
    if (free_bytes > 0) { /* a system that tells: refused before a kernel that gives out more than it has ends us */
        assert_int_equal(hs_calloc((size_t)(1.5 * free_bytes), 1, "too much", &none), HS_EINTERNAL);
        assert_non_null(strstr(hs_fail_text(), "are free here"));
        assert_true(free_bytes > 1 << 20);
    }
    hs_free(NULL);
}

int main(void)
{
    const char *given = getenv("HS_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("# seed %llu (HS_TEST_SEED repeats it)\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_leases),
        cmocka_unit_test(a_chain_needs_two_neighbours),
        cmocka_unit_test(ends),
        cmocka_unit_test(memory_is_counted_and_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
