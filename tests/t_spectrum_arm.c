/* t_spectrum_arm.c - the arms: identities between synthesis and analysis, orthonormality where it is claimed, the factors of half-raw, band
 * embedding, and the norms of white filters in both domains. */
#include "hs_base.h"
#include "hs_spectrum.h"
#include "spectrum_test.h"

typedef struct arm_pair {
    int rows, cols;
    double *synthesis, *analysis;
} arm_pair;

static arm_pair make(const hs_arm_shape *shape)
{
    arm_pair pair;
    hs_arm_size(shape, &pair.rows, &pair.cols);
    pair.synthesis = doubles((size_t)pair.rows * pair.cols);
    pair.analysis = doubles((size_t)pair.rows * pair.cols);
    assert_int_equal(hs_arm_matrices(shape, pair.synthesis, pair.analysis), HS_OK);
    return pair;
}

static void drop(arm_pair *pair)
{
    free(pair->synthesis);
    free(pair->analysis);
}

/* Largest deviation of A B from the identity; A [n][m], B [m][n]. */
static double product_error(const double *a, const double *b, int n, int m)
{
    double worst = 0.0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = i == j ? -1.0 : 0.0;
            for (int k = 0; k < m; k++)
                sum += a[i * m + k] * b[k * n + j];
            worst = fmax(worst, fabs(sum));
        }
    return worst;
}

static void names_go_both_ways(void **state)
{
    (void)state;
    const char *expected[] = {"spatial", "spectral", "half-raw", "full-complex", "rotation", "spectral3d"};
    for (int i = 0; i < HS_ARM_COUNT; i++) {
        hs_arm arm = HS_ARM_COUNT;
        assert_string_equal(hs_arm_name((hs_arm)i), expected[i]);
        assert_true(hs_arm_from_name(expected[i], &arm));
        assert_int_equal(arm, i);
    }
    hs_arm arm;
    assert_false(hs_arm_from_name("spectra", &arm));
}

/* Taps -> coordinates -> taps is the identity in every arm; the other way round wherever coordinates are as many as taps. */
static void check_arm(hs_arm arm, int kh, int kw, int in)
{
    hs_arm_shape shape = {.arm = arm, .kh = kh, .kw = kw, .in = in, .seed = 7};
    arm_pair p = make(&shape);
    assert_small(product_error(p.synthesis, p.analysis, p.rows, p.cols), 1e-12, hs_arm_name(arm));
    if (p.rows == p.cols)
        assert_small(product_error(p.analysis, p.synthesis, p.cols, p.rows), 1e-12, hs_arm_name(arm));
    if (hs_arm_is_orthonormal(arm)) {
        assert_small(gram_error(p.synthesis, p.rows, p.cols, 1.0), 1e-12, hs_arm_name(arm));
        for (int r = 0; r < p.rows; r++)
            for (int c = 0; c < p.cols; c++)
                assert_true(p.synthesis[r * p.cols + c] == p.analysis[c * p.rows + r]);
    }
    drop(&p);
}

static void every_arm_keeps_the_taps(void **state)
{
    (void)state;
    long before = hs_live_blocks();
    for (int arm = 0; arm < HS_ARM_COUNT; arm++)
        for (int kh = 1; kh <= 5; kh++)
            for (int kw = 1; kw <= 5; kw++)
                check_arm((hs_arm)arm, kh, kw, 3);
    check_arm(HS_ARM_ROTATION, 11, 11, 1);
    assert_int_equal(hs_live_blocks(), before);
}

/* Coordinates of half-raw and full-complex are numpy's own unnormalised transforms: compare with the orthonormal ones. */
static void raw_coordinates_are_unnormalised_transforms(void **state)
{
    (void)state;
    enum { KH = 4, KW = 3, N = KH * KW };
    double x[N], coords[N], half[2 * KH * (KW / 2 + 1)], scratch[2 * KH * (KW / 2 + 1)], raw[N], full[2 * N];
    arm_pair r = make(&(hs_arm_shape){.arm = HS_ARM_HALF_RAW, .kh = KH, .kw = KW, .in = 1});
    arm_pair f = make(&(hs_arm_shape){.arm = HS_ARM_FULL_COMPLEX, .kh = KH, .kw = KW, .in = 1});
    fill_normal(x, N, 1);
    hs_plane_to_coords(KH, KW, x, coords, scratch);
    hs_coords_to_half(KH, KW, coords, half);
    apply(r.analysis, r.cols, r.rows, x, raw);
    apply(f.analysis, f.cols, f.rows, x, full);
    for (int ky = 0; ky < KH; ky++)
        for (int kx = 0; kx < KW; kx++) {
            bool conj;
            int u = hs_bin_index(KH, KW, ky, kx, &conj), uy, ux;
            hs_bin_at(KH, KW, u, &uy, &ux);
            double re = sqrt(N) * half[2 * (uy * (KW / 2 + 1) + ux)], im = sqrt(N) * half[2 * (uy * (KW / 2 + 1) + ux) + 1];
            int first = hs_bin_coord(KH, KW, u);
            assert_near(full[2 * (ky * KW + kx)], re, 1e-12);
            assert_near(full[2 * (ky * KW + kx) + 1], conj ? -im : im, 1e-12);
            assert_near(raw[first], re, 1e-12);
            if (!hs_bin_is_self(KH, KW, ky, kx))
                assert_near(raw[first + 1], im, 1e-12);
        }
    drop(&r);
    drop(&f);
}

/* A step of gradient descent in coordinates c, taps = S c, moves the taps by S S^T times the step in space. In the spectrum S S^T is diagonal:
 * half-raw 2/N, and 1/N where a bin is self-conjugate (the mean first of all); full-complex 1/N everywhere. */
static void check_step_factors(hs_arm arm, int kh, int kw)
{
    int n = kh * kw;
    arm_pair p = make(&(hs_arm_shape){.arm = arm, .kh = kh, .kw = kw, .in = 1});
    double *m = doubles((size_t)n * n), *step = doubles((size_t)n), *image = doubles((size_t)p.cols);
    hs_coord_matrix(kh, kw, m);
    for (int u = 0; u < hs_bins_count(kh, kw); u++) {
        int ky, kx, first = hs_bin_coord(kh, kw, u);
        hs_bin_at(kh, kw, u, &ky, &kx);
        bool self = hs_bin_is_self(kh, kw, ky, kx);
        double factor = arm == HS_ARM_HALF_RAW && !self ? 2.0 / n : 1.0 / n;
        for (int i = first; i < first + (self ? 1 : 2); i++) {
            for (int c = 0; c < p.cols; c++) {
                image[c] = 0.0;
                for (int t = 0; t < n; t++)
                    image[c] += p.synthesis[t * p.cols + c] * m[i * n + t];
            }
            apply(p.synthesis, n, p.cols, image, step);
            for (int t = 0; t < n; t++)
                assert_near(step[t], factor * m[i * n + t], 1e-13); /* an eigenvector, with this eigenvalue */
        }
    }
    drop(&p);
    free(m);
    free(step);
    free(image);
}

static void raw_arms_step_by_their_factors(void **state)
{
    (void)state;
    for (int kh = 1; kh <= 6; kh++)
        for (int kw = 1; kw <= 6; kw++) {
            check_step_factors(HS_ARM_HALF_RAW, kh, kw);
            check_step_factors(HS_ARM_FULL_COMPLEX, kh, kw);
        }
}

static void rotation_follows_its_seed(void **state)
{
    (void)state;
    hs_arm_shape shape = {.arm = HS_ARM_ROTATION, .kh = 3, .kw = 3, .in = 1, .seed = 5};
    arm_pair a = make(&shape), b = make(&shape);
    shape.seed = 6;
    arm_pair c = make(&shape);
    assert_true(distance(a.synthesis, b.synthesis, 81) == 0.0);
    assert_true(distance(a.synthesis, c.synthesis, 81) > 0.1);
    drop(&a);
    drop(&b);
    drop(&c);
}

/* Taps of a band filter over the plane: same coordinates as the small filter in the bins it has, zero elsewhere. Odd sides, where the two
 * grids of frequencies are comparable one by one. */
static void band_keeps_the_low_bins(void **state)
{
    (void)state;
    enum { K = 3, H = 7, W = 8 };
    double z[K * K], plane[H * W], coords[H * W], scratch[2 * H * (W / 2 + 1)], small[2 * K * 2], large[2 * H * (W / 2 + 1)];
    arm_pair p = make(&(hs_arm_shape){.arm = HS_ARM_SPECTRAL, .embed = HS_EMBED_BAND, .kh = K, .kw = K, .in = 1, .plane_h = H, .plane_w = W});
    assert_int_equal(p.rows, H * W);
    assert_int_equal(p.cols, K * K);
    fill_normal(z, K * K, 2);
    apply(p.synthesis, p.rows, p.cols, z, plane);
    hs_plane_to_coords(H, W, plane, coords, scratch);
    hs_coords_to_half(H, W, coords, large);
    hs_coords_to_half(K, K, z, small);
    for (int ky = 0; ky < H; ky++)
        for (int kx = 0; kx <= W / 2; kx++) {
            int signed_y = hs_signed_frequency(ky, H);
            bool inside = abs(signed_y) <= K / 2 && kx <= K / 2;
            const double *from = &small[2 * (((signed_y + K) % K) * 2 + (inside ? kx : 0))], *to = &large[2 * (ky * (W / 2 + 1) + kx)];
            assert_near(to[0], inside ? from[0] : 0.0, 1e-13);
            assert_near(to[1], inside ? from[1] : 0.0, 1e-13);
        }
    drop(&p);
}

/* Analysis is the pseudo-inverse: coordinates -> plane -> coordinates is the identity for independent coordinates, and A S A = A for all; an
 * orthonormal arm keeps norms, even sides included. */
static void band_of_every_arm(void **state)
{
    (void)state;
    for (int arm = 0; arm < HS_ARM_COUNT; arm++)
        for (int k = 1; k <= 4; k++) {
            hs_arm_shape shape = {
                .arm = (hs_arm)arm, .embed = HS_EMBED_BAND, .kh = k, .kw = k + 1, .in = 2, .plane_h = 5, .plane_w = 6, .seed = 3};
            arm_pair p = make(&shape);
            if (arm != HS_ARM_FULL_COMPLEX)
                assert_small(product_error(p.analysis, p.synthesis, p.cols, p.rows), 1e-12, "coordinates and back");
            if (hs_arm_is_orthonormal((hs_arm)arm))
                assert_small(gram_error(p.analysis, p.cols, p.rows, 1.0), 1e-12, "orthonormal columns");
            double *x = doubles((size_t)p.rows), *c = doubles((size_t)p.cols), *again = doubles((size_t)p.cols);
            fill_normal(x, (size_t)p.rows, 4);
            apply(p.analysis, p.cols, p.rows, x, c);
            apply(p.synthesis, p.rows, p.cols, c, x);
            apply(p.analysis, p.cols, p.rows, x, again);
            assert_small(distance(c, again, (size_t)p.cols), 1e-12, "A S A = A");
            free(x);
            free(c);
            free(again);
            drop(&p);
        }
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    double m[64];
    assert_int_equal(hs_arm_matrices(&(hs_arm_shape){.arm = HS_ARM_SPECTRAL, .embed = HS_EMBED_BAND, .kh = 5, .kw = 3, .in = 1, .plane_h = 4,
                                                     .plane_w = 4},
                                     m, NULL),
                     HS_EUSAGE);
    assert_int_equal(hs_arm_matrices(&(hs_arm_shape){.arm = HS_ARM_SPATIAL, .kh = 0, .kw = 3, .in = 1}, m, NULL), HS_EUSAGE);
}

/* Section 6: over white filters, L1 of the unnormalised full spectrum over L1 of the taps is (pi / (2 sqrt2)) sqrt(N) = 3.34, 5.54, 7.74, 12.3 for
 * k = 3, 5, 7, 11 (modulus form: E|X| = sqrt(pi)/2 per unit of E|X|^2, E|w| = sqrt(2/pi)). Self-conjugate bins have E|X| = sqrt(2/pi) instead, so
 * the ratio sits (1 - 0.9003) / N below. L2 is the same. */
static void norms_of_white_filters(void **state)
{
    (void)state;
    const int sides[] = {3, 5, 7, 11};
    const double stated[] = {3.34, 5.54, 7.74, 12.3};
    for (int i = 0; i < 4; i++) {
        int k = sides[i], n = k * k, filters = 400000 / n;
        double *x = doubles((size_t)n), *z = doubles((size_t)n), *scratch = doubles(2 * (size_t)k * (k / 2 + 1));
        double l1_space = 0.0, l1_spectrum = 0.0;
        for (int f = 0; f < filters; f++) {
            fill_normal(x, (size_t)n, 1000 + (uint32_t)f);
            hs_plane_to_coords(k, k, x, z, scratch);
            assert_near(dot(x, x, (size_t)n), dot(z, z, (size_t)n), 1e-11);
            for (int t = 0; t < n; t++)
                l1_space += fabs(x[t]);
            l1_spectrum += fabs(z[0]); /* odd k: the mean is the only self-conjugate bin */
            for (int t = 1; t < n; t += 2)
                l1_spectrum += sqrt(2.0) * hypot(z[t], z[t + 1]);
        }
        double ratio = sqrt(n) * l1_spectrum / l1_space, expected = acos(-1.0) / (2.0 * sqrt(2.0)) * sqrt(n);
        printf("# k = %d: ratio %.3f, stated %.3f\n", k, ratio, expected);
        assert_near(ratio / expected, 1.0, 0.02);
        assert_near(ratio / stated[i], 1.0, 0.02);
        free(x);
        free(z);
        free(scratch);
    }
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(every_arm_keeps_the_taps),
        cmocka_unit_test(raw_coordinates_are_unnormalised_transforms),
        cmocka_unit_test(raw_arms_step_by_their_factors),
        cmocka_unit_test(rotation_follows_its_seed),
        cmocka_unit_test(band_keeps_the_low_bins),
        cmocka_unit_test(band_of_every_arm),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(norms_of_white_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
