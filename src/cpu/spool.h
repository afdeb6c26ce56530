/* spool.h - spectral pooling inside the backend: planes in one pass (spool_plane.c, spool_axis.c), maps between spectra (spool_map.c) and
 * frequency dropout (lowpass.c). */
#ifndef HS_CPU_SPOOL_H
#define HS_CPU_SPOOL_H

#include "dft.h"
#include "pool.h"

/* One axis of FROM cells to one of TO, keeping what both can hold: by straight-line transforms or by matrices. */
typedef struct hs_cpu_resize {
    const hs_cpu_kernels *kernels;
    int from, to;
    const hs_cpu_codelet *real, *adjoint; /* of FROM, of TO, or NULL: */
    float *even, *odd;                    /* [to/2+1][from/2+1], [(to-1)/2][(from-1)/2] */
    float scale;                          /* what the result must be multiplied by */
} hs_cpu_resize;

/* Backward is forward with FROM and TO exchanged. */
hs_status hs_cpu_resize_plan(const hs_cpu_kernels *kernels, int from, int to, hs_pool_norm norm, hs_cpu_resize *r);
void hs_cpu_resize_destroy(hs_cpu_resize *r);
size_t hs_cpu_resize_floats(const hs_cpu_resize *r);
/* Once before the first line: SCRATCH [hs_cpu_resize_floats] keeps what is zero from line to line. */
void hs_cpu_resize_begin(const hs_cpu_resize *r, int width, float *scratch);
/* X [from] rows of WIDTH, LDX apart -> Y [to], which may lie over it. The rows from NEXT on, LD_NEXT apart, are fetched meanwhile (X: none). */
void hs_cpu_resize_line(const hs_cpu_resize *r, int width, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next, float *y, ptrdiff_t ldy,
                        float *scratch);

/* Rows of a sparse map between spectra, each a sum over coordinates. */
typedef struct hs_cpu_sparse {
    int rows, *start, *column;
    float *weight;
} hs_cpu_sparse;
typedef struct hs_cpu_place { /* where a coordinate of a plane lies: its bin, and 0 for re or 1 for im */
    int bin, half;
} hs_cpu_place;
typedef struct hs_cpu_crop {
    hs_cpu_sparse map, adjoint;
    hs_cpu_place *big, *small;
    int big_bins, small_bins;
} hs_cpu_crop;
hs_status hs_cpu_crop_plan(const hs_spool_desc *d, hs_cpu_crop *crop);
void hs_cpu_crop_destroy(hs_cpu_crop *crop);
/* Spectra [bins][n][2c], cropped, or with BACK spread out again. */
void hs_cpu_crop_run(const struct hs_spool *p, bool back, int n, const float *x, float *y);

/* Frequency dropout (lowpass.c). */
typedef struct hs_cpu_mirror { /* |ky| and |kx| of a bin, and where (-ky, kx) is stored */
    int fy, fx, bin;
    bool conj;
} hs_cpu_mirror;
typedef struct hs_cpu_lowpass_plan {
    float *basis_h, *basis_w; /* [h][h], [w][w]; in space */
    hs_cpu_mirror *mirrors;   /* [bins]; in the spectrum */
} hs_cpu_lowpass_plan;
hs_status hs_cpu_lowpass_plan_make(const hs_spool_desc *d, hs_cpu_lowpass_plan *l);
void hs_cpu_lowpass_destroy(hs_cpu_lowpass_plan *l);
size_t hs_cpu_lowpass_floats(const struct hs_spool *p); /* of one thread */

struct hs_spool {
    hs_spool_desc d;
    const hs_cpu_device *device;
    const hs_cpu_kernels *kernels;
    int threads;
    bool cropped;                /* in = SPECTRUM, and nothing happens to the map before it is pooled */
    hs_cpu_crop crop;
    hs_cpu_dft *big, *small;     /* h x w, unless cropped; oh x ow, unless cropped and out = SPECTRUM without a rectifier */
    hs_cpu_resize x[2], y[2];    /* forward, backward; unless cropped */
    hs_cpu_lowpass_plan lowpass; /* domains and sides equal */
};

/* One end of a pass over planes: a map, or a spectrum; and its rectifier. */
typedef struct hs_cpu_end {
    const hs_cpu_dft *dft;
    hs_domain domain;
    float *at; /* of the source it is only read */
    hs_cpu_gate gate;
} hs_cpu_end;
size_t hs_cpu_plane_pass_floats(const struct hs_spool *p); /* of one thread */
void hs_cpu_plane_pass(const struct hs_spool *p, bool back, int n, hs_cpu_end from, hs_cpu_end to, float *scratch);

static inline float *hs_cpu_to_line(void *p)
{
    return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

#endif
