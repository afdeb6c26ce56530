/* planted_pool.h - the kernels of cuda/conv_pool*.cu without one of their barriers. */
#ifndef PLANTED_POOL_H
#define PLANTED_POOL_H

#include "conv_pool.h"

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t planted_pooled_pack(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, const float *taps, uint32_t *packed);
cudaError_t planted_pooled_forward(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int n, int blocks, const void *x,
                                   const uint32_t *packed, const float *bias, void *y, uint8_t *winner);
cudaError_t planted_pooled_sparse(cudaStream_t s, hs_cuda_pooled g, int tiles, int blocks, const void *x, const void *dy,
                                  const uint8_t *winner, float *partial);
cudaError_t planted_pooled_dense(cudaStream_t s, hs_cuda_math math, hs_cuda_pooled g, int tiles, int blocks, const void *x,
                                 const void *dy, const uint8_t *winner, float *partial);
cudaError_t planted_pooled_total(cudaStream_t s, hs_cuda_pooled g, int blocks, const float *partial, float *dtaps, float *dbias);

/* -1: with all; its place. How many they passed so far. */
const char *planted_pool_leave_out(int barrier);
int planted_pool_barriers(void);

#ifdef __cplusplus
}
#endif
#endif
