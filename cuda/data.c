/* data.c - how samples reach the network's input. A set that fits lies in device memory in file units, a byte a number where the
 * file has bytes, and one kernel makes a batch of it. A set that does not fit is streamed: the batch that the host has made goes
 * to pinned memory and on to the device by a stream of its own while the compute stream is busy with the batch before; the network's
 * input is the second of the two buffers. */
#include "hs_cuda.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_data.h"

struct hs_feed {
    hs_feed_desc d;
    hs_cuda_batch batch; /* all but epoch and first */
    size_t size;         /* numbers of a sample */
    void *pixels;        /* [count][size] uint8 or float; streamed: [capacity][size] float */
    int32_t *labels;     /* [count]; streamed: [capacity] */
    float *mean, *inverse;
    cudaStream_t beside; /* from here on: streamed */
    cudaEvent_t arrived, taken;
    char *pinned;        /* [capacity][size] float, [capacity] int32 */
};

static size_t item_bytes(const hs_feed_desc *d)
{
    return hs_shape_count(d->shape) * (d->resident && d->bytes ? 1 : sizeof(float));
}

static size_t items(const hs_feed_desc *d)
{
    return d->resident ? (size_t)d->count : (size_t)d->capacity;
}

static size_t data_bytes(const hs_feed_desc *d)
{
    return hs_cuda_line(items(d) * item_bytes(d)) + hs_cuda_line(items(d) * sizeof(int32_t)) +
           (d->resident && d->scaling ? 2 * hs_cuda_line(d->scaling->count * sizeof(float)) : 0);
}

static size_t room(hs_device *device)
{
    size_t available = 0, total = 0;
    (void)device;
    return cudaMemGetInfo(&available, &total) == cudaSuccess ? available : 0;
}

static void destroy(hs_feed **feed)
{
    hs_feed *f = *feed;
    if (!f)
        return;
    if (f->beside) {
        (void)cudaStreamSynchronize(f->beside);
        (void)cudaStreamDestroy(f->beside);
    }
    if (f->arrived)
        (void)cudaEventDestroy(f->arrived);
    if (f->taken)
        (void)cudaEventDestroy(f->taken);
    if (f->pinned)
        (void)cudaFreeHost(f->pinned);
    void *const block[] = {f->pixels, f->labels, f->mean, f->inverse};
    for (size_t i = 0; i < sizeof block / sizeof *block; i++)
        if (block[i])
            (void)cudaFree(block[i]);
    hs_free(f);
    *feed = NULL;
}

static void describe_batch(hs_feed *f)
{
    const hs_feed_desc *d = &f->d;
    f->batch = (hs_cuda_batch){.count = d->count,
                               .seed = d->seed,
                               .shape = d->shape,
                               .shuffle = d->shuffle,
                               .augmented = d->augment != NULL,
                               .top = d->bytes ? 255.0f : INFINITY,
                               .scales = d->scaling ? d->scaling->count : 0};
    if (d->augment)
        f->batch.augment = *d->augment;
}

static hs_status make_resident(hs_device *device, hs_feed *f)
{
    const hs_feed_desc *d = &f->d;
    const size_t scales = f->batch.scales * sizeof(float);
    if (scales) {
        HS_TRY(hs_cuda_put(device, d->scaling->mean, scales, "the normalisation", &f->mean));
        HS_TRY(hs_cuda_put(device, d->scaling->inverse, scales, "the normalisation", &f->inverse));
    }
    return HS_OK;
}

static hs_status make_streamed(hs_feed *f)
{
    const size_t bytes = items(&f->d) * (item_bytes(&f->d) + sizeof(int32_t));
    HS_TRY(hs_cuda_check(cudaStreamCreateWithFlags(&f->beside, cudaStreamNonBlocking), "a CUDA stream"));
    HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&f->arrived, cudaEventDisableTiming), "a CUDA event"));
    HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&f->taken, cudaEventDisableTiming), "a CUDA event"));
    return hs_cuda_check(cudaMallocHost((void **)&f->pinned, bytes), "pinned host memory for batches");
}

static hs_status fill_feed(hs_device *device, hs_feed *f)
{
    describe_batch(f);
    HS_TRY(hs_cuda_alloc(items(&f->d) * item_bytes(&f->d), "data", &f->pixels));
    HS_TRY(hs_cuda_alloc(items(&f->d) * sizeof(int32_t), "labels", &f->labels));
    return f->d.resident ? make_resident(device, f) : make_streamed(f);
}

static hs_status plan(hs_device *device, const hs_feed_desc *desc, hs_feed **out)
{
    hs_feed *f = NULL;
    HS_TRY(hs_calloc(1, sizeof *f, "feed", &f));
    f->d = *desc;
    f->size = hs_shape_count(desc->shape);
    const hs_status st = fill_feed(device, f);
    f->d.augment = NULL; /* copied: the caller's may be gone */
    f->d.scaling = NULL;
    if (st != HS_OK)
        destroy(&f);
    else
        *out = f;
    return st;
}

/* ---- resident ----------------------------------------------------------------------------------------------------------- */

static hs_status load_pixels(hs_stream *s, hs_feed *f, size_t at, size_t numbers, const float *pixels)
{
    uint8_t *narrow = NULL;
    if (!f->d.bytes)
        return hs_cuda_memory_ops.upload(s, (float *)f->pixels + at, pixels, numbers * sizeof *pixels);
    HS_TRY(hs_calloc(numbers, 1, "pixels on their way", &narrow));
    for (size_t i = 0; i < numbers; i++)
        narrow[i] = (uint8_t)pixels[i]; /* they were bytes */
    const hs_status st = hs_cuda_memory_ops.upload(s, (uint8_t *)f->pixels + at, narrow, numbers);
    hs_free(narrow);
    return st;
}

static hs_status load(hs_stream *s, hs_feed *f, int64_t first, int count, const float *pixels, const int32_t *labels)
{
    HS_TRY(load_pixels(s, f, (size_t)first * f->size, (size_t)count * f->size, pixels));
    return hs_cuda_memory_ops.upload(s, f->labels + first, labels, (size_t)count * sizeof *labels);
}

static hs_status gather(hs_stream *s, hs_feed *f, int64_t epoch, int64_t first, int n, void *x, int32_t *labels)
{
    hs_cuda_batch batch = f->batch;
    batch.epoch = epoch;
    batch.first = first;
    return hs_cuda_check(f->d.bytes ? hs_cuda_gather_bytes(hs_cuda_raw(s), batch, n, f->pixels, f->labels, f->mean, f->inverse, x, labels)
                                    : hs_cuda_gather_floats(hs_cuda_raw(s), batch, n, f->pixels, f->labels, f->mean, f->inverse, x, labels),
                         "gathering a batch");
}

/* ---- streamed ----------------------------------------------------------------------------------------------------------- */

static hs_status stage(hs_feed *f, int n, const float *x, const int32_t *labels)
{
    const size_t bytes = (size_t)n * f->size * sizeof *x, label_bytes = (size_t)n * sizeof *labels;
    char *pinned_labels = f->pinned + items(&f->d) * item_bytes(&f->d);
    HS_TRY(hs_cuda_check(cudaEventSynchronize(f->arrived), "waiting for a batch to leave")); /* the batch before has left PINNED */
    memcpy(f->pinned, x, bytes);
    memcpy(pinned_labels, labels, label_bytes);
    HS_TRY(hs_cuda_check(cudaStreamWaitEvent(f->beside, f->taken, 0), "a batch")); /* and what is on the device was taken */
    if (n > 0) {
        HS_TRY(hs_cuda_check(cudaMemcpyAsync(f->pixels, f->pinned, bytes, cudaMemcpyHostToDevice, f->beside), "a batch"));
        HS_TRY(hs_cuda_check(cudaMemcpyAsync(f->labels, pinned_labels, label_bytes, cudaMemcpyHostToDevice, f->beside), "labels"));
    }
    return hs_cuda_check(cudaEventRecord(f->arrived, f->beside), "a batch");
}

static hs_status take(hs_stream *s, hs_feed *f, int n, void *x, int32_t *labels)
{
    HS_TRY(hs_cuda_check(cudaStreamWaitEvent(hs_cuda_raw(s), f->arrived, 0), "a batch"));
    HS_TRY(hs_cuda_memory_ops.copy(s, x, f->pixels, (size_t)n * f->size * sizeof(float)));
    HS_TRY(hs_cuda_memory_ops.copy(s, labels, f->labels, (size_t)n * sizeof *labels));
    return hs_cuda_check(cudaEventRecord(f->taken, hs_cuda_raw(s)), "a batch");
}

const hs_data_ops hs_cuda_data_ops = {
    .bytes = data_bytes,
    .room = room,
    .plan = plan,
    .destroy = destroy,
    .load = load,
    .gather = gather,
    .stage = stage,
    .take = take,
};
