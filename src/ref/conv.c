/* conv.c - correlation in space, y(o, p) = bias(o) + sum_{c, t} taps(t, c, o) x(c, cell(p, t)). Which input cell meets tap t for output
 * cell p is a table made by the plan: stride, padding, boundary and flip live there and nowhere else. Both engines are these loops. A
 * spectrum at an edge is brought to space and back through scratch. */
#include "real.h"

#include "hs_base.h"

struct hs_conv {
    hs_conv_desc d;
    int taps, cells, out_cells; /* kh*kw, h*w, oh*ow */
    int32_t *cell;              /* [out_cells][taps]: input cell, -1 outside */
    hs_transform *in, *out;     /* of the edges that are spectra, else NULL */
};

/* Place on one axis of N that tap T meets at output position P; -1 outside. Flip turns the taps about the anchor PAD. */
static int axis_cell(int p, int t, int n, int pad, int stride, bool flip, hs_boundary boundary)
{
    int at = p * stride + (flip ? pad - t : t - pad);
    if (boundary == HS_BOUNDARY_PERIODIC)
        return (at % n + n) % n;
    return at >= 0 && at < n ? at : -1;
}

static void fill_cells(hs_conv *p)
{
    const hs_conv_desc *d = &p->d;
    int32_t *cell = p->cell;
    for (int oy = 0; oy < d->oh; oy++)
        for (int ox = 0; ox < d->ow; ox++)
            for (int ty = 0; ty < d->kh; ty++)
                for (int tx = 0; tx < d->kw; tx++) {
                    int y = axis_cell(oy, ty, d->h, d->pad_h, d->stride, d->flip, d->boundary);
                    int x = axis_cell(ox, tx, d->w, d->pad_w, d->stride, d->flip, d->boundary);
                    *cell++ = y < 0 || x < 0 ? -1 : y * d->w + x;
                }
}

bool REF(conv_supports)(const hs_device *device, const hs_conv_desc *desc)
{
    (void)device;
    return !desc->relu && !desc->pool; /* these stay ops of their own: what fuses them is compared with this */
}

/* Multiply-adds count two; backward does forward's work for dtaps and again for dx. A transform costs 4 hw(h+w) a plane. */
double REF(conv_cost)(const hs_device *device, const hs_conv_desc *d)
{
    (void)device;
    double n = d->capacity, work = 2.0 * n * d->oh * d->ow * d->kh * d->kw * d->ci * d->co * (d->need_dx ? 3 : 2);
    if (d->in == HS_SPECTRUM)
        work += 4.0 * n * d->h * d->w * (d->h + d->w) * d->ci * (d->need_dx ? 3 : 2);
    if (d->out == HS_SPECTRUM)
        work += 4.0 * n * d->oh * d->ow * (d->oh + d->ow) * d->co * 2;
    return work / 1e9;
}

hs_status REF(conv_plan)(hs_device *device, const hs_conv_desc *desc, hs_conv **out)
{
    hs_status st;
    hs_conv *p = NULL;
    HS_TRY(hs_calloc(1, sizeof *p, "convolution", &p));
    *p = (hs_conv){.d = *desc, .taps = desc->kh * desc->kw, .cells = desc->h * desc->w, .out_cells = desc->oh * desc->ow};
    HS_TRY_GOTO(st, hs_calloc((size_t)p->out_cells * p->taps, sizeof *p->cell, "cells of a convolution", &p->cell), destroy);
    fill_cells(p);
    if (desc->in == HS_SPECTRUM)
        HS_TRY_GOTO(st, REF(transform_plan)(device, desc->capacity, desc->h, desc->w, desc->ci, &p->in), destroy);
    if (desc->out == HS_SPECTRUM)
        HS_TRY_GOTO(st, REF(transform_plan)(device, desc->capacity, desc->oh, desc->ow, desc->co, &p->out), destroy);
    *out = p;
    return HS_OK;
destroy:
    REF(conv_destroy)(&p);
    return st;
}

void REF(conv_destroy)(hs_conv **plan)
{
    hs_conv *p = *plan;
    if (!p)
        return;
    REF(transform_destroy)(&p->in);
    REF(transform_destroy)(&p->out);
    hs_free(p->cell);
    hs_free(p);
    *plan = NULL;
}

size_t REF(conv_saved_bytes)(const hs_conv *plan)
{
    (void)plan;
    return 0;
}

bool REF(conv_backward_reads_x)(const hs_conv *plan)
{
    (void)plan;
    return true;
}

/* ---- scratch: sums in double, then planes in space of edges that are spectra, then what a transform needs ------------------------- */

static size_t sums_bytes(const hs_conv *p)
{
    size_t forward = (size_t)p->d.co, backward = (size_t)p->cells * p->d.ci + (size_t)p->taps * p->d.ci * p->d.co;
    return (forward > backward ? forward : backward) * sizeof(double);
}

/* Rounded up, so that doubles may follow. */
static size_t plane_bytes(const hs_conv *p, int cells, int channels)
{
    return ((size_t)p->d.capacity * cells * channels * sizeof(real) + 15) / 16 * 16;
}

typedef struct work {
    double *sums;
    real *x, *dx, *y; /* in space; y also holds dy */
    void *transform;
} work;

static size_t lay_out(const hs_conv *p, char *scratch, work *w)
{
    size_t at = sums_bytes(p), transform = 0;
    size_t x = at, dx = at, y = at;
    if (p->in) {
        dx = x + plane_bytes(p, p->cells, p->d.ci);
        y = at = dx + plane_bytes(p, p->cells, p->d.ci);
        transform = REF(transform_scratch_bytes)(p->in);
    }
    if (p->out) {
        at += plane_bytes(p, p->out_cells, p->d.co);
        size_t other = REF(transform_scratch_bytes)(p->out);
        transform = other > transform ? other : transform;
    }
    if (w)
        *w = (work){(void *)scratch, (void *)(scratch + x), (void *)(scratch + dx), (void *)(scratch + y), scratch + at};
    return at + transform;
}

size_t REF(conv_scratch_bytes)(const hs_conv *plan)
{
    return lay_out(plan, NULL, NULL);
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------------- */

static void zero(double *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        v[i] = 0;
}

/* One output cell of one sample: sum [co], x [cells][ci]. */
static void cell_forward(const hs_conv *p, int out_cell, const real *x, const real *taps, const real *bias, double *sum)
{
    const int ci = p->d.ci, co = p->d.co;
    for (int o = 0; o < co; o++)
        sum[o] = bias ? (double)bias[o] : 0;
    for (int t = 0; t < p->taps; t++) {
        int32_t from = p->cell[(size_t)out_cell * p->taps + t];
        if (from < 0)
            continue;
        for (int c = 0; c < ci; c++) {
            double v = x[(size_t)from * ci + c];
            const real *tap = taps + ((size_t)t * ci + c) * co;
            for (int o = 0; o < co; o++)
                sum[o] += v * (double)tap[o];
        }
    }
}

hs_status REF(conv_forward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y, void *saved,
                            void *scratch)
{
    (void)saved;
    const hs_conv *p = plan;
    work w;
    lay_out(p, scratch, &w);
    if (p->in)
        HS_TRY(REF(transform_inverse)(s, p->in, n, x, w.x, w.transform));
    const real *from = p->in ? w.x : x;
    real *to = p->out ? w.y : y;
    for (int i = 0; i < n; i++) {
        for (int cell = 0; cell < p->out_cells; cell++) {
            cell_forward(p, cell, from + (size_t)i * p->cells * p->d.ci, taps, p->d.bias ? bias : NULL, w.sums);
            for (int o = 0; o < p->d.co; o++)
                *to++ = (real)w.sums[o];
        }
    }
    if (p->out)
        HS_TRY(REF(transform_forward)(s, p->out, n, w.y, y, w.transform));
    return HS_OK;
}

/* One output cell of one sample, dy [co]: adds to dx [cells][ci] (if not NULL) and dtaps [taps][ci][co]. */
static void cell_backward(const hs_conv *p, int out_cell, const real *x, const real *taps, const real *dy, double *dx, double *dtaps)
{
    const int ci = p->d.ci, co = p->d.co;
    for (int t = 0; t < p->taps; t++) {
        int32_t from = p->cell[(size_t)out_cell * p->taps + t];
        if (from < 0)
            continue;
        for (int c = 0; c < ci; c++) {
            const size_t at = (size_t)from * ci + c, tap = ((size_t)t * ci + c) * co;
            double v = x[at], sum = 0;
            for (int o = 0; o < co; o++)
                dtaps[tap + o] += v * (double)dy[o];
            if (!dx)
                continue;
            for (int o = 0; o < co; o++)
                sum += (double)taps[tap + o] * (double)dy[o];
            dx[at] += sum;
        }
    }
}

static void sample_backward(const hs_conv *p, const real *x, const real *taps, const real *dy, real *dx, double *dtaps, double *sum_dx)
{
    const size_t count = (size_t)p->cells * p->d.ci;
    zero(sum_dx, count);
    for (int cell = 0; cell < p->out_cells; cell++)
        cell_backward(p, cell, x, taps, dy + (size_t)cell * p->d.co, dx ? sum_dx : NULL, dtaps);
    for (size_t j = 0; dx && j < count; j++)
        dx[j] = (real)sum_dx[j];
}

hs_status REF(conv_backward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx, void *dtaps,
                             void *dbias, void *saved, void *scratch)
{
    (void)saved;
    const hs_conv *p = plan;
    const size_t in = (size_t)p->cells * p->d.ci, out = (size_t)p->out_cells * p->d.co, filter = (size_t)p->taps * p->d.ci * p->d.co;
    work w;
    lay_out(p, scratch, &w);
    if (p->in)
        HS_TRY(REF(transform_inverse)(s, p->in, n, x, w.x, w.transform));
    if (p->out)
        HS_TRY(REF(transform_inverse)(s, p->out, n, dy, w.y, w.transform));
    const real *x_space = p->in ? w.x : x, *dy_space = p->out ? w.y : dy;
    real *dx_space = dx && p->in ? w.dx : dx;
    double *sum_taps = w.sums, *sum_dx = w.sums + filter;
    zero(sum_taps, filter);
    for (int i = 0; i < n; i++)
        sample_backward(p, x_space + i * in, taps, dy_space + i * out, dx_space ? dx_space + i * in : NULL, sum_taps, sum_dx);
    for (size_t j = 0; j < filter; j++)
        ((real *)dtaps)[j] = (real)sum_taps[j];
    if (dx && p->in)
        HS_TRY(REF(transform_forward)(s, p->in, n, w.dx, dx, w.transform));
    return dbias ? REF(bias_grad)(s, n * p->out_cells, p->d.co, dy_space, dbias) : HS_OK;
}

const hs_conv_ops REF(conv_ops) = {
    .supports = REF(conv_supports),
    .cost = REF(conv_cost),
    .plan = REF(conv_plan),
    .destroy = REF(conv_destroy),
    .saved_bytes = REF(conv_saved_bytes),
    .scratch_bytes = REF(conv_scratch_bytes),
    .backward_reads_x = REF(conv_backward_reads_x),
    .forward = REF(conv_forward),
    .backward = REF(conv_backward),
};
