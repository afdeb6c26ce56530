/* dft_fftw.h - one axis of a transform through FFTW, for sides too long for matrices and codelets. Same meaning as hs_cpu_codelet. */
#ifndef HS_CPU_DFT_FFTW_H
#define HS_CPU_DFT_FFTW_H

#include <stdbool.h>
#include <stddef.h>

#include "hs_status.h"

typedef struct hs_cpu_fftw hs_cpu_fftw;

/* SIDE of the axis, CP padded channels. Planning is not safe from several threads at once; running is. */
hs_status hs_cpu_fftw_plan(int side, int cp, hs_cpu_fftw **out);
void hs_cpu_fftw_destroy(hs_cpu_fftw **plan);
size_t hs_cpu_fftw_floats(int side); /* scratch of one thread; aligned to 64 bytes */

void hs_cpu_fftw_complex(const hs_cpu_fftw *f, int width, int len, const float *xr, const float *xi, ptrdiff_t ldx, float scale, int to, float *yr,
                         float *yi, ptrdiff_t ldy, float *scratch);
void hs_cpu_fftw_real(const hs_cpu_fftw *f, int width, int len, const float *x, ptrdiff_t ldx, float *re, float *im, ptrdiff_t ldv, float *scratch);
void hs_cpu_fftw_adjoint(const hs_cpu_fftw *f, int width, int len, const float *re, const float *im, ptrdiff_t ldv, const float *bias, float *x,
                         ptrdiff_t ldx, float *scratch);

#endif
