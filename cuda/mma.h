/* mma.h - what a warp does as one: products of small matrices on tensor cores, and copies to shared memory that run while it
 * computes.
 *
 * Fragments are NVIDIA's (PTX ISA, "Matrix fragments for mma.m16n8k8 / m16n8k16"): with g = lane / 4 and t = lane % 4 a lane holds
 *   of D [16][8]                d[0], d[1] = row g, columns 2t, 2t + 1;   d[2], d[3] = row g + 8
 *   of A [16][8] in tf32        a[0], a[1] = rows g, g + 8 at column t;   a[2], a[3] at column t + 4
 *   of B [8][8]  in tf32        b[0], b[1] = rows t, t + 4 at column g
 *   of A [16][16] in bf16       a[0], a[1] = rows g, g + 8 at columns 2t, 2t + 1;   a[2], a[3] at columns 2t + 8, 2t + 9
 *   of B [16][8]  in bf16       b[0], b[1] = rows 2t, 2t + 1 and 2t + 8, 2t + 9 at column g
 * hs_load_matrices fills two of them from shared memory: of four matrices [8][8] in bf16, whose rows lanes 0-7, 8-15, 16-23 and 24-31
 * point to, a lane gets numbers 2t, 2t + 1 of row g each, or, transposed, number g of rows 2t, 2t + 1.
 *
 * On the host (tests/cuda_emulation) the same is computed lane by lane, and a copy is made when it is waited for and not before,
 * so that a missing wait is seen. */
#ifndef HS_CUDA_MMA_H
#define HS_CUDA_MMA_H

#include "launch.h"

#ifdef __CUDACC__
#define HS_UNROLL _Pragma("unroll")

/* To 10 bits of mantissa, nearest, ties away from zero. */
static __device__ __forceinline__ uint32_t hs_to_tf32(float x)
{
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

/* Two numbers to 7 bits of mantissa, nearest, ties to even; LOW in the lower half. */
static __device__ __forceinline__ uint32_t hs_to_bf16(float low, float high)
{
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

/* D += A B, [16][8] += [16][8] [8][8]. Volatile: all lanes take part, even where some do not use what comes out. */
static __device__ __forceinline__ void hs_mma_tf32(float *d, const uint32_t *a, const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* D += A B, [16][8] += [16][16] [16][8]. */
static __device__ __forceinline__ void hs_mma_bf16(float *d, const uint32_t *a, const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* ROW: 16 bytes of shared memory at an address that divides by 16. */
template <bool TRANSPOSED> static __device__ __forceinline__ void hs_load_matrices(uint32_t *word, const void *row)
{
    const uint32_t from = (uint32_t)__cvta_generic_to_shared(row);
    if (TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
            : "r"(from)
            : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
            : "r"(from)
            : "memory");
}

/* BYTES (4, 8 or 16, both sides aligned to them) go to shared memory, or zeros if not WANTED; FROM is not read then. */
template <int BYTES> static __device__ __forceinline__ void hs_copy(void *shared, const void *from, bool wanted)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(from),
                 "n"(BYTES), "r"(wanted ? BYTES : 0)
                 : "memory");
}

/* What was copied since the last call is one group. */
static __device__ __forceinline__ void hs_copy_group()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* All groups of this thread but the last LEFT have arrived; a barrier lets others see them. */
template <int LEFT> static __device__ __forceinline__ void hs_copy_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

#else
#define HS_UNROLL

static inline uint32_t hs_bits_of(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float hs_float_of(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t hs_to_tf32(float x)
{
    const uint32_t bits = hs_bits_of(x);
    return x != x ? 0x7FC00000u : (bits + 0x1000u) & ~0x1FFFu;
}

static inline uint32_t hs_to_bf16(float low, float high)
{
    const float both[2] = {low, high};
    uint32_t half[2];
    for (int i = 0; i < 2; i++) {
        const uint32_t bits = hs_bits_of(both[i]);
        half[i] = both[i] != both[i] ? 0x7FC0u : (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
    }
    return half[0] | half[1] << 16;
}

/* DEPTH numbers of a row of A and of a column of B lie in the lanes of a quad: number K in lane K % 8 / PER % 4, PER in a word. */
template <int PER> static inline float hs_emulated_number(const emulation::fragment *f, bool is_b, int line, int k)
{
    const int lane = line % 8 * 4 + k / PER % 4, high = k / (4 * PER);
    const uint32_t word = is_b ? f[lane].b[high] : f[lane].a[2 * high + line / 8];
    return PER == 1 ? hs_float_of(word) : hs_float_of(k % 2 ? word & 0xFFFF0000u : word << 16);
}

/* Tensor cores cut a sum off to 24 bits, towards zero; they do not round it. */
static inline float hs_cut_off(double sum)
{
    const float near = (float)sum;
    const bool over = near > 0 ? near > sum : near < sum;
    return near == near && over ? hs_float_of(hs_bits_of(near) - 1) : near;
}

template <int PER> static inline void hs_emulated_mma(float *d, const uint32_t *a, const uint32_t *b)
{
    const unsigned lane = emulation::lane();
    const emulation::fragment *f = emulation::meet({{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
    for (int i = 0; i < 4; i++) {
        const int row = (int)lane / 4 + (i / 2) * 8, col = (int)lane % 4 * 2 + i % 2;
        double sum = d[i];
        for (int k = 0; k < 8 * PER; k++)
            sum += (double)hs_emulated_number<PER>(f, false, row, k) * (double)hs_emulated_number<PER>(f, true, col, k);
        d[i] = hs_cut_off(sum);
    }
}

static inline void hs_mma_tf32(float *d, const uint32_t *a, const uint32_t *b)
{
    hs_emulated_mma<1>(d, a, b);
}

static inline void hs_mma_bf16(float *d, const uint32_t *a, const uint32_t *b)
{
    hs_emulated_mma<2>(d, a, b);
}

template <bool TRANSPOSED> static inline void hs_load_matrices(uint32_t *word, const void *row)
{
    const uint64_t own = (uint64_t)(uintptr_t)row;
    const unsigned g = emulation::lane() / 4, t = emulation::lane() % 4;
    if (own % 16)
        emulation::die("a matrix in shared memory", "has a row that is not aligned to 16 bytes");
    const emulation::fragment *f = emulation::meet({{(uint32_t)own, (uint32_t)(own >> 32), 0, 0}, {0, 0}});
    for (unsigned i = 0; i < 4; i++) {
        uint16_t both[2];
        for (unsigned k = 0; k < 2; k++) {
            const unsigned line = TRANSPOSED ? 2 * t + k : g, number = TRANSPOSED ? g : 2 * t + k;
            const uint32_t *at = f[8 * i + line].a;
            both[k] = reinterpret_cast<const uint16_t *>((uintptr_t)((uint64_t)at[1] << 32 | at[0]))[number];
        }
        word[i] = both[0] | (uint32_t)both[1] << 16;
    }
}

template <int BYTES> static inline void hs_copy(void *shared, const void *from, bool wanted)
{
    emulation::copy_later(shared, wanted ? from : nullptr, BYTES);
}

static inline void hs_copy_group()
{
    emulation::copy_group();
}

template <int LEFT> static inline void hs_copy_wait()
{
    emulation::copy_wait(LEFT);
}
#endif

#endif
