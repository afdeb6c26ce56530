/* t_cuda_pooled_planted.c - the kernels of a pooled convolution with few blocks, which then take several tiles each, against many; and that every
 * barrier of theirs is needed: results change when one is taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_cuda.h"
#include "planted_pool.h"

enum { N = 2, SIDE = 24, CI = 3, CO = 40, K = 3, P = 12, FEW = 2, MANY = 1000 };
enum { X = N * SIDE * SIDE * CI, TAPS = K * K * CI * CO, Y = N * P * P * CO, RESULTS = 2 * Y + 2 * (TAPS + CO), PARTIAL = 64 * (TAPS + CO) };

typedef struct bench {
    hs_device *device;
    hs_stream *stream;
    hs_conv *conv;
    float *x, *taps, *bias, *y, *dy, *partial, *dtaps, *dbias;
    uint32_t *packed;
    uint8_t *winner;
} bench;

static void must(cudaError_t error)
{
    if (error != cudaSuccess)
        fail_msg("%s", cudaGetErrorString(error));
}

/* Eighths and quarters: sums are exact, whoever adds them up. */
static float *put(const bench *b, size_t count, uint32_t seed, float unit)
{
    float *host = malloc(count * sizeof *host), *device = NULL;
    for (size_t i = 0; i < count; i++)
        host[i] = unit * (float)((int)((seed += 0x9E3779B9u) * 2654435761u >> 27) - 16);
    must(cudaMalloc((void **)&device, count * sizeof *host));
    must(cudaMemcpyAsync(device, host, count * sizeof *host, cudaMemcpyHostToDevice, hs_cuda_raw(b->stream)));
    must(cudaStreamSynchronize(hs_cuda_raw(b->stream)));
    free(host);
    return device;
}

static int set_up(void **state)
{
    static bench b;
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = "tf32"};
    const hs_conv_desc d = {.capacity = N, .h = SIDE, .w = SIDE, .ci = CI, .co = CO, .kh = K, .kw = K, .stride = 1, .oh = SIDE, .ow = SIDE, .pad_h = 1,
                            .pad_w = 1, .bias = true, .relu = true, .pool = 3, .pool_stride = 2, .ph = P, .pw = P, .engine = HS_ENGINE_DIRECT};
    if (hs_backend_cuda.device->open(&hs_backend_cuda, &options, &b.device) != HS_OK ||
        hs_backend_cuda.device->stream_create(b.device, &b.stream) != HS_OK || hs_backend_cuda.conv->plan(b.device, &d, &b.conv) != HS_OK)
        return 1;
    b.x = put(&b, X, 1, 0.125f), b.taps = put(&b, TAPS, 2, 0.25f), b.bias = put(&b, CO, 3, 0.125f), b.dy = put(&b, Y, 4, 0.125f);
    b.y = put(&b, Y, 5, 1), b.partial = put(&b, PARTIAL, 6, 1), b.dtaps = put(&b, TAPS, 7, 1), b.dbias = put(&b, CO, 8, 1);
    b.packed = (uint32_t *)put(&b, (size_t)b.conv->pooled.chunks * b.conv->pooled.words, 9, 1);
    b.winner = (uint8_t *)put(&b, Y / 4, 10, 1);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    void *all[] = {b->x, b->taps, b->bias, b->y, b->dy, b->partial, b->dtaps, b->dbias, b->packed, b->winner};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        must(cudaFree(all[i]));
    hs_backend_cuda.conv->destroy(&b->conv);
    hs_backend_cuda.device->stream_destroy(&b->stream);
    hs_backend_cuda.device->close(&b->device);
    return 0;
}

static float *fetch(const bench *b, float *to, const void *from, size_t bytes)
{
    must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, hs_cuda_raw(b->stream)));
    must(cudaStreamSynchronize(hs_cuda_raw(b->stream)));
    return to + bytes / sizeof *to;
}

/* y and winners, then the gradients by both kernels. */
static float *run(const bench *b, int most)
{
    float *all = malloc(RESULTS * sizeof *all), *to = all;
    const hs_cuda_pooled g = b->conv->pooled;
    const int tiles = hs_cuda_pooled_tiles(&g, N), blocks = tiles < most ? tiles : most;
    cudaStream_t s = hs_cuda_raw(b->stream);
    must(planted_pooled_pack(s, HS_CUDA_TF32, g, b->taps, b->packed));
    must(planted_pooled_forward(s, HS_CUDA_TF32, g, N, blocks, b->x, b->packed, b->bias, b->y, b->winner));
    to = fetch(b, to, b->y, Y * sizeof *to);
    to = fetch(b, to, b->winner, Y);
    for (int dense = 0; dense < 2; dense++) {
        must(dense ? planted_pooled_dense(s, HS_CUDA_TF32, g, tiles, blocks, b->x, b->dy, b->winner, b->partial)
                   : planted_pooled_sparse(s, g, tiles, blocks, b->x, b->dy, b->winner, b->partial));
        must(planted_pooled_total(s, g, blocks, b->partial, b->dtaps, b->dbias));
            to = fetch(b, to, b->dtaps, TAPS * sizeof *to);
        to = fetch(b, to, b->dbias, CO * sizeof *to);
    }
    return all;
}

enum { FOUND = Y + Y / 4, GRADIENTS = TAPS + CO };

static bool same(const float *one, float *other)
{
    const bool equal = memcmp(one, other, (FOUND + 2 * GRADIENTS) * sizeof *one) == 0;
    free(other);
    return equal;
}

/* Sums are exact, so that the two gradients are equal as well, however tiles are shared. */
static void few_blocks(void **state)
{
    float *good = run(*state, MANY);
    double largest = 0;
    for (int i = 0; i < GRADIENTS; i++) {
        assert_true(good[FOUND + i] == good[FOUND + GRADIENTS + i]);
        largest = good[FOUND + i] > largest ? good[FOUND + i] : largest;
    }
    assert_true(largest > 1);
    assert_true(same(good, run(*state, FEW)));
    free(good);
}

static void barriers(void **state)
{
    planted_pool_leave_out(-1);
    float *good = run(*state, FEW);
    const int count = planted_pool_barriers();
    assert_true(count >= 7);
    for (int i = 0; i < count; i++) {
        const char *place = planted_pool_leave_out(i);
        if (same(good, run(*state, FEW)))
            fail_msg("the barrier at %s can be left out and nobody notices", place);
    }
    planted_pool_leave_out(-1);
    assert_true(same(good, run(*state, FEW)));
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(few_blocks), cmocka_unit_test(barriers)};
    return cmocka_run_group_tests_name("kernels of pooled convolutions", tests, set_up, tear_down);
}
