/* comm_nccl.c - sums of device memory by NCCL, one rank for each GPU, on a stream of its own beside backward.
 *
 * start and wait only order work on the device, so that a step with its sums can be recorded; the host waits once, in settle.
 * Nothing waits for ever: NCCL starts without blocking and is polled against a deadline, and so is the stream, together with
 * NCCL's own report of errors that came up meanwhile. On either the communicator is aborted, which also ends kernels that are
 * stuck on the GPU, and the rank says so.
 *
 * With bf16 on the wire a bucket is rounded to bf16, summed so by NCCL, and widened again: half the bytes. NCCL adds two numbers at
 * a time and rounds after each, 2^-9 of the partial sum at most: over P ranks P 2^-9 in the worst case and some sqrt(P) 2^-9 as a
 * rule, relative to the sum of magnitudes. Moments and weights stay fp32; batch normalisation's sums stay double. */
#include "config.h"

#include "comm_cuda.h"

#ifdef HAVE_NCCL
#include <nccl.h>
#include <time.h>

#include "hs_base.h"

#if NCCL_MAJOR > 2 || NCCL_MINOR >= 19
#define HAS_REGISTRATION 1 /* ncclCommRegister, ncclMemAlloc */
#else
#define HAS_REGISTRATION 0
#endif

typedef struct nccl_comm {
    hs_comm base;
    hs_cuda_side side;
    ncclComm_t comm;
    const hs_log *log;
    double limit; /* seconds */
    bool broken, bf16;
    cudaEvent_t done[HS_COMM_BUCKETS];
    float *slab;
    size_t count;
    uint16_t *wire;  /* [count] bf16, of SLAB's numbers; NULL: they travel as they are */
    void *handle[2]; /* registrations of what travels */
} nccl_comm;

static nccl_comm *nccl_of(hs_comm *c)
{
    return (nccl_comm *)c;
}

static hs_status give_up(nccl_comm *m, const char *what, ncclResult_t result)
{
    const char *text = result == ncclInProgress ? "no answer in time (comm.timeout); is a rank gone?" : ncclGetErrorString(result);
    if (m->comm)
        (void)ncclCommAbort(m->comm);
    m->comm = NULL;
    m->broken = true;
    return hs_fail(HS_EIO, "NCCL, %s on rank %d of %d on %s: %s; set NCCL_DEBUG=WARN to see more, or use comm = mpi-staged", what,
                   m->base.rank, m->base.size, m->base.host, text);
}

static hs_status check_whole(const nccl_comm *m)
{
    return m->broken ? hs_fail(HS_EIO, "NCCL was aborted after an earlier failure") : HS_OK;
}

static void pause_briefly(void)
{
    const struct timespec some = {0, 20000};
    (void)nanosleep(&some, NULL);
}

/* Until NCCL has taken in what it was asked. */
static hs_status taken_in(nccl_comm *m, const char *what, ncclResult_t result)
{
    const double end = hs_now() + m->limit;
    while (result == ncclInProgress && hs_now() < end) {
        const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &result);
        if (asked != ncclSuccess)
            return give_up(m, what, asked);
        if (result == ncclInProgress)
            pause_briefly();
    }
    return result == ncclSuccess ? HS_OK : give_up(m, what, result);
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

static hs_status sum_as(nccl_comm *m, void *buffer, size_t count, ncclDataType_t kind, ncclRedOp_t op, cudaStream_t stream)
{
    return taken_in(m, "starting a sum", ncclAllReduce(buffer, buffer, count, kind, op, m->comm, stream));
}

static ncclDataType_t kind_of(hs_comm_type type)
{
    return type == HS_COMM_F32 ? ncclFloat32 : type == HS_COMM_F64 ? ncclFloat64 : ncclInt64;
}

static hs_status sum_bf16(nccl_comm *m, float *buffer, size_t count)
{
    uint16_t *wire = m->wire + (buffer - m->slab);
    HS_TRY(hs_cuda_check(hs_cuda_to_bf16(m->side.stream, count, buffer, wire), "gradients as bf16"));
    HS_TRY(sum_as(m, wire, count, ncclBfloat16, ncclSum, m->side.stream));
    return hs_cuda_check(hs_cuda_from_bf16(m->side.stream, count, wire, buffer), "gradients from bf16");
}

static bool travels_narrow(const nccl_comm *m, const float *buffer, size_t count, hs_comm_type type)
{
    return m->wire && type == HS_COMM_F32 && buffer >= m->slab && buffer + count <= m->slab + m->count;
}

static hs_status nccl_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    nccl_comm *m = nccl_of(c);
    HS_TRY(check_whole(m));
    HS_TRY(hs_cuda_side_follows(&m->side));
    if (count > 0)
        HS_TRY(travels_narrow(m, buffer, count, type) ? sum_bf16(m, buffer, count)
                                                      : sum_as(m, buffer, count, kind_of(type), ncclSum, m->side.stream));
    return hs_cuda_check(cudaEventRecord(m->done[slot], m->side.stream), "a sum between GPUs");
}

static hs_status nccl_wait(hs_comm *c, int slot)
{
    nccl_comm *m = nccl_of(c);
    HS_TRY(check_whole(m));
    return hs_cuda_check(cudaStreamWaitEvent(m->side.compute, m->done[slot], 0), "a sum between GPUs");
}

/* Few numbers in device memory, in the middle of a pass: in line with it. */
static hs_status nccl_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    nccl_comm *m = nccl_of(c);
    if (!hs_cuda_is_device(buffer))
        return hs_cuda_host_allreduce(c, buffer, count, type, op);
    HS_TRY(check_whole(m));
    return sum_as(m, buffer, count, kind_of(type), op == HS_SUM ? ncclSum : op == HS_MAX ? ncclMax : ncclMin, m->side.compute);
}

static hs_status nccl_look(hs_comm *c, double began)
{
    nccl_comm *m = nccl_of(c);
    ncclResult_t error = ncclSuccess;
    HS_TRY(check_whole(m));
    const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &error);
    if (asked != ncclSuccess || (error != ncclSuccess && error != ncclInProgress))
        return give_up(m, "a sum", asked != ncclSuccess ? asked : error);
    return hs_now() > began + m->limit ? give_up(m, "a sum", ncclInProgress) : HS_OK;
}

static hs_status nccl_settle(hs_comm *c)
{
    const double began = hs_now();
    for (;;) {
        const cudaError_t state = cudaStreamQuery(nccl_of(c)->side.compute);
        if (state == cudaSuccess)
            return check_whole(nccl_of(c));
        if (state != cudaErrorNotReady)
            return hs_cuda_check(state, "a sum between GPUs");
        (void)cudaGetLastError(); /* not ready is kept like an error, and the next launch would report it */
        HS_TRY(nccl_look(c, began));
    }
}

static void nccl_progress(hs_comm *c)
{
    (void)c; /* the GPU moves sums on by itself */
}

/* ---- memory that travels ------------------------------------------------------------------------------------------------ */

/* NCCL copies less of memory it knows. Where it refuses, it copies. */
static void enlist(nccl_comm *m, int i, void *memory, size_t bytes)
{
#if HAS_REGISTRATION
    const ncclResult_t result = ncclCommRegister(m->comm, memory, bytes, &m->handle[i]);
    if (result != ncclSuccess)
        m->handle[i] = NULL;
    if (result != ncclSuccess && m->base.rank == 0)
        hs_info(m->log, "NCCL does not register gradients (%s): it copies them", ncclGetErrorString(result));
#else
    (void)m, (void)i, (void)memory, (void)bytes;
#endif
}

static hs_status make_wire(nccl_comm *m)
{
#if HAS_REGISTRATION
    void *memory = NULL;
    const ncclResult_t result = ncclMemAlloc(&memory, m->count * sizeof *m->wire);
    if (result != ncclSuccess)
        return hs_fail(HS_EINTERNAL, "%.1f MiB of device memory for gradients as bf16: NCCL: %s; use comm.wire = fp32",
                       (double)(m->count * sizeof *m->wire) / 1048576.0, ncclGetErrorString(result));
    m->wire = memory;
    return HS_OK;
#else
    return hs_cuda_alloc(m->count * sizeof *m->wire, "gradients as bf16", &m->wire);
#endif
}

static void free_wire(nccl_comm *m)
{
    if (!m->wire)
        return;
#if HAS_REGISTRATION
    (void)ncclMemFree(m->wire);
#else
    (void)cudaFree(m->wire);
#endif
    m->wire = NULL;
}

static void dismiss(nccl_comm *m)
{
#if HAS_REGISTRATION
    for (int i = 0; i < 2; i++)
        if (m->comm && m->handle[i])
            (void)ncclCommDeregister(m->comm, m->handle[i]);
#endif
    m->handle[0] = m->handle[1] = NULL;
}

static hs_status nccl_reserve(hs_comm *c, void *slab, size_t count, hs_comm_type type, size_t width)
{
    nccl_comm *m = nccl_of(c);
    (void)width;
    HS_TRY(check_whole(m));
    if (count == 0)
        return HS_OK;
    m->slab = slab;
    m->count = count;
    if (m->bf16 && type == HS_COMM_F32)
        HS_TRY(make_wire(m));
    if (m->wire)
        enlist(m, 1, m->wire, count * sizeof *m->wire);
    else
        enlist(m, 0, slab, count * (type == HS_COMM_F32 ? 4 : 8));
    return HS_OK;
}

/* ---- begin and end ------------------------------------------------------------------------------------------------------ */

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
    dismiss(m);
    if (m->comm)
        (void)ncclCommAbort(m->comm); /* nothing is under way; abort does not wait for others as destroy would */
    free_wire(m);
    for (int i = 0; i < HS_COMM_BUCKETS; i++)
        if (m->done[i])
            (void)cudaEventDestroy(m->done[i]);
    hs_cuda_side_close(&m->side);
    hs_free(m);
}

static const hs_comm_ops nccl_ops = {
    .name = "nccl",
    .allreduce = nccl_allreduce,
    .broadcast = hs_cuda_host_broadcast,
    .gather = hs_cuda_host_gather,
    .barrier = hs_cuda_host_barrier,
    .start = nccl_start,
    .wait = nccl_wait,
    .progress = nccl_progress,
    .abort = nccl_abort,
    .destroy = nccl_destroy,
    .exchange = hs_cuda_host_exchange,
    .reserve = nccl_reserve,
    .settle = nccl_settle,
    .look = nccl_look,
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
    return hs_agree(host, taken_in(m, "starting", ncclCommInitRankConfig(&m->comm, host->size, id, host->rank, &config)));
}

hs_status hs_cuda_comm_nccl(hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm)
{
    nccl_comm *m = NULL;
    HS_TRY(hs_agree(host, hs_calloc(1, sizeof *m, "communicator", &m)));
    m->base = *host;
    m->base.ops = &nccl_ops;
    m->limit = wish->timeout;
    m->bf16 = wish->bf16;
    m->log = stream->device->log;
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
