/* pool.cu - pooling over windows, and the mean of a plane. Windows may reach over the border: what lies outside is left out.
 * Backward gathers: a number of x looks for the windows that hold it, in their order, so that windows which overlap need no
 * atomics.
 *
 * A thread does V neighbouring channels, 16 bytes of the narrower type, and neighbours in a warp do neighbouring channels, then cells of
 * a row. With H W numbers of A bytes on one side and h w of B bytes on the other, a channel should move, b = 1 byte for a winner:
 *   max      forward  A H W + (B + b) h w      backward  the same
 *   average  forward  A H W + B h w            backward  the same
 * What windows share they find in L1, along a row, and in L2 between rows: with sides of 3 at a stride of 2 a number is asked for
 * 2.25 times and comes from memory once. So 3 x 3 / 2 of 32 x 32 x 96, 512 samples, in bf16 is 139 MB a pass, in fp32 264 MB. */
#include "half.h"
#include "launch.h"

#include "kernels.h"

struct span {
    int from, to, start; /* cells from .. to-1; start is the window's first cell, inside or not */
};

/* Maps [n][rows][cols][groups] of V channels that threads go along; indices below 2^31 are divided by multiplication. */
struct pool_shape {
    hs_divisor groups, cols, rows, stride;
};

struct pool_spot {
    int group, x, y;
    size_t sample;
};

static __device__ __forceinline__ pool_spot spot_of(uint32_t i, const pool_shape &by)
{
    const uint32_t cell = hs_divided(i, by.groups), line = hs_divided(cell, by.cols), sample = hs_divided(line, by.rows);
    pool_spot s = {(int)(i - cell * by.groups.by), (int)(cell - line * by.cols.by), (int)(line - sample * by.rows.by), sample};
    return s;
}

static __device__ __forceinline__ span span_of(int p, int n, const hs_window &w)
{
    const int start = p * w.stride - w.pad, end = start + w.k;
    span s = {start < 0 ? 0 : start, end > n ? n : end, start};
    return s;
}

/* Windows from .. to-1 on an axis that hold cell AT; there are OUT of them in all. */
static __device__ __forceinline__ span windows_of(int at, int out, const hs_window &w, const hs_divisor &stride)
{
    const int low = at + w.pad - w.k + 1, first = low <= 0 ? 0 : (int)hs_divided((uint32_t)(low + w.stride - 1), stride),
              last = (int)hs_divided((uint32_t)(at + w.pad), stride);
    span s = {first, last < out ? last + 1 : out, 0};
    return s;
}

/* Winners of V channels. */
template <int V> struct __attribute__((aligned(V))) pool_bytes {
    uint8_t v[V];
};

#define POOL_EACH(i, count) for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += gridDim.x * blockDim.x)

/* ---- the greatest of a window ----------------------------------------------------------------------------------------------- */

/* A NaN is greater than anything, so that it is not lost, and the first in row order wins a tie. */
template <int V, typename In, typename Out>
static __global__ void max_fwd(hs_window w, pool_shape by, uint32_t count, const In *x, Out *y, uint8_t *arg)
{
    POOL_EACH (i, count) {
        const pool_spot o = spot_of(i, by);
        const span rows = span_of(o.y, w.h, w), cols = span_of(o.x, w.w, w);
        const In *in = x + (o.sample * w.h * w.w * by.groups.by + o.group) * V;
        const int first = (rows.from - rows.start) * w.k + cols.from - cols.start;
        float best[V];
        int winner[V];
        HS_UNROLL
        for (int j = 0; j < V; j++) {
            best[j] = -INFINITY;
            winner[j] = first;
        }
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const int own = (r - rows.start) * w.k + k - cols.start;
                float v[V];
                hs_get_line(in + (size_t)(r * w.w + k) * by.groups.by * V, v);
                HS_UNROLL
                for (int j = 0; j < V; j++) {
                    const bool greater = !(v[j] <= best[j]) && best[j] == best[j];
                    winner[j] = greater ? own : winner[j];
                    best[j] = greater ? v[j] : best[j];
                }
            }
        pool_bytes<V> winners;
        HS_UNROLL
        for (int j = 0; j < V; j++)
            winners.v[j] = (uint8_t)winner[j];
        hs_put_line(best, y + (size_t)i * V);
        reinterpret_cast<pool_bytes<V> *>(arg)[i] = winners;
    }
}

template <int V, typename In, typename Out>
static __global__ void max_bwd(hs_window w, pool_shape by, uint32_t count, const In *dy, const uint8_t *arg, Out *dx)
{
    POOL_EACH (i, count) {
        const pool_spot o = spot_of(i, by);
        const span rows = windows_of(o.y, w.oh, w, by.stride), cols = windows_of(o.x, w.ow, w, by.stride);
        const size_t plane = o.sample * w.oh * w.ow;
        float sum[V] = {};
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const size_t at = (plane + (size_t)(r * w.ow + k)) * by.groups.by + o.group;
                const int own = (o.y - (r * w.stride - w.pad)) * w.k + o.x - (k * w.stride - w.pad);
                const pool_bytes<V> winners = reinterpret_cast<const pool_bytes<V> *>(arg)[at];
                float v[V];
                hs_get_line(dy + at * V, v);
                HS_UNROLL
                for (int j = 0; j < V; j++)
                    sum[j] += winners.v[j] == own ? v[j] : 0;
            }
        hs_put_line(sum, dx + (size_t)i * V);
    }
}

/* ---- the mean of a window --------------------------------------------------------------------------------------------------- */

template <int V, typename In, typename Out>
static __global__ void average_fwd(hs_window w, pool_shape by, uint32_t count, const In *x, Out *y)
{
    POOL_EACH (i, count) {
        const pool_spot o = spot_of(i, by);
        const span rows = span_of(o.y, w.h, w), cols = span_of(o.x, w.w, w);
        const In *in = x + (o.sample * w.h * w.w * by.groups.by + o.group) * V;
        const float cells = (float)((rows.to - rows.from) * (cols.to - cols.from));
        float sum[V] = {};
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                float v[V];
                hs_get_line(in + (size_t)(r * w.w + k) * by.groups.by * V, v);
                HS_UNROLL
                for (int j = 0; j < V; j++)
                    sum[j] += v[j];
            }
        HS_UNROLL
        for (int j = 0; j < V; j++)
            sum[j] /= cells;
        hs_put_line(sum, y + (size_t)i * V);
    }
}

template <int V, typename In, typename Out>
static __global__ void average_bwd(hs_window w, pool_shape by, uint32_t count, const In *dy, Out *dx)
{
    POOL_EACH (i, count) {
        const pool_spot o = spot_of(i, by);
        const span rows = windows_of(o.y, w.oh, w, by.stride), cols = windows_of(o.x, w.ow, w, by.stride);
        const size_t plane = o.sample * w.oh * w.ow;
        float sum[V] = {};
        for (int r = rows.from; r < rows.to; r++)
            for (int k = cols.from; k < cols.to; k++) {
                const span a = span_of(r, w.h, w), b = span_of(k, w.w, w);
                const float share = 1 / (float)((a.to - a.from) * (b.to - b.from));
                float v[V];
                hs_get_line(dy + ((plane + (size_t)(r * w.ow + k)) * by.groups.by + o.group) * V, v);
                HS_UNROLL
                for (int j = 0; j < V; j++)
                    sum[j] += share * v[j];
            }
        hs_put_line(sum, dx + (size_t)i * V);
    }
}

/* ---- launches --------------------------------------------------------------------------------------------------------------- */

static size_t inputs(const hs_window &w, int n)
{
    return (size_t)n * w.h * w.w * w.c;
}

static size_t outputs(const hs_window &w, int n)
{
    return (size_t)n * w.oh * w.ow * w.c;
}

/* Samples at a time, so that their numbers are counted below 2^31. */
static int samples_at_once(const hs_window &w)
{
    const size_t most = inputs(w, 1) > outputs(w, 1) ? inputs(w, 1) : outputs(w, 1);
    return most ? (int)(INT32_MAX / most > INT32_MAX / 2 ? INT32_MAX / 2 : INT32_MAX / most) : 1;
}

static pool_shape shape_of(const hs_window &w, int v, int cols, int rows)
{
    const pool_shape by = {hs_divide_by((uint32_t)(w.c / v)), hs_divide_by((uint32_t)cols), hs_divide_by((uint32_t)rows),
                           hs_divide_by((uint32_t)w.stride)};
    return by;
}

/* The channels of a thread: a whole line of the narrower type, if cells begin where lines do. */
template <typename In, typename Out> struct pool_width {
    enum { LINE = sizeof(In) == 2 || sizeof(Out) == 2 ? 8 : 4 };
};

/* A pass over N samples, some at a time. FORWARD threads go along y, backward ones along x. ARG NULL: the mean. */
template <int V, typename In, typename Out>
static cudaError_t start_fwd(cudaStream_t s, const hs_window &w, int n, const In *x, Out *y, uint8_t *arg)
{
    const auto max_kernel = max_fwd<V, In, Out>;
    const auto average_kernel = average_fwd<V, In, Out>;
    const uint32_t count = (uint32_t)(outputs(w, n) / V);
    const pool_shape by = shape_of(w, V, w.ow, w.oh);
    return arg ? HS_LAUNCH(max_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, x, y, arg)
               : HS_LAUNCH(average_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, x, y);
}

template <int V, typename In, typename Out>
static cudaError_t start_bwd(cudaStream_t s, const hs_window &w, int n, const In *dy, const uint8_t *arg, Out *dx)
{
    const auto max_kernel = max_bwd<V, In, Out>;
    const auto average_kernel = average_bwd<V, In, Out>;
    const uint32_t count = (uint32_t)(inputs(w, n) / V);
    const pool_shape by = shape_of(w, V, w.w, w.h);
    return arg ? HS_LAUNCH(max_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, dy, arg, dx)
               : HS_LAUNCH(average_kernel, hs_blocks(count), HS_BLOCK, 0, s, w, by, count, dy, dx);
}

template <typename In, typename Out>
static cudaError_t all_fwd(cudaStream_t s, const hs_window &w, int n, const void *x, void *y, uint8_t *arg)
{
    enum { V = pool_width<In, Out>::LINE };
    cudaError_t error = cudaSuccess;
    const int most = samples_at_once(w);
    for (int first = 0; first < n && outputs(w, 1) && error == cudaSuccess; first += most) {
        const int part = n - first < most ? n - first : most;
        const In *from = static_cast<const In *>(x) + inputs(w, first);
        Out *to = static_cast<Out *>(y) + outputs(w, first);
        uint8_t *winners = arg ? arg + outputs(w, first) : NULL;
        error = w.c % V == 0 ? start_fwd<V>(s, w, part, from, to, winners) : start_fwd<1>(s, w, part, from, to, winners);
    }
    return error;
}

template <typename In, typename Out>
static cudaError_t all_bwd(cudaStream_t s, const hs_window &w, int n, const void *dy, const uint8_t *arg, void *dx)
{
    enum { V = pool_width<In, Out>::LINE };
    cudaError_t error = cudaSuccess;
    const int most = samples_at_once(w);
    for (int first = 0; first < n && inputs(w, 1) && error == cudaSuccess; first += most) {
        const int part = n - first < most ? n - first : most;
        const In *from = static_cast<const In *>(dy) + outputs(w, first);
        Out *to = static_cast<Out *>(dx) + inputs(w, first);
        const uint8_t *winners = arg ? arg + outputs(w, first) : NULL;
        error = w.c % V == 0 ? start_bwd<V>(s, w, part, from, winners, to) : start_bwd<1>(s, w, part, from, winners, to);
    }
    return error;
}

cudaError_t hs_cuda_pool_fwd(cudaStream_t s, hs_window w, bool half_in, bool half_out, int n, const void *x, void *y, uint8_t *arg)
{
    if (half_in)
        return half_out ? all_fwd<hs_half, hs_half>(s, w, n, x, y, arg) : all_fwd<hs_half, float>(s, w, n, x, y, arg);
    return half_out ? all_fwd<float, hs_half>(s, w, n, x, y, arg) : all_fwd<float, float>(s, w, n, x, y, arg);
}

cudaError_t hs_cuda_pool_bwd(cudaStream_t s, hs_window w, bool half_in, bool half_out, int n, const void *dy, const uint8_t *arg,
                             void *dx)
{
    if (half_out)
        return half_in ? all_bwd<hs_half, hs_half>(s, w, n, dy, arg, dx) : all_bwd<hs_half, float>(s, w, n, dy, arg, dx);
    return half_in ? all_bwd<float, hs_half>(s, w, n, dy, arg, dx) : all_bwd<float, float>(s, w, n, dy, arg, dx);
}

/* ---- the mean of a plane: a thread goes through a channel's cells, its neighbours through the next channels' ------------------ */

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
    HS_EACH (i, count) {
        const float share = dy[i] / (float)cells;
        float *to = dx + i / c * cells * c + i % c;
        for (size_t j = 0; j < cells; j++)
            to[j * c] = share;
    }
}

cudaError_t hs_cuda_global_fwd(cudaStream_t s, hs_shape shape, int n, const float *x, float *y)
{
    const size_t count = (size_t)n * shape.c, cells = (size_t)shape.h * shape.w;
    return count ? HS_LAUNCH(global_fwd, hs_blocks(count), HS_BLOCK, 0, s, count, cells, shape.c, x, y) : cudaSuccess;
}

cudaError_t hs_cuda_global_bwd(cudaStream_t s, hs_shape shape, int n, const float *dy, float *dx)
{
    const size_t count = (size_t)n * shape.c, cells = (size_t)shape.h * shape.w;
    return count && cells ? HS_LAUNCH(global_bwd, hs_blocks(count), HS_BLOCK, 0, s, count, cells, shape.c, dy, dx) : cudaSuccess;
}
