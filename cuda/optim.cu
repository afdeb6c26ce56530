/* optim.cu - updates of the parameter slab: of a range with numbers by value, or of pieces of the whole slab with numbers that lie in
 * device memory, so that nothing waits for the host and a captured step can be repeated. Memory is what limits these kernels. */
#include "sums.h"

#include "kernels.h"

/* Coefficients of one update in fp32, worked out once a thread. In double the two divisions and the root of a number would be some hundred instructions
 * at half the rate or, on most parts, a 64th of it: as long as the memory takes, or many times that. What is stored is rounded to fp32 anyway. */
struct coefficients {
    float lr, decay, scale, momentum, beta1, rest1, beta2, rest2, fix1, fix2, epsilon; /* fix: 1 / correction */
    bool nesterov;
};

static __device__ coefficients coefficients_of(const hs_update &u)
{
    return {(float)u.lr,          (float)u.decay,       (float)u.grad_scale,        (float)u.momentum,          (float)u.beta1,   (float)(1 - u.beta1),
            (float)u.beta2,       (float)(1 - u.beta2), (float)(1 / u.correction1), (float)(1 / u.correction2), (float)u.epsilon, u.nesterov};
}

/* The decay is not seen by the moments (Loshchilov and Hutter 2019, algorithm 2). */
static __device__ float moved(const coefficients &u, float p, float step)
{
    return p - u.lr * (step + u.decay * p);
}

/* One number with gradient G; M may be NULL. */
static __device__ void sgd_one(const coefficients &u, float g, float *p, float *m)
{
    float step = u.scale * g;
    if (m) {
        const float velocity = u.momentum * *m + step;
        *m = velocity;
        step = u.nesterov ? step + u.momentum * velocity : velocity;
    }
    *p = moved(u, *p, step);
}

static __global__ void sgd(hs_update update, size_t count, float *p, const float *g, float *m)
{
    const coefficients u = coefficients_of(update);
    HS_EACH (i, count)
        sgd_one(u, g[i], p + i, m ? m + i : m);
}

/* What the second moment grows by. The factor first: a square alone leaves fp32's range before the moment does. */
static __device__ float growth(const coefficients &u, float g)
{
    return u.rest2 * g * g;
}

/* One number with gradient G, scaled, whose second moment grows by MORE. */
static __device__ void adam_one(const coefficients &u, float g, float more, float *p, float *m, float *v)
{
    const float first = u.beta1 * *m + u.rest1 * g, second = u.beta2 * *v + more;
    *m = first;
    *v = second;
    *p = moved(u, *p, first * u.fix1 / (sqrtf(second * u.fix2) + u.epsilon));
}

static __global__ void adam(hs_update update, size_t count, float *p, const float *g, float *m, float *v)
{
    const coefficients u = coefficients_of(update);
    HS_EACH (i, count) {
        const float scaled = u.scale * g[i];
        adam_one(u, scaled, growth(u, scaled), p + i, m + i, v + i);
    }
}

/* Half of |g|^2 of the bin, so that white gradients give the same second moment with one number or two. */
static __device__ void modulus_one(const coefficients &u, size_t i, const int32_t *partner, size_t q, float *p, const float *g,
                                   float *m, float *v)
{
    const size_t t = i / q, other_row = (size_t)partner[t];
    const float own = u.scale * g[i], other = u.scale * g[other_row * q + i % q];
    adam_one(u, own, other_row == t ? growth(u, own) : 0.5f * growth(u, own) + 0.5f * growth(u, other), p + i, m + i, v + i);
}

static __global__ void adam_modulus(hs_update update, size_t count, const int32_t *partner, size_t q, float *p, const float *g,
                                    float *m, float *v)
{
    const coefficients u = coefficients_of(update);
    HS_EACH (i, count)
        modulus_one(u, i, partner, q, p, g, m, v);
}

/* ---- with numbers in device memory -------------------------------------------------------------------------------------- */

static __device__ coefficients now_of(hs_update u, const hs_update_now *now, double rate)
{
    u.lr = now->lr * rate;
    u.grad_scale = now->grad_scale;
    u.correction1 = now->correction1;
    u.correction2 = now->correction2;
    return coefficients_of(u);
}

/* Rounded to float before it is squared: the same gradient whether a penalty joins it here or by penalty.cu. A thread asks for AT_ONCE numbers before
 * it waits for the first: with one at a time 1024 blocks would keep a third of the memory busy. */
enum { AT_ONCE = 4 };
static __global__ void penalised_squares(int pieces, const hs_piece *piece, const float *p, float *g, double *partial)
{
    HS_SHARED(double, room);
    double sum = 0;
    for (int k = (int)blockIdx.x; k < pieces; k += (int)gridDim.x) {
        const hs_piece own = piece[k];
        for (size_t i = own.offset + threadIdx.x, end = own.offset + own.count; i < end; i += AT_ONCE * blockDim.x) {
            float value[AT_ONCE], add[AT_ONCE];
            for (int j = 0; j < AT_ONCE; j++) {
                const size_t at = i + j * blockDim.x;
                value[j] = at < end ? g[at] : 0;
                add[j] = at < end && own.l2 > 0 ? p[at] : 0;
            }
            for (int j = 0; j < AT_ONCE; j++) {
                const size_t at = i + j * blockDim.x;
                if (own.l2 > 0 && at < end)
                    g[at] = value[j] = (float)((double)value[j] + own.l2 * (double)add[j]);
                sum += (double)value[j] * (double)value[j];
            }
        }
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
    coefficients own = now_of(u, now, 1);
    for (int k = (int)blockIdx.x; k < pieces; k += (int)gridDim.x) {
        const hs_piece here = piece[k];
        own.lr = (float)(now->lr * here.rate);
        for (size_t i = here.offset + threadIdx.x, end = here.offset + here.count; i < end; i += blockDim.x) {
            const float scaled = own.scale * g[i];
            if (v)
                adam_one(own, scaled, growth(own, scaled), p + i, m + i, v + i);
            else
                sgd_one(own, g[i], p + i, m ? m + i : m);
        }
    }
}

static __global__ void update_modulus(hs_update u, double rate, size_t count, const hs_update_now *now, const int32_t *partner,
                                      size_t q, float *p, const float *g, float *m, float *v)
{
    if (now->go == 0)
        return;
    const coefficients own = now_of(u, now, rate);
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
