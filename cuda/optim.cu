/* optim.cu - updates of a range of the parameter slab. Sums of a few terms of very different size are formed in double: memory is
 * what limits these kernels. */
#include "launch.h"

#include "kernels.h"

/* The decay is not seen by the moments (Loshchilov and Hutter 2019, algorithm 2). */
static __device__ float moved(const hs_update &u, double p, double step)
{
    return (float)(p - u.lr * (step + u.decay * p));
}

static __global__ void sgd(hs_update u, size_t count, float *p, const float *g, float *m)
{
    HS_EACH (i, count) {
        double step = u.grad_scale * (double)g[i];
        if (m) {
            const double velocity = u.momentum * (double)m[i] + step;
            m[i] = (float)velocity;
            step = u.nesterov ? step + u.momentum * velocity : velocity;
        }
        p[i] = moved(u, p[i], step);
    }
}

/* One number with gradient G, whose second moment grows by SQUARE. */
static __device__ void adam_one(const hs_update &u, double g, double square, float *p, float *m, float *v)
{
    const double first = u.beta1 * (double)*m + (1 - u.beta1) * g;
    const double second = u.beta2 * (double)*v + (1 - u.beta2) * square;
    *m = (float)first;
    *v = (float)second;
    *p = moved(u, *p, first / u.correction1 / (sqrt(second / u.correction2) + u.epsilon));
}

static __global__ void adam(hs_update u, size_t count, float *p, const float *g, float *m, float *v)
{
    HS_EACH (i, count) {
        const double scaled = u.grad_scale * (double)g[i];
        adam_one(u, scaled, scaled * scaled, p + i, m + i, v + i);
    }
}

/* Half of |g|^2 of the bin, so that white gradients give the same second moment with one number or two. */
static __global__ void adam_modulus(hs_update u, size_t count, const int32_t *partner, size_t q, float *p, const float *g,
                                    float *m, float *v)
{
    HS_EACH (i, count) {
        const size_t t = i / q, other_row = (size_t)partner[t];
        const double own = u.grad_scale * (double)g[i], other = u.grad_scale * (double)g[other_row * q + i % q];
        adam_one(u, own, other_row == t ? own * own : 0.5 * (own * own + other * other), p + i, m + i, v + i);
    }
}

cudaError_t hs_cuda_sgd(cudaStream_t s, hs_update u, size_t count, float *p, const float *g, float *m)
{
    return count ? HS_LAUNCH(sgd, hs_blocks(count), HS_BLOCK, 0, s, u, count, p, g, m) : cudaSuccess;
}

cudaError_t hs_cuda_adam(cudaStream_t s, hs_update u, size_t count, float *p, const float *g, float *m, float *v)
{
    return count ? HS_LAUNCH(adam, hs_blocks(count), HS_BLOCK, 0, s, u, count, p, g, m, v) : cudaSuccess;
}

cudaError_t hs_cuda_adam_modulus(cudaStream_t s, hs_update u, int coords, const int32_t *partner, size_t q, float *p,
                                 const float *g, float *m, float *v)
{
    const size_t count = (size_t)coords * q;
    return count ? HS_LAUNCH(adam_modulus, hs_blocks(count), HS_BLOCK, 0, s, u, count, partner, q, p, g, m, v) : cudaSuccess;
}
