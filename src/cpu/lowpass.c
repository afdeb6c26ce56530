/* lowpass.c - frequency dropout: the first KEEP coordinates of each axis are kept. In space by projections Q = D_1^T D_1 made of the first KEEP rows
 * of the Fourier basis, two products a plane; in the spectrum bins are kept, dropped or halved. */
#include "spool.h"

#include <omp.h>
#include <stdlib.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static hs_status make_basis(int side, float **out)
{
    double *m = NULL;
    HS_TRY(hs_calloc((size_t)side * (size_t)side, sizeof *m, "Fourier basis", &m));
    hs_basis_1d(side, m);
    hs_status st = hs_calloc((size_t)side * (size_t)side, sizeof(float), "Fourier basis", out);
    for (int i = 0; i < side * side && st == HS_OK; i++)
        (*out)[i] = (float)m[i];
    hs_free(m);
    return st;
}

static hs_status make_mirrors(int h, int w, hs_cpu_mirror **out)
{
    HS_TRY(hs_calloc((size_t)hs_bins_count(h, w), sizeof **out, "bins of a plane", out));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        hs_cpu_mirror *m = *out + u;
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        m->fy = abs(hs_signed_frequency(ky, h)), m->fx = abs(hs_signed_frequency(kx, w));
        m->bin = hs_bin_index(h, w, -ky, kx, &m->conj);
    }
    return HS_OK;
}

hs_status hs_cpu_lowpass_plan_make(const hs_spool_desc *d, hs_cpu_lowpass_plan *l)
{
    if (d->in == HS_SPECTRUM)
        return make_mirrors(d->h, d->w, &l->mirrors);
    HS_TRY(make_basis(d->h, &l->basis_h));
    return make_basis(d->w, &l->basis_w);
}

void hs_cpu_lowpass_destroy(hs_cpu_lowpass_plan *l)
{
    hs_free(l->basis_h), hs_free(l->basis_w);
    hs_free(l->mirrors);
}

/* A half-way image and two projections. */
size_t hs_cpu_lowpass_floats(const hs_spool *p)
{
    const size_t h = (size_t)p->d.h, w = (size_t)p->d.w;
    return p->lowpass.basis_h ? (h * w * (size_t)p->d.c + h * h + w * w + 15) / 16 * 16 : 0;
}

/* C [m][n] = A B; rows of C and B are dense. */
static void left(const hs_spool *p, int m, int n, int k, const float *a, const float *b, float *c)
{
    if (n % HS_CPU_PAD == 0)
        p->kernels->product(m, n, k, a, k, 1, b, n, c, n, false);
    else
        hs_cpu_product(p->kernels, hs_cpu_pack(p->device, omp_get_thread_num()), false, false, m, n, k, a, (size_t)k, b,
                       (size_t)n, false, c, (size_t)n);
}

/* y [h][w] = a x b per channel; a [h][h], b [w][w] symmetric. */
static void two_products(const hs_spool *p, const float *a, const float *b, const float *x, float *y, float *half)
{
    const int h = p->d.h, w = p->d.w, c = p->d.c;
    const size_t row = (size_t)w * c;
    left(p, h, (int)row, h, a, x, half);
    for (int r = 0; r < h; r++)
        left(p, w, c, w, b, half + r * row, y + r * row);
}

/* Q [side][side] = D_1^T D_1 of the first KEEP rows of the basis. */
static void projection(int side, int keep, const float *basis, float *q)
{
    for (int a = 0; a < side; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (int r = 0; r < keep; r++)
                sum += (double)basis[r * side + a] * basis[r * side + b];
            q[a * side + b] = q[b * side + a] = (float)sum;
        }
}

static void project_space(const hs_spool *p, int n, const float *x, const int32_t *keep, float *y, void *scratch)
{
    const int h = p->d.h, w = p->d.w;
    const size_t image = (size_t)h * w * p->d.c;
#pragma omp parallel num_threads(p->threads)
    {
        float *half = hs_cpu_to_line(scratch) + hs_cpu_lowpass_floats(p) * (size_t)omp_get_thread_num(), *qh = half + image, *qw = qh + (size_t)h * h;
        int32_t last_h = -1, last_w = -1; /* one draw often holds for the whole batch */
#pragma omp for schedule(static)
        for (int i = 0; i < n; i++) {
            if (keep[2 * i] != last_h)
                projection(h, last_h = keep[2 * i], p->lowpass.basis_h, qh);
            if (keep[2 * i + 1] != last_w)
                projection(w, last_w = keep[2 * i + 1], p->lowpass.basis_w, qw);
            two_products(p, qh, qw, x + i * image, y + i * image, half);
        }
    }
}

/* What KEEP coordinates of a side leave of frequency F: 0 nothing, 1 the cosine alone, 2 all of it. Order DC, cos1, sin1, ..; at DC and at the
 * Nyquist frequency of an even side the cosine is all there is, and is its own mirror. */
static int kept(int f, int keep)
{
    return f == 0 || 2 * f < keep ? 2 : 2 * f - 1 < keep ? 1 : 0;
}

/* The cosine alone along y is the mean of X(ky, kx) and X(-ky, kx), along x of X(ky, kx) and X(ky, -kx) = conj X(-ky, kx), along both of all
 * four. A is the bin, B the bin that holds (-ky, kx). */
static void project_bin(int c, int y, int x, bool conj, const float *a, const float *b, float *out)
{
    const float sign = conj ? -1.0f : 1.0f;
    for (int i = 0; i < c; i++) {
        const float ar = a[i], ai = a[c + i], br = b[i], bi = sign * b[c + i];
        const bool both = y == 2 && x == 2, none = y == 0 || x == 0;
        out[i] = none ? 0 : both ? ar : 0.5f * (ar + br);
        out[c + i] = none ? 0 : both ? ai : y == 2 ? 0.5f * (ai - bi) : x == 2 ? 0.5f * (ai + bi) : 0;
    }
}

static void project_spectrum(const hs_spool *p, int n, const float *x, const int32_t *keep, float *y)
{
    const int bins = hs_bins_count(p->d.h, p->d.w), c = p->d.c;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (int u = 0; u < bins; u++) {
        const hs_cpu_mirror m = p->lowpass.mirrors[u];
        for (int i = 0; i < n; i++)
            project_bin(c, kept(m.fy, keep[2 * i]), kept(m.fx, keep[2 * i + 1]), m.conj, x + ((size_t)u * n + i) * 2 * c,
                        x + ((size_t)m.bin * n + i) * 2 * c, y + ((size_t)u * n + i) * 2 * c);
    }
}

hs_status hs_cpu_lowpass(hs_stream *s, hs_spool *p, int n, const void *x, const int32_t *keep, void *y, void *scratch)
{
    (void)s;
    if (!p->lowpass.basis_h && !p->lowpass.mirrors)
        return hs_fail(HS_EINTERNAL, "lowpass on a plan that changes size or domain");
    if (p->lowpass.basis_h)
        project_space(p, n, x, keep, y, scratch);
    else
        project_spectrum(p, n, x, keep, y);
    return HS_OK;
}
