/* comm_nccl.h - private to cuda/comm_nccl*.c: the communicator through NCCL. */
#ifndef HS_COMM_NCCL_H
#define HS_COMM_NCCL_H

#include <nccl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "comm_cuda.h"

#if NCCL_MAJOR > 2 || NCCL_MINOR >= 19
#define HS_NCCL_REGISTERS 1 /* ncclCommRegister, ncclMemAlloc */
#else
#define HS_NCCL_REGISTERS 0
#endif

typedef struct hs_nccl_comm {
    hs_comm base;
    hs_cuda_side side;
    ncclComm_t comm;
    const hs_log *log;
    double limit; /* seconds */
    bool broken, bf16;
    cudaEvent_t done[HS_COMM_BUCKETS];
    float *slab;
    size_t count;
    uint16_t *wire; /* [count] bf16, of SLAB's numbers; NULL: they travel as they are */
    void *handle;   /* registration of what travels */
    ncclComm_t buried;
    pthread_t gravedigger; /* aborts BURIED */
    bool digging;
    atomic_bool dug;
} hs_nccl_comm;

extern const hs_comm_ops hs_nccl_ops;

static inline hs_nccl_comm *hs_nccl_of(hs_comm *c)
{
    return (hs_nccl_comm *)c;
}

hs_status hs_nccl_check_whole(const hs_nccl_comm *m);
/* Until NCCL has taken in what it was asked, with RESULT for a first answer; at most LIMIT. Otherwise it is given up. */
hs_status hs_nccl_taken_in(hs_nccl_comm *m, const char *what, ncclResult_t result);
/* Aborts and says why; ncclInProgress: no answer in time. */
hs_status hs_nccl_give_up(hs_nccl_comm *m, const char *what, ncclResult_t result);
void hs_nccl_pause(long nanoseconds); /* between two looks at what NCCL does; below a second */
void hs_nccl_bury(hs_nccl_comm *m); /* aborts, without waiting for it */

hs_status hs_nccl_reserve(hs_comm *c, void *slab, size_t count, hs_comm_type type, size_t width);
void hs_nccl_destroy(hs_comm *c);

#endif
