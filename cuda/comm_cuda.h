/* comm_cuda.h - private to cuda/comm*.c: communicators over device memory. Each stands on the host's communicator, which does
 * everything but start and wait, and has a stream of its own beside the compute stream. */
#ifndef HS_COMM_CUDA_H
#define HS_COMM_CUDA_H

#include "hs_comm.h"
#include "hs_cuda.h"

enum { HS_CUDA_SIDE_ROOM = 1 << 16 }; /* bytes */

/* First member after the base of every communicator here. */
typedef struct hs_cuda_side {
    hs_comm *host; /* borrowed */
    cudaStream_t compute, stream;
    cudaEvent_t before, after;
    void *room; /* [HS_CUDA_SIDE_ROOM] pinned host memory, for allreduce of device memory */
} hs_cuda_side;

hs_status hs_cuda_side_open(hs_stream *compute, hs_comm *host, hs_cuda_side *side);
void hs_cuda_side_close(hs_cuda_side *side);
hs_status hs_cuda_side_follows(hs_cuda_side *side); /* what is queued on it next begins behind what the compute stream has now */
hs_status hs_cuda_side_leads(hs_cuda_side *side);   /* and the compute stream goes on behind what it has now */

bool hs_cuda_is_device(const void *memory);
hs_status hs_cuda_host_allreduce(hs_comm *c, void *buffer, size_t count, hs_comm_type type, hs_reduce op);
hs_status hs_cuda_host_broadcast(hs_comm *c, void *buffer, size_t bytes, int root);
hs_status hs_cuda_host_gather(hs_comm *c, const void *mine, size_t bytes, void *all, int root);
hs_status hs_cuda_host_barrier(hs_comm *c);
hs_status hs_cuda_host_exchange(hs_comm *c, int peer, const void *send, void *receive, size_t bytes);
void hs_cuda_host_abort(hs_comm *c, int code);

/* COLLECTIVE over HOST, except that the last two need nobody else. */
hs_status hs_cuda_comm_nccl(hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm);
hs_status hs_cuda_comm_direct(hs_stream *stream, hs_comm *host, hs_comm **comm);
hs_status hs_cuda_comm_staged(hs_stream *stream, hs_comm *host, hs_comm **comm);

/* The backend's entry: chooses between them. */
hs_status hs_cuda_comm(hs_device *device, hs_stream *stream, hs_comm *host, const hs_comm_wish *wish, hs_comm **comm);

#endif
