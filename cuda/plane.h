/* plane.h - one kernel for whatever happens to a map between two passes over memory: transforms by matrix products, rectifiers,
 * spectral pooling, frequency dropout, and any chain of them.
 *
 * A block holds the map of one sample and of 8, 16 or 32 channels in shared memory. It loads pixels or bins, works through a list
 * of operations in place, and stores pixels or bins. In space the map is [h][w] pixels; in the spectrum it is [h][w] coordinates of
 * the real Fourier basis of both axes (DC, cos1, sin1, ..), D_h x D_w^T, which four at a time make the two bins (+ky, kx) and (-ky,
 * kx). So a transform with zeros around the map is a product with the first columns of D, cropping an inverse one with its first
 * rows, and pooling a spectrum keeps the first coordinates. */
#ifndef HS_CUDA_PLANE_H
#define HS_CUDA_PLANE_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "hs_backend.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HS_PLANE_TILES = 5,                  /* of 8 numbers, the longest line */
    HS_PLANE_SIDE = 8 * HS_PLANE_TILES,  /* the longest side */
    HS_PLANE_OPS = 6,
    HS_PLANE_THREADS = 256
};

typedef enum hs_plane_kind {
    HS_PLANE_PRODUCT, /* L x R^T */
    HS_PLANE_RELU,    /* max(0, x + bias); bits of what passed, or was NaN, are written */
    HS_PLANE_MASK,    /* zero where a bit is not set */
    HS_PLANE_KEEP     /* coordinates beyond a sample's own numbers are zeroed */
} hs_plane_kind;

typedef struct hs_plane_op {
    int kind;
    int h, w;        /* of the map that it finds */
    int oh, ow;      /* PRODUCT: of the map that it leaves */
    int left, right; /* PRODUCT: where L [oh][h] and R [ow][w] begin in the tables. RELU, MASK: LEFT is the first word of the bits */
} hs_plane_op;

typedef struct hs_plane {
    int c, tiles;            /* channels; blocks take 8 TILES of them, 1, 2 or 4 */
    int row, shared;         /* positions from row to row, odd; bytes of shared memory */
    bool in_spectrum, out_spectrum, in_half, out_half; /* half: stored as bf16 */
    bool split;              /* products as accurate as fp32; otherwise their factors are rounded to tf32 */
    int in_h, in_w;          /* of the map in memory */
    int kept_h, kept_w;      /* a spectrum: coordinates that are loaded */
    int out_h, out_w;        /* of the map in memory; a spectrum is zero beyond what the last operation left */
    float scale;             /* of what is stored */
    float bias_scale;        /* a spectrum that is loaded gets this times the bias at frequency 0, if there is a bias; 0: RELU adds it */
    int words;               /* of bits, of one block */
    int ops;
    hs_plane_op op[HS_PLANE_OPS];
} hs_plane;

/* n > 0: queues the kernel. n = 0: lets it have as much shared memory, which a plan does once. BITS [n][groups][words], KEEP [n][2]. */
cudaError_t hs_cuda_plane_run(cudaStream_t s, const hs_plane *p, int n, const void *in, const float *tables, const float *bias,
                              uint32_t *bits, const int32_t *keep, void *out);

#ifdef __cplusplus
}
#endif

/* ---- plane.c: chains, for the host side ---------------------------------------------------------------------------------- */

/* Maps up to this size on this device, and not in exact precision. */
bool hs_cuda_plane_fits(const hs_device *device, int h, int w);
/* Spectra that only we see, inside a convolution and at sealed edges, are stored as bf16 in that precision. */
bool hs_cuda_plane_half(const hs_device *device, int h, int w);

/* A chain of operations with its tables on the device. */
typedef struct hs_cuda_plane {
    hs_plane p;
    float *tables;
} hs_cuda_plane;

/* A chain that is being written down; no map on the way is larger than MAX. */
typedef struct hs_cuda_chain {
    const hs_device *device;
    hs_plane p;
    int h, w, numbers; /* of the map so far; of the tables so far */
    float *host;
} hs_cuda_chain;
hs_status hs_cuda_chain_begin(const hs_device *device, hs_domain in, int h, int w, int c, int max_h, int max_w,
                              hs_cuda_chain *chain);
/* In a spectrum, at the beginning: its first coordinates alone are loaded. */
void hs_cuda_chain_first(hs_cuda_chain *chain, int h, int w);
/* A matrix for each axis: coordinates of GRID pixels from the first pixels, pixels from the first coordinates, pooling of GRID
 * pixels, and the transpose of pooling. */
typedef enum hs_axis { HS_AXIS_FORWARD, HS_AXIS_INVERSE, HS_AXIS_POOL, HS_AXIS_SPREAD } hs_axis;
void hs_cuda_chain_multiply(hs_cuda_chain *chain, hs_axis axis, int grid_h, int grid_w, int to_h, int to_w);
/* RELU, MASK with bits from word FIRST on, or KEEP. */
void hs_cuda_chain_add(hs_cuda_chain *chain, hs_plane_kind kind, int first);
int hs_cuda_chain_words(const hs_cuda_chain *chain, int h, int w); /* of bits of such a map */
/* WORDS: of all bits of a block. Takes the chain apart whether it succeeds or not. */
hs_status hs_cuda_chain_end(hs_cuda_chain *chain, hs_domain out, int h, int w, int words, hs_cuda_plane *plane);
void hs_cuda_plane_destroy(hs_cuda_plane *plane);

size_t hs_cuda_plane_bits(const hs_cuda_plane *plane, int capacity); /* bytes */
hs_status hs_cuda_plane_call(hs_stream *s, const hs_cuda_plane *plane, int n, const void *in, const float *bias, void *bits,
                             const int32_t *keep, void *out);
/* For cost(): a launch that moves so many bytes and does so many operations on tensor cores. */
double hs_cuda_plane_seconds(const hs_device *device, double bytes, double flops);
/* Of L x R^T, [h][w] to [oh][ow]. */
double hs_cuda_plane_flops(double h, double w, double oh, double ow);

#endif
