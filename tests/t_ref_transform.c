/* t_ref_transform.c - the transform of `ref` by its properties, and the product of dense layers. */
#include "ref_help.h"

#include "hs_spectrum.h"

typedef struct plane {
    int n, h, w, c;
    size_t space, spectrum;
    hs_transform *plan;
    void *scratch;
} plane;

static plane plane_open(int n, int h, int w, int c)
{
    plane p = {.n = n, .h = h, .w = w, .c = c, .space = (size_t)n * h * w * c, .spectrum = (size_t)hs_bins_count(h, w) * n * 2 * c};
    assert_ok(ref->transform->plan(device, n, h, w, c, &p.plan));
    p.scratch = zeros(ref->transform->scratch_bytes(p.plan) / sizeof(double) + 1);
    return p;
}

static plane plane_random(void)
{
    return plane_open(pick(1, 3), pick(1, 13), pick(1, 13), pick(1, 4));
}

static void plane_close(plane *p)
{
    ref->transform->destroy(&p->plan);
    assert_null(p->plan);
    free(p->scratch);
}

static double *forward(const plane *p, const double *x)
{
    double *y = zeros(p->spectrum);
    assert_ok(ref->transform->forward(stream, p->plan, p->n, x, y, p->scratch));
    return y;
}

static double *inverse(const plane *p, const double *y)
{
    double *x = zeros(p->space);
    assert_ok(ref->transform->inverse(stream, p->plan, p->n, y, x, p->scratch));
    return x;
}

/* Index of bin (ky, kx) of sample i, channel c, real half. */
static size_t spot(const plane *p, int u, int i, int c)
{
    return ((size_t)u * p->n + i) * 2 * p->c + c;
}

static void inverse_undoes_forward(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        plane p = plane_random();
        double *x = normals(p.space), *y = forward(&p, x), *back = inverse(&p, y), *again = forward(&p, back);
        assert_true(distance(p.space, back, x) < 1e-12);
        assert_true(distance(p.spectrum, again, y) < 1e-12);
        assert_near(dot(p.space, x, x), dot(p.spectrum, y, y), 1e-11 * dot(p.space, x, x)); /* Parseval */
        free(x), free(y), free(back), free(again);
        plane_close(&p);
    }
}

/* <F x, g> = <x, F^T g> for any g, imaginary halves of self-conjugate bins included: they are no coordinates and count nothing. */
static void inverse_is_the_adjoint(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        plane p = plane_random();
        double *x = normals(p.space), *g = normals(p.spectrum), *fx = forward(&p, x), *fg = inverse(&p, g);
        assert_near(dot(p.spectrum, fx, g), dot(p.space, x, fg), 1e-11 * sqrt(dot(p.space, x, x) * dot(p.spectrum, g, g)));
        free(x), free(g), free(fx), free(fg);
        plane_close(&p);
    }
}

static void impulse_is_flat(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        plane p = plane_random();
        double *x = zeros(p.space);
        x[p.c - 1] = 1; /* sample 0, cell (0, 0), last channel */
        double *y = forward(&p, x);
        for (int u = 0; u < hs_bins_count(p.h, p.w); u++) {
            int ky, kx;
            hs_bin_at(p.h, p.w, u, &ky, &kx);
            double size = sqrt((hs_bin_is_self(p.h, p.w, ky, kx) ? 1.0 : 2.0) / (p.h * p.w));
            assert_near(y[spot(&p, u, 0, p.c - 1)], size, 1e-13);
            assert_near(y[spot(&p, u, 0, p.c - 1) + p.c], 0, 1e-13);
        }
        assert_near(dot(p.spectrum, y, y), 1, 1e-12); /* nothing in other samples and channels */
        free(x), free(y);
        plane_close(&p);
    }
}

/* x moved by (dy, dx) has the spectrum X e^(-2 pi i (ky dy/H + kx dx/W)). */
static void shift_turns_the_phase(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        plane p = plane_open(1, pick(1, 13), pick(1, 13), 1);
        int dy = pick(0, p.h - 1), dx = pick(0, p.w - 1);
        double *x = normals(p.space), *moved = zeros(p.space);
        for (int y = 0; y < p.h; y++)
            for (int i = 0; i < p.w; i++)
                moved[(y + dy) % p.h * p.w + (i + dx) % p.w] = x[y * p.w + i];
        double *before = forward(&p, x), *after = forward(&p, moved);
        for (int u = 0; u < hs_bins_count(p.h, p.w); u++) {
            int ky, kx;
            hs_bin_at(p.h, p.w, u, &ky, &kx);
            double angle = -6.283185307179586477 * ((double)ky * dy / p.h + (double)kx * dx / p.w);
            double re = before[2 * u], im = before[2 * u + 1];
            assert_near(after[2 * u], re * cos(angle) - im * sin(angle), 1e-11);
            assert_near(after[2 * u + 1], re * sin(angle) + im * cos(angle), 1e-11);
        }
        free(x), free(moved), free(before), free(after);
        plane_close(&p);
    }
}

/* The backend's layout holds the coordinates that hs_spectrum.h defines. */
static void coordinates_are_those_of_a_plane(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        plane p = plane_random();
        const size_t cells = (size_t)p.h * p.w;
        double *x = normals(p.space), *y = forward(&p, x), *one = zeros(cells), *coords = zeros(cells);
        double *scratch = zeros(2 * (size_t)p.h * (p.w / 2 + 1));
        for (int i = 0; i < p.n; i++)
            for (int c = 0; c < p.c; c++) {
                for (size_t j = 0; j < cells; j++)
                    one[j] = x[((size_t)i * cells + j) * p.c + c];
                hs_plane_to_coords(p.h, p.w, one, coords, scratch);
                for (int u = 0; u < hs_bins_count(p.h, p.w); u++) {
                    int ky, kx, at = hs_bin_coord(p.h, p.w, u);
                    hs_bin_at(p.h, p.w, u, &ky, &kx);
                    assert_near(y[spot(&p, u, i, c)], coords[at], 1e-11);
                    assert_near(y[spot(&p, u, i, c) + p.c], hs_bin_is_self(p.h, p.w, ky, kx) ? 0 : coords[at + 1], 1e-11);
                }
            }
        free(x), free(y), free(one), free(coords), free(scratch);
        plane_close(&p);
    }
}

static void no_samples_are_legal(void **state)
{
    (void)state;
    plane p = plane_open(2, 5, 4, 3);
    double guard = 7;
    assert_ok(ref->transform->forward(stream, p.plan, 0, NULL, &guard, p.scratch));
    assert_ok(ref->transform->inverse(stream, p.plan, 0, NULL, &guard, p.scratch));
    assert_true(guard == 7);
    plane_close(&p);
}

static double entry(const double *m, bool trans, int ld, int i, int j)
{
    return trans ? m[(size_t)j * ld + i] : m[(size_t)i * ld + j];
}

static void gemm_is_the_definition(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        const bool ta = round & 1, tb = round & 2;
        const int m = pick(1, 20), n = pick(1, 150), k = pick(0, 20), lda = (ta ? m : k) + 1, ldb = (tb ? k : n) + 2, ldc = n + 3;
        const double alpha = pick(-2, 2), beta = pick(-1, 1);
        double *a = normals((size_t)(ta ? k : m) * lda), *b = normals((size_t)(tb ? n : k) * ldb), *c = normals((size_t)m * ldc);
        double *want = zeros((size_t)m * ldc);
        memcpy(want, c, (size_t)m * ldc * sizeof *c);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int l = 0; l < k; l++)
                    sum += entry(a, ta, lda, i, l) * entry(b, tb, ldb, l, j);
                want[i * ldc + j] = alpha * sum + beta * want[i * ldc + j];
                if (beta == 0)
                    c[i * ldc + j] = NAN; /* must not be read */
            }
        assert_ok(ref->gemm->gemm(stream, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc));
        assert_true(distance((size_t)m * ldc, c, want) < 1e-13);
        free(a), free(b), free(c), free(want);
    }
}

static void bias_and_its_gradient_are_adjoint(void **state)
{
    (void)state;
    const int rows = pick(0, 30), cols = pick(1, 9);
    const size_t count = (size_t)rows * cols;
    double *bias = normals((size_t)cols), *dy = normals(count), *y = zeros(count), *dbias = normals((size_t)cols);
    assert_ok(ref->gemm->bias_add(stream, rows, cols, bias, y));
    assert_ok(ref->gemm->bias_grad(stream, rows, cols, dy, dbias));
    assert_near(dot(count, y, dy), dot((size_t)cols, bias, dbias), 1e-10);
    assert_ok(ref->gemm->bias_grad(stream, 0, cols, dy, dbias));
    assert_true(dot((size_t)cols, dbias, dbias) == 0);
    free(bias), free(dy), free(y), free(dbias);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_undoes_forward),
        cmocka_unit_test(inverse_is_the_adjoint),
        cmocka_unit_test(impulse_is_flat),
        cmocka_unit_test(shift_turns_the_phase),
        cmocka_unit_test(coordinates_are_those_of_a_plane),
        cmocka_unit_test(no_samples_are_legal),
        cmocka_unit_test(gemm_is_the_definition),
        cmocka_unit_test(bias_and_its_gradient_are_adjoint),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
