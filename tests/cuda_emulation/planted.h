/* planted.h - small kernels with faults put in on purpose, to see that the emulation finds them. */
#ifndef PLANTED_H
#define PLANTED_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum planted_fault { PLANTED_NONE, PLANTED_INDEX, PLANTED_BARRIER, PLANTED_DIVERGENCE, PLANTED_WARP, PLANTED_BLOCKS, PLANTED_UNWRITTEN } planted_fault;

enum { PLANTED_BLOCK = 64 };

/* Y [n] = X [n] reversed within every PLANTED_BLOCK numbers, through shared memory; n a multiple. INDEX: one number beyond the
 * block's end is read; BARRIER: nobody waits between writing and reading; DIVERGENCE: half of the threads wait. */
cudaError_t planted_reverse(cudaStream_t s, planted_fault fault, int n, const float *x, float *y);
/* Y [n] = X [n] + 1, each through its neighbour's place in shared memory. WARP: lanes trade by a shuffle, which orders no memory, in
 * place of a wait; BLOCKS: every block also writes y[0]; UNWRITTEN: number 0 is left out, and read. */
cudaError_t planted_neighbours(cudaStream_t s, planted_fault fault, int n, const float *x, float *y);
/* SUM [n / 32]: sums of every warp by shuffles. */
cudaError_t planted_warp_sums(cudaStream_t s, int n, const float *x, float *sum);
bool planted_watched(void); /* are reads and writes reported? */
/* A kernel that waits but is launched as one that does not. */
cudaError_t planted_wrong_launch(cudaStream_t s, float *y);

#ifdef __cplusplus
}
#endif
#endif
