/* line.h - the product that plane.cu is made of: a matrix times one line of a map, by one warp.
 *
 * A line is IN positions of 8 NT channels and becomes OUT positions: M [OUT][IN] times [IN][8 NT] is tiles of mma.m16n8k8. All of
 * the line is in the warp's registers before any of the result is written, so lines are transformed in place. The matrix comes
 * from a table in the order in which lanes hold it, 16 bytes a lane and tile, so that a tile is one read of 512 bytes; it stays in
 * L1. SPLIT: every factor is the sum of two numbers of 11 bits, and of the four products the smallest is left out: 2^-21 of an
 * error where fp32 has 2^-24, for three products on tensor cores in place of one without (Ootomo and Yokota 2022). */
#ifndef HS_CUDA_LINE_H
#define HS_CUDA_LINE_H

#include "half.h"
#include "plane.h"

/* X to 11 bits, nearest, in two integer instructions; tensor cores leave out the last 13 bits of a word themselves. What a NaN becomes
 * does not matter: then the rest, X minus this, is NaN. */
static __device__ __forceinline__ float hs_upper(float x)
{
    return hs_number((hs_word(x) + 0x1000u) & 0xFFFFE000u);
}

#ifdef __CUDACC__
#define HS_UNROLL_4 _Pragma("unroll 4")

static __device__ __forceinline__ void hs_warp_wait()
{
    __syncwarp();
}

static __device__ __forceinline__ uint32_t hs_ballot(bool mine)
{
    return __ballot_sync(~0u, mine);
}

/* Two numbers to 8 bytes that are aligned to 8. */
static __device__ __forceinline__ void hs_put_two(float first, float second, float *to)
{
    *reinterpret_cast<float2 *>(to) = make_float2(first, second);
}

static __device__ __forceinline__ void hs_parts(float x, bool split, uint32_t *upper, uint32_t *lower)
{
    const float high = split ? hs_upper(x) : x;
    *upper = hs_word(high);
    *lower = hs_word(x - high);
}

/* ACC [16][8 NT] = 16 rows of the matrix, TILES of 8 columns each, times B: b[kt][nt] holds rows t and t + 4 of tile kt. */
template <int NT, bool SPLIT>
static __device__ __forceinline__ void hs_line_product(const float *table, int tiles, const float (&b)[HS_PLANE_TILES][NT][2],
                                                       float (&acc)[NT][4])
{
    const float4 *lane = reinterpret_cast<const float4 *>(table) + threadIdx.x % 32;
#pragma unroll
    for (int kt = 0; kt < HS_PLANE_TILES; kt++) {
        if (kt >= tiles)
            break;
        const float4 own = __ldg(lane + 32 * kt);
        const float a[4] = {own.x, own.y, own.z, own.w};
        uint32_t upper[4], lower[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            hs_parts(a[i], SPLIT, &upper[i], &lower[i]);
#pragma unroll
        for (int nt = 0; nt < NT; nt++) {
            uint32_t b_upper[2], b_lower[2];
            hs_parts(b[kt][nt][0], SPLIT, &b_upper[0], &b_lower[0]);
            hs_parts(b[kt][nt][1], SPLIT, &b_upper[1], &b_lower[1]);
            if (SPLIT) {
                hs_mma_tf32(acc[nt], lower, b_upper);
                hs_mma_tf32(acc[nt], upper, b_lower);
            }
            hs_mma_tf32(acc[nt], upper, b_upper);
        }
    }
}

#else /* on the host: the lanes meet once a line and not once a tile, which would take all the time that tests have */

#define HS_UNROLL_4

static inline void hs_warp_wait()
{
    emulation::wait_warp();
}

static inline uint32_t hs_ballot(bool mine)
{
    const emulation::fragment *f = emulation::meet({{mine, 0, 0, 0}, {0, 0}});
    uint32_t bits = 0;
    for (int lane = 0; lane < 32; lane++)
        bits |= f[lane].a[0] << lane;
    return bits;
}

static inline void hs_put_two(float first, float second, float *to)
{
    to[0] = first;
    to[1] = second;
}

/* What tensor cores see of a word. */
static inline double hs_seen(float x)
{
    return (double)hs_number(hs_word(x) & 0xFFFFE000u);
}

template <int NT, bool SPLIT>
static inline void hs_line_product(const float *table, int tiles, const float (&b)[HS_PLANE_TILES][NT][2], float (&acc)[NT][4])
{
    const std::uint64_t own = reinterpret_cast<std::uintptr_t>(&b);
    const emulation::fragment *f = emulation::meet({{(uint32_t)own, (uint32_t)(own >> 32), 0, 0}, {0, 0}});
    const int lane = (int)emulation::lane();
    for (int at = 0; at < 4 * NT; at++) {
        const int nt = at / 4, row = lane / 4 + at % 4 / 2 * 8, col = lane % 4 * 2 + at % 2;
        float sum = acc[nt][at % 4];
        for (int kt = 0; kt < tiles; kt++) {
            double part[3] = {0, 0, 0}; /* as above: lower times upper, upper times lower, upper times upper */
            for (int k = 8 * kt; k < 8 * kt + 8; k++) {
                const emulation::fragment &other = f[col * 4 + k % 4];
                const float(*line)[NT][2] = reinterpret_cast<const float(*)[NT][2]>(other.a[0] | (std::uint64_t)other.a[1] << 32);
                const float x = table[(kt * 32 + row % 8 * 4 + k % 4) * 4 + row / 8 + k % 8 / 4 * 2], y = line[kt][nt][k % 8 / 4];
                const float x_upper = SPLIT ? hs_upper(x) : x, y_upper = SPLIT ? hs_upper(y) : y;
                part[0] += hs_seen(x - x_upper) * hs_seen(y_upper);
                part[1] += hs_seen(x_upper) * hs_seen(y - y_upper);
                part[2] += hs_seen(x_upper) * hs_seen(y_upper);
            }
            for (int i = SPLIT ? 0 : 2; i < 3; i++)
                sum = hs_cut_off(sum + part[i]);
        }
        acc[nt][at % 4] = sum;
    }
    (void)emulation::meet({}); /* B of the others is read; now it may change */
}
#endif

#endif
