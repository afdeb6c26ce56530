/* planted_pool.h - the kernels of cuda/conv_pool*.cu without one of their barriers. */
#ifndef PLANTED_POOL_H
#define PLANTED_POOL_H

#include "conv_pool.h"

#ifdef __cplusplus
extern "C" {
#endif

extern __typeof__(hs_cuda_pooled_pack) planted_pooled_pack;
extern __typeof__(hs_cuda_pooled_forward) planted_pooled_forward;
extern __typeof__(hs_cuda_pooled_sparse) planted_pooled_sparse;
extern __typeof__(hs_cuda_pooled_dense) planted_pooled_dense;
extern __typeof__(hs_cuda_pooled_total) planted_pooled_total;

/* -1: with all; its place. How many they passed so far. */
const char *planted_pool_leave_out(int barrier);
int planted_pool_barriers(void);

#ifdef __cplusplus
}
#endif
#endif
