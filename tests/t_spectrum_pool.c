/* t_spectrum_pool.c - spectral pooling: the table from numpy, adjoint and projection for every pair of parities, the textbook definition for odd
 * sizes, both norms, and the crop map against the matrices. */
#include "hs_base.h"
#include "hs_spectrum.h"
#include "spectrum_reference.h"
#include "spectrum_test.h"

static void reference_plane(int h, int w, double *x)
{
    for (int y = 0; y < h; y++)
        for (int c = 0; c < w; c++)
            x[y * w + c] = ((37 * y + 61 * c + 13 * y * c) % 23 - 11) / 8.0;
}

/* OUT [h][w] = P_h X P_w^T. */
static void pool(int big_h, int big_w, int h, int w, hs_pool_norm norm, const double *x, double *out)
{
    double *ph = doubles((size_t)h * big_h), *pw = doubles((size_t)w * big_w);
    hs_pool_matrix(h, big_h, norm, ph);
    hs_pool_matrix(w, big_w, norm, pw);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            double sum = 0.0;
            for (int y = 0; y < big_h; y++)
                for (int c = 0; c < big_w; c++)
                    sum += ph[i * big_h + y] * pw[j * big_w + c] * x[y * big_w + c];
            out[i * w + j] = sum;
        }
    free(ph);
    free(pw);
}

static void numbers_from_numpy(void **state)
{
    (void)state;
    size_t cases = sizeof reference_cases / sizeof *reference_cases, used = 0;
    for (size_t i = 0; i < cases; i++) {
        const struct reference_case *c = &reference_cases[i];
        size_t n = (size_t)c->big_h * c->big_w, half_count = 2 * (size_t)c->big_h * (c->big_w / 2 + 1);
        double *x = doubles(n), *coords = doubles(n), *out = doubles(half_count > n ? half_count : n), *scratch = doubles(half_count);
        reference_plane(c->big_h, c->big_w, x);
        if (c->h == 0) {
            hs_plane_to_coords(c->big_h, c->big_w, x, coords, scratch);
            hs_coords_to_half(c->big_h, c->big_w, coords, out);
            assert_int_equal(c->count, half_count);
        } else {
            pool(c->big_h, c->big_w, c->h, c->w, HS_POOL_UNITARY, x, out);
            assert_int_equal(c->count, c->h * c->w);
        }
        assert_small(distance(out, reference_numbers + c->start, (size_t)c->count), 1e-12, c->h ? "pooled plane" : "spectrum");
        used += (size_t)c->count;
        free(x);
        free(coords);
        free(out);
        free(scratch);
    }
    assert_int_equal(used, sizeof reference_numbers / sizeof *reference_numbers);
}

/* P = D_h^T [I 0] D_H by its definition, P P^T = I, and P^T P an orthogonal projection of rank h. */
static void one_axis_of_every_size(void **state)
{
    (void)state;
    enum { MOST = 20 };
    double p[MOST * MOST], small[MOST * MOST], large[MOST * MOST], q[MOST * MOST];
    for (int big = 1; big <= MOST; big++)
        for (int h = 1; h <= big; h++) {
            hs_pool_matrix(h, big, HS_POOL_UNITARY, p);
            assert_small(gram_error(p, h, big, 1.0), 1e-13, "P P^T = I");
            hs_basis_1d(h, small);
            hs_basis_1d(big, large);
            for (int i = 0; i < h; i++)
                for (int y = 0; y < big; y++) {
                    double sum = 0.0;
                    for (int k = 0; k < h; k++)
                        sum += small[k * h + i] * large[k * big + y];
                    assert_near(p[i * big + y], sum, 1e-13);
                }
            double trace = 0.0, worst = 0.0;
            for (int a = 0; a < big; a++)
                for (int b = 0; b < big; b++) {
                    q[a * big + b] = 0.0;
                    for (int i = 0; i < h; i++)
                        q[a * big + b] += p[i * big + a] * p[i * big + b];
                    trace += a == b ? q[a * big + b] : 0.0;
                }
            for (int a = 0; a < big; a++)
                for (int b = 0; b < big; b++)
                    worst = fmax(worst, fabs(dot(q + a * big, q + b * big, (size_t)big) - q[a * big + b]));
            assert_small(worst, 1e-13, "Q Q = Q");
            assert_near(trace, h, 1e-12);
        }
}

static void mean_norm_keeps_the_mean(void **state)
{
    (void)state;
    double x[63], out[63], unitary[63];
    fill_normal(x, 63, 1);
    for (int h = 1; h <= 7; h++)
        for (int w = 1; w <= 9; w++) {
            double before = 0.0, after = 0.0;
            pool(7, 9, h, w, HS_POOL_MEAN, x, out);
            pool(7, 9, h, w, HS_POOL_UNITARY, x, unitary);
            for (int i = 0; i < 63; i++)
                before += x[i] / 63.0;
            for (int i = 0; i < h * w; i++) {
                after += out[i] / (h * w);
                assert_near(out[i], unitary[i] * sqrt(h * w / 63.0), 1e-13);
            }
            assert_near(after, before, 1e-13);
        }
}

/* FFT, centred crop, inverse, by sums of complex exponentials; for odd h, w the result is real by itself. */
static void textbook(int big_h, int big_w, int h, int w, const double *x, double *out, double *imaginary)
{
    const double turn = 2.0 * acos(-1.0);
    *imaginary = 0.0;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            double re = 0.0, im = 0.0;
            for (int ky = -(h / 2); ky <= h / 2; ky++)
                for (int kx = -(w / 2); kx <= w / 2; kx++)
                    for (int y = 0; y < big_h; y++)
                        for (int c = 0; c < big_w; c++) {
                            double angle = turn * (ky * ((double)i / h - (double)y / big_h) + kx * ((double)j / w - (double)c / big_w));
                            re += x[y * big_w + c] * cos(angle);
                            im += x[y * big_w + c] * sin(angle);
                        }
            double scale = 1.0 / sqrt((double)big_h * big_w * h * w);
            out[i * w + j] = scale * re;
            *imaginary = fmax(*imaginary, fabs(scale * im));
        }
}

static void textbook_definition_for_odd_sizes(void **state)
{
    (void)state;
    double x[72], expected[72], out[72], imaginary;
    fill_normal(x, 72, 2);
    for (int big_h = 7; big_h <= 8; big_h++)
        for (int big_w = 8; big_w <= 9; big_w++)
            for (int h = 1; h <= 7; h += 2)
                for (int w = 1; w <= 7; w += 2) {
                    textbook(big_h, big_w, h, w, x, expected, &imaginary);
                    assert_small(imaginary, 1e-13, "imaginary part");
                    pool(big_h, big_w, h, w, HS_POOL_UNITARY, x, out);
                    assert_small(distance(out, expected, (size_t)h * w), 1e-13, "textbook");
                }
}

static void map_apply(const hs_crop_map *map, const double *in, double *out)
{
    for (int i = 0; i < map->rows; i++) {
        out[i] = 0.0;
        for (int e = map->start[i]; e < map->start[i + 1]; e++)
            out[i] += map->weight[e] * in[map->column[e]];
    }
}

static void map_transpose(const hs_crop_map *map, size_t count, const double *in, double *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = 0.0;
    for (int i = 0; i < map->rows; i++)
        for (int e = map->start[i]; e < map->start[i + 1]; e++)
            out[map->column[e]] += map->weight[e] * in[i];
}

/* One pair of shapes: crop map = matrices; <Px, g> = <x, P^T g>; P P^T = scale; projecting twice changes nothing. */
static void check_map(int big_h, int big_w, int h, int w, hs_pool_norm norm)
{
    enum { MOST = 144 };
    double x[MOST], coords[MOST], cropped[MOST], back[MOST], pooled[MOST], expected[MOST], g[MOST], spread[MOST], again[MOST], scratch[2 * MOST];
    size_t n = (size_t)big_h * big_w, small = (size_t)h * w;
    double square = norm == HS_POOL_MEAN ? (double)small / (double)n : 1.0;
    hs_crop_map map;
    assert_int_equal(hs_crop_map_create(h, w, big_h, big_w, norm, &map), HS_OK);
    assert_int_equal(map.rows, small);
    assert_int_equal(map.start[map.rows], map.entries);
    for (int i = 0; i < map.rows; i++)
        assert_in_range(map.start[i + 1] - map.start[i], 1, 4);
    fill_normal(x, n, 3);
    fill_normal(g, small, 4);
    pool(big_h, big_w, h, w, norm, x, expected);
    hs_plane_to_coords(big_h, big_w, x, coords, scratch);
    map_apply(&map, coords, cropped);
    hs_coords_to_plane(h, w, cropped, pooled, scratch);
    assert_small(distance(pooled, expected, small), 1e-12, "crop map and matrices");
    map_transpose(&map, n, g, spread);
    assert_near(dot(cropped, g, small), dot(coords, spread, n), 1e-12);
    map_apply(&map, spread, again);
    for (size_t i = 0; i < small; i++)
        assert_near(again[i], square * g[i], 1e-13);
    map_transpose(&map, n, cropped, back); /* the low-pass of x; once more must do nothing */
    map_apply(&map, back, again);
    for (size_t i = 0; i < small; i++)
        assert_near(again[i], square * cropped[i], 1e-12);
    hs_crop_map_destroy(&map);
    assert_null(map.start);
}

static void crop_map_is_the_same_map(void **state)
{
    (void)state;
    long before = hs_live_blocks();
    for (int big_h = 1; big_h <= 7; big_h++)
        for (int big_w = 1; big_w <= 7; big_w++)
            for (int h = 1; h <= big_h; h++)
                for (int w = 1; w <= big_w; w++) {
                    check_map(big_h, big_w, h, w, HS_POOL_UNITARY);
                    check_map(big_h, big_w, h, w, HS_POOL_MEAN);
                }
    check_map(12, 12, 10, 10, HS_POOL_UNITARY);
    check_map(12, 12, 8, 9, HS_POOL_MEAN);
    assert_int_equal(hs_live_blocks(), before);
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    hs_crop_map map;
    assert_int_equal(hs_crop_map_create(5, 4, 4, 4, HS_POOL_UNITARY, &map), HS_EUSAGE);
    assert_int_equal(hs_crop_map_create(4, 5, 4, 4, HS_POOL_UNITARY, &map), HS_EUSAGE);
    assert_int_equal(hs_crop_map_create(0, 4, 4, 4, HS_POOL_UNITARY, &map), HS_EUSAGE);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_from_numpy),
        cmocka_unit_test(one_axis_of_every_size),
        cmocka_unit_test(mean_norm_keeps_the_mean),
        cmocka_unit_test(textbook_definition_for_odd_sizes),
        cmocka_unit_test(crop_map_is_the_same_map),
        cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
