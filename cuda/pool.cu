/* pool.cu - pooling over windows, and the mean of a plane. Windows may reach over the border: what lies outside is left out.
 * Backward gathers: a number of x looks for the windows that hold it, in their order, so that windows which overlap need no
 * atomics. */
#include "launch.h"

#include "kernels.h"

struct span {
    int from, to, start; /* cells from .. to-1; start is the window's first cell, inside or not */
};

static __device__ span span_of(int p, int n, const hs_window &w)
{
    const int start = p * w.stride - w.pad, end = start + w.k;
    span s = {start < 0 ? 0 : start, end > n ? n : end, start};
    return s;
}

/* Windows from .. to-1 on an axis that hold cell AT; there are OUT of them in all. */
static __device__ span windows_of(int at, int out, const hs_window &w)
{
    const int low = at + w.pad - w.k + 1, first = low <= 0 ? 0 : (low + w.stride - 1) / w.stride, last = (at + w.pad) / w.stride;
    span s = {first, last < out ? last + 1 : out, 0};
    return s;
}

/* Element I of a map [n][rows][cols][c]. */
struct spot {
    int c, x, y;
    size_t sample;
};

static __device__ spot spot_of(size_t i, int rows, int cols, int c)
{
    spot s = {(int)(i % c), (int)(i / c % cols), (int)(i / c / cols % rows), i / c / cols / rows};
    return s;
}

/* Greatest of a window; a NaN is greater than anything, so that it is not lost, and the first in row order wins a tie. */
static __global__ void max_fwd(hs_window w, size_t count, const float *x, float *y, uint8_t *arg)
{
    HS_EACH (i, count) {
        const spot o = spot_of(i, w.oh, w.ow, w.c);
        const span rows = span_of(o.y, w.h, w), cols = span_of(o.x, w.w, w);
        const float *in = x + o.sample * w.h * w.w * w.c + o.c;
        float best = 0;
        int winner = -1;
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const float v = in[((size_t)r * w.w + k) * w.c];
                if (winner < 0 || v > best || (v != v && best == best)) {
                    winner = (r - rows.start) * w.k + k - cols.start;
                    best = v;
                }
            }
        y[i] = best;
        arg[i] = (uint8_t)winner;
    }
}

static __global__ void max_bwd(hs_window w, size_t count, const float *dy, const uint8_t *arg, float *dx)
{
    HS_EACH (i, count) {
        const spot o = spot_of(i, w.h, w.w, w.c);
        const span rows = windows_of(o.y, w.oh, w), cols = windows_of(o.x, w.ow, w);
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const size_t at = ((o.sample * w.oh + r) * w.ow + k) * w.c + o.c;
                const int own = (o.y - (r * w.stride - w.pad)) * w.k + o.x - (k * w.stride - w.pad);
                if (arg[at] == own)
                    sum += dy[at];
            }
        dx[i] = sum;
    }
}

static __global__ void average_fwd(hs_window w, size_t count, const float *x, float *y)
{
    HS_EACH (i, count) {
        const spot o = spot_of(i, w.oh, w.ow, w.c);
        const span rows = span_of(o.y, w.h, w), cols = span_of(o.x, w.w, w);
        const float *in = x + o.sample * w.h * w.w * w.c + o.c;
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++)
                sum += in[((size_t)r * w.w + k) * w.c];
        y[i] = sum / (float)((rows.to - rows.from) * (cols.to - cols.from));
    }
}

static __global__ void average_bwd(hs_window w, size_t count, const float *dy, float *dx)
{
    HS_EACH (i, count) {
        const spot o = spot_of(i, w.h, w.w, w.c);
        const span rows = windows_of(o.y, w.oh, w), cols = windows_of(o.x, w.ow, w);
        float sum = 0;
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const span a = span_of(r, w.h, w), b = span_of(k, w.w, w);
                sum += dy[((o.sample * w.oh + r) * w.ow + k) * w.c + o.c] / (float)((a.to - a.from) * (b.to - b.from));
            }
        dx[i] = sum;
    }
}

static __global__ void global_fwd(size_t count, size_t cells, int c, const float *x, float *y)
{
    HS_EACH (i, count) {
        const float *in = x + i / c * cells * c + i % c;
        double sum = 0;
        for (size_t j = 0; j < cells; j++)
            sum += in[j * c];
        y[i] = (float)(sum / (double)cells);
    }
}

static __global__ void global_bwd(size_t count, size_t cells, int c, const float *dy, float *dx)
{
    HS_EACH (i, count)
        dx[i] = dy[i / (cells * c) * c + i % c] / (float)cells;
}

static size_t inputs(const hs_window &w, int n)
{
    return (size_t)n * w.h * w.w * w.c;
}

static size_t outputs(const hs_window &w, int n)
{
    return (size_t)n * w.oh * w.ow * w.c;
}

cudaError_t hs_cuda_max_fwd(cudaStream_t s, hs_window w, int n, const float *x, float *y, uint8_t *arg)
{
    const size_t count = outputs(w, n);
    return count ? HS_LAUNCH(max_fwd, hs_blocks(count), HS_BLOCK, 0, s, w, count, x, y, arg) : cudaSuccess;
}

cudaError_t hs_cuda_max_bwd(cudaStream_t s, hs_window w, int n, const float *dy, const uint8_t *arg, float *dx)
{
    const size_t count = inputs(w, n);
    return count ? HS_LAUNCH(max_bwd, hs_blocks(count), HS_BLOCK, 0, s, w, count, dy, arg, dx) : cudaSuccess;
}

cudaError_t hs_cuda_average_fwd(cudaStream_t s, hs_window w, int n, const float *x, float *y)
{
    const size_t count = outputs(w, n);
    return count ? HS_LAUNCH(average_fwd, hs_blocks(count), HS_BLOCK, 0, s, w, count, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_average_bwd(cudaStream_t s, hs_window w, int n, const float *dy, float *dx)
{
    const size_t count = inputs(w, n);
    return count ? HS_LAUNCH(average_bwd, hs_blocks(count), HS_BLOCK, 0, s, w, count, dy, dx) : cudaSuccess;
}

cudaError_t hs_cuda_global_fwd(cudaStream_t s, hs_shape shape, int n, const float *x, float *y)
{
    const size_t count = (size_t)n * shape.c, cells = (size_t)shape.h * shape.w;
    return count ? HS_LAUNCH(global_fwd, hs_blocks(count), HS_BLOCK, 0, s, count, cells, shape.c, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_global_bwd(cudaStream_t s, hs_shape shape, int n, const float *dy, float *dx)
{
    const size_t cells = (size_t)shape.h * shape.w, count = (size_t)n * cells * shape.c;
    return count ? HS_LAUNCH(global_bwd, hs_blocks(count), HS_BLOCK, 0, s, count, cells, shape.c, dy, dx) : cudaSuccess;
}
