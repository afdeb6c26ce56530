/* barriers.h - for kernels that are compiled once more with one of their barriers taken away: included before them, followed by
 *     #define __syncthreads() wait_for_block(__FILE__, __LINE__)
 * A barrier is known by its place in the files; the first run without a fault finds them. */
#ifndef CUDA_EMULATION_BARRIERS_H
#define CUDA_EMULATION_BARRIERS_H

#include <string>
#include <vector>

#include "cuda_runtime.h"

static std::vector<std::string> sites;
static int left_out = -1;

/* Is the barrier of this place there? */
static inline bool stands(const std::string &place)
{
    std::size_t i = 0;
    while (i < sites.size() && sites[i] != place)
        i++;
    if (i == sites.size())
        sites.push_back(place);
    return (int)i != left_out;
}

static inline void wait_for_block(const char *file, int line)
{
    if (stands(file + (":" + std::to_string(line))))
        __syncthreads();
}

/* Warps of a block would keep step, as all of them do the same: each is slower than the one before. */
static inline void dawdle()
{
    for (unsigned i = 0; i < threadIdx.x / 32; i++)
        (void)__shfl_xor_sync(~0u, 0, 1);
}

#endif
