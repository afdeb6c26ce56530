/* self.c - the communicator of one rank: every sum is already there. No MPI call. */
#include <stdlib.h>
#include <string.h>

#include "comm_impl.h"
#include "hs_base.h"

static hs_status self_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    (void)c, (void)buffer, (void)count, (void)type, (void)op;
    return HS_OK;
}

static hs_status self_broadcast(hs_comm *c, void *buffer, size_t bytes, int root)
{
    (void)c, (void)buffer, (void)bytes, (void)root;
    return HS_OK;
}

static hs_status self_gather(hs_comm *c, const void *mine, size_t bytes, void *all, int root)
{
    (void)c, (void)root;
    if (bytes > 0)
        memcpy(all, mine, bytes);
    return HS_OK;
}

static hs_status self_barrier(hs_comm *c)
{
    (void)c;
    return HS_OK;
}

static hs_status self_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    (void)c, (void)slot, (void)buffer, (void)count, (void)type;
    return HS_OK;
}

static hs_status self_wait(hs_comm *c, int slot)
{
    (void)c, (void)slot;
    return HS_OK;
}

static void self_progress(hs_comm *c)
{
    (void)c;
}

static void self_abort(hs_comm *c, int code)
{
    (void)c;
    _Exit(code);
}

static void self_destroy(hs_comm *c)
{
    hs_free(c);
}

static hs_status self_split(hs_comm *c, int color, hs_comm **part)
{
    (void)c, (void)color;
    return hs_comm_self(part);
}

static const hs_comm_ops self_ops = {
    .name = "self",
    .allreduce = self_allreduce,
    .broadcast = self_broadcast,
    .gather = self_gather,
    .barrier = self_barrier,
    .start = self_start,
    .wait = self_wait,
    .progress = self_progress,
    .abort = self_abort,
    .destroy = self_destroy,
    .split = self_split,
};

hs_status hs_comm_self(hs_comm **comm)
{
    hs_comm *c = NULL;
    HS_TRY(hs_calloc(1, sizeof *c, "communicator", &c));
    c->ops = &self_ops;
    c->size = c->local_size = 1;
    hs_comm_host(c->host);
    *comm = c;
    return HS_OK;
}
