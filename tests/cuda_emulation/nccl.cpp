/* nccl.cpp - see nccl.h. A sum is queued on its stream and made by MPI when the stream is waited for. */
#ifdef HAVE_NCCL
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <cstring>
#include <vector>

#include "cuda_runtime.h"
#include "nccl.h"

struct ncclComm {
    MPI_Comm mpi;
    int rank, size;
    int busy; /* questions to be answered with "in progress"; less than 0: all of them */
    ncclResult_t state;
    int sums, registered;
    bool over; /* aborted: what is queued does nothing any more */
    void *memory; /* the one registration */
    cudaEvent_t last; /* sums of a communicator are done in the order in which they were asked for, whatever their streams */
};

static const char secret[] = "emulated";

static bool asked_for(const char *fault)
{
    const char *value = std::getenv("HS_EMULATE");
    return value && std::strcmp(value, fault) == 0;
}

ncclResult_t ncclGetVersion(int *version)
{
    *version = NCCL_MAJOR * 10000 + NCCL_MINOR * 100 + NCCL_PATCH;
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    std::memset(id, 0, sizeof *id);
    std::memcpy(id->internal, secret, sizeof secret);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int size, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    if (config->blocking != 0 || std::memcmp(id.internal, secret, sizeof secret) != 0)
        return ncclInvalidArgument; /* the id has to reach every rank */
    int started = 0;
    *comm = new ncclComm{MPI_COMM_NULL, rank, size, 3, ncclSuccess, 0, 0, false, nullptr, nullptr};
    cudaEventCreateWithFlags(&(*comm)->last, cudaEventDisableTiming);
    MPI_Initialized(&started);
    if (asked_for("nccl-fails") || (asked_for("nccl-fails-1") && rank == 1))
        (*comm)->state = ncclSystemError;
    else if (asked_for("nccl-fails-1"))
        (*comm)->busy = -1;
    else if (size > 1 && (!started || MPI_Comm_split(MPI_COMM_WORLD, 0, rank, &(*comm)->mpi) != MPI_SUCCESS))
        (*comm)->state = ncclInvalidUsage;
    return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    *error = comm->busy != 0 ? ncclInProgress : comm->state;
    comm->busy -= comm->busy > 0;
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    comm->over = true;
    emulation::stuck = false; /* kernels that wait for a rank end too */
    cudaDeviceSynchronize();
    if (comm->mpi != MPI_COMM_NULL)
        MPI_Comm_free(&comm->mpi);
    cudaEventDestroy(comm->last);
    delete comm;
    return ncclSuccess;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------------- */

static float widened(std::uint16_t x)
{
    const std::uint32_t bits = std::uint32_t(x) << 16;
    float y;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

static std::uint16_t narrowed(float x)
{
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7FC0 : (std::uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* As a ring does it: one rank's number after the other, rounded each time. */
static int sum_bf16(std::uint16_t *memory, size_t count, const ncclComm *comm)
{
    std::vector<std::uint16_t> all(count * (std::size_t)comm->size);
    const int code = MPI_Allgather(memory, (int)count, MPI_UINT16_T, all.data(), (int)count, MPI_UINT16_T, comm->mpi);
    for (std::size_t i = 0; i < count; i++) {
        memory[i] = all[i];
        for (std::size_t r = 1; r < (std::size_t)comm->size; r++)
            memory[i] = narrowed(widened(memory[i]) + widened(all[r * count + i]));
    }
    return code;
}

static int sum_now(void *memory, size_t count, ncclDataType_t type, ncclRedOp_t op, const ncclComm *comm)
{
    const MPI_Datatype kind = type == ncclFloat32 ? MPI_FLOAT : type == ncclFloat64 ? MPI_DOUBLE : MPI_INT64_T;
    if (comm->size == 1)
        return MPI_SUCCESS;
    if (type == ncclBfloat16)
        return sum_bf16(static_cast<std::uint16_t *>(memory), count, comm);
    return MPI_Allreduce(MPI_IN_PLACE, memory, (int)count, kind, op == ncclSum ? MPI_SUM : op == ncclMax ? MPI_MAX : MPI_MIN, comm->mpi);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream)
{
    if (!emulation::is_device(from) || from != to)
        return ncclInvalidArgument; /* in place is all that the stand-in does */
    comm->busy = 1;
    const bool recorded = emulation::is_recording(stream); /* and then done in the order of the recording */
    if (!recorded)
        cudaStreamWaitEvent(stream, comm->last, 0);
    emulation::queue(stream, [=] {
        if (comm->over)
            return;
        void *memory = emulation::reach(to, "NCCL");
        if (++comm->sums >= 3 && asked_for("nccl-breaks-1")) {
            emulation::stuck = true;
            comm->state = comm->rank == 1 ? ncclRemoteError : ncclSuccess;
        } else if (sum_now(memory, count, type, op, comm) != MPI_SUCCESS) {
            comm->state = ncclSystemError;
        }
    }, "NCCL", comm->size > 1);
    if (!recorded)
        cudaEventRecord(comm->last, stream);
    return ncclInProgress;
}

/* ---- memory -------------------------------------------------------------------------------------------------------------- */

ncclResult_t ncclMemAlloc(void **memory, size_t bytes)
{
    return cudaMalloc(memory, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclMemFree(void *memory)
{
    return cudaFree(memory) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommRegister(ncclComm_t comm, void *memory, size_t, void **handle)
{
    if (!emulation::is_device(memory) || comm->registered)
        return ncclInvalidArgument;
    comm->registered = 1;
    comm->memory = memory;
    *handle = &comm->memory;
    return ncclSuccess;
}

ncclResult_t ncclCommDeregister(ncclComm_t comm, void *handle)
{
    if (handle != &comm->memory || !comm->registered)
        return ncclInvalidArgument;
    comm->registered = 0;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    return result == ncclSystemError   ? "unhandled system error"
           : result == ncclRemoteError ? "remote process exited or there was a network error"
                                       : "emulated error";
}
#endif
