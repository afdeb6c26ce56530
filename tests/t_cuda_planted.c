/* t_cuda_planted.c - the emulation finds what it is there for: kernels and host code with faults put in on purpose must fail, and
 * the same without the fault must pass. What ends the process runs in a child. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cuda_emulation/planted.h"
#include "plane.h"
#include "hs_backend.h"
#include "hs_spectrum.h"

extern const hs_backend hs_backend_cuda;

enum { COUNT = 4 * PLANTED_BLOCK };

typedef struct bench {
    cudaStream_t stream;
    float *x, *y;
    float host[COUNT], back[COUNT];
} bench;

static void must(cudaError_t error)
{
    assert_int_equal(error, cudaSuccess);
}

static void set_up(bench *b)
{
    must(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    must(cudaMalloc((void **)&b->x, sizeof b->host));
    must(cudaMalloc((void **)&b->y, sizeof b->host));
    for (int i = 0; i < COUNT; i++)
        b->host[i] = (float)i;
    must(cudaMemcpyAsync(b->x, b->host, sizeof b->host, cudaMemcpyHostToDevice, b->stream));
}

static void tear_down(bench *b)
{
    must(cudaFree(b->x));
    must(cudaFree(b->y));
    must(cudaStreamDestroy(b->stream));
}

static void fetch(bench *b)
{
    must(cudaMemcpyAsync(b->back, b->y, sizeof b->back, cudaMemcpyDeviceToHost, b->stream));
    must(cudaStreamSynchronize(b->stream));
}

static bool reverses(planted_fault fault)
{
    bench b;
    int wrong = 0;
    set_up(&b);
    must(planted_reverse(b.stream, fault, COUNT, b.x, b.y));
    fetch(&b);
    for (int i = 0; i < COUNT; i++)
        wrong += !(b.back[i] == (float)(i / PLANTED_BLOCK * PLANTED_BLOCK + PLANTED_BLOCK - 1 - i % PLANTED_BLOCK));
    tear_down(&b);
    return wrong == 0;
}

/* The signal that ends ACTION in a child, 0 if it comes back. */
static int signal_of(void (*action)(void))
{
    fflush(stdout);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL); /* cmocka would catch them and go on with its tests */
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        action();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status); /* the address sanitizer exits with a code instead */
}

/* A child that comes back well; a fault ends it, or its numbers are wrong. */
static bool goes_well(void (*action)(void))
{
    return signal_of(action) == 0;
}

static planted_fault planted;

static void reverse_in_child(void)
{
    if (!reverses(planted))
        _exit(1);
}

static bool found(planted_fault fault)
{
    planted = fault;
    return !goes_well(reverse_in_child);
}

static void good_kernels(void **state)
{
    (void)state;
    assert_true(reverses(PLANTED_NONE));
    bench b;
    set_up(&b);
    must(planted_warp_sums(b.stream, COUNT, b.x, b.y));
    fetch(&b);
    for (int i = 0; i < COUNT / 32; i++)
        assert_true(b.back[i] == (float)(32 * (32 * i) + 31 * 32 / 2));
    tear_down(&b);
}

static void wrong_index(void **state)
{
    (void)state;
    assert_true(found(PLANTED_INDEX));
    assert_false(found(PLANTED_NONE));
}

static void missing_barrier(void **state)
{
    (void)state;
    assert_true(found(PLANTED_BARRIER));
}

static bool adds_one(planted_fault fault)
{
    bench b;
    int wrong = 0;
    set_up(&b);
    must(planted_neighbours(b.stream, fault, COUNT, b.x, b.y));
    fetch(&b);
    for (int i = 0; i < COUNT; i++)
        wrong += b.back[i] != (float)(i + 1);
    tear_down(&b);
    return wrong == 0;
}

static void neighbours_in_child(void)
{
    if (!adds_one(planted))
        _exit(1);
}

/* What gives the right numbers here all the same, and on a GPU most of the time. */
static void races(void **state)
{
    (void)state;
    assert_true(adds_one(PLANTED_NONE));
    planted = PLANTED_UNWRITTEN;
    assert_false(goes_well(neighbours_in_child));
    if (!planted_watched()) { /* built with the address sanitizer, which knows of no threads */
        print_message("races are not looked for in this build\n");
        return;
    }
    const planted_fault faults[] = {PLANTED_WARP, PLANTED_BLOCKS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        planted = faults[i];
        assert_false(goes_well(neighbours_in_child));
    }
}

/* One stream writes, another reads, and only the event orders them. */
static bool waits;

static void two_streams(void)
{
    bench b;
    cudaStream_t other;
    cudaEvent_t written, unused;
    set_up(&b);
    must(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    must(cudaEventCreateWithFlags(&written, cudaEventDisableTiming));
    must(cudaEventCreateWithFlags(&unused, cudaEventDisableTiming));
    must(planted_neighbours(b.stream, PLANTED_NONE, COUNT, b.x, b.y));
    must(cudaEventRecord(written, b.stream));
    must(cudaStreamWaitEvent(other, waits ? written : unused, 0));
    must(planted_warp_sums(other, COUNT, b.y, b.x));
    must(cudaStreamSynchronize(b.stream)); /* first, so that the numbers are right in either case */
    must(cudaStreamSynchronize(other));
}

static void missing_event(void **state)
{
    (void)state;
    if (!planted_watched())
        return;
    waits = true;
    assert_true(goes_well(two_streams));
    waits = false;
    assert_false(goes_well(two_streams));
}

static void wrong_launch(void)
{
    bench b;
    set_up(&b);
    must(planted_wrong_launch(b.stream, b.y));
    fetch(&b);
}

static void divergent_barrier(void **state)
{
    (void)state;
    assert_true(found(PLANTED_DIVERGENCE));
    assert_int_not_equal(signal_of(wrong_launch), 0);
}

static void host_pointer_to_kernel(void)
{
    bench b;
    set_up(&b);
    must(planted_reverse(b.stream, PLANTED_NONE, COUNT, b.host, b.y)); /* the copy to the device is missing */
    fetch(&b);
}

static void host_reads_device(void)
{
    bench b;
    set_up(&b);
    volatile float seen = b.x[0];
    (void)seen;
}

static void freed_memory(void)
{
    bench b;
    set_up(&b);
    float *x = b.x;
    tear_down(&b);
    set_up(&b);
    must(cudaFree(b.x));
    must(cudaFree(b.y));
    must(planted_reverse(b.stream, PLANTED_NONE, COUNT, x, x));
    must(cudaStreamSynchronize(b.stream));
}

static void missing_copy(void **state)
{
    (void)state;
    assert_int_not_equal(signal_of(host_pointer_to_kernel), 0);
    assert_int_not_equal(signal_of(host_reads_device), 0);
    assert_int_not_equal(signal_of(freed_memory), 0);
}

/* Work is done when somebody waits, not before: who reads too early finds what was there. */
static void missing_wait(void **state)
{
    (void)state;
    bench b;
    set_up(&b);
    memset(b.back, 0, sizeof b.back);
    must(planted_reverse(b.stream, PLANTED_NONE, COUNT, b.x, b.y));
    must(cudaMemcpyAsync(b.back, b.y, sizeof b.back, cudaMemcpyDeviceToHost, b.stream));
    assert_true(b.back[0] == 0);
    must(cudaStreamSynchronize(b.stream));
    assert_true(b.back[0] == PLANTED_BLOCK - 1);
    tear_down(&b);
}

static void fresh_memory_is_poisoned(void **state)
{
    (void)state;
    bench b;
    set_up(&b);
    fetch(&b);
    for (int i = 0; i < COUNT; i++)
        assert_true(isnan(b.back[i]));
    tear_down(&b);
}

static void wrong_copy_direction(void **state)
{
    (void)state;
    bench b;
    set_up(&b);
    assert_int_not_equal(cudaMemcpyAsync(b.x, b.y, sizeof b.host, cudaMemcpyHostToDevice, b.stream), cudaSuccess);
    (void)cudaGetLastError();
    tear_down(&b);
}

/* ---- the plane kernel --------------------------------------------------------------------------------------------------------- */

enum { PLANE_N = 2, PLANE_C = 20, PLANE_SIDE = 12, PLANE_SMALL = 9 };

/* Between two spectra: inverse transform, rectifier, pooling, transform. */
typedef struct plane_bench {
    const hs_backend *backend;
    hs_device *device;
    cudaStream_t stream;
    hs_cuda_plane plane;
    float *x, *y;
    void *bits;
    size_t in, out; /* numbers */
} plane_bench;

static void must_do(hs_status st)
{
    assert_int_equal(st, HS_OK);
}

static void set_up_plane(plane_bench *b)
{
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "fp32"};
    hs_cuda_chain chain;
    b->backend = &hs_backend_cuda;
    must_do(b->backend->device->open(b->backend, &options, &b->device));
    must(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    must_do(hs_cuda_chain_begin(b->device, HS_SPECTRUM, PLANE_SIDE, PLANE_SIDE, PLANE_C, PLANE_SIDE, PLANE_SIDE, &chain));
    hs_cuda_chain_multiply(&chain, HS_AXIS_INVERSE, PLANE_SIDE, PLANE_SIDE, PLANE_SIDE, PLANE_SIDE);
    hs_cuda_chain_add(&chain, HS_PLANE_RELU, 0);
    hs_cuda_chain_multiply(&chain, HS_AXIS_POOL, PLANE_SIDE, PLANE_SIDE, PLANE_SMALL, PLANE_SMALL);
    hs_cuda_chain_multiply(&chain, HS_AXIS_FORWARD, PLANE_SMALL, PLANE_SMALL, PLANE_SMALL, PLANE_SMALL);
    const int words = hs_cuda_chain_words(&chain, PLANE_SIDE, PLANE_SIDE);
    must_do(hs_cuda_chain_end(&chain, HS_SPECTRUM, PLANE_SMALL, PLANE_SMALL, words, &b->plane));
    b->in = (size_t)hs_bins_count(PLANE_SIDE, PLANE_SIDE) * PLANE_N * 2 * PLANE_C;
    b->out = (size_t)hs_bins_count(PLANE_SMALL, PLANE_SMALL) * PLANE_N * 2 * PLANE_C;
    must(cudaMalloc((void **)&b->x, b->in * sizeof(float)));
    must(cudaMalloc((void **)&b->y, b->out * sizeof(float)));
    must(cudaMalloc(&b->bits, hs_cuda_plane_bits(&b->plane, PLANE_N)));
    float *host = malloc(b->in * sizeof *host);
    assert_non_null(host);
    for (size_t i = 0; i < b->in; i++)
        host[i] = sinf((float)i * 1.7f);
    must(cudaMemcpyAsync(b->x, host, b->in * sizeof *host, cudaMemcpyHostToDevice, b->stream));
    must(cudaStreamSynchronize(b->stream));
    free(host);
}

static void tear_down_plane(plane_bench *b)
{
    must(cudaFree(b->x));
    must(cudaFree(b->y));
    must(cudaFree(b->bits));
    hs_cuda_plane_destroy(&b->plane);
    must(cudaStreamDestroy(b->stream));
    b->backend->device->close(&b->device);
}

typedef cudaError_t plane_run(cudaStream_t, const hs_plane *, int, const void *, const float *, const float *, uint32_t *,
                              const int32_t *, void *);

/* The result in memory that the caller frees; NaN where nothing was written. */
static float *run_plane(plane_bench *b, plane_run *run, const hs_plane *p, const float *tables)
{
    float *host = malloc(b->out * sizeof *host);
    assert_non_null(host);
    must(cudaMemsetAsync(b->y, 0xFF, b->out * sizeof *host, b->stream));
    must(run(b->stream, p, 0, NULL, NULL, NULL, NULL, NULL, NULL));
    must(run(b->stream, p, PLANE_N, b->x, tables, NULL, b->bits, NULL, b->y));
    must(cudaMemcpyAsync(host, b->y, b->out * sizeof *host, cudaMemcpyDeviceToHost, b->stream));
    must(cudaStreamSynchronize(b->stream));
    return host;
}

static bool same(const plane_bench *b, const float *one, float *other)
{
    const bool equal = memcmp(one, other, b->out * sizeof *one) == 0;
    free(other);
    return equal;
}

static struct {
    plane_bench bench;
    const float *good;
    const hs_plane *wrong;
} plane;

static void without_a_barrier(void)
{
    if (!same(&plane.bench, plane.good, run_plane(&plane.bench, planted_plane_run, &plane.bench.plane.p, plane.bench.plane.tables)))
        _exit(1);
}

static void plane_barriers(void **state)
{
    (void)state;
    plane_bench *b = &plane.bench;
    set_up_plane(b);
    float *good = run_plane(b, hs_cuda_plane_run, &b->plane.p, b->plane.tables);
    plane.good = good;
    planted_leave_out(-1);
    assert_true(same(b, good, run_plane(b, planted_plane_run, &b->plane.p, b->plane.tables)));
    const int barriers = planted_barriers();
    assert_true(barriers >= 3); /* behind loading, between rows and columns, behind an operation */
    for (int i = 0; i < barriers; i++) {
        planted_leave_out(i);
        if (goes_well(without_a_barrier))
            fail_msg("barrier %d of %d can be left out and nobody notices", i, barriers);
    }
    free(good);
    tear_down_plane(b);
}

static void at_wrong_places(void)
{
    if (!same(&plane.bench, plane.good, run_plane(&plane.bench, hs_cuda_plane_run, plane.wrong, plane.bench.plane.tables)))
        _exit(1);
}

static void plane_indices(void **state)
{
    (void)state;
    plane_bench *b = &plane.bench;
    set_up_plane(b);
    float *good = run_plane(b, hs_cuda_plane_run, &b->plane.p, b->plane.tables);
    plane.good = good;
    hs_plane narrow = b->plane.p, shifted = b->plane.p, cropped = b->plane.p;
    narrow.row -= 2; /* rows overlap */
    shifted.op[0].left += 128; /* another matrix */
    cropped.kept_h--;
    hs_plane *const wrong[] = {&narrow, &shifted, &cropped};
    for (int i = 0; i < 3; i++) {
        plane.wrong = wrong[i];
        assert_false(goes_well(at_wrong_places));
    }
    free(good);
    tear_down_plane(b);
}

static void plane_without_copy(void)
{
    static const float host[4096];
    plane_bench b;
    set_up_plane(&b);
    free(run_plane(&b, hs_cuda_plane_run, &b.plane.p, host)); /* the tables were not copied to the device */
}

static void plane_missing_copy(void **state)
{
    (void)state;
    assert_int_not_equal(signal_of(plane_without_copy), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_kernels),
        cmocka_unit_test(wrong_index),
        cmocka_unit_test(missing_barrier),
        cmocka_unit_test(divergent_barrier),
        cmocka_unit_test(races),
        cmocka_unit_test(missing_event),
        cmocka_unit_test(missing_copy),
        cmocka_unit_test(missing_wait),
        cmocka_unit_test(fresh_memory_is_poisoned),
        cmocka_unit_test(wrong_copy_direction),
        cmocka_unit_test(plane_barriers),
        cmocka_unit_test(plane_indices),
        cmocka_unit_test(plane_missing_copy),
    };
    return cmocka_run_group_tests_name("faults put in on purpose", tests, NULL, NULL);
}
