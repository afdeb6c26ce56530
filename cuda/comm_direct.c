/* comm_direct.c - mpi-cuda: sums of device memory by an MPI library that takes pointers to it and says so (hs_comm_takes_device).
 *
 * MPI knows nothing of streams: it gets a slot when the GPU has done all that was queued before start, and what is queued after
 * wait finds the sum. Sums are MPI's blocking ones, made in wait, which all ranks call in the same order: non-blocking sums of
 * device memory are what the libraries leave out. */
#include "comm_cuda.h"

#include "hs_base.h"

typedef struct direct_slot {
    void *memory;
    size_t count;
    hs_comm_type type;
    cudaEvent_t written;
} direct_slot;

typedef struct direct_comm {
    hs_comm base;
    hs_cuda_side side;
    direct_slot slot[HS_COMM_BUCKETS];
} direct_comm;

static direct_comm *direct_of(hs_comm *c)
{
    return (direct_comm *)c;
}

static hs_status direct_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    direct_slot *s = &direct_of(c)->slot[slot];
    s->memory = buffer;
    s->count = count;
    s->type = type;
    return hs_cuda_check(cudaEventRecord(s->written, direct_of(c)->side.compute), "a sum over ranks");
}

static hs_status direct_wait(hs_comm *c, int slot)
{
    const direct_slot *s = &direct_of(c)->slot[slot];
    hs_comm *host = direct_of(c)->side.host;
    HS_TRY(hs_cuda_check(cudaEventSynchronize(s->written), "a sum over ranks"));
    return host->ops->allreduce(host, s->memory, s->count, s->type, HS_SUM);
}

static hs_status direct_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    hs_cuda_side *side = &direct_of(c)->side;
    if (hs_cuda_is_device(buffer))
        HS_TRY(hs_cuda_check(cudaStreamSynchronize(side->compute), "a sum over ranks"));
    return side->host->ops->allreduce(side->host, buffer, count, type, op);
}

static void direct_progress(hs_comm *c)
{
    (void)c; /* nothing is under way before wait */
}

static void direct_destroy(hs_comm *c)
{
    direct_comm *m = direct_of(c);
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        if (m->slot[i].written)
            (void)cudaEventDestroy(m->slot[i].written);
    hs_cuda_side_close(&m->side);
    hs_free(m);
}

static const hs_comm_ops direct_ops = {
    .name = "mpi-cuda",
    .allreduce = direct_allreduce,
    .broadcast = hs_cuda_host_broadcast,
    .gather = hs_cuda_host_gather,
    .barrier = hs_cuda_host_barrier,
    .start = direct_start,
    .wait = direct_wait,
    .progress = direct_progress,
    .abort = hs_cuda_host_abort,
    .destroy = direct_destroy,
    .exchange = hs_cuda_host_exchange,
};

static hs_status make_events(direct_comm *m, hs_stream *stream, hs_comm *host)
{
    HS_TRY(hs_cuda_side_open(stream, host, &m->side));
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&m->slot[i].written, cudaEventDisableTiming), "a CUDA event"));
    return HS_OK;
}

hs_status hs_cuda_comm_direct(hs_stream *stream, hs_comm *host, hs_comm **comm)
{
    direct_comm *m = NULL;
    HS_TRY(hs_calloc(1, sizeof *m, "communicator", &m));
    m->base = *host;
    m->base.ops = &direct_ops;
    const hs_status st = make_events(m, stream, host);
    if (st != HS_OK)
        direct_destroy(&m->base);
    else
        *comm = &m->base;
    return st;
}
