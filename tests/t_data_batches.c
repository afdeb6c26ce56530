/* t_data_batches.c - which samples form which batch, on how many ranks ever; prefetch; no allocation on the step path. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <stdatomic.h>

#include "data_files.h"

/* ---- every allocation of the process is counted (not under a sanitizer, which has its own malloc) -------------- */

static atomic_long allocations;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED 1
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    allocations++;
    return __libc_realloc(p, n);
}
int posix_memalign(void **p, size_t align, size_t n)
{
    allocations++;
    *p = __libc_memalign(align, n);
    return *p ? 0 : 12;
}
void *aligned_alloc(size_t align, size_t n)
{
    allocations++;
    return __libc_memalign(align, n);
}
#else
#define COUNTED 0
#endif

/* ---- a set whose sample i is full of i ------------------------------------------------------------------------- */

enum { SIZE = 6 };

typedef struct counting_set {
    hs_dataset base;
    int64_t broken;   /* this sample cannot be read */
    pthread_t reader; /* who read last */
} counting_set;

static hs_status counting_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    ((counting_set *)set)->reader = pthread_self();
    for (int i = 0; i < count; i++) {
        if (indices[i] == ((counting_set *)set)->broken)
            return hs_fail(HS_EINPUT, "sample %lld is broken", (long long)indices[i]);
        labels[i] = (int32_t)indices[i];
        for (int k = 0; k < SIZE; k++)
            pixels[i * SIZE + k] = (float)indices[i];
    }
    return HS_OK;
}

static const hs_dataset_ops counting_ops = {.kind = "counting", .read = counting_read};

static counting_set counting(int64_t count)
{
    return (counting_set){{.ops = &counting_ops, .count = count, .classes = 1, .shape = {2, 3, 1}}, .broken = -1};
}

static hs_batcher *make(counting_set *set, int capacity, bool shuffle, bool prefetch)
{
    hs_batcher *b = NULL;
    const hs_batcher_options options = {.capacity = capacity, .shuffle = shuffle, .prefetch = prefetch, .seed = 5};
    assert_int_equal(hs_batcher_create(&set->base, &options, &b), HS_OK);
    return b;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void test_arithmetic(void **state)
{
    (void)state;
    for (int64_t count = 1; count < 40; count++)
        for (int64_t batch = 1; batch < 45; batch++) {
            int64_t steps = hs_steps_per_epoch(count, batch), step = 0;
            for (int64_t epoch = 0; epoch < 3; epoch++)
                for (int64_t position = 0; position < count; position += batch, step++) {
                    hs_batch_place p;
                    hs_batch_at(step, count, batch, &p);
                    assert_true(p.epoch == epoch && p.position == position);
                    assert_int_equal(p.global, position + batch > count ? count - position : batch);
                }
            assert_int_equal(step, 3 * steps);
        }
    assert_int_equal(hs_steps_per_epoch(0, 7), 0);
    for (int64_t global = 0; global < 40; global++)
        for (int size = 1; size < 45; size++) {
            int64_t next = 0, first, count;
            for (int rank = 0; rank < size; rank++) {
                hs_batch_share(global, rank, size, &first, &count);
                assert_true(first == next && count >= global / size && count <= (global + size - 1) / size);
                next += count;
            }
            assert_int_equal(next, global);
        }
}

/* One epoch by SIZE ranks: every sample once, and every batch made of the samples of one rank's batch. */
static void check_epoch(int64_t count, int64_t batch, int size, int64_t epoch, bool shuffle)
{
    counting_set set = counting(count);
    int times[64] = {0};
    hs_batcher *one = make(&set, (int)batch, shuffle, false), *part = make(&set, (int)batch, shuffle, false);
    int64_t steps = hs_steps_per_epoch(count, batch);
    for (int64_t step = epoch * steps; step < (epoch + 1) * steps; step++) {
        hs_batch_place p;
        const float *x, *whole_x;
        const int32_t *label, *whole;
        hs_batch_at(step, count, batch, &p);
        assert_int_equal(hs_batcher_get(one, p.epoch, p.position, (int)p.global, &whole_x, &whole), HS_OK);
        for (int rank = 0; rank < size; rank++) {
            int64_t first, n;
            hs_batch_share(p.global, rank, size, &first, &n);
            assert_int_equal(hs_batcher_get(part, p.epoch, p.position + first, (int)n, &x, &label), HS_OK);
            for (int64_t i = 0; i < n; i++) {
                times[label[i]]++;
                assert_int_equal(label[i], whole[first + i]);
                assert_true(x[i * SIZE] == (float)label[i] && x[i * SIZE + SIZE - 1] == (float)label[i]);
                assert_int_equal(label[i], hs_batcher_index(part, p.epoch, p.position + first + i));
            }
        }
    }
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(times[i], 1);
    hs_batcher_destroy(&one);
    hs_batcher_destroy(&part);
    assert_null(one);
}

static void test_epochs(void **state)
{
    static const int64_t counts[] = {1, 2, 3, 7, 16, 17, 50, 64}, batches[] = {1, 2, 5, 16, 64};
    static const int sizes[] = {1, 2, 3, 4, 7, 70};
    (void)state;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 5; j++)
            for (int k = 0; k < 6; k++)
                for (int64_t epoch = 0; epoch < 3; epoch++)
                    check_epoch(counts[i], batches[j], sizes[k], epoch, (i + k) % 4 != 0);
}

static void test_shuffle_differs(void **state)
{
    counting_set set = counting(50);
    hs_batcher *b = make(&set, 1, true, false), *plain = make(&set, 1, false, false);
    int moved = 0, changed = 0;
    (void)state;
    for (int64_t i = 0; i < 50; i++) {
        moved += hs_batcher_index(b, 0, i) != i;
        changed += hs_batcher_index(b, 0, i) != hs_batcher_index(b, 1, i);
        assert_int_equal(hs_batcher_index(plain, 3, i), i);
    }
    assert_true(moved > 35 && changed > 35);
    hs_batcher_destroy(&b);
    hs_batcher_destroy(&plain);
}

/* Hints that come true, hints that do not, none at all, twice the same: the batches are those without prefetch. */
static void test_prefetch(void **state)
{
    counting_set set = counting(64);
    hs_batcher *ahead = make(&set, 10, true, true), *plain = make(&set, 10, true, false);
    (void)state;
    for (int64_t step = 0; step < 400; step++) {
        hs_batch_place p, next;
        const float *x, *y;
        const int32_t *a, *b;
        hs_batch_at(step, 64, 10, &p);
        hs_batch_at(step + 1, 64, 10, &next);
        assert_int_equal(hs_batcher_get(ahead, p.epoch, p.position, (int)p.global, &x, &a), HS_OK);
        if (step % 5 != 0)
            hs_batcher_hint(ahead, next.epoch, next.position, (int)next.global);
        if (step % 7 == 0)
            hs_batcher_hint(ahead, 3, 1, 9);
        if (step % 11 == 0)
            hs_batcher_hint(ahead, 3, 60, 10); /* beyond the end: ignored */
        assert_int_equal(hs_batcher_get(plain, p.epoch, p.position, (int)p.global, &y, &b), HS_OK);
        assert_memory_equal(x, y, (size_t)p.global * SIZE * sizeof *x); /* while the thread fills the other buffer */
        assert_memory_equal(a, b, (size_t)p.global * sizeof *a);
    }
    hs_batcher_hint(ahead, 0, 0, 10); /* destroyed while it works */
    hs_batcher_destroy(&ahead);
    hs_batcher_destroy(&plain);
}

/* The work is really done by the other thread. */
static void test_prefetch_reads_ahead(void **state)
{
    counting_set set = counting(64);
    hs_batcher *b = make(&set, 8, true, true);
    const float *x;
    const int32_t *label;
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(hs_batcher_get(b, i / 8, i % 8 * 8, 8, &x, &label), HS_OK);
        assert_int_equal(pthread_equal(set.reader, pthread_self()) != 0, i == 0); /* get has waited for the reader */
        hs_batcher_hint(b, (i + 1) / 8, (i + 1) % 8 * 8, 8);
    }
    hs_batcher_destroy(&b);
}

static void test_broken_sample(void **state)
{
    (void)state;
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        counting_set set = counting(20);
        const float *x = NULL;
        const int32_t *label = NULL;
        hs_batcher *b = make(&set, 5, false, prefetch);
        set.broken = 7;
        hs_batcher_hint(b, 0, 5, 5);
        hs_fail_clear();
        assert_int_equal(hs_batcher_get(b, 0, 5, 5, &x, &label), HS_EINPUT);
        assert_string_equal(hs_fail_text(), "sample 7 is broken");
        assert_null(x);
        set.broken = -1;
        assert_int_equal(hs_batcher_get(b, 0, 5, 5, &x, &label), HS_OK);
        assert_int_equal(label[2], 7);
        hs_batcher_destroy(&b);
    }
}

static void test_misuse(void **state)
{
    counting_set set = counting(20);
    hs_batcher *b = make(&set, 5, false, false);
    const float *x = NULL;
    const int32_t *label = NULL;
    (void)state;
    assert_int_equal(hs_batcher_get(b, 0, 0, 6, &x, &label), HS_EINTERNAL);
    assert_int_equal(hs_batcher_get(b, 0, 16, 5, &x, &label), HS_EINTERNAL);
    assert_int_equal(hs_batcher_get(b, 0, -1, 5, &x, &label), HS_EINTERNAL);
    assert_int_equal(hs_batcher_get(b, -1, 0, 5, &x, &label), HS_EINTERNAL);
    assert_int_equal(hs_batcher_get(b, 0, 20, 0, &x, &label), HS_OK);
    assert_true(x != NULL && label != NULL);
    hs_batcher_destroy(&b);
    hs_batcher_destroy(&b);
}

static void test_no_allocation(void **state)
{
    const hs_augment augment = {.shift = 2, .crop = 1, .flip = true, .hue = 0.1, .saturation = 0.2, .value = 0.3};
    hs_dataset *set = NULL;
    hs_scaling scaling;
    long blocks = hs_live_blocks();
    (void)state;
    assert_int_equal(hs_dataset_open("synthetic:64,9,9,3,4", HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(hs_dataset_split(set, HS_SPLIT_TRAIN, 0.1, 1, &set), HS_OK);
    assert_int_equal(hs_scaling_measure(set, HS_NORMALISE_PIXEL, &scaling), HS_OK);
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        const hs_batcher_options options = {8, true, prefetch, 3, &augment, &scaling};
        hs_batcher *b = NULL;
        const float *x;
        const int32_t *label;
        long before = allocations;
        assert_int_equal(hs_batcher_create(set, &options, &b), HS_OK);
        assert_true(allocations > before || !COUNTED); /* the counter counts */
        for (int step = 0; step < 101; step++) {
            if (step == 1)
                before = allocations; /* the first one may still start the thread */
            assert_int_equal(hs_batcher_get(b, step / 7, step % 7 * 8, 8, &x, &label), HS_OK);
            hs_batcher_hint(b, (step + 1) / 7, (step + 1) % 7 * 8, 8);
        }
        assert_int_equal(allocations - before, 0);
        hs_batcher_destroy(&b);
    }
    hs_scaling_free(&scaling);
    hs_dataset_close(&set);
    assert_int_equal(hs_live_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),           cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_shuffle_differs),      cmocka_unit_test(test_prefetch),
        cmocka_unit_test(test_broken_sample),        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_prefetch_reads_ahead), cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
