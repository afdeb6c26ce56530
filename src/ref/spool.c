/* spool.c - spectral pooling and frequency dropout.
 *
 * In space, pooling a plane is y = P_h x P_w^T and its transpose dx = P_h^T dy P_w. Between half spectra it is a sparse map over coordinates
 * (hs_crop_map). With different domains on the two sides the pooled plane is transformed, which is the cheaper of the two ends.
 * Frequency dropout projects a plane on the first coordinates of the Fourier basis D of each axis: y = Q_h x Q_w, Q = D_1^T D_1. */
#include "real.h"

#include "hs_base.h"
#include "hs_spectrum.h"

/* Where a coordinate of a plane lies: its bin, and 0 for re or 1 for im. */
typedef struct place {
    int bin, half;
} place;

struct hs_spool {
    hs_spool_desc d;
    bool project;             /* sides equal, domains equal: lowpass is possible */
    double *p_h, *p_w;        /* [oh][h], [ow][w]; in = SPACE */
    double *basis_h, *basis_w; /* [h][h], [w][w]; project */
    hs_crop_map map;          /* in = SPECTRUM */
    place *from, *to;         /* [h*w], [oh*ow] coordinates; in = SPECTRUM */
    hs_transform *small;      /* of oh x ow: mixed domains, or project in the spectrum */
};

/* Rectifiers stay ops of their own here: what fuses them is compared with this. */
bool REF(spool_supports)(const hs_device *device, const hs_spool_desc *desc)
{
    (void)device;
    return !desc->relu_in && !desc->relu_out;
}

/* Forward and backward: two products a plane in space, some 4 entries a coordinate in the spectrum, 4 hw(h+w) a transform. */
double REF(spool_cost)(const hs_device *device, const hs_spool_desc *d)
{
    (void)device;
    double planes = (double)d->capacity * d->c, work = d->in == HS_SPACE ? 4.0 * d->oh * d->w * (d->h + d->ow) : 16.0 * d->oh * d->ow;
    if (d->in != d->out)
        work += 8.0 * d->oh * d->ow * (d->oh + d->ow);
    return planes * work / 1e9;
}

static hs_status make_places(int h, int w, place **out)
{
    place *p = NULL;
    HS_TRY(hs_calloc((size_t)h * w, sizeof *p, "coordinates of a plane", &p));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        int ky, kx, at = hs_bin_coord(h, w, u);
        hs_bin_at(h, w, u, &ky, &kx);
        p[at] = (place){u, 0};
        if (!hs_bin_is_self(h, w, ky, kx))
            p[at + 1] = (place){u, 1};
    }
    *out = p;
    return HS_OK;
}

static hs_status make_matrices(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    HS_TRY(hs_calloc((size_t)d->oh * d->h, sizeof(double), "pooling matrix", &p->p_h));
    HS_TRY(hs_calloc((size_t)d->ow * d->w, sizeof(double), "pooling matrix", &p->p_w));
    hs_pool_matrix(d->oh, d->h, d->norm, p->p_h);
    hs_pool_matrix(d->ow, d->w, d->norm, p->p_w);
    return HS_OK;
}

static hs_status make_bases(hs_spool *p)
{
    HS_TRY(hs_calloc((size_t)p->d.h * p->d.h, sizeof(double), "Fourier basis", &p->basis_h));
    HS_TRY(hs_calloc((size_t)p->d.w * p->d.w, sizeof(double), "Fourier basis", &p->basis_w));
    hs_basis_1d(p->d.h, p->basis_h);
    hs_basis_1d(p->d.w, p->basis_w);
    return HS_OK;
}

static hs_status make_map(hs_spool *p)
{
    const hs_spool_desc *d = &p->d;
    HS_TRY(hs_crop_map_create(d->oh, d->ow, d->h, d->w, d->norm, &p->map));
    HS_TRY(make_places(d->h, d->w, &p->from));
    return make_places(d->oh, d->ow, &p->to);
}

hs_status REF(spool_plan)(hs_device *device, const hs_spool_desc *desc, hs_spool **out)
{
    hs_status st;
    hs_spool *p = NULL;
    HS_TRY(hs_calloc(1, sizeof *p, "spectral pooling", &p));
    p->d = *desc;
    p->project = desc->oh == desc->h && desc->ow == desc->w && desc->in == desc->out;
    HS_TRY_GOTO(st, desc->in == HS_SPACE ? make_matrices(p) : make_map(p), destroy);
    if (p->project)
        HS_TRY_GOTO(st, make_bases(p), destroy);
    if (desc->in != desc->out || (p->project && desc->in == HS_SPECTRUM))
        HS_TRY_GOTO(st, REF(transform_plan)(device, desc->capacity, desc->oh, desc->ow, desc->c, &p->small), destroy);
    *out = p;
    return HS_OK;
destroy:
    REF(spool_destroy)(&p);
    return st;
}

void REF(spool_destroy)(hs_spool **plan)
{
    hs_spool *p = *plan;
    if (!p)
        return;
    hs_free(p->p_h);
    hs_free(p->p_w);
    hs_free(p->basis_h);
    hs_free(p->basis_w);
    hs_free(p->from);
    hs_free(p->to);
    hs_crop_map_destroy(&p->map);
    REF(transform_destroy)(&p->small);
    hs_free(p);
    *plan = NULL;
}

/* ---- scratch: two planes in double, then the pooled samples in the other domain, then the transform's ------------------------------ */

typedef struct work {
    double *a, *b;
    real *pooled;
    void *transform;
} work;

static size_t lay_out(const hs_spool *p, char *scratch, work *w)
{
    const hs_spool_desc *d = &p->d;
    size_t plane = (size_t)d->h * d->w * sizeof(double), pooled = 0, transform = 0;
    if (p->small) { /* a spectrum [U][n][2c] is the larger form: U = hw/2 + 1 or 2 */
        pooled = ((size_t)d->capacity * hs_bins_count(d->oh, d->ow) * 2 * d->c * sizeof(real) + 15) / 16 * 16;
        transform = REF(transform_scratch_bytes)(p->small);
    }
    if (w)
        *w = (work){(void *)scratch, (void *)(scratch + plane), (void *)(scratch + 2 * plane), scratch + 2 * plane + pooled};
    return 2 * plane + pooled + transform;
}

size_t REF(spool_saved_bytes)(const hs_spool *plan)
{
    (void)plan;
    return 0;
}

size_t REF(spool_scratch_bytes)(const hs_spool *plan)
{
    return lay_out(plan, NULL, NULL);
}

/* ---- in space ----------------------------------------------------------------------------------------------------------------------- */

/* out [rows][cols] = op(m) in, in [inner][cols]; m [rows][inner], or its transpose is stored. */
static void left_product(bool trans, int rows, int inner, int cols, const double *m, const double *in, double *out)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            double sum = 0;
            for (int l = 0; l < inner; l++)
                sum += (trans ? m[l * rows + i] : m[i * inner + l]) * in[l * cols + j];
            out[i * cols + j] = sum;
        }
}

/* out [rows][cols] = in op(m)^T, in [rows][inner]; m [cols][inner], or its transpose is stored. */
static void right_product(bool trans, int rows, int inner, int cols, const double *m, const double *in, double *out)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            double sum = 0;
            for (int l = 0; l < inner; l++)
                sum += in[i * inner + l] * (trans ? m[l * cols + j] : m[j * inner + l]);
            out[i * cols + j] = sum;
        }
}

static void load(const real *x, int stride, int count, double *plane)
{
    for (int j = 0; j < count; j++)
        plane[j] = x[(size_t)j * stride];
}

static void store(const double *plane, int stride, int count, real *x)
{
    for (int j = 0; j < count; j++)
        x[(size_t)j * stride] = (real)plane[j];
}

/* Samples [n][h][w][c] -> [n][oh][ow][c], or with TRANS the way back. */
static void pool_space(const hs_spool *p, bool trans, int n, const real *x, real *y, work w)
{
    const hs_spool_desc *d = &p->d;
    const int h = trans ? d->oh : d->h, wide = trans ? d->ow : d->w, oh = trans ? d->h : d->oh, ow = trans ? d->w : d->ow;
    for (int i = 0; i < n; i++, x += (size_t)h * wide * d->c, y += (size_t)oh * ow * d->c) {
        for (int c = 0; c < d->c; c++) {
            load(x + c, d->c, h * wide, w.a);
            left_product(trans, oh, h, wide, p->p_h, w.a, w.b);
            right_product(trans, oh, wide, ow, p->p_w, w.b, w.a);
            store(w.a, d->c, oh * ow, y + c);
        }
    }
}

/* ---- in the spectrum ---------------------------------------------------------------------------------------------------------------- */

static size_t spot(const hs_spool *p, place at, int n, int i, int c)
{
    return ((size_t)at.bin * n + i) * 2 * p->d.c + (size_t)at.half * p->d.c + c;
}

static void clear(real *x, size_t count)
{
    for (size_t j = 0; j < count; j++)
        x[j] = 0;
}

/* Spectra of h x w -> spectra of oh x ow. Imaginary halves of self-conjugate bins are no coordinates and stay zero. */
static void pool_spectrum(const hs_spool *p, int n, const real *x, real *y)
{
    clear(y, (size_t)hs_bins_count(p->d.oh, p->d.ow) * n * 2 * p->d.c);
    for (int r = 0; r < p->map.rows; r++)
        for (int i = 0; i < n; i++)
            for (int c = 0; c < p->d.c; c++) {
                double sum = 0;
                for (int e = p->map.start[r]; e < p->map.start[r + 1]; e++)
                    sum += p->map.weight[e] * (double)x[spot(p, p->from[p->map.column[e]], n, i, c)];
                y[spot(p, p->to[r], n, i, c)] = (real)sum;
            }
}

static void unpool_spectrum(const hs_spool *p, int n, const real *dy, real *dx)
{
    clear(dx, (size_t)hs_bins_count(p->d.h, p->d.w) * n * 2 * p->d.c);
    for (int r = 0; r < p->map.rows; r++)
        for (int e = p->map.start[r]; e < p->map.start[r + 1]; e++)
            for (int i = 0; i < n; i++)
                for (int c = 0; c < p->d.c; c++)
                    dx[spot(p, p->from[p->map.column[e]], n, i, c)] += (real)(p->map.weight[e] * (double)dy[spot(p, p->to[r], n, i, c)]);
}

hs_status REF(spool_fwd)(hs_stream *s, hs_spool *plan, int n, const void *x, void *y, void *saved, void *scratch)
{
    (void)saved;
    const hs_spool *p = plan;
    const bool mixed = p->d.in != p->d.out;
    work w;
    lay_out(p, scratch, &w);
    real *pooled = mixed ? w.pooled : y;
    if (p->d.in == HS_SPACE)
        pool_space(p, false, n, x, pooled, w);
    else
        pool_spectrum(p, n, x, pooled);
    if (!mixed)
        return HS_OK;
    return p->d.in == HS_SPACE ? REF(transform_forward)(s, p->small, n, pooled, y, w.transform)
                               : REF(transform_inverse)(s, p->small, n, pooled, y, w.transform);
}

hs_status REF(spool_bwd)(hs_stream *s, hs_spool *plan, int n, const void *dy, void *dx, const void *saved, void *scratch)
{
    (void)saved;
    const hs_spool *p = plan;
    const real *pooled = dy;
    work w;
    lay_out(p, scratch, &w);
    if (p->d.in != p->d.out) {
        HS_TRY(p->d.in == HS_SPACE ? REF(transform_inverse)(s, p->small, n, dy, w.pooled, w.transform)
                                   : REF(transform_forward)(s, p->small, n, dy, w.pooled, w.transform));
        pooled = w.pooled;
    }
    if (p->d.in == HS_SPACE)
        pool_space(p, true, n, pooled, dx, w);
    else
        unpool_spectrum(p, n, pooled, dx);
    return HS_OK;
}

/* ---- frequency dropout -------------------------------------------------------------------------------------------------------------- */

static void project_space(const hs_spool *p, int n, const real *x, const int32_t *keep, real *y, work w)
{
    const int h = p->d.h, wide = p->d.w, c = p->d.c;
    for (int i = 0; i < n; i++, x += (size_t)h * wide * c, y += (size_t)h * wide * c) {
        const int kh = keep[2 * i], kw = keep[2 * i + 1];
        for (int j = 0; j < c; j++) {
            load(x + j, c, h * wide, w.a);
            left_product(false, kh, h, wide, p->basis_h, w.a, w.b);
            right_product(false, kh, wide, kw, p->basis_w, w.b, w.a);
            left_product(true, h, kh, kw, p->basis_h, w.a, w.b); /* the first kh rows of D, transposed */
            right_product(true, h, kw, wide, p->basis_w, w.b, w.a);
            store(w.a, c, h * wide, y + j);
        }
    }
}

hs_status REF(lowpass)(hs_stream *s, hs_spool *plan, int n, const void *x, const int32_t *keep, void *y, void *scratch)
{
    const hs_spool *p = plan;
    if (!p->project)
        return hs_fail(HS_EINTERNAL, "lowpass on a plan that changes size or domain");
    work w;
    lay_out(p, scratch, &w);
    if (!p->small) {
        project_space(p, n, x, keep, y, w);
        return HS_OK;
    }
    HS_TRY(REF(transform_inverse)(s, p->small, n, x, w.pooled, w.transform));
    project_space(p, n, w.pooled, keep, w.pooled, w);
    return REF(transform_forward)(s, p->small, n, w.pooled, y, w.transform);
}
