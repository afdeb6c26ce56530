/* plane.cu - the kernel of plane.h.
 *
 * What it should cost, to be held against measurements (H x W map, N samples, C channels, 3.0 TB/s, b bytes a number in memory):
 *   bytes   transform: b N C (H W + 2 U), U bins, 2 U = H W + 2 or so; between two spectra with rectifiers and pooling H x W -> h x
 *           w in between: b N C (2 U + 2 u) + N C (H W + h w) / 8 of masks. Nothing else touches memory: tables stay in L1.
 *   flops   2 H W (H + W) a transform and 2 (h H W + h w W) for pooling, times 3 if split, at 150 Tflop/s of mma.sync (a guess).
 *           32 x 32, fp32: 8.2 KB and 0.39 Mflop a channel: 2.7 ns of memory to 2.6 ns of products; in tf32 0.9 ns of products.
 *   shared  H (W | 1) 8 TILES 4 bytes: 135 KB for 32 x 32 and 32 channels, so beyond 112 KB, where a processor would hold one
 *           block only, blocks take 16 channels, 64 bytes a run in memory.
 *
 * Channels of a position are exchanged in eights by its last two bits, and rows begin an odd number of positions apart, so that
 * four positions next to each other in a row or in a column lie in different banks, which is how lanes read and write lines. */
#include "line.h"

template <int NT> static __device__ __forceinline__ int plane_at(int position, int channel)
{
    return position * 8 * NT + (NT == 4 ? channel ^ (position & 3) << 3 : NT == 2 ? channel ^ (position & 2) << 2 : channel);
}

/* The cells of a map with rows of W that a thread visits: its channel is the same in all. */
struct plane_walk {
    int row, col, w, down, right;
    __device__ __forceinline__ plane_walk(int channels, int width) : w(width)
    {
        const int first = (int)threadIdx.x / channels, step = (int)blockDim.x / channels;
        row = first / w, col = first % w, down = step / w, right = step % w;
    }
    __device__ __forceinline__ void next()
    {
        row += down, col += right;
        if (col >= w)
            col -= w, row++;
    }
};

/* ---- memory and the map --------------------------------------------------------------------------------------------------- */

/* Bytes of pixels, and cells of bins, that a thread has on the way from memory: 16 warps of a processor need some 14 KB of them at 3 TB/s
 * and 600 ns. */
enum { PLANE_BYTES = 32, PLANE_CELLS = 4 };

template <int NT, typename T>
static __device__ void plane_load(const hs_plane &p, size_t sample, int first, const T *x, float *plane)
{
    enum { PIXELS = PLANE_BYTES / sizeof(T) };
    const int ch = (int)threadIdx.x % (8 * NT);
    const bool real = first + ch < p.c;
    const T *from = x + sample * p.in_h * p.in_w * p.c + first + ch;
    plane_walk at(8 * NT, p.in_w), to = at;
    while (at.row < p.in_h) {
        float some[PIXELS];
        HS_UNROLL
        for (int i = 0; i < PIXELS; i++, at.next())
            some[i] = real && at.row < p.in_h ? hs_half_get(from[(size_t)(at.row * p.in_w + at.col) * p.c]) : 0;
        HS_UNROLL
        for (int i = 0; i < PIXELS; i++, to.next())
            if (to.row < p.in_h)
                plane[plane_at<NT>(to.row * p.row + to.col, ch)] = some[i];
    }
}

template <int NT, typename T>
static __device__ void plane_store(const hs_plane &p, size_t sample, int first, const float *plane, T *y)
{
    const int ch = (int)threadIdx.x % (8 * NT);
    T *to = y + sample * p.out_h * p.out_w * p.c + first + ch;
    if (first + ch >= p.c)
        return;
    HS_UNROLL_4
    for (plane_walk at(8 * NT, p.out_w); at.row < p.out_h; at.next())
        hs_half_put(p.scale * plane[plane_at<NT>(at.row * p.row + at.col, ch)], to + (size_t)(at.row * p.out_w + at.col) * p.c);
}

/* The coordinates at (|ky|, |kx|) = (a, b): up to four, of up to two bins. */
struct plane_cell {
    int row, col;           /* of cos cos */
    bool pair_h, pair_w;    /* there are sines */
    size_t plus, minus;     /* bins (+a, b) and (-a, b) */
    __device__ __forceinline__ plane_cell(int h, int w, int a, int b)
    {
        pair_h = a > 0 && 2 * a < h;
        pair_w = b > 0 && 2 * b < w;
        row = a ? 2 * a - 1 : 0;
        col = b ? 2 * b - 1 : 0;
        const int column = b ? h / 2 + 1 + (b - 1) * h : 0; /* the order of hs_spectrum.h */
        plus = (size_t)(column + a);
        minus = (size_t)(column + h - a);
    }
};

/* Of one cell: its bins, as they lie in memory; a bin that does not exist is 0. */
struct plane_bins {
    float re, im, re2, im2;
};

template <typename T>
static __device__ __forceinline__ plane_bins plane_read(const plane_cell &cell, size_t bin, int c, bool real, const T *from)
{
    const bool two = cell.pair_h && cell.pair_w, complex = cell.pair_h || cell.pair_w;
    plane_bins b;
    b.re = real ? hs_half_get(from[cell.plus * bin]) : 0;
    b.im = real && complex ? hs_half_get(from[cell.plus * bin + c]) : 0;
    b.re2 = real && two ? hs_half_get(from[cell.minus * bin]) : 0;
    b.im2 = real && two ? hs_half_get(from[cell.minus * bin + c]) : 0;
    return b;
}

/* X(+-a, b) sqrt2 = (cc -+ ss) / sqrt2 - i (cs +- sc) / sqrt2; with one axis self-conjugate one cosine and one sine are a bin. */
template <int NT>
static __device__ __forceinline__ void plane_spread(const hs_plane &p, const plane_cell &cell, const plane_bins &b, int ch, float *plane)
{
    const bool two = cell.pair_h && cell.pair_w;
    const float half = 0.70710678f, cc = two ? half * (b.re + b.re2) : b.re, ss = half * (b.re2 - b.re),
                sc = two ? half * (b.im2 - b.im) : -b.im, cs = two ? -half * (b.im + b.im2) : -b.im;
    const int corner = cell.row * p.row + cell.col;
    const bool here = cell.row < p.kept_h && cell.col < p.kept_w, below = cell.pair_h && cell.row + 1 < p.kept_h,
               beside = cell.pair_w && cell.col + 1 < p.kept_w;
    if (here)
        plane[plane_at<NT>(corner, ch)] = cc;
    if (here && beside)
        plane[plane_at<NT>(corner + 1, ch)] = cs;
    if (here && below)
        plane[plane_at<NT>(corner + p.row, ch)] = sc;
    if (here && below && beside)
        plane[plane_at<NT>(corner + p.row + 1, ch)] = ss;
}

template <int NT, typename T>
static __device__ void plane_load_bins(const hs_plane &p, int n, size_t sample, int first, const T *x, const float *bias, float *plane)
{
    const int ch = (int)threadIdx.x % (8 * NT), rows = p.kept_h / 2 + 1;
    const size_t bin = (size_t)n * 2 * p.c;
    const bool real = first + ch < p.c;
    const T *from = x + sample * 2 * p.c + first + ch;
    const float add = bias && real ? p.bias_scale * bias[first + ch] : 0;
    plane_walk at(8 * NT, p.kept_w / 2 + 1), to = at;
    while (at.row < rows) {
        plane_bins some[PLANE_CELLS];
        HS_UNROLL
        for (int i = 0; i < PLANE_CELLS; i++, at.next())
            some[i] = plane_read(plane_cell(p.in_h, p.in_w, at.row, at.col), bin, p.c, real && at.row < rows, from);
        HS_UNROLL
        for (int i = 0; i < PLANE_CELLS; i++, to.next()) {
            if (to.row == 0 && to.col == 0)
                some[i].re += add;
            if (to.row < rows)
                plane_spread<NT>(p, plane_cell(p.in_h, p.in_w, to.row, to.col), some[i], ch, plane);
        }
    }
}

/* H, W: coordinates that the map has; the spectrum may have more. */
template <int NT, typename T>
static __device__ void plane_store_bins(const hs_plane &p, int n, size_t sample, int first, int h, int w, const float *plane, T *y)
{
    const int ch = (int)threadIdx.x % (8 * NT);
    const size_t bin = (size_t)n * 2 * p.c;
    T *to = y + sample * 2 * p.c + first + ch;
    if (first + ch >= p.c)
        return;
    for (plane_walk at(8 * NT, p.out_w / 2 + 1); at.row <= p.out_h / 2; at.next()) {
        const plane_cell cell(p.out_h, p.out_w, at.row, at.col);
        const int corner = cell.row * p.row + cell.col;
        const bool here = cell.row < h && cell.col < w, below = cell.pair_h && cell.row + 1 < h, beside = cell.pair_w && cell.col + 1 < w;
        const float cc = here ? p.scale * plane[plane_at<NT>(corner, ch)] : 0;
        const float cs = here && beside ? p.scale * plane[plane_at<NT>(corner + 1, ch)] : 0;
        const float sc = here && below ? p.scale * plane[plane_at<NT>(corner + p.row, ch)] : 0;
        const float ss = here && below && beside ? p.scale * plane[plane_at<NT>(corner + p.row + 1, ch)] : 0;
        const bool four = cell.pair_h && cell.pair_w;
        const float half = 0.70710678f;
        hs_half_put(four ? half * (cc - ss) : cc, to + cell.plus * bin);
        hs_half_put(four ? -half * (cs + sc) : -(cs + sc), to + cell.plus * bin + p.c);
        if (four) {
            hs_half_put(half * (cc + ss), to + cell.minus * bin);
            hs_half_put(half * (sc - cs), to + cell.minus * bin + p.c);
        }
    }
}

/* ---- operations ------------------------------------------------------------------------------------------------------------- */

/* Lines of IN positions, STRIDE apart, become OUT positions; the next line begins STEP positions on. */
template <int NT, bool SPLIT>
static __device__ void plane_lines(int lines, int step, int stride, int in, int out, const float *table, float *plane)
{
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, tiles = (in + 7) / 8;
    for (int line = (int)threadIdx.x / 32; line < lines; line += (int)blockDim.x / 32) {
        const int start = line * step;
        float b[HS_PLANE_TILES][NT][2];
        HS_UNROLL
        for (int kt = 0; kt < HS_PLANE_TILES; kt++)
            HS_UNROLL
            for (int i = 0; i < 2; i++) {
                const int at = 8 * kt + 4 * i + t;
                HS_UNROLL
                for (int nt = 0; nt < NT; nt++) {
                    const float x = at < in ? plane[plane_at<NT>(start + at * stride, 8 * nt + g)] : 0;
                    b[kt][nt][i] = SPLIT ? x : hs_number(hs_to_tf32(x));
                }
            }
        hs_warp_wait(); /* all of the line has been read */
        for (int row = 0; row < out; row += 16) {
            float acc[NT][4] = {};
            hs_line_product<NT, SPLIT>(table + row / 16 * tiles * 128, tiles, b, acc);
            HS_UNROLL
            for (int i = 0; i < 2; i++) {
                if (row + g + 8 * i >= out)
                    continue;
                HS_UNROLL
                for (int nt = 0; nt < NT; nt++)
                    hs_put_two(acc[nt][2 * i], acc[nt][2 * i + 1],
                               plane + plane_at<NT>(start + (row + g + 8 * i) * stride, 8 * nt + 2 * t));
            }
        }
    }
}

template <int NT, bool SPLIT>
static __device__ void plane_product(const hs_plane &p, const hs_plane_op &op, const float *tables, float *plane)
{
    plane_lines<NT, SPLIT>(op.h, p.row, 1, op.w, op.ow, tables + op.right, plane);
    __syncthreads();
    plane_lines<NT, SPLIT>(op.ow, 1, p.row, op.h, op.oh, tables + op.left, plane);
}

/* Bit CH of position P is bit (P 8 NT + CH) % 32 of word (P 8 NT + CH) / 32: what a warp sees at a time is a word. */
template <int NT>
static __device__ void plane_relu(const hs_plane &p, const hs_plane_op &op, int first, const float *bias, uint32_t *bits, float *plane)
{
    const int ch = (int)threadIdx.x % (8 * NT), warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    const int words = (op.h * op.w * NT + 3) / 4;
    const float add = bias && p.bias_scale == 0 && first + ch < p.c ? bias[first + ch] : 0;
    plane_walk at(8 * NT, op.w);
    for (int word = warp; word < words; word += warps, at.next()) {
        bool passes = false;
        if (at.row < op.h) {
            float *x = plane + plane_at<NT>(at.row * p.row + at.col, ch);
            const float sum = *x + add;
            passes = !(sum <= 0);
            *x = passes ? sum : 0;
        }
        const uint32_t seen = hs_ballot(passes);
        if (threadIdx.x % 32 == 0)
            bits[op.left + word] = seen;
    }
}

template <int NT> static __device__ void plane_mask(const hs_plane &p, const hs_plane_op &op, const uint32_t *bits, float *plane)
{
    const int ch = (int)threadIdx.x % (8 * NT);
    int word = op.left + (int)threadIdx.x / 32;
    for (plane_walk at(8 * NT, op.w); at.row < op.h; at.next(), word += (int)blockDim.x / 32)
        if (!(bits[word] >> threadIdx.x % 32 & 1))
            plane[plane_at<NT>(at.row * p.row + at.col, ch)] = 0;
}

template <int NT> static __device__ void plane_keep(const hs_plane &p, const hs_plane_op &op, const int32_t *keep, float *plane)
{
    const int ch = (int)threadIdx.x % (8 * NT);
    for (plane_walk at(8 * NT, op.w); at.row < op.h; at.next())
        if (at.row >= keep[0] || at.col >= keep[1])
            plane[plane_at<NT>(at.row * p.row + at.col, ch)] = 0;
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------------- */

template <int NT, bool SPLIT, typename In, typename Out>
static __global__ void __launch_bounds__(HS_PLANE_THREADS, 2)
    plane_kernel(const __grid_constant__ hs_plane p, int n, const In *in, const float *tables, const float *bias, uint32_t *bits,
                 const int32_t *keep, Out *out)
{
    HS_SHARED(float, plane);
    const int groups = (p.c + 8 * NT - 1) / (8 * NT), first = (int)(blockIdx.x % groups) * 8 * NT;
    const size_t sample = blockIdx.x / groups;
    uint32_t *own = bits + (size_t)blockIdx.x * p.words;
    int h = p.kept_h, w = p.kept_w;
    if (p.in_spectrum)
        plane_load_bins<NT>(p, n, sample, first, in, p.bias_scale != 0 ? bias : NULL, plane);
    else
        plane_load<NT>(p, sample, first, in, plane);
    __syncthreads();
    for (int i = 0; i < p.ops; i++) {
        const hs_plane_op &op = p.op[i];
        if (op.kind == HS_PLANE_PRODUCT) {
            plane_product<NT, SPLIT>(p, op, tables, plane);
            h = op.oh, w = op.ow;
        } else if (op.kind == HS_PLANE_RELU) {
            plane_relu<NT>(p, op, first, bias, own, plane);
        } else if (op.kind == HS_PLANE_MASK) {
            plane_mask<NT>(p, op, own, plane);
        } else {
            plane_keep<NT>(p, op, keep + 2 * sample, plane);
        }
        __syncthreads();
    }
    if (p.out_spectrum)
        plane_store_bins<NT>(p, n, sample, first, h, w, plane, out);
    else
        plane_store<NT>(p, sample, first, plane, out);
}

template <int NT, bool SPLIT, typename In, typename Out>
static cudaError_t plane_start(cudaStream_t s, const hs_plane *p, int n, const void *in, const float *tables, const float *bias,
                               uint32_t *bits, const int32_t *keep, void *out)
{
    const auto kernel = plane_kernel<NT, SPLIT, In, Out>;
    const int longest = p->row > p->shared / (32 * NT * p->row) ? p->row : p->shared / (32 * NT * p->row);
    const unsigned groups = (unsigned)((p->c + 8 * NT - 1) / (8 * NT)), threads = longest > 16 ? HS_PLANE_THREADS : HS_PLANE_THREADS / 2;
    if (n == 0)
        return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, p->shared);
    return HS_LAUNCH_TOGETHER(kernel, groups * (unsigned)n, threads, (size_t)p->shared, s, *p, n, static_cast<const In *>(in), tables,
                              bias, bits, keep, static_cast<Out *>(out));
}

template <int NT>
static cudaError_t plane_of(cudaStream_t s, const hs_plane *p, int n, const void *in, const float *tables, const float *bias,
                            uint32_t *bits, const int32_t *keep, void *out)
{
    if (p->split)
        return plane_start<NT, true, float, float>(s, p, n, in, tables, bias, bits, keep, out);
    if (p->in_half)
        return p->out_half ? plane_start<NT, false, hs_half, hs_half>(s, p, n, in, tables, bias, bits, keep, out)
                           : plane_start<NT, false, hs_half, float>(s, p, n, in, tables, bias, bits, keep, out);
    return p->out_half ? plane_start<NT, false, float, hs_half>(s, p, n, in, tables, bias, bits, keep, out)
                       : plane_start<NT, false, float, float>(s, p, n, in, tables, bias, bits, keep, out);
}

cudaError_t hs_cuda_plane_run(cudaStream_t s, const hs_plane *p, int n, const void *in, const float *tables, const float *bias,
                              uint32_t *bits, const int32_t *keep, void *out)
{
    return p->tiles == 4   ? plane_of<4>(s, p, n, in, tables, bias, bits, keep, out)
           : p->tiles == 2 ? plane_of<2>(s, p, n, in, tables, bias, bits, keep, out)
                           : plane_of<1>(s, p, n, in, tables, bias, bits, keep, out);
}
