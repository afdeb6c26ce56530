/* t_cuda_plane_planted.c - every barrier of the plane kernel is needed: without it results change, or the watched kernel says so. So it is with wrong
 * places in the map, and with tables that were not copied to the device. */
#include "cuda_child.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_emulation/planted_plane.h"
#include "hs_backend.h"
#include "hs_spectrum.h"

extern const hs_backend hs_backend_cuda;

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
        cmocka_unit_test(plane_barriers),
        cmocka_unit_test(plane_indices),
        cmocka_unit_test(plane_missing_copy),
    };
    return cmocka_run_group_tests_name("the plane kernel with faults", tests, NULL, NULL);
}
