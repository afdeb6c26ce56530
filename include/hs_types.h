/* hs_types.h - the small vocabulary that every room shares: shapes, domains, and the named choices of a network.
 *
 * Letters used in brackets all over the program, row-major, last index fastest:
 *   N samples on this rank   C channels   H x W plane   K (kh x kw) filter side   T = number of taps of a filter kernel
 *   P transform grid   U unique bins of a plane   I in-channels   O out-channels   Q = I*O */
#ifndef HS_TYPES_H
#define HS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One sample between two layers: [h][w][c]. A vector is 1 x 1 x c. */
typedef struct hs_shape {
    int h, w, c;
} hs_shape;

static inline size_t hs_shape_count(hs_shape s)
{
    return (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

/* Numbers a backend computes with. The value is the size in bytes. */
typedef enum hs_real { HS_F32 = 4, HS_F64 = 8 } hs_real;

/* Where the numbers on an edge of the network live.
 *   HS_SPACE     [n][h][w][c]
 *   HS_SPECTRUM  [bin][n][re c | im c] over the unique bins of h x w, in ORTHONORMAL coordinates: a self-conjugate bin holds
 *                Re X and a zero imaginary half, every other bin sqrt2 Re X and sqrt2 Im X, X the unitary DFT. So the inverse
 *                transform is the adjoint is the transpose, and norms are equal in both domains. */
typedef enum hs_domain { HS_SPACE, HS_SPECTRUM } hs_domain;

/* The coordinates of a filter that the optimizer sees ("arm" of a parametrisation study). Names: hs_arm_name. */
typedef enum hs_arm {
    HS_ARM_SPATIAL,      /* the taps themselves */
    HS_ARM_SPECTRAL,     /* orthonormal half-spectrum coordinates of each kh x kw filter */
    HS_ARM_HALF_RAW,     /* re and im of numpy's unnormalised rfft2, redundant columns tied: kh*kw numbers */
    HS_ARM_FULL_COMPLEX, /* re and im of all kh*kw unnormalised bins, untied: 2*kh*kw numbers */
    HS_ARM_ROTATION,     /* a fixed random orthogonal basis: the control */
    HS_ARM_SPECTRAL3D,   /* orthonormal coordinates of the 3-D transform over in-channel, ky, kx */
    HS_ARM_COUNT
} hs_arm;

typedef enum hs_boundary { HS_BOUNDARY_ZERO, HS_BOUNDARY_PERIODIC } hs_boundary;
typedef enum hs_embed { HS_EMBED_SPACE, HS_EMBED_BAND } hs_embed;
typedef enum hs_engine { HS_ENGINE_AUTO, HS_ENGINE_DIRECT, HS_ENGINE_FFT } hs_engine;
typedef enum hs_pool_norm { HS_POOL_UNITARY, HS_POOL_MEAN } hs_pool_norm;
typedef enum hs_draw_scope { HS_DRAW_BATCH, HS_DRAW_SAMPLE, HS_DRAW_RANK } hs_draw_scope;
typedef enum hs_init { HS_INIT_HE, HS_INIT_GLOROT, HS_INIT_TRUNCATED, HS_INIT_SPECTRUM } hs_init;

/* What a parameter tensor is; decides which penalties and statistics touch it and how files lay it out. */
typedef enum hs_role {
    HS_ROLE_FILTER,    /* convolution filters, stored as coordinates [coord][in][out] */
    HS_ROLE_DENSE,     /* fully connected weights [in][out] */
    HS_ROLE_BIAS,      /* [out] */
    HS_ROLE_SCALE,     /* batch normalisation's gamma [c] */
    HS_ROLE_SHIFT,     /* batch normalisation's beta [c] */
    HS_ROLE_THRESHOLD, /* modReLU / soft threshold offsets [c] */
    HS_ROLE_STATISTIC  /* running mean / variance: kept and saved, never optimised */
} hs_role;

enum { HS_NAME_MAX = 32 };

/* One named range of the parameter slab. Gradients, moments and every other per-parameter slab use the same offsets.
 * The table is owned by the network and fixed from its creation. */
typedef struct hs_param {
    char layer[HS_NAME_MAX]; /* "conv1", "fc2", "bn1": kind and number, counted per kind from 1 */
    char name[16];           /* "weight", "bias", "gamma", "beta", "mean", "var" */
    hs_role role;
    size_t offset; /* first number in the slab (a statistic: in the statistics slab) */
    size_t count;  /* how many numbers */
    int out, in;   /* channels; in = 1 for vectors */
    int kh, kw;    /* filter sides; 1 x 1 otherwise */
    hs_arm arm;    /* of a filter */
    hs_embed embed;
    int coords; /* numbers per (out, in) pair: kh*kw, or 2*kh*kw for full-complex; 1 otherwise */
} hs_param;

#endif
