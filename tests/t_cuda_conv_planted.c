/* t_cuda_conv_planted.c - every barrier of the kernels that convolve in space is needed, with maps in fp32 through two buffers of shared memory
 * and in bf16 through three: results change when one is taken out, and when copies are not waited for. Sums are exact, so that equal means equal bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_cuda.h"
#include "planted_conv.h"

enum { N = 2, H = 10, W = 9, CI = 32, CO = 40, K = 3, SPAN = 96 };
enum { X = N * H * W * CI, TAPS = K * K * CI * CO, Y = N * H * W * CO, SPANS = (N * H * W + SPAN - 1) / SPAN };

typedef struct bench {
    hs_device *device;
    hs_stream *stream;
    hs_conv *conv;
    float *taps;
    void *x, *dy, *y, *packed, *partial, *dtaps;
    bool half;
} bench;

static void must(cudaError_t error)
{
    if (error != cudaSuccess)
        fail_msg("%s", cudaGetErrorString(error));
}

static void *get(size_t bytes)
{
    void *device = NULL;
    must(cudaMalloc(&device, bytes));
    return device;
}

/* Eighths of small numbers, which bf16 has too. */
static void *put(const bench *b, bool half, size_t count, uint32_t seed)
{
    const size_t bytes = count * (half ? 2 : 4);
    char *host = malloc(bytes);
    for (size_t i = 0; i < count; i++) {
        const float value = 0.125f * (float)((int)((seed += 0x9E3779B9u) * 2654435761u >> 28) - 8);
        memcpy(host + i * (half ? 2 : 4), (const char *)&value + (half ? 2 : 0), half ? 2 : 4);
    }
    void *device = get(bytes);
    must(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, hs_cuda_raw(b->stream)));
    must(cudaStreamSynchronize(hs_cuda_raw(b->stream)));
    free(host);
    return device;
}

static void set_up(bench *b, const char *precision, bool sealed)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = precision};
    const hs_conv_desc d = {.capacity = N, .h = H, .w = W, .ci = CI, .co = CO, .kh = K, .kw = K, .stride = 1, .oh = H, .ow = W, .pad_h = 1, .pad_w = 1,
                            .need_dx = true, .engine = HS_ENGINE_DIRECT, .sealed_in = sealed, .sealed_out = sealed, .way = 1};
    *b = (bench){.half = sealed};
    assert_int_equal(hs_backend_cuda.device->open(&hs_backend_cuda, &options, &b->device), HS_OK);
    assert_int_equal(hs_backend_cuda.device->stream_create(b->device, &b->stream), HS_OK);
    assert_int_equal(hs_backend_cuda.conv->plan(b->device, &d, &b->conv), HS_OK);
    assert_string_equal(hs_backend_cuda.conv->way_name(b->conv), "implicit");
    assert_true(b->conv->implicit.taps.half == sealed);
    b->x = put(b, sealed, X, 1), b->dy = put(b, sealed, Y, 2), b->taps = put(b, false, TAPS, 3);
    b->y = get(Y * sizeof(float)), b->dtaps = get(TAPS * sizeof(float)), b->partial = get((size_t)SPANS * TAPS * sizeof(float));
    b->packed = get((size_t)b->conv->implicit.forward.places * hs_cuda_padded(CO) * sizeof(float));
}

static void tear_down(bench *b)
{
    void *all[] = {b->x, b->dy, b->taps, b->y, b->dtaps, b->partial, b->packed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        must(cudaFree(all[i]));
    hs_backend_cuda.conv->destroy(&b->conv);
    hs_backend_cuda.device->stream_destroy(&b->stream);
    hs_backend_cuda.device->close(&b->device);
}

/* y and the filter gradient, in memory that the caller frees. */
static float *run(const bench *b)
{
    float *all = malloc((Y + TAPS) * sizeof *all);
    const hs_cuda_implicit *own = &b->conv->implicit;
    const hs_cuda_math math = hs_cuda_of(b->stream)->math;
    cudaStream_t s = hs_cuda_raw(b->stream);
    must(hs_cuda_pack_taps(s, own->forward, CO, own->x_place, b->taps, b->packed));
    must(planted_conv_rows(s, math, own->forward, N, CO, own->x_place, b->x, b->packed, NULL, false, b->y, NULL));
    must(planted_conv_taps(s, math, own->taps, N, SPAN, CO, own->x_place, b->x, b->dy, b->partial, b->dtaps));
    must(cudaMemcpyAsync(all, b->y, Y * sizeof *all, cudaMemcpyDeviceToHost, s));
    must(cudaMemcpyAsync(all + Y, b->dtaps, TAPS * sizeof *all, cudaMemcpyDeviceToHost, s));
    must(cudaStreamSynchronize(s));
    return all;
}

static bool same(const float *one, float *other)
{
    const bool equal = memcmp(one, other, (Y + TAPS) * sizeof *one) == 0;
    free(other);
    return equal;
}

static void every_barrier(const char *precision, bool sealed)
{
    bench b;
    set_up(&b, precision, sealed);
    planted_conv_leave_out(-1);
    float *good = run(&b);
    const int count = planted_conv_barriers();
    assert_true(count >= 4); /* rows: spots, slices; taps: slices; the spans' sums */
    for (int i = 0; i < count; i++) {
        const char *place = planted_conv_leave_out(i);
        if (same(good, run(&b)))
            fail_msg("the barrier at %s can be left out in %s and nobody notices", place, precision);
    }
    planted_conv_leave_out(-1);
    planted_conv_hurry(true);
    assert_false(same(good, run(&b)));
    planted_conv_hurry(false);
    assert_true(same(good, run(&b)));
    free(good);
    tear_down(&b);
}

static void maps_in_fp32(void **state)
{
    (void)state;
    every_barrier("tf32", false);
}

static void maps_in_bf16(void **state)
{
    (void)state;
    every_barrier("bf16", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_in_fp32), cmocka_unit_test(maps_in_bf16)};
    return cmocka_run_group_tests_name("kernels of convolutions in space", tests, NULL, NULL);
}
