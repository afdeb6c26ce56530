/* embed.cu - complex filters as real matrices: [re | im] times [[re, im], [-im, re]] is the complex product with coordinates side
 * by side, so that one real batched product does all bins. The fold is the transpose: what the four quadrants of a gradient say
 * of re and im. */
#include "launch.h"

#include "kernels.h"

static __global__ void embed(size_t count, size_t pairs, int ci, int co, const float *planar, float *embedded)
{
    HS_EACH (i, count) {
        const size_t u = i / pairs, in = i % pairs / co, out = i % co;
        const float re = planar[i], im = planar[count + i];
        float *to = embedded + (u * 2 * ci + in) * 2 * co + out, *low = to + (size_t)ci * 2 * co;
        to[0] = re;
        to[co] = im;
        low[0] = -im;
        low[co] = re;
    }
}

static __global__ void fold(size_t count, size_t pairs, int ci, int co, const float *embedded, float *planar)
{
    HS_EACH (i, count) {
        const size_t u = i / pairs, in = i % pairs / co, out = i % co;
        const float *from = embedded + (u * 2 * ci + in) * 2 * co + out, *low = from + (size_t)ci * 2 * co;
        planar[i] = from[0] + low[co];
        planar[count + i] = from[co] - low[0];
    }
}

cudaError_t hs_cuda_embed(cudaStream_t s, int bins, int ci, int co, const float *planar, float *embedded)
{
    const size_t pairs = (size_t)ci * co, count = bins * pairs;
    return HS_LAUNCH(embed, hs_blocks(count), HS_BLOCK, 0, s, count, pairs, ci, co, planar, embedded);
}

cudaError_t hs_cuda_fold(cudaStream_t s, int bins, int ci, int co, const float *embedded, float *planar)
{
    const size_t pairs = (size_t)ci * co, count = bins * pairs;
    return HS_LAUNCH(fold, hs_blocks(count), HS_BLOCK, 0, s, count, pairs, ci, co, embedded, planar);
}
