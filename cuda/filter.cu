/* filter.cu - filters between our order [tap][ci][co] and cuDNN's [co][tap][ci], taps reversed for a true convolution. */
#include "launch.h"

#include "kernels.h"

/* Where number I of cuDNN's filter is in ours. */
static __device__ size_t ours(size_t i, int taps, int ci, int co, bool flip)
{
    const int c = (int)(i % ci), t = (int)(i / ci % taps), o = (int)(i / ci / taps);
    return ((size_t)(flip ? taps - 1 - t : t) * ci + c) * co + o;
}

static __global__ void put_filter(size_t count, int taps, int ci, int co, bool flip, const float *from, float *filter)
{
    HS_EACH (i, count)
        filter[i] = from[ours(i, taps, ci, co, flip)];
}

static __global__ void get_filter(size_t count, int taps, int ci, int co, bool flip, const float *filter, float *to)
{
    HS_EACH (i, count)
        to[ours(i, taps, ci, co, flip)] = filter[i];
}

cudaError_t hs_cuda_put_filter(cudaStream_t s, int taps, int ci, int co, bool flip, const float *from, float *filter)
{
    const size_t count = (size_t)taps * ci * co;
    return HS_LAUNCH(put_filter, hs_blocks(count), HS_BLOCK, 0, s, count, taps, ci, co, flip, from, filter);
}

cudaError_t hs_cuda_get_filter(cudaStream_t s, int taps, int ci, int co, bool flip, const float *filter, float *to)
{
    const size_t count = (size_t)taps * ci * co;
    return HS_LAUNCH(get_filter, hs_blocks(count), HS_BLOCK, 0, s, count, taps, ci, co, flip, filter, to);
}
