/* comm_nccl.c - sums of device memory by NCCL, one rank for each GPU, on a stream of its own beside backward. Its beginning, end
 * and memory are in comm_nccl_life.c.
 *
 * start and wait only order work on the device, so that a step with its sums can be recorded; the host waits once, in settle.
 * Nothing waits for ever: NCCL starts without blocking and is polled against a deadline, and so is the stream, together with
 * NCCL's own report of errors that came up meanwhile. On either the communicator is aborted, which also ends kernels that are
 * stuck on the GPU, and the rank says so.
 *
 * A communicator that does not block may have only begun to launch a sum when the call returns, and refuses the next call until it
 * is done: so every call is polled until it is taken in, before an event is recorded behind it. Sums on the side stream and in
 * line with the pass go through one communicator, in the order of the calls, which is the same on all ranks.
 *
 * With bf16 on the wire a bucket is rounded to bf16, summed so by NCCL, and widened again: half the bytes. With u = 2^-9, half the
 * distance of neighbours in bf16: each rank's number is off by u of itself, and each of the P - 1 additions on a ring rounds by u
 * of its partial sum, which is no more than the sum of magnitudes S. So a sum is off by less than P u S (1 + u)^P in the worst
 * case, some sqrt(P) u S as a rule; switches that add (NVLS) round less often. The range is fp32's: nothing overflows that would not there. It
 * is a sum, not NCCL's average: losses are divided by the global batch already, and a rank without samples brings zeros. Moments
 * and weights stay fp32; batch normalisation's sums stay double. */
#include "config.h"

#include "comm_cuda.h"

#ifdef HAVE_NCCL
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "comm_nccl.h"
#include "hs_base.h"

hs_status hs_nccl_give_up(hs_nccl_comm *m, const char *what, ncclResult_t result)
{
    char more[256] = "";
    if (m->comm && result != ncclInProgress)
        snprintf(more, sizeof more, "%s", ncclGetLastError(m->comm));
    more[strcspn(more, "\n")] = '\0';
    hs_nccl_bury(m);
    m->broken = true;
    return hs_fail(HS_EIO, "NCCL, %s on rank %d of %d on %s: %s%s%s; set NCCL_DEBUG=WARN to see more, or use comm = mpi-staged", what,
                   m->base.rank, m->base.size, m->base.host,
                   result == ncclInProgress ? "no answer in time (comm.timeout); is a rank gone?" : ncclGetErrorString(result),
                   *more ? ": " : "", more);
}

hs_status hs_nccl_check_whole(const hs_nccl_comm *m)
{
    return m->broken ? hs_fail(HS_EIO, "NCCL was aborted after an earlier failure") : HS_OK;
}

void hs_nccl_pause(long nanoseconds)
{
    const struct timespec some = {0, nanoseconds};
    (void)nanosleep(&some, NULL);
}

/* Until NCCL has taken in what it was asked. A thread of its own launches a sum, which takes it less than a sleep takes us: that long we stay awake. */
hs_status hs_nccl_taken_in(hs_nccl_comm *m, const char *what, ncclResult_t result)
{
    const double began = hs_now(), end = began + m->limit;
    while (result == ncclInProgress && hs_now() < end) {
        const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &result);
        if (asked != ncclSuccess)
            return hs_nccl_give_up(m, what, asked);
        if (result == ncclInProgress && hs_now() > began + 1e-4)
            hs_nccl_pause(20000);
        else if (result == ncclInProgress)
            (void)sched_yield();
    }
    return result == ncclSuccess ? HS_OK : hs_nccl_give_up(m, what, result);
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

static hs_status sum_as(hs_nccl_comm *m, void *buffer, size_t count, ncclDataType_t kind, ncclRedOp_t op, cudaStream_t stream)
{
    return hs_nccl_taken_in(m, "starting a sum", ncclAllReduce(buffer, buffer, count, kind, op, m->comm, stream));
}

static ncclDataType_t kind_of(hs_comm_type type)
{
    return type == HS_COMM_F32 ? ncclFloat32 : type == HS_COMM_F64 ? ncclFloat64 : ncclInt64;
}

static hs_status sum_bf16(hs_nccl_comm *m, float *buffer, size_t count)
{
    uint16_t *wire = m->wire + (buffer - m->slab);
    HS_TRY(hs_cuda_check(hs_cuda_to_bf16(m->side.stream, count, buffer, wire), "gradients as bf16"));
    HS_TRY(sum_as(m, wire, count, ncclBfloat16, ncclSum, m->side.stream));
    return hs_cuda_check(hs_cuda_from_bf16(m->side.stream, count, wire, buffer), "gradients from bf16");
}

static bool travels_narrow(const hs_nccl_comm *m, const float *buffer, size_t count, hs_comm_type type)
{
    return m->wire && type == HS_COMM_F32 && buffer >= m->slab && buffer + count <= m->slab + m->count;
}

static hs_status nccl_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    HS_TRY(hs_nccl_check_whole(m));
    HS_TRY(hs_cuda_side_follows(&m->side));
    if (count > 0)
        HS_TRY(travels_narrow(m, buffer, count, type) ? sum_bf16(m, buffer, count)
                                                      : sum_as(m, buffer, count, kind_of(type), ncclSum, m->side.stream));
    return hs_cuda_check(cudaEventRecord(m->done[slot], m->side.stream), "a sum between GPUs");
}

static hs_status nccl_wait(hs_comm *c, int slot)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    HS_TRY(hs_nccl_check_whole(m));
    return hs_cuda_check(cudaStreamWaitEvent(m->side.compute, m->done[slot], 0), "a sum between GPUs");
}

/* Few numbers in device memory, in the middle of a pass: in line with it. */
static hs_status nccl_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    if (!hs_cuda_is_device(buffer))
        return hs_cuda_host_allreduce(c, buffer, count, type, op);
    HS_TRY(hs_nccl_check_whole(m));
    return sum_as(m, buffer, count, kind_of(type), op == HS_SUM ? ncclSum : op == HS_MAX ? ncclMax : ncclMin, m->side.compute);
}

static hs_status nccl_look(hs_comm *c, double began)
{
    hs_nccl_comm *m = hs_nccl_of(c);
    ncclResult_t error = ncclSuccess;
    HS_TRY(hs_nccl_check_whole(m));
    const ncclResult_t asked = ncclCommGetAsyncError(m->comm, &error);
    if (asked != ncclSuccess || (error != ncclSuccess && error != ncclInProgress))
        return hs_nccl_give_up(m, "a sum", asked != ncclSuccess ? asked : error);
    return hs_now() > began + m->limit ? hs_nccl_give_up(m, "a sum", ncclInProgress) : HS_OK;
}

static hs_status nccl_settle(hs_comm *c)
{
    const double began = hs_now();
    for (;;) {
        const cudaError_t state = cudaStreamQuery(hs_nccl_of(c)->side.compute);
        if (state == cudaSuccess)
            return hs_nccl_check_whole(hs_nccl_of(c));
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

const hs_comm_ops hs_nccl_ops = {
    .name = "nccl",
    .allreduce = nccl_allreduce,
    .broadcast = hs_cuda_host_broadcast,
    .gather = hs_cuda_host_gather,
    .barrier = hs_cuda_host_barrier,
    .start = nccl_start,
    .wait = nccl_wait,
    .progress = nccl_progress,
    .abort = hs_cuda_host_abort,
    .destroy = hs_nccl_destroy,
    .exchange = hs_cuda_host_exchange,
    .reserve = hs_nccl_reserve,
    .settle = nccl_settle,
    .look = nccl_look,
};
#endif
