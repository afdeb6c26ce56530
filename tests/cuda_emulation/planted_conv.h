/* planted_conv.h - the kernels of convolution in space, cuda/conv_rows.cu and conv_taps.cu, without one of their barriers or waits. */
#ifndef PLANTED_CONV_H
#define PLANTED_CONV_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

extern __typeof__(hs_cuda_conv_rows) planted_conv_rows;
extern __typeof__(hs_cuda_conv_taps) planted_conv_taps;

/* -1: with all; its place. How many they passed so far. */
const char *planted_conv_leave_out(int barrier);
int planted_conv_barriers(void);
void planted_conv_hurry(bool hurry); /* copies to shared memory are not all waited for */

#ifdef __cplusplus
}
#endif
#endif
