/* comm_staged.c - sums of device memory through pinned host memory and the host's communicator, for MPI libraries that know
 * nothing of GPUs and for ranks that share one GPU.
 *
 * A slot is copied down on a stream of its own, behind what the compute stream had queued; when the copy has arrived (seen by
 * progress or by wait) the host's sum starts; wait brings the result back and lets the compute stream go on behind it. Sums start
 * in the order of the slots' starts, which is the same on all ranks, whatever copy is done first. Everything but start and wait
 * is the host communicator's, on host memory. */
#include "comm_cuda.h"

#include "hs_base.h"

typedef struct staged_slot {
    void *device, *pinned;
    size_t bytes, capacity, count;
    hs_comm_type type;
    cudaEvent_t copied;
} staged_slot;

typedef struct staged_comm {
    hs_comm base;
    hs_cuda_side side;
    staged_slot slot[HS_COMM_BUCKETS];
    int order[HS_COMM_BUCKETS]; /* slots as they were started in this round */
    int started, summing, waited;
} staged_comm;

static staged_comm *staged_of(hs_comm *c)
{
    return (staged_comm *)c;
}

static size_t number_bytes(hs_comm_type type)
{
    return type == HS_COMM_F32 ? 4 : 8;
}

static hs_status make_room(staged_slot *slot, size_t bytes)
{
    if (!slot->copied)
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&slot->copied, cudaEventDisableTiming), "a CUDA event"));
    if (slot->capacity >= bytes)
        return HS_OK;
    if (slot->pinned)
        (void)cudaFreeHost(slot->pinned);
    slot->pinned = NULL;
    slot->capacity = 0;
    HS_TRY(hs_cuda_check(cudaMallocHost(&slot->pinned, bytes), "pinned host memory for gradients"));
    slot->capacity = bytes;
    return HS_OK;
}

static hs_status staged_reserve(hs_comm *c, void *slab, size_t count, hs_comm_type type, size_t width)
{
    staged_comm *m = staged_of(c);
    (void)slab;
    for (size_t slot = 0, done = 0; done < count && slot < HS_COMM_BUCKETS; slot++, done += width)
        HS_TRY(make_room(&m->slot[slot], (count - done < width ? count - done : width) * number_bytes(type)));
    return HS_OK;
}

static hs_status staged_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    staged_comm *m = staged_of(c);
    staged_slot *s = &m->slot[slot];
    const size_t bytes = count * number_bytes(type);
    HS_TRY(make_room(s, bytes)); /* which reserve has made, unless nobody told it */
    s->device = buffer;
    s->bytes = bytes;
    s->count = count;
    s->type = type;
    HS_TRY(hs_cuda_side_follows(&m->side));
    HS_TRY(hs_cuda_check(bytes ? cudaMemcpyAsync(s->pinned, buffer, bytes, cudaMemcpyDeviceToHost, m->side.stream) : cudaSuccess,
                         "a download"));
    HS_TRY(hs_cuda_check(cudaEventRecord(s->copied, m->side.stream), "a download"));
    m->order[m->started++] = slot;
    return HS_OK;
}

/* Start the host's sums whose copies have arrived, in order; with UNTIL >= 0 wait for copies until that slot's has started. */
static hs_status advance(staged_comm *m, int until)
{
    bool wanted = until >= 0;
    for (int i = 0; wanted && i < m->summing; i++)
        wanted = m->order[i] != until;
    while (m->summing < m->started) {
        const int slot = m->order[m->summing];
        staged_slot *s = &m->slot[slot];
        const cudaError_t state = wanted ? cudaEventSynchronize(s->copied) : cudaEventQuery(s->copied);
        if (state == cudaErrorNotReady) {
            (void)cudaGetLastError(); /* kept like an error, and the next launch would report it */
            return HS_OK;
        }
        HS_TRY(hs_cuda_check(state, "waiting for a download"));
        m->summing++;
        HS_TRY(m->side.host->ops->start(m->side.host, slot, s->pinned, s->count, s->type));
        wanted = wanted && slot != until;
    }
    return HS_OK;
}

static hs_status staged_wait(hs_comm *c, int slot)
{
    staged_comm *m = staged_of(c);
    staged_slot *s = &m->slot[slot];
    HS_TRY(advance(m, slot));
    HS_TRY(m->side.host->ops->wait(m->side.host, slot));
    HS_TRY(hs_cuda_check(s->bytes ? cudaMemcpyAsync(s->device, s->pinned, s->bytes, cudaMemcpyHostToDevice, m->side.stream)
                                  : cudaSuccess,
                         "an upload"));
    if (++m->waited == m->started)
        m->waited = m->started = m->summing = 0;
    return hs_cuda_side_leads(&m->side);
}

static void staged_progress(hs_comm *c)
{
    staged_comm *m = staged_of(c);
    (void)advance(m, -1); /* an error shows again in wait, which reports it */
    m->side.host->ops->progress(m->side.host);
}

static void staged_destroy(hs_comm *c)
{
    staged_comm *m = staged_of(c);
    hs_cuda_side_close(&m->side);
    for (int i = 0; i < HS_COMM_BUCKETS; i++) {
        if (m->slot[i].copied)
            (void)cudaEventDestroy(m->slot[i].copied);
        if (m->slot[i].pinned)
            (void)cudaFreeHost(m->slot[i].pinned);
    }
    hs_free(m);
}

static const hs_comm_ops staged_ops = {
    .name = "mpi-staged",
    .allreduce = hs_cuda_host_allreduce,
    .broadcast = hs_cuda_host_broadcast,
    .gather = hs_cuda_host_gather,
    .barrier = hs_cuda_host_barrier,
    .start = staged_start,
    .wait = staged_wait,
    .progress = staged_progress,
    .abort = hs_cuda_host_abort,
    .destroy = staged_destroy,
    .exchange = hs_cuda_host_exchange,
    .reserve = staged_reserve,
};

hs_status hs_cuda_comm_staged(hs_stream *stream, hs_comm *host, hs_comm **comm)
{
    staged_comm *m = NULL;
    HS_TRY(hs_calloc(1, sizeof *m, "communicator", &m));
    m->base = *host;
    m->base.ops = &staged_ops;
    const hs_status st = hs_cuda_side_open(stream, host, &m->side);
    if (st != HS_OK)
        hs_free(m);
    else
        *comm = &m->base;
    return st;
}
