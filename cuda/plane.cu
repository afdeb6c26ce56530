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
 * four positions next to each other in a row or in a column lie in different banks, which is how lanes read and write lines.
 *
 * Everything else goes four channels a thread, where there are fours: places in the map and in memory are worked out for 16 bytes of
 * shared memory and not for each number, which would take several times as long as memory does. */
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

/* V neighbouring channels: one, or four if cells hold a multiple of that, so that a thread asks for 8 or 16 bytes at once and works out
 * a place once for all of them. */
template <int V, typename T> static __device__ __forceinline__ void plane_get(const T *from, float (&v)[V])
{
    if constexpr (V == 4)
        hs_get_four(from, v);
    else
        v[0] = hs_half_get(*from);
}

template <int V, typename T> static __device__ __forceinline__ void plane_put(const float (&v)[V], T *to)
{
    if constexpr (V == 4)
        hs_put_four(v, to);
    else
        hs_half_put(v[0], to);
}

template <int V, typename T> static __device__ __forceinline__ void plane_get_if(bool wanted, const T *from, float (&v)[V])
{
    if (wanted) {
        plane_get(from, v);
    } else {
        HS_UNROLL
        for (int k = 0; k < V; k++)
            v[k] = 0;
    }
}

/* Pixels, and cells of bins, that a thread has on the way from memory: 16 warps of a processor need some 14 KB at 3 TB/s and 600 ns,
 * 28 bytes a thread, and twice that as others compute meanwhile. */
template <int V, typename T> struct plane_ahead {
    enum { PIXELS = (V == 1 ? 32 : 64) / (V * (int)sizeof(T)), CELLS = V == 1 ? 4 : 2 };
};

template <int NT, int V, typename T>
static __device__ void plane_load(const hs_plane &p, size_t sample, int first, const T *x, float *plane)
{
    enum { AHEAD = plane_ahead<V, T>::PIXELS, ACROSS = 8 * NT / V };
    const int ch = (int)threadIdx.x % ACROSS * V, cells = p.in_h * p.in_w, step = (int)blockDim.x / ACROSS;
    const bool real = first + ch < p.c;
    const T *from = x + sample * cells * p.c + first + ch;
    plane_walk to(ACROSS, p.in_w);
    for (int cell = (int)threadIdx.x / ACROSS; cell < cells; cell += AHEAD * step) {
        float some[AHEAD][V];
        HS_UNROLL
        for (int i = 0; i < AHEAD; i++)
            plane_get_if(real && cell + i * step < cells, from + (size_t)(cell + i * step) * p.c, some[i]);
        HS_UNROLL
        for (int i = 0; i < AHEAD; i++, to.next())
            if (to.row < p.in_h)
                plane_put(some[i], plane + plane_at<NT>(to.row * p.row + to.col, ch));
    }
}

template <int NT, int V, typename T>
static __device__ void plane_store(const hs_plane &p, size_t sample, int first, const float *plane, T *y)
{
    enum { ACROSS = 8 * NT / V };
    const int ch = (int)threadIdx.x % ACROSS * V, step = (int)blockDim.x / ACROSS;
    int cell = (int)threadIdx.x / ACROSS;
    T *to = y + sample * p.out_h * p.out_w * p.c + first + ch;
    if (first + ch >= p.c)
        return;
    HS_UNROLL_4
    for (plane_walk at(ACROSS, p.out_w); at.row < p.out_h; at.next(), cell += step) {
        float v[V];
        plane_get(plane + plane_at<NT>(at.row * p.row + at.col, ch), v);
        HS_UNROLL
        for (int k = 0; k < V; k++)
            v[k] *= p.scale;
        plane_put(v, to + (size_t)cell * p.c);
    }
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
template <int V> struct plane_bins {
    float re[V], im[V], re2[V], im2[V];
};

template <int V, typename T>
static __device__ __forceinline__ void plane_read(const plane_cell &cell, size_t bin, int c, bool real, const T *from, plane_bins<V> &b)
{
    const bool two = cell.pair_h && cell.pair_w, complex = cell.pair_h || cell.pair_w;
    plane_get_if(real, from + cell.plus * bin, b.re);
    plane_get_if(real && complex, from + cell.plus * bin + c, b.im);
    plane_get_if(real && two, from + cell.minus * bin, b.re2);
    plane_get_if(real && two, from + cell.minus * bin + c, b.im2);
}

/* X(+-a, b) sqrt2 = (cc -+ ss) / sqrt2 - i (cs +- sc) / sqrt2; with one axis self-conjugate one cosine and one sine are a bin. */
template <int NT, int V>
static __device__ __forceinline__ void plane_spread(const hs_plane &p, const plane_cell &cell, const plane_bins<V> &b, int ch, float *plane)
{
    const bool two = cell.pair_h && cell.pair_w;
    const int corner = cell.row * p.row + cell.col;
    const bool here = cell.row < p.kept_h && cell.col < p.kept_w, below = cell.pair_h && cell.row + 1 < p.kept_h,
               beside = cell.pair_w && cell.col + 1 < p.kept_w;
    float cc[V], ss[V], sc[V], cs[V];
    HS_UNROLL
    for (int k = 0; k < V; k++) {
        const float half = 0.70710678f;
        cc[k] = two ? half * (b.re[k] + b.re2[k]) : b.re[k];
        ss[k] = half * (b.re2[k] - b.re[k]);
        sc[k] = two ? half * (b.im2[k] - b.im[k]) : -b.im[k];
        cs[k] = two ? -half * (b.im[k] + b.im2[k]) : -b.im[k];
    }
    if (here)
        plane_put(cc, plane + plane_at<NT>(corner, ch));
    if (here && beside)
        plane_put(cs, plane + plane_at<NT>(corner + 1, ch));
    if (here && below)
        plane_put(sc, plane + plane_at<NT>(corner + p.row, ch));
    if (here && below && beside)
        plane_put(ss, plane + plane_at<NT>(corner + p.row + 1, ch));
}

template <int NT, int V, typename T>
static __device__ void plane_load_bins(const hs_plane &p, int n, size_t sample, int first, const T *x, const float *bias, float *plane)
{
    enum { AHEAD = plane_ahead<V, T>::CELLS, ACROSS = 8 * NT / V };
    const int ch = (int)threadIdx.x % ACROSS * V, rows = p.kept_h / 2 + 1;
    const size_t bin = (size_t)n * 2 * p.c;
    const bool real = first + ch < p.c;
    const T *from = x + sample * 2 * p.c + first + ch;
    plane_walk at(ACROSS, p.kept_w / 2 + 1), to = at;
    while (at.row < rows) {
        plane_bins<V> some[AHEAD];
        HS_UNROLL
        for (int i = 0; i < AHEAD; i++, at.next())
            plane_read(plane_cell(p.in_h, p.in_w, at.row, at.col), bin, p.c, real && at.row < rows, from, some[i]);
        HS_UNROLL
        for (int i = 0; i < AHEAD; i++, to.next()) {
            HS_UNROLL
            for (int k = 0; k < V; k++)
                if (bias && real && to.row == 0 && to.col == 0)
                    some[i].re[k] += p.bias_scale * bias[first + ch + k];
            if (to.row < rows)
                plane_spread<NT>(p, plane_cell(p.in_h, p.in_w, to.row, to.col), some[i], ch, plane);
        }
    }
}

/* H, W: coordinates that the map has; the spectrum may have more. */
template <int NT, int V, typename T>
static __device__ void plane_store_bins(const hs_plane &p, int n, size_t sample, int first, int h, int w, const float *plane, T *y)
{
    enum { ACROSS = 8 * NT / V };
    const int ch = (int)threadIdx.x % ACROSS * V;
    const size_t bin = (size_t)n * 2 * p.c;
    T *to = y + sample * 2 * p.c + first + ch;
    if (first + ch >= p.c)
        return;
    for (plane_walk at(ACROSS, p.out_w / 2 + 1); at.row <= p.out_h / 2; at.next()) {
        const plane_cell cell(p.out_h, p.out_w, at.row, at.col);
        const int corner = cell.row * p.row + cell.col;
        const bool here = cell.row < h && cell.col < w, below = cell.pair_h && cell.row + 1 < h, beside = cell.pair_w && cell.col + 1 < w;
        const bool four = cell.pair_h && cell.pair_w;
        const float scale = four ? 0.70710678f * p.scale : p.scale;
        float cc[V], cs[V], sc[V], ss[V];
        plane_get_if(here, plane + plane_at<NT>(corner, ch), cc);
        plane_get_if(here && beside, plane + plane_at<NT>(corner + 1, ch), cs);
        plane_get_if(here && below, plane + plane_at<NT>(corner + p.row, ch), sc);
        plane_get_if(here && below && beside, plane + plane_at<NT>(corner + p.row + 1, ch), ss);
        plane_bins<V> b;
        HS_UNROLL
        for (int k = 0; k < V; k++) { /* ss is 0 where there are not four */
            b.re[k] = scale * (cc[k] - ss[k]);
            b.im[k] = -scale * (cs[k] + sc[k]);
            b.re2[k] = scale * (cc[k] + ss[k]);
            b.im2[k] = scale * (sc[k] - cs[k]);
        }
        plane_put(b.re, to + cell.plus * bin);
        plane_put(b.im, to + cell.plus * bin + p.c);
        if (four) {
            plane_put(b.re2, to + cell.minus * bin);
            plane_put(b.im2, to + cell.minus * bin + p.c);
        }
    }
}

/* ---- operations ------------------------------------------------------------------------------------------------------------- */

/* Lines of IN positions, STRIDE apart, become OUT positions; the next line begins STEP positions on. A warp that has few channels takes two lines at
 * a time, so that what it reads of the matrix serves both. Positions that differ by a multiple of four exchange their channels alike: one address
 * and a multiple of HOP lead to all of a line. */
template <int NT, bool SPLIT>
static __device__ void plane_lines(int lines, int step, int stride, int in, int out, const float *table, float *plane)
{
    enum { LINES = NT == 4 ? 1 : 2, ALL = NT * LINES };
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, tiles = (in + 7) / 8, hop = 4 * stride * 8 * NT;
    for (int line = (int)threadIdx.x / 32 * LINES; line < lines; line += (int)blockDim.x / 32 * LINES) {
        float b[HS_PLANE_TILES][ALL][2];
        HS_UNROLL
        for (int l = 0; l < ALL; l++) {
            const float *from = plane + plane_at<NT>((line + l / NT) * step + t * stride, l % NT * 8 + g);
            HS_UNROLL
            for (int kt = 0; kt < HS_PLANE_TILES; kt++)
                HS_UNROLL
                for (int i = 0; i < 2; i++) {
                    const float x = 8 * kt + 4 * i + t < in && line + l / NT < lines ? from[(2 * kt + i) * hop] : 0;
                    b[kt][l][i] = SPLIT ? x : hs_number(hs_to_tf32(x));
                }
        }
        hs_warp_wait(); /* all of the lines has been read */
        for (int row = 0; row < out; row += 16) {
            float acc[ALL][4] = {};
            hs_line_product<ALL, SPLIT>(table + row / 16 * tiles * 128, tiles, b, acc);
            HS_UNROLL
            for (int l = 0; l < ALL; l++) {
                float *to = plane + plane_at<NT>((line + l / NT) * step + (row + g) * stride, l % NT * 8 + 2 * t);
                HS_UNROLL
                for (int i = 0; i < 2; i++)
                    if (row + g + 8 * i < out && line + l / NT < lines)
                        hs_put_two(acc[l][2 * i], acc[l][2 * i + 1], to + 2 * i * hop);
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
    enum { ACROSS = 2 * NT };
    const int ch = (int)threadIdx.x % ACROSS * 4;
    int slot = (int)threadIdx.x;
    for (plane_walk at(ACROSS, op.w); at.row < op.h; at.next(), slot += (int)blockDim.x) {
        const uint32_t passes = bits[op.left + slot / 8] >> threadIdx.x % 8 * 4;
        float *x = plane + plane_at<NT>(at.row * p.row + at.col, ch), v[4];
        hs_get_four(x, v);
        HS_UNROLL
        for (int k = 0; k < 4; k++)
            v[k] = passes >> k & 1 ? v[k] : 0;
        hs_put_four(v, x);
    }
}

template <int NT> static __device__ void plane_keep(const hs_plane &p, const hs_plane_op &op, const int32_t *keep, float *plane)
{
    const float none[4] = {};
    for (plane_walk at(2 * NT, op.w); at.row < op.h; at.next())
        if (at.row >= keep[0] || at.col >= keep[1])
            hs_put_four(none, plane + plane_at<NT>(at.row * p.row + at.col, (int)threadIdx.x % (2 * NT) * 4));
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------------- */

template <int NT, typename T>
static __device__ __forceinline__ void plane_bring(const hs_plane &p, int n, size_t sample, int first, const T *in, const float *bias, float *plane)
{
    if (p.c % 4 == 0)
        p.in_spectrum ? plane_load_bins<NT, 4>(p, n, sample, first, in, bias, plane) : plane_load<NT, 4>(p, sample, first, in, plane);
    else
        p.in_spectrum ? plane_load_bins<NT, 1>(p, n, sample, first, in, bias, plane) : plane_load<NT, 1>(p, sample, first, in, plane);
}

template <int NT, typename T>
static __device__ __forceinline__ void plane_leave(const hs_plane &p, int n, size_t sample, int first, int h, int w, const float *plane, T *out)
{
    if (p.c % 4 == 0)
        p.out_spectrum ? plane_store_bins<NT, 4>(p, n, sample, first, h, w, plane, out) : plane_store<NT, 4>(p, sample, first, plane, out);
    else
        p.out_spectrum ? plane_store_bins<NT, 1>(p, n, sample, first, h, w, plane, out) : plane_store<NT, 1>(p, sample, first, plane, out);
}

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
    plane_bring<NT, In>(p, n, sample, first, in, p.bias_scale != 0 ? bias : NULL, plane);
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
    plane_leave<NT, Out>(p, n, sample, first, h, w, plane, out);
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
