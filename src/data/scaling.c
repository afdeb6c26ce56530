/* scaling.c - mean and deviation of a data set, read once in chunks. Chunks are joined by the pairwise update of Chan, Golub and
 * LeVeque (Updating formulae and a pairwise algorithm for computing sample variances, 1979), which does not cancel as sum(x^2) -
 * n mean^2 would. */
#include <math.h>
#include <string.h>

#include "data_impl.h"

enum { CHUNK = 256, NUMBERS = 1 << 24 }; /* samples at a time; fewer of those that would take more than 64 MiB */

typedef struct measure { /* per pixel; channels are joined at the end */
    size_t size;
    double rows, *mean, *square;       /* [size]: mean, and sum of (x - mean)^2, of what was seen */
    double *chunk_mean, *chunk_square; /* [size] */
    int rows_most;                     /* at a time */
    float *pixels;                     /* [rows_most][size] */
    int32_t labels[CHUNK];
    int64_t indices[CHUNK];
} measure;

/* X [rows][size] */
static void add_chunk(measure *m, const float *x, size_t rows)
{
    size_t size = m->size;
    double n = (double)rows, share = n / (m->rows + n);
    memset(m->chunk_mean, 0, size * sizeof(double));
    memset(m->chunk_square, 0, size * sizeof(double));
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++)
            m->chunk_mean[i] += x[r * size + i];
    for (size_t i = 0; i < size; i++)
        m->chunk_mean[i] /= n;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++) {
            double d = x[r * size + i] - m->chunk_mean[i];
            m->chunk_square[i] += d * d;
        }
    for (size_t i = 0; i < size; i++) {
        double d = m->chunk_mean[i] - m->mean[i];
        m->mean[i] += d * share;
        m->square[i] += m->chunk_square[i] + d * d * m->rows * share;
    }
    m->rows += n;
}

static hs_status read_all(measure *m, hs_dataset *set)
{
    const int64_t count = set->typical > 0 && set->typical < set->count ? set->typical : set->count;
    for (int64_t first = 0; first < count; first += m->rows_most) {
        int n = count - first < m->rows_most ? (int)(count - first) : m->rows_most;
        for (int i = 0; i < n; i++)
            m->indices[i] = first + i;
        HS_TRY(hs_dataset_read(set, m->indices, n, m->pixels, m->labels));
        add_chunk(m, m->pixels, (size_t)n);
    }
    return HS_OK;
}

/* Mean and deviation of all x[i] with i % groups == g: the same update, of sets of equal size. */
static void join(const measure *m, size_t groups, size_t g, double *mean, double *deviation)
{
    double sum = 0, square = 0, parts = (double)(m->size / groups);
    for (size_t i = g; i < m->size; i += groups)
        sum += m->mean[i];
    *mean = sum / parts;
    for (size_t i = g; i < m->size; i += groups)
        square += m->square[i] + m->rows * (m->mean[i] - *mean) * (m->mean[i] - *mean);
    *deviation = sqrt(square / (m->rows * parts));
}

static hs_status keep(const measure *m, hs_normalise kind, size_t groups, hs_scaling *scaling)
{
    hs_scaling s = {.kind = kind, .count = groups};
    HS_TRY(hs_calloc(groups, sizeof(float), "mean", &s.mean));
    hs_status st = hs_calloc(groups, sizeof(float), "deviation", &s.inverse);
    if (st != HS_OK) {
        hs_free(s.mean);
        return st;
    }
    for (size_t g = 0; g < groups; g++) {
        double mean, deviation;
        join(m, groups, g, &mean, &deviation);
        s.mean[g] = (float)mean;
        s.inverse[g] = (float)(deviation > 0 ? 1 / deviation : 1);
    }
    *scaling = s;
    return HS_OK;
}

hs_status hs_scaling_measure(hs_dataset *set, hs_normalise kind, hs_scaling *scaling)
{
    measure *m = NULL;
    hs_status st;
    if (kind == HS_NORMALISE_NONE) {
        *scaling = (hs_scaling){.kind = kind};
        return HS_OK;
    }
    HS_TRY(hs_calloc(1, sizeof *m, "normalisation", &m));
    m->size = hs_shape_count(set->shape);
    HS_TRY_GOTO(st, hs_calloc(m->size, 4 * sizeof(double), "normalisation", &m->mean), done);
    m->square = m->mean + m->size;
    m->chunk_mean = m->square + m->size;
    m->chunk_square = m->chunk_mean + m->size;
    m->rows_most = m->size <= NUMBERS / CHUNK ? CHUNK : m->size >= NUMBERS ? 1 : (int)(NUMBERS / m->size);
    HS_TRY_GOTO(st, hs_calloc((size_t)m->rows_most * m->size, sizeof(float), "normalisation", &m->pixels), done);
    HS_TRY_GOTO(st, read_all(m, set), done);
    st = keep(m, kind, kind == HS_NORMALISE_CHANNEL ? (size_t)set->shape.c : m->size, scaling);
done:
    hs_free(m->pixels);
    hs_free(m->mean);
    hs_free(m);
    return st;
}

void hs_scaling_free(hs_scaling *scaling)
{
    if (!scaling)
        return;
    hs_free(scaling->mean);
    hs_free(scaling->inverse);
    *scaling = (hs_scaling){.kind = HS_NORMALISE_NONE};
}
