/* hs_net.h - networks: notation -> graph -> plan -> forward and backward. Knows backends, not ranks: what needs the other ranks goes
 * through hs_net_hooks. Life of a network: hs_net_create (parse and shapes, no device) -> hs_net_plan (domains, algorithms, ONE allocation
 * for everything) -> hs_net_init or a checkpoint -> steps, which allocate nothing. */
#ifndef HS_NET_H
#define HS_NET_H

#include "hs_backend.h"
#include "hs_log.h"
#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hs_net hs_net;

/* Defaults for what braces may say per layer, and choices for the whole network. Fill from hs_net_options_default. */
typedef struct hs_net_options {
    hs_arm param;
    hs_embed embed;
    hs_boundary boundary;
    hs_engine engine;
    hs_pool_norm pool_norm;
    double fd_alpha, fd_beta;
    hs_draw_scope fd_draw;
    bool flip; /* true convolution instead of correlation */
    double bn_momentum, bn_epsilon;
    hs_init init;
    double init_std, init_bias; /* for truncated; bias for every layer */
    uint64_t seed;
} hs_net_options;
void hs_net_options_default(hs_net_options *options);

/* ---- notation ------------------------------------------------------------------------------------------------------------------- */

/* Expand a preset ("paper-sp M=6 k=3", "deep k=5", ...) to notation; other text is copied. *NOTATION is freed with hs_free. */
hs_status hs_net_expand(const char *text, int classes, char **notation);

/* Parse NOTATION (presets allowed) for samples of shape IN and CLASSES classes. Errors are HS_EUSAGE and show the text with a caret under
 * the token and the reason. */
hs_status hs_net_create(const char *notation, const hs_net_options *options, hs_shape in, int classes, hs_net **net);
void hs_net_destroy(hs_net **net);

const char *hs_net_notation(const hs_net *net); /* expanded and normalised, as files record it */
hs_shape hs_net_input(const hs_net *net);
int hs_net_classes(const hs_net *net);
bool hs_net_has_batch_statistics(const hs_net *net); /* BN: an empty rank must still take part in its hooks */

/* Parameter table in slab order (layers in network order), and the statistics (BN) table. Owned by the network. */
const hs_param *hs_net_params(const hs_net *net, int *count);
const hs_param *hs_net_statistics(const hs_net *net, int *count);
size_t hs_net_params_count(const hs_net *net);     /* numbers in the slab */
size_t hs_net_statistics_count(const hs_net *net);

/* ---- plan ----------------------------------------------------------------------------------------------------------------------- */

/* Measured costs: a table, and a text file for it at PATH ("": none). MACHINE is one line that names what all of them depend on: device, its
 * libraries, threads, precision. What is wrong with the file is a warning, and costs are measured again. */
typedef struct hs_wisdom hs_wisdom;
hs_status hs_wisdom_open(const char *path, const char *machine, const hs_log *log, hs_wisdom **wisdom);
void hs_wisdom_save(hs_wisdom *wisdom); /* joins what is on disk with what is new; the file is whole or not there */
void hs_wisdom_close(hs_wisdom **wisdom);
int hs_wisdom_measured(const hs_wisdom *wisdom); /* how many costs were measured since it was opened */
/* $XDG_CACHE_HOME/halfspec/wisdom or ~/.cache/halfspec/wisdom; "" if there is neither. */
hs_status hs_wisdom_default_path(char *path, size_t capacity);

/* What hs_net_plan decides, and why. */
typedef struct hs_plan_options {
    int capacity;      /* most samples in one call on this rank, >= 1 */
    bool training;     /* backward buffers and gradients too */
    const char *mode;  /* "estimate" | "measure" | "wisdom": measure what WISDOM does not know */
    hs_wisdom *wisdom; /* takes what is measured; borrowed for the call; NULL: nothing is kept */
} hs_plan_options;

/* Choose domains and algorithms by a shortest path over the layers' costs, plan every op, lay out one arena and allocate it. DEVICE is
 * borrowed and must outlive the network. All ranks that call with equal arguments get equal plans (mode = estimate); otherwise one of them decides
 * and the others are told with hs_net_force_decisions. */
hs_status hs_net_plan(hs_net *net, hs_device *device, hs_stream *stream, const hs_plan_options *options);
/* The decisions as text (";"-separated), to broadcast from rank 0 and force on the others before their hs_net_plan. */
const char *hs_net_decisions(const hs_net *net);
hs_status hs_net_force_decisions(hs_net *net, const char *decisions);

/* One row per layer (transforms inserted by the planner are rows too), valid after create (shapes, parameters) and after plan (rest). */
typedef struct hs_layer_row {
    const char *name;     /* "conv1", "pool2", "relu3", "fft1": every row has one */
    const char *notation; /* "C32k3" */
    hs_shape in, out;     /* in: of its first input */
    hs_domain from, domain; /* of that input, of the output */
    bool sealed_from, sealed; /* that only its neighbour can read */
    const char *engine;   /* "direct", "fft 33x33", "" */
    size_t params, activation_bytes;
    double gflop;         /* forward + backward of one sample, as the layer's definition counts (direct multiply-adds x 2) */
    double predicted, measured; /* seconds of forward + backward of a full batch: by the cost model, by the planner's clock (0: not measured) */
} hs_layer_row;
int hs_net_rows(const hs_net *net);
void hs_net_row(const hs_net *net, int i, hs_layer_row *row);

typedef struct hs_net_bytes {
    size_t params, gradients, statistics, activations, scratch, tables, total;
} hs_net_bytes;
void hs_net_memory(const hs_net *net, hs_net_bytes *bytes);

/* ---- parameters ------------------------------------------------------------------------------------------------------------------ */

/* Fill parameters from options.seed: drawn in SPACE, so that every arm starts with the same filters; converted to coordinates. Biases are
 * options.init_bias, gamma 1, beta 0, statistics 0 and 1. */
hs_status hs_net_init(hs_net *net, hs_stream *s);

void *hs_net_slab(hs_net *net);        /* parameters, device memory, backend's real */
void *hs_net_gradients(hs_net *net);   /* same layout; mean over the global batch is the caller's scale (hs_pass.scale) */
void *hs_net_statistics_slab(hs_net *net);

/* Taps of filter PARAM in space from coordinates and back, both on the host in double: COORDS [coords][in][out] as in the slab,
 * TAPS [kh*kw][in][out] (embed = band: [h*w][in][out] of the map, anchored at cell (0, 0): its half spectrum is used with no phase ramp). */
hs_status hs_net_filter_to_taps(const hs_net *net, const hs_param *param, const double *coords, double *taps);
hs_status hs_net_filter_to_coords(const hs_net *net, const hs_param *param, const double *taps, double *coords);
/* Coordinates of filters given as kh x kw kernels KERNEL [kh*kw][in][out], whatever arm and embed: how a filter bank comes over from another
 * network. */
hs_status hs_filter_from_kernel(const hs_net *net, const hs_param *param, const double *kernel, double *coords);
/* Orthonormal half-spectrum coordinates of every kh x kw filter, whatever its arm: SPECTRUM [out][in][kh*kw]. */
hs_status hs_net_filter_to_spectrum(const hs_net *net, const hs_param *param, const double *coords, double *spectrum);

/* ---- steps ------------------------------------------------------------------------------------------------------------------------ */

/* What a pass needs to know of the world. */
typedef struct hs_net_hooks {
    void *context;
    /* Gradients [offset, offset + count) are final. Called during backward, last layers first; every number exactly once. May be NULL. */
    hs_status (*ready)(void *context, size_t offset, size_t count);
    /* Sum VALUES over all ranks, in place (batch normalisation). Collective: every rank calls it equally often, empty ranks too. NULL: one
     * rank. VALUES are in device memory. */
    hs_status (*sum)(void *context, double *values, size_t count);
    /* For measurements: row ROW (of hs_net_row) has done its part, as far as the stream is concerned. DATA in device memory is what it wrote: its
     * output [n] of .out in .domain, or in backward the gradient of its first input [n] of .in in .from, NULL if nobody needs that. NULL: no. */
    hs_status (*mark)(void *context, int row, bool backward, void *data);
} hs_net_hooks;

typedef struct hs_pass {
    int n;             /* samples on this rank, 0 .. capacity */
    int64_t first;     /* position of the first of them in the global batch */
    int64_t global;    /* samples of the global batch, >= 1 */
    uint64_t seed;
    int64_t step, epoch;
    int rank;
    bool training;
    bool prepared;     /* hs_net_prepare was called for this pass, and X and LABELS are on the device: nothing comes from the host any more */
    const hs_net_hooks *hooks; /* may be NULL */
} hs_pass;

/* prepare sends what changes from step to step and is drawn on the host (keys, cut-offs); forward does it by itself unless the pass is PREPARED.
 * X [n][h][w][c] host floats, LABELS [n] host; NULL: they lie in the device memory below already. forward leaves logits in device memory. */
hs_status hs_net_prepare(hs_net *net, hs_stream *s, const hs_pass *pass);
hs_status hs_net_forward(hs_net *net, hs_stream *s, const hs_pass *pass, const float *x);
void *hs_net_input_memory(hs_net *net);      /* [capacity][h][w][c] in the backend's real */
int32_t *hs_net_labels_memory(hs_net *net);  /* [capacity] */
const void *hs_net_logits(const hs_net *net); /* [n][classes], backend's real, valid until the next forward */
/* Sums over this rank's samples (NULL: not yet; hs_net_sums fetches them, and so waits for the device). With training set, also dlogits = (softmax - onehot) / pass->global. */
typedef struct hs_loss_sums {
    double loss, hits1, hits5;
} hs_loss_sums;
hs_status hs_net_loss(hs_net *net, hs_stream *s, const hs_pass *pass, const int32_t *labels, hs_loss_sums *sums);
hs_status hs_net_sums(hs_net *net, hs_stream *s, hs_loss_sums *sums);
const double *hs_net_totals(const hs_net *net); /* [3] device memory: the same */
/* Gradients of all parameters into the gradient slab (overwritten). After forward and loss of the same pass. */
hs_status hs_net_backward(hs_net *net, hs_stream *s, const hs_pass *pass);
/* Cut-offs that frequency dropout drew in the last training pass, for the log: of each FD layer the first sample's. Returns how many. */
int hs_net_cutoffs(const hs_net *net, int *cutoffs, int capacity);

/* Test aid: gradient with respect to the network's input, [n][h][w][c] doubles on the host, after backward; only if asked before plan. */
void hs_net_want_input_gradient(hs_net *net, bool want);
hs_status hs_net_input_gradient(hs_net *net, hs_stream *s, int n, double *dx);

#ifdef __cplusplus
}
#endif
#endif
