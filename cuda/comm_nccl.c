/* comm_nccl.c - sums of device memory by NCCL, one rank for each GPU, on a stream of its own beside backward.
 *
 * Nothing waits for ever: NCCL starts without blocking and is polled against a deadline, and so is every sum, together with
 * NCCL's own report of errors that came up meanwhile. On either the communicator is aborted, which also ends kernels that are
 * stuck on the GPU, and the rank says so. */
#include "config.h"

#include "comm_cuda.h"

#ifdef HAVE_NCCL
#include <nccl.h>
#include <time.h>

#include "hs_base.h"

static const double start_limit = 120, sum_limit = 300; /* seconds */

typedef struct nccl_comm {
    hs_comm base;
    hs_cuda_side side;
    ncclComm_t comm;
    bool broken;
    cudaEvent_t done[HS_COMM_BUCKETS];
} nccl_comm;

static nccl_comm *nccl_of(hs_comm *c)
{
    return (nccl_comm *)c;
}

static hs_status give_up(nccl_comm *m, const char *what, ncclResult_t result)
{
    const char *text = result == ncclInProgress ? "no answer in time; is a rank gone?" : ncclGetErrorString(result);
    if (m->comm)
        (void)ncclCommAbort(m->comm);
    m->comm = NULL;
    m->broken = true;
    return hs_fail(HS_EIO, "NCCL, %s on rank %d of %d on %s: %s; set NCCL_DEBUG=WARN to see more, or use comm = mpi-staged", what,
                   m->base.rank, m->base.size, m->base.host, text);
}

static void pause_briefly(void)
{
    const struct timespec some = {0, 100000};
    (void)nanosleep(&some, NULL);
}

/* Until NCCL has taken in what it was asked. */
static hs_status settle(nccl_comm *m, const char *what, ncclResult_t result, double limit)
{
    const double end = hs_now() + limit;
    while (result == ncclInProgress && hs_now() < end) {
        const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &result);
        if (asked != ncclSuccess)
            return give_up(m, what, asked);
        if (result == ncclInProgress)
            pause_briefly();
    }
    return result == ncclSuccess ? HS_OK : give_up(m, what, result);
}

static hs_status nccl_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    nccl_comm *m = nccl_of(c);
    const ncclDataType_t kind = type == HS_COMM_F32 ? ncclFloat32 : type == HS_COMM_F64 ? ncclFloat64 : ncclInt64;
    if (m->broken)
        return hs_fail(HS_EIO, "NCCL was aborted after an earlier failure");
    HS_TRY(hs_cuda_side_follows(&m->side));
    if (count > 0)
        HS_TRY(
            settle(m, "starting a sum", ncclAllReduce(buffer, buffer, count, kind, ncclSum, m->comm, m->side.stream), sum_limit));
    return hs_cuda_check(cudaEventRecord(m->done[slot], m->side.stream), "a sum between GPUs");
}

static hs_status nccl_wait(hs_comm *c, int slot)
{
    nccl_comm *m = nccl_of(c);
    const double end = hs_now() + sum_limit;
    if (m->broken)
        return hs_fail(HS_EIO, "NCCL was aborted after an earlier failure");
    for (;;) {
        const cudaError_t state = cudaEventQuery(m->done[slot]);
        ncclResult_t error = ncclSuccess;
        if (state == cudaSuccess)
            break;
        if (state != cudaErrorNotReady)
            return hs_cuda_check(state, "a sum between GPUs");
        const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &error);
        if (asked != ncclSuccess || (error != ncclSuccess && error != ncclInProgress))
            return give_up(m, "a sum", asked != ncclSuccess ? asked : error);
        if (hs_now() > end)
            return give_up(m, "a sum", ncclInProgress);
    }
    return hs_cuda_side_leads(&m->side);
}

static void nccl_progress(hs_comm *c)
{
    (void)c; /* the GPU moves sums on by itself */
}

static void nccl_abort(hs_comm *c, int code)
{
    nccl_comm *m = nccl_of(c);
    if (m->comm)
        (void)ncclCommAbort(m->comm);
    m->comm = NULL;
    hs_cuda_host_abort(c, code);
}

static void nccl_destroy(hs_comm *c)
{
    nccl_comm *m = nccl_of(c);
    if (m->side.stream && !m->broken)
        (void)cudaStreamSynchronize(m->side.stream);
    if (m->comm)
        (void)ncclCommAbort(m->comm); /* nothing is under way; abort does not wait for others as destroy would */
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        if (m->done[i])
            (void)cudaEventDestroy(m->done[i]);
    hs_cuda_side_close(&m->side);
    hs_free(m);
}

static const hs_comm_ops nccl_ops = {
    .name = "nccl",
    .allreduce = hs_cuda_host_allreduce,
    .broadcast = hs_cuda_host_broadcast,
    .gather = hs_cuda_host_gather,
    .barrier = hs_cuda_host_barrier,
    .start = nccl_start,
    .wait = nccl_wait,
    .progress = nccl_progress,
    .abort = nccl_abort,
    .destroy = nccl_destroy,
    .exchange = hs_cuda_host_exchange,
};

static hs_status make_events(nccl_comm *m, hs_stream *stream, hs_comm *host)
{
    HS_TRY(hs_cuda_side_open(stream, host, &m->side));
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&m->done[i], cudaEventDisableTiming), "a CUDA event"));
    return HS_OK;
}

/* COLLECTIVE. The id goes round by the host's communicator; then all enter NCCL together. */
static hs_status meet(nccl_comm *m, hs_comm *host)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    hs_status st = HS_OK;
    config.blocking = 0;
    if (host->rank == 0) {
        const ncclResult_t result = ncclGetUniqueId(&id);
        if (result != ncclSuccess)
            st = give_up(m, "making an id", result);
    }
    HS_TRY(hs_agree(host, st));
    HS_TRY(hs_broadcast(host, &id, sizeof id, 0));
    return hs_agree(host,
                    settle(m, "starting", ncclCommInitRankConfig(&m->comm, host->size, id, host->rank, &config), start_limit));
}

hs_status hs_cuda_comm_nccl(hs_stream *stream, hs_comm *host, hs_comm **comm)
{
    nccl_comm *m = NULL;
    HS_TRY(hs_agree(host, hs_calloc(1, sizeof *m, "communicator", &m)));
    m->base = *host;
    m->base.ops = &nccl_ops;
    hs_status st = hs_agree(host, make_events(m, stream, host));
    if (st == HS_OK)
        st = meet(m, host);
    if (st != HS_OK)
        nccl_destroy(&m->base);
    else
        *comm = &m->base;
    return st;
}
#endif
