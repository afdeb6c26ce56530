/* coords.c - orthonormal half-spectrum coordinates of a plane: as a matrix, as separable sums, and as numpy's stored half spectrum.
 *
 * With theta = 2 pi (ky y/H + kx x/W) the unitary DFT is X = (HW)^-1/2 sum x (cos theta - i sin theta), so the rows of the matrix are
 *   (HW)^-1/2 cos theta                                    for a self-conjugate bin,
 *   sqrt2 (HW)^-1/2 cos theta, -sqrt2 (HW)^-1/2 sin theta  for every other unique bin. */
#include "hs_spectrum.h"

#include <limits.h>

#include "spectrum_internal.h"

/* Rows RE and IM [outer][inner] of one bin from phase(o, i) = turns of o + turns of i. Row 0 is filled first with the inner axis and holds
 * the bare factors until it is rotated last (by zero): no table, and outer + inner roots instead of outer * inner. IM is NULL for a
 * self-conjugate bin, whose sines are all exactly zero. */
static void fill_rows(int outer, int inner, int k_outer, int k_inner, double scale, double *re, double *im)
{
    for (int i = 0; i < inner; i++) {
        double c, s;
        unit_root((int64_t)k_inner * i, inner, &c, &s);
        re[i] = scale * c;
        if (im)
            im[i] = -scale * s;
    }
    for (int o = outer - 1; o > 0; o--) {
        double c, s;
        unit_root((int64_t)k_outer * o, outer, &c, &s);
        double *re_row = re + (size_t)o * inner, *im_row = im ? im + (size_t)o * inner : NULL;
        for (int i = 0; i < inner; i++) {
            double a = re[i], b = im ? im[i] : 0.0; /* (a + ib)(c - is) */
            re_row[i] = a * c + b * s;
            if (im_row)
                im_row[i] = b * c - a * s;
        }
    }
}

void hs_coord_matrix(int h, int w, double *m)
{
    size_t n = (size_t)h * w;
    double root = 1.0 / sqrt((double)n);
    int bins = hs_bins_count(h, w);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        bool self = hs_bin_is_self(h, w, ky, kx);
        double *re = m + (size_t)hs_bin_coord(h, w, u) * n;
        fill_rows(h, w, ky, kx, self ? root : SQRT2 * root, re, self ? NULL : re + n);
    }
}

/* Scratch [h][w/2+1][re,im]: the transform along x alone, unnormalised. Second half of the forward, first half of the inverse. */
void hs_plane_to_coords(int h, int w, const double *plane, double *coords, double *scratch)
{
    int half = w / 2 + 1;
    for (size_t i = 0; i < 2 * (size_t)h * half; i++)
        scratch[i] = 0.0;
    for (int kx = 0; kx < half; kx++)
        for (int x = 0; x < w; x++) {
            double c, s;
            unit_root((int64_t)kx * x, w, &c, &s);
            for (int y = 0; y < h; y++) {
                double *to = scratch + 2 * ((size_t)y * half + kx), value = plane[(size_t)y * w + x];
                to[0] += c * value;
                to[1] -= s * value;
            }
        }
    double root = 1.0 / sqrt((double)h * w);
    int bins = hs_bins_count(h, w);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        double re = 0.0, im = 0.0;
        for (int y = 0; y < h; y++) {
            double c, s;
            unit_root((int64_t)ky * y, h, &c, &s);
            const double *from = scratch + 2 * ((size_t)y * half + kx);
            re += c * from[0] + s * from[1];
            im += c * from[1] - s * from[0];
        }
        double *to = coords + hs_bin_coord(h, w, u);
        if (hs_bin_is_self(h, w, ky, kx)) {
            to[0] = root * re;
        } else {
            to[0] = SQRT2 * root * re;
            to[1] = SQRT2 * root * im;
        }
    }
}

/* The transpose: with z = coordinates, plane = sum over bins of (z_re cos theta - z_im sin theta) times the row's scale. Scratch first collects
 * sum over ky of z exp(i 2 pi ky y / h) per (y, kx); the real part of its sum over kx is the plane. */
void hs_coords_to_plane(int h, int w, const double *coords, double *plane, double *scratch)
{
    int half = w / 2 + 1, bins = hs_bins_count(h, w);
    for (size_t i = 0; i < 2 * (size_t)h * half; i++)
        scratch[i] = 0.0;
    double root = 1.0 / sqrt((double)h * w);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        bool self = hs_bin_is_self(h, w, ky, kx);
        const double *z = coords + hs_bin_coord(h, w, u);
        double re = (self ? root : SQRT2 * root) * z[0], im = self ? 0.0 : SQRT2 * root * z[1];
        for (int y = 0; y < h; y++) {
            double c, s;
            unit_root((int64_t)ky * y, h, &c, &s);
            double *to = scratch + 2 * ((size_t)y * half + kx);
            to[0] += c * re - s * im;
            to[1] += c * im + s * re;
        }
    }
    for (size_t i = 0; i < (size_t)h * w; i++)
        plane[i] = 0.0;
    for (int kx = 0; kx < half; kx++)
        for (int x = 0; x < w; x++) {
            double c, s;
            unit_root((int64_t)kx * x, w, &c, &s);
            for (int y = 0; y < h; y++) {
                const double *from = scratch + 2 * ((size_t)y * half + kx);
                plane[(size_t)y * w + x] += c * from[0] - s * from[1];
            }
        }
}

void hs_coords_to_half(int h, int w, const double *coords, double *half)
{
    for (int ky = 0; ky < h; ky++)
        for (int kx = 0; kx <= w / 2; kx++) {
            bool conj;
            const double *z = coords + hs_bin_coord(h, w, hs_bin_index(h, w, ky, kx, &conj));
            bool self = hs_bin_is_self(h, w, ky, kx);
            double *to = half + 2 * ((size_t)ky * (w / 2 + 1) + kx);
            to[0] = self ? z[0] : z[0] / SQRT2;
            to[1] = self ? 0.0 : conj ? -z[1] / SQRT2 : z[1] / SQRT2;
        }
}

void hs_half_to_coords(int h, int w, const double *half, double *coords)
{
    int bins = hs_bins_count(h, w);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        const double *from = half + 2 * ((size_t)ky * (w / 2 + 1) + kx);
        double *to = coords + hs_bin_coord(h, w, u);
        if (hs_bin_is_self(h, w, ky, kx)) {
            to[0] = from[0];
        } else {
            to[0] = SQRT2 * from[0];
            to[1] = SQRT2 * from[1];
        }
    }
}

double hs_half_asymmetry(int h, int w, const double *half)
{
    double worst = 0.0;
    for (int kx = 0; kx <= w / 2; kx++) {
        if (!is_own_mirror(kx, w))
            continue;
        for (int ky = 0; ky <= h / 2; ky++) {
            const double *a = half + 2 * ((size_t)ky * (w / 2 + 1) + kx);
            const double *b = half + 2 * ((size_t)((h - ky) % h) * (w / 2 + 1) + kx);
            double re = fabs(a[0] - b[0]), im = a == b ? fabs(a[1]) : fabs(a[1] + b[1]);
            if (isnan(re) || isnan(im))
                return INFINITY; /* fmax would pass over it without a word */
            worst = fmax(worst, fmax(re, im));
        }
    }
    return worst;
}

void hs_basis_1d(int n, double *d)
{
    for (int row = 0; row < n; row++) {
        int k = (row + 1) / 2;
        double scale = sqrt((is_own_mirror(k, n) ? 1.0 : 2.0) / n);
        for (int y = 0; y < n; y++) {
            double c, s;
            unit_root((int64_t)k * y, n, &c, &s);
            d[(size_t)row * n + y] = scale * (row > 0 && row % 2 == 0 ? s : c);
        }
    }
}

/* Turns of a tap (ky y/kh + kx x/kw) and of a channel, as one complex exponential over [tap][in]; otherwise as fill_rows. */
static void fill_rows_3d(int in, int kh, int kw, const int k[3], double scale, double *re, double *im)
{
    for (int c = 0; c < in; c++) {
        double a, b;
        unit_root((int64_t)k[0] * c, in, &a, &b);
        re[c] = scale * a;
        if (im)
            im[c] = -scale * b;
    }
    for (int tap = kh * kw - 1; tap > 0; tap--) {
        double c, s;
        /* over the common denominator kh*kw, so that the angle stays an integer */
        unit_root((int64_t)k[1] * (tap / kw) * kw + (int64_t)k[2] * (tap % kw) * kh, (int64_t)kh * kw, &c, &s);
        double *re_row = re + (size_t)tap * in, *im_row = im ? im + (size_t)tap * in : NULL;
        for (int i = 0; i < in; i++) {
            double a = re[i], b = im ? im[i] : 0.0;
            re_row[i] = a * c + b * s;
            if (im_row)
                im_row[i] = b * c - a * s;
        }
    }
}

/* Order of rows: kx = 0 .. kw/2 outside, then ky, then the channel's frequency, each axis halved only where all axes outside it are their own
 * mirrors; so in = 1 gives exactly hs_coord_matrix. Writes the matrix, or the partners, or both. */
static void walk_bins_3d(int in, int kh, int kw, double *m, int32_t *partner)
{
    size_t n = (size_t)in * kh * kw, row = 0;
    double root = 1.0 / sqrt((double)n);
    for (int kx = 0; kx <= kw / 2; kx++) {
        bool mirror_x = is_own_mirror(kx, kw);
        for (int ky = 0; ky < (mirror_x ? kh / 2 + 1 : kh); ky++) {
            bool mirror_y = mirror_x && is_own_mirror(ky, kh);
            for (int kc = 0; kc < (mirror_y ? in / 2 + 1 : in); kc++) {
                bool self = mirror_y && is_own_mirror(kc, in);
                int k[3] = {kc, ky, kx}, width = self ? 1 : 2;
                if (m)
                    fill_rows_3d(in, kh, kw, k, self ? root : SQRT2 * root, m + row * n, self ? NULL : m + (row + 1) * n);
                for (int i = 0; partner && i < width; i++)
                    partner[row + i] = (int32_t)row + width - 1 - i;
                row += width;
            }
        }
    }
}

hs_status hs_coord3_matrix(int in, int kh, int kw, double *m)
{
    if (in < 1 || kh < 1 || kw < 1 || (int64_t)in * kh * kw > INT_MAX)
        return hs_fail(HS_EUSAGE, "spectral3d needs positive sides and channels whose product fits an int; got %d x %d x %d", in, kh, kw);
    walk_bins_3d(in, kh, kw, m, NULL);
    return HS_OK;
}

void hs_coord3_partners(int in, int kh, int kw, int32_t *partner)
{
    walk_bins_3d(in, kh, kw, NULL, partner);
}
