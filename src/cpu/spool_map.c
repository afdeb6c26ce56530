/* spool_map.c - spectral pooling between spectra: a sparse map over coordinates, each kept one copied, those at the edge of an even side folded. */
#include "spool.h"

#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static hs_status make_places(int h, int w, hs_cpu_place **out)
{
    HS_TRY(hs_calloc((size_t)h * (size_t)w, sizeof **out, "coordinates of a plane", out));
    for (int u = 0; u < hs_bins_count(h, w); u++) {
        int ky, kx;
        const int at = hs_bin_coord(h, w, u);
        hs_bin_at(h, w, u, &ky, &kx);
        (*out)[at] = (hs_cpu_place){u, 0};
        if (!hs_bin_is_self(h, w, ky, kx))
            (*out)[at + 1] = (hs_cpu_place){u, 1};
    }
    return HS_OK;
}

static hs_status sparse_alloc(int rows, int entries, hs_cpu_sparse *s)
{
    s->rows = rows;
    HS_TRY(hs_calloc((size_t)rows + 2, sizeof(int), "crop map", &s->start));
    HS_TRY(hs_calloc((size_t)entries + 1, sizeof(int), "crop map", &s->column));
    return hs_calloc((size_t)entries + 1, sizeof(float), "crop map", &s->weight);
}

/* Both directions of the map, each by its own rows, so that every output is written once by one thread. */
static hs_status sparse_both(const hs_crop_map *m, int columns, hs_cpu_sparse *map, hs_cpu_sparse *adjoint)
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

hs_status hs_cpu_crop_plan(const hs_spool_desc *d, hs_cpu_crop *crop)
{
    hs_crop_map m = {0};
    crop->big_bins = hs_bins_count(d->h, d->w), crop->small_bins = hs_bins_count(d->oh, d->ow);
    HS_TRY(make_places(d->h, d->w, &crop->big));
    HS_TRY(make_places(d->oh, d->ow, &crop->small));
    HS_TRY(hs_crop_map_create(d->oh, d->ow, d->h, d->w, d->norm, &m));
    const hs_status st = sparse_both(&m, d->h * d->w, &crop->map, &crop->adjoint);
    hs_crop_map_destroy(&m);
    return st;
}

static void sparse_free(hs_cpu_sparse *s)
{
    hs_free(s->start), hs_free(s->column), hs_free(s->weight);
}

void hs_cpu_crop_destroy(hs_cpu_crop *crop)
{
    hs_free(crop->big), hs_free(crop->small);
    sparse_free(&crop->map), sparse_free(&crop->adjoint);
}

/* One pass: rows of the map to be written, from spectra X to spectra Y. */
typedef struct batch {
    const hs_cpu_kernels *kernels;
    const hs_cpu_sparse *map;
    const hs_cpu_place *from, *to;
    int n, c;
    const float *x;
    float *y;
} batch;

static void map_row(const void *context, int r, int thread)
{
    const batch *b = context;
    const size_t c = (size_t)b->c, row = 2 * c;
    const hs_cpu_place to = b->to[r];
    (void)thread;
    for (int e = b->map->start[r]; e < b->map->start[r + 1]; e++) {
        const hs_cpu_place from = b->from[b->map->column[e]];
        for (int i = 0; i < b->n; i++)
            b->kernels->add_scaled(b->c, b->map->weight[e], b->x + ((size_t)from.bin * b->n + i) * row + from.half * c,
                                   b->y + ((size_t)to.bin * b->n + i) * row + to.half * c);
    }
}

/* Imaginary halves of self-conjugate bins are no coordinates: they become zero. */
void hs_cpu_crop_run(const hs_spool *p, bool back, int n, const float *x, float *y)
{
    const hs_cpu_crop *crop = &p->crop;
    const batch b = {.kernels = p->kernels, .map = back ? &crop->adjoint : &crop->map, .from = back ? crop->small : crop->big,
                     .to = back ? crop->big : crop->small, .n = n, .c = p->d.c, .x = x, .y = y};
    memset(y, 0, (size_t)(back ? crop->big_bins : crop->small_bins) * (size_t)n * 2 * (size_t)p->d.c * sizeof(float));
    hs_cpu_each(p->threads, b.map->rows, map_row, &b);
}
