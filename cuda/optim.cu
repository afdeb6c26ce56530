/* optim.cu - updates of the parameter slab: of a range with numbers by value, or of pieces of the whole slab with numbers that lie in
 * device memory, so that nothing waits for the host and a captured step can be repeated. Sums of a few terms of very different size are formed in double: memory is
 * what limits these kernels. */
#include "sums.h"

#include "kernels.h"

/* The decay is not seen by the moments (Loshchilov and Hutter 2019, algorithm 2). */
static __device__ float moved(const hs_update &u, double p, double step)
{
    return (float)(p - u.lr * (step + u.decay * p));
}

/* One number with gradient STEP; M may be NULL. */
static __device__ void sgd_one(const hs_update &u, double step, float *p, float *m)
{
    if (m) {
        const double velocity = u.momentum * (double)*m + step;
        *m = (float)velocity;
        step = u.nesterov ? step + u.momentum * velocity : velocity;
    }
    *p = moved(u, *p, step);
}

static __global__ void sgd(hs_update u, size_t count, float *p, const float *g, float *m)
{
    HS_EACH (i, count)
        sgd_one(u, u.grad_scale * (double)g[i], p + i, m ? m + i : m);
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
static __device__ void modulus_one(const hs_update &u, size_t i, const int32_t *partner, size_t q, float *p, const float *g,
                                   float *m, float *v)
{
    const size_t t = i / q, other_row = (size_t)partner[t];
    const double own = u.grad_scale * (double)g[i], other = u.grad_scale * (double)g[other_row * q + i % q];
    adam_one(u, own, other_row == t ? own * own : 0.5 * (own * own + other * other), p + i, m + i, v + i);
}

static __global__ void adam_modulus(hs_update u, size_t count, const int32_t *partner, size_t q, float *p, const float *g,
                                    float *m, float *v)
{
    HS_EACH (i, count)
        modulus_one(u, i, partner, q, p, g, m, v);
}

/* ---- with numbers in device memory -------------------------------------------------------------------------------------- */

static __device__ hs_update now_of(hs_update u, const hs_update_now *now, double rate)
{
    u.lr = now->lr * rate;
    u.grad_scale = now->grad_scale;
    u.correction1 = now->correction1;
    u.correction2 = now->correction2;
    return u;
}

/* Rounded to float before it is squared: the same gradient whether a penalty joins it here or by penalty.cu. */
static __global__ void penalised_squares(int pieces, const hs_piece *piece, const float *p, float *g, double *partial)
{
    HS_SHARED(double, room);
    double sum = 0;
    for (int k = (int)blockIdx.x; k < pieces; k += (int)gridDim.x)
        for (size_t i = piece[k].offset + threadIdx.x, end = piece[k].offset + piece[k].count; i < end; i += blockDim.x) {
            if (piece[k].l2 > 0)
                g[i] = (float)((double)g[i] + piece[k].l2 * (double)p[i]);
            sum += (double)g[i] * (double)g[i];
        }
    sum = hs_block_sum(sum, room);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

/* A sum of squares that is not finite is either a NaN or beyond every bound. What comes behind it has been launched perhaps: it changes nothing. */
static __global__ void judge(double clip, const double *squares, hs_update_now *now)
{
    const double norm = sqrt(*squares);
    if (!(norm <= 1.7976931348623157e308))
        now->go = 0;
    now->grad_scale = clip > 0 && norm > clip ? clip / norm : 1;
}

static __global__ void update_pieces(hs_update u, int pieces, const hs_update_now *now, const hs_piece *piece, float *p,
                                     const float *g, float *m, float *v)
{
    if (now->go == 0)
        return;
    for (int k = (int)blockIdx.x; k < pieces; k += (int)gridDim.x) {
        const hs_update own = now_of(u, now, piece[k].rate);
        for (size_t i = piece[k].offset + threadIdx.x, end = piece[k].offset + piece[k].count; i < end; i += blockDim.x) {
            const double scaled = own.grad_scale * (double)g[i];
            if (v)
                adam_one(own, scaled, scaled * scaled, p + i, m + i, v + i);
            else
                sgd_one(own, scaled, p + i, m ? m + i : m);
        }
    }
}

static __global__ void update_modulus(hs_update u, double rate, size_t count, const hs_update_now *now, const int32_t *partner,
                                      size_t q, float *p, const float *g, float *m, float *v)
{
    if (now->go == 0)
        return;
    const hs_update own = now_of(u, now, rate);
    HS_EACH (i, count)
        modulus_one(own, i, partner, q, p, g, m, v);
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

cudaError_t hs_cuda_penalised_squares(cudaStream_t s, double *partial, const hs_piece *piece, int pieces, const float *p, float *g,
                                      double *value)
{
    const unsigned blocks = (unsigned)(pieces < HS_SUM_BLOCKS ? pieces : HS_SUM_BLOCKS);
    const size_t shared = HS_SUM_BLOCK * sizeof(double);
    if (pieces == 0)
        return cudaSuccess;
    const cudaError_t error = HS_LAUNCH_TOGETHER(penalised_squares, blocks, HS_SUM_BLOCK, shared, s, pieces, piece, p, g, partial);
    return error != cudaSuccess ? error
                                : HS_LAUNCH_TOGETHER(hs_sum_total, 1, HS_SUM_BLOCK, shared, s, (int)blocks, 1.0, partial, value);
}

cudaError_t hs_cuda_judge(cudaStream_t s, double clip, const double *squares, hs_update_now *now)
{
    return HS_LAUNCH(judge, 1, 1, 0, s, clip, squares, now);
}

cudaError_t hs_cuda_update_pieces(cudaStream_t s, hs_update u, const hs_update_now *now, const hs_piece *piece, int pieces,
                                  float *p, const float *g, float *m, float *v)
{
    const unsigned blocks = (unsigned)(pieces < (1 << 20) ? pieces : 1 << 20);
    return pieces ? HS_LAUNCH(update_pieces, blocks, HS_BLOCK, 0, s, u, pieces, now, piece, p, g, m, v) : cudaSuccess;
}

cudaError_t hs_cuda_update_modulus(cudaStream_t s, hs_update u, const hs_update_now *now, double rate, int coords,
                                   const int32_t *partner, size_t q, float *p, const float *g, float *m, float *v)
{
    const size_t count = (size_t)coords * q;
    return count ? HS_LAUNCH(update_modulus, hs_blocks(count), HS_BLOCK, 0, s, u, rate, count, now, partner, q, p, g, m, v)
                 : cudaSuccess;
}
