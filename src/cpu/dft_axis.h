/* dft_axis.h - one axis of a transform (dft_axis.c). */
#ifndef HS_CPU_DFT_AXIS_H
#define HS_CPU_DFT_AXIS_H

#include "dft_fftw.h"
#include "kernels.h"

typedef struct hs_cpu_axis {
    int p, len;             /* grid, and how much of it is not zero */
    int cosines, sines;     /* rows of the two matrices: p/2 + 1 and (p-1)/2 */
    int used_cos, used_sin; /* of them those that meet non-zero input: all if len > p/2 */
    float *cos, *sin;
    const hs_cpu_codelet *codelet; /* straight-line code, or NULL */
    hs_cpu_fftw *fftw;             /* long sides, or NULL; neither: by the matrices */
} hs_cpu_axis;

/* Side P, of which LEN are not zero; CP padded channels; the matrices are multiplied by SCALE. */
hs_status hs_cpu_axis_plan(const hs_cpu_kernels *kernels, int p, int len, int cp, double scale, hs_cpu_axis *a);
void hs_cpu_axis_destroy(hs_cpu_axis *a);

/* By straight-line code or by FFTW, with the meaning of hs_cpu_codelet; BY_LINES says whether the axis goes this way. SCRATCH:
 * hs_cpu_fftw_floats. */
/* Is there straight-line code for side P of which LEN numbers are in use? */
bool hs_cpu_axis_has_code(const hs_cpu_kernels *kernels, int p, int len);
bool hs_cpu_by_lines(const hs_cpu_axis *a);
void hs_cpu_line_real(const hs_cpu_axis *a, int width, float *scratch, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next,
                      float *re, float *im, ptrdiff_t ldv);
void hs_cpu_line_adjoint(const hs_cpu_axis *a, int width, float *scratch, const float *re, const float *im, ptrdiff_t ldv,
                          const float *bias, float *x, ptrdiff_t ldx, bool stream);
void hs_cpu_line_complex(const hs_cpu_axis *a, int width, float *scratch, int len, const float *xr, const float *xi, ptrdiff_t ldx,
                         ptrdiff_t ahead, float scale, int to, float *yr, float *yi, ptrdiff_t ldy, bool stream);

#endif
