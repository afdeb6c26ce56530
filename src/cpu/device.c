/* device.c - the CPU as a device: how many threads, which kernels, and the table of the backend. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "cpu.h"

#include <cblas.h>
#include <fftw3.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../ref/ref.h"
#include "config.h"
#include "hs_base.h"

enum { MOST_THREADS = 1024 };

/* The cores that the process may use. A rank that is bound owns its mask; ranks that are not bound all see every core and must share them. */
static int default_threads(int local_size)
{
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
        return 1;
    int cores = CPU_COUNT(&mask);
    if (local_size > 1 && cores >= sysconf(_SC_NPROCESSORS_ONLN))
        cores /= local_size;
    return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : cores;
}

/* Of a core; 1 MB where the system does not say. */
static size_t l2_bytes(void)
{
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (bytes >= 1 << 18)
        return (size_t)bytes;
#endif
    return (size_t)1 << 20;
}

/* HALFSPEC_KERNELS = avx512 | avx2 | plain takes kernels below the best: for tests, and to compare. What the kernels cannot do in the precision
 * that is asked for is done in fp32, and said. */
static hs_status choose_kernels(hs_cpu_device *d, const char *precision)
{
    const char *name = getenv("HALFSPEC_KERNELS");
    const bool by_name = name && *name;
    d->kernels = hs_cpu_kernels_find(by_name ? name : NULL);
    if (!d->kernels)
        return hs_fail(HS_EUSAGE, "HALFSPEC_KERNELS=%s: this processor has no such kernels; use avx512, avx2 or plain, or leave it unset", name);
    if (strcmp(precision, "bf16") == 0) {
        d->bf16 = hs_cpu_bf16_find(d->kernels, by_name);
        if (!d->bf16)
            hs_warn(d->base.log, "precision = bf16: no %s kernels for products in bf16 on this processor; the cpu backend computes in fp32",
                    d->kernels->name);
    } else if (strcmp(precision, "tf32") == 0) {
        hs_warn(d->base.log, "precision = %s: the cpu backend computes in fp32", precision);
    }
    return HS_OK;
}

/* Products are cut among our threads: those of BLAS would fight with them for the cores. Another BLAS must be built or told to be serial. */
static void quiet_blas(void)
{
#ifdef HAVE_OPENBLAS
    openblas_set_num_threads(1);
#endif
}

static void blas_name(char text[64])
{
#ifdef HAVE_OPENBLAS
    char name[24] = "", version[24] = "";
    if (sscanf(openblas_get_config(), "%23s %23s", name, version) == 2)
        snprintf(text, 64, "%s %s", name, version);
#else
    snprintf(text, 64, "CBLAS");
#endif
}

static hs_status open_device(const hs_backend *backend, const hs_device_options *options, hs_device **device)
{
    hs_cpu_device *d = NULL;
    const char *precision = options->precision ? options->precision : "fp32";
    if (strcmp(precision, "double") == 0)
        return hs_fail(HS_EUNSUPPORTED, "precision = double: the cpu backend computes in fp32; use device = ref");
    HS_TRY(hs_calloc(1, sizeof *d, "device", &d));
    const int threads = options->threads > 0 ? options->threads : default_threads(options->local_size);
    d->base = (hs_device){.backend = backend, .threads = threads > MOST_THREADS ? MOST_THREADS : threads, .ordinal = -1, .log = options->log};
    d->l2_bytes = l2_bytes();
    hs_status st = choose_kernels(d, precision);
    if (st == HS_OK)
        st = hs_calloc((size_t)HS_CPU_PACK * (size_t)d->base.threads, sizeof(float), "packing buffers", &d->pack);
    if (st != HS_OK) {
        hs_free(d);
        return st;
    }
    quiet_blas();
    *device = &d->base;
    return HS_OK;
}

static void close_device(hs_device **device)
{
    if (*device)
        hs_free(((hs_cpu_device *)*device)->pack);
    hs_free(*device);
    *device = NULL;
}

static void describe(const hs_device *device, char *text, size_t capacity)
{
    const hs_cpu_device *d = (const hs_cpu_device *)device;
    char blas[64] = "OpenBLAS";
    blas_name(blas);
    snprintf(text, capacity, "cpu: %d thread%s, %s kernels%s, %s, %s", device->threads, device->threads == 1 ? "" : "s", d->kernels->name,
             d->bf16 ? " with bf16 products" : "", fftwf_version, blas);
}

hs_cpu_range hs_cpu_part(size_t total, size_t grain, int index, int count)
{
    const size_t blocks = (total + grain - 1) / grain;
    const size_t first = blocks * (size_t)index / (size_t)count * grain, last = blocks * (size_t)(index + 1) / (size_t)count * grain;
    return (hs_cpu_range){first < total ? first : total, last < total ? last : total};
}

void hs_cpu_each(int threads, int tasks, hs_cpu_body body, const void *context)
{
    if (threads == 1) {
        for (int task = 0; task < tasks; task++)
            body(context, task, 0);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++)
        body(context, task, omp_get_thread_num());
}

bool hs_cpu_panel(int cp, int index, int *first, int *width)
{
    int at = 0, size = 0;
    for (int i = 0; i <= index; i++) {
        at += size;
        const int left = cp - at;
        if (left <= 0)
            return false;
        size = hs_cpu_panel_width(left);
    }
    *first = at;
    *width = size;
    return true;
}

int hs_cpu_panels(int cp)
{
    int count = 0, first, width;
    while (hs_cpu_panel(cp, count, &first, &width))
        count++;
    return count;
}

const hs_device_ops hs_cpu_device_ops = {
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .stream_create = hs_ref32_stream_create,
    .stream_destroy = hs_ref32_stream_destroy,
    .stream_sync = hs_ref32_stream_sync,
};

const hs_backend hs_backend_cpu = {
    .name = "cpu",
    .real = HS_F32,
    .device = &hs_cpu_device_ops,
    .memory = &hs_ref32_memory_ops,
    .gemm = &hs_cpu_gemm_ops,
    .transform = &hs_cpu_transform_ops,
    .conv = &hs_cpu_conv_ops,
    .pool = &hs_cpu_pool_ops,
    .element = &hs_cpu_element_ops,
    .norm = &hs_cpu_norm_ops,
    .loss = &hs_cpu_loss_ops,
    .optim = &hs_cpu_optim_ops,
};
