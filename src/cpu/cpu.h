/* cpu.h - what the files of the CPU backend share: the device, and work split among threads. */
#ifndef HS_CPU_H
#define HS_CPU_H

#include "hs_backend.h"
#include "kernels.h"

/* A device serves one caller at a time: its threads have one packing buffer each. */
typedef struct hs_cpu_device {
    hs_device base; /* first: an hs_device pointer is one to this */
    const hs_cpu_kernels *kernels;
    const hs_cpu_bf16 *bf16; /* products of bins in bf16; NULL: in fp32, as everything else is */
    float *pack;     /* [threads][HS_CPU_PACK] */
    size_t l2_bytes; /* of a core */
} hs_cpu_device;

enum { HS_CPU_PACK = 128 * 1024 }; /* floats: 512 KB, of a core's 1 or 2 MB of L2 */

static inline float *hs_cpu_pack(const hs_cpu_device *d, int thread)
{
    return d->pack + (size_t)HS_CPU_PACK * (size_t)thread;
}

static inline const hs_cpu_device *hs_cpu_of(const hs_stream *s)
{
    return (const hs_cpu_device *)s->device;
}

/* Of the panel at the head of LEFT padded channels: 48, 32 or 16, as many 48s as leave no rest of 16 (64 = 32 + 32). */
static inline int hs_cpu_panel_width(int left)
{
    return left >= HS_CPU_PANEL && left != 64 ? HS_CPU_PANEL : left >= 32 ? 32 : 16;
}

/* Channels [first, first + width) of panel INDEX when CP padded channels are cut into panels. Returns false behind the last. */
bool hs_cpu_panel(int cp, int index, int *first, int *width);
int hs_cpu_panels(int cp);

/* Part INDEX of COUNT in which [0, total) is cut, borders at multiples of GRAIN. */
typedef struct hs_cpu_range {
    size_t first, last;
} hs_cpu_range;
hs_cpu_range hs_cpu_part(size_t total, size_t grain, int index, int count);

/* BODY for tasks 0 .. tasks-1, the next one to whichever of THREADS is free. One thread does it by itself: OpenMP would take memory for a team
 * of one. */
typedef void (*hs_cpu_body)(const void *context, int task, int thread);
void hs_cpu_each(int threads, int tasks, hs_cpu_body body, const void *context);

/* product.c, on the calling thread: C [m][n] = op(A) op(B), plus C if ADD. PACK has HS_CPU_PACK floats. Every number of C is one sum in the order
 * of k, so it does not matter how a caller cuts m and n among threads. */
void hs_cpu_product(const hs_cpu_kernels *kernels, float *pack, bool trans_a, bool trans_b, int m, int n, int k, const float *a, size_t lda,
                    const float *b, size_t ldb, bool add, float *c, size_t ldc);

static inline size_t hs_cpu_line(size_t bytes) /* rounded up to whole lines of 64 bytes */
{
    return (bytes + 63) & ~(size_t)63;
}

extern const hs_device_ops hs_cpu_device_ops;
extern const hs_gemm_ops hs_cpu_gemm_ops;
extern const hs_transform_ops hs_cpu_transform_ops;
extern const hs_conv_ops hs_cpu_conv_ops;
extern const hs_pool_ops hs_cpu_pool_ops;
extern const hs_element_ops hs_cpu_element_ops;
extern const hs_norm_ops hs_cpu_norm_ops;
extern const hs_loss_ops hs_cpu_loss_ops;
extern const hs_optim_ops hs_cpu_optim_ops;
extern const hs_backend hs_backend_cpu;

#endif
