/* device.c - which GPU, what it can do, and streams. Every way in which there may be none has a sentence of its own. */
#include "hs_cuda.h"

#include <stdio.h>
#include <string.h>

#include "cudnn_api.h"
#include "hs_base.h"

enum { BLAS_WORKSPACE = 32 << 20 };

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static hs_status count_devices(int *count)
{
    int driver = 0, runtime = 0;
    const cudaError_t error = cudaGetDeviceCount(count);
    if (error == cudaSuccess && *count > 0)
        return HS_OK;
    (void)cudaGetLastError(); /* or the next launch would report it again */
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    if (error == cudaSuccess || error == cudaErrorNoDevice)
        return hs_fail(HS_EUNSUPPORTED,
                       "no CUDA device is visible; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use device = cpu");
    if (driver == 0)
        return hs_fail(HS_EUNSUPPORTED, "no NVIDIA driver is loaded; use device = cpu, or run where there is a GPU");
    if (error == cudaErrorInsufficientDriver)
        return hs_fail(HS_EUNSUPPORTED,
                       "the NVIDIA driver is too old: it serves CUDA %d.%d, this program needs %d.%d; update the driver",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorSystemNotReady)
        return hs_fail(HS_EIO, "the GPUs of this machine are not ready: where a switch connects them, nvidia-fabricmanager has to run first; or use "
                               "device = cpu");
    return hs_cuda_check(error, "looking for CUDA devices");
}

static hs_status choose_precision(const char *name, hs_cuda_device *d)
{
    static const struct {
        const char *name;
        cublasComputeType_t compute;
        hs_cuda_math math;
    } known[] = {{"fp32", CUBLAS_COMPUTE_32F, HS_CUDA_PLAIN},
                 {"tf32", CUBLAS_COMPUTE_32F_FAST_TF32, HS_CUDA_TF32},
                 {"bf16", CUBLAS_COMPUTE_32F_FAST_16BF, HS_CUDA_BF16},
                 {"exact", CUBLAS_COMPUTE_32F_PEDANTIC, HS_CUDA_PLAIN}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name ? name : "fp32", known[i].name) == 0) {
            d->precision = known[i].name;
            d->compute = known[i].compute;
            d->math = known[i].math;
            return HS_OK;
        }
    return hs_fail(HS_EUNSUPPORTED, "precision = %s: device cuda has fp32, tf32, bf16 and exact; use device = ref for double",
                   name);
}

/* Rates for cost(). Bandwidth is that of the generation's largest part; both are taken at what well-made kernels reach. */
static void guess_rates(hs_cuda_device *d)
{
    const bool fast = strcmp(d->precision, "tf32") == 0 || strcmp(d->precision, "bf16") == 0;
    const double tensor = strcmp(d->precision, "bf16") == 0
                              ? 13
                              : 6.6; /* over fp32 without tensor cores, on compute capability 8 and 9 */
    d->bandwidth = 0.85 * (d->major >= 10 ? 7.0e12 : d->major == 9 ? 3.0e12 : d->major == 8 ? 1.5e12 : 0.7e12);
    d->plain = 0.7 * d->processors * (d->major >= 8 ? 128 : 64) * 2 * 1.7e9;
    d->products = d->plain * (fast && d->major >= 8 ? tensor : 1);
}

static hs_status look_at(hs_cuda_device *d)
{
    struct cudaDeviceProp properties;
    HS_TRY(hs_cuda_check(cudaGetDeviceProperties(&properties, d->base.ordinal), "asking a CUDA device what it is"));
    HS_TRY(hs_cuda_check(cudaDeviceGetPCIBusId(d->bus, (int)sizeof d->bus, d->base.ordinal), "asking a CUDA device where it is"));
    snprintf(d->name, sizeof d->name, "%.127s", properties.name);
    d->major = properties.major;
    d->minor = properties.minor;
    d->processors = properties.multiProcessorCount;
    d->memory = properties.totalGlobalMem;
    d->shared = properties.sharedMemPerBlockOptin;
    guess_rates(d);
    return HS_OK;
}

/* Runs a kernel: only that shows that the program holds code for the device. */
static hs_status try_kernel(const hs_cuda_device *d)
{
    char what[192];
    int *out = NULL, seen = 0;
    snprintf(what, sizeof what, "cuda:%d (%s, compute capability %d.%d)", d->base.ordinal, d->name, d->major, d->minor);
    HS_TRY(hs_cuda_alloc(sizeof *out, "a first kernel", &out));
    hs_status st = hs_cuda_check(hs_cuda_probe(d->setup, out), what);
    if (st == HS_OK)
        st = hs_cuda_check(cudaMemcpyAsync(&seen, out, sizeof seen, cudaMemcpyDeviceToHost, d->setup), what);
    if (st == HS_OK)
        st = hs_cuda_check(cudaStreamSynchronize(d->setup), what);
    (void)cudaFree(out);
    if (st == HS_OK && seen != 42)
        st = hs_fail(HS_EINTERNAL, "%s does not do what a kernel says; look at nvidia-smi for errors of the device", what);
    return st;
}

static hs_status take(hs_cuda_device *d, const hs_device_options *options)
{
    int count = 0;
    HS_TRY(choose_precision(options->precision, d));
    HS_TRY(count_devices(&count));
    d->base.ordinal = options->ordinal >= 0 ? options->ordinal : options->local_rank % count;
    if (d->base.ordinal >= count)
        return hs_fail(HS_EUSAGE, "device = cuda:%d: this host has %d CUDA device%s, numbered from 0", d->base.ordinal, count,
                       count == 1 ? "" : "s");
    const cudaError_t error = cudaSetDevice(d->base.ordinal);
    if (error != cudaSuccess)
        return hs_fail(HS_EIO,
                       "cuda:%d cannot be used: %s; another process may have it to itself (nvidia-smi shows the compute mode)",
                       d->base.ordinal, cudaGetErrorString(error));
    HS_TRY(look_at(d));
    HS_TRY(hs_cuda_check(cudaStreamCreateWithFlags(&d->setup, cudaStreamNonBlocking), "a CUDA stream"));
    return try_kernel(d);
}

static void device_close(hs_device **device)
{
    hs_cuda_device *d = hs_cuda_device_of(*device);
    if (d && d->setup)
        (void)cudaStreamDestroy(d->setup);
    if (d)
        hs_cudnn_close(&d->cudnn);
    hs_free(d);
    *device = NULL;
}

static hs_status device_open(const hs_backend *backend, const hs_device_options *options, hs_device **device)
{
    hs_cuda_device *d = NULL;
    HS_TRY(hs_calloc(1, sizeof *d, "device", &d));
    d->base = (hs_device){
        .backend = backend, .threads = options->threads > 0 ? options->threads : 1, .ordinal = -1, .log = options->log};
    const hs_status st = take(d, options);
    hs_device *base = &d->base;
    if (st != HS_OK)
        device_close(&base);
    else
        *device = base;
    return st;
}

/* The versions on which times depend too: measured costs are kept under this line. */
static void describe_libraries(const hs_cuda_device *d, char *text, size_t capacity)
{
    int runtime = 0, fft = 0, blas[3] = {0, 0, 0};
    const hs_cudnn *cudnn = hs_cuda_cudnn_of(d);
    (void)cudaRuntimeGetVersion(&runtime);
    (void)cufftGetVersion(&fft);
    for (int i = 0; i < 3; i++)
        (void)cublasGetProperty((libraryPropertyType)i, &blas[i]);
    const int used = snprintf(text, capacity, "CUDA %d.%d, cuFFT %d.%d, cuBLAS %d.%d.%d, ", runtime / 1000, runtime % 1000 / 10,
                              fft / 1000, fft % 1000 / 100, blas[0], blas[1], blas[2]);
    if (used < 0 || (size_t)used >= capacity)
        return;
    if (cudnn)
        snprintf(text + used, capacity - (size_t)used, "cuDNN %zu.%zu.%zu", cudnn->version / 10000, cudnn->version / 100 % 100,
                 cudnn->version % 100);
    else
        snprintf(text + used, capacity - (size_t)used, "no cuDNN");
}

static void describe(const hs_device *device, char *text, size_t capacity)
{
    const hs_cuda_device *d = hs_cuda_device_of(device);
    char libraries[96];
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    describe_libraries(d, libraries, sizeof libraries);
    snprintf(text, capacity, "cuda:%d: %s (%d.%d, %d processors, %.0f GiB), %s, %s, driver for %d.%d", d->base.ordinal, d->name,
             d->major, d->minor, d->processors, (double)d->memory / 1073741824.0, d->precision, libraries, driver / 1000,
             driver % 1000 / 10);
}

/* ---- streams ------------------------------------------------------------------------------------------------------------ */

static void stream_destroy(hs_stream **stream)
{
    hs_cuda_stream *s = hs_cuda_stream_of(*stream);
    if (!s)
        return;
    if (s->stream)
        (void)cudaStreamSynchronize(s->stream);
    if (s->blas)
        (void)cublasDestroy(s->blas);
    for (int i = 0; i < 2; i++) {
        if (s->passed[i])
            (void)cudaEventDestroy(s->passed[i]);
        if (s->pinned[i])
            (void)cudaFreeHost(s->pinned[i]);
    }
    for (int i = 0; i < HS_POST_SLOTS; i++)
        if (s->mailed[i])
            (void)cudaEventDestroy(s->mailed[i]);
    if (s->mail)
        (void)cudaFreeHost(s->mail);
    if (s->blas_workspace)
        (void)cudaFree(s->blas_workspace);
    if (s->partial)
        (void)cudaFree(s->partial);
    if (s->stream)
        (void)cudaStreamDestroy(s->stream);
    hs_free(s);
    *stream = NULL;
}

/* A handle of cuBLAS for this stream alone, with a workspace of ours, as large as cuBLAS takes for itself on compute capability 9: then it allocates
 * nothing while a step is recorded, and equal calls give equal bits (atomics are off unless asked for). Copies of pinned memory and events belong to the
 * stream too, so nothing else may be under way on them; only this thread calls CUDA, prefetching fills host memory. */
static hs_status fill_stream(hs_cuda_stream *s)
{
    HS_TRY(hs_cuda_check(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking), "a CUDA stream"));
    HS_TRY(hs_cuda_alloc(HS_CUDA_PARTIALS * sizeof(double), "sums", &s->partial));
    HS_TRY(hs_cuda_alloc(BLAS_WORKSPACE, "the workspace of cuBLAS", &s->blas_workspace));
    for (int i = 0; i < 2; i++) {
        HS_TRY(hs_cuda_check(cudaMallocHost((void **)&s->pinned[i], HS_CUDA_PINNED), "pinned host memory"));
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&s->passed[i], cudaEventDisableTiming), "a CUDA event"));
    }
    HS_TRY(hs_cuda_check(cudaMallocHost((void **)&s->mail, HS_POST_SLOTS * HS_POST_MOST), "pinned host memory"));
    for (int i = 0; i < HS_POST_SLOTS; i++)
        HS_TRY(hs_cuda_check(cudaEventCreateWithFlags(&s->mailed[i], cudaEventDisableTiming), "a CUDA event"));
    HS_TRY(hs_cuda_check_blas(cublasCreate(&s->blas), "starting cuBLAS"));
    HS_TRY(
        hs_cuda_check_blas(cublasSetStream(s->blas, s->stream), "starting cuBLAS")); /* resets the workspace, so it comes first */
    HS_TRY(hs_cuda_check_blas(cublasSetWorkspace(s->blas, s->blas_workspace, BLAS_WORKSPACE), "starting cuBLAS"));
    /* Products that are cut along K add up their parts in fp32 even where the result is stored as bf16. */
    return hs_cuda_check_blas(cublasSetMathMode(s->blas, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION), "starting cuBLAS");
}

static hs_status stream_create(hs_device *device, hs_stream **stream)
{
    hs_cuda_stream *s = NULL;
    HS_TRY(hs_calloc(1, sizeof *s, "stream", &s));
    s->base.device = device;
    const hs_status st = fill_stream(s);
    hs_stream *base = &s->base;
    if (st != HS_OK)
        stream_destroy(&base);
    else
        *stream = base;
    return st;
}

static hs_status stream_sync(hs_stream *stream)
{
    return hs_cuda_check(cudaStreamSynchronize(hs_cuda_raw(stream)), "waiting for the GPU");
}

const hs_device_ops hs_cuda_device_ops = {
    .open = device_open,
    .close = device_close,
    .describe = describe,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_sync = stream_sync,
    .record_begin = hs_cuda_record_begin,
    .record_end = hs_cuda_record_end,
    .record_repeat = hs_cuda_record_repeat,
    .record_destroy = hs_cuda_record_destroy,
    .post = hs_cuda_post,
    .collect = hs_cuda_collect,
};
