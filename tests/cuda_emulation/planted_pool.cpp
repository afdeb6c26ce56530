/* planted_pool.cpp - the kernels of a pooled convolution once more, with one of their barriers taken away, as planted_plane.cpp does it: a
 * barrier is known by its place in the files, the first run without a fault finds them. */
#include "planted_pool.h"

#include "barriers.h"
#include "conv_patch.h"

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
