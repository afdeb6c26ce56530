/* arm.c - the arms of a parametrisation study: names, sizes, and the linear map between an arm's coordinates and taps.
 *
 * With M the orthogonal matrix of hs_coord_matrix and N = kh*kw:
 *   spectral      taps = M^T z
 *   half-raw      z = r sqrt(2/N), and r / sqrt(N) where the bin is self-conjugate, r = re and im of numpy's rfft2
 *   full-complex  taps = Re ifft2(F), F = all N bins [ky][kx][re,im]; S S^T = I/N, so the pseudo-inverse N S^T is numpy's fft2
 *   rotation      taps = Q^T z, Q from the QR decomposition of a matrix of normal numbers with R's diagonal positive (Haar measure: Mezzadri,
 *                 How to generate random matrices from the classical compact groups, 2007)
 *   spectral3d    as spectral, over [tap][in]. */
#include "hs_spectrum.h"

#include <limits.h>
#include <string.h>

#include "hs_base.h"
#include "hs_rng.h"
#include "spectrum_internal.h"

static const char *const names[HS_ARM_COUNT] = {
    [HS_ARM_SPATIAL] = "spatial",           [HS_ARM_SPECTRAL] = "spectral", [HS_ARM_HALF_RAW] = "half-raw",
    [HS_ARM_FULL_COMPLEX] = "full-complex", [HS_ARM_ROTATION] = "rotation", [HS_ARM_SPECTRAL3D] = "spectral3d",
};

const char *hs_arm_name(hs_arm arm)
{
    return arm >= 0 && arm < HS_ARM_COUNT ? names[arm] : "unknown";
}

bool hs_arm_from_name(const char *name, hs_arm *arm)
{
    for (int i = 0; i < HS_ARM_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *arm = (hs_arm)i;
            return true;
        }
    return false;
}

bool hs_arm_is_orthonormal(hs_arm arm)
{
    return arm != HS_ARM_HALF_RAW && arm != HS_ARM_FULL_COMPLEX;
}

int hs_arm_coords(hs_arm arm, int kh, int kw)
{
    return (arm == HS_ARM_FULL_COMPLEX ? 2 : 1) * kh * kw;
}

/* Channels that the arm's matrix mixes. */
static int inner_of(const hs_arm_shape *shape)
{
    return shape->arm == HS_ARM_SPECTRAL3D ? shape->in : 1;
}

void hs_arm_size(const hs_arm_shape *shape, int *rows, int *cols)
{
    int taps = shape->embed == HS_EMBED_BAND ? shape->plane_h * shape->plane_w : shape->kh * shape->kw;
    *rows = taps * inner_of(shape);
    *cols = hs_arm_coords(shape->arm, shape->kh, shape->kw) * inner_of(shape);
}

/* ---- bases: SYNTHESIS^T [cols][taps], one coordinate's contribution to the taps a row ------------------------------------------ */

/* Rows of Q by Gram and Schmidt, each row projected twice (Kahan's "twice is enough"), which for these sizes is orthogonal to rounding. */
static void basis_rotation(int n, uint64_t seed, double *q)
{
    for (int row = 0; row < n; row++) {
        double *v = q + (size_t)row * n, square = 0.0;
        for (int i = 0; i < n; i++)
            v[i] = hs_normal(hs_random(seed, HS_DRAW_ROTATION, (uint32_t)n, 0, (uint64_t)row * n + i));
        for (int pass = 0; pass < 2; pass++)
            for (int other = 0; other < row; other++) {
                const double *b = q + (size_t)other * n;
                double dot = 0.0;
                for (int i = 0; i < n; i++)
                    dot += b[i] * v[i];
                for (int i = 0; i < n; i++)
                    v[i] -= dot * b[i];
            }
        for (int i = 0; i < n; i++)
            square += v[i] * v[i];
        for (int i = 0; i < n; i++)
            v[i] /= sqrt(square);
    }
}

/* d taps / d Re F(ky,kx) = cos(theta)/N, d taps / d Im F = -sin(theta)/N. */
static void basis_full_complex(int kh, int kw, double *b)
{
    int n = kh * kw;
    for (int k = 0; k < n; k++)
        for (int tap = 0; tap < n; tap++) {
            double c, s;
            unit_root((int64_t)(k / kw) * (tap / kw) * kw + (int64_t)(k % kw) * (tap % kw) * kh, n, &c, &s);
            b[(size_t)(2 * k) * n + tap] = c / n;
            b[(size_t)(2 * k + 1) * n + tap] = -s / n;
        }
}

/* Factor from a raw coordinate to the orthonormal one: X = F / sqrt(N), and sqrt2 X is the coordinate of a bin that stands for two. */
static void scale_half_raw(int kh, int kw, double *b)
{
    int n = kh * kw, bins = hs_bins_count(kh, kw);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        hs_bin_at(kh, kw, u, &ky, &kx);
        int first = hs_bin_coord(kh, kw, u), count = hs_bin_is_self(kh, kw, ky, kx) ? 1 : 2;
        double factor = sqrt((double)count / n);
        for (int i = 0; i < count * n; i++)
            b[(size_t)first * n + i] *= factor;
    }
}

static hs_status basis_of(const hs_arm_shape *shape, double *b)
{
    int n = shape->kh * shape->kw;
    switch (shape->arm) {
    case HS_ARM_SPATIAL:
        for (int i = 0; i < n; i++)
            b[(size_t)i * n + i] = 1.0;
        return HS_OK;
    case HS_ARM_SPECTRAL:
    case HS_ARM_HALF_RAW:
        hs_coord_matrix(shape->kh, shape->kw, b);
        if (shape->arm == HS_ARM_HALF_RAW)
            scale_half_raw(shape->kh, shape->kw, b);
        return HS_OK;
    case HS_ARM_FULL_COMPLEX:
        basis_full_complex(shape->kh, shape->kw, b);
        return HS_OK;
    case HS_ARM_ROTATION:
        basis_rotation(n, shape->seed, b);
        return HS_OK;
    case HS_ARM_SPECTRAL3D:
        return hs_coord3_matrix(shape->in, shape->kh, shape->kw, b);
    case HS_ARM_COUNT:
        break;
    }
    return hs_fail(HS_EINTERNAL, "no such arm: %d", (int)shape->arm);
}

/* ---- from a basis to the two matrices ------------------------------------------------------------------------------------------- */

/* Row BASIS [kh*kw][inner] of one coordinate, spread over the plane by the transpose of spectral pooling, P_kh^T x P_kw: zero padding in
 * frequency. MIDDLE [plane_h][kw][inner]. */
static void spread(const hs_arm_shape *shape, const double *ph, const double *pw, const double *basis, double *middle, double *out)
{
    int kh = shape->kh, kw = shape->kw, h = shape->plane_h, w = shape->plane_w, inner = inner_of(shape);
    size_t line = (size_t)kw * inner;
    memset(middle, 0, (size_t)h * line * sizeof *middle);
    memset(out, 0, (size_t)h * w * inner * sizeof *out);
    for (int a = 0; a < kh; a++)
        for (int y = 0; y < h; y++)
            for (size_t i = 0; i < line; i++)
                middle[(size_t)y * line + i] += ph[(size_t)a * h + y] * basis[(size_t)a * line + i];
    for (int y = 0; y < h; y++)
        for (int b = 0; b < kw; b++)
            for (int x = 0; x < w; x++)
                for (int i = 0; i < inner; i++)
                    out[((size_t)y * w + x) * inner + i] += pw[(size_t)b * w + x] * middle[((size_t)y * kw + b) * inner + i];
}

/* Replace *BASIS [cols][taps] by the same coordinates over the plane. */
static hs_status embed_in_band(const hs_arm_shape *shape, int rows, int cols, double **basis)
{
    int kh = shape->kh, kw = shape->kw, h = shape->plane_h, w = shape->plane_w, inner = inner_of(shape);
    double *ph = NULL, *pw = NULL, *middle = NULL, *wide = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc((size_t)kh * h, sizeof *ph, "a band filter's rows", &ph), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)kw * w, sizeof *pw, "a band filter's columns", &pw), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)h * kw * inner, sizeof *middle, "a band filter's scratch", &middle), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)rows * cols, sizeof *wide, "a band filter's basis", &wide), done);
    hs_pool_matrix(kh, h, HS_POOL_UNITARY, ph);
    hs_pool_matrix(kw, w, HS_POOL_UNITARY, pw);
    for (int c = 0; c < cols; c++)
        spread(shape, ph, pw, *basis + (size_t)c * kh * kw * inner, middle, wide + (size_t)c * rows);
    hs_free(*basis);
    *basis = wide;
    wide = NULL;
done:
    hs_free(ph);
    hs_free(pw);
    hs_free(middle);
    hs_free(wide);
    return st;
}

/* Every arm's S has S^T S or S S^T diagonal, so the pseudo-inverse is S^T with rows rescaled: by 1/|row|^2 for independent coordinates
 * (half-raw), by N for full-complex, whose S S^T = I/N. */
static void analysis_from_basis(const hs_arm_shape *shape, int rows, int cols, const double *basis, double *analysis)
{
    for (int c = 0; c < cols; c++) {
        const double *b = basis + (size_t)c * rows;
        double factor = 1.0;
        if (shape->arm == HS_ARM_FULL_COMPLEX)
            factor = (double)shape->kh * shape->kw;
        if (shape->arm == HS_ARM_HALF_RAW) {
            double square = 0.0;
            for (int r = 0; r < rows; r++)
                square += b[r] * b[r];
            factor = 1.0 / square;
        }
        for (int r = 0; r < rows; r++)
            analysis[(size_t)c * rows + r] = factor * b[r];
    }
}

static hs_status check_shape(const hs_arm_shape *s)
{
    if (s->kh < 1 || s->kw < 1 || inner_of(s) < 1 || (int64_t)s->kh * s->kw * inner_of(s) > INT_MAX / 2)
        return hs_fail(HS_EUSAGE, "a filter of %d x %d over %d channels cannot be parametrised as %s; use smaller filters or param = spectral",
                       s->kh, s->kw, s->in, hs_arm_name(s->arm));
    if (s->embed == HS_EMBED_BAND && (s->plane_h < s->kh || s->plane_w < s->kw))
        return hs_fail(HS_EUSAGE, "embed = band needs a map at least as large as the filter: %d x %d does not fit %d x %d", s->kh, s->kw,
                       s->plane_h, s->plane_w);
    return HS_OK;
}

hs_status hs_arm_matrices(const hs_arm_shape *shape, double *synthesis, double *analysis)
{
    HS_TRY(check_shape(shape));
    int rows, cols, taps = shape->kh * shape->kw * inner_of(shape);
    hs_arm_size(shape, &rows, &cols);
    double *basis = NULL;
    hs_status st;
    HS_TRY(hs_calloc((size_t)cols * taps, sizeof *basis, "an arm's basis", &basis));
    HS_TRY_GOTO(st, basis_of(shape, basis), done);
    if (shape->embed == HS_EMBED_BAND)
        HS_TRY_GOTO(st, embed_in_band(shape, rows, cols, &basis), done);
    if (synthesis)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++)
                synthesis[(size_t)r * cols + c] = basis[(size_t)c * rows + r];
    if (analysis)
        analysis_from_basis(shape, rows, cols, basis, analysis);
done:
    hs_free(basis);
    return st;
}
