/* t_cuda_conv.c - the ways to convolve, in every precision of a GPU, run by the emulation, against `ref`: errors are those
 * of the rounding that was asked for, neither more nor less, and equal calls give equal bits. fp32 is compared in t_cuda_ops. Linked with the backend of
 * a real GPU it is t_gpu_conv, which tests/gpu.sh runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"

enum { Y, DX, DTAPS, DBIAS, OUTPUTS };

typedef struct numbers {
    size_t count;
    double *value;
} numbers;

typedef struct run {
    numbers x, taps, bias, dy, out[OUTPUTS];
} run;

static void must(hs_status st)
{
    if (st != HS_OK)
        fail_msg("%s: %s", hs_status_name(st), hs_fail_text());
}

static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(float)((double)(*state >> 33) / 1073741824.0 - 1);
}

static numbers fresh(size_t count, uint64_t seed)
{
    numbers n = {count, calloc(count, sizeof *n.value)};
    assert_non_null(n.value);
    for (size_t i = 0; seed && i < count; i++)
        n.value[i] = draw(&seed);
    return n;
}

static run fresh_run(const hs_conv_desc *d)
{
    const size_t n = (size_t)d->capacity, in = n * d->h * d->w * d->ci, out = n * d->oh * d->ow * d->co;
    const size_t taps = (size_t)d->kh * d->kw * d->ci * d->co, co = (size_t)d->co;
    return (run){fresh(in, 1), fresh(taps, 2), fresh(co, 3), fresh(out, 4), {fresh(out, 0), fresh(in, 0), fresh(taps, 0), fresh(co, 0)}};
}

static void free_run(run *r)
{
    numbers *all[] = {&r->x, &r->taps, &r->bias, &r->dy, &r->out[Y], &r->out[DX], &r->out[DTAPS], &r->out[DBIAS]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->value);
}

/* ---- one run on one device -------------------------------------------------------------------------------------------------- */

static void *to_device(hs_stream *s, const numbers *n)
{
    const hs_backend *b = s->device->backend;
    float *host = calloc(n->count, sizeof *host);
    void *memory = NULL;
    assert_non_null(host);
    for (size_t i = 0; i < n->count; i++)
        host[i] = (float)n->value[i];
    must(b->memory->alloc(s->device, n->count * b->real, &memory));
    must(b->memory->from_float(s, n->count, host, memory));
    must(b->device->stream_sync(s));
    free(host);
    return memory;
}

static void from_device(hs_stream *s, void *memory, numbers *n)
{
    const hs_backend *b = s->device->backend;
    char *host = calloc(n->count, b->real);
    assert_non_null(host);
    must(b->memory->download(s, host, memory, n->count * b->real));
    for (size_t i = 0; i < n->count; i++)
        n->value[i] = b->real == HS_F32 ? (double)((float *)(void *)host)[i] : ((double *)(void *)host)[i];
    free(host);
    b->memory->free(s->device, memory);
}

static void compute(hs_stream *s, const hs_conv_desc *d, run *r)
{
    const hs_backend *b = s->device->backend;
    hs_conv *plan = NULL;
    void *saved = NULL, *scratch = NULL, *out[OUTPUTS];
    must(b->conv->plan(s->device, d, &plan));
    must(b->memory->alloc(s->device, b->conv->saved_bytes(plan) + 1, &saved));
    must(b->memory->alloc(s->device, b->conv->scratch_bytes(plan) + 1, &scratch));
    void *x = to_device(s, &r->x), *taps = to_device(s, &r->taps), *bias = to_device(s, &r->bias), *dy = to_device(s, &r->dy);
    for (int i = 0; i < OUTPUTS; i++)
        out[i] = to_device(s, &r->out[i]);
    must(b->conv->forward(s, plan, d->capacity, x, taps, bias, out[Y], saved, scratch));
    must(b->conv->backward(s, plan, d->capacity, x, taps, dy, out[DX], out[DTAPS], out[DBIAS], saved, scratch));
    for (int i = 0; i < OUTPUTS; i++)
        from_device(s, out[i], &r->out[i]);
    void *rest[] = {x, taps, bias, dy, saved, scratch};
    for (int i = 0; i < 6; i++)
        b->memory->free(s->device, rest[i]);
    b->conv->destroy(&plan);
}

static void compute_on(const char *backend, const char *precision, const hs_conv_desc *d, run *r)
{
    const hs_backend *b = NULL;
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = precision};
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    must(hs_backend_find(backend, &b));
    must(b->device->open(b, &options, &device));
    must(b->device->stream_create(device, &stream));
    compute(stream, d, r);
    b->device->stream_destroy(&stream);
    hs_device_close(&device);
}

/* ref has no fused rectifier: y is rectified here, and its dy is masked as SEEN, whose signs near zero may differ, says. */
static void reference(const hs_conv_desc *desc, const run *seen, run *r)
{
    hs_conv_desc d = *desc;
    d.relu = false;
    for (size_t i = 0; desc->relu && i < r->dy.count; i++)
        r->dy.value[i] = seen->out[Y].value[i] > 0 ? r->dy.value[i] : 0;
    compute_on("ref", "double", &d, r);
    for (size_t i = 0; desc->relu && i < r->dy.count; i++)
        r->out[Y].value[i] = r->out[Y].value[i] > 0 ? r->out[Y].value[i] : 0;
}

/* ---- comparisons ------------------------------------------------------------------------------------------------------------ */

static double distance(const numbers *a, const numbers *b)
{
    double gap = 0, norm = 0;
    for (size_t i = 0; i < a->count; i++) {
        gap += (a->value[i] - b->value[i]) * (a->value[i] - b->value[i]);
        norm += b->value[i] * b->value[i];
    }
    return sqrt(gap / norm);
}

/* Rounding both factors to a mantissa of M bits errs by 2^-(M+1) each at most, by about 0.6 of it in the mean square. */
static void follows(const char *way, const char *precision, const hs_conv_desc *d, double least, double most)
{
    run own = fresh_run(d), again = fresh_run(d), ref = fresh_run(d);
    setenv("HALFSPEC_CUDA_CONV", way, 1);
    compute_on("cuda", precision, d, &own);
    compute_on("cuda", precision, d, &again);
    unsetenv("HALFSPEC_CUDA_CONV");
    reference(d, &own, &ref);
    for (int i = 0; i < OUTPUTS; i++) {
        const double error = distance(&own.out[i], &ref.out[i]), floor = i == DBIAS ? 0 : least; /* sums are exact */
        if (!(error >= floor && error <= most))
            fail_msg("%s, %s, output %d: relative error %.2e, expected %.1e to %.1e", way, precision, i, error, floor, most);
        assert_memory_equal(own.out[i].value, again.out[i].value, own.out[i].count * sizeof(double));
    }
    free_run(&own);
    free_run(&again);
    free_run(&ref);
}

static const hs_conv_desc shapes[] = {
    /* whole slices of channels, two tiles of rows, two of columns */
    {.capacity = 2, .h = 9, .w = 11, .ci = 16, .co = 100, .kh = 3, .kw = 3, .stride = 1, .oh = 9, .ow = 11, .pad_h = 1, .pad_w = 1,
     .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_DIRECT},
    /* ragged channels, strided, periodic, flipped */
    {.capacity = 3, .h = 7, .w = 5, .ci = 3, .co = 10, .kh = 5, .kw = 4, .stride = 2, .oh = 4, .ow = 3, .pad_h = 2, .pad_w = 1,
     .boundary = HS_BOUNDARY_PERIODIC, .flip = true, .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_DIRECT},
    /* channels in fours, no slices */
    {.capacity = 1, .h = 6, .w = 6, .ci = 20, .co = 36, .kh = 2, .kw = 1, .stride = 1, .oh = 6, .ow = 6, .bias = true,
     .need_dx = true, .engine = HS_ENGINE_DIRECT},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void plain(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "exact", &shapes[i], 0, 1e-6);
    follows("windows", "exact", &shapes[0], 0, 1e-6);
}

static void tf32(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "tf32", &shapes[i], 5e-5, 1e-3);
}

static void bf16(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "bf16", &shapes[i], 5e-4, 8e-3);
}

/* Through spectra: bias and rectifier are part of the transform. Transforms and products round, in bf16 spectra do too. */
static void spectral(void **state)
{
    static const hs_conv_desc fft[] = {
        {.capacity = 2, .h = 9, .w = 11, .ci = 16, .co = 20, .kh = 3, .kw = 5, .stride = 1, .oh = 9, .ow = 11, .pad_h = 1, .pad_w = 2,
         .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_FFT},
        {.capacity = 3, .h = 8, .w = 7, .ci = 5, .co = 36, .kh = 4, .kw = 3, .stride = 1, .oh = 8, .ow = 7, .pad_h = 1, .pad_w = 1,
         .boundary = HS_BOUNDARY_PERIODIC, .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_FFT},
    };
    (void)state;
    for (int i = 0; i < 2; i++) {
        follows("implicit", "fp32", &fft[i], 0, 5e-6); /* tensor cores cut off what sums lose */
        follows("implicit", "tf32", &fft[i], 5e-5, 2e-3);
        follows("implicit", "bf16", &fft[i], 5e-4, 1e-2);
    }
}

/* What a rectifier drops is dropped both ways; a number that is not one stays visible. */
static void not_a_number(void **state)
{
    (void)state;
    const hs_conv_desc *d = &shapes[0];
    run r = fresh_run(d);
    r.bias.value[7] = NAN;
    setenv("HALFSPEC_CUDA_CONV", "implicit", 1);
    compute_on("cuda", "fp32", d, &r);
    unsetenv("HALFSPEC_CUDA_CONV");
    for (size_t i = 0; i < r.out[Y].count; i++)
        assert_true(isnan(r.out[Y].value[i]) == (i % (size_t)d->co == 7));
    double sum = 0;
    for (size_t i = 7; i < r.dy.count; i += (size_t)d->co)
        sum += r.dy.value[i];
    assert_true(fabs(r.out[DBIAS].value[7] - sum) < 1e-4);
    free_run(&r);
}

/* ---- cuDNN, a fake of which computes exactly: an error as small as fp32's shows that it was asked --------------------------- */

static const char fake[] = "./.libs/libfakecudnn.so";
static const double exact = 1e-6;

static void with_library(const char *file, const char *state)
{
    setenv("HALFSPEC_CUDNN", file, 1);
    setenv("FAKE_CUDNN", state, 1);
}

static void library(void **state)
{
    (void)state;
    static const char *const precision[] = {"exact", "tf32", "bf16"};
    with_library(fake, "");
    for (int i = 0; i < 3; i++) {
        follows("cudnn", precision[i], &shapes[0], 0, exact);
        follows("cudnn", precision[i], &shapes[2], 0, exact);
    }
    hs_conv_desc d = shapes[1]; /* flipped and strided */
    d.boundary = HS_BOUNDARY_ZERO;
    follows("cudnn", "tf32", &d, 0, exact);
    d.relu = false;
    follows("cudnn", "tf32", &d, 0, exact);
    follows("cudnn", "tf32", &shapes[1], 5e-5, 1e-3); /* periodic: not for cuDNN */
    with_library(fake, "no-fusion");
    follows("cudnn", "tf32", &shapes[0], 0, exact);
    with_library(fake, "picky");
    follows("cudnn", "tf32", &shapes[0], 0, exact);
}

/* No library, one that is none, one too old, one that does not start, one without an engine: our own kernels do it. */
static void no_library(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"none", ""},     {"./nowhere/libcudnn.so", ""}, {"./t_cuda_conv", ""},      {fake, "old"},
                                         {fake, "broken"}, {fake, "no-engine"},           {fake, "not-deterministic"}};
    const long before = hs_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        with_library(bad[i][0], bad[i][1]);
        follows("cudnn", "tf32", &shapes[2], 5e-5, 1e-3);
    }
    assert_int_equal(hs_live_blocks(), before);
}

static void library_fails(void **state)
{
    (void)state;
    const hs_backend *b = NULL;
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "tf32"};
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    hs_conv *plan = NULL;
    with_library(fake, "");
    setenv("HALFSPEC_CUDA_CONV", "cudnn", 1);
    must(hs_backend_find("cuda", &b));
    must(b->device->open(b, &options, &device));
    must(b->device->stream_create(device, &stream));
    must(b->conv->plan(device, &shapes[2], &plan));
    run r = fresh_run(&shapes[2]);
    void *scratch = NULL, *x = to_device(stream, &r.x), *taps = to_device(stream, &r.taps), *bias = to_device(stream, &r.bias),
         *y = to_device(stream, &r.out[Y]);
    must(b->memory->alloc(device, b->conv->scratch_bytes(plan), &scratch));
    with_library(fake, "fails");
    assert_int_equal(b->conv->forward(stream, plan, 1, x, taps, bias, y, NULL, scratch), HS_EINTERNAL);
    assert_non_null(strstr(hs_fail_text(), "HALFSPEC_CUDNN=none"));
    void *all[] = {x, taps, bias, y, scratch};
    for (int i = 0; i < 5; i++)
        b->memory->free(device, all[i]);
    b->conv->destroy(&plan);
    b->device->stream_destroy(&stream);
    hs_device_close(&device);
    free_run(&r);
    unsetenv("HALFSPEC_CUDA_CONV");
}

/* A planner that measures sees each way, and gets the one that it asks for. */
static void numbered(void **state)
{
    (void)state;
    static const char *const name[] = {"implicit", "cudnn", "windows"};
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "tf32"};
    const hs_backend *b = NULL;
    hs_device *device = NULL;
    char text[256];
    with_library(fake, "");
    must(hs_backend_find("cuda", &b));
    must(b->device->open(b, &options, &device));
    b->device->describe(device, text, sizeof text); /* costs are kept under it */
    assert_non_null(strstr(text, "cuBLAS 13.0.0, cuDNN 9.19.0"));
    hs_conv_desc d = shapes[0];
    assert_int_equal(b->conv->ways(device, &d), 7);
    for (d.way = 1; d.way <= 3; d.way++) {
        hs_conv *plan = NULL;
        assert_true(b->conv->cost(device, &d) > 0);
        must(b->conv->plan(device, &d, &plan));
        assert_string_equal(b->conv->way_name(plan), name[d.way - 1]);
        b->conv->destroy(&plan);
    }
    d.boundary = HS_BOUNDARY_PERIODIC;
    assert_int_equal(b->conv->ways(device, &d), 5);
    hs_device_close(&device);
}

/* ---- a real GPU, asked for by an argument (tests/gpu.sh): the same, by its own cuDNN where it has one ------------------------- */

static void real_library(void **state)
{
    (void)state;
    unsetenv("HALFSPEC_CUDNN");
    hs_conv_desc flipped = shapes[1];
    flipped.boundary = HS_BOUNDARY_ZERO;
    const hs_conv_desc *const each[] = {&shapes[0], &shapes[2], &flipped};
    for (int i = 0; i < 3; i++) {
        follows("cudnn", "exact", each[i], 0, 1e-5);
        follows("cudnn", "tf32", each[i], 0, 1e-3);
        follows("cudnn", "bf16", each[i], 0, 8e-3);
    }
}

static int on_a_gpu(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),    cmocka_unit_test(tf32),         cmocka_unit_test(bf16),
        cmocka_unit_test(spectral), cmocka_unit_test(not_a_number), cmocka_unit_test(real_library),
    };
    return cmocka_run_group_tests_name("convolution in space on a GPU", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    (void)argv;
    setenv("HALFSPEC_CUDNN", "none", 1); /* whatever this machine has */
    if (argc > 1)
        return on_a_gpu();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(tf32),
        cmocka_unit_test(bf16),
        cmocka_unit_test(spectral),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(library),
        cmocka_unit_test(numbered),
        cmocka_unit_test(no_library),
        cmocka_unit_test(library_fails),
    };
    return cmocka_run_group_tests_name("convolution in space", tests, NULL, NULL);
}
