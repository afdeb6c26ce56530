/* comm.c - what is the same for every kind of communicator: calls through the table, agreement after an error, the fixed-tree
 * sum. */
#define _POSIX_C_SOURCE 200809L /* gethostname */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "comm_impl.h"

size_t hs_comm_type_bytes(hs_comm_type type)
{
    return type == HS_COMM_F32 ? 4 : 8;
}

void hs_comm_host(char host[64])
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        strcpy(name, "localhost");
    snprintf(host, 64, "%.63s", name);
}

void hs_comm_destroy(hs_comm **comm)
{
    if (!comm || !*comm)
        return;
    (*comm)->ops->destroy(*comm);
    *comm = NULL;
}

hs_status hs_comm_split(hs_comm *comm, int color, hs_comm **part)
{
    if (!comm->ops->split)
        return hs_fail(HS_EUNSUPPORTED, "communicator '%s' cannot be split; split the mpi one it was made from", comm->ops->name);
    return comm->ops->split(comm, color, part);
}

hs_status hs_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    return c->ops->allreduce(c, buffer, count, type, op);
}

hs_status hs_broadcast(hs_comm *c, void *buffer, size_t bytes, int root)
{
    return c->ops->broadcast(c, buffer, bytes, root);
}

hs_status hs_barrier(hs_comm *c)
{
    return c->ops->barrier(c);
}

hs_status hs_agree(hs_comm *c, hs_status mine)
{
    int64_t failed = mine != HS_OK;
    hs_status st = hs_allreduce(c, &failed, 1, HS_COMM_I64, HS_MAX);
    if (mine != HS_OK)
        return mine;
    HS_TRY(st);
    return failed ? hs_fail(HS_EREMOTE, "another rank failed; its message says why") : HS_OK;
}

/* ---- fixed-tree sum -------------------------------------------------------------------------------------------- */

/* BUFFER += OTHER. IEEE addition commutes, so both partners of an exchange get the same bits although each has its own number on
 * the left. */
static void add(void *buffer, const void *other, size_t count, hs_comm_type type)
{
    if (type == HS_COMM_F32) {
        float *a = buffer;
        const float *b = other;
        for (size_t i = 0; i < count; i++)
            a[i] += b[i];
    } else if (type == HS_COMM_F64) {
        double *a = buffer;
        const double *b = other;
        for (size_t i = 0; i < count; i++)
            a[i] += b[i];
    } else {
        uint64_t *a = buffer; /* unsigned: the wrap of a signed overflow would be undefined */
        const uint64_t *b = other;
        for (size_t i = 0; i < count; i++)
            a[i] += b[i];
    }
}

/* Level m joins neighbouring blocks of m ranks: ((r0 + r1) + (r2 + r3)) + ..., the upper part of one binary tree over all shards.
 */
hs_status hs_tree_sum(hs_comm *c, void *buffer, size_t count, hs_comm_type type, void *scratch)
{
    if (c->size == 1)
        return HS_OK;
    if (c->size & (c->size - 1))
        return hs_fail(HS_EUNSUPPORTED,
                       "a sum in a fixed tree needs 1, 2, 4, 8, ... ranks, not %d; start that many or set reproducible = no",
                       c->size);
    if (!c->ops->exchange)
        return hs_fail(HS_EUNSUPPORTED, "communicator '%s' cannot sum in a fixed tree; use comm = mpi or reproducible = no",
                       c->ops->name);
    for (int m = 1; m < c->size; m *= 2) {
        HS_TRY(c->ops->exchange(c, c->rank ^ m, buffer, scratch, count * hs_comm_type_bytes(type)));
        add(buffer, scratch, count, type);
    }
    return HS_OK;
}
