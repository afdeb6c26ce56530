/* t_cpu_alloc.c - nothing is allocated on the step path of the CPU backend: every op is called once to start the threads, and then again
 * while malloc and its relatives, which this program defines in front of the C library's, count. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define COUNTING 0
#else
#define COUNTING 1
static atomic_bool counting;
static atomic_int allocations;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static void note(void)
{
    if (atomic_load(&counting))
        atomic_fetch_add(&allocations, 1);
}

void *malloc(size_t size)
{
    note();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    note();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    note();
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    note();
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}
#endif

enum { N = 4, SIDE = 12, CI = 20, CO = 33, NUMBERS = N * SIDE * SIDE * 64, ROOM = 1 << 20 };

typedef struct fixture {
    const hs_backend *b;
    hs_device *device;
    hs_stream *s;
    float *x, *y, *z, *w;
    uint8_t *bytes;
    double *sums;
} fixture;

static fixture fx;

static int open_device(int threads)
{
    const hs_device_options options = {.threads = threads, .ordinal = -1};
    if (hs_backend_find("cpu", &fx.b) != HS_OK || fx.b->device->open(fx.b, &options, &fx.device) != HS_OK ||
        fx.b->device->stream_create(fx.device, &fx.s) != HS_OK)
        return -1;
    if (hs_calloc(ROOM, 4, "x", &fx.x) || hs_calloc(ROOM, 4, "y", &fx.y) || hs_calloc(ROOM, 4, "z", &fx.z) || hs_calloc(ROOM, 4, "w", &fx.w) ||
        hs_calloc(ROOM, 1, "bytes", &fx.bytes) || hs_calloc(4096, 8, "sums", &fx.sums))
        return -1;
    for (int i = 0; i < ROOM; i++)
        fx.x[i] = (float)(i % 17) - 8, fx.y[i] = (float)(i % 13) - 6, fx.w[i] = (float)(i % 5 + 1);
    return 0;
}

static int close_device(void)
{
    hs_free(fx.x), hs_free(fx.y), hs_free(fx.z), hs_free(fx.w);
    hs_free(fx.bytes), hs_free(fx.sums);
    fx.b->device->stream_destroy(&fx.s);
    fx.b->device->close(&fx.device);
    return 0;
}

/* OPS twice: the second time counted. */
static void none_in(void (*ops)(void))
{
    ops();
#if COUNTING
    atomic_store(&allocations, 0);
    atomic_store(&counting, true);
    ops();
    atomic_store(&counting, false);
    assert_int_equal(atomic_load(&allocations), 0);
#endif
}

static void counter_counts(void **state)
{
    (void)state;
#if COUNTING
    atomic_store(&allocations, 0);
    atomic_store(&counting, true);
    void *volatile p = malloc(8);
    atomic_store(&counting, false);
    free(p);
    assert_int_equal(atomic_load(&allocations), 1);
#else
    skip();
#endif
}

static void dense_ops(void)
{
    const hs_gemm_ops *g = fx.b->gemm;
    for (int t = 0; t < 4; t++) {
        assert_int_equal(g->gemm(fx.s, t & 1, t & 2, 70, 200, 90, 1, fx.x, t & 1 ? 70 : 90, fx.y, t & 2 ? 90 : 200, 0, fx.z, 200), HS_OK);
        assert_int_equal(g->gemm(fx.s, t & 1, t & 2, 7, 5, 9, 1, fx.x, t & 1 ? 7 : 9, fx.y, t & 2 ? 9 : 5, 1, fx.z, 5), HS_OK);
    }
    assert_int_equal(g->bias_add(fx.s, 1000, 70, fx.x, fx.z), HS_OK);
    assert_int_equal(g->bias_add(fx.s, 10, 7, fx.x, fx.z), HS_OK);
    assert_int_equal(g->bias_grad(fx.s, 1000, 70, fx.x, fx.z), HS_OK);
}

static void range_ops(void)
{
    const uint32_t step = 2;
    const hs_update u = {.lr = 0.1, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .grad_scale = 1, .correction1 = 1, .correction2 = 1};
    for (size_t count = 100; count <= 200000; count += 199900) {
        fx.b->element->relu_fwd(fx.s, count, fx.x, fx.z);
        fx.b->element->relu_bwd(fx.s, count, fx.x, fx.y, fx.z);
        fx.b->element->tanh_fwd(fx.s, count, fx.x, fx.z);
        fx.b->element->add(fx.s, count, fx.x, fx.y, fx.z);
        fx.b->element->dropout(fx.s, 10, count / 10, 0.5, 1, &step, 3, 4, fx.x, fx.z);
        fx.b->optim->sgd(fx.s, &u, count, fx.z, fx.x, fx.y);
        fx.b->optim->adam(fx.s, &u, count, fx.z, fx.x, fx.y, fx.w);
        fx.b->optim->sum_squares(fx.s, count, fx.x, fx.sums);
        fx.b->optim->axpy(fx.s, count, 0.5, fx.x, fx.z);
        fx.b->norm->moments(fx.s, count / 20, 20, fx.x, fx.sums);
    }
}

static void window_ops(void)
{
    const hs_window w = {.h = SIDE, .w = SIDE, .c = CI, .k = 3, .stride = 2, .pad = 1, .oh = SIDE / 2, .ow = SIDE / 2};
    fx.b->pool->max_fwd(fx.s, &w, N, fx.x, fx.z, fx.bytes);
    fx.b->pool->max_bwd(fx.s, &w, N, fx.y, fx.bytes, fx.z);
    fx.b->pool->average_fwd(fx.s, &w, N, fx.x, fx.z);
    fx.b->pool->average_bwd(fx.s, &w, N, fx.y, fx.z);
    fx.b->pool->global_fwd(fx.s, (hs_shape){SIDE, SIDE, CI}, N, fx.x, fx.z);
    fx.b->pool->global_bwd(fx.s, (hs_shape){SIDE, SIDE, CI}, N, fx.y, fx.z);
}

static hs_conv *conv;
static float *saved, *scratch;

static void conv_ops(void)
{
    assert_int_equal(fx.b->conv->forward(fx.s, conv, N, fx.x, fx.w, fx.y, fx.z, saved, scratch), HS_OK);
    assert_int_equal(fx.b->conv->backward(fx.s, conv, N, fx.x, fx.w, fx.y, fx.z, fx.z + ROOM / 2, fx.z + ROOM - 100, saved, scratch), HS_OK);
}

static void convolution(hs_engine engine, hs_boundary boundary, hs_domain in, hs_domain out)
{
    const hs_conv_desc d = {.capacity = N, .h = SIDE, .w = SIDE, .ci = CI, .co = CO, .kh = 3, .kw = 5, .stride = 1, .oh = SIDE, .ow = SIDE,
                            .pad_h = 1, .pad_w = 2, .boundary = boundary, .bias = true, .need_dx = true, .in = in, .out = out, .engine = engine};
    assert_int_equal(fx.b->conv->plan(fx.device, &d, &conv), HS_OK);
    assert_int_equal(hs_calloc(fx.b->conv->saved_bytes(conv) + 64, 1, "saved", &saved), HS_OK);
    assert_int_equal(hs_calloc(fx.b->conv->scratch_bytes(conv) + 64, 1, "scratch", &scratch), HS_OK);
    none_in(conv_ops);
    hs_free(saved), hs_free(scratch);
    fx.b->conv->destroy(&conv);
}

static hs_spool *spool;
static int32_t keep[2 * N];

static void spool_ops(void)
{
    assert_int_equal(fx.b->pool->spectral_fwd(fx.s, spool, N, fx.x, fx.z, saved, scratch), HS_OK);
    assert_int_equal(fx.b->pool->spectral_bwd(fx.s, spool, N, fx.y, fx.z, saved, scratch), HS_OK);
}

static void lowpass_ops(void)
{
    for (int i = 0; i < 2 * N; i++)
        keep[i] = 3 + i % 5;
    assert_int_equal(fx.b->pool->lowpass(fx.s, spool, N, fx.x, keep, fx.z, scratch), HS_OK);
}

static void spectral_pool(hs_domain in, hs_domain out, int side, void (*ops)(void))
{
    const hs_spool_desc d = {.capacity = N, .h = SIDE, .w = SIDE, .c = CI, .oh = side, .ow = side, .norm = HS_POOL_UNITARY, .in = in, .out = out};
    assert_int_equal(fx.b->pool->spectral_plan(fx.device, &d, &spool), HS_OK);
    assert_int_equal(hs_calloc(fx.b->pool->spectral_saved_bytes(spool) + 64, 1, "saved", &saved), HS_OK);
    assert_int_equal(hs_calloc(fx.b->pool->spectral_scratch_bytes(spool) + 64, 1, "scratch", &scratch), HS_OK);
    none_in(ops);
    hs_free(saved), hs_free(scratch);
    fx.b->pool->spectral_destroy(&spool);
}

static hs_transform *transform;

static void transform_ops(void)
{
    assert_int_equal(fx.b->transform->forward(fx.s, transform, N, fx.x, fx.z, scratch), HS_OK);
    assert_int_equal(fx.b->transform->inverse(fx.s, transform, N, fx.y, fx.z, scratch), HS_OK);
}

static void transforms(int side)
{
    assert_int_equal(fx.b->transform->plan(fx.device, 1, side, side, CI, &transform), HS_OK);
    assert_int_equal(hs_calloc(fx.b->transform->scratch_bytes(transform) + 64, 1, "scratch", &scratch), HS_OK);
    none_in(transform_ops);
    hs_free(scratch);
    fx.b->transform->destroy(&transform);
}

static void every_op(int threads)
{
    assert_int_equal(open_device(threads), 0);
    none_in(dense_ops);
    none_in(range_ops);
    none_in(window_ops);
    convolution(HS_ENGINE_DIRECT, HS_BOUNDARY_ZERO, HS_SPACE, HS_SPACE);
    convolution(HS_ENGINE_FFT, HS_BOUNDARY_ZERO, HS_SPACE, HS_SPACE);
    convolution(HS_ENGINE_FFT, HS_BOUNDARY_PERIODIC, HS_SPECTRUM, HS_SPECTRUM);
    for (int domains = 0; domains < 4; domains++)
        spectral_pool(domains & 1 ? HS_SPECTRUM : HS_SPACE, domains & 2 ? HS_SPECTRUM : HS_SPACE, SIDE - 3, spool_ops);
    spectral_pool(HS_SPACE, HS_SPACE, SIDE, lowpass_ops);
    spectral_pool(HS_SPECTRUM, HS_SPECTRUM, SIDE, lowpass_ops);
    transforms(SIDE);
    assert_int_equal(close_device(), 0);
}

static void one_thread(void **state)
{
    (void)state;
    every_op(1);
}

static void three_threads(void **state)
{
    (void)state;
    every_op(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_counts),
        cmocka_unit_test(one_thread),
        cmocka_unit_test(three_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
