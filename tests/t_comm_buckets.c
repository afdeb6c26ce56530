/* t_comm_buckets.c - gradient buckets: whatever the sizes and the order of reports, the slab holds the sums over all ranks.
 * ranks: 1 2 3 4 */
#include <stdlib.h>
#include <string.h>

#include "../src/comm/comm_impl.h"
#include "hs_base.h"
#include "hs_rng.h"
#include "hs_tap.h"

enum { SLAB_MAX = 3000, RANGES_MAX = 64 };

typedef struct range {
    size_t offset, count;
} range;

typedef enum order { FROM_THE_END, FROM_THE_START, SHUFFLED } order;

static double number(int rank, size_t i)
{
    return (double)((rank + 1) * 1000 + (int)(i % 97));
}

static double total(int size, size_t i)
{
    return 1000.0 * size * (size + 1) / 2 + size * (double)(i % 97);
}

/* COUNT numbers cut into ranges at places drawn from SEED, the same on all ranks. */
static int cut(size_t count, uint32_t seed, range out[RANGES_MAX])
{
    int n = 0;
    for (size_t at = 0; at < count;) {
        size_t width = 1 + hs_random(seed, HS_DRAW_TEST, 1, 0, (uint64_t)n).w[0] % (count / 4 + 1);
        if (width > count - at || n == RANGES_MAX - 1)
            width = count - at;
        out[n++] = (range){at, width};
        at += width;
    }
    return n;
}

static void write_numbers(void *slab, hs_real real, range r, int rank)
{
    for (size_t i = r.offset; i < r.offset + r.count; i++) {
        if (real == HS_F32)
            ((float *)slab)[i] = (float)number(rank, i);
        else
            ((double *)slab)[i] = number(rank, i);
    }
}

static bool is_summed(const void *slab, hs_real real, size_t count, int size)
{
    for (size_t i = 0; i < count; i++)
        if ((real == HS_F32 ? ((const float *)slab)[i] : ((const double *)slab)[i]) != total(size, i))
            return false;
    return true;
}

/* One step: numbers are written just before they are reported, as backward does. */
static bool step(hs_comm *c, hs_buckets *b, void *slab, hs_real real, size_t count, uint32_t seed, order how)
{
    range r[RANGES_MAX];
    int n = cut(count, seed, r);
    bool good = hs_buckets_begin(b) == HS_OK;
    for (int i = 0; i < n; i++) {
        int pick = how == FROM_THE_END     ? n - 1 - i
                   : how == FROM_THE_START ? i
                                           : (int)hs_permute(seed, 0, (uint64_t)n, (uint64_t)i);
        write_numbers(slab, real, r[pick], c->rank);
        good = hs_buckets_ready(b, r[pick].offset, r[pick].count) == HS_OK && good;
    }
    good = hs_buckets_finish(b) == HS_OK && good;
    return good && is_summed(slab, real, count, c->size) && hs_buckets_exposed(b) >= 0;
}

static void test_sizes(hs_comm *c, hs_real real, order how, const char *name)
{
    static const size_t counts[] = {1, 2, 5, 63, 64, 65, 127, 1000, SLAB_MAX}, widths[] = {0, 1, 3, 8, 100, 1024, 4096, 1 << 20};
    static double slab[SLAB_MAX];
    bool good = true;
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 8; k++) {
            hs_buckets *b = NULL;
            good = hs_buckets_create(c, slab, counts[i], real, widths[k], &b) == HS_OK && good;
            long blocks = hs_live_blocks();
            for (uint32_t seed = 0; seed < 3; seed++)
                good = step(c, b, slab, real, counts[i], seed, how) && good;
            good = hs_live_blocks() == blocks && good;
            hs_buckets_destroy(&b);
        }
    tap_ok(good, "f%d, ranges reported %s: slabs of 1 to %d, buckets of 0 bytes to larger than the slab", 8 * (int)real, name,
           SLAB_MAX);
}

static void test_empty(hs_comm *c)
{
    hs_buckets *b = NULL;
    double none[1] = {7};
    bool good = hs_buckets_create(c, none, 0, HS_F64, 64, &b) == HS_OK && hs_buckets_begin(b) == HS_OK &&
                hs_buckets_ready(b, 0, 0) == HS_OK && hs_buckets_finish(b) == HS_OK;
    hs_buckets_destroy(&b);
    tap_ok(good && none[0] == 7 && b == NULL, "an empty slab");
}

/* A rank whose backward failed still serves the others: finish sends what was not reported. */
static void test_unreported(hs_comm *c)
{
    double slab[100];
    hs_buckets *b = NULL;
    bool good = hs_buckets_create(c, slab, 100, HS_F64, 80, &b) == HS_OK && hs_buckets_begin(b) == HS_OK;
    write_numbers(slab, HS_F64, (range){0, 100}, c->rank);
    if (c->rank != c->size - 1)
        good = hs_buckets_ready(b, 40, 60) == HS_OK && hs_buckets_ready(b, 0, 40) == HS_OK && good;
    good = hs_buckets_finish(b) == HS_OK && good;
    tap_ok(good && is_summed(slab, HS_F64, 100, c->size), "a rank that reported nothing: finish sends all, nobody hangs");
    hs_buckets_destroy(&b);
}

static void test_misuse(hs_comm *c)
{
    double slab[100] = {0};
    hs_buckets *b = NULL;
    bool good = hs_buckets_create(c, slab, 100, HS_F64, 80, &b) == HS_OK && hs_buckets_begin(b) == HS_OK;
    tap_ok(good && hs_buckets_ready(b, 90, 11) == HS_EINTERNAL && hs_buckets_ready(b, 101, 0) == HS_EINTERNAL &&
               hs_buckets_ready(b, 1, SIZE_MAX) == HS_EINTERNAL,
           "a range outside of the slab is refused");
    good = hs_buckets_ready(b, 50, 20) == HS_OK;
    tap_ok(good && hs_buckets_ready(b, 69, 1) == HS_EINTERNAL, "a number reported twice is refused");
    good = hs_buckets_finish(b) == HS_OK;
    tap_ok(good && hs_buckets_ready(b, 0, 1) == HS_EINTERNAL, "a report after finish is refused");
    hs_buckets_destroy(&b);
    hs_buckets_destroy(&b);
}

/* Sums of buckets and blocking sums (batch normalisation) share the communicator. */
static void test_mixed(hs_comm *c)
{
    double slab[500];
    hs_buckets *b = NULL;
    bool good = hs_buckets_create(c, slab, 500, HS_F64, 400, &b) == HS_OK && hs_buckets_begin(b) == HS_OK;
    for (int i = 9; i >= 0; i--) {
        double one = 1;
        range r = {(size_t)i * 50, 50};
        write_numbers(slab, HS_F64, r, c->rank);
        good = hs_buckets_ready(b, r.offset, r.count) == HS_OK && good;
        good = hs_allreduce(c, &one, 1, HS_COMM_F64, HS_SUM) == HS_OK && one == c->size && good;
    }
    good = hs_buckets_finish(b) == HS_OK && good;
    tap_ok(good && is_summed(slab, HS_F64, 500, c->size), "blocking sums between the buckets");
    hs_buckets_destroy(&b);
}

int main(int argc, char **argv)
{
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&tap_comm) != HS_OK) {
        printf("Bail out! %s\n", hs_fail_text());
        return 1;
    }
    hs_comm *c = tap_comm;
    for (int at_once = 0; at_once < 2; at_once++) {
        hs_mpi_set_at_once(c, at_once);
        test_sizes(c, HS_F64, FROM_THE_END, "from the end");
        test_sizes(c, HS_F32, FROM_THE_END, "from the end");
        test_sizes(c, HS_F64, FROM_THE_START, "from the start");
        test_sizes(c, HS_F32, SHUFFLED, "in mixed order");
        test_empty(c);
        test_unreported(c);
        test_mixed(c);
    }
    test_misuse(c);
    int status = tap_done();
    hs_comm_destroy(&tap_comm);
    hs_comm_finish();
    return status;
}
