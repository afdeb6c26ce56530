/* spool_general.c - spectral pooling and frequency dropout of maps of any size, through libraries.
 *
 * In space a plane is multiplied from both sides, y = P_h x P_w^T and dx = P_h^T dy P_w, which is two batched products over maps
 * as they lie. Between spectra pooling is a sparse map over halves of bins, and backward its transpose, both made by the plan.
 * With different domains on the two sides the pooled plane is transformed. Frequency dropout goes to the Fourier basis of both
 * axes and back, with what a sample loses set to zero between. */
#include "spool.h"

#include "hs_cuda.h"

#include "hs_base.h"
#include "hs_spectrum.h"

/* Rows and columns are halves of bins, 2 bin + half. */
typedef struct sparse_map {
    int rows;
    int32_t *start, *column;
    float *weight;
} sparse_map;

struct hs_cuda_general {
    hs_spool_desc d;
    bool project;             /* sides and domains equal: lowpass is possible */
    float *p_h, *p_w;         /* [oh][h], [ow][w]; in = SPACE */
    float *basis_h, *basis_w; /* [h][h], [w][w]; project */
    sparse_map crop, spread;  /* in = SPECTRUM: forward, backward */
    hs_transform *small;      /* of oh x ow */
};

/* Limited by memory: every array that is read or written, forward and backward. */
double hs_cuda_general_cost(const hs_device *device, const hs_spool_desc *d)
{
    const double planes = (double)d->capacity * d->c, big = (double)d->h * d->w, half = (double)d->oh * d->w,
                 small = (double)d->oh * d->ow;
    const double moved = d->in == HS_SPACE ? big + 2 * half + small : big + small, transform = d->in != d->out ? 7 * small : 0;
    return 10e-6 + 2 * 4 * planes * (moved + transform) / hs_cuda_device_of(device)->bandwidth;
}

/* ---- plans -------------------------------------------------------------------------------------------------------------- */

static hs_status put_floats(const hs_device *device, const double *from, size_t count, const char *what, float **out)
{
    float *host = NULL;
    HS_TRY(hs_calloc(count, sizeof *host, what, &host));
    for (size_t i = 0; i < count; i++)
        host[i] = (float)from[i];
    const hs_status st = hs_cuda_put(device, host, count * sizeof *host, what, out);
    hs_free(host);
    return st;
}

static hs_status put_pool_matrix(const hs_device *device, int small, int big, hs_pool_norm norm, float **out)
{
    double *m = NULL;
    HS_TRY(hs_calloc((size_t)small * big, sizeof *m, "pooling matrix", &m));
    hs_pool_matrix(small, big, norm, m);
    const hs_status st = put_floats(device, m, (size_t)small * big, "pooling matrix", out);
    hs_free(m);
    return st;
}

static hs_status put_basis(const hs_device *device, int n, float **out)
{
    double *m = NULL;
    HS_TRY(hs_calloc((size_t)n * n, sizeof *m, "Fourier basis", &m));
    hs_basis_1d(n, m);
    const hs_status st = put_floats(device, m, (size_t)n * n, "Fourier basis", out);
    hs_free(m);
    return st;
}

/* Half of a bin for each coordinate of a plane: HALF [h*w]. */
static hs_status coordinate_halves(int h, int w, int32_t **out)
{
    int32_t *half = NULL;
    HS_TRY(hs_calloc((size_t)h * w, sizeof *half, "coordinates of a plane", &half));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        int ky, kx, at = hs_bin_coord(h, w, u);
        hs_bin_at(h, w, u, &ky, &kx);
        half[at] = 2 * u;
        if (!hs_bin_is_self(h, w, ky, kx))
            half[at + 1] = 2 * u + 1;
    }
    *out = half;
    return HS_OK;
}

typedef struct entry_list {
    int count;
    int32_t *row, *column;
    double *weight;
} entry_list;

/* Sorts entries by row, in the order in which they come, and puts the map on the device. Rows without entries are zero. */
static hs_status put_map(const hs_device *device, int rows, const entry_list *e, sparse_map *map)
{
    hs_status st;
    int32_t *start = NULL, *column = NULL;
    double *weight = NULL;
    map->rows = rows;
    HS_TRY_GOTO(st, hs_calloc((size_t)rows + 2, sizeof *start, "a crop map", &start), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)e->count + 1, sizeof *column, "a crop map", &column), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)e->count + 1, sizeof *weight, "a crop map", &weight), done);
    for (int i = 0; i < e->count; i++)
        start[e->row[i] + 2]++;
    for (int r = 0; r < rows; r++)
        start[r + 2] += start[r + 1]; /* start[r + 1] is where row r begins, and moves on to its end */
    for (int i = 0; i < e->count; i++) {
        const int32_t at = start[e->row[i] + 1]++;
        column[at] = e->column[i];
        weight[at] = e->weight[i];
    }
    HS_TRY_GOTO(st, hs_cuda_put(device, start, ((size_t)rows + 1) * sizeof *start, "a crop map", &map->start), done);
    HS_TRY_GOTO(st, hs_cuda_put(device, column, (size_t)e->count * sizeof *column, "a crop map", &map->column), done);
    st = put_floats(device, weight, (size_t)e->count, "a crop map", &map->weight);
done:
    hs_free(start);
    hs_free(column);
    hs_free(weight);
    return st;
}

static hs_status put_maps(const hs_device *device, hs_cuda_general *p, const hs_crop_map *map, const int32_t *big, const int32_t *small)
{
    const hs_spool_desc *d = &p->d;
    hs_status st;
    entry_list e = {.count = map->entries, .weight = map->weight}, back = e;
    HS_TRY_GOTO(st, hs_calloc((size_t)map->entries, sizeof *e.row, "a crop map", &e.row), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)map->entries, sizeof *e.column, "a crop map", &e.column), done);
    for (int r = 0; r < map->rows; r++)
        for (int i = map->start[r]; i < map->start[r + 1]; i++) {
            e.row[i] = small[r];
            e.column[i] = big[map->column[i]];
        }
    back.row = e.column;
    back.column = e.row;
    HS_TRY_GOTO(st, put_map(device, 2 * hs_bins_count(d->oh, d->ow), &e, &p->crop), done);
    st = put_map(device, 2 * hs_bins_count(d->h, d->w), &back, &p->spread);
done:
    hs_free(e.row);
    hs_free(e.column);
    return st;
}

static hs_status make_maps(const hs_device *device, hs_cuda_general *p)
{
    const hs_spool_desc *d = &p->d;
    hs_status st;
    hs_crop_map map = {0};
    int32_t *big = NULL, *small = NULL;
    HS_TRY(hs_crop_map_create(d->oh, d->ow, d->h, d->w, d->norm, &map));
    HS_TRY_GOTO(st, coordinate_halves(d->h, d->w, &big), done);
    HS_TRY_GOTO(st, coordinate_halves(d->oh, d->ow, &small), done);
    st = put_maps(device, p, &map, big, small);
done:
    hs_free(big);
    hs_free(small);
    hs_crop_map_destroy(&map);
    return st;
}

static hs_status fill_plan(hs_device *device, hs_cuda_general *p)
{
    const hs_spool_desc *d = &p->d;
    if (d->in == HS_SPACE) {
        HS_TRY(put_pool_matrix(device, d->oh, d->h, d->norm, &p->p_h));
        HS_TRY(put_pool_matrix(device, d->ow, d->w, d->norm, &p->p_w));
    } else {
        HS_TRY(make_maps(device, p));
    }
    if (p->project) {
        HS_TRY(put_basis(device, d->h, &p->basis_h));
        HS_TRY(put_basis(device, d->w, &p->basis_w));
    }
    if (d->in != d->out || (p->project && d->in == HS_SPECTRUM))
        HS_TRY(hs_cuda_transform_ops.plan(device, d->capacity, d->oh, d->ow, d->c, &p->small));
    return HS_OK;
}

hs_status hs_cuda_general_plan(hs_device *device, const hs_spool_desc *desc, hs_cuda_general **out)
{
    hs_cuda_general *p = NULL;
    HS_TRY(hs_calloc(1, sizeof *p, "spectral pooling", &p));
    p->d = *desc;
    p->project = desc->oh == desc->h && desc->ow == desc->w && desc->in == desc->out;
    const hs_status st = fill_plan(device, p);
    if (st != HS_OK)
        hs_cuda_general_destroy(&p);
    else
        *out = p;
    return st;
}

void hs_cuda_general_destroy(hs_cuda_general **plan)
{
    hs_cuda_general *p = *plan;
    if (!p)
        return;
    void *table[] = {p->p_h,         p->p_w,         p->basis_h,      p->basis_w,       p->crop.start,
                     p->crop.column, p->crop.weight, p->spread.start, p->spread.column, p->spread.weight};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i])
            (void)cudaFree(table[i]);
    hs_cuda_transform_ops.destroy(&p->small);
    hs_free(p);
    *plan = NULL;
}

/* ---- scratch ------------------------------------------------------------------------------------------------------------ */

typedef struct work {
    float *between, *pooled, *coords; /* between the two products; small plane or spectrum; in the basis */
    void *transform;
} work;

static size_t lay_out(const hs_cuda_general *p, char *scratch, work *w)
{
    const hs_spool_desc *d = &p->d;
    const size_t maps = (size_t)d->capacity * d->c * sizeof(float);
    const size_t between = hs_cuda_line(maps * (size_t)(d->in == HS_SPACE || p->project ? d->oh * d->w : 0));
    const size_t pooled = hs_cuda_line(p->small ? maps * 2 * (size_t)hs_bins_count(d->oh, d->ow) : 0);
    const size_t coords = hs_cuda_line(p->project ? maps * (size_t)d->h * d->w : 0);
    if (w)
        *w = (work){(void *)scratch, (void *)(scratch + between), (void *)(scratch + between + pooled),
                    scratch + between + pooled + coords};
    return between + pooled + coords + (p->small ? hs_cuda_transform_ops.scratch_bytes(p->small) : 0);
}

size_t hs_cuda_general_scratch(const hs_cuda_general *plan)
{
    return lay_out(plan, NULL, NULL);
}

/* ---- in space ----------------------------------------------------------------------------------------------------------- */

/* Left [small_h][big_h] and right [small_w][big_w] matrices of a map [n][big_h][big_w][c] -> [n][small_h][small_w][c]. */
typedef struct sandwich {
    const float *left, *right;
    int big_h, big_w, small_h, small_w, n, c;
    float *between; /* [n][small_h][big_w][c] */
} sandwich;

static hs_status shrink(hs_stream *s, const sandwich *w, const float *x, float *y)
{
    const int row = w->big_w * w->c;
    const hs_cuda_product left = {.exact = true,
                                  .m = w->small_h,
                                  .n = row,
                                  .k = w->big_h,
                                  .a = w->left,
                                  .lda = w->big_h,
                                  .b = x,
                                  .ldb = row,
                                  .stride_b = (ptrdiff_t)w->big_h * row,
                                  .c = w->between,
                                  .ldc = row,
                                  .stride_c = (ptrdiff_t)w->small_h * row,
                                  .batch = w->n,
                                  .alpha = 1};
    const hs_cuda_product right = {.exact = true,
                                   .m = w->small_w,
                                   .n = w->c,
                                   .k = w->big_w,
                                   .a = w->right,
                                   .lda = w->big_w,
                                   .b = w->between,
                                   .ldb = w->c,
                                   .stride_b = row,
                                   .c = y,
                                   .ldc = w->c,
                                   .stride_c = (ptrdiff_t)w->small_w * w->c,
                                   .batch = w->n * w->small_h,
                                   .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &left));
    return hs_cuda_multiply(s, &right);
}

/* The transpose: [n][small_h][small_w][c] -> [n][big_h][big_w][c]. */
static hs_status grow(hs_stream *s, const sandwich *w, const float *x, float *y)
{
    const int row = w->big_w * w->c;
    const hs_cuda_product right = {.exact = true,
                                   .trans_a = true,
                                   .m = w->big_w,
                                   .n = w->c,
                                   .k = w->small_w,
                                   .a = w->right,
                                   .lda = w->big_w,
                                   .b = x,
                                   .ldb = w->c,
                                   .stride_b = (ptrdiff_t)w->small_w * w->c,
                                   .c = w->between,
                                   .ldc = w->c,
                                   .stride_c = row,
                                   .batch = w->n * w->small_h,
                                   .alpha = 1};
    const hs_cuda_product left = {.exact = true,
                                  .trans_a = true,
                                  .m = w->big_h,
                                  .n = row,
                                  .k = w->small_h,
                                  .a = w->left,
                                  .lda = w->big_h,
                                  .b = w->between,
                                  .ldb = row,
                                  .stride_b = (ptrdiff_t)w->small_h * row,
                                  .c = y,
                                  .ldc = row,
                                  .stride_c = (ptrdiff_t)w->big_h * row,
                                  .batch = w->n,
                                  .alpha = 1};
    HS_TRY(hs_cuda_multiply(s, &right));
    return hs_cuda_multiply(s, &left);
}

static sandwich pooling(const hs_cuda_general *p, int n, const work *w)
{
    const hs_spool_desc *d = &p->d;
    return (sandwich){p->p_h, p->p_w, d->h, d->w, d->oh, d->ow, n, d->c, w->between};
}

/* ---- the entries -------------------------------------------------------------------------------------------------------- */

static hs_status apply_map(hs_stream *s, const sparse_map *map, int n, int c, const float *x, float *y)
{
    return hs_cuda_check(hs_cuda_sparse(hs_cuda_raw(s), map->rows, map->start, map->column, map->weight, n, c, x, y),
                         "spectral pooling");
}

hs_status hs_cuda_general_fwd(hs_stream *s, hs_cuda_general *p, int n, const void *x, void *y, void *scratch)
{
    const bool mixed = p->d.in != p->d.out;
    work w;
    lay_out(p, scratch, &w);
    const sandwich space = pooling(p, n, &w);
    float *pooled = mixed ? w.pooled : y;
    HS_TRY(p->d.in == HS_SPACE ? shrink(s, &space, x, pooled) : apply_map(s, &p->crop, n, p->d.c, x, pooled));
    if (!mixed)
        return HS_OK;
    return p->d.in == HS_SPACE ? hs_cuda_transform_ops.forward(s, p->small, n, pooled, y, w.transform)
                               : hs_cuda_transform_ops.inverse(s, p->small, n, pooled, y, w.transform);
}

hs_status hs_cuda_general_bwd(hs_stream *s, hs_cuda_general *p, int n, const void *dy, void *dx, void *scratch)
{
    const float *pooled = dy;
    work w;
    lay_out(p, scratch, &w);
    const sandwich space = pooling(p, n, &w);
    if (p->d.in != p->d.out) {
        HS_TRY(p->d.in == HS_SPACE ? hs_cuda_transform_ops.inverse(s, p->small, n, dy, w.pooled, w.transform)
                                   : hs_cuda_transform_ops.forward(s, p->small, n, dy, w.pooled, w.transform));
        pooled = w.pooled;
    }
    return p->d.in == HS_SPACE ? grow(s, &space, pooled, dx) : apply_map(s, &p->spread, n, p->d.c, pooled, dx);
}

static hs_status project(hs_stream *s, const hs_cuda_general *p, int n, const float *x, const int32_t *keep, float *y, const work *w)
{
    const hs_spool_desc *d = &p->d;
    const sandwich basis = {p->basis_h, p->basis_w, d->h, d->w, d->h, d->w, n, d->c, w->between};
    HS_TRY(shrink(s, &basis, x, w->coords));
    HS_TRY(hs_cuda_check(hs_cuda_mask(hs_cuda_raw(s), n, d->h, d->w, d->c, keep, w->coords), "frequency dropout"));
    return grow(s, &basis, w->coords, y);
}

hs_status hs_cuda_general_lowpass(hs_stream *s, hs_cuda_general *p, int n, const void *x, const int32_t *keep, void *y, void *scratch)
{
    work w;
    if (!p->project)
        return hs_fail(HS_EINTERNAL, "lowpass on a plan that changes size or domain");
    lay_out(p, scratch, &w);
    if (!p->small)
        return project(s, p, n, x, keep, y, &w);
    HS_TRY(hs_cuda_transform_ops.inverse(s, p->small, n, x, w.pooled, w.transform));
    HS_TRY(project(s, p, n, w.pooled, keep, w.pooled, &w));
    return hs_cuda_transform_ops.forward(s, p->small, n, w.pooled, y, w.transform);
}
