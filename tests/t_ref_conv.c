/* t_ref_conv.c - the convolution of `ref` by its properties: definition, linearity, adjoints, impulse, boundaries, stride, the correlation
 * theorem, and gradients by central differences. */
#include "ref_help.h"

#include "hs_spectrum.h"

typedef struct conv {
    int n;
    hs_conv_desc d;
    size_t x, y, taps; /* numbers of each */
    hs_conv *plan;
    void *scratch;
    const double *given_x, *given_taps, *given_bias; /* what a map of one argument keeps fixed */
} conv;

static size_t count_of(hs_domain domain, int n, int h, int w, int c)
{
    return domain == HS_SPACE ? (size_t)n * h * w * c : (size_t)hs_bins_count(h, w) * n * 2 * c;
}

static conv conv_open(int n, hs_conv_desc d)
{
    d.capacity = n + 1;
    d.oh = (d.h + d.stride - 1) / d.stride;
    d.ow = (d.w + d.stride - 1) / d.stride;
    d.pad_h = (d.kh - 1) / 2;
    d.pad_w = (d.kw - 1) / 2;
    d.need_dx = true;
    conv p = {.n = n, .d = d, .x = count_of(d.in, n, d.h, d.w, d.ci), .y = count_of(d.out, n, d.oh, d.ow, d.co),
              .taps = (size_t)d.kh * d.kw * d.ci * d.co};
    assert_true(ref->conv->supports(device, &d));
    assert_true(ref->conv->cost(device, &d) > 0);
    assert_ok(ref->conv->plan(device, &d, &p.plan));
    p.scratch = zeros(ref->conv->scratch_bytes(p.plan) / sizeof(double) + 1);
    return p;
}

static conv conv_random(hs_boundary boundary)
{
    return conv_open(pick(1, 3), (hs_conv_desc){.h = pick(1, 8), .w = pick(1, 8), .ci = pick(1, 3), .co = pick(1, 3), .kh = pick(1, 5),
                                                .kw = pick(1, 5), .stride = pick(1, 2), .boundary = boundary, .flip = pick(0, 1), .bias = true});
}

static void conv_close(conv *p)
{
    ref->conv->destroy(&p->plan);
    assert_null(p->plan);
    free(p->scratch);
}

static double *forward(const conv *p, const double *x, const double *taps, const double *bias)
{
    double *y = zeros(p->y);
    assert_ok(ref->conv->forward(stream, p->plan, p->n, x, taps, bias, y, NULL, p->scratch));
    return y;
}

/* Straight from the declaration's formula, without tables. */
static double *definition(const conv *p, const double *x, const double *taps, const double *bias)
{
    const hs_conv_desc *d = &p->d;
    double *out = zeros(p->y), *y = out;
    for (int i = 0; i < p->n; i++)
        for (int row = 0; row < d->oh; row++)
            for (int col = 0; col < d->ow; col++)
                for (int o = 0; o < d->co; o++, y++) {
                    *y = bias ? bias[o] : 0;
                    for (int t = 0; t < d->kh * d->kw; t++) {
                        int sign = d->flip ? -1 : 1;
                        int r = row * d->stride + sign * (t / d->kw - d->pad_h), c = col * d->stride + sign * (t % d->kw - d->pad_w);
                        if (d->boundary == HS_BOUNDARY_ZERO && (r < 0 || r >= d->h || c < 0 || c >= d->w))
                            continue;
                        r = (r + 8 * d->h) % d->h;
                        c = (c + 8 * d->w) % d->w;
                        for (int in = 0; in < d->ci; in++)
                            *y += taps[(t * d->ci + in) * d->co + o] * x[((size_t)(i * d->h + r) * d->w + c) * d->ci + in];
                    }
                }
    return out;
}

static void forward_is_the_definition(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        conv p = conv_random(round % 2 ? HS_BOUNDARY_ZERO : HS_BOUNDARY_PERIODIC);
        double *x = normals(p.x), *taps = normals(p.taps), *bias = normals((size_t)p.d.co);
        double *y = forward(&p, x, taps, bias), *want = definition(&p, x, taps, bias);
        assert_true(distance(p.y, y, want) < 1e-12);
        free(x), free(taps), free(bias), free(y), free(want);
        conv_close(&p);
    }
}

static void forward_is_linear(void **state)
{
    (void)state;
    conv p = conv_random(HS_BOUNDARY_ZERO);
    double *a = normals(p.x), *b = normals(p.x), *sum = zeros(p.x), *taps = normals(p.taps);
    for (size_t i = 0; i < p.x; i++)
        sum[i] = a[i] + 3 * b[i];
    double *ya = forward(&p, a, taps, NULL), *yb = forward(&p, b, taps, NULL), *ys = forward(&p, sum, taps, NULL);
    for (size_t i = 0; i < p.y; i++)
        assert_near(ys[i], ya[i] + 3 * yb[i], 1e-11);
    free(a), free(b), free(sum), free(taps), free(ya), free(yb), free(ys);
    conv_close(&p);
}

/* <conv(x, w), dy> = <x, dx> = <w, dw>, in every pair of domains. */
static void backward_is_the_adjoint(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        conv p = conv_random(round % 2 ? HS_BOUNDARY_ZERO : HS_BOUNDARY_PERIODIC);
        if (round % 2 == 0) {
            hs_conv_desc d = p.d;
            d.stride = 1;
            d.in = round & 2 ? HS_SPECTRUM : HS_SPACE;
            d.out = round & 4 ? HS_SPECTRUM : HS_SPACE;
            conv_close(&p);
            p = conv_open(p.n, d);
        }
        double *x = normals(p.x), *taps = normals(p.taps), *dy = normals(p.y), *y = forward(&p, x, taps, NULL);
        double *dx = normals(p.x), *dtaps = normals(p.taps);
        assert_ok(ref->conv->backward(stream, p.plan, p.n, x, taps, dy, dx, dtaps, NULL, NULL, p.scratch));
        double want = dot(p.y, y, dy), scale = sqrt(dot(p.y, y, y) * dot(p.y, dy, dy)) + 1;
        assert_near(dot(p.x, x, dx), want, 1e-11 * scale);
        assert_near(dot(p.taps, taps, dtaps), want, 1e-11 * scale);
        free(x), free(taps), free(dy), free(y), free(dx), free(dtaps);
        conv_close(&p);
    }
}

/* Correlation: a single 1 shows the taps turned by 180 degrees about it; with flip as they are. */
static void impulse_shows_the_taps(void **state)
{
    (void)state;
    for (int flip = 0; flip < 2; flip++) {
        for (int kh = 1; kh <= 4; kh++) {
            conv p = conv_open(1, (hs_conv_desc){.h = 11, .w = 11, .ci = 1, .co = 1, .kh = kh, .kw = 3, .stride = 1, .flip = flip});
            double *x = zeros(p.x), *taps = normals(p.taps);
            x[5 * 11 + 5] = 1;
            double *y = forward(&p, x, taps, NULL);
            for (int ty = 0; ty < kh; ty++)
                for (int tx = 0; tx < 3; tx++) {
                    int dy = ty - (kh - 1) / 2, dx = tx - 1, sign = flip ? 1 : -1;
                    assert_near(y[(5 + sign * dy) * 11 + 5 + sign * dx], taps[ty * 3 + tx], 0);
                }
            assert_near(dot(p.y, y, y), dot(p.taps, taps, taps), 1e-13);
            free(x), free(taps), free(y);
            conv_close(&p);
        }
    }
}

static void boundaries_agree_inside(void **state)
{
    (void)state;
    hs_conv_desc d = {.h = 9, .w = 10, .ci = 2, .co = 3, .kh = 4, .kw = 5, .stride = 1};
    conv zero = conv_open(2, d);
    d.boundary = HS_BOUNDARY_PERIODIC;
    conv periodic = conv_open(2, d);
    double *x = normals(zero.x), *taps = normals(zero.taps), *a = forward(&zero, x, taps, NULL), *b = forward(&periodic, x, taps, NULL);
    int different = 0;
    for (int i = 0; i < 2 * 9 * 10; i++) {
        int row = i / 10 % 9, col = i % 10;
        bool inside = row >= 1 && row < 9 - 2 && col >= 2 && col < 10 - 2; /* pad 1 before and 2 after along h, 2 and 2 along w */
        for (int o = 0; o < 3; o++) {
            if (inside)
                assert_near(a[i * 3 + o], b[i * 3 + o], 1e-12);
            different += fabs(a[i * 3 + o] - b[i * 3 + o]) > 1e-6;
        }
    }
    assert_true(different > 50);
    free(x), free(taps), free(a), free(b);
    conv_close(&zero);
    conv_close(&periodic);
}

static void stride_takes_every_other_cell(void **state)
{
    (void)state;
    for (int h = 1; h <= 6; h++) {
        hs_conv_desc d = {.h = h, .w = 7, .ci = 2, .co = 2, .kh = 3, .kw = 4, .stride = 1};
        conv all = conv_open(1, d);
        d.stride = 2;
        conv half = conv_open(1, d);
        assert_int_equal(half.d.oh, (h + 1) / 2);
        double *x = normals(all.x), *taps = normals(all.taps), *a = forward(&all, x, taps, NULL), *b = forward(&half, x, taps, NULL);
        for (int row = 0; row < half.d.oh; row++)
            for (int col = 0; col < half.d.ow; col++)
                for (int o = 0; o < 2; o++)
                    assert_near(b[(row * half.d.ow + col) * 2 + o], a[(2 * row * 7 + 2 * col) * 2 + o], 1e-13);
        free(x), free(taps), free(a), free(b);
        conv_close(&all);
        conv_close(&half);
    }
}

/* Half spectrum (unitary, numpy's layout) of one h x w plane. */
static double *half_of(int h, int w, const double *plane)
{
    double *coords = zeros((size_t)h * w), *half = zeros(2 * (size_t)h * (w / 2 + 1)), *scratch = zeros(2 * (size_t)h * (w / 2 + 1));
    hs_plane_to_coords(h, w, plane, coords, scratch);
    hs_coords_to_half(h, w, coords, half);
    free(coords), free(scratch);
    return half;
}

/* Periodic: Y(k) = sqrt(HW) conj(W(k)) X(k), W the taps laid on the plane with the anchor at the origin; without conj for flip. */
static void correlation_theorem_holds(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        const int h = pick(1, 7), w = pick(1, 7), kh = pick(1, 5), kw = pick(1, 5);
        conv p = conv_open(1, (hs_conv_desc){.h = h, .w = w, .ci = 1, .co = 1, .kh = kh, .kw = kw, .stride = 1,
                                             .boundary = HS_BOUNDARY_PERIODIC, .flip = round % 2});
        double *x = normals(p.x), *taps = normals(p.taps), *laid = zeros(p.x), *y = forward(&p, x, taps, NULL);
        for (int t = 0; t < kh * kw; t++)
            laid[(t / kw - p.d.pad_h + 8 * h) % h * w + (t % kw - p.d.pad_w + 8 * w) % w] += taps[t];
        double *fx = half_of(h, w, x), *fw = half_of(h, w, laid), *fy = half_of(h, w, y), root = sqrt((double)h * w);
        for (int j = 0; j < h * (w / 2 + 1); j++) {
            double im = p.d.flip ? fw[2 * j + 1] : -fw[2 * j + 1];
            assert_near(fy[2 * j], root * (fw[2 * j] * fx[2 * j] - im * fx[2 * j + 1]), 1e-11);
            assert_near(fy[2 * j + 1], root * (fw[2 * j] * fx[2 * j + 1] + im * fx[2 * j]), 1e-11);
        }
        free(x), free(taps), free(laid), free(y), free(fx), free(fw), free(fy);
        conv_close(&p);
    }
}

static void of_x(void *context, const double *x, double *y)
{
    const conv *p = context;
    assert_ok(ref->conv->forward(stream, p->plan, p->n, x, p->given_taps, p->given_bias, y, NULL, p->scratch));
}

static void of_taps(void *context, const double *taps, double *y)
{
    const conv *p = context;
    assert_ok(ref->conv->forward(stream, p->plan, p->n, p->given_x, taps, p->given_bias, y, NULL, p->scratch));
}

static void of_bias(void *context, const double *bias, double *y)
{
    const conv *p = context;
    assert_ok(ref->conv->forward(stream, p->plan, p->n, p->given_x, p->given_taps, bias, y, NULL, p->scratch));
}

static void gradients_are_central_differences(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        hs_conv_desc d = {.h = pick(1, 5), .w = pick(1, 5), .ci = pick(1, 2), .co = pick(1, 2), .kh = pick(1, 4), .kw = pick(1, 4),
                          .stride = round < 4 ? 1 : pick(1, 2), .boundary = round < 4 ? HS_BOUNDARY_PERIODIC : HS_BOUNDARY_ZERO, .bias = true,
                          .in = round == 1 || round == 3 ? HS_SPECTRUM : HS_SPACE, .out = round == 2 || round == 3 ? HS_SPECTRUM : HS_SPACE};
        conv p = conv_open(2, d);
        double *x = normals(p.x), *taps = normals(p.taps), *bias = normals((size_t)p.d.co), *dy = normals(p.y);
        double *dx = normals(p.x), *dtaps = normals(p.taps), *dbias = normals((size_t)p.d.co);
        p.given_x = x, p.given_taps = taps, p.given_bias = bias;
        assert_ok(ref->conv->backward(stream, p.plan, p.n, x, taps, dy, dx, dtaps, dbias, NULL, p.scratch));
        assert_true(gradient_error(of_x, &p, p.x, x, p.y, dy, dx) < 1e-6);
        assert_true(gradient_error(of_taps, &p, p.taps, taps, p.y, dy, dtaps) < 1e-6);
        assert_true(gradient_error(of_bias, &p, (size_t)p.d.co, bias, p.y, dy, dbias) < 1e-6);
        free(x), free(taps), free(bias), free(dy), free(dx), free(dtaps), free(dbias);
        conv_close(&p);
    }
}

static void no_samples_give_zero_gradients(void **state)
{
    (void)state;
    conv p = conv_open(0, (hs_conv_desc){.h = 4, .w = 5, .ci = 2, .co = 3, .kh = 3, .kw = 3, .stride = 1, .bias = true});
    double *taps = normals(p.taps), *bias = normals(3), *dtaps = normals(p.taps), *dbias = normals(3);
    assert_ok(ref->conv->forward(stream, p.plan, 0, NULL, taps, bias, NULL, NULL, p.scratch));
    assert_ok(ref->conv->backward(stream, p.plan, 0, NULL, taps, NULL, NULL, dtaps, dbias, NULL, p.scratch));
    assert_true(dot(p.taps, dtaps, dtaps) == 0 && dot(3, dbias, dbias) == 0);
    free(taps), free(bias), free(dtaps), free(dbias);
    conv_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_definition),
        cmocka_unit_test(forward_is_linear),
        cmocka_unit_test(backward_is_the_adjoint),
        cmocka_unit_test(impulse_shows_the_taps),
        cmocka_unit_test(boundaries_agree_inside),
        cmocka_unit_test(stride_takes_every_other_cell),
        cmocka_unit_test(correlation_theorem_holds),
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(no_samples_give_zero_gradients),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
