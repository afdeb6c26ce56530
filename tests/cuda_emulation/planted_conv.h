/* planted_conv.h - the kernels of convolution in space, cuda/conv_rows.cu and conv_taps.cu, without one of their barriers or waits. */
#ifndef PLANTED_CONV_H
#define PLANTED_CONV_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t planted_conv_rows(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int columns, const hs_cuda_place *place,
                              const void *from, const void *packed, const float *bias, bool half_y, void *y, uint8_t *mask);
cudaError_t planted_conv_taps(cudaStream_t s, hs_cuda_math math, hs_cuda_gather g, int n, int span, int columns,
                              const hs_cuda_place *place, const void *from, const void *dy, float *partial, float *dtaps);

/* -1: with all; its place. How many they passed so far. */
const char *planted_conv_leave_out(int barrier);
int planted_conv_barriers(void);
void planted_conv_hurry(bool hurry); /* copies to shared memory are not all waited for */

#ifdef __cplusplus
}
#endif
#endif
