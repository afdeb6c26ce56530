/* scaling.c - mean and deviation of a data set, read once in chunks. Chunks are joined by the pairwise update of Chan, Golub and LeVeque
 * (Updating formulae and a pairwise algorithm for computing sample variances, 1979), which does not cancel as sum(x^2) - n mean^2 would. */
#include <math.h>
#include <string.h>

#include "data_impl.h"

enum { CHUNK = 256 };

typedef struct measure {
    size_t groups;                        /* numbers that share a mean: x[i] belongs to group i % groups */
    double rows, *mean, *square;          /* [groups]: mean, and sum of (x - mean)^2, of what was seen */
    double *chunk_mean, *chunk_square;    /* [groups] */
    float *pixels;                        /* [CHUNK][h][w][c] */
    int32_t labels[CHUNK];
    int64_t indices[CHUNK];
} measure;

/* X [rows][groups] */
static void add_chunk(measure *m, const float *x, size_t rows)
{
    size_t groups = m->groups;
    double n = (double)rows, share = n / (m->rows + n);
    memset(m->chunk_mean, 0, groups * sizeof(double));
    memset(m->chunk_square, 0, groups * sizeof(double));
    for (size_t r = 0; r < rows; r++)
        for (size_t g = 0; g < groups; g++)
            m->chunk_mean[g] += x[r * groups + g];
    for (size_t g = 0; g < groups; g++)
        m->chunk_mean[g] /= n;
    for (size_t r = 0; r < rows; r++)
        for (size_t g = 0; g < groups; g++) {
            double d = x[r * groups + g] - m->chunk_mean[g];
            m->chunk_square[g] += d * d;
        }
    for (size_t g = 0; g < groups; g++) {
        double d = m->chunk_mean[g] - m->mean[g];
        m->mean[g] += d * share;
        m->square[g] += m->chunk_square[g] + d * d * m->rows * share;
    }
    m->rows += n;
}

static hs_status read_all(measure *m, hs_dataset *set)
{
    size_t size = hs_shape_count(set->shape);
    for (int64_t first = 0; first < set->count; first += CHUNK) {
        int n = set->count - first < CHUNK ? (int)(set->count - first) : CHUNK;
        for (int i = 0; i < n; i++)
            m->indices[i] = first + i;
        HS_TRY(hs_dataset_read(set, m->indices, n, m->pixels, m->labels));
        add_chunk(m, m->pixels, (size_t)n * size / m->groups);
    }
    return HS_OK;
}

static hs_status keep(const measure *m, hs_normalise kind, hs_scaling *scaling)
{
    hs_scaling s = {.kind = kind, .count = m->groups};
    HS_TRY(hs_calloc(m->groups, sizeof(float), "mean", &s.mean));
    hs_status st = hs_calloc(m->groups, sizeof(float), "deviation", &s.inverse);
    if (st != HS_OK) {
        hs_free(s.mean);
        return st;
    }
    for (size_t g = 0; g < m->groups; g++) {
        double deviation = sqrt(m->square[g] / m->rows);
        s.mean[g] = (float)m->mean[g];
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
    m->groups = kind == HS_NORMALISE_CHANNEL ? (size_t)set->shape.c : hs_shape_count(set->shape);
    HS_TRY_GOTO(st, hs_calloc(m->groups, 4 * sizeof(double), "normalisation", &m->mean), done);
    m->square = m->mean + m->groups;
    m->chunk_mean = m->square + m->groups;
    m->chunk_square = m->chunk_mean + m->groups;
    HS_TRY_GOTO(st, hs_calloc(CHUNK * hs_shape_count(set->shape), sizeof(float), "normalisation", &m->pixels), done);
    HS_TRY_GOTO(st, read_all(m, set), done);
    st = keep(m, kind, scaling);
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
