/* t_cuda_conv.c - the ways to convolve, in every precision of a GPU, run by the emulation, against `ref`: errors are those
 * of the rounding that was asked for, neither more nor less, and equal calls give equal bits. fp32 is compared in t_cuda_ops. Linked with the backend of
 * a real GPU it is t_gpu_conv, which tests/gpu.sh runs: t_gpu_conv gpu [FILTER], a pattern of names below with * and ?. */
#include "conv_run.h"

/* Rounding both factors to a mantissa of M bits errs by 2^-(M+1) each at most, by about 0.6 of it in the mean square. */
static void follows(const char *way, const char *precision, const hs_conv_desc *d, double least, double most)
{
    run own = fresh_run(d, d->capacity), again = fresh_run(d, d->capacity), ref = fresh_run(d, d->capacity);
    setenv("HALFSPEC_CUDA_CONV", way, 1);
    compute_on("cuda", precision, d, d->capacity, &own);
    compute_on("cuda", precision, d, d->capacity, &again);
    unsetenv("HALFSPEC_CUDA_CONV");
    reference(d, d->capacity, &own, &ref);
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

static const hs_conv_desc one_tap = {.capacity = 3, .h = 5, .w = 6, .ci = 40, .co = 64, .kh = 1, .kw = 1, .stride = 1, .oh = 5, .ow = 6, .bias = true,
                                     .need_dx = true, .relu = true, .engine = HS_ENGINE_DIRECT};

static void plain(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "exact", &shapes[i], 0, 1e-6);
    follows("windows", "exact", &shapes[0], 0, 1e-6);
    follows("product", "exact", &one_tap, 0, 1e-6);
}

static void tf32(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "tf32", &shapes[i], 5e-5, 1e-3);
    follows("product", "tf32", &one_tap, 5e-5, 1e-3);
}

static void bf16(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        follows("implicit", "bf16", &shapes[i], 5e-4, 8e-3);
    follows("product", "bf16", &one_tap, 5e-4, 8e-3);
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
static void lets_pass(const char *way, const char *precision, bool sealed)
{
    hs_conv_desc d = strcmp(way, "product") == 0 ? one_tap : shapes[0];
    d.sealed_out = sealed;
    run r = fresh_run(&d, d.capacity);
    r.bias.value[7] = NAN;
    double sum = 0;
    for (size_t i = 7; i < r.dy.count; i += (size_t)d.co)
        sum += r.dy.value[i] = from_half(to_half(r.dy.value[i]));
    setenv("HALFSPEC_CUDA_CONV", way, 1);
    compute_on("cuda", precision, &d, d.capacity, &r);
    unsetenv("HALFSPEC_CUDA_CONV");
    for (size_t i = 0; i < r.out[Y].count; i++)
        assert_true(isnan(r.out[Y].value[i]) == (i % (size_t)d.co == 7));
    assert_true(fabs(r.out[DBIAS].value[7] - sum) < 1e-4);
    free_run(&r);
}

static void not_a_number(void **state)
{
    (void)state;
    lets_pass("implicit", "fp32", false);
    lets_pass("implicit", "bf16", true);
    lets_pass("windows", "fp32", false);
    lets_pass("product", "fp32", false);
    lets_pass("product", "bf16", true);
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
    with_library(fake, "no-mode-a");
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

/* Nobody is told that there is none, but that one does not serve. */
static void says_why(void **state)
{
    (void)state;
    static const char *const each[][3] = {
        {"none", "", ""},          {fake, "", ""}, {"./nowhere/libcudnn.so", "", "./nowhere/libcudnn.so"}, {fake, "old", "version 8902"},
        {fake, "other-cuda", "no libcublasLt.so.99"}, {fake, "broken", "CUDNN_STATUS_EXECUTION_FAILED: a reason: convolving"}};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        char *said = NULL;
        size_t bytes = 0;
        FILE *err = open_memstream(&said, &bytes);
        const hs_log log = {.err = err, .level = HS_LOG_INFO};
        const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "tf32", .log = &log};
        const hs_backend *b = NULL;
        hs_device *device = NULL;
        char text[256];
        with_library(each[i][0], each[i][1]);
        must(hs_backend_find("cuda", &b));
        must(b->device->open(b, &options, &device));
        b->device->describe(device, text, sizeof text);
        hs_device_close(&device);
        assert_int_equal(fclose(err), 0);
        if (*each[i][2])
            assert_non_null(strstr(said, each[i][2]));
        else
            assert_string_equal(said, "");
        free(said);
    }
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
    run r = fresh_run(&shapes[2], 1);
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
    static const char *const name[] = {"implicit", "cudnn", "windows", "cudnn-apart", "product"};
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
    assert_int_equal(b->conv->ways(device, &d), 15);
    for (d.way = 1; d.way <= 4; d.way++) {
        hs_conv *plan = NULL;
        assert_true(b->conv->cost(device, &d) > 0);
        must(b->conv->plan(device, &d, &plan));
        assert_string_equal(b->conv->way_name(plan), name[d.way - 1]);
        b->conv->destroy(&plan);
    }
    d.boundary = HS_BOUNDARY_PERIODIC;
    assert_int_equal(b->conv->ways(device, &d), 5);
    d = one_tap; /* x is its own windows */
    assert_int_equal(b->conv->ways(device, &d), 27);
    d.way = 5;
    hs_conv *plan = NULL;
    must(b->conv->plan(device, &d, &plan));
    assert_string_equal(b->conv->way_name(plan), name[4]);
    b->conv->destroy(&plan);
    d.stride = 2;
    d.oh = 3;
    d.ow = 3;
    assert_int_equal(b->conv->ways(device, &d), 15);
    hs_device_close(&device);
}

/* ---- sealed edges: maps in bf16 ---------------------------------------------------------------------------------------------- */

static double closely = 1e-6; /* on a GPU more: tensor cores cut off what sums lose, and cuDNN may leave a shape to us */

/* All inputs are rounded to bf16 beforehand, so that products are exact: what is left is the one rounding of what is stored as bf16. In the
 * mean square that is 2^-9 / sqrt(3) of a number, and numbers lie anywhere between two powers of two: 8e-4. So is all that
 * cuDNN writes, and, where bias and rectifier come apart, y twice. */
static void seals(const char *way, const hs_conv_desc *shape, int n, bool in, bool out)
{
    hs_conv_desc d = *shape;
    d.sealed_in = in;
    d.sealed_out = out;
    const bool product = strcmp(way, "product") == 0, apart = product || strcmp(way, "cudnn-apart") == 0;
    const bool offers = d.boundary == HS_BOUNDARY_ZERO && (!apart || d.bias || d.relu);
    const bool all = (in || out) && offers && strncmp(way, "cudnn", 5) == 0 && n == d.capacity;
    const bool rounds[OUTPUTS] = {[Y] = out || all, [DX] = d.need_dx && (in || all), [DTAPS] = all};
    run own = fresh_run(&d, n), ref = fresh_run(&d, n);
    numbers *inputs[] = {&own.x, &own.taps, &own.bias, &own.dy, &ref.x, &ref.taps, &ref.bias, &ref.dy};
    for (int k = 0; k < 8; k++)
        for (size_t i = 0; i < inputs[k]->count; i++)
            inputs[k]->value[i] = from_half(to_half(inputs[k]->value[i]));
    setenv("HALFSPEC_CUDA_CONV", way, 1);
    compute_on("cuda", "bf16", &d, n, &own);
    unsetenv("HALFSPEC_CUDA_CONV");
    reference(&d, n, &own, &ref);
    for (int i = 0; i < OUTPUTS; i++) {
        const double error = distance(&own.out[i], &ref.out[i]), least = rounds[i] && n && closely < 5e-6 ? 3e-4 : 0;
        const double most = !rounds[i] ? closely : apart || strcmp(getenv("FAKE_CUDNN"), "no-fusion") == 0 ? 4e-3 : 2e-3;
        if (!(error >= least && error <= most))
            fail_msg("%s, %d to %d channels, n = %d, sealed %d %d, output %d: relative error %.2e, expected %.1e to %.1e", way, d.ci, d.co, n,
                     in, out, i, error, least, most);
    }
    free_run(&own);
    free_run(&ref);
}

/* Every channel count that lines are cut differently for, both boundaries, strides, flipped, with and without what stands behind. */
static const hs_conv_desc sealed_shapes[] = {
    {.capacity = 2, .h = 9, .w = 11, .ci = 16, .co = 100, .kh = 3, .kw = 3, .stride = 1, .oh = 9, .ow = 11, .pad_h = 1, .pad_w = 1,
     .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_DIRECT},
    {.capacity = 3, .h = 7, .w = 5, .ci = 3, .co = 10, .kh = 5, .kw = 4, .stride = 2, .oh = 4, .ow = 3, .pad_h = 2, .pad_w = 1,
     .boundary = HS_BOUNDARY_PERIODIC, .flip = true, .bias = true, .need_dx = true, .relu = true, .engine = HS_ENGINE_DIRECT},
    {.capacity = 2, .h = 7, .w = 6, .ci = 1, .co = 8, .kh = 3, .kw = 2, .stride = 2, .oh = 4, .ow = 3, .pad_h = 1, .flip = true, .relu = true,
     .need_dx = true, .engine = HS_ENGINE_DIRECT},
    {.capacity = 2, .h = 6, .w = 5, .ci = 5, .co = 12, .kh = 2, .kw = 1, .stride = 1, .oh = 6, .ow = 5, .bias = true, .need_dx = true,
     .boundary = HS_BOUNDARY_PERIODIC, .engine = HS_ENGINE_DIRECT},
    {.capacity = 2, .h = 6, .w = 6, .ci = 20, .co = 3, .kh = 3, .kw = 3, .stride = 1, .oh = 6, .ow = 6, .pad_h = 1, .pad_w = 1,
     .engine = HS_ENGINE_DIRECT},
    {.capacity = 3, .h = 5, .w = 6, .ci = 40, .co = 64, .kh = 1, .kw = 1, .stride = 1, .oh = 5, .ow = 6, .bias = true, .need_dx = true,
     .relu = true, .engine = HS_ENGINE_DIRECT},
    {.capacity = 2, .h = 5, .w = 4, .ci = 8, .co = 24, .kh = 3, .kw = 3, .stride = 1, .oh = 5, .ow = 4, .pad_h = 1, .pad_w = 1,
     .boundary = HS_BOUNDARY_PERIODIC, .need_dx = true, .engine = HS_ENGINE_DIRECT},
};
enum { SEALED_SHAPES = sizeof sealed_shapes / sizeof *sealed_shapes };

static void seal_by(const char *way)
{
    for (int i = 0; i < SEALED_SHAPES; i++)
        for (int edges = 0; edges < 4; edges++) {
            seals(way, &sealed_shapes[i], sealed_shapes[i].capacity, edges & 1, edges & 2);
            seals(way, &sealed_shapes[i], edges % 2, edges & 1, edges & 2);
        }
}

static void sealed_implicit(void **state)
{
    (void)state;
    with_library("none", "");
    seal_by("implicit");
    seals("windows", &sealed_shapes[0], 2, true, true); /* which do not offer that: ours do it */
}

/* One tap, on a map, on single pixels in eights and in other numbers, with and without what stands behind. */
static void sealed_product(void **state)
{
    const hs_conv_desc dense = {.capacity = 70, .h = 1, .w = 1, .ci = 96, .co = 10, .kh = 1, .kw = 1, .stride = 1, .oh = 1, .ow = 1, .bias = true,
                                .need_dx = true, .engine = HS_ENGINE_DIRECT};
    hs_conv_desc each[] = {one_tap, dense, dense, dense, one_tap};
    (void)state;
    each[2].co = 24, each[2].relu = true;
    each[3].ci = 33, each[3].bias = false, each[3].need_dx = false;
    each[4].boundary = HS_BOUNDARY_PERIODIC, each[4].bias = false, each[4].ci = 5, each[4].flip = true;
    for (int i = 0; i < 5; i++)
        for (int edges = 0; edges < 4; edges++)
            for (int n = each[i].capacity; n >= 0; n -= (each[i].capacity + 1) / 2)
                seals("product", &each[i], n, edges & 1, edges & 2);
}

static void sealed_library(void **state)
{
    (void)state;
    with_library(fake, "");
    seal_by("cudnn");
    seal_by("cudnn-apart");
    for (int sealed = 0; sealed < 2; sealed++) {
        lets_pass("cudnn", "bf16", sealed);
        lets_pass("cudnn-apart", "bf16", sealed);
    }
    with_library(fake, "no-fusion");
    seals("cudnn", &sealed_shapes[0], 2, true, true);
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
    seal_by("cudnn");
    seal_by("cudnn-apart");
    for (int sealed = 0; sealed < 2; sealed++)
        lets_pass("cudnn", "bf16", sealed);
}

static int on_a_gpu(void)
{
    closely = 1e-5;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),    cmocka_unit_test(tf32),         cmocka_unit_test(bf16),
        cmocka_unit_test(spectral), cmocka_unit_test(not_a_number), cmocka_unit_test(sealed_implicit), cmocka_unit_test(sealed_product),
        cmocka_unit_test(real_library),
    };
    return cmocka_run_group_tests_name("convolution in space on a GPU", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    setenv("HALFSPEC_CUDNN", "none", 1); /* whatever this machine has */
    setenv("FAKE_CUDNN", "", 1);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    if (argc > 1)
        return on_a_gpu();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(tf32),
        cmocka_unit_test(bf16),
        cmocka_unit_test(spectral),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(library),
        cmocka_unit_test(sealed_implicit),
        cmocka_unit_test(sealed_product),
        cmocka_unit_test(sealed_library),
        cmocka_unit_test(numbered),
        cmocka_unit_test(no_library),
        cmocka_unit_test(says_why),
        cmocka_unit_test(library_fails),
    };
    return cmocka_run_group_tests_name("convolution in space", tests, NULL, NULL);
}
