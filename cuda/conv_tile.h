/* conv_tile.h - what the kernels of a convolution share: a block of four warps computes a tile [128][16 NI] of a product of a
 * gathered matrix and a stored one, a slice of the inner side at a time, through two or three buffers in shared memory: while one is
 * multiplied the others are filled.
 *
 * A warp owns [64][8 NI] of the tile: 4 times NI fragments of m16n8 (mma.h), whatever it multiplies with, so that everything but
 * the multiplication is the same for all precisions. Maps in fp32 are so in shared memory, 16 numbers a slice, and rounded on the way into
 * registers; maps in bf16 are never anything else, 32 a slice. Rows in shared memory are a little longer than the tile is, so that what a
 * warp reads at once lies in 32 different banks: 8 rows of four words, or four rows of eight; for bf16, whose fragments are loaded as
 * matrices, 8 rows of 16 bytes, 20 words apart by row (20 r mod 32 = 0 20 8 28 16 4 24 12), 68 = 4 and 52 = 20 or 36 = 4 by depth, and
 * four rows of eight words, 104 = 8 or 72 = 8 apart, of packed taps.
 *
 * What bounds bf16, of NI = 6, a slice of 32: a warp does 48 products of 2048 multiply-adds, at 0.6 of what an H100's tensor cores do at best
 * some 77 cycles of a processor; it reads 64 x 32 and 32 x 48 numbers, 7 KiB, and writes a quarter of 128 x 32 + 32 x 96, 3.5 KiB: at 128
 * bytes a cycle 84. So shared memory and tensor cores are even; a wider tile needs more registers than 168, of which three blocks fit. */
#ifndef HS_CUDA_CONV_TILE_H
#define HS_CUDA_CONV_TILE_H

#include "half.h"

#include "kernels.h"

enum { TILE_M = 128, TILE_THREADS = 128, WARP_M = 64, FRAGMENTS_M = 4 };

struct __attribute__((aligned(8))) hs_two {
    float low, high;
};

/* How the gathered side lies in shared memory: a line for each row of the tile, or for each number of the inner side. */
template <int DEPTH, int PAD> struct hs_by_row {
    enum { LINE = DEPTH + PAD, NUMBERS = TILE_M * LINE, IS_BY_DEPTH = 0 };
    static __device__ __forceinline__ float at(const float *tile, int m, int k)
    {
        return tile[m * LINE + k];
    }
    static __device__ __forceinline__ hs_two pair(const float *tile, int m, int k) /* k even */
    {
        return *reinterpret_cast<const hs_two *>(tile + m * LINE + k);
    }
};

template <int DEPTH, int PAD> struct hs_by_depth {
    enum { LINE = TILE_M + PAD, NUMBERS = DEPTH * LINE, IS_BY_DEPTH = 1 };
    static __device__ __forceinline__ float at(const float *tile, int m, int k)
    {
        return tile[k * LINE + m];
    }
    static __device__ __forceinline__ hs_two pair(const float *tile, int m, int k)
    {
        return {tile[k * LINE + m], tile[(k + 1) * LINE + m]};
    }
};

/* ---- the multiplication: ACC += tile of A times tile of B, from row M0 and column N0 of the warp on -------------------------- */

struct hs_plain_math { /* fp32: the same owner of each number as below, so a lane reads 8 rows and 2 NI columns of each k */
    typedef float number;
    enum { PAD = 8, DEPTH = 16, STAGES = 2 };
    typedef hs_by_row<DEPTH, 4> rows;
    typedef hs_by_depth<DEPTH, 8> depths;
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const float *a, const float *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, line = 16 * NI + PAD;
        HS_UNROLL
        for (int k = 0; k < DEPTH; k++) {
            float left[2 * FRAGMENTS_M];
            HS_UNROLL
            for (int i = 0; i < 2 * FRAGMENTS_M; i++)
                left[i] = A::at(a, m0 + 8 * i + g, k);
            HS_UNROLL
            for (int j = 0; j < NI; j++) {
                const hs_two right = *reinterpret_cast<const hs_two *>(b + k * line + n0 + 8 * j + 2 * t);
                HS_UNROLL
                for (int i = 0; i < FRAGMENTS_M; i++) {
                    acc[i][j][0] += left[2 * i] * right.low;
                    acc[i][j][1] += left[2 * i] * right.high;
                    acc[i][j][2] += left[2 * i + 1] * right.low;
                    acc[i][j][3] += left[2 * i + 1] * right.high;
                }
            }
        }
    }
};

struct hs_tf32_math {
    typedef float number;
    enum { PAD = 8, DEPTH = 16, STAGES = 2 };
    typedef hs_by_row<DEPTH, 4> rows;
    typedef hs_by_depth<DEPTH, 8> depths;
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const float *a, const float *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, line = 16 * NI + PAD;
        HS_UNROLL
        for (int k = 0; k < DEPTH; k += 8) {
            uint32_t left[FRAGMENTS_M][4];
            HS_UNROLL
            for (int i = 0; i < FRAGMENTS_M; i++)
                HS_UNROLL
                for (int w = 0; w < 4; w++)
                    left[i][w] = hs_to_tf32(A::at(a, m0 + 16 * i + w % 2 * 8 + g, k + w / 2 * 4 + t));
            HS_UNROLL
            for (int j = 0; j < NI; j++) {
                const float *column = b + (k + t) * line + n0 + 8 * j + g;
                const uint32_t right[2] = {hs_to_tf32(column[0]), hs_to_tf32(column[4 * line])};
                HS_UNROLL
                for (int i = 0; i < FRAGMENTS_M; i++)
                    hs_mma_tf32(acc[i][j], left[i], right);
            }
        }
    }
};

struct hs_bf16_math { /* two neighbours along k to a word: pairs of rows of B, so that its lines are padded by 4 */
    typedef float number;
    enum { PAD = 4, DEPTH = 16, STAGES = 2 };
    typedef hs_by_row<DEPTH, 8> rows;
    typedef hs_by_depth<DEPTH, 4> depths;
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const float *a, const float *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, line = 16 * NI + PAD;
        uint32_t left[FRAGMENTS_M][4];
        HS_UNROLL
        for (int i = 0; i < FRAGMENTS_M; i++)
            HS_UNROLL
            for (int w = 0; w < 4; w++) {
                const hs_two x = A::pair(a, m0 + 16 * i + w % 2 * 8 + g, w / 2 * 8 + 2 * t);
                left[i][w] = hs_to_bf16(x.low, x.high);
            }
        HS_UNROLL
        for (int j = 0; j < NI; j++) {
            const float *column = b + 2 * t * line + n0 + 8 * j + g;
            const uint32_t right[2] = {hs_to_bf16(column[0], column[line]), hs_to_bf16(column[8 * line], column[9 * line])};
            HS_UNROLL
            for (int i = 0; i < FRAGMENTS_M; i++)
                hs_mma_bf16(acc[i][j], left[i], right);
        }
    }
};

struct hs_half_math { /* of numbers that are bf16 already; packed taps come as words of two neighbours along k */
    typedef hs_half number;
    enum { PAD = 8, DEPTH = 32, STAGES = 3 };
    typedef hs_by_row<DEPTH, 8> rows;
    typedef hs_by_depth<DEPTH, 8> depths;
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const hs_half *a, const hs_half *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int lane = threadIdx.x % 32, eight = lane / 8 % 2 * 8, line = 16 * NI + PAD;
        HS_UNROLL
        for (int k = 0; k < DEPTH; k += 16) {
            uint32_t left[FRAGMENTS_M][4], right[NI][2];
            HS_UNROLL
            for (int i = 0; i < FRAGMENTS_M; i++) {
                const int m = m0 + 16 * i;
                if (A::IS_BY_DEPTH)
                    hs_load_matrices<true>(left[i], a + (k + lane / 16 * 8 + lane % 8) * A::LINE + m + eight);
                else
                    hs_load_matrices<false>(left[i], a + (m + lane % 16) * A::LINE + k + lane / 16 * 8);
            }
            HS_UNROLL
            for (int j = 0; j < NI; j += 2) {
                if (A::IS_BY_DEPTH)
                    hs_load_matrices<true>(right[j], b + (k + eight + lane % 8) * line + n0 + 8 * j + lane / 16 * 8);
                else
                    HS_UNROLL
                    for (int w = 0; w < 4; w++)
                        right[j + w / 2][w % 2] =
                            reinterpret_cast<const uint32_t *>(b)[(k / 2 + lane % 4 + w % 2 * 4) * line + n0 + 8 * (j + w / 2) + lane / 4];
            }
            HS_UNROLL
            for (int j = 0; j < NI; j++)
                HS_UNROLL
                for (int i = 0; i < FRAGMENTS_M; i++)
                    hs_mma_bf16(acc[i][j], left[i], right[j]);
        }
    }
};

/* ---- what is gathered --------------------------------------------------------------------------------------------------------- */

/* Numbers of a tensor [n][from_h][from_w][channels] from cell (y, x), a row's own, moved by a place's (dy, dx): the first of them,
 * NULL where there is nothing. */
template <typename T>
static __device__ __forceinline__ const T *hs_gathered(const hs_cuda_gather &g, const T *from, int sample, int y, int x,
                                                       const hs_cuda_place &p)
{
    int at_y = y + p.dy, at_x = x + p.dx;
    if (sample < 0 || p.channel < 0)
        return NULL;
    if (g.periodic) {
        at_y -= at_y >= g.range_h ? g.range_h : 0;
        at_x -= at_x >= g.range_w ? g.range_w : 0;
    } else if (at_y < 0 || at_y >= g.range_h || at_x < 0 || at_x >= g.range_w) {
        return NULL;
    }
    if (g.divide > 1) {
        if (at_y % g.divide || at_x % g.divide)
            return NULL;
        at_y /= g.divide;
        at_x /= g.divide;
    }
    return from + (((size_t)sample * g.from_h + at_y) * g.from_w + at_x) * g.channels + p.channel;
}

/* UNIT numbers to shared memory from AT, zeros if that is NULL; ANY is an address that may be named. Copies are of 4 bytes at least. */
template <int UNIT, typename T> static __device__ __forceinline__ void hs_fetch(T *to, const T *at, const T *any)
{
    if constexpr (UNIT * sizeof(T) >= 4)
        hs_copy<UNIT * sizeof(T)>(to, at ? at : any, at != NULL);
    else
        *to = at ? *at : T{};
}

/* Where rows of the gathered matrix are: sample (-1: none), y, x, in shared memory. */
struct hs_spots {
    int *sample, *y, *x;
    __device__ __forceinline__ void put(const hs_cuda_gather &g, int slot, int row, int end) const
    {
        const int plane = g.side_h * g.side_w, in = row % plane;
        sample[slot] = row < end ? row / plane : -1;
        y[slot] = in / g.side_w * g.scale;
        x[slot] = in % g.side_w * g.scale;
    }
};

/* Bytes of shared memory: STAGES buffers of both sides, then the spots. */
template <typename Math, int NI> struct hs_tile {
    enum {
        N = 16 * NI,
        LINE_B = N + Math::PAD,
        NUMBERS_B = Math::DEPTH * LINE_B,
        NUMBER = sizeof(typename Math::number),
        BY_ROW = Math::STAGES * (Math::rows::NUMBERS + NUMBERS_B) * NUMBER + 3 * TILE_M * 4,
        BY_DEPTH = Math::STAGES * (Math::depths::NUMBERS + NUMBERS_B) * NUMBER + 2 * 3 * Math::DEPTH * 4
    };
};

/* More than 48 KiB have to be asked for, once, which a call without samples does. */
template <typename Kernel> static cudaError_t hs_tile_prepare(Kernel kernel, int bytes)
{
    return bytes <= 48 * 1024 ? cudaSuccess
                              : cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

#endif
