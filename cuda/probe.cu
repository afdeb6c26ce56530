/* probe.cu - the smallest kernel: does this program hold code for the device at hand? */
#include "launch.h"

#include "kernels.h"

static __global__ void probe(int *out)
{
    *out = 42;
}

cudaError_t hs_cuda_probe(cudaStream_t s, int *out)
{
    return HS_LAUNCH(probe, 1, 1, 0, s, out);
}
