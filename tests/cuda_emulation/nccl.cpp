/* nccl.cpp - see nccl.h. What was asked for reaches its stream when NCCL is asked how far it is and says that it is done, so an event
 * recorded too early does not cover it. A sum is made when its stream runs: ranks first compare what they are about to add, and
 * one that does not fit never ends, as on a GPU. */
#ifdef HAVE_NCCL
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <set>
#include <unistd.h>
#include <vector>

#include "cuda_runtime.h"
#include "journal.h"
#include "nccl.h"

/* What all ranks must have in common. */
struct terms {
    long long count, type, op, registered, recorded;
};

struct ncclComm {
    MPI_Comm mpi = MPI_COMM_NULL;
    int rank = 0, size = 1;
    int busy = 3; /* questions to be answered with "in progress"; less than 0: all of them */
    ncclResult_t state = ncclSuccess;
    std::function<void()> asked; /* what reaches its stream when NCCL is no longer busy */
    int sums = 0;
    bool finalized = false;
    std::atomic<bool> over{false}; /* aborted: what is queued does nothing any more */
    const char *memory = nullptr;  /* the one registration */
    std::size_t bytes = 0;
    std::shared_ptr<int> recordings = std::make_shared<int>(0); /* shared by every sum that was recorded */
    cudaEvent_t last = nullptr; /* sums of a communicator are done in the order in which they were asked for, whatever their streams */
    enum { IDLE, COMPARING, ADDING, NEVER } phase = IDLE; /* of the sum that runs */
    MPI_Request request = MPI_REQUEST_NULL;
    terms mine;
    std::vector<terms> all;
    std::vector<char> from, to;
};

static const char secret[] = "emulated";
static std::set<ncclComm_t> living;

static bool asked_for(const char *fault)
{
    const char *value = std::getenv("HS_EMULATE");
    return value && std::strcmp(value, fault) == 0;
}

static int fatal_sum()
{
    const char *value = std::getenv("HS_EMULATE_SUM");
    return value ? std::atoi(value) : 3;
}

static ncclComm_t checked(ncclComm_t comm, const char *who)
{
    if (!living.count(comm))
        emulation::die(who, "of a communicator that is gone");
    return comm;
}

/* ---- life ---------------------------------------------------------------------------------------------------------------- */

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
    if (config->magic != NCCL_MAGIC || config->blocking != 0 || std::memcmp(id.internal, secret, sizeof secret) != 0)
        return ncclInvalidArgument; /* the id has to reach every rank */
    int started = 0;
    *comm = new ncclComm;
    (*comm)->rank = rank;
    (*comm)->size = size;
    (*comm)->all.resize((std::size_t)size);
    living.insert(*comm);
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
    checked(comm, "ncclCommGetAsyncError");
    *error = comm->busy != 0 ? ncclInProgress : comm->state;
    if (comm->busy > 0 && --comm->busy == 0 && comm->asked) {
        comm->asked();
        comm->asked = nullptr;
    }
    return ncclSuccess;
}

/* Another call before the last one was taken in is refused, and spoils the communicator. */
static ncclResult_t ready(ncclComm_t comm, const char *who)
{
    checked(comm, who);
    if (comm->busy != 0 || comm->finalized)
        return comm->state = ncclInvalidArgument;
    return comm->state;
}

/* In a thread of its own, so it touches nothing of the emulation's. MPI keeps the sum that did not end. */
ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    comm->over = true;
    emulation::stuck = false; /* kernels that wait for a rank end too */
    while (comm->recordings.use_count() > 1)
        usleep(1000);
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    const ncclResult_t state = ready(comm, "ncclCommFinalize");
    if (state != ncclSuccess)
        return state;
    comm->finalized = true;
    comm->busy = comm->recordings.use_count() > 1 ? -1 : 2;
    return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    checked(comm, "ncclCommDestroy");
    if (comm->busy != 0)
        return ncclInvalidArgument;
    cudaDeviceSynchronize();
    if (comm->mpi != MPI_COMM_NULL)
        MPI_Comm_free(&comm->mpi);
    cudaEventDestroy(comm->last);
    living.erase(comm);
    delete comm;
    return ncclSuccess;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------------- */

static std::size_t width_of(ncclDataType_t type)
{
    return type == ncclBfloat16 ? 2 : type == ncclFloat32 ? 4 : 8;
}

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
static void sum_bf16(const ncclComm *comm, std::uint16_t *memory)
{
    const std::uint16_t *all = reinterpret_cast<const std::uint16_t *>(comm->to.data());
    const std::size_t count = (std::size_t)comm->mine.count;
    for (std::size_t i = 0; i < count; i++) {
        memory[i] = all[i];
        for (std::size_t r = 1; r < (std::size_t)comm->size; r++)
            memory[i] = narrowed(widened(memory[i]) + widened(all[r * count + i]));
    }
}

static void begin_adding(ncclComm *comm, const char *memory)
{
    const int count = (int)comm->mine.count;
    const bool bf16 = comm->mine.type == ncclBfloat16;
    const std::size_t bytes = (std::size_t)count * width_of((ncclDataType_t)comm->mine.type);
    const MPI_Datatype kind = comm->mine.type == ncclFloat32 ? MPI_FLOAT : comm->mine.type == ncclFloat64 ? MPI_DOUBLE : MPI_INT64_T;
    comm->from.assign(memory, memory + bytes);
    comm->to.resize(bf16 ? bytes * (std::size_t)comm->size : bytes);
    if (bf16)
        MPI_Iallgather(comm->from.data(), count, MPI_UINT16_T, comm->to.data(), count, MPI_UINT16_T, comm->mpi, &comm->request);
    else
        MPI_Iallreduce(comm->from.data(), comm->to.data(), count, kind,
                       comm->mine.op == ncclSum ? MPI_SUM : comm->mine.op == ncclMax ? MPI_MAX : MPI_MIN, comm->mpi, &comm->request);
    comm->phase = ncclComm::ADDING;
}

static void fail_if_asked(ncclComm *comm)
{
    if (++comm->sums != fatal_sum() || !(asked_for("nccl-breaks-1") || comm->rank == 1))
        return;
    if (asked_for("nccl-breaks-1")) {
        comm->phase = ncclComm::NEVER;
        comm->state = comm->rank == 1 ? ncclRemoteError : ncclSuccess;
    } else if (asked_for("nccl-dies-1")) {
        std::raise(SIGKILL);
    } else if (asked_for("nccl-stalls-1")) {
        for (;;)
            pause();
    }
}

/* One look at the sum; it is done when this returns true. */
static bool sum_is_done(ncclComm *comm, char *memory, const terms &mine)
{
    int done = 0;
    if (comm->over)
        return true;
    if (comm->phase == ncclComm::IDLE) {
        comm->mine = mine;
        fail_if_asked(comm);
        if (comm->phase == ncclComm::IDLE && comm->size == 1)
            return true;
        if (comm->phase == ncclComm::IDLE) {
            comm->phase = ncclComm::COMPARING;
            MPI_Iallgather(&comm->mine, sizeof mine, MPI_BYTE, comm->all.data(), sizeof mine, MPI_BYTE, comm->mpi, &comm->request);
        }
    }
    if (comm->phase == ncclComm::NEVER || MPI_Test(&comm->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || !done)
        return false;
    if (comm->phase == ncclComm::COMPARING) {
        for (const terms &other : comm->all)
            if (std::memcmp(&other, &comm->mine, sizeof other) != 0)
                comm->phase = ncclComm::NEVER;
        if (comm->phase != ncclComm::NEVER)
            begin_adding(comm, memory);
        return false;
    }
    if (mine.type == ncclBfloat16)
        sum_bf16(comm, reinterpret_cast<std::uint16_t *>(memory));
    else
        std::memcpy(memory, comm->to.data(), comm->to.size());
    comm->phase = ncclComm::IDLE;
    return true;
}

static double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/* Until it is done, or will never be: then the stream stands still, and whoever waits for it in vain has to look at the clock. */
static void make_sum(ncclComm *comm, char *memory, const terms &mine)
{
    const char *value = std::getenv("HS_EMULATE_PATIENCE");
    const double end = seconds() + (value ? std::atof(value) : 60);
    while (!sum_is_done(comm, memory, mine)) {
        emulation::stuck = comm->phase == ncclComm::NEVER || seconds() > end;
        if (emulation::stuck)
            return;
        usleep(20);
    }
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream)
{
    const std::size_t width = width_of(type);
    const ncclResult_t state = ready(comm, "ncclAllReduce");
    if (state != ncclSuccess)
        return state;
    if (!emulation::is_device(from) || from != to || reinterpret_cast<std::uintptr_t>(to) % width != 0)
        return comm->state = ncclInvalidArgument; /* in place is all that the stand-in does */
    const char *at = static_cast<const char *>(to);
    const bool recorded = emulation::is_recording(stream); /* and then done in the order of the recording */
    const terms mine = {(long long)count, type, op, comm->memory && at >= comm->memory && at + count * width <= comm->memory + comm->bytes,
                        recorded};
    const std::shared_ptr<int> token = recorded ? comm->recordings : nullptr;
    comm->busy = 3;
    comm->asked = [=] {
        if (!recorded)
            cudaStreamWaitEvent(stream, comm->last, 0);
        emulated_note(EMULATED_SUM, nullptr, stream, nullptr);
        emulation::queue(stream,
                         [=] {
                             (void)token;
                             if (!comm->over)
                                 make_sum(comm, static_cast<char *>(emulation::reach(to, "NCCL")), mine);
                         },
                         "NCCL", comm->size > 1);
        if (!recorded)
            cudaEventRecord(comm->last, stream);
    };
    return ncclInProgress;
}

/* ---- memory -------------------------------------------------------------------------------------------------------------- */

ncclResult_t ncclMemAlloc(void **memory, size_t bytes)
{
    return cudaMalloc(memory, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclMemFree(void *memory)
{
    for (ncclComm_t comm : living)
        if (comm->memory == memory && !comm->over)
            emulation::die("ncclMemFree", "memory that is registered");
    return cudaFree(memory) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommRegister(ncclComm_t comm, void *memory, size_t bytes, void **handle)
{
    checked(comm, "ncclCommRegister");
    *handle = nullptr;
    if (asked_for("nccl-no-register-1") && comm->rank == 1)
        return ncclSystemError;
    if (!emulation::is_device(memory) || comm->memory)
        return ncclInvalidArgument;
    comm->memory = static_cast<const char *>(memory);
    comm->bytes = bytes;
    *handle = &comm->memory;
    return ncclSuccess;
}

ncclResult_t ncclCommDeregister(ncclComm_t comm, void *handle)
{
    checked(comm, "ncclCommDeregister");
    if (handle != &comm->memory || !comm->memory)
        emulation::die("ncclCommDeregister", "memory that is not registered");
    (void)emulation::reach(comm->memory, "ncclCommDeregister"); /* not freed before: NCCL may have it mapped elsewhere */
    comm->memory = nullptr;
    return ncclSuccess;
}

const char *ncclGetLastError(ncclComm_t)
{
    return "";
}

const char *ncclGetErrorString(ncclResult_t result)
{
    return result == ncclSystemError       ? "unhandled system error"
           : result == ncclInvalidArgument ? "invalid argument"
           : result == ncclRemoteError     ? "remote process exited or there was a network error"
                                           : "emulated error";
}
#endif
