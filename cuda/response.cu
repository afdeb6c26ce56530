/* response.cu - taps to filter spectra as real matrices, and the gradients of those back to taps, one pass each way.
 *
 * The response of a filter at bin u is the sum over taps of PHASE [u][tap] times the tap; as a real matrix it is [[re, im], [-im,
 * re]] for each pair of channels, EMBEDDED [bins][2 ci][2 co], so that one real batched product does all bins. Gradients take the
 * same way back: what the four quadrants say of re and im, times the phases, summed over bins.
 *
 * Expected: P = ci co pairs, U bins, K taps. Forward writes 4 U P numbers and does 4 U P K flops; backward reads 4 U P and does as
 * many. 96 > 96 channels, 33 x 33, 3 x 3, fp32: 80 MB and 0.18 Gflop, 27 us of memory either way; above 5 x 5 the flops weigh more.
 * Lanes share a phase, and yet it comes to a warp as 128 bytes, all that a processor's shared memory or L1 gives in a cycle in which it does four
 * warps' multiply-adds. With a pair a thread, 96 > 96, 34 x 34, 5 x 5 would wait 37 us for phases, for 28 us of memory (half of that in bf16); so a
 * thread has four pairs, or two and their 50 sums. */
#include "half.h"
#include "launch.h"

#include "kernels.h"

enum { RESPONSE_BINS = 8, RESPONSE_TAPS = 32, RESPONSE_PAIRS = 4, RESPONSE_BLOCK = 128, FOLD_LINES = 8, FOLD_PAIRS = 2 };

struct __attribute__((aligned(8))) response_phase {
    float re, im;
};

/* A block does RESPONSE_BINS bins for RESPONSE_PAIRS times as many pairs as it has threads. */
template <typename T>
static __global__ void __launch_bounds__(RESPONSE_BLOCK)
    response(int bins, int taps, int ci, int co, const float *phases, const float *filters, T *embedded)
{
    HS_SHARED(response_phase, room); /* [RESPONSE_TAPS][RESPONSE_BINS] */
    const size_t pairs = (size_t)ci * co, block = (size_t)blockIdx.y * RESPONSE_PAIRS * RESPONSE_BLOCK + threadIdx.x;
    const int first = (int)blockIdx.x * RESPONSE_BINS;
    const response_phase *all = reinterpret_cast<const response_phase *>(phases);
    float re[RESPONSE_PAIRS][RESPONSE_BINS] = {}, im[RESPONSE_PAIRS][RESPONSE_BINS] = {};
    for (int start = 0; start < taps; start += RESPONSE_TAPS) {
        const int some = taps - start < RESPONSE_TAPS ? taps - start : RESPONSE_TAPS;
        for (int i = (int)threadIdx.x; i < some * RESPONSE_BINS; i += RESPONSE_BLOCK) {
            const int bin = i % RESPONSE_BINS + first, tap = i / RESPONSE_BINS + start;
            const response_phase none = {0, 0};
            room[i] = bin < bins ? all[(size_t)bin * taps + tap] : none;
        }
        __syncthreads();
        for (int t = 0; t < some; t++) {
            float w[RESPONSE_PAIRS];
            HS_UNROLL
            for (int p = 0; p < RESPONSE_PAIRS; p++) {
                const size_t pair = block + (size_t)p * RESPONSE_BLOCK;
                w[p] = pair < pairs ? filters[(size_t)(start + t) * pairs + pair] : 0;
            }
            HS_UNROLL
            for (int u = 0; u < RESPONSE_BINS; u++) {
                const response_phase phase = room[t * RESPONSE_BINS + u];
                HS_UNROLL
                for (int p = 0; p < RESPONSE_PAIRS; p++) {
                    re[p][u] += phase.re * w[p];
                    im[p][u] += phase.im * w[p];
                }
            }
        }
        __syncthreads();
    }
    HS_UNROLL
    for (int p = 0; p < RESPONSE_PAIRS; p++) {
        const size_t pair = block + (size_t)p * RESPONSE_BLOCK;
        T *to = embedded + pair / co * 2 * co + pair % co + (size_t)first * 4 * pairs;
        HS_UNROLL
        for (int u = 0; u < RESPONSE_BINS; u++) {
            if (first + u >= bins || pair >= pairs)
                break;
            T *upper = to + (size_t)u * 4 * pairs, *lower = upper + 2 * pairs;
            hs_half_put(re[p][u], upper);
            hs_half_put(im[p][u], upper + co);
            hs_half_put(-im[p][u], lower);
            hs_half_put(re[p][u], lower + co);
        }
    }
}

/* PARTIAL [slices][taps][pairs]. A block sums SLICE bins for 32 FOLD_PAIRS pairs and TAPS of the taps, eight bins at a time. */
template <int TAPS>
static __global__ void __launch_bounds__(32 * FOLD_LINES)
    response_fold(int bins, int slice, int taps, int ci, int co, const float *phases, const float *embedded, float *partial)
{
    HS_SHARED(float, room); /* [FOLD_LINES][TAPS][32] */
    const unsigned lane = threadIdx.x % 32, line = threadIdx.x / 32;
    const size_t pairs = (size_t)ci * co, block = (size_t)blockIdx.x * 32 * FOLD_PAIRS + lane;
    const int first = (int)blockIdx.y * slice, end = first + slice < bins ? first + slice : bins, start = (int)blockIdx.z * TAPS;
    const float *from[FOLD_PAIRS];
    float sum[FOLD_PAIRS][TAPS] = {};
    HS_UNROLL
    for (int p = 0; p < FOLD_PAIRS; p++) {
        const size_t pair = block + 32 * p < pairs ? block + 32 * p : 0; /* what there is none of is not stored */
        from[p] = embedded + pair / co * 2 * co + pair % co;
    }
    for (int u = first + (int)line; u < end; u += FOLD_LINES) {
        float re[FOLD_PAIRS], im[FOLD_PAIRS];
        HS_UNROLL
        for (int p = 0; p < FOLD_PAIRS; p++) {
            const float *upper = from[p] + (size_t)u * 4 * pairs, *lower = upper + 2 * pairs;
            re[p] = upper[0] + lower[co];
            im[p] = upper[co] - lower[0];
        }
        const response_phase *phase = reinterpret_cast<const response_phase *>(phases) + (size_t)u * taps + start;
        HS_UNROLL
        for (int t = 0; t < TAPS; t++) {
            if (start + t >= taps)
                continue;
            const response_phase own = phase[t];
            HS_UNROLL
            for (int p = 0; p < FOLD_PAIRS; p++) { /* two multiply-adds, not three operations */
                sum[p][t] += own.re * re[p];
                sum[p][t] += own.im * im[p];
            }
        }
    }
    HS_UNROLL
    for (int p = 0; p < FOLD_PAIRS; p++) { /* in turn, so that they share the room */
        const size_t pair = block + 32 * p;
        HS_UNROLL
        for (int t = 0; t < TAPS; t++)
            room[(line * TAPS + t) * 32 + lane] = sum[p][t];
        __syncthreads();
        for (int t = (int)line; t < TAPS && start + t < taps && pair < pairs; t += FOLD_LINES) {
            float all = 0;
            for (int l = 0; l < FOLD_LINES; l++)
                all += room[(l * TAPS + t) * 32 + lane];
            partial[((size_t)blockIdx.y * taps + start + t) * pairs + pair] = all;
        }
        __syncthreads();
    }
}

static __global__ void response_total(size_t count, int slices, const float *partial, float *gradient)
{
    HS_EACH (i, count) {
        float sum = 0;
        for (int k = 0; k < slices; k++)
            sum += partial[(size_t)k * count + i];
        gradient[i] = sum;
    }
}

static __global__ void bias_add_half(size_t count, int co, float factor, const float *bias, hs_half *y)
{
    HS_EACH (i, count) {
        hs_half *at = y + i / co * 2 * co + i % co;
        hs_half_put(hs_half_get(*at) + factor * bias[i % co], at);
    }
}

cudaError_t hs_cuda_response(cudaStream_t s, bool half, int bins, int taps, int ci, int co, const float *phases,
                             const float *filters, void *embedded)
{
    const size_t pairs = (size_t)ci * co, shared = RESPONSE_TAPS * RESPONSE_BINS * sizeof(response_phase), each = RESPONSE_PAIRS * RESPONSE_BLOCK;
    /* a map of 1024 x 1024 has more bins than the second axis of a grid has room for */
    const dim3 grid((unsigned)((bins + RESPONSE_BINS - 1) / RESPONSE_BINS), (unsigned)((pairs + each - 1) / each));
    if (half)
        return HS_LAUNCH_TOGETHER(response<hs_half>, grid, RESPONSE_BLOCK, shared, s, bins, taps, ci, co, phases, filters,
                                  static_cast<hs_half *>(embedded));
    return HS_LAUNCH_TOGETHER(response<float>, grid, RESPONSE_BLOCK, shared, s, bins, taps, ci, co, phases, filters,
                              static_cast<float *>(embedded));
}

/* So many that 132 processors get eight blocks each, if there are 16 bins for each. */
int hs_cuda_response_slices(int bins, int taps, int ci, int co)
{
    const size_t blocks = ((size_t)ci * co + 32 * FOLD_PAIRS - 1) / (32 * FOLD_PAIRS) * (size_t)((taps + 24) / 25);
    const size_t wanted = (1056 + blocks - 1) / blocks, most = (size_t)(bins + 15) / 16;
    return (int)(wanted < most ? wanted : most);
}

template <int TAPS>
static cudaError_t start_fold(cudaStream_t s, int bins, int slices, int taps, int ci, int co, const float *phases,
                              const float *embedded, float *partial)
{
    const dim3 grid((unsigned)(((size_t)ci * co + 32 * FOLD_PAIRS - 1) / (32 * FOLD_PAIRS)), (unsigned)slices, (unsigned)((taps + TAPS - 1) / TAPS));
    return HS_LAUNCH_TOGETHER(response_fold<TAPS>, grid, 32 * FOLD_LINES, FOLD_LINES * TAPS * 32 * sizeof(float), s, bins,
                              (bins + slices - 1) / slices, taps, ci, co, phases, embedded, partial);
}

cudaError_t hs_cuda_response_gradient(cudaStream_t s, int bins, int taps, int ci, int co, const float *phases,
                                      const float *embedded, float *partial, float *gradient)
{
    const int slices = hs_cuda_response_slices(bins, taps, ci, co);
    const size_t count = (size_t)taps * ci * co;
    float *to = slices == 1 ? gradient : partial;
    const cudaError_t error = taps <= 9 ? start_fold<9>(s, bins, slices, taps, ci, co, phases, embedded, to)
                                        : start_fold<25>(s, bins, slices, taps, ci, co, phases, embedded, to);
    if (error != cudaSuccess || slices == 1)
        return error;
    return HS_LAUNCH(response_total, hs_blocks(count), HS_BLOCK, 0, s, count, slices, partial, gradient);
}

cudaError_t hs_cuda_bias_add_half(cudaStream_t s, int n, int co, float factor, const float *bias, void *y)
{
    const size_t count = (size_t)n * co;
    return count ? HS_LAUNCH(bias_add_half, hs_blocks(count), HS_BLOCK, 0, s, count, co, factor, bias, static_cast<hs_half *>(y))
                 : cudaSuccess;
}
