/* t_cuda_planted.c - the emulation finds what it is there for: kernels and host code with faults put in on purpose must fail, and
 * the same without the fault must pass. What ends the process runs in a child. */
#include "cuda_child.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_emulation/planted.h"

enum { COUNT = 4 * PLANTED_BLOCK };

typedef struct bench {
    cudaStream_t stream;
    float *x, *y;
    float host[COUNT], back[COUNT];
} bench;

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
    };
    return cmocka_run_group_tests_name("faults put in on purpose", tests, NULL, NULL);
}
