/* t_cuda_data.c - batches made on the (emulated) device, from a set that lies there and from one that is streamed: equal bits to the host's batcher,
 * for bytes and floats, every normalisation, every augmentation, and whatever part of a batch a rank takes. Linked with the backend of a real GPU it is
 * t_gpu_data, which tests/gpu.sh runs: t_gpu_data gpu. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_data.h"

enum { SAMPLES = 37, H = 5, W = 7, MOST = 16 };

/* ---- a set in memory ---------------------------------------------------------------------------------------------------------- */

static float value(int64_t sample, int k, bool bytes)
{
    const int v = (int)((sample * 7919 + k * 104729 + k * k * 31) % 256);
    return bytes ? (float)v : (float)v * 0.731f - 60;
}

static hs_status set_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    const int size = (int)hs_shape_count(set->shape);
    for (int i = 0; i < count; i++) {
        labels[i] = (int32_t)(indices[i] % 5);
        for (int k = 0; k < size; k++)
            pixels[i * size + k] = value(indices[i], k, set->bytes);
    }
    return HS_OK;
}

static const hs_dataset_ops set_ops = {.kind = "test", .read = set_read};

/* ---- the device --------------------------------------------------------------------------------------------------------------- */

static bool is_real; /* a driver gives memory away in pieces of megabytes, and not to us alone */

typedef struct gpu {
    const hs_backend *backend;
    hs_device *device;
    hs_stream *s;
    float *x;
    int32_t *labels;
} gpu;

static int open_gpu(void **state)
{
    static gpu g;
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "fp32"};
    assert_int_equal(hs_backend_find("cuda", &g.backend), HS_OK);
    assert_int_equal(g.backend->device->open(g.backend, &options, &g.device), HS_OK);
    assert_int_equal(g.backend->device->stream_create(g.device, &g.s), HS_OK);
    assert_int_equal(g.backend->memory->alloc(g.device, MOST * H * W * 3 * sizeof *g.x, (void **)&g.x), HS_OK);
    assert_int_equal(g.backend->memory->alloc(g.device, MOST * sizeof *g.labels, (void **)&g.labels), HS_OK);
    *state = &g;
    return 0;
}

static int close_gpu(void **state)
{
    gpu *g = *state;
    g->backend->memory->free(g->device, g->x);
    g->backend->memory->free(g->device, g->labels);
    g->backend->device->stream_destroy(&g->s);
    hs_device_close(&g->device);
    return hs_live_blocks() != 0;
}

static void same_batch(const gpu *g, int n, size_t size, const float *x, const int32_t *labels)
{
    static float got[MOST * H * W * 3];
    int32_t got_labels[MOST];
    assert_int_equal(g->backend->memory->download(g->s, got, g->x, (size_t)n * size * sizeof *got), HS_OK);
    assert_int_equal(g->backend->memory->download(g->s, got_labels, g->labels, (size_t)n * sizeof *got_labels), HS_OK);
    assert_memory_equal(got, x, (size_t)n * size * sizeof *got);
    assert_memory_equal(got_labels, labels, (size_t)n * sizeof *got_labels);
}

/* ---- tests -------------------------------------------------------------------------------------------------------------------- */

typedef struct plan {
    hs_dataset set;
    hs_scaling scaling;
    hs_batcher *batcher;
    hs_feed *feed;
} plan;

static void open_plan(const gpu *g, int c, bool bytes, hs_normalise normalise, const hs_augment *augment, bool resident, plan *p)
{
    *p = (plan){.set = {.ops = &set_ops, .count = SAMPLES, .classes = 5, .shape = {H, W, c}, .bytes = bytes}};
    assert_int_equal(hs_scaling_measure(&p->set, normalise, &p->scaling), HS_OK);
    const hs_batcher_options options = {.capacity = MOST, .shuffle = true, .seed = 11, .augment = augment, .scaling = &p->scaling};
    assert_int_equal(hs_batcher_create(&p->set, &options, &p->batcher), HS_OK);
    const hs_feed_desc desc = {.count = SAMPLES,
                               .shape = p->set.shape,
                               .bytes = bytes,
                               .capacity = MOST,
                               .shuffle = true,
                               .seed = 11,
                               .augment = augment,
                               .scaling = p->scaling.count ? &p->scaling : NULL,
                               .resident = resident};
    const size_t before = g->backend->data->room(g->device);
    assert_int_equal(g->backend->data->plan(g->device, &desc, &p->feed), HS_OK);
    const size_t taken = before - g->backend->data->room(g->device), told = g->backend->data->bytes(&desc);
    assert_true(is_real || (taken <= told && told < taken + 1024)); /* what it says is what it takes, but for rounding */
}

static void close_plan(const gpu *g, plan *p)
{
    g->backend->data->destroy(&p->feed);
    assert_null(p->feed);
    hs_batcher_destroy(&p->batcher);
    hs_scaling_free(&p->scaling);
}

static void load(const gpu *g, plan *p)
{
    static float pixels[SAMPLES * H * W * 3];
    int64_t indices[SAMPLES];
    int32_t labels[SAMPLES];
    const size_t size = hs_shape_count(p->set.shape);
    for (int i = 0; i < SAMPLES; i++)
        indices[i] = i;
    assert_int_equal(hs_dataset_read(&p->set, indices, SAMPLES, pixels, labels), HS_OK);
    assert_int_equal(g->backend->data->load(g->s, p->feed, 0, 20, pixels, labels), HS_OK); /* in two parts */
    assert_int_equal(g->backend->data->load(g->s, p->feed, 20, SAMPLES - 20, pixels + 20 * size, labels + 20), HS_OK);
}

static const hs_augment changes[] = {{.shift = 0},
                                     {.shift = 2, .flip = true},
                                     {.crop = 3},
                                     {.shift = 1, .crop = 2, .flip = true, .hue = 0.4, .saturation = 0.5, .value = 0.9}};

/* The global batch of 16 in parts, as 1, 2, 3 and 5 ranks take it: every part equals the host's. */
static void gathers(void **state)
{
    const gpu *g = *state;
    const hs_normalise kind[] = {HS_NORMALISE_NONE, HS_NORMALISE_CHANNEL, HS_NORMALISE_PIXEL};
    for (int way = 0; way < 2 * 4 * 3; way++) {
        const bool bytes = way % 2;
        const hs_augment *augment = &changes[way / 2 % 4];
        plan p;
        open_plan(g, 3, bytes, kind[way / 8], way / 2 % 4 ? augment : NULL, true, &p);
        load(g, &p);
        for (int ranks = 1; ranks < 6; ranks++)
            for (int rank = 0; rank < ranks; rank++) {
                int64_t first, count;
                const float *x;
                const int32_t *labels;
                hs_batch_share(MOST, rank, ranks, &first, &count);
                assert_int_equal(hs_batcher_get(p.batcher, 3, 20 + first, (int)count, &x, &labels), HS_OK);
                assert_int_equal(g->backend->data->gather(g->s, p.feed, 3, 20 + first, (int)count, g->x, g->labels), HS_OK);
                same_batch(g, (int)count, H * W * 3, x, labels);
            }
        close_plan(g, &p);
    }
}

static void gathers_grey(void **state)
{
    const gpu *g = *state;
    plan p;
    const float *x;
    const int32_t *labels;
    open_plan(g, 1, true, HS_NORMALISE_CHANNEL, &changes[1], true, &p);
    load(g, &p);
    assert_int_equal(g->backend->data->gather(g->s, p.feed, 0, 0, 0, g->x, g->labels), HS_OK); /* a rank without samples */
    assert_int_equal(hs_batcher_get(p.batcher, 0, 3, 9, &x, &labels), HS_OK);
    assert_int_equal(g->backend->data->gather(g->s, p.feed, 0, 3, 9, g->x, g->labels), HS_OK);
    same_batch(g, 9, H * W, x, labels);
    close_plan(g, &p);
}

/* Batch t + 1 is sent while batch t waits to be computed with: it must not show before it is taken. */
static void streams(void **state)
{
    const gpu *g = *state;
    plan p;
    float kept[MOST * H * W * 3];
    int32_t kept_labels[MOST];
    const float *x;
    const int32_t *labels;
    open_plan(g, 3, true, HS_NORMALISE_CHANNEL, &changes[3], false, &p);
    assert_int_equal(hs_batcher_get(p.batcher, 0, 0, 12, &x, &labels), HS_OK);
    assert_int_equal(g->backend->data->stage(p.feed, 12, x, labels), HS_OK);
    for (int t = 0; t < 6; t++) {
        const int n = t == 2 ? 12 : 12 - t; /* sizes change, as at the end of an epoch */
        const int next = t + 1 == 2 ? 12 : 12 - (t + 1);
        memcpy(kept, x, (size_t)n * H * W * 3 * sizeof *x);
        memcpy(kept_labels, labels, (size_t)n * sizeof *labels);
        assert_int_equal(g->backend->data->take(g->s, p.feed, n, g->x, g->labels), HS_OK);
        assert_int_equal(hs_batcher_get(p.batcher, t + 1, t, next, &x, &labels), HS_OK);
        assert_int_equal(g->backend->data->stage(p.feed, next, x, labels), HS_OK);
        same_batch(g, n, H * W * 3, kept, kept_labels);
    }
    close_plan(g, &p);
}

int main(int argc, char **argv)
{
    (void)argv;
    is_real = argc > 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers),
        cmocka_unit_test(gathers_grey),
        cmocka_unit_test(streams),
    };
    return cmocka_run_group_tests_name("data on the device", tests, open_gpu, close_gpu);
}
