/* dft_axis.c - one axis of a transform: its matrices, or the straight-line code or FFTW plan that does it. */
#include "dft_axis.h"

#include <math.h>

#include "hs_base.h"

static const double two_pi = 6.283185307179586476925;

static double angle(int p, int a, int b)
{
    return two_pi * (double)((long)a * b % p) / p;
}

/* Matrices cost p/2 multiply-adds a number at 120 GF/s, FFTW on rows of channels some 5 log2 p flops at 8 to 10 GF/s (estimates from 33 x 33): equal
 * where p is some 200. */
enum { LONG_SIDE = 192 };

static const hs_cpu_codelet *codelet_of(const hs_cpu_kernels *kernels, int p, int len)
{
    for (const hs_cpu_codelet *c = kernels->codelets; c && c->side; c++)
        if (c->side == p && len >= p - c->pruned)
            return c;
    return NULL;
}

bool hs_cpu_axis_has_code(const hs_cpu_kernels *kernels, int p, int len)
{
    return codelet_of(kernels, p, len) != NULL;
}

hs_status hs_cpu_axis_plan(const hs_cpu_kernels *kernels, int p, int len, int cp, double scale, hs_cpu_axis *a)
{
    *a = (hs_cpu_axis){.p = p, .len = len, .cosines = p / 2 + 1, .sines = (p - 1) / 2, .codelet = codelet_of(kernels, p, len)};
    a->used_cos = len < a->cosines ? len : a->cosines;
    a->used_sin = len - 1 < a->sines ? len - 1 : a->sines;
    if (!a->codelet && p > LONG_SIDE)
        HS_TRY(hs_cpu_fftw_plan(p, cp, &a->fftw));
    HS_TRY(hs_calloc((size_t)a->cosines * a->cosines, sizeof(float), "cosines", &a->cos));
    HS_TRY(hs_calloc((size_t)a->sines * a->sines + 1, sizeof(float), "sines", &a->sin));
    for (int v = 0; v < a->cosines; v++)
        for (int j = 0; j < a->cosines; j++)
            a->cos[v * a->cosines + j] = (float)(scale * cos(angle(p, v, j)));
    for (int v = 1; v <= a->sines; v++)
        for (int j = 1; j <= a->sines; j++)
            a->sin[(v - 1) * a->sines + j - 1] = (float)(scale * sin(angle(p, v, j)));
    return HS_OK;
}

void hs_cpu_axis_destroy(hs_cpu_axis *a)
{
    hs_free(a->cos), hs_free(a->sin);
    hs_cpu_fftw_destroy(&a->fftw);
}

bool hs_cpu_by_lines(const hs_cpu_axis *a)
{
    return a->codelet || a->fftw;
}

void hs_cpu_line_real(const hs_cpu_axis *a, int width, float *scratch, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next,
                      float *re, float *im, ptrdiff_t ldv)
{
    if (a->codelet)
        a->codelet->real(width, a->len, x, ldx, next, ld_next, re, im, ldv);
    else
        hs_cpu_fftw_real(a->fftw, width, a->len, x, ldx, re, im, ldv, scratch);
}

void hs_cpu_line_adjoint(const hs_cpu_axis *a, int width, float *scratch, const float *re, const float *im, ptrdiff_t ldv,
                          const float *bias, float *x, ptrdiff_t ldx, bool stream)
{
    if (a->codelet)
        a->codelet->adjoint(width, a->len, re, im, ldv, bias, x, ldx, stream);
    else
        hs_cpu_fftw_adjoint(a->fftw, width, a->len, re, im, ldv, bias, x, ldx, scratch);
}

void hs_cpu_line_complex(const hs_cpu_axis *a, int width, float *scratch, int len, const float *xr, const float *xi, ptrdiff_t ldx,
                         ptrdiff_t ahead, float scale, int to, float *yr, float *yi, ptrdiff_t ldy, bool stream)
{
    if (a->codelet)
        a->codelet->complex(width, len, xr, xi, ldx, ahead, scale, to, yr, yi, ldy, stream);
    else
        hs_cpu_fftw_complex(a->fftw, width, len, xr, xi, ldx, scale, to, yr, yi, ldy, scratch);
}
