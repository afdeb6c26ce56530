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

/* ---- the greatest of a window: V neighbouring channels a thread, indices below 2^31 divided by multiplication ---------------- */

template <int V> struct __attribute__((aligned(4 * V))) pool_numbers {
    float v[V];
};
template <int V> struct __attribute__((aligned(V))) pool_bytes {
    uint8_t v[V];
};

struct pool_shape {
    hs_divisor groups, cols, rows; /* groups of V channels */
};

/* What group I of a map [n][rows][cols][groups] is. */
static __device__ __forceinline__ spot group_of(uint32_t i, const pool_shape &by)
{
    const uint32_t cell = hs_divided(i, by.groups), line = hs_divided(cell, by.cols), sample = hs_divided(line, by.rows);
    spot s = {(int)(i - cell * by.groups.by), (int)(cell - line * by.cols.by), (int)(line - sample * by.rows.by), sample};
    return s;
}

/* A NaN is greater than anything, so that it is not lost, and the first in row order wins a tie. */
template <int V>
static __global__ void max_fwd(hs_window w, pool_shape by, uint32_t count, const float *x, float *y, uint8_t *arg)
{
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const spot o = group_of(i, by);
        const span rows = span_of(o.y, w.h, w), cols = span_of(o.x, w.w, w);
        const pool_numbers<V> *in = reinterpret_cast<const pool_numbers<V> *>(x) + o.sample * w.h * w.w * by.groups.by + o.c;
        pool_numbers<V> best = {};
        pool_bytes<V> winner = {};
        bool none = true;
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const pool_numbers<V> v = in[((size_t)r * w.w + k) * by.groups.by];
                for (int j = 0; j < V; j++)
                    if (none || v.v[j] > best.v[j] || (v.v[j] != v.v[j] && best.v[j] == best.v[j])) {
                        winner.v[j] = (uint8_t)((r - rows.start) * w.k + k - cols.start);
                        best.v[j] = v.v[j];
                    }
                none = false;
            }
        reinterpret_cast<pool_numbers<V> *>(y)[i] = best;
        reinterpret_cast<pool_bytes<V> *>(arg)[i] = winner;
    }
}

template <int V>
static __global__ void max_bwd(hs_window w, pool_shape by, uint32_t count, const float *dy, const uint8_t *arg, float *dx)
{
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const spot o = group_of(i, by);
        const span rows = windows_of(o.y, w.oh, w), cols = windows_of(o.x, w.ow, w);
        pool_numbers<V> sum = {};
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const size_t at = ((o.sample * w.oh + r) * w.ow + k) * by.groups.by + o.c;
                const int own = (o.y - (r * w.stride - w.pad)) * w.k + o.x - (k * w.stride - w.pad);
                const pool_bytes<V> winner = reinterpret_cast<const pool_bytes<V> *>(arg)[at];
                const pool_numbers<V> from = reinterpret_cast<const pool_numbers<V> *>(dy)[at];
                for (int j = 0; j < V; j++)
                    sum.v[j] += winner.v[j] == own ? from.v[j] : 0;
            }
        reinterpret_cast<pool_numbers<V> *>(dx)[i] = sum;
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

template <int V>
static cudaError_t start_fwd(cudaStream_t s, const hs_window &w, int n, const float *x, float *y, uint8_t *arg)
{
    const auto max_fwd_kernel = max_fwd<V>;
    const uint32_t count = (uint32_t)(outputs(w, n) / V);
    const pool_shape by = {hs_divide_by((uint32_t)(w.c / V)), hs_divide_by((uint32_t)w.ow), hs_divide_by((uint32_t)w.oh)};
    return HS_LAUNCH(max_fwd_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, x, y, arg);
}

template <int V>
static cudaError_t start_bwd(cudaStream_t s, const hs_window &w, int n, const float *dy, const uint8_t *arg, float *dx)
{
    const auto max_bwd_kernel = max_bwd<V>;
    const uint32_t count = (uint32_t)(inputs(w, n) / V);
    const pool_shape by = {hs_divide_by((uint32_t)(w.c / V)), hs_divide_by((uint32_t)w.w), hs_divide_by((uint32_t)w.h)};
    return HS_LAUNCH(max_bwd_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, dy, arg, dx);
}

/* Samples at a time, so that their numbers are counted below 2^31. */
static int samples_at_once(const hs_window &w)
{
    const size_t most = inputs(w, 1) > outputs(w, 1) ? inputs(w, 1) : outputs(w, 1);
    return most ? (int)(INT32_MAX / most > INT32_MAX / 2 ? INT32_MAX / 2 : INT32_MAX / most) : 1;
}

cudaError_t hs_cuda_max_fwd(cudaStream_t s, hs_window w, int n, const float *x, float *y, uint8_t *arg)
{
    cudaError_t error = cudaSuccess;
    const int most = samples_at_once(w);
    for (int first = 0; first < n && outputs(w, 1) && error == cudaSuccess; first += most) {
        const int part = n - first < most ? n - first : most;
        const float *from = x + inputs(w, first);
        error = w.c % 4 == 0 ? start_fwd<4>(s, w, part, from, y + outputs(w, first), arg + outputs(w, first))
                             : start_fwd<1>(s, w, part, from, y + outputs(w, first), arg + outputs(w, first));
    }
    return error;
}

cudaError_t hs_cuda_max_bwd(cudaStream_t s, hs_window w, int n, const float *dy, const uint8_t *arg, float *dx)
{
    cudaError_t error = cudaSuccess;
    const int most = samples_at_once(w);
    for (int first = 0; first < n && inputs(w, 1) && error == cudaSuccess; first += most) {
        const int part = n - first < most ? n - first : most;
        const float *from = dy + outputs(w, first);
        error = w.c % 4 == 0 ? start_bwd<4>(s, w, part, from, arg + outputs(w, first), dx + inputs(w, first))
                             : start_bwd<1>(s, w, part, from, arg + outputs(w, first), dx + inputs(w, first));
    }
    return error;
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
