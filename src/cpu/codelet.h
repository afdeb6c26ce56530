/* codelet.h - straight-line transforms of short axes: what gen_codelets writes, compiled for each instruction set. Kept apart from kernels.h
 * because they take a minute to compile. */
#ifndef HS_CPU_CODELET_H
#define HS_CPU_CODELET_H

#include <stdbool.h>
#include <stddef.h>

/* Straight-line transforms of one axis (gen_codelets.c), over rows of WIDTH channels; LEN: how many of an axis' inputs or outputs in space there
 * are, SIDE - PRUNED <= LEN <= SIDE. Unnormalised, forward sign. The inverse of the complex one is itself with re and im exchanged.
 *   complex  (xr, xi)[j], j < len -> scale (yr, yi)[k], k < to      real     x[j] -> re[v], v <= side/2; im[v], 0 < v < side/2 rounded up
 *   adjoint  of real: x[j] = sum_v re[v] cos(2 pi v j / side) - im[v] sin(..) + bias
 * Inputs of the next call are fetched meanwhile: they lie AHEAD numbers behind these, or LD_NEXT apart from NEXT on (0, or X itself: no need). */
typedef struct hs_cpu_codelet {
    int side, pruned;
    void (*complex)(int width, int len, const float *xr, const float *xi, ptrdiff_t ldx, ptrdiff_t ahead, float scale, int to, float *yr,
                    float *yi, ptrdiff_t ldy, bool stream);
    void (*real)(int width, int len, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next, float *re, float *im, ptrdiff_t ldv);
    void (*adjoint)(int width, int len, const float *re, const float *im, ptrdiff_t ldv, const float *bias, float *x, ptrdiff_t ldx, bool stream);
} hs_cpu_codelet;

#if defined(__x86_64__)
extern const hs_cpu_codelet hs_cpu_codelets_avx2[], hs_cpu_codelets_avx512[];
#endif

#endif
