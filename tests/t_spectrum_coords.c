/* t_spectrum_coords.c - unique bins and orthonormal coordinates: order, orthogonality, Parseval, adjoint, impulse, shift, 3-D. */
#include "hs_spectrum.h"
#include "spectrum_test.h"

/* Every frequency lands in exactly one bin, its mirror in the same one with the other sign; counts and first coordinates fit. */
static void check_bins(int h, int w)
{
    int bins = hs_bins_count(h, w), coords = 0;
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        bool conj;
        hs_bin_at(h, w, u, &ky, &kx);
        assert_in_range(ky, 0, h - 1);
        assert_in_range(kx, 0, w / 2);
        assert_int_equal(hs_bin_index(h, w, ky, kx, &conj), u);
        assert_false(conj);
        assert_int_equal(hs_bin_index(h, w, -ky, -kx, &conj), u);
        bool self = hs_bin_is_self(h, w, ky, kx);
        assert_int_equal(self, (2 * ky) % h == 0 && (2 * kx) % w == 0);
        assert_int_equal(conj, !self);
        assert_int_equal(hs_bin_index(h, w, ky + h, kx - w, NULL), u);
        assert_int_equal(hs_bin_coord(h, w, u), coords);
        coords += self ? 1 : 2;
    }
    assert_int_equal(coords, h * w);
    assert_int_equal(hs_bin_coord(h, w, bins), h * w);
    int self_bins = (h % 2 ? 1 : 2) * (w % 2 ? 1 : 2);
    assert_int_equal(bins, (h * w + self_bins) / 2);
}

static void bins_are_a_half_plane(void **state)
{
    (void)state;
    for (int h = 1; h <= 12; h++)
        for (int w = 1; w <= 12; w++)
            check_bins(h, w);
    assert_int_equal(hs_bins_count(3, 3), 5);
    assert_int_equal(hs_bins_count(4, 4), 10);
}

static void order_of_bins_is_as_stated(void **state)
{
    (void)state;
    const int expected[10][2] = {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {2, 1}, {3, 1}, {0, 2}, {1, 2}, {2, 2}};
    for (int u = 0; u < 10; u++) {
        int ky, kx;
        hs_bin_at(4, 4, u, &ky, &kx);
        assert_int_equal(ky, expected[u][0]);
        assert_int_equal(kx, expected[u][1]);
    }
}

static void check_orthogonal(int h, int w)
{
    size_t n = (size_t)h * w;
    double *m = doubles(n * n);
    hs_coord_matrix(h, w, m);
    assert_small(gram_error(m, (int)n, (int)n, 1.0), 1e-13, "orthogonality");
    free(m);
}

static void matrix_is_orthogonal_for_small_planes(void **state)
{
    (void)state;
    for (int h = 1; h <= 9; h++)
        for (int w = 1; w <= 9; w++)
            check_orthogonal(h, w);
}

/* The rows of these sizes are too many for all pairs in a test's time: M^T (M x) = x for random x and impulses, and unit rows, which with
 * |Mx| = |x| for a spanning set is the same statement. */
static void check_large(int h, int w)
{
    size_t n = (size_t)h * w;
    double *m = doubles(n * n), *x = doubles(n), *y = doubles(n), *back = doubles(n);
    hs_coord_matrix(h, w, m);
    for (int trial = 0; trial < 4; trial++) {
        fill_normal(x, n, 100 + (uint32_t)trial);
        apply(m, (int)n, (int)n, x, y);
        for (size_t i = 0; i < n; i++)
            back[i] = 0.0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                back[j] += m[i * n + j] * y[i];
        assert_small(distance(back, x, n), 1e-12, "M^T M x = x");
    }
    for (size_t i = 0; i < n; i++)
        assert_near(dot(m + i * n, m + i * n, n), 1.0, 1e-13);
    free(m);
    free(x);
    free(y);
    free(back);
}

static void matrix_is_orthogonal_for_the_papers_sizes(void **state)
{
    (void)state;
    const int sides[] = {32, 27, 22, 18, 15, 12, 10, 8, 6};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (sides[i] <= 18)
            check_orthogonal(sides[i], sides[i]);
        else
            check_large(sides[i], sides[i]);
    check_orthogonal(9, 16);
}

/* X by its definition, one frequency at a time. */
static void define_bin(int h, int w, const double *x, int ky, int kx, double *re, double *im)
{
    *re = *im = 0.0;
    for (int y = 0; y < h; y++)
        for (int c = 0; c < w; c++) {
            double angle = 2.0 * acos(-1.0) * ((double)ky * y / h + (double)kx * c / w), scale = 1.0 / sqrt((double)h * w);
            *re += scale * x[y * w + c] * cos(angle);
            *im -= scale * x[y * w + c] * sin(angle);
        }
}

static void check_definition(int h, int w)
{
    size_t n = (size_t)h * w;
    double *m = doubles(n * n), *x = doubles(n), *coords = doubles(n), *by_matrix = doubles(n), *back = doubles(n);
    double *scratch = doubles(2 * (size_t)h * (w / 2 + 1)), *half = doubles(2 * (size_t)h * (w / 2 + 1));
    fill_normal(x, n, 1);
    hs_coord_matrix(h, w, m);
    hs_plane_to_coords(h, w, x, coords, scratch);
    apply(m, (int)n, (int)n, x, by_matrix);
    assert_small(distance(coords, by_matrix, n), 1e-13, "sums and matrix");
    assert_near(dot(coords, coords, n), dot(x, x, n), 1e-12 * (double)n);
    hs_coords_to_plane(h, w, coords, back, scratch);
    assert_small(distance(back, x, n), 1e-13, "inverse");
    hs_coords_to_half(h, w, coords, half);
    for (int ky = 0; ky < h; ky++)
        for (int kx = 0; kx <= w / 2; kx++) {
            double re, im;
            define_bin(h, w, x, ky, kx, &re, &im);
            assert_near(half[2 * (ky * (w / 2 + 1) + kx)], re, 1e-12);
            assert_near(half[2 * (ky * (w / 2 + 1) + kx) + 1], im, 1e-12);
        }
    assert_true(hs_half_asymmetry(h, w, half) == 0.0); /* by construction, to the last bit */
    hs_half_to_coords(h, w, half, back);
    assert_small(distance(back, coords, n), 1e-14, "half spectrum and back");
    free(m);
    free(x);
    free(coords);
    free(by_matrix);
    free(back);
    free(scratch);
    free(half);
}

static void coordinates_are_the_dft(void **state)
{
    (void)state;
    for (int h = 1; h <= 8; h++)
        for (int w = 1; w <= 8; w++)
            check_definition(h, w);
    check_definition(15, 10);
}

static void inverse_is_adjoint(void **state)
{
    (void)state;
    for (int h = 1; h <= 7; h++)
        for (int w = 1; w <= 7; w++) {
            double x[49], z[49], forward[49], inverse[49], scratch[2 * 7 * 4];
            fill_normal(x, 49, 2);
            fill_normal(z, 49, 3);
            hs_plane_to_coords(h, w, x, forward, scratch);
            hs_coords_to_plane(h, w, z, inverse, scratch);
            assert_near(dot(forward, z, (size_t)h * w), dot(x, inverse, (size_t)h * w), 1e-12);
        }
}

/* An impulse at the origin has the flat real spectrum 1/sqrt(HW). */
static void impulse_is_flat(void **state)
{
    (void)state;
    double x[30] = {1.0}, coords[30], scratch[2 * 5 * 4];
    hs_plane_to_coords(5, 6, x, coords, scratch);
    for (int u = 0; u < hs_bins_count(5, 6); u++) {
        int ky, kx, first = hs_bin_coord(5, 6, u);
        hs_bin_at(5, 6, u, &ky, &kx);
        bool self = hs_bin_is_self(5, 6, ky, kx);
        assert_near(coords[first], (self ? 1.0 : sqrt(2.0)) / sqrt(30.0), 1e-15);
        if (!self)
            assert_near(coords[first + 1], 0.0, 1e-15);
    }
}

/* x(y - a, x - b) has X(k) exp(-2 pi i (ky a/H + kx b/W)): moduli stay, each bin turns. */
static void shift_turns_every_bin(void **state)
{
    (void)state;
    enum { H = 6, W = 5, N = H * W };
    double x[N], moved[N], before[N], after[N], scratch[2 * H * (W / 2 + 1)];
    const int a = 2, b = 3;
    fill_normal(x, N, 4);
    for (int i = 0; i < N; i++)
        moved[((i / W + a) % H) * W + (i % W + b) % W] = x[i];
    hs_plane_to_coords(H, W, x, before, scratch);
    hs_plane_to_coords(H, W, moved, after, scratch);
    for (int u = 0; u < hs_bins_count(H, W); u++) {
        int ky, kx, first = hs_bin_coord(H, W, u);
        hs_bin_at(H, W, u, &ky, &kx);
        double angle = -2.0 * acos(-1.0) * ((double)ky * a / H + (double)kx * b / W);
        bool self = hs_bin_is_self(H, W, ky, kx);
        double re = before[first], im = self ? 0.0 : before[first + 1];
        assert_near(after[first], re * cos(angle) - im * sin(angle), 1e-13);
        if (!self)
            assert_near(after[first + 1], re * sin(angle) + im * cos(angle), 1e-13);
    }
}

static void asymmetry_sees_every_violation(void **state)
{
    (void)state;
    double x[16], coords[16], half[4 * 3 * 2], scratch[4 * 3 * 2];
    fill_normal(x, 16, 5);
    hs_plane_to_coords(4, 4, x, coords, scratch);
    hs_coords_to_half(4, 4, coords, half);
    const int places[][2] = {{0, 1}, {2 * 3, 1}, {2, 1}, {2 * 3 + 2, 1}, {1 * 3, 0}, {1 * 3, 1}, {3 * 3 + 2, 0}, {3 * 3 + 2, 1}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        double *number = &half[2 * places[i][0] + places[i][1]], kept = *number;
        *number += 0.25;
        assert_near(hs_half_asymmetry(4, 4, half), 0.25, 1e-12);
        *number = NAN;
        assert_true(isinf(hs_half_asymmetry(4, 4, half)));
        *number = kept;
    }
    half[2 * (1 * 3 + 1)] += 1.0; /* column 1 is no mirror of itself: free */
    assert_true(hs_half_asymmetry(4, 4, half) == 0.0);
}

static void basis_of_an_axis(void **state)
{
    (void)state;
    double d[33 * 33];
    for (int n = 1; n <= 33; n++) {
        hs_basis_1d(n, d);
        assert_small(gram_error(d, n, n, 1.0), 1e-13, "basis");
        for (int y = 0; y < n; y++) {
            assert_near(d[y], 1.0 / sqrt(n), 1e-15);
            if (n > 2)
                assert_near(d[n + y], sqrt(2.0 / n) * cos(2.0 * acos(-1.0) * y / n), 1e-13);
            if (n > 2)
                assert_near(d[2 * n + y], sqrt(2.0 / n) * sin(2.0 * acos(-1.0) * y / n), 1e-13);
            if (n % 2 == 0)
                assert_near(d[(n - 1) * n + y], (y % 2 ? -1.0 : 1.0) / sqrt(n), 1e-13);
        }
    }
}

static void three_dimensions(void **state)
{
    (void)state;
    for (int in = 1; in <= 5; in++)
        for (int h = 1; h <= 5; h++)
            for (int w = 1; w <= 5; w++) {
                int n = in * h * w;
                double *m = doubles((size_t)n * n), *plane = doubles((size_t)h * w * h * w);
                int32_t *partner = test_array((size_t)n, sizeof *partner);
                assert_int_equal(hs_coord3_matrix(in, h, w, m), HS_OK);
                assert_small(gram_error(m, n, n, 1.0), 1e-13, "3-D orthogonality");
                hs_coord3_partners(in, h, w, partner);
                for (int i = 0; i < n; i++) {
                    assert_in_range(partner[i], 0, n - 1);
                    assert_int_equal(partner[partner[i]], i);
                }
                hs_coord_matrix(h, w, plane);
                if (in == 1)
                    assert_small(distance(m, plane, (size_t)n * n), 1e-14, "one channel is the plane");
                free(m);
                free(plane);
                free(partner);
            }
}

/* Moduli of 3-D bins do not change when taps and channels are rotated cyclically: so partners are the two halves of one bin. */
static void three_dimensional_partners_share_a_bin(void **state)
{
    (void)state;
    enum { IN = 4, H = 3, W = 2, N = IN * H * W };
    double m[N * N], x[N], moved[N], before[N], after[N];
    int32_t partner[N];
    assert_int_equal(hs_coord3_matrix(IN, H, W, m), HS_OK);
    hs_coord3_partners(IN, H, W, partner);
    fill_normal(x, N, 6);
    for (int y = 0; y < H; y++)
        for (int c = 0; c < W; c++)
            for (int i = 0; i < IN; i++)
                moved[(((y + 1) % H) * W + (c + 1) % W) * IN + (i + 1) % IN] = x[(y * W + c) * IN + i];
    apply(m, N, N, x, before);
    apply(m, N, N, moved, after);
    for (int i = 0; i < N; i++) {
        bool alone = partner[i] == i;
        assert_near(alone ? fabs(after[i]) : hypot(after[i], after[partner[i]]), alone ? fabs(before[i]) : hypot(before[i], before[partner[i]]),
                    1e-13);
    }
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_are_a_half_plane),
        cmocka_unit_test(order_of_bins_is_as_stated),
        cmocka_unit_test(matrix_is_orthogonal_for_small_planes),
        cmocka_unit_test(matrix_is_orthogonal_for_the_papers_sizes),
        cmocka_unit_test(coordinates_are_the_dft),
        cmocka_unit_test(inverse_is_adjoint),
        cmocka_unit_test(impulse_is_flat),
        cmocka_unit_test(shift_turns_every_bin),
        cmocka_unit_test(asymmetry_sees_every_violation),
        cmocka_unit_test(basis_of_an_axis),
        cmocka_unit_test(three_dimensions),
        cmocka_unit_test(three_dimensional_partners_share_a_bin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
