/* hs_backend.h - the whole contract of a backend, for whoever writes one. Users of the library do not need it.
 *
 * A backend is a const table of tables of typed function pointers, filled with designated initialisers. `ref` (plain loops, double) is
 * the truth; `cpu` starts as ref's float build and overrides entry by entry; `cuda` fills its own. Rules for every entry:
 *   - it works on memory of its device, takes a stream first, and may return before the work is done; errors of the launch come
 *     back as status, the work itself is complete after stream->sync;
 *   - it allocates nothing and opens nothing: what it needs is made by the *_plan functions, before the first step;
 *   - pointers are to the backend's real type; sizes are in numbers, not bytes, unless the name says bytes;
 *   - parameters, their gradients and moments lie anywhere in a slab: aligned to one number, no more. Activations and scratch are aligned
 *     to 256 bytes;
 *   - a NaN that goes in comes out (maxima and rectifiers included), so that the loss shows it; what dropout drops is 0 whatever it was;
 *   - N is the number of samples of THIS call, 0 <= n <= the plan's capacity; n = 0 is legal and gives zero gradients;
 *   - outputs are overwritten unless "adds to" is said. x and y may be the same pointer where "in place" is said. */
#ifndef HS_BACKEND_H
#define HS_BACKEND_H

#include "hs_log.h"
#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hs_backend hs_backend;
struct hs_comm;      /* hs_comm.h */
struct hs_comm_wish;

/* A place to compute: threads, library handles, plans. Backends extend it by embedding it first. */
typedef struct hs_device {
    const hs_backend *backend;
    int threads;         /* CPU threads it may use */
    int ordinal;         /* GPU number, -1 on CPU */
    const hs_log *log;   /* borrowed */
} hs_device;

/* An order of work. On a CPU everything is done when a call returns. */
typedef struct hs_stream {
    hs_device *device;
} hs_stream;

typedef struct hs_recording hs_recording; /* backend's own */

typedef struct hs_device_options {
    int threads;      /* 0: what the process may use */
    int ordinal;      /* GPU to take, -1: local rank modulo devices */
    int local_rank;   /* of this rank on its node */
    int local_size;
    const char *precision; /* "fp32", "tf32", "bf16", "exact", "double" */
    const hs_log *log;
} hs_device_options;

typedef struct hs_device_ops {
    hs_status (*open)(const hs_backend *backend, const hs_device_options *options, hs_device **device);
    void (*close)(hs_device **device);
    /* One line for people: "cpu: 2 threads, FFTW 3.3.10, OpenBLAS 0.3.21". */
    void (*describe)(const hs_device *device, char *text, size_t capacity);
    hs_status (*stream_create)(hs_device *device, hs_stream **stream);
    void (*stream_destroy)(hs_stream **stream);
    hs_status (*stream_sync)(hs_stream *stream);
    /* Optional, all or none. What is queued on STREAM between begin and end is not done but recorded, with the arguments it has then and the
     * contents that memory will have at each repeat. In between nothing may wait, allocate, or copy from or to the host. */
    hs_status (*record_begin)(hs_stream *stream);
    hs_status (*record_end)(hs_stream *stream, hs_recording **recording); /* ends it in any case */
    hs_status (*record_repeat)(hs_stream *stream, hs_recording *recording);
    void (*record_destroy)(hs_recording **recording);
    /* With them: a few numbers for the host, which need not wait for all that is queued. post sends BYTES of device memory, as they are behind what
     * STREAM holds now, to SLOT; collect gives them. Where THERE is NULL it waits for them, else it only looks. */
    hs_status (*post)(hs_stream *stream, int slot, const void *device_from, size_t bytes);
    hs_status (*collect)(hs_stream *stream, int slot, void *host_to, size_t bytes, bool *there);
} hs_device_ops;
enum { HS_POST_SLOTS = 2, HS_POST_MOST = 256 }; /* bytes of a slot */

typedef struct hs_memory_ops {
    hs_status (*alloc)(hs_device *device, size_t bytes, void **memory); /* zeroed, aligned to 256 bytes */
    void (*free)(hs_device *device, void *memory);
    hs_status (*upload)(hs_stream *s, void *device_to, const void *host_from, size_t bytes);   /* host memory is reusable on return */
    hs_status (*download)(hs_stream *s, void *host_to, const void *device_from, size_t bytes); /* complete on return */
    hs_status (*copy)(hs_stream *s, void *to, const void *from, size_t bytes);
    hs_status (*zero)(hs_stream *s, void *memory, size_t bytes);
    hs_status (*from_float)(hs_stream *s, size_t count, const float *host_from, void *real_to); /* widen on upload: inputs */
    bool host_visible; /* device pointers may be read by the host (and given to MPI) after sync */
} hs_memory_ops;

/* ---- products ---------------------------------------------------------------------------------------------------------------- */

typedef struct hs_gemm_ops {
    /* C [m][n] = alpha op(A) op(B) + beta C, row-major, leading dimensions in numbers; op transposes when the flag is set. */
    hs_status (*gemm)(hs_stream *s, bool trans_a, bool trans_b, int m, int n, int k, double alpha, const void *a, int lda, const void *b,
                      int ldb, double beta, void *c, int ldc);
    /* y [rows][cols] += bias [cols];   dbias [cols] = sum over rows of dy. */
    hs_status (*bias_add)(hs_stream *s, int rows, int cols, const void *bias, void *y);
    hs_status (*bias_grad)(hs_stream *s, int rows, int cols, const void *dy, void *dbias);
} hs_gemm_ops;

/* ---- transforms -------------------------------------------------------------------------------------------------------------- */

typedef struct hs_transform hs_transform; /* backend's own */
typedef struct hs_transform_ops {
    hs_status (*plan)(hs_device *device, int capacity, int h, int w, int c, hs_transform **out);
    void (*destroy)(hs_transform **plan);
    size_t (*scratch_bytes)(const hs_transform *plan);
    /* [n][h][w][c] -> [U][n][2c] in orthonormal coordinates, and back. Each is the other's inverse and adjoint. */
    hs_status (*forward)(hs_stream *s, hs_transform *plan, int n, const void *space, void *spectrum, void *scratch);
    hs_status (*inverse)(hs_stream *s, hs_transform *plan, int n, const void *spectrum, void *space, void *scratch);
} hs_transform_ops;

/* ---- convolution -------------------------------------------------------------------------------------------------------------- */

/* Correlation: y(o, p) = bias(o) + sum_{c, t} taps(t, c, o) x(c, p*stride + t - pad), out-of-range x being 0 or wrapped. Same size at stride 1:
 * output sides ceil(H / stride), pad = (k-1)/2 before. `flip` reverses the taps about the anchor (true convolution). TAPS [kh*kw][ci][co]. */
typedef struct hs_conv_desc {
    int capacity; /* most samples of one call */
    int h, w, ci, co, kh, kw, stride;
    int oh, ow;
    int pad_h, pad_w;
    hs_boundary boundary;
    bool flip, bias, need_dx;
    bool relu; /* y = max(0, conv + bias), in space whatever `out` is. Backward gets dy of that y and masks it as it reads it: dy is not changed.
                * What passed, or was NaN, is one bit a number in `saved`. Optional: supports() says. */
    /* A max pool behind the rectifier: its window's side (0: none) and stride, padded and rounded as hs_window is. y and dy are then the POOLED
     * map [n][ph][pw][co], oh x ow stay the convolution's own sides. Only with relu and out = SPACE. Of conv outputs that are equal the first in
     * row order gets the gradient, none where nothing is positive; a NaN passes. Who won is kept in `saved` as the backend likes. Optional too. */
    int pool, pool_stride, ph, pw;
    hs_domain in, out;     /* domain of x and dx, of y and dy; SPECTRUM only for periodic, stride 1 */
    hs_engine engine;      /* DIRECT or FFT; never AUTO here */
    bool sealed_in, sealed_out; /* an edge that only convolutions, dense layers, spectral pooling and (in space) max and average pooling of this backend
                                 * write and read, both ways: x and dx, or y and dy. It may lie there as they like, in no more memory: see seals() */
    int way;               /* which of ways(), from 1; 0: the backend chooses by its estimates */
} hs_conv_desc;
typedef struct hs_conv hs_conv; /* backend's own */
typedef struct hs_conv_ops {
    bool (*supports)(const hs_device *device, const hs_conv_desc *desc);
    /* Estimated seconds of forward + backward for desc->capacity samples, transforms inside the layer included. */
    double (*cost)(const hs_device *device, const hs_conv_desc *desc);
    /* Optional: a bit for each way in which a backend can carry out DESC's engine, so that a planner which measures may choose; 0: there is one. */
    unsigned (*ways)(const hs_device *device, const hs_conv_desc *desc);
    const char *(*way_name)(const hs_conv *plan); /* optional: of the way that was planned, "" if there is one */
    hs_status (*plan)(hs_device *device, const hs_conv_desc *desc, hs_conv **out);
    void (*destroy)(hs_conv **plan);
    size_t (*saved_bytes)(const hs_conv *plan);   /* kept from forward to backward of one batch; 0: backward reads x */
    size_t (*scratch_bytes)(const hs_conv *plan); /* free between calls, shared by all layers */
    bool (*backward_reads_x)(const hs_conv *plan);
    bool (*seals)(const hs_device *device, hs_domain domain); /* stores sealed edges of this domain otherwise than others; NULL: no */
    void (*grid)(const hs_conv *plan, int *h, int *w); /* optional: sides on which an FFT engine transforms */
    hs_status (*forward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y, void *saved,
                         void *scratch);
    /* dx (skipped if NULL), dtaps, dbias (skipped if NULL). x may be NULL where backward_reads_x is false. */
    hs_status (*backward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx, void *dtaps,
                          void *dbias, void *saved, void *scratch);
    bool dense; /* a dense layer comes as a convolution of a map of one pixel, DIRECT in space, which supports() covers; else as products and biases.
                 * A backend that seals edges in space says so */
} hs_conv_ops;

/* ---- pooling -------------------------------------------------------------------------------------------------------------------- */

typedef struct hs_window {
    int h, w, c;      /* input plane */
    int k, stride, pad; /* square window; pad cells before = (k-1)/2; outside is left out (max) or not counted (average) */
    int oh, ow;
    bool sealed_in, sealed_out; /* as in hs_conv_desc; global_* know nothing of it */
} hs_window;
/* Spectral pooling h x w -> oh x ow between two domains, y = R_out(pool(R_in(x))): with both domains SPECTRUM and rectifiers it is the whole way
 * between two convolutions in the spectrum in one pass over a plane; oh = h, ow = w with relu_in is a plain rectifier there. */
typedef struct hs_spool_desc {
    int capacity, h, w, c, oh, ow;
    hs_pool_norm norm;
    hs_domain in, out;
    bool relu_in, relu_out; /* rectify, in space, the map before pooling and the pooled map; masks in `saved` as in hs_conv_desc. Optional too */
    bool sealed_in, sealed_out; /* as in hs_conv_desc; not with lowpass */
} hs_spool_desc;
typedef struct hs_spool hs_spool;
typedef struct hs_pool_ops {
    /* ARG [n][oh][ow][c]: index of the winner inside its window (first in row order on ties). */
    hs_status (*max_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg);
    hs_status (*max_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx);
    hs_status (*average_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y);
    hs_status (*average_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx);
    hs_status (*global_fwd)(hs_stream *s, hs_shape shape, int n, const void *x, void *y); /* [n][h][w][c] -> [n][c] mean */
    hs_status (*global_bwd)(hs_stream *s, hs_shape shape, int n, const void *dy, void *dx);

    bool (*spectral_supports)(const hs_device *device, const hs_spool_desc *desc);
    double (*spectral_cost)(const hs_device *device, const hs_spool_desc *desc); /* as hs_conv_ops.cost */
    hs_status (*spectral_plan)(hs_device *device, const hs_spool_desc *desc, hs_spool **out);
    void (*spectral_destroy)(hs_spool **plan);
    size_t (*spectral_saved_bytes)(const hs_spool *plan);   /* kept from forward to backward: masks of rectifiers, 0 without them */
    size_t (*spectral_scratch_bytes)(const hs_spool *plan);
    hs_status (*spectral_fwd)(hs_stream *s, hs_spool *plan, int n, const void *x, void *y, void *saved, void *scratch);
    /* The transpose, and the masks of rectifiers. */
    hs_status (*spectral_bwd)(hs_stream *s, hs_spool *plan, int n, const void *dy, void *dx, const void *saved, void *scratch);

    /* Frequency dropout, in space or in the spectrum as the plan says (a spool with oh = h, ow = w, out = in): sample i keeps the first
     * KEEP[2i] coordinates of the real Fourier basis along h and the first KEEP[2i+1] along w (order DC, cos1, sin1, .., as pooling keeps
     * them) and loses the rest. An orthogonal projection, so backward is the same call on dy. KEEP int32 in device memory, 1 .. side. */
    hs_status (*lowpass)(hs_stream *s, hs_spool *plan, int n, const void *x, const int32_t *keep, void *y, void *scratch);
} hs_pool_ops;

/* ---- elementwise ------------------------------------------------------------------------------------------------------------------ */

typedef struct hs_element_ops {
    hs_status (*relu_fwd)(hs_stream *s, size_t count, const void *x, void *y);                  /* in place allowed */
    hs_status (*relu_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx); /* from the OUTPUT; dx = dy allowed; NaN passes */
    hs_status (*tanh_fwd)(hs_stream *s, size_t count, const void *x, void *y);
    hs_status (*tanh_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx); /* from the OUTPUT */
    hs_status (*add)(hs_stream *s, size_t count, const void *a, const void *b, void *y);        /* in place allowed */
    hs_status (*scale)(hs_stream *s, size_t count, double factor, void *y);
    /* Inverted dropout: kept with probability 1-p and divided by it. Element j of row i draws from hs_random(seed, HS_DRAW_DROPOUT,
     * *step, layer, (first + i) * features + j), uniform < p dropped. STEP [1] in device memory. Backward is the same call on dy. */
    hs_status (*dropout)(hs_stream *s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer, int64_t first,
                         const void *x, void *y);
    /* Spectral activations on [bins][n][2c], in orthonormal coordinates, offset b [c] per channel:
     *   modReLU         g = max(1 + b/|z|, 0), z -> g z            (Arjovsky, Shah, Bengio 2016)
     *   soft threshold  g = max(1 - |b|/|z|, 0), z -> g z
     * |z| is the modulus of the UNITARY bin (coordinates of non-self bins are sqrt2 larger). SELF [bins] bytes: 1 if self-conjugate.
     * bwd adds nothing: dx and db are overwritten; db [c] sums over bins and samples. */
    hs_status (*modulus_fwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b, void *y);
    hs_status (*modulus_bwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                             const void *dy, void *dx, void *db);
} hs_element_ops;

/* ---- batch normalisation over rows = n*h*w of c channels; sums may be all-reduced between the two halves --------------------------- */

typedef struct hs_norm_ops {
    /* SUMS [2][c] real: sum x, sum x^2 (fp32 backends sum in double or pairwise). */
    hs_status (*moments)(hs_stream *s, size_t rows, int c, const void *x, double *sums);
    /* y = gamma (x - mean) rstd + beta; MEAN, RSTD [c] double in device memory. */
    hs_status (*apply)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                       const void *beta, void *y);
    /* SUMS [2][c]: sum dy, sum dy * xhat. */
    hs_status (*moments_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *dy,
                             double *sums);
    /* dx = gamma rstd (dy - sums0/total - xhat sums1/total); total = rows of all ranks. */
    hs_status (*apply_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *gamma,
                           const void *dy, const double *sums, double total, void *dx);
    /* What is made of the sums, so that they need not leave the device. MEAN, RSTD = 1/sqrt(variance + epsilon) from SUMS over TOTAL rows, and
     * running = (1 - momentum) running + momentum new, whose variance is the unbiased one; the same two from RUNNING_*; and from SUMS of
     * moments_bwd the gradients of gamma and beta. RUNNING_*, DGAMMA, DBETA [c] in the backend's real, MEAN and RSTD [c] double. */
    hs_status (*statistics)(hs_stream *s, int c, const double *sums, double total, double epsilon, double momentum, double *mean, double *rstd,
                            void *running_mean, void *running_var);
    hs_status (*running)(hs_stream *s, int c, const void *running_mean, const void *running_var, double epsilon, double *mean, double *rstd);
    hs_status (*gradients)(hs_stream *s, int c, const double *sums, void *dgamma, void *dbeta);
} hs_norm_ops;

/* ---- loss --------------------------------------------------------------------------------------------------------------------------- */

typedef struct hs_loss_ops {
    /* Softmax cross-entropy of LOGITS [n][classes] against LABELS [n] (device memory, int32). DLOGITS = (softmax - onehot) * scale; may be
     * NULL for evaluation. TOTALS [3] double, device memory: sum of losses, of top-1 hits, of top-5 hits (ties count against). */
    hs_status (*softmax)(hs_stream *s, int n, int classes, const void *logits, const int32_t *labels, double scale, void *dlogits,
                         double *totals);
} hs_loss_ops;

/* ---- optimizer, penalties, norms over slab ranges ------------------------------------------------------------------------------------- */

/* Coefficients of one update; the caller computes what changes per step (bias corrections). */
typedef struct hs_update {
    double lr, momentum, beta1, beta2, epsilon;
    double decay;          /* decoupled: p -= lr * decay * p */
    double grad_scale;     /* every gradient is multiplied by this first (clipping) */
    double correction1, correction2; /* 1 - beta1^t, 1 - beta2^t */
    bool nesterov;
} hs_update;

/* Bins of a filter in slab order, for penalties and for Adam with one second moment per complex modulus. Row t of [t][q] is coordinate t. */
typedef struct hs_groups {
    int coords;             /* T rows */
    const int32_t *partner; /* [T], device memory: row of the other half of the same bin, t itself if alone */
    const double *weight;   /* [T], device memory: factor of the row (multiplicity, |k|^2p, ..) */
} hs_groups;

/* What changes from step to step, in device memory, where a recorded step finds it. */
typedef struct hs_update_now {
    double lr, correction1, correction2; /* the host's, before the step */
    double grad_scale;                   /* judge's: clipping */
    double go;                           /* 1 at first; judge's: 0 from the first gradient on that is not finite: then nothing changes any more */
} hs_update_now;
/* A range of the slab, at most HS_PIECE_MOST numbers, with a rate (a factor) and an L2 penalty of its own. */
enum { HS_PIECE_MOST = 4096 };
typedef struct hs_piece {
    size_t offset, count;
    double rate, l2;
} hs_piece;

typedef enum hs_penalty_kind { HS_PENALTY_L2, HS_PENALTY_L1_SPLIT, HS_PENALTY_L1_MODULUS } hs_penalty_kind;

typedef struct hs_optim_ops {
    /* momentum = 0 and m = NULL: plain SGD. m = momentum m + g; p -= lr (nesterov ? g + momentum m : m). */
    hs_status (*sgd)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m);
    /* Kingma and Ba 2015: m, v; p -= lr (m/c1) / (sqrt(v/c2) + epsilon); then decoupled decay (Loshchilov and Hutter 2019). */
    hs_status (*adam)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m, void *v);
    /* The same with v of a bin from |g|^2 = g_re^2 + g_im^2 (half of it, so that white gradients give the same v); layout [T][q]. */
    hs_status (*adam_modulus)(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g, void *m, void *v);
    /* Penalty lambda * sum over rows of weight * f(bin) with f = p^2/2, |p|, or the modulus of the bin. VALUE [1] double in device memory:
     * adds the penalty's value, of p as it comes in. GRADIENT form adds the (sub)gradient to g; PROX form replaces p by the proximal map with
     * step LAMBDA (the caller multiplies by the rate), exact zeros where it thresholds. For the modulus a bin counts ONCE, with its rows'
     * (equal) weight: value lambda w r, r = hypot of the two rows; gradient lambda w p / r on each row, 0 at r = 0; prox
     * p *= max(0, 1 - lambda w / r). */
    hs_status (*penalty_gradient)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const void *p, void *g,
                                  double *value);
    hs_status (*penalty_prox)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p, double *value);
    /* VALUE [1] double, device memory: adds sum x^2. Non-finite numbers propagate. */
    hs_status (*sum_squares)(hs_stream *s, size_t count, const void *x, double *value);
    /* adds sum (x - y)^2 */
    hs_status (*distance_squares)(hs_stream *s, size_t count, const void *x, const void *y, double *value);
    hs_status (*axpy)(hs_stream *s, size_t count, double alpha, const void *x, void *y); /* y += alpha x */

    /* An update that waits for nobody: optional, all of these or none. PIECE [pieces] and NOW in device memory.
     * penalised_squares: g += l2 p (rounded as penalty_gradient rounds it), and VALUE += sum of g^2 of all pieces.
     * judge: NOW's grad_scale and go from SQUARES, the sum over the whole slab: CLIP 0 = no clipping.
     * The rest are sgd (v = NULL) or adam, adam_modulus and penalty_prox with NOW's numbers; they do nothing where go is 0. RATE: a factor;
     * penalty_prox steps by LAMBDA times NOW's rate. */
    hs_status (*penalised_squares)(hs_stream *s, const hs_piece *piece, int pieces, const void *p, void *g, double *value);
    hs_status (*judge)(hs_stream *s, double clip, const double *squares, hs_update_now *now);
    hs_status (*update_pieces)(hs_stream *s, const hs_update *u, const hs_update_now *now, const hs_piece *piece, int pieces, void *p,
                               const void *g, void *m, void *v);
    hs_status (*update_modulus)(hs_stream *s, const hs_update *u, const hs_update_now *now, double rate, const hs_groups *groups, size_t q,
                                void *p, const void *g, void *m, void *v);
    hs_status (*prox_now)(hs_stream *s, const hs_update_now *now, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda,
                          void *p, double *value);
} hs_optim_ops;

/* ---- data ------------------------------------------------------------------------------------------------------------------------------- */

struct hs_augment;
struct hs_scaling; /* hs_data.h */

/* A data set and what hs_batcher makes of its samples; the numbers of a batch have equal bits whoever makes them. */
typedef struct hs_feed_desc {
    int64_t count;
    hs_shape shape;
    bool bytes;     /* samples are uint8 in file units, else floats */
    int capacity;   /* most samples of one call */
    bool shuffle;
    uint64_t seed;
    const struct hs_augment *augment; /* copied; NULL: none */
    const struct hs_scaling *scaling; /* copied; NULL: none */
    bool resident;  /* the whole set lies in device memory, else batches come from the host */
} hs_feed_desc;
typedef struct hs_feed hs_feed; /* backend's own */
typedef struct hs_data_ops {
    size_t (*bytes)(const hs_feed_desc *desc);  /* of device memory that plan takes */
    size_t (*room)(hs_device *device);          /* bytes of device memory that are free now */
    hs_status (*plan)(hs_device *device, const hs_feed_desc *desc, hs_feed **out);
    void (*destroy)(hs_feed **feed);
    /* Resident: samples [first, first + count) of the set, as hs_dataset_read gives them. Before the first step; allocates. */
    hs_status (*load)(hs_stream *s, hs_feed *feed, int64_t first, int count, const float *pixels, const int32_t *labels);
    /* Resident: what hs_batcher_get(epoch, first, n) gives, to X [n][h][w][c] and LABELS [n] in device memory. */
    hs_status (*gather)(hs_stream *s, hs_feed *feed, int64_t epoch, int64_t first, int n, void *x, int32_t *labels);
    /* Streamed: send a finished batch ahead, beside what the compute stream does; host memory is reusable on return. Then take it. */
    hs_status (*stage)(hs_feed *feed, int n, const float *x, const int32_t *labels);
    hs_status (*take)(hs_stream *s, hs_feed *feed, int n, void *x, int32_t *labels);
} hs_data_ops;

/* ---- the backend ------------------------------------------------------------------------------------------------------------------------ */

struct hs_backend {
    const char *name; /* "ref", "cpu", "cuda" */
    hs_real real;
    const hs_device_ops *device;
    const hs_memory_ops *memory;
    const hs_gemm_ops *gemm;
    const hs_transform_ops *transform;
    const hs_conv_ops *conv;
    const hs_pool_ops *pool;
    const hs_element_ops *element;
    const hs_norm_ops *norm;
    const hs_loss_ops *loss;
    const hs_optim_ops *optim;
    const hs_data_ops *data; /* optional (NULL: every batch is uploaded) */
    /* Optional (NULL: ranks sum host memory). COLLECTIVE: a communicator over HOST, which stays the caller's, whose start and wait sum memory of DEVICE
     * behind what STREAM holds; allreduce takes device and host memory. */
    hs_status (*comm)(hs_device *device, hs_stream *stream, struct hs_comm *host, const struct hs_comm_wish *wish, struct hs_comm **comm);
};

/* The list of backends built into this library, best first (cuda, cpu, ref); NULL ends it. src/backends.c is the one place that names them. */
const hs_backend *const *hs_backends(void);
/* Find one by name; a failure names the nearest, or the configure switch that was off. */
hs_status hs_backend_find(const char *name, const hs_backend **backend);
/* "auto": the first backend whose device opens; falls back with one warning. Otherwise as named. */
hs_status hs_device_open(const char *name, const hs_device_options *options, hs_device **device);
void hs_device_close(hs_device **device);

#ifdef __cplusplus
}
#endif
#endif
