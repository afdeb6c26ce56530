/* t_comm_collectives.c - every operation of a communicator on several ranks.
 * ranks: 1 2 3 4 */
#include <stdlib.h>
#include <string.h>

#include "../src/comm/comm_impl.h"
#include "hs_base.h"
#include "hs_rng.h"
#include "hs_tap.h"

enum { LARGE = 5000 };

/* Whole numbers, so that a sum is exact in any order. */
static double number(int rank, size_t i)
{
    return (double)((rank + 1) * 1000 + (int)(i % 97) * (rank % 2 ? -1 : 1));
}

static double expected(int size, size_t i, hs_reduce op)
{
    double all = number(0, i);
    for (int r = 1; r < size; r++) {
        double v = number(r, i);
        all = op == HS_SUM ? all + v : op == HS_MAX ? (v > all ? v : all) : (v < all ? v : all);
    }
    return all;
}

static double value_at(const void *buffer, hs_comm_type type, size_t i)
{
    return type == HS_COMM_F32   ? ((const float *)buffer)[i]
           : type == HS_COMM_F64 ? ((const double *)buffer)[i]
                                 : (double)((const int64_t *)buffer)[i];
}

static void set_at(void *buffer, hs_comm_type type, size_t i, double v)
{
    if (type == HS_COMM_F32)
        ((float *)buffer)[i] = (float)v;
    else if (type == HS_COMM_F64)
        ((double *)buffer)[i] = v;
    else
        ((int64_t *)buffer)[i] = (int64_t)v;
}

static bool reduces(hs_comm *c, size_t count, hs_comm_type type, hs_reduce op)
{
    double space[LARGE + 1];
    bool good = true;
    set_at(space, type, count, 4711);
    for (size_t i = 0; i < count; i++)
        set_at(space, type, i, number(c->rank, i));
    good = hs_allreduce(c, space, count, type, op) == HS_OK;
    for (size_t i = 0; i < count; i++)
        good = good && value_at(space, type, i) == expected(c->size, i, op);
    return good && value_at(space, type, count) == 4711; /* nothing behind it is touched */
}

static void test_reductions(hs_comm *c)
{
    static const char *const type_name[] = {"f32", "f64", "i64"}, *const op_name[] = {"sum", "max", "min"};
    static const size_t counts[] = {0, 1, 2, 3, 1000, LARGE};
    for (int type = 0; type < 3; type++)
        for (int op = 0; op < 3; op++) {
            bool good = true;
            for (int k = 0; k < 6; k++)
                good = reduces(c, counts[k], (hs_comm_type)type, (hs_reduce)op) && good;
            tap_ok(good, "all-reduce %s of %s, 0 to %d numbers", op_name[op], type_name[type], LARGE);
        }
}

static void test_broadcast_and_gather(hs_comm *c)
{
    char text[LARGE], all[4 * 301];
    bool good = true;
    for (int root = 0; root < c->size; root++)
        for (size_t bytes = 0; bytes <= LARGE; bytes = bytes * 3 + 1) {
            memset(text, c->rank == root ? 'a' + root : '?', sizeof text);
            good = hs_broadcast(c, text, bytes, root) == HS_OK && good;
            for (size_t i = 0; i < bytes; i++)
                good = good && text[i] == 'a' + root;
        }
    tap_ok(good, "broadcast from every root");
    good = true;
    for (int root = 0; root < c->size; root++)
        for (size_t bytes = 0; bytes <= 301; bytes += 43) {
            memset(all, '?', sizeof all);
            memset(text, 'A' + c->rank, bytes);
            good = c->ops->gather(c, text, bytes, all, root) == HS_OK && good;
            for (size_t i = 0; i < sizeof all; i++) {
                bool part = c->rank == root && i < bytes * (size_t)c->size;
                good = good && all[i] == (part ? 'A' + (int)(i / bytes) : '?');
            }
        }
    tap_ok(good, "gather to every root, only the root's memory is written");
}

static void test_agree(hs_comm *c)
{
    tap_ok(hs_agree(c, HS_OK) == HS_OK, "nobody failed: all agree on ok");
    for (int bad = 0; bad < c->size; bad++) {
        hs_fail_clear();
        hs_status mine = c->rank == bad ? hs_fail(HS_EINPUT, "my file is damaged") : HS_OK;
        hs_status st = hs_agree(c, mine);
        bool good = c->rank == bad ? st == HS_EINPUT && strcmp(hs_fail_text(), "my file is damaged") == 0 : st == HS_EREMOTE;
        tap_ok(good, "rank %d failed: it keeps its own status and text, the others get HS_EREMOTE", bad);
    }
    tap_ok(hs_agree(c, HS_EIO) == HS_EIO, "all failed: each keeps its own status");
}

static void test_split(hs_comm *c)
{
    hs_comm *part = NULL;
    int color = c->rank % 2;
    bool good = hs_comm_split(c, color, &part) == HS_OK;
    tap_ok(good && part->size == (c->size + 1 - color) / 2 && part->rank == c->rank / 2,
           "split into odd and even ranks, order kept");
    double sum = c->rank;
    double want = 0;
    for (int r = color; r < c->size; r += 2)
        want += r;
    good = good && hs_allreduce(part, &sum, 1, HS_COMM_F64, HS_SUM) == HS_OK;
    tap_ok(good && sum == want, "a sum stays within the part");
    hs_comm_destroy(&part);
    tap_ok(part == NULL, "destroy clears the pointer");
    if (c->size > 1) {
        hs_status st = hs_comm_split(c, c->rank == 1 ? -1 : 0, &part);
        tap_ok(part == NULL && st == (c->rank == 1 ? HS_EINTERNAL : HS_EREMOTE),
               "a negative colour on one rank fails on all, and hangs none");
    }
}

/* Several sums in flight, waited for in another order. */
static void test_in_flight(hs_comm *c)
{
    static double buffer[HS_COMM_BUCKETS][37];
    bool good = true;
    long blocks = hs_live_blocks();
    for (int round = 0; round < 3; round++) {
        for (int s = 0; s < HS_COMM_BUCKETS; s++) {
            for (size_t i = 0; i < 37; i++)
                buffer[s][i] = number(c->rank, i + (size_t)s);
            good = c->ops->start(c, s, buffer[s], (size_t)(s % 38), HS_COMM_F64) == HS_OK && good;
            c->ops->progress(c);
        }
        for (int s = HS_COMM_BUCKETS - 1; s >= 0; s--)
            good = c->ops->wait(c, s) == HS_OK && good;
        for (int s = 0; s < HS_COMM_BUCKETS; s++)
            for (size_t i = 0; i < 37; i++)
                good = good && buffer[s][i] == (i < (size_t)(s % 38) ? expected(c->size, i + (size_t)s, HS_SUM)
                                                                     : number(c->rank, i + (size_t)s));
    }
    tap_ok(good, "%d sums in flight together", HS_COMM_BUCKETS);
    tap_ok(c->ops->wait(c, 5) == HS_OK, "waiting for a slot without a sum is harmless");
    tap_ok(hs_live_blocks() == blocks, "no allocation on the way");
}

/* The path for more than INT_MAX elements, walked with small pieces. */
static void test_pieces(hs_comm *c)
{
    static const size_t pieces[] = {1, 7, 1000, 1700};
    static char mine[LARGE], all[4 * LARGE];
    double buffer[LARGE];
    bool good = true;
    for (int k = 0; k < 4; k++) {
        hs_mpi_set_piece(c, pieces[k]);
        good = reduces(c, LARGE, HS_COMM_F32, HS_SUM) && reduces(c, LARGE, HS_COMM_I64, HS_MAX) && good;
        memset(mine, 'A' + c->rank, sizeof mine);
        good = c->ops->gather(c, mine, sizeof mine, all, c->size - 1) == HS_OK && good;
        for (size_t i = 0; c->rank == c->size - 1 && i < (size_t)c->size * LARGE; i++)
            good = good && all[i] == 'A' + (int)(i / LARGE);
        good = hs_broadcast(c, mine, sizeof mine, 0) == HS_OK && mine[0] == 'A' && mine[LARGE - 1] == 'A' && good;
    }
    tap_ok(good, "large messages go in pieces");
    hs_mpi_set_piece(c, 1000);
    for (size_t i = 0; i < LARGE; i++)
        buffer[i] = number(c->rank, i);
    good = c->ops->start(c, 3, buffer, LARGE, HS_COMM_F64) == HS_OK && c->ops->wait(c, 3) == HS_OK;
    for (size_t i = 0; i < LARGE; i++)
        good = good && buffer[i] == expected(c->size, i, HS_SUM);
    tap_ok(good, "a large sum in flight goes in pieces");
    hs_mpi_set_piece(c, 100);
    hs_status st = c->ops->start(c, 3, buffer, LARGE, HS_COMM_F64);
    tap_ok(st == (strcmp(c->ops->name, "mpi") == 0 ? HS_EUNSUPPORTED : HS_OK), "more pieces than a slot holds are refused");
    hs_mpi_set_piece(c, 1 << 30);
}

/* The same order of additions every time, and the same bits on every rank. */
static void test_deterministic(hs_comm *c)
{
    static const size_t counts[] = {1, 100, 5000, 200000};
    static float first[200000], again[200000], root[200000];
    for (int k = 0; k < 4; k++) {
        bool good = true;
        size_t n = counts[k];
        for (int round = 0; round < 6; round++) {
            float *into = round ? again : first;
            for (size_t i = 0; i < n; i++)
                into[i] = (float)hs_normal(hs_random(11, HS_DRAW_TEST, (uint32_t)c->rank, 0, i));
            if (round % 2)
                good = hs_allreduce(c, into, n, HS_COMM_F32, HS_SUM) == HS_OK && good;
            else
                good = c->ops->start(c, 0, into, n, HS_COMM_F32) == HS_OK && c->ops->wait(c, 0) == HS_OK && good;
            memcpy(root, into, n * sizeof *root);
            good = hs_broadcast(c, root, n * sizeof *root, 0) == HS_OK && memcmp(root, into, n * sizeof *root) == 0 && good;
            if (round >= 2 && round % 2 == 0)
                good = memcmp(first, into, n * sizeof *first) == 0 && good;
        }
        tap_ok(good, "sums of %zu random floats: equal bits on all ranks and in repeated runs", n);
    }
}

/* ---- fixed tree ------------------------------------------------------------------------------------------------ */

enum { SHARDS = 8, WIDTH = 501 };

static float shard(int s, size_t i)
{
    return (float)hs_normal(hs_random(12, HS_DRAW_TEST, (uint32_t)s, 0, i));
}

static float tree(int low, int high, size_t i)
{
    int middle = (low + high) / 2;
    return high - low == 1 ? shard(low, i) : tree(low, middle, i) + tree(middle, high, i);
}

static void test_tree(hs_comm *c)
{
    float sum[WIDTH], scratch[WIDTH];
    int per = SHARDS / c->size;
    bool good = true;
    for (size_t i = 0; i < WIDTH; i++)
        sum[i] = c->size == 3 ? 0 : tree(c->rank * per, (c->rank + 1) * per, i);
    hs_status st = hs_tree_sum(c, sum, WIDTH, HS_COMM_F32, scratch);
    if (c->size == 3) {
        tap_ok(st == HS_EUNSUPPORTED && strstr(hs_fail_text(), "3"), "a fixed tree over 3 ranks is refused, and says so");
        return;
    }
    for (size_t i = 0; i < WIDTH; i++) {
        float want = tree(0, SHARDS, i);
        good = good && memcmp(&want, &sum[i], sizeof want) == 0;
    }
    tap_ok(st == HS_OK && good, "fixed tree: %d shards on %d ranks give the bits of one rank", SHARDS, c->size);
    int64_t whole[2] = {c->rank + 1, INT64_MAX}, spare[2];
    st = hs_tree_sum(c, whole, 1, HS_COMM_I64, spare);
    tap_ok(st == HS_OK && whole[0] == c->size * (c->size + 1) / 2 && whole[1] == INT64_MAX, "fixed tree: whole numbers");
    double real = c->rank + 0.5, other;
    st = hs_tree_sum(c, &real, 1, HS_COMM_F64, &other);
    tap_ok(st == HS_OK && real == c->size * c->size / 2.0, "fixed tree: doubles");
}

static void test_identity(hs_comm *c)
{
    const char *launched = getenv("OMPI_COMM_WORLD_SIZE");
    tap_ok(!launched || atoi(launched) == c->size, "as many ranks as were started");
    double ranks = c->rank;
    bool good = hs_allreduce(c, &ranks, 1, HS_COMM_F64, HS_SUM) == HS_OK;
    tap_ok(good && ranks == c->size * (c->size - 1) / 2, "ranks are 0 .. size - 1");
    tap_ok(c->host[0] != '\0' && c->local_size == c->size && c->local_rank == c->rank,
           "one host: local rank and size are the global ones");
    tap_ok(hs_barrier(c) == HS_OK, "barrier");
}

static void test_error(hs_comm *c)
{
    char byte = 0;
    if (strcmp(c->ops->name, "mpi") != 0)
        return;
    hs_status st = hs_broadcast(c, &byte, 1, c->size);
    tap_ok(st == HS_EIO && strstr(hs_fail_text(), "MPI_Bcast") && strstr(hs_fail_text(), c->host) &&
               strstr(hs_fail_text(), "rank"),
           "an MPI error comes back as a status and names call, rank and host");
}

int main(int argc, char **argv)
{
    long blocks = hs_live_blocks();
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&tap_comm) != HS_OK) {
        printf("Bail out! %s\n", hs_fail_text());
        return 1;
    }
    hs_comm *c = tap_comm;
    test_identity(c);
    test_reductions(c);
    test_broadcast_and_gather(c);
    test_agree(c);
    test_split(c);
    for (int at_once = 0; at_once < 2; at_once++) { /* one of them is what the communicator would do by itself */
        hs_mpi_set_at_once(c, at_once);
        test_in_flight(c);
        test_pieces(c);
        test_deterministic(c);
    }
    test_tree(c);
    test_error(c);
    int status = tap_done();
    hs_comm_destroy(&tap_comm);
    hs_comm_finish();
    if (hs_live_blocks() != blocks) {
        fprintf(stderr, "# blocks were not freed\n");
        return 1;
    }
    return status;
}
