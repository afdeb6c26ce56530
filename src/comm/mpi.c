/* mpi.c - ranks over MPI with host buffers, and MPI's own start and end.
 *
 * Determinism: for the same number of ranks, sizes and machine the same operations are issued in the same order on a communicator
 * of our own. MPI advises, without promising, that equal calls give equal results; Open MPI 4.1's default algorithms do (tested,
 * here and in every `make check`). Across different numbers of ranks nothing of the kind holds: hs_tree_sum is for that. */
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_impl.h"
#include "hs_base.h"

/* Counts of MPI-3 are int. A larger buffer goes in pieces; a slot of a non-blocking sum holds up to PIECES of them: 8 Gi numbers.
 */
enum { PIECE = 1 << 30, PIECES = 8 };

typedef struct waiting {
    void *buffer;
    size_t count;
    hs_comm_type type;
} waiting;

typedef struct mpi_comm {
    hs_comm base;
    MPI_Comm comm;
    size_t piece;
    bool at_once; /* sums are made in wait: see makes_at_once */
    waiting later[HS_COMM_BUCKETS];
    int used; /* slots [0, used) may hold open requests */
    MPI_Request request[HS_COMM_BUCKETS * PIECES];
    int finished[HS_COMM_BUCKETS * PIECES]; /* of Testsome; here so that nothing large lies on the stack */
} mpi_comm;

static const hs_comm_ops mpi_ops;

static mpi_comm *mpi_of(hs_comm *c)
{
    return (mpi_comm *)c;
}

/* MPI's error classes say little; its string, the call, the rank and the host say where to look. */
static hs_status check_code(int code, const char *call, int rank, int size, const char *host)
{
    char text[MPI_MAX_ERROR_STRING] = "no text";
    int length = 0;
    if (code == MPI_SUCCESS)
        return HS_OK;
    MPI_Error_string(code, text, &length);
    return hs_fail(
        HS_EIO,
        "%s failed on rank %d of %d on %s: %s; look for an earlier message of another rank, then submit again: training goes on "
        "from its last checkpoint",
        call, rank, size, host, text);
}

static hs_status check(const mpi_comm *m, int code, const char *call)
{
    return check_code(code, call, m->base.rank, m->base.size, m->base.host);
}

/* Before there is a communicator to ask. */
static hs_status check_early(int code, const char *call)
{
    char host[64];
    int rank = 0, size = 1;
    if (code == MPI_SUCCESS)
        return HS_OK;
    hs_comm_host(host);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return check_code(code, call, rank, size, host);
}

static MPI_Datatype mpi_type(hs_comm_type type)
{
    return type == HS_COMM_F32 ? MPI_FLOAT : type == HS_COMM_F64 ? MPI_DOUBLE : MPI_INT64_T;
}

static MPI_Op mpi_op(hs_reduce op)
{
    return op == HS_SUM ? MPI_SUM : op == HS_MAX ? MPI_MAX : MPI_MIN;
}

static int piece_of(const mpi_comm *m, size_t left)
{
    return (int)(left < m->piece ? left : m->piece);
}

/* ---- blocking -------------------------------------------------------------------------------------------------- */

static hs_status mpi_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op)
{
    mpi_comm *m = mpi_of(c);
    char *at = buffer;
    while (count > 0) {
        int n = piece_of(m, count);
        HS_TRY(check(m, MPI_Allreduce(MPI_IN_PLACE, at, n, mpi_type(type), mpi_op(op), m->comm), "MPI_Allreduce"));
        at += (size_t)n * hs_comm_type_bytes(type);
        count -= (size_t)n;
    }
    return HS_OK;
}

static hs_status mpi_broadcast(hs_comm *c, void *buffer, size_t bytes, int root)
{
    mpi_comm *m = mpi_of(c);
    char *at = buffer;
    while (bytes > 0) {
        int n = piece_of(m, bytes);
        HS_TRY(check(m, MPI_Bcast(at, n, MPI_BYTE, root, m->comm), "MPI_Bcast"));
        at += n;
        bytes -= (size_t)n;
    }
    return HS_OK;
}

/* Pieces of several ranks cannot be gathered in one call without a derived type; large parts travel one rank after the other. */
static hs_status gather_large(mpi_comm *m, const char *mine, size_t bytes, char *all, int root)
{
    int rank = m->base.rank;
    for (size_t done = 0; done < bytes;) {
        int n = piece_of(m, bytes - done);
        if (rank != root)
            HS_TRY(check(m, MPI_Send(mine + done, n, MPI_BYTE, root, 0, m->comm), "MPI_Send"));
        for (int r = 0; rank == root && r < m->base.size; r++) {
            char *into = all + (size_t)r * bytes + done;
            if (r == root)
                memcpy(into, mine + done, (size_t)n);
            else
                HS_TRY(check(m, MPI_Recv(into, n, MPI_BYTE, r, 0, m->comm, MPI_STATUS_IGNORE), "MPI_Recv"));
        }
        done += (size_t)n;
    }
    return HS_OK;
}

static hs_status mpi_gather(hs_comm *c, const void *mine, size_t bytes, void *all, int root)
{
    mpi_comm *m = mpi_of(c);
    if (bytes > m->piece)
        return gather_large(m, mine, bytes, all, root);
    return check(m, MPI_Gather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, root, m->comm), "MPI_Gather");
}

static hs_status mpi_barrier(hs_comm *c)
{
    return check(mpi_of(c), MPI_Barrier(mpi_of(c)->comm), "MPI_Barrier");
}

static hs_status mpi_exchange(hs_comm *c, int peer, const void *send, void *receive, size_t bytes)
{
    mpi_comm *m = mpi_of(c);
    for (size_t done = 0; done < bytes;) {
        int n = piece_of(m, bytes - done);
        HS_TRY(check(m,
                     MPI_Sendrecv((const char *)send + done, n, MPI_BYTE, peer, 1, (char *)receive + done, n, MPI_BYTE, peer, 1,
                                  m->comm, MPI_STATUS_IGNORE),
                     "MPI_Sendrecv"));
        done += (size_t)n;
    }
    return HS_OK;
}

/* ---- sums of slots --------------------------------------------------------------------------------------------- */

/* Between ranks of one host a sum is copies and additions by the processors that compute, so starting it early saves nothing, and
 * MPI's blocking sum takes better ways: 56 MB in buckets of 4 MiB between 2 ranks took 61 ms through MPI_Iallreduce and 15 ms
 * through MPI_Allreduce (Open MPI 4.1.4, 2 processors, medians of 9 in turns). So there slots are summed in wait, which all ranks
 * call in the same order. A network moves data by itself, and ranks that share processors lose more by waiting for each other
 * (4 ranks on 2: 78 ms and 107 ms): there sums begin at start. All ranks decide alike: they are on one host, or they are not. */
static bool makes_at_once(const hs_comm *c)
{
    return c->local_size == c->size && c->size <= sysconf(_SC_NPROCESSORS_ONLN);
}

static hs_status mpi_start(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type)
{
    mpi_comm *m = mpi_of(c);
    MPI_Request *request = m->request + (size_t)slot * PIECES;
    char *at = buffer;
    if (count > PIECES * m->piece)
        return hs_fail(HS_EUNSUPPORTED, "one sum of %zu numbers is more than %d pieces of %zu; use more buckets", count, PIECES,
                       m->piece);
    if (m->at_once) {
        m->later[slot] = (waiting){buffer, count, type};
        return HS_OK;
    }
    if (slot >= m->used)
        m->used = slot + 1;
    for (int p = 0; count > 0; p++) {
        int n = piece_of(m, count);
        HS_TRY(check(m, MPI_Iallreduce(MPI_IN_PLACE, at, n, mpi_type(type), MPI_SUM, m->comm, &request[p]), "MPI_Iallreduce"));
        at += (size_t)n * hs_comm_type_bytes(type);
        count -= (size_t)n;
    }
    return HS_OK;
}

static hs_status mpi_wait(hs_comm *c, int slot)
{
    mpi_comm *m = mpi_of(c);
    MPI_Request *request = m->request + (size_t)slot * PIECES;
    const waiting w = m->later[slot];
    m->later[slot] = (waiting){0};
    if (m->at_once)
        return mpi_allreduce(c, w.buffer, w.count, w.type, HS_SUM);
    return check(m, MPI_Waitall(PIECES, request, MPI_STATUSES_IGNORE), "MPI_Waitall");
}

/* Most libraries move non-blocking collectives on only inside MPI calls. An error shows again in wait, which reports it. */
static void mpi_progress(hs_comm *c)
{
    mpi_comm *m = mpi_of(c);
    int count = 0;
    if (m->used > 0)
        (void)MPI_Testsome(m->used * PIECES, m->request, &count, m->finished, MPI_STATUSES_IGNORE);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void mpi_abort(hs_comm *c, int code)
{
    (void)c;
    MPI_Abort(MPI_COMM_WORLD, code);
    _Exit(code);
}

/* Requests still open belong to a step that failed: waiting for the others could last for ever, so MPI keeps the communicator. */
static void mpi_destroy(hs_comm *c)
{
    mpi_comm *m = mpi_of(c);
    bool open = false;
    for (int i = 0; i < m->used * PIECES; i++)
        open = open || m->request[i] != MPI_REQUEST_NULL;
    if (!open)
        MPI_Comm_free(&m->comm);
    hs_free(m);
}

static hs_status find_local(mpi_comm *m)
{
    MPI_Comm node;
    HS_TRY(
        check(m, MPI_Comm_split_type(m->comm, MPI_COMM_TYPE_SHARED, m->base.rank, MPI_INFO_NULL, &node), "MPI_Comm_split_type"));
    int rank_code = MPI_Comm_rank(node, &m->base.local_rank), size_code = MPI_Comm_size(node, &m->base.local_size);
    int free_code = MPI_Comm_free(&node);
    HS_TRY(check(m, rank_code, "MPI_Comm_rank"));
    HS_TRY(check(m, size_code, "MPI_Comm_size"));
    return check(m, free_code, "MPI_Comm_free");
}

/* COLLECTIVE over RAW, which the result owns; on failure RAW is freed. */
static hs_status wrap(MPI_Comm raw, hs_comm **comm)
{
    mpi_comm *m = NULL, none = {.base = {.rank = -1}, .comm = raw};
    int bad = hs_calloc(1, sizeof *m, "communicator", &m) != HS_OK, any = bad;
    hs_comm_host(none.base.host);
    hs_status st = check(&none, MPI_Comm_set_errhandler(raw, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    if (st == HS_OK)
        st = check(&none, MPI_Allreduce(&bad, &any, 1, MPI_INT, MPI_MAX, raw), "MPI_Allreduce");
    if (st == HS_OK && any)
        st = bad ? HS_EINTERNAL : hs_fail(HS_EREMOTE, "another rank has no memory for a communicator");
    if (st != HS_OK)
        goto undo;
    m->base = none.base;
    m->base.ops = &mpi_ops;
    m->comm = raw;
    m->piece = PIECE;
    for (int i = 0; i < HS_COMM_BUCKETS * PIECES; i++)
        m->request[i] = MPI_REQUEST_NULL;
    HS_TRY_GOTO(st, check(m, MPI_Comm_rank(raw, &m->base.rank), "MPI_Comm_rank"), undo);
    HS_TRY_GOTO(st, check(m, MPI_Comm_size(raw, &m->base.size), "MPI_Comm_size"), undo);
    HS_TRY_GOTO(st, find_local(m), undo);
    m->at_once = makes_at_once(&m->base);
    *comm = &m->base;
    return HS_OK;
undo:
    MPI_Comm_free(&raw);
    hs_free(m);
    return st;
}

static hs_status mpi_split(hs_comm *c, int color, hs_comm **part)
{
    mpi_comm *m = mpi_of(c);
    MPI_Comm raw;
    hs_status mine = color >= 0 ? HS_OK : hs_fail(HS_EINTERNAL, "hs_comm_split: colour %d is negative", color);
    HS_TRY(hs_agree(c, mine));
    HS_TRY(check(m, MPI_Comm_split(m->comm, color, c->rank, &raw), "MPI_Comm_split"));
    return wrap(raw, part);
}

static const hs_comm_ops mpi_ops = {
    .name = "mpi",
    .allreduce = mpi_allreduce,
    .broadcast = mpi_broadcast,
    .gather = mpi_gather,
    .barrier = mpi_barrier,
    .start = mpi_start,
    .wait = mpi_wait,
    .progress = mpi_progress,
    .abort = mpi_abort,
    .destroy = mpi_destroy,
    .split = mpi_split,
    .exchange = mpi_exchange,
};

void hs_mpi_set_piece(hs_comm *comm, size_t count)
{
    if (comm->ops == &mpi_ops)
        mpi_of(comm)->piece = count;
}

void hs_mpi_set_at_once(hs_comm *comm, bool at_once)
{
    if (comm->ops == &mpi_ops)
        mpi_of(comm)->at_once = at_once;
}

/* ---- MPI of the process ---------------------------------------------------------------------------------------- */

/* MPI is one per process, so whether we have to end it is too. */
static bool started_here;

static bool env_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

/* How many tasks srun started in this job step; 0 outside one (a batch script is not a step of several tasks). */
static int srun_tasks(void)
{
    const char *value = getenv("SLURM_STEP_NUM_TASKS");
    return value && env_set("SLURM_PROCID") ? atoi(value) : 0;
}

/* Was this process started as a rank? A process of its own (`./halfspec info`, a test) does without MPI altogether: MPI_Init as a
 * singleton starts a daemon, looks for network interfaces and takes a third of a second where the start without takes 3 ms. What
 * the launchers leave in the environment: Open MPI's mpirun OMPI_COMM_WORLD_SIZE, PMIx (srun --mpi=pmix, prun, jsrun) PMIX_RANK,
 * MPICH's family PMI_RANK. With srun but without any of them (--mpi=none) MPI is asked too, since it is its task to say what is
 * wrong. HALFSPEC_MPI=1 asks for MPI under a launcher not known here. */
static bool launched(void)
{
    return env_set("OMPI_COMM_WORLD_SIZE") || env_set("PMIX_RANK") || env_set("PMI_RANK") || env_set("HALFSPEC_MPI") ||
           srun_tasks() > 1;
}

hs_status hs_comm_start(int *argc, char ***argv)
{
    int before = 0, level = MPI_THREAD_SINGLE;
    HS_TRY(check_early(MPI_Initialized(&before), "MPI_Initialized"));
    if (before || !launched())
        return HS_OK;
    /* SERIALIZED: the watchdog may abort while the main thread is stuck; everything else calls MPI from one thread. */
    if (MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS)
        return hs_fail(HS_EIO, "MPI_Init_thread failed; try `mpirun -n 1 hostname`, and under Slurm `srun --mpi=pmix`");
    started_here = true;
    if (level < MPI_THREAD_FUNNELED)
        return hs_fail(HS_EUNSUPPORTED,
                       "this MPI library cannot be used by a program with threads (level %d); use one built with thread support",
                       level);
    return check_early(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

void hs_comm_finish(void)
{
    int after = 0;
    if (started_here && MPI_Finalized(&after) == MPI_SUCCESS && !after)
        MPI_Finalize();
    started_here = false;
}

hs_status hs_comm_world(hs_comm **comm)
{
    int running = 0, size = 1;
    MPI_Comm raw;
    HS_TRY(check_early(MPI_Initialized(&running), "MPI_Initialized"));
    if (!running)
        return hs_comm_self(comm);
    HS_TRY(check_early(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size"));
    if (size == 1 && srun_tasks() > 1)
        return hs_fail(HS_EUSAGE,
                       "srun started %d tasks, but each is alone to MPI; use `srun --mpi=pmix` or mpirun inside the job",
                       srun_tasks());
    if (size == 1) /* nobody to talk to: sums need not go through host memory */
        return hs_comm_self(comm);
    HS_TRY(check_early(MPI_Comm_dup(MPI_COMM_WORLD, &raw), "MPI_Comm_dup"));
    return wrap(raw, comm);
}
