/* conv_tile.h - what the kernels of a convolution share: a block of four warps computes a tile [128][16 NI] of a product of a
 * gathered matrix and a stored one, 16 numbers of the inner side at a time, through two buffers in shared memory: while one is
 * multiplied the other is filled.
 *
 * A warp owns [64][8 NI] of the tile: 4 times NI fragments of m16n8 (mma.h), whatever it multiplies with, so that everything but
 * the multiplication is the same for all precisions. Numbers are fp32 in shared memory and are rounded on the way into registers.
 * Rows in shared memory are a little longer than the tile is: 8 rows of four words, or four rows of eight, then lie in 32
 * different banks. */
#ifndef HS_CUDA_CONV_TILE_H
#define HS_CUDA_CONV_TILE_H

#include "mma.h"

#include "kernels.h"

enum { TILE_M = 128, TILE_K = 16, TILE_THREADS = 128, WARP_M = 64, FRAGMENTS_M = 4 };

struct __attribute__((aligned(8))) hs_two {
    float low, high;
};

/* How the gathered side lies in shared memory: a line for each row of the tile, or for each number of the inner side. */
template <int PAD> struct hs_by_row {
    enum { LINE = TILE_K + PAD, NUMBERS = TILE_M * LINE };
    static __device__ __forceinline__ float at(const float *tile, int m, int k)
    {
        return tile[m * LINE + k];
    }
    static __device__ __forceinline__ hs_two pair(const float *tile, int m, int k) /* k even */
    {
        return *reinterpret_cast<const hs_two *>(tile + m * LINE + k);
    }
};

template <int PAD> struct hs_by_depth {
    enum { LINE = TILE_M + PAD, NUMBERS = TILE_K * LINE };
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
    typedef hs_by_row<4> rows;
    typedef hs_by_depth<8> depths;
    enum { PAD = 8 };
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const float *a, const float *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, line = 16 * NI + PAD;
        HS_UNROLL
        for (int k = 0; k < TILE_K; k++) {
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
    typedef hs_by_row<4> rows;
    typedef hs_by_depth<8> depths;
    enum { PAD = 8 };
    template <typename A, int NI>
    static __device__ __forceinline__ void multiply(const float *a, const float *b, int m0, int n0, float (*acc)[NI][4])
    {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, line = 16 * NI + PAD;
        HS_UNROLL
        for (int k = 0; k < TILE_K; k += 8) {
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
    typedef hs_by_row<8> rows;
    typedef hs_by_depth<4> depths;
    enum { PAD = 4 };
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

/* ---- what is gathered --------------------------------------------------------------------------------------------------------- */

/* Numbers of a tensor [n][from_h][from_w][channels] from cell (y, x), a row's own, moved by a place's (dy, dx): the first of them,
 * NULL where there is nothing. */
static __device__ __forceinline__ const float *hs_gathered(const hs_cuda_gather &g, const float *from, int sample, int y, int x,
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

template <typename Math, int NI> struct hs_tile {
    enum {
        N = 16 * NI,
        LINE_B = N + Math::PAD,
        NUMBERS_B = TILE_K * LINE_B,
        BY_ROW = 2 * (Math::rows::NUMBERS + NUMBERS_B) * 4 + 3 * TILE_M * 4,
        BY_DEPTH = 2 * (Math::depths::NUMBERS + NUMBERS_B) * 4 + 2 * 3 * TILE_K * 4
    };
};

#endif
