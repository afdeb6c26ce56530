/* comm.c - which communicator sums device memory, and what those of this folder share. */
#include "config.h"

#include "comm_cuda.h"

#include <stdio.h>
#include <string.h>

#include "hs_base.h"

/* ---- the side stream ---------------------------------------------------------------------------------------------------- */

hs_status hs_cuda_side_open(hs_stream *compute, hs_comm *host, hs_cuda_side *side)
{
    hs_status st;
    *side = (hs_cuda_side){.host = host, .compute = hs_cuda_raw(compute)};
    HS_TRY_GOTO(st, hs_cuda_check(cudaStreamCreateWithFlags(&side->stream, cudaStreamNonBlocking), "a CUDA stream"), close);
    HS_TRY_GOTO(st, hs_cuda_check(cudaEventCreateWithFlags(&side->before, cudaEventDisableTiming), "a CUDA event"), close);
    HS_TRY_GOTO(st, hs_cuda_check(cudaEventCreateWithFlags(&side->after, cudaEventDisableTiming), "a CUDA event"), close);
    HS_TRY_GOTO(st, hs_cuda_check(cudaMallocHost(&side->room, HS_CUDA_SIDE_ROOM), "pinned host memory"), close);
    return HS_OK;
close:
    hs_cuda_side_close(side);
    return st;
}

void hs_cuda_side_close(hs_cuda_side *side)
{
    if (side->stream)
        (void)cudaStreamSynchronize(side->stream);
    if (side->before)
        (void)cudaEventDestroy(side->before);
    if (side->after)
        (void)cudaEventDestroy(side->after);
    if (side->stream)
        (void)cudaStreamDestroy(side->stream);
    if (side->room)
        (void)cudaFreeHost(side->room);
    side->stream = NULL;
    side->room = NULL;
    side->before = side->after = NULL;
}

hs_status hs_cuda_side_follows(hs_cuda_side *side)
{
    HS_TRY(hs_cuda_check(cudaEventRecord(side->before, side->compute), "sums between GPUs"));
    return hs_cuda_check(cudaStreamWaitEvent(side->stream, side->before, 0), "sums between GPUs");
}

hs_status hs_cuda_side_leads(hs_cuda_side *side)
{
    HS_TRY(hs_cuda_check(cudaEventRecord(side->after, side->stream), "sums between GPUs"));
    return hs_cuda_check(cudaStreamWaitEvent(side->compute, side->after, 0), "sums between GPUs");
}

/* ---- what the host's communicator does ---------------------------------------------------------------------------------- */

/* Every communicator here begins with its base and its side. */
typedef struct any_comm {
    hs_comm base;
    hs_cuda_side side;
} any_comm;

static hs_comm *host_of(hs_comm *c)
{
    return ((any_comm *)c)->side.host;
}

bool hs_cuda_is_device(const void *memory)
{
    struct cudaPointerAttributes attributes;
    if (cudaPointerGetAttributes(&attributes, memory) != cudaSuccess)
        (void)cudaGetLastError(); /* memory that CUDA has never heard of is the host's */
    else
        return attributes.type == cudaMemoryTypeDevice;
    return false;
}

/* Few numbers, as batch normalisation sums them: down, over the ranks, up again, in pieces of the pinned memory. */
static hs_status device_allreduce(hs_cuda_side *side, char *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    const size_t width = type == HS_COMM_F32 ? 4 : 8;
    while (count > 0) {
        const size_t piece = count * width < HS_CUDA_SIDE_ROOM ? count : HS_CUDA_SIDE_ROOM / width, bytes = piece * width;
        HS_TRY(
            hs_cuda_check(cudaMemcpyAsync(side->room, buffer, bytes, cudaMemcpyDeviceToHost, side->compute), "a sum over ranks"));
        HS_TRY(hs_cuda_check(cudaStreamSynchronize(side->compute), "a sum over ranks"));
        HS_TRY(side->host->ops->allreduce(side->host, side->room, piece, type, op));
        HS_TRY(
            hs_cuda_check(cudaMemcpyAsync(buffer, side->room, bytes, cudaMemcpyHostToDevice, side->compute), "a sum over ranks"));
        HS_TRY(hs_cuda_check(cudaStreamSynchronize(side->compute), "a sum over ranks"));
        buffer += bytes;
        count -= piece;
    }
    return HS_OK;
}

hs_status hs_cuda_host_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    if (hs_cuda_is_device(buffer))
        return device_allreduce(&((any_comm *)c)->side, buffer, count, type, op);
    return host_of(c)->ops->allreduce(host_of(c), buffer, count, type, op);
}

hs_status hs_cuda_host_broadcast(hs_comm *c, void *buffer, size_t bytes, int root)
{
    return host_of(c)->ops->broadcast(host_of(c), buffer, bytes, root);
}

hs_status hs_cuda_host_gather(hs_comm *c, const void *mine, size_t bytes, void *all, int root)
{
    return host_of(c)->ops->gather(host_of(c), mine, bytes, all, root);
}

hs_status hs_cuda_host_barrier(hs_comm *c)
{
    return host_of(c)->ops->barrier(host_of(c));
}

hs_status hs_cuda_host_exchange(hs_comm *c, int peer, const void *send, void *receive, size_t bytes)
{
    if (!host_of(c)->ops->exchange)
        return hs_fail(HS_EUNSUPPORTED, "communicator '%s' cannot exchange", host_of(c)->ops->name);
    return host_of(c)->ops->exchange(host_of(c), peer, send, receive, bytes);
}

void hs_cuda_host_abort(hs_comm *c, int code)
{
    host_of(c)->ops->abort(host_of(c), code);
}

/* ---- the choice --------------------------------------------------------------------------------------------------------- */

typedef struct seat {
    char machine[64], bus[32], host[64];
} seat;

/* Names of hosts are given twice, in containers and by careless administrators; the number of this boot is not. */
static void name_machine(char name[64], const char *host)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (!file || !fgets(name, 64, file))
        snprintf(name, 64, "%s", host);
    if (file)
        (void)fclose(file);
}

static bool same_seat(const seat *a, const seat *b)
{
    return strcmp(a->machine, b->machine) == 0 && strcmp(a->bus, b->bus) == 0;
}

/* COLLECTIVE. Do two ranks sit on one GPU? NCCL would refuse, or hang. It too tells GPUs by their PCI bus, so that parts of one GPU
 * (MIG), which have different UUIDs, are one to it and to us. TEXT names the first pair. */
static hs_status find_shared(const hs_cuda_device *d, hs_comm *host, bool *shared, char text[192])
{
    seat mine, *all = NULL;
    memset(&mine, 0, sizeof mine);
    name_machine(mine.machine, host->host);
    snprintf(mine.host, sizeof mine.host, "%s", host->host);
    snprintf(mine.bus, sizeof mine.bus, "%s", d->bus);
    hs_status st = hs_agree(host, hs_calloc((size_t)host->size, sizeof *all, "GPUs of all ranks", &all));
    if (st == HS_OK)
        st = host->ops->gather(host, &mine, sizeof mine, all, 0);
    if (st == HS_OK)
        st = hs_broadcast(host, all, (size_t)host->size * sizeof *all, 0);
    *shared = false;
    for (int i = 0; st == HS_OK && i < host->size; i++)
        for (int j = 0; j < i && !*shared; j++)
            if (same_seat(&all[i], &all[j])) {
                *shared = true;
                snprintf(text, 192, "ranks %d and %d share GPU %s on %s", j, i, all[i].bus, all[i].host);
            }
    hs_free(all);
    return st;
}

#ifdef HAVE_NCCL
enum { WITH_NCCL = 1 };
#else
enum { WITH_NCCL = 0 };
hs_status hs_cuda_comm_nccl(hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm)
{
    (void)stream, (void)host, (void)wish, (void)comm;
    return hs_fail(HS_EUNSUPPORTED,
                   "comm = nccl: this program was built without NCCL; configure with --with-nccl=DIR, or use comm = mpi-staged");
}
#endif

typedef enum way { NCCL, DIRECT, STAGED } way;

/* COLLECTIVE. What can be done, and comes first. */
static hs_status choose(hs_device *device, hs_comm *host, const hs_comm_wish *wish, way *best)
{
    const bool is_auto = strcmp(wish->kind, "auto") == 0, nccl = strcmp(wish->kind, "nccl") == 0;
    int64_t aware = hs_comm_takes_device(host);
    bool shared = false;
    char text[192] = "";
    HS_TRY(hs_allreduce(host, &aware, 1, HS_COMM_I64, HS_MIN));
    if (strcmp(wish->kind, "mpi-cuda") == 0 && !aware)
        return hs_fail(HS_EUNSUPPORTED, "comm = mpi-cuda: the MPI library does not take device memory, or does not say so; use one "
                                        "that was built for CUDA, or comm = nccl or mpi-staged");
    if (WITH_NCCL && (nccl || is_auto))
        HS_TRY(find_shared(hs_cuda_device_of(device), host, &shared, text));
    if (shared && nccl)
        return hs_fail(HS_EUSAGE,
                       "comm = nccl: %s, which NCCL does not allow; start one rank for each GPU, or use comm = mpi-staged", text);
    if (nccl || (is_auto && WITH_NCCL && !shared))
        *best = NCCL;
    else
        *best = aware && strcmp(wish->kind, "mpi-staged") != 0 ? DIRECT : STAGED;
    if (shared && host->rank == 0)
        hs_warn(device->log, "%s: gradients go through %s; one rank for each GPU is much faster", text,
                *best == DIRECT ? "MPI (mpi-cuda)" : "host memory (mpi-staged)");
    return HS_OK;
}

hs_status hs_cuda_comm(hs_device *device, hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm)
{
    way best = STAGED;
    HS_TRY(choose(device, host, wish, &best));
    if (best == NCCL)
        return hs_cuda_comm_nccl(stream, host, wish, comm);
    if (wish->bf16)
        return hs_fail(HS_EUSAGE, "comm.wire = bf16 is for NCCL: MPI has no sums of bf16");
    return hs_agree(host, best == DIRECT ? hs_cuda_comm_direct(stream, host, comm) : hs_cuda_comm_staged(stream, host, comm));
}
