/* planted_plane.h - the kernel of cuda/plane.cu without one of its barriers. */
#ifndef PLANTED_PLANE_H
#define PLANTED_PLANE_H

#include "plane.h"

#ifdef __cplusplus
extern "C" {
#endif

extern __typeof__(hs_cuda_plane_run) planted_plane_run;

void planted_leave_out(int barrier); /* -1: with all */
int planted_barriers(void);          /* how many they passed so far */

#ifdef __cplusplus
}
#endif
#endif
