/* dropout.cu - inverted dropout. The mask is a pure function of the seed, the step, the layer and the sample's place in the
 * global batch, so ranks and the backward pass make the same one. */
#include "launch.h"

#include "hs_rng.h"
#include "kernels.h"

static __global__ void dropout(size_t count, double p, uint64_t seed, const uint32_t *step, uint32_t layer, uint64_t from,
                               const float *x, float *y)
{
    const float keep = (float)(1 / (1 - p));
    const uint32_t now = *step;
    HS_EACH (i, count) {
        const hs_words draw = hs_random(seed, HS_DRAW_DROPOUT, now, layer, from + i);
        y[i] = hs_uniform(draw.w[0], draw.w[1]) < p ? 0 : keep * x[i];
    }
}

cudaError_t hs_cuda_dropout(cudaStream_t s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer,
                            int64_t first, const float *x, float *y)
{
    const size_t count = (size_t)n * features;
    const uint64_t from = (uint64_t)first * features;
    return count ? HS_LAUNCH(dropout, hs_blocks(count), HS_BLOCK, 0, s, count, p, seed, step, layer, from, x, y) : cudaSuccess;
}
