/* dft_fftw.c - an axis through FFTW: split real and imaginary rows of channels, copied into dense buffers, so that one plan per width of a block
 * serves every stride. Plans are estimated, not measured: the same on every run, so results are too. */
#include "dft_fftw.h"

#include <fftw3.h>
#include <string.h>

#include "hs_base.h"
#include "kernels.h"

enum { WIDTHS = HS_CPU_PANEL / HS_CPU_PAD };

struct hs_cpu_fftw {
    int side;
    fftwf_plan real[WIDTHS], adjoint[WIDTHS], complex[WIDTHS]; /* of width 16 (i + 1) */
};

/* Scratch: four blocks of SIDE rows. */
size_t hs_cpu_fftw_floats(int side)
{
    return 4 * (size_t)side * HS_CPU_PANEL;
}

static float *block(float *scratch, int side, int index)
{
    return scratch + (size_t)index * (size_t)side * HS_CPU_PANEL;
}

static bool plan_width(hs_cpu_fftw *f, int index, float *scratch)
{
    const int width = (index + 1) * HS_CPU_PAD;
    const fftwf_iodim axis = {f->side, width, width}, channels = {width, 1, 1};
    float *a = block(scratch, f->side, 0), *b = block(scratch, f->side, 1), *c = block(scratch, f->side, 2), *d = block(scratch, f->side, 3);
    f->real[index] = fftwf_plan_guru_split_dft_r2c(1, &axis, 1, &channels, a, b, c, FFTW_ESTIMATE);
    f->adjoint[index] = fftwf_plan_guru_split_dft_c2r(1, &axis, 1, &channels, b, c, a, FFTW_ESTIMATE);
    f->complex[index] = fftwf_plan_guru_split_dft(1, &axis, 1, &channels, a, b, c, d, FFTW_ESTIMATE);
    return f->real[index] && f->adjoint[index] && f->complex[index];
}

hs_status hs_cpu_fftw_plan(int side, int cp, hs_cpu_fftw **out)
{
    hs_cpu_fftw *f = NULL;
    float *scratch = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *f, "FFTW plans", &f));
    f->side = side;
    HS_TRY_GOTO(st, hs_calloc(hs_cpu_fftw_floats(side), sizeof(float), "FFTW planning", &scratch), fail);
    for (int i = 0; i < WIDTHS && i * HS_CPU_PAD < cp; i++)
        if (!plan_width(f, i, scratch)) {
            st = hs_fail(HS_EINTERNAL, "FFTW has no plan for an axis of %d", side);
            goto fail;
        }
    hs_free(scratch);
    *out = f;
    return HS_OK;
fail:
    hs_free(scratch);
    hs_cpu_fftw_destroy(&f);
    return st;
}

void hs_cpu_fftw_destroy(hs_cpu_fftw **plan)
{
    hs_cpu_fftw *f = *plan;
    if (!f)
        return;
    for (int i = 0; i < WIDTHS; i++) {
        if (f->real[i])
            fftwf_destroy_plan(f->real[i]);
        if (f->adjoint[i])
            fftwf_destroy_plan(f->adjoint[i]);
        if (f->complex[i])
            fftwf_destroy_plan(f->complex[i]);
    }
    hs_free(f);
    *plan = NULL;
}

/* LEN rows times FACTOR into rows of WIDTH, zeros up to SIDE. */
static void take(int side, int width, int len, const float *from, ptrdiff_t ld, float factor, float *to)
{
    for (int r = 0; r < len; r++) {
#pragma omp simd
        for (int i = 0; i < width; i++)
            to[(ptrdiff_t)r * width + i] = factor * from[r * ld + i];
    }
    memset(to + (ptrdiff_t)len * width, 0, (size_t)(side - len) * (size_t)width * sizeof(float));
}

static void give(int width, int len, const float *from, float factor, float *to, ptrdiff_t ld)
{
    for (int r = 0; r < len; r++) {
#pragma omp simd
        for (int i = 0; i < width; i++)
            to[r * ld + i] = factor * from[(ptrdiff_t)r * width + i];
    }
}

void hs_cpu_fftw_complex(const hs_cpu_fftw *f, int width, int len, const float *xr, const float *xi, ptrdiff_t ldx, float scale, int to, float *yr,
                         float *yi, ptrdiff_t ldy, float *scratch)
{
    float *a = block(scratch, f->side, 0), *b = block(scratch, f->side, 1), *c = block(scratch, f->side, 2), *d = block(scratch, f->side, 3);
    take(f->side, width, len, xr, ldx, 1, a);
    take(f->side, width, len, xi, ldx, 1, b);
    fftwf_execute_split_dft(f->complex[width / HS_CPU_PAD - 1], a, b, c, d);
    give(width, to, c, scale, yr, ldy);
    give(width, to, d, scale, yi, ldy);
}

void hs_cpu_fftw_real(const hs_cpu_fftw *f, int width, int len, const float *x, ptrdiff_t ldx, float *re, float *im, ptrdiff_t ldv, float *scratch)
{
    float *a = block(scratch, f->side, 0), *b = block(scratch, f->side, 1), *c = block(scratch, f->side, 2);
    take(f->side, width, len, x, ldx, 1, a);
    fftwf_execute_split_dft_r2c(f->real[width / HS_CPU_PAD - 1], a, b, c);
    give(width, f->side / 2 + 1, b, 1, re, ldv);
    give(width, (f->side - 1) / 2, c + width, 1, im + ldv, ldv); /* those of frequency 0 and side/2 are zero, and have no place */
}

/* FFTW adds every stored number and its mirror: halved, except at frequencies that have none. */
static void take_half(const hs_cpu_fftw *f, int width, const float *from, ptrdiff_t ld, bool im, float *to)
{
    const int last = f->side / 2;
    take(last + 1, width, last + 1, from, ld, 0.5f, to);
    for (int r = 0; r <= last; r += last > 0 && f->side % 2 == 0 ? last : last + 1)
        for (int i = 0; i < width; i++)
            to[(ptrdiff_t)r * width + i] = im ? 0 : from[r * ld + i];
}

void hs_cpu_fftw_adjoint(const hs_cpu_fftw *f, int width, int len, const float *re, const float *im, ptrdiff_t ldv, const float *bias, float *x,
                         ptrdiff_t ldx, float *scratch)
{
    float *a = block(scratch, f->side, 0), *b = block(scratch, f->side, 1), *c = block(scratch, f->side, 2);
    take_half(f, width, re, ldv, false, b);
    take_half(f, width, im, ldv, true, c);
    fftwf_execute_split_dft_c2r(f->adjoint[width / HS_CPU_PAD - 1], b, c, a); /* destroys b and c */
    give(width, len, a, 1, x, ldx);
    for (int r = 0; bias && r < len; r++)
        for (int i = 0; i < width; i++)
            x[r * ldx + i] += bias[i];
}
