/* dft_plane.h - inside a transform: one image and one block of its channels, whose rows and columns one thread takes through L1 and L2. Whoever
 * has more to do with a plane than to transform it (rectify, pool) does it here, between the rows, where it costs no pass over memory. */
#ifndef HS_CPU_DFT_PLANE_H
#define HS_CPU_DFT_PLANE_H

#include "dft.h"
#include "dft_axis.h"

struct hs_cpu_dft {
    const hs_cpu_kernels *kernels;
    int threads, c, cp, bins;
    int block;       /* channels of a plane, a multiple of HS_CPU_PAD */
    float scale;     /* sqrt(2 / (ph pw)): of coordinates, except that self-conjugate bins are sqrt2 smaller */
    hs_cpu_axis x, y;       /* y's matrices hold the scale */
    float *self_cos; /* y's cosines for columns that are their own mirror: rows of self-conjugate bins are sqrt2 smaller */
    int *column;     /* [pw/2 + 2] first bin */
    size_t row_floats, t_column, t_floats, y_floats, fftw_floats; /* scratch of one thread: rows, T and its column, column buffers, FFTW's */
};

/* One image and one block of channels, and the memory of the thread that does it. */
typedef struct hs_cpu_plane {
    const hs_cpu_dft *d;
    int image, first, width, used; /* channels of the block; USED of them exist */
    float *line, *even, *odd;      /* a row [w][width] and its halves */
    float *t;                      /* [pw/2+1][h][re|im: width] */
    float *fold_e, *fold_o, *sum_e, *sum_o; /* halves of a column before and after the products */
    float *fftw;
    float *ragged;                 /* a column of the spectrum with whole rows */
    hs_cpu_spectrum s;             /* of this image and block */
    bool whole;                    /* rows of the spectrum are padded to the block's width */
    bool stream;                   /* and begin at whole lines: they can be stored past the cache, which does not read them first */
} hs_cpu_plane;

/* Tasks of N images. */
int hs_cpu_planes(const hs_cpu_dft *d, int n);
/* TASK: image * blocks + block of channels. SCRATCH of this thread has hs_cpu_plane_floats. */
size_t hs_cpu_plane_floats(const hs_cpu_dft *d);
hs_cpu_plane hs_cpu_plane_of(const hs_cpu_dft *d, int task, hs_cpu_spectrum spectrum, float *scratch);

/* Columns between T and the spectrum. */
void hs_cpu_plane_columns_forward(const hs_cpu_plane *j);
void hs_cpu_plane_columns_inverse(const hs_cpu_plane *j);
/* Row ROW between T and pixels X [w][width], LDX numbers apart; those of row NEXT of the map MAP are fetched meanwhile (MAP may
 * be NULL). BIAS [cp] or NULL. STREAM: past the cache. */
void hs_cpu_plane_row_forward(const hs_cpu_plane *j, int row, const float *x, ptrdiff_t ldx, const float *map, int next);
/* Row ROW of a map [n][h][w][c]; the last one for those behind. */
const float *hs_cpu_plane_row(const hs_cpu_plane *j, const float *map, int row);
void hs_cpu_plane_row_inverse(const hs_cpu_plane *j, int row, const float *bias, float *x, ptrdiff_t ldx, bool stream);

/* Row ROW of a map [n][h][w][c] at X as whole rows of WIDTH channels: as it lies, or widened and gated in j->line. */
const float *hs_cpu_plane_load(const hs_cpu_plane *j, hs_cpu_gate gate, int row, const float *x, ptrdiff_t *ldx);
/* Row ROW of T to a map X, gated. */
void hs_cpu_plane_store(const hs_cpu_plane *j, hs_cpu_gate gate, int row, const float *bias, float *x);
/* Row ROW in j->line, in place. */
void hs_cpu_plane_gate(const hs_cpu_plane *j, hs_cpu_gate gate, int row);

/* ROWS of WIDTH numbers from rows LD_FROM apart to rows LD_TO apart. */
void hs_cpu_copy_rows(int rows, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to);

#endif
