/* memory.c - device memory, and copies between it and the host through pinned memory, so that a copy is queued and never waits
 * for pages. */
#include "hs_cuda.h"

#include <string.h>

hs_status hs_cuda_alloc(size_t bytes, const char *what, void *memory_pointer)
{
    void *memory = NULL;
    size_t available = 0, total = 0;
    const cudaError_t error = cudaMalloc(&memory, bytes ? bytes : 1);
    if (error == cudaSuccess) {
        memcpy(memory_pointer, &memory, sizeof memory);
        return HS_OK;
    }
    (void)cudaGetLastError();
    if (error != cudaErrorMemoryAllocation)
        return hs_cuda_check(error, "device memory");
    (void)cudaMemGetInfo(&available, &total);
    return hs_fail(
        HS_EINTERNAL,
        "%s: %.1f MiB of device memory are needed, %.1f of %.1f MiB are free; use a smaller batch, or a GPU of its own for "
        "each rank",
        what, (double)bytes / 1048576.0, (double)available / 1048576.0, (double)total / 1048576.0);
}

hs_status hs_cuda_put(const hs_device *device, const void *host, size_t bytes, const char *what, void *memory_pointer)
{
    void *memory = NULL;
    const cudaStream_t setup = hs_cuda_device_of(device)->setup;
    HS_TRY(hs_cuda_alloc(bytes, what, &memory));
    hs_status st = hs_cuda_check(bytes ? cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, setup) : cudaSuccess, what);
    if (st == HS_OK)
        st = hs_cuda_check(cudaStreamSynchronize(setup), what);
    if (st != HS_OK)
        (void)cudaFree(memory);
    else
        memcpy(memory_pointer, &memory, sizeof memory);
    return st;
}

static hs_status memory_alloc(hs_device *device, size_t bytes, void **memory)
{
    void *own = NULL;
    const cudaStream_t setup = hs_cuda_device_of(device)->setup;
    HS_TRY(hs_cuda_alloc(bytes, "memory of the network", &own));
    hs_status st = hs_cuda_check(bytes ? cudaMemsetAsync(own, 0, bytes, setup) : cudaSuccess, "clearing device memory");
    if (st == HS_OK)
        st = hs_cuda_check(cudaStreamSynchronize(setup), "clearing device memory");
    if (st != HS_OK)
        (void)cudaFree(own);
    else
        *memory = own;
    return st;
}

static void memory_free(hs_device *device, void *memory)
{
    (void)device;
    if (memory)
        (void)cudaFree(memory);
}

/* The other pinned buffer, when the device has read it. */
static hs_status turn_over(hs_cuda_stream *s)
{
    HS_TRY(hs_cuda_check(cudaEventRecord(s->passed[s->turn], s->stream), "an upload"));
    s->turn = !s->turn;
    s->used = 0;
    return hs_cuda_check(cudaEventSynchronize(s->passed[s->turn]), "waiting for an upload");
}

/* Two pinned buffers in turn, filled from their start: small uploads do not wait for each other, and while the device reads one
 * buffer the host fills the other. All of HOST_FROM is in them or beyond when this returns. */
static hs_status upload(hs_stream *stream, void *device_to, const void *host_from, size_t bytes)
{
    hs_cuda_stream *s = hs_cuda_stream_of(stream);
    for (size_t done = 0; done < bytes;) {
        if (s->used >= HS_CUDA_PINNED)
            HS_TRY(turn_over(s));
        const size_t left = bytes - done, room = HS_CUDA_PINNED - s->used, piece = left < room ? left : room;
        char *at = s->pinned[s->turn] + s->used;
        memcpy(at, (const char *)host_from + done, piece);
        HS_TRY(hs_cuda_check(cudaMemcpyAsync((char *)device_to + done, at, piece, cudaMemcpyHostToDevice, s->stream), "an upload"));
        s->used += hs_cuda_line(piece);
        done += piece;
    }
    return HS_OK;
}

/* Behind all uploads, which share the buffers: when it is there, so are they. */
static hs_status download(hs_stream *stream, void *host_to, const void *device_from, size_t bytes)
{
    hs_cuda_stream *s = hs_cuda_stream_of(stream);
    for (size_t done = 0; done < bytes;) {
        const size_t piece = bytes - done < HS_CUDA_PINNED ? bytes - done : HS_CUDA_PINNED;
        char *at = s->pinned[s->turn];
        HS_TRY(hs_cuda_check(cudaMemcpyAsync(at, (const char *)device_from + done, piece, cudaMemcpyDeviceToHost, s->stream),
                             "a download"));
        HS_TRY(hs_cuda_check(cudaStreamSynchronize(s->stream), "waiting for a download"));
        memcpy((char *)host_to + done, at, piece);
        s->used = 0;
        done += piece;
    }
    return bytes ? HS_OK : hs_cuda_check(cudaStreamSynchronize(s->stream), "waiting for the GPU");
}

static hs_status copy(hs_stream *s, void *to, const void *from, size_t bytes)
{
    return hs_cuda_check(bytes ? cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, hs_cuda_raw(s)) : cudaSuccess,
                         "a copy on the device");
}

static hs_status zero(hs_stream *s, void *memory, size_t bytes)
{
    return hs_cuda_check(bytes ? cudaMemsetAsync(memory, 0, bytes, hs_cuda_raw(s)) : cudaSuccess, "clearing device memory");
}

static hs_status from_float(hs_stream *s, size_t count, const float *host_from, void *real_to)
{
    return upload(s, real_to, host_from, count * sizeof(float));
}

const hs_memory_ops hs_cuda_memory_ops = {
    .alloc = memory_alloc,
    .free = memory_free,
    .upload = upload,
    .download = download,
    .copy = copy,
    .zero = zero,
    .from_float = from_float,
    .host_visible = false,
};
