/* gather.cu - a batch from a data set that lies in device memory: which samples, how each is changed, and its normalisation, in
 * one pass that reads a sample once and writes it once. A block makes one sample: its first thread draws, all fill pixels. The
 * arithmetic is that of hs_augment.h, as on the host.
 *
 * There are 5 us of memory in 1024 samples of 32 x 32 x 3, and less than one in 128: what counts is how often a thread waits. So it has two
 * pixels at most of such a sample, and asks for all that makes up four channels before it writes any of them. */
#include "mma.h"

#include "hs_augment.h"
#include "kernels.h"

typedef struct hs_seat {
    uint64_t sample;
    hs_change change;
} hs_seat;

static __device__ hs_seat seat_of(const hs_cuda_batch &b, uint64_t position)
{
    hs_seat seat = {position, {0, 0, false, false, 0, 1, 1}};
    if (b.shuffle)
        seat.sample = hs_permute(b.seed, (uint32_t)b.epoch, (uint64_t)b.count, position);
    if (b.augmented)
        seat.change = hs_augment_draw(&b.augment, b.seed, b.epoch, (int64_t)seat.sample);
    return seat;
}

enum { GATHER_CHANNELS = 4, GATHER_THREADS = 512 };

/* One pixel, all its channels; FROM is the sample in file units. */
template <typename Value>
static __device__ void make_pixel(const hs_cuda_batch &b, const hs_seat &seat, int pixel, const Value *from, const float *mean,
                                  const float *inverse, float *to)
{
    const int c = b.shape.c;
    int y, x;
    const bool inside = hs_augment_from(&seat.change, b.shape.h, b.shape.w, pixel / b.shape.w, pixel % b.shape.w, &y, &x);
    const Value *cell = from + ((size_t)y * b.shape.w + x) * c;
    float *out = to + (size_t)pixel * c;
    for (int first = 0; first < c; first += GATHER_CHANNELS) {
        float v[GATHER_CHANNELS];
        HS_UNROLL
        for (int k = 0; k < GATHER_CHANNELS; k++)
            v[k] = inside && first + k < c ? (float)cell[first + k] : 0;
        if (seat.change.colour) /* three channels, which hs_augment_check has seen */
            hs_augment_colour(&seat.change, b.top, v);
        HS_UNROLL
        for (int k = 0; k < GATHER_CHANNELS; k++)
            if (b.scales && first + k < c) { /* a sample has fewer than 2^31 numbers; 64 bits take twice as long */
                const uint32_t g = ((uint32_t)pixel * c + first + k) % (uint32_t)b.scales;
                v[k] = (v[k] - mean[g]) * inverse[g];
            }
        HS_UNROLL
        for (int k = 0; k < GATHER_CHANNELS; k++)
            if (first + k < c)
                out[first + k] = v[k];
    }
}

template <typename Value>
static __global__ void __launch_bounds__(GATHER_THREADS)
    gather(hs_cuda_batch b, const Value *pixels, const int32_t *set_labels, const float *mean, const float *inverse, float *x, int32_t *labels)
{
    HS_SHARED(hs_seat, seat);
    const int plane = b.shape.h * b.shape.w;
    const size_t size = (size_t)plane * b.shape.c;
    if (threadIdx.x == 0) {
        const hs_seat own = seat_of(b, (uint64_t)b.first + blockIdx.x);
        *seat = own; /* a store that the emulation's shadow memory sees */
    }
    __syncthreads();
    if (threadIdx.x == blockDim.x - 1)
        labels[blockIdx.x] = set_labels[seat->sample];
    for (int pixel = (int)threadIdx.x; pixel < plane; pixel += (int)blockDim.x)
        make_pixel(b, *seat, pixel, pixels + seat->sample * size, mean, inverse, x + blockIdx.x * size);
}

template <typename Value>
static cudaError_t start_gather(cudaStream_t s, const hs_cuda_batch &b, int n, const Value *pixels, const int32_t *set_labels,
                                const float *mean, const float *inverse, float *x, int32_t *labels)
{
    const auto gather_kernel = gather<Value>;
    const int plane = b.shape.h * b.shape.w, threads = plane < GATHER_THREADS ? (plane + 31) / 32 * 32 : (int)GATHER_THREADS;
    return n && plane ? HS_LAUNCH_TOGETHER(gather_kernel, (unsigned)n, (unsigned)threads, sizeof(hs_seat), s, b, pixels, set_labels, mean,
                                           inverse, x, labels)
                      : cudaSuccess;
}

cudaError_t hs_cuda_gather_bytes(cudaStream_t s, hs_cuda_batch b, int n, const uint8_t *pixels, const int32_t *set_labels,
                                 const float *mean, const float *inverse, float *x, int32_t *labels)
{
    return start_gather(s, b, n, pixels, set_labels, mean, inverse, x, labels);
}

cudaError_t hs_cuda_gather_floats(cudaStream_t s, hs_cuda_batch b, int n, const float *pixels, const int32_t *set_labels,
                                  const float *mean, const float *inverse, float *x, int32_t *labels)
{
    return start_gather(s, b, n, pixels, set_labels, mean, inverse, x, labels);
}
