/* hs_cuda.h - private to cuda/: what the host side of the backend shares. Kernels are declared in kernels.h. */
#ifndef HS_CUDA_H
#define HS_CUDA_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cufft.h>

#include "conv_pool.h"
#include "hs_backend.h"
#include "kernels.h"
#include "plane.h"

typedef struct hs_cuda_device {
    hs_device base;
    char name[128], bus[32];
    int major, minor, processors;
    size_t memory, shared;             /* bytes; of shared memory that a block may have */
    const char *precision;             /* "fp32", "tf32", "bf16", "exact" */
    hs_cuda_math math;                 /* the same for our own products */
    cublasComputeType_t compute;       /* of products between activations and weights; transforms are always fp32 */
    double bandwidth, products, plain; /* for cost(): bytes/s, flop/s of products, flop/s without tensor cores */
    struct hs_cudnn *cudnn;            /* once somebody ASKED; NULL: none that serves */
    bool cudnn_asked;
    cudaStream_t setup;                /* of plans: tables go up, memory is cleared */
} hs_cuda_device;

typedef struct hs_cuda_stream {
    hs_stream base;
    cudaStream_t stream;
    cublasHandle_t blas;
    void *blas_workspace;  /* ours, so that products allocate nothing and can be captured */
    double *partial;       /* [HS_CUDA_PARTIALS] of sums in two passes */
    char *pinned[2];       /* host memory that the device reads: uploads take turns in both */
    cudaEvent_t passed[2]; /* the device has read it */
    int turn;              /* the one that is being filled, */
    size_t used;           /* so far */
    char *mail;            /* pinned, [HS_POST_SLOTS][HS_POST_MOST]: what was posted to the host */
    cudaEvent_t mailed[HS_POST_SLOTS];
} hs_cuda_stream;

extern const hs_device_ops hs_cuda_device_ops;
hs_status hs_cuda_record_begin(hs_stream *s); /* record.c */
hs_status hs_cuda_record_end(hs_stream *s, hs_recording **recording);
hs_status hs_cuda_record_repeat(hs_stream *s, hs_recording *recording);
void hs_cuda_record_destroy(hs_recording **recording);
hs_status hs_cuda_post(hs_stream *s, int slot, const void *device_from, size_t bytes);
hs_status hs_cuda_collect(hs_stream *s, int slot, void *host_to, size_t bytes, bool *there);
extern const hs_memory_ops hs_cuda_memory_ops;
extern const hs_gemm_ops hs_cuda_gemm_ops;
extern const hs_transform_ops hs_cuda_transform_ops;
extern const hs_conv_ops hs_cuda_conv_ops;
extern const hs_pool_ops hs_cuda_pool_ops;
extern const hs_element_ops hs_cuda_element_ops;
extern const hs_norm_ops hs_cuda_norm_ops;
extern const hs_loss_ops hs_cuda_loss_ops;
extern const hs_optim_ops hs_cuda_optim_ops;
extern const hs_data_ops hs_cuda_data_ops;
extern const hs_backend hs_backend_cuda;

static inline hs_cuda_device *hs_cuda_device_of(const hs_device *device)
{
    return (hs_cuda_device *)device;
}
static inline hs_cuda_stream *hs_cuda_stream_of(hs_stream *s)
{
    return (hs_cuda_stream *)s;
}
static inline cudaStream_t hs_cuda_raw(hs_stream *s)
{
    return hs_cuda_stream_of(s)->stream;
}
static inline double *hs_cuda_partial(hs_stream *s)
{
    return hs_cuda_stream_of(s)->partial;
}
static inline const hs_cuda_device *hs_cuda_of(const hs_stream *s)
{
    return (const hs_cuda_device *)s->device;
}

/* Maps in space at an edge that we alone see are stored as bf16, NHWC, in that precision. */
static inline bool hs_cuda_half_edge(const hs_device *device, bool sealed)
{
    return sealed && hs_cuda_device_of(device)->math == HS_CUDA_BF16;
}

/* ---- check.c: what the libraries return, as a status with a message ----------------------------------------------------- */

hs_status hs_cuda_check(cudaError_t error, const char *what);
hs_status hs_cuda_check_fft(cufftResult result, const char *what);
hs_status hs_cuda_check_blas(cublasStatus_t status, const char *what);

/* ---- memory.c ----------------------------------------------------------------------------------------------------------- */

enum { HS_CUDA_PINNED = 1 << 22 }; /* bytes of one of the two staging buffers */

hs_status hs_cuda_alloc(size_t bytes, const char *what, void *memory_pointer); /* not cleared; WHAT for the message */
/* A table of a plan: device memory with a copy of BYTES at HOST. Free with cudaFree. */
hs_status hs_cuda_put(const hs_device *device, const void *host, size_t bytes, const char *what, void *memory_pointer);

/* ---- gemm.c ------------------------------------------------------------------------------------------------------------- */

/* BATCH products C = alpha op(A) op(B) + beta C, row-major, matrices STRIDE numbers apart (0: the same for all). EXACT: in fp32
 * whatever the device's precision. */
typedef struct hs_cuda_product {
    bool exact, trans_a, trans_b;
    bool half, half_c; /* A and B are stored as bf16; so is C. Sums are fp32 */
    int m, n, k;
    const void *a, *b;
    void *c;
    int lda, ldb, ldc;
    ptrdiff_t stride_a, stride_b, stride_c;
    int batch;
    float alpha, beta;
} hs_cuda_product;
hs_status hs_cuda_multiply(hs_stream *s, const hs_cuda_product *p);

/* ---- transform.c -------------------------------------------------------------------------------------------------------- */

/* Planes h x w of c channels, filled up with zeros to GRID, and their spectra, which have the grid's bins. */
typedef struct hs_cuda_edge {
    int capacity, h, w, grid_h, grid_w, c;
    bool relu;             /* inverse rectifies, forward masks */
    bool half, half_plane; /* spectra, planes are stored as bf16 */
} hs_cuda_edge;
/* Planes of up to HS_PLANE_SIDE are multiplied by matrices in one pass (plane.h), larger ones and those in exact precision go through
 * cuFFT. */
hs_status hs_cuda_transform_plan(hs_device *device, const hs_cuda_edge *edge, hs_transform **out);
/* BITS of the rectifier, NULL without one. BIAS [c] or NULL is added to every pixel, before the rectifier. */
hs_status hs_cuda_transform_forward(hs_stream *s, hs_transform *t, int n, const void *space, const void *bits, void *spectrum,
                                    void *scratch);
hs_status hs_cuda_transform_inverse(hs_stream *s, hs_transform *t, int n, const void *spectrum, const float *bias, void *bits,
                                    void *space, void *scratch);
size_t hs_cuda_transform_bits(const hs_transform *t); /* bytes */
/* Forward, and as long for inverse. */
double hs_cuda_transform_seconds(const hs_device *device, const hs_cuda_edge *edge);
/* The smallest side >= N without prime factors beyond 7. */
int hs_cuda_good_side(int n);

/* ---- conv_space.c, conv_fft_plan.c, conv_fft.c ------------------------------------------------------------------------------------------- */

typedef struct hs_cuda_fft {
    int grid_h, grid_w, bins;
    bool half;                       /* spectra inside the layer, and filters, are stored as bf16; */
    bool half_in, half_out;          /* so are x and dx, y and dy, where they are spectra at sealed edges */
    hs_transform *in, *out;          /* of edges in space */
    hs_cuda_plane rectify, mask;     /* of y and dy in the spectrum, with a rectifier */
    float *phases;                   /* [bins][taps][re, im]: the map from taps to filter spectra */
} hs_cuda_fft;

typedef struct hs_cuda_implicit {
    hs_cuda_gather forward, taps, back;
    hs_cuda_place *x_place, *dy_place; /* device memory */
    int span;
} hs_cuda_implicit;

/* A way to convolve in space. Forward gets BIAS and MASK (may be NULL; both are if it does not FINISH), backward dy behind the mask. Where x or y is
 * stored as bf16, taps and dy are rounded to it for a way that ROUNDS. */
typedef struct hs_cuda_way {
    const char *name;
    bool finishes, rounds;
    bool (*offers)(const hs_cuda_device *device, const hs_conv_desc *desc);
    double (*seconds)(const hs_cuda_device *device, const hs_conv_desc *desc); /* forward and backward, without bias and rectifier */
    hs_status (*plan)(hs_conv *conv);
    void (*destroy)(hs_conv *conv);
    size_t (*scratch_bytes)(const hs_conv *conv);
    hs_status (*forward)(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch);
    hs_status (*backward)(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch);
} hs_cuda_way;
extern const hs_cuda_way hs_cuda_implicit_way, hs_cuda_cudnn_way, hs_cuda_windows_way, hs_cuda_cudnn_apart_way, hs_cuda_product_way;

const struct hs_cudnn *hs_cuda_cudnn_of(const hs_cuda_device *device); /* opens it on the first call; NULL: there is none */

struct hs_conv {
    hs_conv_desc d;
    hs_device *device;
    int taps;
    bool half_in, half_out; /* x and dx, y and dy are maps in space stored as bf16 */
    const hs_cuda_way *way; /* in space */
    hs_cuda_implicit implicit;
    struct hs_cuda_library_conv *library; /* cuDNN */
    int chunk; /* windows: samples whose windows are in memory at a time */
    hs_cuda_taps geometry;
    hs_cuda_fft fft;
    hs_cuda_pooled pooled;
};

/* The greater of moving NUMBERS and computing FLOPS, and a launch. */
double hs_cuda_longest(const hs_cuda_device *d, double numbers, double flops, double rate);
size_t hs_cuda_conv_mask(const hs_conv *conv); /* bytes; 0 without a rectifier */
/* Bias (may be NULL) and rectifier behind what computed y alone. */
hs_status hs_cuda_conv_finish(hs_stream *s, const hs_conv *conv, int n, const float *bias, void *y, uint8_t *mask);
/* Sums of dy into DBIAS, may be NULL; dy behind the mask, NULL: all of it, goes to DM, NULL or stored as bf16 if HALF_DM. */
hs_status hs_cuda_conv_begin(hs_stream *s, const hs_conv *conv, int n, const void *dy, const uint8_t *mask, bool half_dm, void *dm,
                             float *dbias);

unsigned hs_cuda_space_ways(const hs_cuda_device *d, const hs_conv_desc *desc);
double hs_cuda_space_seconds(const hs_cuda_device *d, const hs_conv_desc *desc);
hs_status hs_cuda_space_plan(hs_conv *conv);
void hs_cuda_space_destroy(hs_conv *conv);
size_t hs_cuda_space_saved(const hs_conv *conv);
size_t hs_cuda_space_scratch(const hs_conv *conv);
hs_status hs_cuda_space_forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias,
                                void *y, void *saved, void *scratch);
hs_status hs_cuda_space_backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy,
                                 void *dx, float *dtaps, float *dbias, const void *saved, void *scratch);

bool hs_cuda_fft_supports(const hs_device *device, const hs_conv_desc *desc);
double hs_cuda_fft_seconds(const hs_device *device, const hs_conv_desc *desc);
hs_status hs_cuda_fft_plan(hs_conv *conv);
void hs_cuda_fft_destroy(hs_conv *conv);
size_t hs_cuda_fft_saved(const hs_conv *conv);
size_t hs_cuda_fft_scratch(const hs_conv *conv);
bool hs_cuda_fft_reads_x(const hs_conv *conv);
hs_status hs_cuda_fft_forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias,
                              void *y, void *saved, void *scratch);
hs_status hs_cuda_fft_backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy,
                               void *dx, float *dtaps, float *dbias, void *saved, void *scratch);

/* conv_pool.c: descriptions with a max pool */
bool hs_cuda_pooled_supports(const hs_cuda_device *d, const hs_conv_desc *desc);
double hs_cuda_pooled_seconds(const hs_cuda_device *d, const hs_conv_desc *desc);
void hs_cuda_pooled_plan(hs_conv *conv);
size_t hs_cuda_pooled_saved(const hs_conv *conv);
size_t hs_cuda_pooled_scratch(const hs_conv *conv);
hs_status hs_cuda_pooled_run(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias, void *y,
                             void *saved, void *scratch);
hs_status hs_cuda_pooled_back(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *dy, float *dtaps, float *dbias,
                              const void *saved, void *scratch);

/* ---- pool.c, spool.c ---------------------------------------------------------------------------------------------------- */

bool hs_cuda_spool_supports(const hs_device *device, const hs_spool_desc *desc);
double hs_cuda_spool_cost(const hs_device *device, const hs_spool_desc *desc);
hs_status hs_cuda_spool_plan(hs_device *device, const hs_spool_desc *desc, hs_spool **out);
void hs_cuda_spool_destroy(hs_spool **plan);
size_t hs_cuda_spool_saved(const hs_spool *plan);
size_t hs_cuda_spool_scratch(const hs_spool *plan);
hs_status hs_cuda_spool_fwd(hs_stream *s, hs_spool *plan, int n, const void *x, void *y, void *saved, void *scratch);
hs_status hs_cuda_spool_bwd(hs_stream *s, hs_spool *plan, int n, const void *dy, void *dx, const void *saved, void *scratch);
hs_status hs_cuda_lowpass(hs_stream *s, hs_spool *plan, int n, const void *x, const int32_t *keep, void *y, void *scratch);

/* Bytes rounded up so that what follows is aligned as cudaMalloc aligns. */
static inline size_t hs_cuda_line(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

#endif
