/* planted_plane.cpp - the plane kernel once more, with one of its barriers taken away. A barrier is known by its line in plane.cu; the
 * first run without a fault finds them. Waits within a warp stay: there a product on tensor cores is a meeting too. */
#include "planted_plane.h"

#include "barriers.h"
#include "half.h"
#include "line.h"

#define __syncthreads() wait_for_block(__FILE__, __LINE__)
#define hs_cuda_plane_run planted_plane_run
#include "../../cuda/plane.cu"

int planted_barriers(void)
{
    return (int)sites.size();
}

void planted_leave_out(int barrier)
{
    left_out = barrier;
}
