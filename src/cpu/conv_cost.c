/* conv_cost.c - what a convolution is expected to take: which engine, and for the FFT which grid.
 *
 * Rates of one core, fitted by least squares to 40 shapes (sides 4 to 64, 1 to 256 channels, filters 1 to 11, 1 to 64 samples, zero and periodic;
 * forward and backward, AVX-512 kernels, one thread of a Sapphire Rapids class machine). The FFT's times are met to 16 % (rms), the direct ones to 20 %.
 * The engine it chooses is the faster one, or within 5 % of it, in 39 of the 40 (the other: 13 %) and in all of 24 shapes that were not fitted. Only
 * ratios decide, so that another processor changes little. */
#include "conv.h"

#include "dft_axis.h"
#include "hs_spectrum.h"

static const double rate_bins = 125e9, rate_filters = 156e9, rate_matrix = 100e9, rate_direct = 130e9; /* flop/s */
static const double bandwidth = 16e9, cached = 60e9; /* bytes/s: of memory; of windows that stay in L2 */
static const double seconds_copy = 3.5e-9;           /* beginning to copy one row of a window */

static double direct_seconds(const hs_conv_desc *d)
{
    const double pixels = (double)d->capacity * d->oh * d->ow, k = (double)d->kh * d->kw * d->ci, passes = d->need_dx ? 3 : 2;
    /* Thin matrices run slower: panels of fewer than 16 columns or windows of fewer than 16 numbers waste lanes. */
    const double rate = rate_direct * (d->co < 16 ? d->co / 16.0 : 1) * (k < 64 ? (8 + k) / 72 : 1);
    const bool plain = d->kh == 1 && d->kw == 1 && d->stride == 1; /* its own windows */
    const double gather = plain ? 0 : passes * pixels * (k * 4 * 2 / cached + d->kh * seconds_copy);
    return passes * 2 * pixels * k * d->co / rate + gather + passes * 4 * pixels * (d->ci + d->co) / bandwidth;
}

/* Straight-line transforms hide behind the memory they move; matrices, of the sides that have no such code, cost half a side a number and part. */
static double plane_seconds(const hs_cpu_kernels *kernels, int h, int w, int ph, int pw)
{
    const double rows = hs_cpu_axis_has_code(kernels, pw, w) ? 0 : (double)h * pw * pw;
    const double cols = hs_cpu_axis_has_code(kernels, ph, h) ? 0 : 2.0 * (pw / 2 + 1) * ph * ph;
    return (rows + cols) / rate_matrix + 4.0 * (h * w + 1.5 * ph * pw) / bandwidth;
}

static double fft_seconds(const hs_cpu_kernels *kernels, const hs_conv_desc *d, int ph, int pw)
{
    const double bins = hs_bins_count(ph, pw), ci = hs_cpu_pad(d->ci), co = hs_cpu_pad(d->co), n = d->capacity, passes = d->need_dx ? 3 : 2;
    const double plane = plane_seconds(kernels, d->h, d->w, ph, pw);
    const double products = passes * 6 * bins * n * ci * co / rate_bins;
    /* Spectra of filters made, or folded: 2 kh + kw + 6 multiply-adds a number, and as much again as 32 of them for moving it. */
    const double filters = passes * bins * ci * co * (2 * d->kh + d->kw + 6 + 32) * 2 / rate_filters;
    const int turns = d->out == HS_SPACE ? 1 : d->relu ? 2 : 0; /* of y, and of dy; a rectifier between two spectra goes through space */
    const double x = (d->in == HS_SPACE ? n * ci * plane : 0) * (d->need_dx ? 2 : 1), y = turns * n * co * plane * 2;
    return products + filters + x + y + passes * bins * n * 2 * (ci + co) * 4 / bandwidth;
}

/* The least grid on which nothing wraps into the map has the fewest frequencies, but not every side has straight-line code: 38 x 38 goes through
 * matrices, 40 x 40 does not, and is 1.5 times as fast (37 x 37 maps, 16 channels, 3 x 3; 65 to 66: 1.9 times). Both sides grow by at most GROWTH cells; the cheapest wins. A periodic map is its own grid. */
double hs_cpu_fft_grid(const hs_cpu_kernels *kernels, const hs_conv_desc *d, int *ph, int *pw)
{
    enum { GROWTH = 3 };
    const bool zero = d->boundary == HS_BOUNDARY_ZERO;
    const int least_h = d->h + (zero ? d->kh / 2 : 0), least_w = d->w + (zero ? d->kw / 2 : 0);
    double best = fft_seconds(kernels, d, least_h, least_w);
    *ph = least_h;
    *pw = least_w;
    for (int i = 1; zero && i < (GROWTH + 1) * (GROWTH + 1); i++) {
        const int h = least_h + i / (GROWTH + 1), w = least_w + i % (GROWTH + 1);
        const double seconds = fft_seconds(kernels, d, h, w);
        if (seconds < best) {
            best = seconds;
            *ph = h;
            *pw = w;
        }
    }
    return best;
}

double hs_cpu_conv_cost(const hs_device *device, const hs_conv_desc *d)
{
    int ph, pw;
    const hs_cpu_kernels *kernels = ((const hs_cpu_device *)device)->kernels;
    return (d->engine == HS_ENGINE_FFT ? hs_cpu_fft_grid(kernels, d, &ph, &pw) : direct_seconds(d)) / device->threads;
}
