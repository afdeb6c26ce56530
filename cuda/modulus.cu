/* modulus.cu - spectral activations z -> g(|z|) z on [bins][n][2c], g = max(1 + offset/|z|, 0); see src/ref/element.c for the
 * derivative. */
#include "columns.h"

struct point {
    double re, im, unit, modulus;
};

static __device__ point point_at(const float *x, int c, bool self)
{
    point z = {x[0], self ? 0.0 : (double)x[c], self ? 1.0 : 0.70710678118654752440, 0};
    z.modulus = z.unit * hypot(z.re, z.im);
    return z;
}

static __device__ double gain(point z, double offset)
{
    const double g = z.modulus == 0 ? 0 : 1 + offset / z.modulus;
    return g < 0 ? 0 : g;
}

static __device__ double offset_of(bool soft, double b)
{
    return soft ? -fabs(b) : b;
}

static __global__ void modulus_fwd(size_t count, bool soft, const uint8_t *self, int n, int c, const float *x, const float *b,
                                   float *y)
{
    HS_EACH (i, count) {
        const size_t row = i / c, j = i % c, at = row * 2 * c + j;
        const point z = point_at(x + at, c, self[row / n]);
        const double g = gain(z, offset_of(soft, b[j]));
        y[at] = (float)(g == 0 ? 0 : g * z.re);
        y[at + c] = (float)(g == 0 ? 0 : g * z.im);
    }
}

/* Writes dx of one point and gives the derivative of its channel's offset. */
struct modulus_term {
    bool soft;
    const uint8_t *self;
    int n, c;
    const float *x, *b, *dy;
    float *dx;
    __device__ void operator()(size_t row, int j, double *a, double *unused) const
    {
        const size_t at = row * 2 * c + j;
        const bool alone = self[row / n];
        const double value = b[j], offset = offset_of(soft, value), slope = !soft ? 1 : value > 0 ? -1 : value < 0 ? 1 : 0;
        const point z = point_at(x + at, c, alone);
        const double dre = dy[at], dim = alone ? 0 : (double)dy[at + c], g = gain(z, offset), r = z.modulus,
                     dot = z.re * dre + z.im * dim;
        const double along = g == 0 ? 0 : offset * z.unit * z.unit * dot / (r * r * r);
        dx[at] = (float)(g == 0 ? 0 : g * dre - along * z.re);
        dx[at + c] = (float)(g == 0 ? 0 : g * dim - along * z.im);
        *a = g == 0 ? 0 : slope * dot / r;
        *unused = 0;
    }
};

static __global__ void modulus_slices(bool soft, size_t rows, const uint8_t *self, int n, int c, size_t slice, const float *x,
                                      const float *b, const float *dy, float *dx, double *partial)
{
    HS_SHARED(double, room);
    hs_column_slice(modulus_term{soft, self, n, c, x, b, dy, dx}, rows, c, slice, partial, room);
}

static __global__ void modulus_total(int slices, int c, const double *partial, float *db)
{
    HS_SHARED(double, room);
    int col;
    double sum;
    if (hs_column_total(partial, slices, 2 * (size_t)c, c, room, &col, &sum))
        db[col] = (float)sum;
}

cudaError_t hs_cuda_modulus_fwd(cudaStream_t s, bool soft, int bins, const uint8_t *self, int n, int c, const float *x,
                                const float *b, float *y)
{
    const size_t count = (size_t)bins * n * c;
    return count ? HS_LAUNCH(modulus_fwd, hs_blocks(count), HS_BLOCK, 0, s, count, soft, self, n, c, x, b, y) : cudaSuccess;
}

cudaError_t hs_cuda_modulus_bwd(cudaStream_t s, double *partial, bool soft, int bins, const uint8_t *self, int n, int c,
                                const float *x, const float *b, const float *dy, float *dx, float *db)
{
    const size_t rows = (size_t)bins * n;
    if (rows > 0) {
        const cudaError_t error = HS_LAUNCH_TOGETHER(modulus_slices, hs_column_grid(rows, c), HS_COL_BLOCK, HS_COL_SHARED, s,
                                                     soft, rows, self, n, c, hs_slice_rows(rows, c), x, b, dy, dx, partial);
        if (error != cudaSuccess)
            return error;
    }
    return HS_LAUNCH_TOGETHER(modulus_total, hs_total_grid(c, 1), HS_COL_BLOCK, HS_COL_SHARED, s, hs_slices(rows, c), c, partial, db);
}
