/* t_spectrum_stats.c - statistics of filters on cases worked out by hand. */
#include "hs_spectrum.h"
#include "spectrum_test.h"

static void rings(void **state)
{
    (void)state;
    /* 5x5: corners at sqrt8 = 2.83 round to 3; 4x4: (2,2) likewise; 3x3: sqrt2 = 1.41 to 1 */
    assert_int_equal(hs_radii_count(1, 1), 1);
    assert_int_equal(hs_radii_count(3, 3), 2);
    assert_int_equal(hs_radii_count(4, 4), 4);
    assert_int_equal(hs_radii_count(5, 5), 4);
    assert_int_equal(hs_radii_count(1, 8), 5);
    assert_int_equal(hs_radius_of(5, 5, 0, 0), 0);
    assert_int_equal(hs_radius_of(5, 5, 4, 0), 1);
    assert_int_equal(hs_radius_of(5, 5, 1, 2), 2); /* 2.24 */
    assert_int_equal(hs_radius_of(5, 5, 3, 2), 3); /* (-2, 2) */
    assert_int_equal(hs_radius_of(4, 4, 2, 0), 2);
}

/* A constant filter c has X(0) = c sqrt(N) alone; an impulse has |X|^2 = 1/N in all N bins. */
static void power_by_ring(void **state)
{
    (void)state;
    double x[9], coords[18], scratch[2 * 3 * 2], power[4];
    for (int i = 0; i < 9; i++)
        x[i] = 2.0;
    hs_plane_to_coords(3, 3, x, coords, scratch);
    hs_radial_power(3, 3, coords, 1, power);
    assert_near(power[0], 36.0, 1e-12);
    assert_near(power[1], 0.0, 1e-12);
    for (int i = 0; i < 9; i++)
        x[i] = i == 4;
    hs_plane_to_coords(3, 3, x, coords + 9, scratch);
    hs_radial_power(3, 3, coords, 2, power); /* mean of both: (36 + 1/9) / 2 and (0 + 8/9) / 2 */
    assert_near(power[0], (36.0 + 1.0 / 9.0) / 2.0, 1e-12);
    assert_near(power[1], 4.0 / 9.0, 1e-12);
    hs_radial_power(3, 3, coords, 0, power);
    assert_true(power[0] == 0.0 && power[1] == 0.0);
}

/* Rings of an impulse count bins: 1 + 4 + .. of the full spectrum. 4x4: radius 0: 1; 1: (0,+-1),(+-1,0),(+-1,+-1) = 8; 2: (2,0),(0,2),
 * (2,+-1),(+-1,2) = 6; 3: (2,2) = 1. */
static void power_counts_the_full_spectrum(void **state)
{
    (void)state;
    double x[16] = {0}, coords[16], scratch[2 * 4 * 3], power[4];
    x[6] = 4.0; /* |X|^2 = 16/16 */
    hs_plane_to_coords(4, 4, x, coords, scratch);
    hs_radial_power(4, 4, coords, 1, power);
    const double expected[4] = {1.0, 8.0, 6.0, 1.0};
    assert_small(distance(power, expected, 4), 1e-12, "bins by ring");
}

/* cos(2 pi y / 4) on a 4x4 plane: X(+-1, 0) = 16/2/4 = 2. fftshift puts ky = -1 in row 1 and ky = 1 in row 3, the Nyquist row first. */
static void energy_map_rows(void **state)
{
    (void)state;
    double x[16], coords[16], scratch[2 * 4 * 3], energy[12], expected[12] = {0};
    for (int i = 0; i < 16; i++)
        x[i] = (i / 4) % 2 ? 0.0 : i / 4 ? -1.0 : 1.0;
    hs_plane_to_coords(4, 4, x, coords, scratch);
    hs_energy_map(4, 4, coords, 1, energy);
    expected[1 * 3] = expected[3 * 3] = 4.0;
    assert_small(distance(energy, expected, 12), 1e-12, "energy");
    for (int i = 0; i < 16; i++)
        x[i] = (i / 4) % 2 ? -1.0 : 1.0; /* Nyquist along y: X(2, 0) = 4 */
    hs_plane_to_coords(4, 4, x, coords, scratch);
    hs_energy_map(4, 4, coords, 1, energy);
    expected[1 * 3] = expected[3 * 3] = 0.0;
    expected[0] = 16.0;
    assert_small(distance(energy, expected, 12), 1e-12, "Nyquist energy");
}

/* Odd height: rows are ky = -2, -1, 0, 1, 2. The constant lies in row 2; cos(2 pi 2 y / 5) on 5x1 has X(+-2) = 5/2/sqrt5. */
static void energy_map_rows_of_odd_height(void **state)
{
    (void)state;
    double x[5], coords[5], scratch[10], energy[5];
    for (int y = 0; y < 5; y++)
        x[y] = 1.0 + cos(4.0 * acos(-1.0) * y / 5.0);
    hs_plane_to_coords(5, 1, x, coords, scratch);
    hs_energy_map(5, 1, coords, 1, energy);
    const double expected[5] = {1.25, 0.0, 5.0, 0.0, 1.25};
    assert_small(distance(energy, expected, 5), 1e-12, "energy");
}

/* Its sum over the full spectrum (column kx = 1 .. counted twice where it stands for a mirror) is the filters' mean square. */
static void energy_map_keeps_parseval(void **state)
{
    (void)state;
    enum { H = 5, W = 4, N = H * W };
    double x[3 * N], coords[3 * N], scratch[2 * H * 3], energy[H * 3], sum = 0.0;
    fill_normal(x, 3 * N, 1);
    for (int f = 0; f < 3; f++)
        hs_plane_to_coords(H, W, x + f * N, coords + f * N, scratch);
    hs_energy_map(H, W, coords, 3, energy);
    for (int i = 0; i < H * 3; i++)
        sum += (i % 3 == 1 ? 2.0 : 1.0) * energy[i];
    assert_near(sum, dot(x, x, 3 * N) / 3.0, 1e-12);
}

static void sparsity(void **state)
{
    (void)state;
    hs_sparsity out;
    double scratch[4];
    const double single[4] = {0.0, -3.0, 0.0, 0.0}; /* hoyer 1; gini 1 - 2 * 1/2 / 4 = 3/4 */
    hs_sparsity_of(single, 4, 0.1, scratch, &out);
    assert_near(out.hoyer, 1.0, 1e-15);
    assert_near(out.gini, 0.75, 1e-15);
    assert_near(out.small, 0.75, 1e-15);
    assert_near(out.l1, 3.0, 1e-15);
    assert_near(out.l2, 3.0, 1e-15);
    const double flat[4] = {1.0, -1.0, 1.0, 1.0}; /* hoyer 0, gini 0 */
    hs_sparsity_of(flat, 4, 0.1, scratch, &out);
    assert_near(out.hoyer, 0.0, 1e-15);
    assert_near(out.gini, 0.0, 1e-15);
    assert_near(out.small, 0.0, 1e-15);
    assert_near(out.l2, 2.0, 1e-15);
    /* 1 2 3 4: l1 10, l2 sqrt30: hoyer 2 - 10/sqrt30; gini 1 - 2 (1*3.5 + 2*2.5 + 3*1.5 + 4*0.5)/40 = 1/4 */
    const double ramp[4] = {4.0, -1.0, 2.0, -3.0};
    hs_sparsity_of(ramp, 4, 0.6, scratch, &out);
    assert_near(out.hoyer, 2.0 - 10.0 / sqrt(30.0), 1e-14);
    assert_near(out.gini, 0.25, 1e-14);
    assert_near(out.small, 0.5, 1e-15); /* 1 and 2 lie under 2.4 */
    const double none[4] = {0};
    hs_sparsity_of(none, 4, 0.1, scratch, &out);
    assert_true(out.hoyer == 0.0 && out.gini == 0.0 && out.small == 1.0 && out.l1 == 0.0 && out.l2 == 0.0);
    hs_sparsity_of(ramp, 1, 0.1, scratch, &out);
    assert_true(out.hoyer == 0.0 && out.l1 == 4.0);
    hs_sparsity_of(ramp, 0, 0.1, scratch, &out);
    assert_true(out.small == 1.0);
}

/* 64 bins over ten decades: 6.4 a decade. 1 is bin floor(8 * 6.4) = 51; 10 is 57; 1e-8 is 0; 0.5 is floor(7.699 * 6.4) = 49. */
static void histogram(void **state)
{
    (void)state;
    int32_t bins[64];
    const double x[] = {1.0, -1.0, 10.0, 1e-9, 0.0, 1e9, INFINITY, NAN, 0.5, 99.0};
    hs_log_histogram(x, sizeof x / sizeof *x, bins);
    assert_int_equal(bins[51], 2);
    assert_int_equal(bins[57], 1);
    assert_int_equal(bins[0], 2);
    assert_int_equal(bins[63], 4);
    assert_int_equal(bins[49], 1);
    int total = 0;
    for (int i = 0; i < 64; i++)
        total += bins[i];
    assert_int_equal(total, 10);
    hs_log_histogram(x, 0, bins);
    for (int i = 0; i < 64; i++)
        assert_int_equal(bins[i], 0);
}

int main(void)
{
    printf("# seed %llu\n", (unsigned long long)test_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings),
        cmocka_unit_test(power_by_ring),
        cmocka_unit_test(power_counts_the_full_spectrum),
        cmocka_unit_test(energy_map_rows),
        cmocka_unit_test(energy_map_rows_of_odd_height),
        cmocka_unit_test(energy_map_keeps_parseval),
        cmocka_unit_test(sparsity),
        cmocka_unit_test(histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
