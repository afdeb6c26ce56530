/* dft.c - two-dimensional transforms, vectorised over channels.
 *
 * Sides that have them go through straight-line codelets (gen_codelets.c), very long ones through FFTW, all others through symmetric sums: a real
 * axis of P splits into e_j = x_j + x_{P-j} and o_j = x_j - x_{P-j}; then X_v = sum_j e_j cos(2 pi v j / P) - i sum_j o_j sin(..). The two sums
 * are small matrix products [P/2+1 x P/2+1] and [(P-1)/2]^2 whose columns are channels, so they run at the speed of the product kernel whatever P
 * is: P^2/2 multiply-adds a real row and P^2 a complex column. Rows go into T [column][row][re|im], columns from there straight to the (bin,
 * sample) chunks of the spectrum, past the cache; so do planes on the way back. 33 x 33 with one thread, 96 channels of 64 samples from and to
 * memory: 0.8 to 1.1 us a channel each way; FFTW takes 5.6 us for a plane in cache. */
#include "dft.h"
#include "dft_axis.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

struct hs_cpu_dft {
    const hs_cpu_kernels *kernels;
    int threads, c, cp, bins;
    float scale;     /* sqrt(2 / (ph pw)): of coordinates, except that self-conjugate bins are sqrt2 smaller */
    hs_cpu_axis x, y;       /* y's matrices hold the scale */
    float *self_cos; /* y's cosines for columns that are their own mirror: rows of self-conjugate bins are sqrt2 smaller */
    int *column;     /* [pw/2 + 2] first bin */
    size_t row_floats, t_column, t_floats, y_floats, fftw_floats; /* scratch of one thread: rows, T and its column, column buffers, FFTW's */
};

static hs_status self_plan(hs_cpu_dft *d)
{
    const hs_cpu_axis *y = &d->y;
    HS_TRY(hs_calloc((size_t)y->cosines * y->cosines, sizeof(float), "cosines", &d->self_cos));
    for (int u = 0; u < y->cosines; u++)
        for (int j = 0; j < y->cosines; j++)
            d->self_cos[u * y->cosines + j] = (float)(y->cos[u * y->cosines + j] * (u == 0 || 2 * u == y->p ? sqrt(0.5) : 1.0));
    HS_TRY(hs_calloc((size_t)d->x.cosines + 1, sizeof(int), "columns", &d->column));
    for (int v = 0; v < d->x.cosines; v++)
        d->column[v] = hs_bin_index(y->p, d->x.p, 0, v, NULL);
    d->column[d->x.cosines] = d->bins;
    return HS_OK;
}

hs_status hs_cpu_dft_plan(const hs_cpu_device *device, int h, int w, int ph, int pw, int c, hs_cpu_dft **out)
{
    hs_cpu_dft *d = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *d, "transform", &d));
    d->kernels = device->kernels;
    d->threads = device->base.threads;
    d->c = c, d->cp = hs_cpu_pad(c);
    d->scale = (float)sqrt(2.0 / ((double)ph * pw));
    d->bins = hs_bins_count(ph, pw);
    HS_TRY_GOTO(st, hs_cpu_axis_plan(d->kernels, pw, w, d->cp, 1.0, &d->x), fail);
    HS_TRY_GOTO(st, hs_cpu_axis_plan(d->kernels, ph, h, d->cp, sqrt(2.0 / ((double)ph * pw)), &d->y), fail);
    HS_TRY_GOTO(st, self_plan(d), fail);
    const size_t b = HS_CPU_PANEL;
    d->row_floats = ((size_t)w + 2 * (size_t)pw + 2) * b;
    d->t_column = (size_t)h * 2 * b + HS_CPU_PAD; /* the line more keeps columns off one cache set */
    d->t_floats = (size_t)d->x.cosines * d->t_column;
    d->y_floats = (4 * ((size_t)ph / 2 + 1) + (size_t)ph) * 2 * b;
    if (d->x.fftw || d->y.fftw)
        d->fftw_floats = hs_cpu_fftw_floats(ph > pw ? ph : pw);
    *out = d;
    return HS_OK;
fail:
    hs_cpu_dft_destroy(&d);
    return st;
}

void hs_cpu_dft_destroy(hs_cpu_dft **plan)
{
    hs_cpu_dft *d = *plan;
    if (!d)
        return;
    hs_cpu_axis_destroy(&d->x), hs_cpu_axis_destroy(&d->y);
    hs_free(d->self_cos);
    hs_free(d->column);
    hs_free(d);
    *plan = NULL;
}

static size_t thread_floats(const hs_cpu_dft *d)
{
    return d->row_floats + d->t_floats + d->y_floats + d->fftw_floats;
}

size_t hs_cpu_dft_scratch_bytes(const hs_cpu_dft *d)
{
    return hs_cpu_line(thread_floats(d) * sizeof(float)) * (size_t)d->threads;
}

int hs_cpu_dft_bins(const hs_cpu_dft *d)
{
    return d->bins;
}

int hs_cpu_dft_column(const hs_cpu_dft *d, int v, bool *self)
{
    *self = v == 0 || 2 * v == d->x.p;
    return d->column[v];
}

/* One image and one block of channels, and the memory of the thread that does it. */
typedef struct job {
    const hs_cpu_dft *d;
    int image, first, width, used; /* channels of the block; USED of them exist */
    float *line, *even, *odd;      /* a row [w][width] and its halves */
    float *t;                      /* [pw/2+1][h][re|im: width] */
    float *fold_e, *fold_o, *sum_e, *sum_o; /* halves of a column before and after the products */
    float *fftw;
    float *ragged;                 /* a column of the spectrum with whole rows */
    hs_cpu_spectrum s;             /* of this image and block */
    bool whole;                    /* rows of the spectrum are padded to the block's width */
    bool stream_x;                 /* so are rows of x (inverse) */
    bool stream;                   /* and begin at whole lines: they can be stored past the cache, which does not read them first */
} job;

static job job_of(const hs_cpu_dft *d, int task, hs_cpu_spectrum spectrum, void *scratch)
{
    const int blocks = hs_cpu_panels(d->cp);
    job j = {.d = d, .image = task / blocks, .whole = spectrum.im % HS_CPU_PAD == 0, .s = spectrum};
    hs_cpu_panel(d->cp, task % blocks, &j.first, &j.width);
    j.used = d->c - j.first < j.width ? d->c - j.first : j.width;
    j.line = (float *)((char *)scratch + hs_cpu_line(thread_floats(d) * sizeof(float)) * (size_t)omp_get_thread_num());
    j.even = j.line + (size_t)d->x.len * HS_CPU_PANEL;
    j.odd = j.even + (size_t)d->x.cosines * HS_CPU_PANEL;
    j.t = j.line + d->row_floats;
    const size_t half = (size_t)d->y.cosines * 2 * HS_CPU_PANEL;
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

static void copy_rows(int rows, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to)
{
    for (int r = 0; r < rows; r++)
        memcpy(to + r * ld_to, from + r * ld_from, (size_t)width * sizeof(float));
}

/* Rows of USED numbers into rows of WIDTH, the rest zero. */
static void widen_rows(int rows, int used, int width, const float *from, ptrdiff_t ld_from, float *to, ptrdiff_t ld_to)
{
    copy_rows(rows, used, from, ld_from, to, ld_to);
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

static void row_forward(const job *j, const float *x, int row)
{
    const hs_cpu_axis *a = &j->d->x;
    const int w = j->width;
    ptrdiff_t ldx = j->d->c;
    if (j->used < w) {
        widen_rows(a->len, j->used, w, x, ldx, j->line, w);
        x = j->line, ldx = w;
    }
    float *re = j->t + (ptrdiff_t)row * 2 * w, *im = re + j->d->t_column + w;
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_real(a, w, j->fftw, x, ldx, re, re + w, (ptrdiff_t)j->d->t_column);
        return;
    }
    j->d->kernels->fold(a->p, a->len, w, x, ldx, j->even, j->odd, w);
    j->d->kernels->product(a->cosines, w, a->used_cos, a->cos, a->cosines, 1, j->even, w, re, (ptrdiff_t)j->d->t_column, false);
    j->d->kernels->product(a->sines, w, a->used_sin, a->sin, a->sines, 1, j->odd, w, im, (ptrdiff_t)j->d->t_column, false);
    negate_rows(a->sines, w, im, (ptrdiff_t)j->d->t_column, im, (ptrdiff_t)j->d->t_column);
}

/* The spectrum of a ragged row count goes through j->ragged [rows][re|im]. */
static void scatter(const job *j, int rows, float *out)
{
    copy_rows(rows, j->used, j->ragged, 2 * j->width, out, j->s.bin);
    copy_rows(rows, j->used, j->ragged + j->width, 2 * j->width, out + j->s.im, j->s.bin);
}

static void column_forward(const job *j, const float *t, float *out)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a) && j->whole) {
        hs_cpu_line_complex(a, w, j->fftw, a->len, t, t + w, 2 * w, j->d->scale, a->p, out, out + j->s.im, j->s.bin, j->stream);
        return;
    }
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_complex(a, w, j->fftw, a->len, t, t + w, 2 * w, j->d->scale, a->p, j->ragged, j->ragged + w, 2 * w, false);
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
static void scale_self(const job *j, float *rows)
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
static void self_forward(const job *j, const float *t, float *out)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    memset(j->ragged + w, 0, (size_t)w * sizeof(float));
    if (a->p % 2 == 0)
        memset(j->ragged + (ptrdiff_t)a->p / 2 * 2 * w + w, 0, (size_t)w * sizeof(float));
    if (hs_cpu_by_lines(a)) {
        hs_cpu_line_real(a, w, j->fftw, t, 2 * w, j->ragged, j->ragged + w, 2 * w);
        scale_self(j, j->ragged);
    } else {
        k->fold(a->p, a->len, w, t, 2 * w, j->fold_e, j->fold_o, w);
        k->product(a->cosines, w, a->used_cos, j->d->self_cos, a->cosines, 1, j->fold_e, w, j->ragged, 2 * w, false);
        k->product(a->sines, w, a->used_sin, a->sin, a->sines, 1, j->fold_o, w, j->sum_o, w, false);
        negate_rows(a->sines, w, j->sum_o, w, j->ragged + 3 * w, 2 * w);
    }
    if (j->whole) {
        copy_rows(a->cosines, w, j->ragged, 2 * w, out, j->s.bin);
        copy_rows(a->cosines, w, j->ragged + w, 2 * w, out + j->s.im, j->s.bin);
    } else {
        scatter(j, a->cosines, out);
    }
}

void hs_cpu_dft_forward(const hs_cpu_dft *d, int n, const float *x, hs_cpu_spectrum spectrum, void *scratch)
{
    const int tasks = n * hs_cpu_panels(d->cp);
#pragma omp parallel for num_threads(d->threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++) {
        const job j = job_of(d, task, spectrum, scratch);
        for (int row = 0; row < d->y.len; row++)
            row_forward(&j, x + (((size_t)j.image * d->y.len + row) * d->x.len) * d->c + j.first, row);
        for (int v = 0; v < d->x.cosines; v++) {
            bool self;
            float *out = j.s.at + hs_cpu_dft_column(d, v, &self) * j.s.bin;
            if (self)
                self_forward(&j, j.t + v * d->t_column, out);
            else
                column_forward(&j, j.t + v * d->t_column, out);
        }
        atomic_thread_fence(memory_order_seq_cst); /* stores past the cache are not ordered by themselves */
    }
}

/* ---- inverse --------------------------------------------------------------------------------------------------------------------------- */

static void gather(const job *j, int rows, const float *in)
{
    widen_rows(rows, j->used, j->width, in, j->s.bin, j->ragged, 2 * j->width);
    widen_rows(rows, j->used, j->width, in + j->s.im, j->s.bin, j->ragged + j->width, 2 * j->width);
}

static void column_inverse(const job *j, const float *in, float *t)
{
    const hs_cpu_axis *a = &j->d->y;
    const int w = j->width;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a) && j->whole) { /* the inverse is the transform with re and im exchanged */
        hs_cpu_line_complex(a, w, j->fftw, a->p, in + j->s.im, in, j->s.bin, j->d->scale, a->len, t + w, t, 2 * w, false);
        return;
    }
    if (hs_cpu_by_lines(a)) {
        gather(j, a->p, in);
        hs_cpu_line_complex(a, w, j->fftw, a->p, j->ragged + w, j->ragged, 2 * w, j->d->scale, a->len, t + w, t, 2 * w, false);
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

static void self_inverse(const job *j, const float *in, float *t)
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

/* Columns that are their own mirror hold no imaginary part in T, so rows of sines start at column 1. */
static void row_inverse(const job *j, int row, const float *bias, float *x)
{
    const hs_cpu_axis *a = &j->d->x;
    const int w = j->width;
    const float *re = j->t + (ptrdiff_t)row * 2 * w, *im = re + j->d->t_column + w;
    const hs_cpu_kernels *k = j->d->kernels;
    if (hs_cpu_by_lines(a)) {
        float *to = j->used == w ? x : j->line;
        hs_cpu_line_adjoint(a, w, j->fftw, re, re + w, (ptrdiff_t)j->d->t_column, bias, to, j->used == w ? j->d->c : w, j->stream_x);
        if (j->used < w)
            copy_rows(a->len, j->used, j->line, w, x, j->d->c);
        return;
    }
    k->product(a->used_cos, w, a->cosines, a->cos, a->cosines, 1, re, (ptrdiff_t)j->d->t_column, j->even, w, false);
    k->product(a->used_sin, w, a->sines, a->sin, a->sines, 1, im, (ptrdiff_t)j->d->t_column, j->odd, w, false);
    if (j->used == w) {
        k->unfold(a->p, a->len, w, j->even, j->odd, w, bias, x, j->d->c);
    } else {
        k->unfold(a->p, a->len, w, j->even, j->odd, w, bias, j->line, w);
        copy_rows(a->len, j->used, j->line, w, x, j->d->c);
    }
}

void hs_cpu_dft_inverse(const hs_cpu_dft *d, int n, hs_cpu_spectrum spectrum, const float *bias, float *x, void *scratch)
{
    const int tasks = n * hs_cpu_panels(d->cp);
#pragma omp parallel for num_threads(d->threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++) {
        job j = job_of(d, task, spectrum, scratch);
        j.stream_x = j.used == j.width && d->c % HS_CPU_PAD == 0 && (uintptr_t)x % 64 == 0;
        for (int v = 0; v < d->x.cosines; v++) {
            bool self;
            const float *in = j.s.at + hs_cpu_dft_column(d, v, &self) * j.s.bin;
            if (self)
                self_inverse(&j, in, j.t + v * d->t_column);
            else
                column_inverse(&j, in, j.t + v * d->t_column);
        }
        for (int row = 0; row < d->y.len; row++)
            row_inverse(&j, row, bias ? bias + j.first : NULL, x + (((size_t)j.image * d->y.len + row) * d->x.len) * d->c + j.first);
        atomic_thread_fence(memory_order_seq_cst);
    }
}
