/* gather.cu - a batch from a data set that lies in device memory: which samples, how each is changed, and its normalisation, in
 * one pass that reads a sample once and writes it once. A block makes one sample: its first thread draws, all fill pixels. The
 * arithmetic is that of hs_augment.h, as on the host. */
#include "launch.h"

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
    if (seat.change.colour) { /* three channels, which hs_augment_check has seen */
        float p[3];
        for (int k = 0; k < 3; k++)
            p[k] = inside ? (float)cell[k] : 0;
        hs_augment_colour(&seat.change, b.top, p);
        for (int k = 0; k < 3; k++)
            out[k] = p[k];
    } else {
        for (int k = 0; k < c; k++)
            out[k] = inside ? (float)cell[k] : 0;
    }
    for (int k = 0; k < c && b.scales; k++) {
        const uint32_t g = ((uint32_t)pixel * c + k) % (uint32_t)b.scales; /* a sample has fewer than 2^31 numbers; 64 bits take twice as long */
        out[k] = (out[k] - mean[g]) * inverse[g];
    }
}

template <typename Value>
static __global__ void gather(hs_cuda_batch b, const Value *pixels, const int32_t *set_labels, const float *mean,
                              const float *inverse, float *x, int32_t *labels)
{
    HS_SHARED(hs_seat, seat);
    const int plane = b.shape.h * b.shape.w;
    const size_t size = (size_t)plane * b.shape.c;
    if (threadIdx.x == 0) {
        const hs_seat own = seat_of(b, (uint64_t)b.first + blockIdx.x);
        *seat = own; /* a store that the emulation's shadow memory sees */
        labels[blockIdx.x] = set_labels[seat->sample];
    }
    __syncthreads();
    for (int pixel = (int)threadIdx.x; pixel < plane; pixel += (int)blockDim.x)
        make_pixel(b, *seat, pixel, pixels + seat->sample * size, mean, inverse, x + blockIdx.x * size);
}

cudaError_t hs_cuda_gather_bytes(cudaStream_t s, hs_cuda_batch b, int n, const uint8_t *pixels, const int32_t *set_labels,
                                 const float *mean, const float *inverse, float *x, int32_t *labels)
{
    return n ? HS_LAUNCH_TOGETHER(gather<uint8_t>, (unsigned)n, HS_SUM_BLOCK, sizeof(hs_seat), s, b, pixels, set_labels, mean, inverse,
                                  x, labels)
             : cudaSuccess;
}

cudaError_t hs_cuda_gather_floats(cudaStream_t s, hs_cuda_batch b, int n, const float *pixels, const int32_t *set_labels,
                                  const float *mean, const float *inverse, float *x, int32_t *labels)
{
    return n ? HS_LAUNCH_TOGETHER(gather<float>, (unsigned)n, HS_SUM_BLOCK, sizeof(hs_seat), s, b, pixels, set_labels, mean, inverse,
                                  x, labels)
             : cudaSuccess;
}
