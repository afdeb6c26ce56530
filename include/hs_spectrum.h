/* hs_spectrum.h - the mathematics of half spectra: pure functions in double, no state, no backend.
 *
 * One convention. A real H x W plane x has the unitary DFT X(ky,kx) = (HW)^-1/2 sum x(y,x) exp(-2 pi i (ky y/H + kx x/W)) and
 * X(-k) = conj X(k). A UNIQUE BIN is one representative of each pair {k, -k}; a bin with k = -k is SELF-CONJUGATE and real.
 * ORTHONORMAL COORDINATES of x: Re X for a self-conjugate bin; sqrt2 Re X and sqrt2 Im X for every other unique bin. They are H*W
 * real numbers and the map from planes is an orthogonal matrix, so inverse = adjoint = transpose, and Parseval holds as it stands.
 *
 * ORDER of unique bins: kx = 0 .. W/2 outside; inside ky = 0 .. H/2 where column kx is its own mirror (kx = 0, and W/2 for even W), else
 * ky = 0 .. H-1. Coordinates follow the bins, re before im. */
#ifndef HS_SPECTRUM_H
#define HS_SPECTRUM_H

#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- bins --------------------------------------------------------------------------------------------------------------- */

int hs_bins_count(int h, int w);                    /* U: HW/2 + 1 or 2 .., e.g. 5 for 3x3, 10 for 4x4 */
bool hs_bin_is_self(int h, int w, int ky, int kx);  /* k = -k modulo (h, w) */
/* The unique bin that holds (ky, kx), any integers; *CONJ says whether it is stored as its mirror -k. CONJ may be NULL. */
int hs_bin_index(int h, int w, int ky, int kx, bool *conj);
void hs_bin_at(int h, int w, int u, int *ky, int *kx); /* the representative of bin U, 0 <= ky < h, 0 <= kx <= w/2 */
/* First coordinate of bin U; the bin has one (self-conjugate) or two. One past the last bin gives H*W. */
int hs_bin_coord(int h, int w, int u);
/* Signed frequency of index k on an axis of N: 0,1,..,-1; N/2 stays positive. */
static inline int hs_signed_frequency(int k, int n)
{
    return k <= n / 2 ? k : k - n;
}

/* ---- planes and coordinates --------------------------------------------------------------------------------------------- */

/* M [HW][HW], row = coordinate, column = plane element [h][w]; orthogonal. */
void hs_coord_matrix(int h, int w, double *m);
/* Same map without the matrix (separable sums): COORDS [HW] from PLANE [h][w] and back. SCRATCH [2*h*(w/2+1)] doubles. */
void hs_plane_to_coords(int h, int w, const double *plane, double *coords, double *scratch);
void hs_coords_to_plane(int h, int w, const double *coords, double *plane, double *scratch);
/* Coordinates to and from numpy.fft.rfft2(plane, norm="ortho"): HALF [h][w/2+1][re,im]. From HALF only the unique bins are read. */
void hs_coords_to_half(int h, int w, const double *coords, double *half);
void hs_half_to_coords(int h, int w, const double *half, double *coords);
/* Largest violation of the Hermitian rule in a stored half spectrum (columns kx = 0 and W/2, self-conjugate bins); 0 = exact, infinite if a
 * number there is not one. */
double hs_half_asymmetry(int h, int w, const double *half);

/* Real orthonormal Fourier basis of one axis, rows DC, cos1, sin1, cos2, .. (even N ends with the Nyquist cosine): D [n][n]. */
void hs_basis_1d(int n, double *d);
/* Orthonormal coordinates of the 3-D transform over (in-channel, ky, kx): matrix [D][D], D = in*kh*kw. Column order is the
 * slab's: [tap = y*kw+x][in-channel]. */
hs_status hs_coord3_matrix(int in, int kh, int kw, double *m);
/* Row of the other half of the same 3-D bin, or the row itself where it is alone: PARTNER [D]. */
void hs_coord3_partners(int in, int kh, int kw, int32_t *partner);

/* ---- arms ----------------------------------------------------------------------------------------------------------------- */

const char *hs_arm_name(hs_arm arm);               /* "spatial", "spectral", "half-raw", ... */
bool hs_arm_from_name(const char *name, hs_arm *arm);
bool hs_arm_is_orthonormal(hs_arm arm);
int hs_arm_coords(hs_arm arm, int kh, int kw);     /* numbers per (out, in) pair */

/* The linear map of an arm: taps = SYNTHESIS coords and coords = ANALYSIS taps (the pseudo-inverse; the transpose where the arm is
 * orthonormal). For all arms but spectral3d ROWS = kh*kw taps, COLS = hs_arm_coords. spectral3d maps whole out-channels: ROWS = COLS
 * = kh*kw*in, order [tap][in]. With embed = band the taps are a PLANE of plane_h x plane_w: the kh x kw half spectrum is zero-padded in
 * frequency (Nyquist rows of even sides are split as spectral pooling's transpose does); then ROWS = plane_h*plane_w.
 * SEED feeds the rotation arm. SYNTHESIS [rows][cols], ANALYSIS [cols][rows]; either may be NULL. */
typedef struct hs_arm_shape {
    hs_arm arm;
    hs_embed embed;
    int kh, kw, in;
    int plane_h, plane_w; /* map size, for embed = band */
    uint64_t seed;
} hs_arm_shape;
void hs_arm_size(const hs_arm_shape *shape, int *rows, int *cols);
hs_status hs_arm_matrices(const hs_arm_shape *shape, double *synthesis, double *analysis);

/* ---- spectral pooling --------------------------------------------------------------------------------------------------- */

/* P [h][H] = D_h^T [I 0] D_H, times sqrt(h/H) for norm = mean; pooled plane = P_h x P_w^T. P P^T = I for norm = unitary. 1 <= h <= H. */
void hs_pool_matrix(int h, int big_h, hs_pool_norm norm, double *p);

/* The same map between half spectra, as a sparse matrix over coordinates: out[i] = sum_e weight[e] in[column[e]], e in
 * [start[i], start[i+1]). At most 4 entries a row. Arrays are owned by the map. */
typedef struct hs_crop_map {
    int rows, entries; /* rows = h*w coordinates of the small plane */
    int *start, *column;
    double *weight;
} hs_crop_map;
hs_status hs_crop_map_create(int h, int w, int big_h, int big_w, hs_pool_norm norm, hs_crop_map *map);
void hs_crop_map_destroy(hs_crop_map *map);

/* ---- statistics of a set of filters (for histories) ---------------------------------------------------------------------- */

/* Rings of |k|: number of radii of a kh x kw spectrum, and the ring of a bin: floor(sqrt(ky^2+kx^2) + 1/2) with signed frequencies. */
int hs_radii_count(int kh, int kw);
int hs_radius_of(int kh, int kw, int ky, int kx);
/* POWER [radii]: sum over the implied full spectrum of |X|^2 by ring, averaged over COUNT filters given as orthonormal coordinates
 * [count][kh*kw]. */
void hs_radial_power(int kh, int kw, const double *coords, size_t count, double *power);
/* ENERGY [kh][kw/2+1], rows in the order of numpy.fft.fftshift (row r holds frequency r - kh/2, so an even kh starts with its Nyquist
 * row): mean |X|^2. */
void hs_energy_map(int kh, int kw, const double *coords, size_t count, double *energy);
/* Sparsity of COUNT numbers: Hoyer 2004 ((sqrt n - l1/l2)/(sqrt n - 1)), Gini (Hurley and Rickard 2009), share below
 * THRESHOLD * max. All-zero input gives 0, 0, 1; Hoyer of a single number is 0. SCRATCH [count]. */
typedef struct hs_sparsity {
    double hoyer, gini, small, l1, l2;
} hs_sparsity;
void hs_sparsity_of(const double *x, size_t count, double threshold, double *scratch, hs_sparsity *out);
/* Histogram of log10|x| in 64 equal bins from -8 to 2 (outside counts in the end bins; zeros in the first, what is not finite in the last). */
void hs_log_histogram(const double *x, size_t count, int32_t bins[64]);

#ifdef __cplusplus
}
#endif
#endif
