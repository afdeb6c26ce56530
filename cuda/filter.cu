/* filter.cu - what cuDNN reads and writes, if that is not what we have: filters in its order [co][tap][ci] and ours [tap][ci][co], taps
 * reversed for a true convolution; maps and filters in bf16, their channels filled up with zeros, where ours are fp32. */
#include "eight.h"

#include "kernels.h"

/* Where number I of cuDNN's filter is in ours, or that it only fills up. */
static __device__ bool ours(size_t i, const hs_cuda_filter &f, size_t *at)
{
    const int c = (int)(i % f.wide_ci), t = (int)(i / f.wide_ci % f.taps), o = (int)(i / f.wide_ci / f.taps);
    *at = ((size_t)(f.flip ? f.taps - 1 - t : t) * f.ci + c) * f.co + o;
    return c < f.ci && o < f.co;
}

template <typename T> static __global__ void put_filter(size_t count, hs_cuda_filter f, const float *from, T *filter)
{
    HS_EACH (i, count) {
        size_t at;
        hs_half_put(ours(i, f, &at) ? from[at] : 0, filter + i);
    }
}

template <typename T> static __global__ void get_filter(size_t count, hs_cuda_filter f, const T *filter, float *to)
{
    HS_EACH (i, count) {
        size_t at;
        if (ours(i, f, &at))
            to[at] = hs_half_get(filter[i]);
    }
}

/* Eight numbers of a line, which is a multiple of that, a thread. */
static __global__ void narrow(size_t count, int cols, int wide, const float *from, hs_half *to)
{
    HS_EACH (i, count) {
        const size_t row = i / (wide / 8);
        const int col = (int)(i - row * (wide / 8)) * 8;
        float v[8];
        hs_get_eight(cols == wide, cols - col, from + row * cols + col, v);
        hs_put_eight(true, 8, v, to + 8 * i);
    }
}

static __global__ void widen(size_t count, int cols, int wide, const hs_half *from, float *to)
{
    HS_EACH (i, count) {
        const size_t row = i / (wide / 8);
        const int col = (int)(i - row * (wide / 8)) * 8;
        float v[8];
        hs_get_eight(true, 8, from + 8 * i, v);
        hs_put_eight(cols == wide, cols - col, v, to + row * cols + col);
    }
}

static size_t count_of(const hs_cuda_filter &f)
{
    return (size_t)f.taps * f.wide_ci * f.wide_co;
}

cudaError_t hs_cuda_put_filter(cudaStream_t s, hs_cuda_filter f, const float *from, void *filter)
{
    const auto half = put_filter<hs_half>;
    const auto full = put_filter<float>;
    const size_t count = count_of(f);
    return f.half ? HS_LAUNCH(half, hs_blocks(count), HS_BLOCK, 0, s, count, f, from, (hs_half *)filter)
                  : HS_LAUNCH(full, hs_blocks(count), HS_BLOCK, 0, s, count, f, from, (float *)filter);
}

cudaError_t hs_cuda_get_filter(cudaStream_t s, hs_cuda_filter f, const void *filter, float *to)
{
    const auto half = get_filter<hs_half>;
    const auto full = get_filter<float>;
    const size_t count = count_of(f);
    return f.half ? HS_LAUNCH(half, hs_blocks(count), HS_BLOCK, 0, s, count, f, (const hs_half *)filter, to)
                  : HS_LAUNCH(full, hs_blocks(count), HS_BLOCK, 0, s, count, f, (const float *)filter, to);
}

cudaError_t hs_cuda_narrow(cudaStream_t s, size_t rows, int cols, int wide, const float *from, void *to)
{
    const size_t count = rows * (wide / 8);
    return count ? HS_LAUNCH(narrow, hs_blocks(count), HS_BLOCK, 0, s, count, cols, wide, from, (hs_half *)to) : cudaSuccess;
}

cudaError_t hs_cuda_widen(cudaStream_t s, size_t rows, int cols, int wide, const void *from, float *to)
{
    const size_t count = rows * (wide / 8);
    return count ? HS_LAUNCH(widen, hs_blocks(count), HS_BLOCK, 0, s, count, cols, wide, (const hs_half *)from, to) : cudaSuccess;
}
