/* hs_comm.h - the ranks. One table, several ways: self (one rank, no MPI call), mpi (host buffers); nccl, mpi-cuda and mpi-staged live in cuda/.
 * COLLECTIVE means: every rank of the communicator calls it, in the same order, with matching arguments; a rank without samples too. */
#ifndef HS_COMM_H
#define HS_COMM_H

#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hs_reduce { HS_SUM, HS_MAX, HS_MIN } hs_reduce;
typedef enum hs_comm_type { HS_COMM_F32, HS_COMM_F64, HS_COMM_I64 } hs_comm_type;
enum { HS_COMM_BUCKETS = 64 }; /* most reductions in flight */

typedef struct hs_comm hs_comm;
typedef struct hs_comm_ops {
    const char *name;
    hs_status (*allreduce)(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op);
    hs_status (*broadcast)(hs_comm *c, void *buffer, size_t bytes, int root);
    hs_status (*gather)(hs_comm *c, const void *mine, size_t bytes, void *all, int root); /* ALL [size][bytes] on the root */
    hs_status (*barrier)(hs_comm *c);
    /* Non-blocking sum in place of slot SLOT; buffer must stay untouched until wait. Slots are started in the same order on all ranks, and waited
     * for in the same order. */
    hs_status (*start)(hs_comm *c, int slot, void *buffer, size_t count, hs_comm_type type);
    hs_status (*wait)(hs_comm *c, int slot);
    void (*progress)(hs_comm *c);          /* cheap; called between layers so that transfers move on */
    void (*abort)(hs_comm *c, int code);   /* ends all ranks; does not return. Only src/cli may call it, and the watchdog */
    void (*destroy)(hs_comm *c);
    /* Optional (NULL: not offered). */
    hs_status (*split)(hs_comm *c, int color, hs_comm **part);
    hs_status (*exchange)(hs_comm *c, int peer, const void *send, void *receive, size_t bytes); /* both partners call it */
    /* Before the first step: slot i will be started with numbers of SLAB [COUNT], i * WIDTH from its end, at most WIDTH of them. Makes what that takes. */
    hs_status (*reserve)(hs_comm *c, void *slab, size_t count, hs_comm_type type, size_t width);
    /* Of a communicator whose wait only orders work on a device: until the device is done, or something has failed or takes too long. */
    hs_status (*settle)(hs_comm *c);
    /* With settle. Waits for nothing: has something failed, or is it still under way although it began at BEGAN (hs_now) and has a limit? */
    hs_status (*look)(hs_comm *c, double began);
} hs_comm_ops;
/* What the keys ask of a communicator over device memory. */
typedef struct hs_comm_wish {
    const char *kind; /* "auto", "nccl", "mpi-cuda" or "mpi-staged" */
    bool bf16;        /* gradients travel as bf16 */
    double timeout;   /* seconds, of its start and of sums */
} hs_comm_wish;

struct hs_comm {
    const hs_comm_ops *ops;
    int rank, size, local_rank, local_size; /* local: on this host */
    char host[64];
};

/* MPI of the process: start once before the first communicator, finish after the last. Without MPI in the build both do nothing. A process
 * started without mpirun is one rank. Safe to call start when somebody else has initialised MPI: then finish leaves it alone. */
hs_status hs_comm_start(int *argc, char ***argv);
void hs_comm_finish(void);

hs_status hs_comm_self(hs_comm **comm);
/* All processes of the job (a duplicate of MPI_COMM_WORLD whose errors return). Collective. Falls back to self in a build without MPI. */
hs_status hs_comm_world(hs_comm **comm);
/* Ranks with equal COLOR (>= 0) form a communicator, ordered by rank. Collective over COMM. */
hs_status hs_comm_split(hs_comm *comm, int color, hs_comm **part);
void hs_comm_destroy(hs_comm **comm);
/* Whether allreduce may be given a GPU's memory: COMM is mpi, and the MPI library says so. */
bool hs_comm_takes_device(const hs_comm *comm);

hs_status hs_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op);
hs_status hs_broadcast(hs_comm *c, void *buffer, size_t bytes, int root);
hs_status hs_barrier(hs_comm *c);

/* After a step that can fail on one rank alone: all ranks learn whether any failed. Returns MINE if this rank failed, HS_EREMOTE if only
 * others did, HS_OK if nobody did. Collective, and cheap enough to stand after every open, read and allocation. */
hs_status hs_agree(hs_comm *c, hs_status mine);

/* Sum in place over all ranks (1, 2, 4, 8, ...) in one fixed binary tree, neighbours first: with every rank's numbers already the sum over its own
 * contiguous block of 2^j shards in the same tree, the result has equal bits for every number of ranks. Host memory; SCRATCH [count] is the
 * caller's. COLLECTIVE. */
hs_status hs_tree_sum(hs_comm *c, void *buffer, size_t count, hs_comm_type type, void *scratch);

/* ---- gradient buckets ------------------------------------------------------------------------------------------------------------------ */

/* Sends a slab's gradients while backward goes on: ranges reported by hs_buckets_ready are collected into buckets (from the slab's end
 * downwards, as backward produces them) and each complete bucket starts its all-reduce at once. */
typedef struct hs_buckets hs_buckets;
hs_status hs_buckets_create(hs_comm *c, void *slab, size_t count, hs_real real, size_t bucket_bytes, hs_buckets **buckets);
void hs_buckets_destroy(hs_buckets **buckets);
hs_status hs_buckets_begin(hs_buckets *b);
hs_status hs_buckets_ready(hs_buckets *b, size_t offset, size_t count); /* any order; starts what is complete, in slab order from the end */
hs_status hs_buckets_finish(hs_buckets *b); /* starts what was not reported, waits; the slab then holds sums over all ranks */
double hs_buckets_exposed(const hs_buckets *b);                          /* seconds spent waiting in the last finish */

#ifdef __cplusplus
}
#endif
#endif
