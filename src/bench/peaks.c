/* peaks.c - what the machine can do, measured at the start, so that every other line can be held against it.
 *
 * Host memory: each thread runs a loop of independent multiply-adds in the vectors that the backend's kernels use, and reads and copies its part of an
 * array far larger than any cache. Other devices: their own product of large matrices, and their own copy. The best of the repeats counts, not the
 * median: a peak is what is possible, and what else runs only takes away from it. All ranks measure at the same time, as they will train. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "bench.h"
#include "loops.h"

enum { REPEATS = 7, LEAST_BYTES = 1 << 26, MOST_SIDE = 8192 };

/* ---- multiply-adds ----------------------------------------------------------------------------------------------------------------- */

typedef struct arithmetic {
    hs_loop loop;
    int width, threads;
    long turns;
    double done; /* operations of one run, all threads */
    float kept;  /* so that nothing is optimised away */
} arithmetic;

static hs_status run_arithmetic(void *context)
{
    arithmetic *a = context;
    double done = 0, kept = 0;
#pragma omp parallel num_threads(a->threads) reduction(+ : done, kept)
    {
        kept += a->loop(a->turns);
        done += 2.0 * HS_LOOP_CHAINS * a->width * (double)a->turns;
    }
    a->done = done;
    a->kept += (float)kept;
    return HS_OK;
}

/* The width that the kernels of DEVICE have: it says so itself. */
static int vector_width(const hs_device *device)
{
    char text[256];
    device->backend->device->describe(device, text, sizeof text);
    return strstr(text, "avx512") ? 16 : strstr(text, "avx2") ? 8 : 4;
}

static void print_peak(hs_bench *b, const char *what, hs_work work, hs_timing *t, const char *note)
{
    double best = hs_timing_best(t);
    t->count = 0; /* the row shows the run that counts */
    hs_timing_add(t, best);
    hs_bench_row row = {.part = "peaks", .name = work.flop > 0 ? "multiply-add" : "memory", .what = what, .timing = t, .work = work, .error = NAN, .note = note};
    hs_report_row(&b->report, &row);
}

static hs_status measure_arithmetic(hs_bench *b, int threads)
{
    arithmetic a = {.width = vector_width(b->trainer.world.device), .threads = threads, .turns = 1000};
    hs_timing t = {.count = 0};
    char what[64];
    a.loop = hs_loop_find(&a.width);
    for (double seconds = 0; seconds < 0.01; a.turns *= 2) { /* long enough for the clock, and for other threads to start */
        double begin = hs_now();
        a.kept += a.loop(a.turns);
        seconds = hs_now() - begin;
    }
    HS_TRY(hs_timing_run(run_arithmetic, &a, REPEATS * 0.02, &t));
    snprintf(what, sizeof what, "%d thread%s, %d floats wide", threads, threads > 1 ? "s" : "", a.width);
    b->report.peaks.flops = fmax(b->report.peaks.flops, a.done / hs_timing_best(&t));
    print_peak(b, what, (hs_work){a.done, 0}, &t, isfinite(a.kept) ? NULL : "not finite");
    return HS_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------------- */

typedef struct memory {
    float *x;
    size_t count; /* floats, a multiple of 2 * 128 a thread */
    int threads;
    bool copy;    /* the first half to the second; else read all */
    float kept;
} memory;

static void own_part(size_t count, size_t *first, size_t *part)
{
    size_t thread = 0, threads = 1;
#if defined(_OPENMP)
    thread = (size_t)omp_get_thread_num();
    threads = (size_t)omp_get_num_threads();
#endif
    size_t grain = count / 128 / threads;
    *first = thread * grain * 128;
    *part = grain * 128;
}

static hs_status run_memory(void *context)
{
    memory *m = context;
    float kept = 0;
#pragma omp parallel num_threads(m->threads) reduction(+ : kept)
    {
        size_t first, part, half = m->count / 2;
        own_part(m->copy ? half : m->count, &first, &part);
        if (m->copy)
            memcpy(m->x + half + first, m->x + first, part * sizeof(float));
        else
            kept += hs_loop_read(m->x + first, part);
    }
    m->kept += kept;
    return HS_OK;
}

static hs_status measure_memory(hs_bench *b, int threads)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = LEAST_BYTES, most = b->options->seconds < 4 ? LEAST_BYTES : (size_t)1 << 29; /* touching it first takes longest */
    while ((cache <= 0 || bytes < 3 * (size_t)cache) && bytes < most)
        bytes *= 2;
    memory m = {.count = bytes / sizeof(float), .threads = threads};
    hs_status st = HS_OK;
    char what[64];
    HS_TRY(hs_calloc(m.count, sizeof(float), "array to measure memory with", &m.x));
    hs_bench_random(1, m.x, m.count);
    for (int copy = 0; copy < 2 && st == HS_OK; copy++) {
        hs_timing t = {.count = 0};
        m.copy = copy;
        st = hs_timing_run(run_memory, &m, REPEATS * 0.03, &t);
        if (st != HS_OK)
            break;
        b->report.peaks.bytes = fmax(b->report.peaks.bytes, (double)bytes / hs_timing_best(&t)); /* a copy reads one half and writes the other */
        snprintf(what, sizeof what, "%s, %d thread%s, %zu MiB", copy ? "copy" : "read", threads, threads > 1 ? "s" : "", bytes >> 20);
        print_peak(b, what, (hs_work){0, (double)bytes}, &t, isfinite(m.kept) ? NULL : "not finite");
    }
    hs_free(m.x);
    return st;
}

/* ---- other devices -------------------------------------------------------------------------------------------------------------------- */

typedef struct device_run {
    hs_device *device;
    hs_stream *stream;
    char *memory; /* three matrices */
    int side;
    bool copy;
} device_run;

static hs_status run_device(void *context)
{
    device_run *r = context;
    const hs_backend *backend = r->device->backend;
    size_t bytes = (size_t)r->side * (size_t)r->side * backend->real;
    if (r->copy)
        HS_TRY(backend->memory->copy(r->stream, r->memory + bytes, r->memory, bytes));
    else
        HS_TRY(backend->gemm->gemm(r->stream, false, false, r->side, r->side, r->side, 1, r->memory, r->side, r->memory + bytes, r->side, 0,
                                   r->memory + 2 * bytes, r->side));
    return backend->device->stream_sync(r->stream);
}

static hs_status fill_device(const device_run *r, size_t count)
{
    float *x = NULL;
    HS_TRY(hs_calloc(count, sizeof *x, "numbers for a device", &x));
    hs_bench_random(2, x, count);
    hs_status st = r->device->backend->memory->from_float(r->stream, count, x, r->memory);
    hs_free(x);
    return st;
}

static hs_status open_device_run(hs_bench *b, int side, device_run *r)
{
    hs_world *w = &b->trainer.world;
    size_t count = (size_t)side * (size_t)side;
    *r = (device_run){.device = w->device, .stream = w->stream, .side = side};
    HS_TRY(w->device->backend->memory->alloc(w->device, 3 * count * w->device->backend->real, (void **)&r->memory));
    return fill_device(r, 2 * count);
}

static void close_device_run(device_run *r)
{
    if (r->memory)
        r->device->backend->memory->free(r->device, r->memory);
}

/* Seconds of one product behind a first one. */
static hs_status try_device(hs_bench *b, int side, double *seconds)
{
    device_run r = {.side = 0};
    hs_status st = open_device_run(b, side, &r);
    for (int i = 0; i < 2 && st == HS_OK; i++) {
        double begin = hs_now();
        st = run_device(&r);
        *seconds = hs_now() - begin;
    }
    close_device_run(&r);
    return st;
}

static hs_status measure_device(hs_bench *b, int side)
{
    device_run r = {.side = 0};
    size_t count = (size_t)side * (size_t)side, bytes = count * b->trainer.world.device->backend->real;
    hs_timing product = {.count = 0}, copy = {.count = 0};
    hs_work product_work = {2.0 * (double)count * side, 0}, copy_work = {0, 2.0 * (double)bytes};
    char what[64];
    hs_status st = open_device_run(b, side, &r);
    if (st == HS_OK)
        st = hs_timing_run(run_device, &r, 0.3, &product);
    r.copy = true;
    if (st == HS_OK)
        st = hs_timing_run(run_device, &r, 0.3, &copy);
    close_device_run(&r);
    HS_TRY(st);
    b->report.peaks = (hs_peaks){product_work.flop / hs_timing_best(&product), copy_work.bytes / hs_timing_best(&copy)};
    snprintf(what, sizeof what, "product of %d x %d", side, side);
    print_peak(b, what, product_work, &product, NULL);
    snprintf(what, sizeof what, "copy of %zu MiB", bytes >> 20);
    print_peak(b, what, copy_work, &copy, NULL);
    return HS_OK;
}

/* Large enough to keep the device busy for a few milliseconds: doubled until it is. */
static hs_status measure_large(hs_bench *b)
{
    double seconds = 0;
    int side = 256;
    while (side < MOST_SIDE && seconds < 4e-3) {
        side *= 2;
        HS_TRY(try_device(b, side, &seconds));
    }
    return measure_device(b, side);
}

hs_status hs_bench_peaks(hs_bench *b)
{
    const hs_device *device = b->trainer.world.device;
    hs_status st = HS_OK;
    HS_TRY(hs_barrier(b->comm));
    if (!device->backend->memory->host_visible)
        return hs_agree(b->comm, measure_large(b));
    for (int threads = 1; st == HS_OK; threads = 2 * threads < device->threads ? 2 * threads : device->threads) {
        st = measure_arithmetic(b, threads);
        if (threads == device->threads)
            break;
    }
    if (st == HS_OK)
        st = measure_memory(b, device->threads);
    return hs_agree(b->comm, st);
}
