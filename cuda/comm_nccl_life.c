/* comm_nccl_life.c - how a communicator through NCCL begins, gets memory that travels, and ends.
 *
 * The end is the hard part. ncclCommAbort stops what runs on the GPU at once, but returns only when every CUDA graph with one of the
 * communicator's sums in it is destroyed (NCCL counts them); the trainer destroys its recordings after the failed step has
 * returned. So a thread of its own aborts, and destroy, which comes behind the recordings' end, waits for it, though not for ever.
 * A healthy communicator is finalized, which does not block, and then destroyed, which has nothing left to wait for. By then no
 * rank is inside a sum: every step settles, and all ranks agree on it afterwards. When the whole job ends (abort of the table) NCCL
 * is not asked at all: another thread may be in one of its calls, and the end of the process ends its kernels. */
#include "config.h"

#include "comm_cuda.h"

#ifdef HAVE_NCCL
#include <signal.h>

#include "comm_nccl.h"
#include "hs_base.h"

/* ---- memory that travels ------------------------------------------------------------------------------------------------ */

#if HS_NCCL_REGISTERS
static hs_status make_wire(hs_nccl_comm *m)
{
    void *memory = NULL;
    const ncclResult_t result = ncclMemAlloc(&memory, m->count * sizeof *m->wire);
    if (result != ncclSuccess)
        return hs_fail(HS_EINTERNAL, "%.1f MiB of device memory for gradients as bf16: NCCL: %s; use comm.wire = fp32",
                       (double)(m->count * sizeof *m->wire) / 1048576.0, ncclGetErrorString(result));
    m->wire = memory;
    return HS_OK;
}

static void free_wire(hs_nccl_comm *m)
{
    if (m->wire)
        (void)ncclMemFree(m->wire);
    m->wire = NULL;
}

static void dismiss(hs_nccl_comm *m)
{
    if (m->comm && m->handle)
        (void)ncclCommDeregister(m->comm, m->handle);
    m->handle = NULL;
}

/* COLLECTIVE. NCCL copies less of memory it knows; but all ranks' memory has to be known to it, or none's. A success without a
 * handle is one that NCCL made nothing of. */
static hs_status enlist(hs_nccl_comm *m, void *memory, size_t bytes)
{
    const ncclResult_t result = ncclCommRegister(m->comm, memory, bytes, &m->handle);
    if (result != ncclSuccess)
        m->handle = NULL;
    int64_t all = m->handle != NULL;
    HS_TRY(hs_allreduce(m->side.host, &all, 1, HS_COMM_I64, HS_MIN));
    if (!all)
        dismiss(m);
    if (result != ncclSuccess)
        hs_info(m->log, "NCCL does not register gradients on rank %d (%s): it copies them", m->base.rank,
                ncclGetErrorString(result));
    return HS_OK;
}
#else
static hs_status make_wire(hs_nccl_comm *m)
{
    return hs_cuda_alloc(m->count * sizeof *m->wire, "gradients as bf16", &m->wire);
}

static void free_wire(hs_nccl_comm *m)
{
    (void)cudaFree(m->wire);
    m->wire = NULL;
}

static void dismiss(hs_nccl_comm *m)
{
    (void)m;
}

static hs_status enlist(hs_nccl_comm *m, void *memory, size_t bytes)
{
    (void)m, (void)memory, (void)bytes;
    return HS_OK;
}
#endif

hs_status hs_nccl_reserve(hs_comm *c, void *slab, size_t count, hs_comm_type type, size_t width)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    (void)width;
    HS_TRY(hs_nccl_check_whole(m));
    if (count == 0)
        return HS_OK;
    dismiss(m);
    free_wire(m);
    m->slab = slab;
    m->count = count;
    HS_TRY(hs_agree(m->side.host, m->bf16 && type == HS_COMM_F32 ? make_wire(m) : HS_OK));
    return m->wire ? enlist(m, m->wire, count * sizeof *m->wire) : enlist(m, slab, count * (type == HS_COMM_F32 ? 4 : 8));
}

/* ---- the end ------------------------------------------------------------------------------------------------------------ */

static void *dig(void *argument)
{
    hs_nccl_comm *m = argument;
    (void)ncclCommAbort(m->buried);
    atomic_store(&m->dug, true);
    return NULL;
}

void hs_nccl_bury(hs_nccl_comm *m)
{
    sigset_t all, old;
    if (!m->comm)
        return;
    m->buried = m->comm;
    m->comm = NULL;
    m->handle = NULL; /* goes with it */
    sigfillset(&all); /* signals are for the thread that trains */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    m->digging = pthread_create(&m->gravedigger, NULL, dig, m) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!m->digging)
        (void)dig(m);
}

static double patience(const hs_nccl_comm *m)
{
    return hs_now() + (m->limit < 5 ? m->limit : 5);
}

/* Nothing of ours is under way. */
static void close_whole(hs_nccl_comm *m)
{
    const double end = patience(m);
    dismiss(m);
    ncclResult_t state = ncclCommFinalize(m->comm);
    while (state == ncclInProgress && hs_now() < end) {
        hs_nccl_pause(1000000);
        if (ncclCommGetAsyncError(m->comm, &state) != ncclSuccess)
            break;
    }
    if (state != ncclSuccess) {
        hs_nccl_bury(m);
        return;
    }
    (void)ncclCommDestroy(m->comm);
    m->comm = NULL;
}

/* False: NCCL still works on it. */
static bool is_closed(hs_nccl_comm *m)
{
    const double end = patience(m);
    while (m->digging && !atomic_load(&m->dug) && hs_now() < end)
        hs_nccl_pause(1000000);
    if (m->digging && !atomic_load(&m->dug))
        return false;
    if (m->digging)
        (void)pthread_join(m->gravedigger, NULL);
    return true;
}

void hs_nccl_destroy(hs_comm *c)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    if (m->side.stream && !m->broken)
        (void)cudaStreamSynchronize(m->side.stream);
    if (m->comm)
        close_whole(m);
    if (!is_closed(m)) { /* the process is about to end, and takes with it what NCCL holds */
        hs_warn(m->log, "NCCL does not end on rank %d; its memory stays until the process ends", m->base.rank);
        (void)pthread_detach(m->gravedigger);
        return;
    }
    free_wire(m);
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        if (m->done[i])
            (void)cudaEventDestroy(m->done[i]);
    hs_cuda_side_close(&m->side);
    hs_free(m);
}

/* ---- the beginning ------------------------------------------------------------------------------------------------------ */

static hs_status make_events(hs_nccl_comm *m, hs_stream *stream, hs_comm *host)
{
    HS_TRY(hs_cuda_side_open(stream, host, &m->side));
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&m->done[i], cudaEventDisableTiming), "a CUDA event"));
    return HS_OK;
}

/* COLLECTIVE. The id goes round by the host's communicator; then all enter NCCL together. */
static hs_status meet(hs_nccl_comm *m, hs_comm *host)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    hs_status st = HS_OK;
    config.blocking = 0;
    if (host->rank == 0) {
        const ncclResult_t result = ncclGetUniqueId(&id);
        if (result != ncclSuccess)
            st = hs_nccl_give_up(m, "making an id", result);
    }
    HS_TRY(hs_agree(host, st));
    HS_TRY(hs_broadcast(host, &id, sizeof id, 0));
    return hs_agree(host, hs_nccl_taken_in(m, "starting", ncclCommInitRankConfig(&m->comm, host->size, id, host->rank, &config)));
}

hs_status hs_cuda_comm_nccl(hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm)
{
    hs_nccl_comm *m = NULL;
    hs_status st = hs_agree(host, hs_calloc(1, sizeof *m, "communicator", &m));
    if (st != HS_OK) {
        hs_free(m);
        return st;
    }
    m->base = *host;
    m->base.ops = &hs_nccl_ops;
    m->limit = wish->timeout;
    m->bf16 = wish->bf16;
    m->log = stream->device->log;
    st = hs_agree(host, make_events(m, stream, host));
    if (st == HS_OK)
        st = meet(m, host);
    if (st != HS_OK)
        hs_nccl_destroy(&m->base);
    else
        *comm = &m->base;
    return st;
}
#endif
