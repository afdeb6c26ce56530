/* stats.c - what histories keep of a set of filters: power by ring, energy by bin, sparsity, a histogram of magnitudes. */
#include "hs_spectrum.h"

#include <math.h>
#include <stdlib.h>

int hs_radius_of(int kh, int kw, int ky, int kx)
{
    double y = hs_signed_frequency(ky, kh), x = hs_signed_frequency(kx, kw);
    return (int)floor(sqrt(y * y + x * x) + 0.5);
}

int hs_radii_count(int kh, int kw)
{
    return hs_radius_of(kh, kw, kh / 2, kw / 2) + 1;
}

/* Squares of a bin's coordinates are |X(k)|^2 + |X(-k)|^2 already: no factor for what the half spectrum leaves out. */
void hs_radial_power(int kh, int kw, const double *coords, size_t count, double *power)
{
    int radii = hs_radii_count(kh, kw), bins = hs_bins_count(kh, kw);
    size_t taps = (size_t)kh * kw;
    for (int r = 0; r < radii; r++)
        power[r] = 0.0;
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(kh, kw, u, &ky, &kx);
        int first = hs_bin_coord(kh, kw, u), width = hs_bin_is_self(kh, kw, ky, kx) ? 1 : 2;
        double sum = 0.0;
        for (size_t f = 0; f < count; f++)
            for (int i = first; i < first + width; i++)
                sum += coords[f * taps + i] * coords[f * taps + i];
        power[hs_radius_of(kh, kw, ky, kx)] += count ? sum / (double)count : 0.0;
    }
}

void hs_energy_map(int kh, int kw, const double *coords, size_t count, double *energy)
{
    int half = kw / 2 + 1;
    size_t taps = (size_t)kh * kw;
    for (int row = 0; row < kh; row++)
        for (int kx = 0; kx < half; kx++) {
            int ky = (row + (kh + 1) / 2) % kh; /* numpy.fft.fftshift: row r holds frequency r - kh/2 */
            int first = hs_bin_coord(kh, kw, hs_bin_index(kh, kw, ky, kx, NULL)), width = hs_bin_is_self(kh, kw, ky, kx) ? 1 : 2;
            double sum = 0.0;
            for (size_t f = 0; f < count; f++)
                for (int i = first; i < first + width; i++)
                    sum += coords[f * taps + i] * coords[f * taps + i];
            energy[(size_t)row * half + kx] = count ? sum / ((double)count * width) : 0.0;
        }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Gini (Hurley and Rickard 2009, eq. 6) of ascending magnitudes c_1 <= .. <= c_n: 1 - 2 sum c_k/|c|_1 (n - k + 1/2)/n. */
static double gini_of(const double *sorted, size_t n, double l1)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++)
        sum += sorted[k] / l1 * ((double)(n - k) - 0.5) / (double)n;
    return 1.0 - 2.0 * sum;
}

void hs_sparsity_of(const double *x, size_t count, double threshold, double *scratch, hs_sparsity *out)
{
    hs_sparsity result = {.small = 1.0};
    double square = 0.0, largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        scratch[i] = fabs(x[i]);
        result.l1 += scratch[i];
        square += scratch[i] * scratch[i];
        largest = fmax(largest, scratch[i]);
    }
    result.l2 = sqrt(square);
    if (result.l1 > 0.0) {
        size_t small = 0;
        for (size_t i = 0; i < count; i++)
            small += scratch[i] < threshold * largest;
        result.small = (double)small / (double)count;
        double root = sqrt((double)count);
        result.hoyer = count > 1 ? (root - result.l1 / result.l2) / (root - 1.0) : 0.0;
        qsort(scratch, count, sizeof *scratch, ascending);
        result.gini = gini_of(scratch, count, result.l1);
    }
    *out = result;
}

void hs_log_histogram(const double *x, size_t count, int32_t bins[64])
{
    for (int i = 0; i < 64; i++)
        bins[i] = 0;
    for (size_t i = 0; i < count; i++) {
        double place = x[i] == 0.0 ? 0.0 : floor((log10(fabs(x[i])) + 8.0) * 6.4);
        bins[place < 0.0 ? 0 : place < 63.0 ? (int)place : 63]++; /* infinities and NaN count as too large */
    }
}
