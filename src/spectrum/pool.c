/* pool.c - spectral pooling H x W -> h x w, twice: as one real matrix per axis, and as a sparse map between half spectra.
 *
 * In the real Fourier basis of one axis (DC, cos1, sin1, cos2, ..) pooling keeps the first h coordinates. For complex spectra that reads
 *   Y(k) = X(k)                        |k| < h/2,
 *   Y(h/2) = (X(h/2) + X(-h/2))/sqrt2  h even and h < H: the cosine alone survives, folded with weight 1/sqrt2,
 *   Y(h/2) = X(h/2)                    h even and h = H,
 * and in two dimensions the same along each axis. */
#include "hs_spectrum.h"

#include <string.h>

#include "hs_base.h"
#include "spectrum_internal.h"

/* P[i][y] = sum over kept coordinates j of D_h[j][i] D_H[j][y]. cos a cos b + sin a sin b = cos(a - b) joins each pair, and the angle
 * 2 pi k (i/h - y/H) is an integer over hH. */
static double pool_entry(int h, int big_h, int i, int y)
{
    double sum = 1.0, c, s;
    for (int k = 1; 2 * k < h; k++) {
        unit_root((int64_t)k * ((int64_t)i * big_h - (int64_t)y * h), (int64_t)h * big_h, &c, &s);
        sum += 2.0 * c;
    }
    if (h % 2 == 0) { /* h < H here: Nyquist of the small axis times the cosine at h/2 of the large one */
        unit_root((int64_t)(h / 2) * y, big_h, &c, &s);
        sum += (i % 2 ? -SQRT2 : SQRT2) * c;
    }
    return sum / sqrt((double)h * big_h);
}

void hs_pool_matrix(int h, int big_h, hs_pool_norm norm, double *p)
{
    double scale = norm == HS_POOL_MEAN ? sqrt((double)h / big_h) : 1.0;
    for (int i = 0; i < h; i++)
        for (int y = 0; y < big_h; y++)
            p[(size_t)i * big_h + y] = h == big_h ? (i == y ? 1.0 : 0.0) : scale * pool_entry(h, big_h, i, y);
}

/* ---- between half spectra ------------------------------------------------------------------------------------------------ */

/* Frequencies of the large axis that feed index K of the small one, and their common weight. Returns how many (1 or 2). */
static int sources(int k, int n, int big_n, int from[2], double *weight)
{
    int signed_k = hs_signed_frequency(k, n);
    from[0] = signed_k;
    if (2 * signed_k != n || n == big_n) {
        *weight = 1.0;
        return 1;
    }
    from[1] = -signed_k;
    *weight = 1.0 / SQRT2;
    return 2;
}

typedef struct small_row {
    int count, column[4];
    double weight[4];
} small_row;

/* Different frequencies may meet in one unique bin (X(k) and X(-k)): their weights add, and an imaginary part may cancel to nothing. */
static void row_add(small_row *row, int column, double weight)
{
    int i = 0;
    while (i < row->count && row->column[i] != column)
        i++;
    if (i == row->count) {
        row->column[row->count] = column;
        row->weight[row->count++] = 0.0;
    }
    row->weight[i] += weight;
}

/* Rows re and im of small bin (ky, kx): out = gain * sum weight X, read off in coordinates. */
static void bin_rows(int h, int w, int big_h, int big_w, int ky, int kx, double gain, small_row out[2])
{
    int from_y[2], from_x[2];
    double weight_y, weight_x;
    int ny = sources(ky, h, big_h, from_y, &weight_y), nx = sources(kx, w, big_w, from_x, &weight_x);
    double scale = gain * weight_y * weight_x * (hs_bin_is_self(h, w, ky, kx) ? 1.0 : SQRT2);
    memset(out, 0, 2 * sizeof *out);
    for (int a = 0; a < ny; a++)
        for (int b = 0; b < nx; b++) {
            bool conj;
            int column = hs_bin_coord(big_h, big_w, hs_bin_index(big_h, big_w, from_y[a], from_x[b], &conj));
            if (hs_bin_is_self(big_h, big_w, from_y[a], from_x[b])) {
                row_add(&out[0], column, scale);
                continue;
            }
            row_add(&out[0], column, scale / SQRT2);
            row_add(&out[1], column + 1, conj ? -scale / SQRT2 : scale / SQRT2);
        }
}

static void map_append(hs_crop_map *map, const small_row *row)
{
    for (int i = 0; i < row->count; i++) {
        if (row->weight[i] == 0.0)
            continue;
        map->column[map->entries] = row->column[i];
        map->weight[map->entries++] = row->weight[i];
    }
    map->start[++map->rows] = map->entries;
}

hs_status hs_crop_map_create(int h, int w, int big_h, int big_w, hs_pool_norm norm, hs_crop_map *map)
{
    if (h < 1 || w < 1 || h > big_h || w > big_w)
        return hs_fail(HS_EUSAGE, "spectral pooling cannot make %d x %d of %d x %d; sides must lie between 1 and the map's", h, w, big_h, big_w);
    hs_crop_map own = {0};
    hs_status st;
    size_t rows = (size_t)h * w;
    HS_TRY_GOTO(st, hs_calloc(rows + 1, sizeof *own.start, "a crop map's rows", &own.start), failed);
    HS_TRY_GOTO(st, hs_calloc(4 * rows, sizeof *own.column, "a crop map's columns", &own.column), failed);
    HS_TRY_GOTO(st, hs_calloc(4 * rows, sizeof *own.weight, "a crop map's weights", &own.weight), failed);
    double gain = norm == HS_POOL_MEAN ? sqrt(((double)h * w) / ((double)big_h * big_w)) : 1.0;
    int bins = hs_bins_count(h, w);
    for (int u = 0; u < bins; u++) {
        int ky, kx;
        small_row row[2];
        hs_bin_at(h, w, u, &ky, &kx);
        bin_rows(h, w, big_h, big_w, ky, kx, gain, row);
        map_append(&own, &row[0]);
        if (!hs_bin_is_self(h, w, ky, kx))
            map_append(&own, &row[1]);
    }
    *map = own;
    return HS_OK;
failed:
    hs_crop_map_destroy(&own);
    return st;
}

void hs_crop_map_destroy(hs_crop_map *map)
{
    if (!map)
        return;
    hs_free(map->start);
    hs_free(map->column);
    hs_free(map->weight);
    *map = (hs_crop_map){0};
}
