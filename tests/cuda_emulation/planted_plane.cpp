/* planted_plane.cpp - the plane kernel once more, with one of its barriers taken away. A barrier is known by its line in plane.cu; the
 * first run without a fault finds them. Waits within a warp stay: there a product on tensor cores is a meeting too. */
#include "planted.h"

#include <vector>

#include "half.h"
#include "line.h"

static std::vector<int> sites;
static int left_out = -1;

/* Is the barrier of LINE there? */
static bool stands(int line)
{
    std::size_t i = 0;
    while (i < sites.size() && sites[i] != line)
        i++;
    if (i == sites.size())
        sites.push_back(line);
    return (int)i != left_out;
}

static void wait_for_block(int line)
{
    if (stands(line))
        __syncthreads();
}

#define __syncthreads() wait_for_block(__LINE__)
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
