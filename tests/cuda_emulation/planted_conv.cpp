/* planted_conv.cpp - the kernels of convolution in space once more, with one of their barriers taken away, as planted_pool.cpp does it. */
#include "planted_conv.h"

#include "barriers.h"
#include "half.h"

/* Waits for one group of copies fewer, if that is asked for. */
static bool impatient;
template <int LEFT> static void wait_for_copies()
{
    if (impatient)
        hs_copy_wait<LEFT + 1>();
    else
        hs_copy_wait<LEFT>();
}

#define hs_copy_wait wait_for_copies
#define hs_mma_tf32(d, a, b) (dawdle(), hs_mma_tf32(d, a, b))
#define hs_mma_bf16(d, a, b) (dawdle(), hs_mma_bf16(d, a, b))
#define __syncthreads() wait_for_block(__FILE__, __LINE__)
#define hs_cuda_conv_rows planted_conv_rows
#define hs_cuda_pack_taps planted_pack_taps
#define hs_cuda_conv_taps planted_conv_taps
extern "C" cudaError_t planted_pack_taps(cudaStream_t s, hs_cuda_gather g, int columns, const hs_cuda_place *place, const float *taps, void *packed);
#include "../../cuda/conv_rows.cu"
#include "../../cuda/conv_taps.cu"

int planted_conv_barriers(void)
{
    return (int)sites.size();
}

const char *planted_conv_leave_out(int barrier)
{
    left_out = barrier;
    return barrier < 0 ? "none" : sites[(std::size_t)barrier].c_str();
}

void planted_conv_hurry(bool hurry)
{
    impatient = hurry;
}
