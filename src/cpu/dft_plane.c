/* dft_plane.c - rows and columns of one image and one block of channels; see dft.c for the method. */
#include "dft_plane.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

size_t hs_cpu_plane_floats(const hs_cpu_dft *d)
{
    return (d->row_floats + d->t_floats + d->y_floats + d->fftw_floats + HS_CPU_PAD - 1) / HS_CPU_PAD * HS_CPU_PAD;
}

int hs_cpu_planes(const hs_cpu_dft *d, int n)
{
    return n * ((d->cp + d->block - 1) / d->block);
}

hs_cpu_plane hs_cpu_plane_of(const hs_cpu_dft *d, int task, hs_cpu_spectrum spectrum, float *scratch)
{
    const int blocks = hs_cpu_planes(d, 1);
    hs_cpu_plane j = {.d = d, .image = task / blocks, .first = task % blocks * d->block, .whole = spectrum.im % HS_CPU_PAD == 0, .s = spectrum};
    j.width = d->cp - j.first < d->block ? d->cp - j.first : d->block;
    j.used = d->c - j.first < j.width ? d->c - j.first : j.width;
    j.line = scratch;
    j.even = j.line + (size_t)d->x.len * (size_t)d->block;
    j.odd = j.even + (size_t)d->x.cosines * (size_t)d->block;
    j.t = j.line + d->row_floats;
    const size_t half = (size_t)d->y.cosines * 2 * (size_t)d->block;
    j.fold_e = j.t + d->t_floats;
    j.fold_o = j.fold_e + half;
    j.sum_e = j.fold_o + half;
    j.sum_o = j.sum_e + half;
    j.ragged = j.sum_o + half;
    j.fftw = j.line + d->row_floats + d->t_floats + d->y_floats;
    j.s.at += j.image * spectrum.sample + j.first;
    j.stream = j.whole && ((uintptr_t)spectrum.at % 64 | (uintptr_t)(spectrum.bin | spectrum.sample) % HS_CPU_PAD) == 0;
    return j;
}

void hs_cpu_copy_rows(int rows, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to)
{
    for (int r = 0; r < rows; r++)
        memcpy(to + r * ld_to, from + r * ld_from, (size_t)width * sizeof(float));
}

/* Rows of USED numbers into rows of WIDTH, the rest zero. */
static void widen_rows(int rows, int used, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to)
{
    hs_cpu_copy_rows(rows, used, from, ld_from, to, ld_to);
    if (used < width)
        for (int r = 0; r < rows; r++)
            memset(to + r * ld_to + used, 0, (size_t)(width - used) * sizeof(float));
}

static void negate_rows(int rows, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to)
{
    for (int r = 0; r < rows; r++) {
#pragma omp simd
        for (int i = 0; i < width; i++)
            to[r * ld_to + i] = -from[r * ld_from + i];
    }
}

/* ---- forward --------------------------------------------------------------------------------------------------------------------------- */

const float *hs_cpu_plane_row(const hs_cpu_plane *j, const float *map, int row)
{
    const hs_cpu_dft *d = j->d;
    row = row < d->y.len ? row : d->y.len - 1;
    return map + ((ptrdiff_t)j->image * d->y.len + row) * d->x.len * d->c + j->first;
}

void hs_cpu_plane_row_forward(const hs_cpu_plane *j, int row, const float *x, ptrdiff_t ldx, const float *map, int next)
{
    const hs_cpu_axis *a = &j->d->x;
    const int w = j->width;
    float *re = j->t + (ptrdiff_t)row * 2 * w, *im = re + j->d->t_column + w;
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_real(a, w, j->fftw, x, ldx, map ? hs_cpu_plane_row(j, map, next) : x, map ? j->d->c : ldx, re, re + w, (ptrdiff_t)j->d->t_column);
        return;
    }
    j->d->kernels->fold(a->p, a->len, w, x, ldx, j->even, j->odd, w);
    j->d->kernels->product(a->cosines, w, a->used_cos, a->cos, a->cosines, 1, j->even, w, re, (ptrdiff_t)j->d->t_column, false);
    j->d->kernels->product(a->sines, w, a->used_sin, a->sin, a->sines, 1, j->odd, w, im, (ptrdiff_t)j->d->t_column, false);
    negate_rows(a->sines, w, im, (ptrdiff_t)j->d->t_column, im, (ptrdiff_t)j->d->t_column);
}

/* The spectrum of a ragged row count goes through j->ragged [rows][re|im]. */
static void scatter(const hs_cpu_plane *j, int rows, float *out)
{
    hs_cpu_copy_rows(rows, j->used, j->ragged, 2 * j->width, out, j->s.bin);
    hs_cpu_copy_rows(rows, j->used, j->ragged + j->width, 2 * j->width, out + j->s.im, j->s.bin);
}

static void column_forward(const hs_cpu_plane *j, const float *t, float *out)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a) && j->whole) {
        hs_cpu_line_complex(a, w, j->fftw, a->len, t, t + w, 2 * w, 0, j->d->scale, a->p, out, out + j->s.im, j->s.bin, j->stream);
        return;
    }
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_complex(a, w, j->fftw, a->len, t, t + w, 2 * w, 0, j->d->scale, a->p, j->ragged, j->ragged + w, 2 * w, false);
        scatter(j, a->p, out);
        return;
    }
    k->fold(a->p, a->len, 2 * w, t, 2 * w, j->fold_e, j->fold_o, 2 * w);
    k->product(a->cosines, 2 * w, a->used_cos, a->cos, a->cosines, 1, j->fold_e, 2 * w, j->sum_e, 2 * w, false);
    k->product(a->sines, 2 * w, a->used_sin, a->sin, a->sines, 1, j->fold_o, 2 * w, j->sum_o, 2 * w, false);
    if (j->whole) {
        k->join(a->p, w, j->sum_e, j->sum_o, out, j->s.bin, j->s.im, j->stream);
    } else {
        k->join(a->p, w, j->sum_e, j->sum_o, j->ragged, 2 * w, w, false);
        scatter(j, a->p, out);
    }
}

/* Rows u of a column that is its own mirror, [re|im]: scaled, and without the imaginary parts that self-conjugate bins do not have. */
static void scale_self(const hs_cpu_plane *j, float *rows)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    for (int u = 0; u < a->cosines; u++, rows += 2 * w) {
        const bool self = u == 0 || 2 * u == a->p;
        const float re = self ? j->d->scale * (float)sqrt(0.5) : j->d->scale, im = self ? 0 : j->d->scale;
#pragma omp simd
        for (int i = 0; i < w; i++)
            rows[i] *= re;
#pragma omp simd
        for (int i = w; i < 2 * w; i++)
            rows[i] *= im;
    }
}

/* Real input: rows 0 .. p/2 only, X_u = e_u - i o_u. */
static void self_forward(const hs_cpu_plane *j, const float *t, float *out)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    memset(j->ragged + w, 0, (size_t)w * sizeof(float));
    if (a->p % 2 == 0)
        memset(j->ragged + (ptrdiff_t)a->p / 2 * 2 * w + w, 0, (size_t)w * sizeof(float));
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_real(a, w, j->fftw, t, 2 * w, t, 2 * w, j->ragged, j->ragged + w, 2 * w);
        scale_self(j, j->ragged);
    } else {
        k->fold(a->p, a->len, w, t, 2 * w, j->fold_e, j->fold_o, w);
        k->product(a->cosines, w, a->used_cos, j->d->self_cos, a->cosines, 1, j->fold_e, w, j->ragged, 2 * w, false);
        k->product(a->sines, w, a->used_sin, a->sin, a->sines, 1, j->fold_o, w, j->sum_o, w, false);
        negate_rows(a->sines, w, j->sum_o, w, j->ragged + 3 * w, 2 * w);
    }
    if (j->whole) {
        hs_cpu_copy_rows(a->cosines, w, j->ragged, 2 * w, out, j->s.bin);
        hs_cpu_copy_rows(a->cosines, w, j->ragged + w, 2 * w, out + j->s.im, j->s.bin);
    } else {
        scatter(j, a->cosines, out);
    }
}

void hs_cpu_plane_columns_forward(const hs_cpu_plane *j)
{
    for (int v = 0; v < j->d->x.cosines; v++) {
        bool self;
        float *out = j->s.at + hs_cpu_dft_column(j->d, v, &self) * j->s.bin;
        (self ? self_forward : column_forward)(j, j->t + v * j->d->t_column, out);
    }
    atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
}

/* ---- inverse --------------------------------------------------------------------------------------------------------------------------- */

static void gather(const hs_cpu_plane *j, int rows, const float *in)
{
    widen_rows(rows, j->used, j->width, in, j->s.bin, j->ragged, 2 * j->width);
    widen_rows(rows, j->used, j->width, in + j->s.im, j->s.bin, j->ragged + j->width, 2 * j->width);
}

static void column_inverse(const hs_cpu_plane *j, const float *in, float *t)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a) && j->whole) { /* the inverse is the transform with re and im exchanged */
        hs_cpu_line_complex(a, w, j->fftw, a->p, in + j->s.im, in, j->s.bin, a->p * j->s.bin, j->d->scale, a->len, t + w, t, 2 * w, false);
        return;
    }
    if (hs_cpu_by_lines(a)) {
        gather(j, a->p, in);
        hs_cpu_line_complex(a, w, j->fftw, a->p, j->ragged + w, j->ragged, 2 * w, 0, j->d->scale, a->len, t + w, t, 2 * w, false);
        return;
    }
    if (j->whole) {
        k->split(a->p, w, in, j->s.bin, j->s.im, j->fold_e, j->fold_o);
    } else {
        gather(j, a->p, in);
        k->split(a->p, w, j->ragged, 2 * w, w, j->fold_e, j->fold_o);
    }
    k->product(a->used_cos, 2 * w, a->cosines, a->cos, a->cosines, 1, j->fold_e, 2 * w, j->sum_e, 2 * w, false);
    k->product(a->used_sin, 2 * w, a->sines, a->sin, a->sines, 1, j->fold_o, 2 * w, j->sum_o, 2 * w, false);
    k->unfold_complex(a->p, a->len, w, j->sum_e, j->sum_o, t);
}

static void self_inverse(const hs_cpu_plane *j, const float *in, float *t)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    gather(j, a->cosines, in);
    if (hs_cpu_by_lines(a)) {
        scale_self(j, j->ragged);
        hs_cpu_line_adjoint(a, w, j->fftw, j->ragged, j->ragged + w, 2 * w, NULL, t, 2 * w, false);
        return;
    }
    k->product(a->used_cos, w, a->cosines, j->d->self_cos, 1, a->cosines, j->ragged, 2 * w, j->sum_e, w, false);
    k->product(a->used_sin, w, a->sines, a->sin, a->sines, 1, j->ragged + 3 * w, 2 * w, j->sum_o, w, false);
    k->unfold(a->p, a->len, w, j->sum_e, j->sum_o, w, NULL, t, 2 * w);
}

void hs_cpu_plane_columns_inverse(const hs_cpu_plane *j)
{
    for (int v = 0; v < j->d->x.cosines; v++) {
        bool self;
        const float *in = j->s.at + hs_cpu_dft_column(j->d, v, &self) * j->s.bin;
        (self ? self_inverse : column_inverse)(j, in, j->t + v * j->d->t_column);
    }
}

/* Columns that are their own mirror hold no imaginary part in T, so rows of sines start at column 1. */
void hs_cpu_plane_row_inverse(const hs_cpu_plane *j, int row, const float *bias, float *x, ptrdiff_t ldx, bool stream)
{
    const hs_cpu_axis *a = &j->d->x;
    const int w = j->width;
    const float *re = j->t + (ptrdiff_t)row * 2 * w, *im = re + j->d->t_column + w, *add = bias ? bias + j->first : NULL;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_adjoint(a, w, j->fftw, re, re + w, (ptrdiff_t)j->d->t_column, add, x, ldx, stream);
        return;
    }
    k->product(a->used_cos, w, a->cosines, a->cos, a->cosines, 1, re, (ptrdiff_t)j->d->t_column, j->even, w, false);
    k->product(a->used_sin, w, a->sines, a->sin, a->sines, 1, im, (ptrdiff_t)j->d->t_column, j->odd, w, false);
    k->unfold(a->p, a->len, w, j->even, j->odd, w, add, x, ldx);
}

/* ---- rows of a map in memory ------------------------------------------------------------------------------------------------------------ */

/* Rectifies or masks pixels of row ROW on their way from X to Y. */
static void pass_gate(const hs_cpu_plane *j, hs_cpu_gate gate, int row, const float *x, ptrdiff_t ldx, float *y, ptrdiff_t ldy, bool stream)
{
    const ptrdiff_t words = j->d->cp / HS_CPU_PAD, at = ((ptrdiff_t)j->image * j->d->y.len + row) * j->d->x.len * words + j->first / HS_CPU_PAD;
    j->d->kernels->gate(&(hs_cpu_rows){.rows = j->d->x.len, .width = j->width, .x = x, .ldx = ldx, .y = y, .ldy = ldy, .scale = 1,
                                       .write = gate.write ? gate.write + at : NULL, .read = gate.read ? gate.read + at : NULL,
                                       .words = words, .stream = stream});
}

static bool open(hs_cpu_gate gate)
{
    return !gate.write && !gate.read;
}

void hs_cpu_plane_gate(const hs_cpu_plane *j, hs_cpu_gate gate, int row)
{
    if (!open(gate))
        pass_gate(j, gate, row, j->line, j->width, j->line, j->width, false);
}

const float *hs_cpu_plane_load(const hs_cpu_plane *j, hs_cpu_gate gate, int row, const float *x, ptrdiff_t *ldx)
{
    const hs_cpu_dft *d = j->d;
    x = hs_cpu_plane_row(j, x, row);
    *ldx = d->c;
    if (j->used == j->width && open(gate))
        return x;
    *ldx = j->width;
    if (j->used == j->width) {
        pass_gate(j, gate, row, x, d->c, j->line, j->width, false);
        return j->line;
    }
    widen_rows(d->x.len, j->used, j->width, x, d->c, j->line, j->width);
    hs_cpu_plane_gate(j, gate, row);
    return j->line;
}

/* Row ROW of T to the map X: straight there, through the gate, or also narrowed. */
void hs_cpu_plane_store(const hs_cpu_plane *j, hs_cpu_gate gate, int row, const float *bias, float *x)
{
    const hs_cpu_dft *d = j->d;
    const bool stream = j->used == j->width && d->c % HS_CPU_PAD == 0 && (uintptr_t)x % 64 == 0;
    x += ((ptrdiff_t)j->image * d->y.len + row) * d->x.len * d->c + j->first;
    if (j->used == j->width && open(gate)) {
        hs_cpu_plane_row_inverse(j, row, bias, x, d->c, stream);
        return;
    }
    hs_cpu_plane_row_inverse(j, row, bias, j->line, j->width, false);
    if (j->used == j->width) {
        pass_gate(j, gate, row, j->line, j->width, x, d->c, stream);
        return;
    }
    hs_cpu_plane_gate(j, gate, row);
    hs_cpu_copy_rows(d->x.len, j->used, j->line, j->width, x, d->c);
}
