/* planted_pool.cpp - the kernels of a pooled convolution once more, with one of their barriers taken away, as planted_plane.cpp does it: a
 * barrier is known by its place in the files, the first run without a fault finds them. */
#include "planted_pool.h"

#include <string>
#include <vector>

#include "conv_patch.h"

static std::vector<std::string> sites;
static int left_out = -1;

/* Is the barrier of this place there? */
static bool stands(const std::string &place)
{
    std::size_t i = 0;
    while (i < sites.size() && sites[i] != place)
        i++;
    if (i == sites.size())
        sites.push_back(place);
    return (int)i != left_out;
}

static void wait_for_block(const char *file, int line)
{
    if (stands(file + (":" + std::to_string(line))))
        __syncthreads();
}

/* Warps of a block would keep step, as all of them do the same: each is slower than the one before. */
static void dawdle()
{
    for (unsigned i = 0; i < threadIdx.x / 32; i++)
        (void)__shfl_xor_sync(~0u, 0, 1);
}

#define hs_mma_tf32(d, a, b) (dawdle(), hs_mma_tf32(d, a, b))
#define __syncthreads() wait_for_block(__FILE__, __LINE__)
#define hs_cuda_pooled_pack planted_pooled_pack
#define hs_cuda_pooled_forward planted_pooled_forward
#define hs_cuda_pooled_dense planted_pooled_dense
#define hs_cuda_pooled_sparse planted_pooled_sparse
#define hs_cuda_pooled_total planted_pooled_total
#include "../../cuda/conv_pool.cu"
#include "../../cuda/conv_pool_dense.cu"
#include "../../cuda/conv_pool_taps.cu"

int planted_pool_barriers(void)
{
    return (int)sites.size();
}

const char *planted_pool_leave_out(int barrier)
{
    left_out = barrier;
    return barrier < 0 ? "none" : sites[(std::size_t)barrier].c_str();
}
