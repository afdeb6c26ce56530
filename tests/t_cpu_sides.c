/* t_cpu_sides.c - transforms of every side from 1 to 70 and of a few large ones, with the kernels of every instruction set: against the sums of
 * hs_plane_to_coords in double, and back. Sides with straight-line codelets, without, odd, even, prime, oblong; channels that fill lines and that
 * do not. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_rng.h"
#include "hs_spectrum.h"

enum { N = 2 };

static const double limit = 1e-6; /* relative rms; a few roundings of fp32 */

static double spectrum_error(int h, int w, int c, const float *x, const float *spectrum)
{
    const size_t plane_size = (size_t)h * w;
    double *plane = NULL, *coords = NULL, *scratch = NULL, gap = 0, size = 0;
    assert_int_equal(hs_calloc(plane_size, sizeof *plane, "plane", &plane), HS_OK);
    assert_int_equal(hs_calloc(plane_size, sizeof *coords, "coordinates", &coords), HS_OK);
    assert_int_equal(hs_calloc(2 * (size_t)h * (w / 2 + 1), sizeof *scratch, "scratch", &scratch), HS_OK);
    const int channel = c - 1, sample = N - 1; /* the last of each is where remainders go wrong */
    for (size_t i = 0; i < plane_size; i++)
        plane[i] = x[(sample * plane_size + i) * c + channel];
    hs_plane_to_coords(h, w, plane, coords, scratch);
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        const bool self = hs_bin_is_self(h, w, ky, kx);
        const float *row = spectrum + ((size_t)u * N + sample) * 2 * c;
        const double re = coords[hs_bin_coord(h, w, u)], im = self ? 0 : coords[hs_bin_coord(h, w, u) + 1];
        gap += (row[channel] - re) * (row[channel] - re) + (row[c + channel] - im) * (row[c + channel] - im);
        size += re * re + im * im;
        if (self)
            assert_true(row[c + channel] == 0);
    }
    hs_free(plane), hs_free(coords), hs_free(scratch);
    return sqrt(gap / size);
}

static double difference(size_t count, const float *a, const float *b)
{
    double gap = 0, size = 0;
    for (size_t i = 0; i < count; i++)
        gap += ((double)a[i] - b[i]) * ((double)a[i] - b[i]), size += (double)b[i] * b[i];
    return sqrt(gap / size);
}

static void one_side(const hs_backend *cpu, hs_device *device, hs_stream *s, int h, int w, int c)
{
    const size_t nx = (size_t)N * h * w * c, ns = (size_t)N * hs_bins_count(h, w) * 2 * c;
    float *x = NULL, *back = NULL, *spectrum = NULL;
    void *scratch = NULL;
    hs_transform *t = NULL;
    assert_int_equal(hs_calloc(nx, sizeof *x, "x", &x), HS_OK);
    assert_int_equal(hs_calloc(nx, sizeof *back, "back", &back), HS_OK);
    assert_int_equal(hs_calloc(ns, sizeof *spectrum, "spectrum", &spectrum), HS_OK);
    for (size_t i = 0; i < nx; i++)
        x[i] = (float)hs_normal(hs_random(7, HS_DRAW_TEST, (uint32_t)h, (uint32_t)w, i));
    assert_int_equal(cpu->transform->plan(device, N, h, w, c, &t), HS_OK);
    assert_int_equal(hs_calloc(cpu->transform->scratch_bytes(t) + 1, 1, "scratch", &scratch), HS_OK);
    assert_int_equal(cpu->transform->forward(s, t, N, x, spectrum, scratch), HS_OK);
    assert_int_equal(cpu->transform->inverse(s, t, N, spectrum, back, scratch), HS_OK);
    const double there = spectrum_error(h, w, c, x, spectrum), round_trip = difference(nx, back, x);
    if (!(there < limit && round_trip < limit)) {
        print_message("%d x %d, %d channels: forward %g, there and back %g\n", h, w, c, there, round_trip);
        fail();
    }
    cpu->transform->destroy(&t);
    hs_free(x), hs_free(back), hs_free(spectrum), hs_free(scratch);
}

static void all_sides(const char *kernels)
{
    const hs_backend *cpu = NULL;
    hs_device *device = NULL;
    hs_stream *s = NULL;
    const hs_device_options options = {.threads = 2, .ordinal = -1};
    assert_int_equal(hs_backend_find("cpu", &cpu), HS_OK);
    setenv("HALFSPEC_KERNELS", kernels, 1);
    const hs_status st = cpu->device->open(cpu, &options, &device);
    unsetenv("HALFSPEC_KERNELS");
    if (st != HS_OK)
        skip(); /* not on this processor */
    assert_int_equal(cpu->device->stream_create(device, &s), HS_OK);
    for (int side = 1; side <= 70; side++) {
        one_side(cpu, device, s, side, side, 16);
        if (side % 3 == 0)
            one_side(cpu, device, s, side, side, 5);
        one_side(cpu, device, s, 1 + side % 7, side, 16);
        one_side(cpu, device, s, side, 1 + side % 6, 17);
    }
    one_side(cpu, device, s, 128, 3, 16);
    one_side(cpu, device, s, 4, 131, 3);
    one_side(cpu, device, s, 150, 129, 2);
    one_side(cpu, device, s, 3, 200, 17); /* FFTW on one axis, on both */
    one_side(cpu, device, s, 201, 2, 16);
    one_side(cpu, device, s, 193, 194, 3);
    cpu->device->stream_destroy(&s);
    cpu->device->close(&device);
}

static void avx512(void **state)
{
    (void)state;
    all_sides("avx512");
}

static void avx2(void **state)
{
    (void)state;
    all_sides("avx2");
}

static void plain(void **state)
{
    (void)state;
    all_sides("plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(avx512), cmocka_unit_test(avx2), cmocka_unit_test(plain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
