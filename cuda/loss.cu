/* loss.cu - softmax cross-entropy, its gradient and the hits, one sample a block at a time; the totals in a second pass. */
#include "launch.h"

#include "kernels.h"

enum { LOSS_BLOCKS = 1024 };

static __device__ double block_max(double mine, double *room)
{
    room[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = HS_SUM_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half && room[threadIdx.x + half] > room[threadIdx.x])
            room[threadIdx.x] = room[threadIdx.x + half];
        __syncthreads();
    }
    const double most = room[0];
    __syncthreads();
    return most;
}

/* log of the sum of exp: the greatest is taken out first, so that nothing overflows. A NaN is found again in the sum. */
static __device__ double log_sum_exp(const float *z, int classes, double *room)
{
    double most = z[0], sum = 0;
    for (int j = (int)threadIdx.x; j < classes; j += HS_SUM_BLOCK)
        most = z[j] > most ? (double)z[j] : most;
    most = block_max(most, room);
    for (int j = (int)threadIdx.x; j < classes; j += HS_SUM_BLOCK)
        sum += exp((double)z[j] - most);
    return most + log(hs_block_sum(sum, room));
}

/* PARTIAL [blocks][3]: loss, top-1 hits, top-5 hits of the samples that a block takes. */
static __global__ void softmax(int n, int classes, const float *logits, const int32_t *labels, double scale, float *dlogits,
                               double *partial)
{
    HS_SHARED(double, room);
    double loss = 0, first = 0, fifth = 0;
    for (int i = (int)blockIdx.x; i < n; i += (int)gridDim.x) {
        const float *z = logits + (size_t)i * classes;
        const int label = labels[i];
        const double norm = log_sum_exp(z, classes, room);
        double above = 0;
        for (int j = (int)threadIdx.x; j < classes; j += HS_SUM_BLOCK) {
            above += j != label && !(z[j] < z[label]); /* a tie counts against, a NaN too */
            if (dlogits)
                dlogits[(size_t)i * classes + j] = (float)((exp((double)z[j] - norm) - (j == label)) * scale);
        }
        above = hs_block_sum(above, room);
        loss += norm - (double)z[label];
        first += above < 1;
        fifth += above < 5;
    }
    if (threadIdx.x == 0) {
        partial[3 * blockIdx.x] = loss;
        partial[3 * blockIdx.x + 1] = first;
        partial[3 * blockIdx.x + 2] = fifth;
    }
}

/* A block for each of the three: a single thread would wait for memory as often as there are samples. */
static __global__ void totals_of(int blocks, const double *partial, double *totals)
{
    HS_SHARED(double, room);
    double sum = 0;
    for (int k = (int)threadIdx.x; k < blocks; k += HS_SUM_BLOCK)
        sum += partial[3 * k + blockIdx.x];
    sum = hs_block_sum(sum, room);
    if (threadIdx.x == 0)
        totals[blockIdx.x] = sum;
}

cudaError_t hs_cuda_softmax(cudaStream_t s, double *partial, int n, int classes, const float *logits, const int32_t *labels,
                            double scale, float *dlogits, double *totals)
{
    const int blocks = n < LOSS_BLOCKS ? n : LOSS_BLOCKS;
    if (n > 0) {
        const cudaError_t error = HS_LAUNCH_TOGETHER(softmax, blocks, HS_SUM_BLOCK, HS_SUM_BLOCK * sizeof(double), s, n, classes,
                                                     logits, labels, scale, dlogits, partial);
        if (error != cudaSuccess)
            return error;
    }
    return HS_LAUNCH_TOGETHER(totals_of, 3, HS_SUM_BLOCK, HS_SUM_BLOCK * sizeof(double), s, blocks, partial, totals);
}
