/* penalty.cu - lambda sum over rows t of weight[t] f(t) over a filter [T][q]: its value, and its gradient or its proximal map, in
 * one pass. A complex bin counts its modulus once, in the first of its two rows; that row's thread also shrinks the other, so
 * nobody reads what somebody writes. */
#include "sums.h"

#include "kernels.h"

struct penalty {
    hs_penalty_kind kind;
    bool prox;
    size_t q;
    double lambda;
};

static __device__ double shrink(double size, double threshold)
{
    return size <= threshold ? 0 : 1 - threshold / size;
}

/* Value and gradient (or new numbers) at row T, pair J; AT = t q + j. Returns weight f. */
static __device__ double one_number(const penalty &a, size_t t, size_t mate, size_t at, double weight, float *p, float *g)
{
    if (a.prox && a.kind == HS_PENALTY_L1_MODULUS && mate < t)
        return 0; /* before a look at what the other row's thread writes */
    const size_t other = mate * a.q + at % a.q;
    const double own = p[at], size = a.kind == HS_PENALTY_L1_MODULUS && mate != t ? hypot(own, (double)p[other]) : fabs(own);
    const double value = a.kind == HS_PENALTY_L2 ? own * own / 2 : a.kind == HS_PENALTY_L1_MODULUS && mate < t ? 0 : size;
    if (!a.prox) {
        const double slope = a.kind == HS_PENALTY_L2 ? own : own == 0 ? 0 : own / size;
        g[at] = (float)((double)g[at] + a.lambda * weight * slope);
        return weight * value;
    }
    const double factor = a.kind == HS_PENALTY_L2 ? 1 / (1 + a.lambda * weight) : shrink(size, a.lambda * weight);
    p[at] = (float)(factor * own);
    if (a.kind == HS_PENALTY_L1_MODULUS && mate != t)
        p[other] = (float)(factor * (double)p[other]);
    return weight * value;
}

static __global__ void penalise(penalty a, size_t count, const hs_update_now *now, const int32_t *partner, const double *weight,
                                float *p, float *g, double *partial)
{
    HS_SHARED(double, room);
    double sum = 0;
    if (now)
        a.lambda *= now->lr;
    const bool still = now && (now->go == 0 || a.lambda == 0);
    HS_EACH (i, still ? 0 : count) {
        const size_t t = i / a.q;
        sum += one_number(a, t, (size_t)partner[t], i, weight[t], p, g);
    }
    sum = hs_block_sum(sum, room);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

cudaError_t hs_cuda_penalty(cudaStream_t s, double *partial, hs_penalty_kind kind, bool prox, int coords, const int32_t *partner,
                            const double *weight, size_t q, double lambda, const hs_update_now *now, float *p, float *g, double *value)
{
    const size_t count = (size_t)coords * q, shared = HS_SUM_BLOCK * sizeof(double);
    const unsigned blocks = hs_sum_blocks(count);
    const penalty a = {kind, prox, q, lambda};
    if (count == 0)
        return cudaSuccess;
    const cudaError_t error = HS_LAUNCH_TOGETHER(penalise, blocks, HS_SUM_BLOCK, shared, s, a, count, now, partner, weight,
                                                 p, g, partial);
    return error != cudaSuccess
               ? error
               : HS_LAUNCH_TOGETHER(hs_sum_total, 1, HS_SUM_BLOCK, shared, s, (int)blocks, lambda, partial, value);
}
