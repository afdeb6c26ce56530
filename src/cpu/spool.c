/* spool.c - spectral pooling and frequency dropout.
 *
 * In space a plane is pooled by two small matrices, y = P_h x P_w^T (spectral-math: orthonormal rows), which run at the speed of the product
 * kernel with channels as columns. Between spectra it is a sparse map over coordinates; with different domains the pooled plane, the smaller
 * one, is transformed. Frequency dropout in space is the same with projections Q = D_1^T D_1 made of the first KEEP rows of the Fourier basis;
 * in the spectrum it keeps, drops or halves bins. Images (bins) are shared among threads; nothing depends on how. */
#include "pool.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

/* Where a coordinate of a plane lies: its bin, and 0 for re or 1 for im. */
typedef struct place {
    int bin, half;
} place;

/* A bin for frequency dropout: |ky| and |kx|, and where (-ky, kx) is stored. */
typedef struct mirror {
    int fy, fx, bin;
    bool conj;
} mirror;

/* Rows of a sparse map, and its transpose's. */
typedef struct sparse {
    int rows, *start, *column;
    float *weight;
} sparse;

struct hs_spool {
    hs_spool_desc d;
    const hs_cpu_device *device;
    const hs_cpu_kernels *kernels;
    int threads;
    float *p_h, *p_w;           /* [oh][h], [ow][w]; in = SPACE */
    float *basis_h, *basis_w;   /* [h][h], [w][w]; lowpass in space */
    mirror *mirrors;            /* [bins of h x w]; lowpass in the spectrum */
    sparse map, adjoint;        /* in = SPECTRUM */
    place *from, *to;
    hs_transform *small;        /* of oh x ow; domains differ */
};

bool hs_cpu_spool_supports(const hs_device *device, const hs_spool_desc *desc)
{
    (void)device;
    return !desc->relu_in && !desc->relu_out;
}

/* Rates as in conv.c: products from cache at 60 GF/s a core, memory at 12 GB/s a core. */
double hs_cpu_spool_cost(const hs_device *device, const hs_spool_desc *d)
{
    const double planes = (double)d->capacity * d->c, in = (double)d->h * d->w, out = (double)d->oh * d->ow;
    double flops = d->in == HS_SPACE ? 4.0 * d->oh * d->w * (d->h + d->ow) : 8 * out;
    if (d->in != d->out)
        flops += 4.0 * out * (d->oh + d->ow);
    return planes * (flops / 60e9 + 8 * (in + out) / 12e9) / device->threads;
}

static hs_status to_floats(size_t count, const double *from, float **out)
{
    HS_TRY(hs_calloc(count, sizeof(float), "spectral pooling", out));
    for (size_t i = 0; i < count; i++)
        (*out)[i] = (float)from[i];
    return HS_OK;
}

static hs_status make_pool(int small, int big, hs_pool_norm norm, float **out)
{
    double *m = NULL;
    HS_TRY(hs_calloc((size_t)small * (size_t)big, sizeof *m, "pooling matrix", &m));
    hs_pool_matrix(small, big, norm, m);
    const hs_status st = to_floats((size_t)small * (size_t)big, m, out);
    hs_free(m);
    return st;
}

static hs_status make_basis(int side, float **out)
{
    double *m = NULL;
    HS_TRY(hs_calloc((size_t)side * (size_t)side, sizeof *m, "Fourier basis", &m));
    hs_basis_1d(side, m);
    const hs_status st = to_floats((size_t)side * (size_t)side, m, out);
    hs_free(m);
    return st;
}

static hs_status make_places(int h, int w, place **out)
{
    HS_TRY(hs_calloc((size_t)h * (size_t)w, sizeof **out, "coordinates of a plane", out));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        int ky, kx;
        const int at = hs_bin_coord(h, w, u);
        hs_bin_at(h, w, u, &ky, &kx);
        (*out)[at] = (place){u, 0};
        if (!hs_bin_is_self(h, w, ky, kx))
            (*out)[at + 1] = (place){u, 1};
    }
    return HS_OK;
}

static hs_status make_mirrors(int h, int w, mirror **out)
{
    HS_TRY(hs_calloc((size_t)hs_bins_count(h, w), sizeof **out, "bins of a plane", out));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        mirror *m = *out + u;
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        m->fy = abs(hs_signed_frequency(ky, h)), m->fx = abs(hs_signed_frequency(kx, w));
        m->bin = hs_bin_index(h, w, -ky, kx, &m->conj);
    }
    return HS_OK;
}

static hs_status sparse_alloc(int rows, int entries, sparse *s)
{
    s->rows = rows;
    HS_TRY(hs_calloc((size_t)rows + 2, sizeof(int), "crop map", &s->start));
    HS_TRY(hs_calloc((size_t)entries + 1, sizeof(int), "crop map", &s->column));
    return hs_calloc((size_t)entries + 1, sizeof(float), "crop map", &s->weight);
}

/* Both directions of the map, each by its own rows, so that every output is written once by one thread. */
static hs_status sparse_both(const hs_crop_map *m, int columns, sparse *map, sparse *adjoint)
{
    HS_TRY(sparse_alloc(m->rows, m->entries, map));
    HS_TRY(sparse_alloc(columns, m->entries, adjoint));
    memcpy(map->start, m->start, ((size_t)m->rows + 1) * sizeof(int));
    for (int e = 0; e < m->entries; e++) {
        map->column[e] = m->column[e];
        map->weight[e] = (float)m->weight[e];
        adjoint->start[m->column[e] + 2]++; /* counted two ahead: filling then moves them into place */
    }
    for (int r = 0; r < columns; r++)
        adjoint->start[r + 1] += adjoint->start[r];
    for (int r = 0; r < m->rows; r++)
        for (int e = m->start[r]; e < m->start[r + 1]; e++) {
            const int at = adjoint->start[m->column[e] + 1]++;
            adjoint->column[at] = r;
            adjoint->weight[at] = (float)m->weight[e];
        }
    return HS_OK;
}

static hs_status make_map(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    hs_crop_map m = {0};
    HS_TRY(make_places(d->h, d->w, &p->from));
    HS_TRY(make_places(d->oh, d->ow, &p->to));
    HS_TRY(hs_crop_map_create(d->oh, d->ow, d->h, d->w, d->norm, &m));
    const hs_status st = sparse_both(&m, d->h * d->w, &p->map, &p->adjoint);
    hs_crop_map_destroy(&m);
    return st;
}

static hs_status make_tables(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    const bool project = d->oh == d->h && d->ow == d->w && d->in == d->out;
    if (d->in == HS_SPECTRUM) {
        if (project)
            HS_TRY(make_mirrors(d->h, d->w, &p->mirrors));
        return make_map(p);
    }
    if (project) {
        HS_TRY(make_basis(d->h, &p->basis_h));
        HS_TRY(make_basis(d->w, &p->basis_w));
    }
    HS_TRY(make_pool(d->oh, d->h, d->norm, &p->p_h));
    return make_pool(d->ow, d->w, d->norm, &p->p_w);
}

hs_status hs_cpu_spool_plan(hs_device *device, const hs_spool_desc *desc, hs_spool **out)
{
    hs_spool *p = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *p, "spectral pooling", &p));
    p->d = *desc;
    p->device = (const hs_cpu_device *)device;
    p->kernels = p->device->kernels;
    p->threads = device->threads;
    HS_TRY_GOTO(st, make_tables(p), fail);
    if (desc->in != desc->out)
        HS_TRY_GOTO(st, hs_cpu_transform_ops.plan(device, desc->capacity, desc->oh, desc->ow, desc->c, &p->small), fail);
    *out = p;
    return HS_OK;
fail:
    hs_cpu_spool_destroy(&p);
    return st;
}

static void sparse_free(sparse *s)
{
    hs_free(s->start), hs_free(s->column), hs_free(s->weight);
}

void hs_cpu_spool_destroy(hs_spool **plan)
{
    hs_spool *p = *plan;
    if (!p)
        return;
    hs_free(p->p_h), hs_free(p->p_w);
    hs_free(p->basis_h), hs_free(p->basis_w);
    hs_free(p->mirrors);
    hs_free(p->from), hs_free(p->to);
    sparse_free(&p->map), sparse_free(&p->adjoint);
    hs_cpu_transform_ops.destroy(&p->small);
    hs_free(p);
    *plan = NULL;
}

/* ---- scratch: per thread a half-pooled image and two projections, then the pooled samples, then the transform's ---------------------------- */

static size_t thread_floats(const hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    const size_t image = (size_t)d->oh * d->w * d->c + (p->basis_h ? (size_t)d->h * d->h + (size_t)d->w * d->w : 0);
    return d->in == HS_SPACE ? (image + 15) / 16 * 16 : 0;
}

static size_t pooled_floats(const hs_spool *p) /* a spectrum is the larger form */
{
    const hs_spool_desc *d = &p->d;
    return d->in == d->out ? 0 : ((size_t)d->capacity * hs_bins_count(d->oh, d->ow) * 2 * d->c + 15) / 16 * 16;
}

size_t hs_cpu_spool_saved_bytes(const hs_spool *p)
{
    (void)p;
    return 0;
}

size_t hs_cpu_spool_scratch_bytes(const hs_spool *p)
{
    const size_t transform = p->small ? hs_cpu_transform_ops.scratch_bytes(p->small) : 0;
    return 64 + (thread_floats(p) * (size_t)p->threads + pooled_floats(p)) * sizeof(float) + transform;
}

static float *scratch_base(void *scratch)
{
    return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
}

/* ---- in space ------------------------------------------------------------------------------------------------------------------------------ */

/* C [m][n] = op(A) B, A [m][k] or stored transposed [k][m]; rows of C and B are dense. */
static void left(const hs_spool *p, bool trans, int m, int n, int k, const float *a, const float *b, float *c)
{
    if (n % HS_CPU_PAD == 0)
        p->kernels->product(m, n, k, a, trans ? 1 : k, trans ? m : 1, b, n, c, n, false);
    else
        hs_cpu_product(p->kernels, hs_cpu_pack(p->device, omp_get_thread_num()), trans, false, m, n, k, a, (size_t)(trans ? m : k), b,
                       (size_t)n, false, c, (size_t)n);
}

/* y [h2][w2] = a x b^T per channel, x [h1][w1]; a [h2][h1], b [w2][w1], or both stored transposed. The rows first where they shrink, so that the
 * half-way image is the smaller one. */
static void two_products(const hs_spool *p, bool trans, int h1, int w1, int h2, int w2, const float *a, const float *b, const float *x, float *y,
                         float *half)
{
    const int c = p->d.c;
    const size_t row1 = (size_t)w1 * c, row2 = (size_t)w2 * c;
    if (!trans) {
        left(p, false, h2, (int)row1, h1, a, x, half);
        for (int r = 0; r < h2; r++)
            left(p, false, w2, c, w1, b, half + r * row1, y + r * row2);
        return;
    }
    for (int r = 0; r < h1; r++)
        left(p, true, w2, c, w1, b, x + r * row1, half + r * row2);
    left(p, true, h2, (int)row2, h1, a, half, y);
}

static void pool_space(const hs_spool *p, bool back, int n, const float *x, float *y, void *scratch)
{
    const hs_spool_desc *d = &p->d;
    const size_t in = (size_t)d->h * d->w * d->c, out = (size_t)d->oh * d->ow * d->c;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (int i = 0; i < n; i++) {
        float *half = scratch_base(scratch) + thread_floats(p) * (size_t)omp_get_thread_num();
        if (back)
            two_products(p, true, d->oh, d->ow, d->h, d->w, p->p_h, p->p_w, x + i * out, y + i * in, half);
        else
            two_products(p, false, d->h, d->w, d->oh, d->ow, p->p_h, p->p_w, x + i * in, y + i * out, half);
    }
}

/* ---- in the spectrum ----------------------------------------------------------------------------------------------------------------------- */

/* Rows of MAP from spectra X to spectra Y of BINS bins. Imaginary halves of self-conjugate bins are no coordinates: they become zero. */
static void map_spectrum(const hs_spool *p, const sparse *map, const place *from, const place *to, int bins, int n, const float *x, float *y)
{
    const size_t c = (size_t)p->d.c, row = 2 * c;
    memset(y, 0, (size_t)bins * (size_t)n * row * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (int r = 0; r < map->rows; r++)
        for (int e = map->start[r]; e < map->start[r + 1]; e++)
            for (int i = 0; i < n; i++) {
                const place a = from[map->column[e]], b = to[r];
                p->kernels->add_scaled((int)c, map->weight[e], x + ((size_t)a.bin * n + i) * row + a.half * c,
                                       y + ((size_t)b.bin * n + i) * row + b.half * c);
            }
}

hs_status hs_cpu_spool_fwd(hs_stream *s, hs_spool *p, int n, const void *x, void *y, void *saved, void *scratch)
{
    (void)saved;
    const bool mixed = p->d.in != p->d.out;
    float *pooled = scratch_base(scratch) + thread_floats(p) * (size_t)p->threads, *first = mixed ? pooled : y;
    if (p->d.in == HS_SPACE)
        pool_space(p, false, n, x, first, scratch);
    else
        map_spectrum(p, &p->map, p->from, p->to, hs_bins_count(p->d.oh, p->d.ow), n, x, first);
    if (!mixed)
        return HS_OK;
    return (p->d.in == HS_SPACE ? hs_cpu_transform_ops.forward : hs_cpu_transform_ops.inverse)(s, p->small, n, pooled, y,
                                                                                              pooled + pooled_floats(p));
}

hs_status hs_cpu_spool_bwd(hs_stream *s, hs_spool *p, int n, const void *dy, void *dx, const void *saved, void *scratch)
{
    (void)saved;
    const float *grad = dy;
    if (p->d.in != p->d.out) {
        float *pooled = scratch_base(scratch) + thread_floats(p) * (size_t)p->threads;
        HS_TRY((p->d.in == HS_SPACE ? hs_cpu_transform_ops.inverse : hs_cpu_transform_ops.forward)(s, p->small, n, dy, pooled,
                                                                                                  pooled + pooled_floats(p)));
        grad = pooled;
    }
    if (p->d.in == HS_SPACE)
        pool_space(p, true, n, grad, dx, scratch);
    else
        map_spectrum(p, &p->adjoint, p->to, p->from, hs_bins_count(p->d.h, p->d.w), n, grad, dx);
    return HS_OK;
}

/* ---- frequency dropout --------------------------------------------------------------------------------------------------------------------- */

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
        float *half = scratch_base(scratch) + thread_floats(p) * (size_t)omp_get_thread_num(), *qh = half + image, *qw = qh + (size_t)h * h;
        int32_t last_h = -1, last_w = -1; /* one draw often holds for the whole batch */
#pragma omp for schedule(static)
        for (int i = 0; i < n; i++) {
            if (keep[2 * i] != last_h)
                projection(h, last_h = keep[2 * i], p->basis_h, qh);
            if (keep[2 * i + 1] != last_w)
                projection(w, last_w = keep[2 * i + 1], p->basis_w, qw);
            two_products(p, false, h, w, h, w, qh, qw, x + i * image, y + i * image, half);
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
        const mirror m = p->mirrors[u];
        for (int i = 0; i < n; i++)
            project_bin(c, kept(m.fy, keep[2 * i]), kept(m.fx, keep[2 * i + 1]), m.conj, x + ((size_t)u * n + i) * 2 * c,
                        x + ((size_t)m.bin * n + i) * 2 * c, y + ((size_t)u * n + i) * 2 * c);
    }
}

hs_status hs_cpu_lowpass(hs_stream *s, hs_spool *p, int n, const void *x, const int32_t *keep, void *y, void *scratch)
{
    (void)s;
    if (!p->basis_h && !p->mirrors)
        return hs_fail(HS_EINTERNAL, "lowpass on a plan that changes size or domain");
    if (p->basis_h)
        project_space(p, n, x, keep, y, scratch);
    else
        project_spectrum(p, n, x, keep, y);
    return HS_OK;
}
