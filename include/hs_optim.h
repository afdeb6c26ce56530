/* hs_optim.h - optimizers, rates and penalties on the flat parameter slab. */
#ifndef HS_OPTIM_H
#define HS_OPTIM_H

#include "hs_backend.h"
#include "hs_net.h"
#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hs_optim_kind { HS_SGD, HS_MOMENTUM, HS_NESTEROV, HS_ADAM, HS_ADAMW } hs_optim_kind;
typedef enum hs_moment { HS_MOMENT_REAL, HS_MOMENT_MODULUS } hs_moment;

/* ---- schedules: a pure function of where training is --------------------------------------------------------------------------- */

typedef enum hs_schedule_kind {
    HS_RATE_CONSTANT, HS_RATE_STEP, HS_RATE_EXPONENTIAL, HS_RATE_COSINE, HS_RATE_PLATEAU
} hs_schedule_kind;
typedef struct hs_schedule {
    hs_schedule_kind kind;
    double base, minimum;
    int64_t warmup;        /* steps of linear warm-up from base/warmup */
    int64_t total;         /* steps of the whole run (cosine) */
    int64_t epoch_steps;
    double factor;         /* step: at each milestone; exponential: per epoch; plateau: on stagnation */
    double milestone[16];  /* epochs */
    int milestones;
    int patience;          /* plateau: evaluations without improvement */
} hs_schedule;
/* What plateau has seen; part of a checkpoint. */
typedef struct hs_plateau {
    double best;
    int64_t bad;
    double scale; /* 1 at the start */
} hs_plateau;
/* Rate of the step that follows STEP steps already taken (0: the first). Warm-up multiplies by (STEP + 1) / warmup. step: the milestone's first
 * step is milestone * epoch_steps. exponential: factor ^ (whole epochs). cosine: from base at the end of the warm-up to minimum at total.
 * PLATEAU may be NULL for the other kinds. */
double hs_schedule_rate(const hs_schedule *schedule, const hs_plateau *plateau, int64_t step);
void hs_plateau_start(hs_plateau *plateau);
/* Once per evaluation: after PATIENCE of them without a loss below the best, the rate is multiplied by FACTOR and counting starts anew. */
void hs_plateau_see(const hs_schedule *schedule, hs_plateau *plateau, double loss);

/* ---- penalties -------------------------------------------------------------------------------------------------------------------- */

typedef enum hs_penalty_domain { HS_PENALTY_IN_SPACE, HS_PENALTY_IN_SPECTRUM } hs_penalty_domain;
/* What is summed, W being taps or dense weights and X the implied FULL unitary spectrum of each kh x kw filter, whatever the arm:
 *   l2           lambda/2 sum W^2, filters and dense weights; always through the gradient
 *   sobolev      lambda/2 sum |k|^2p |X|^2, signed integer frequencies; always through the gradient
 *   l1.spectral  lambda sum |X| (modulus) or |Re X| + |Im X| (split); l1.spatial  lambda sum |W|; filters, and for l1.spatial a named dense layer
 * L1 steps by its proximal map after the update with step (the layer's rate) * lambda, exact zeros where the arm's coordinates are the taps or
 * half spectra themselves; or by its subgradient before the update, which is then part of grad_norm. In half-raw and full-complex the proximal
 * step is taken in the metric of taps (half spectra). With embed = band W are the kh x kw taps whose half spectrum is padded.
 * Clipping scales the whole gradient, penalties in it, to norm `clip`. AdamW's decay acts on every parameter, as in its paper. */
/* One penalty on the filters of one layer; value = weight * sum f. `mean` divides by the number of summed terms of the layer. */
typedef struct hs_penalty {
    hs_penalty_kind kind;
    hs_penalty_domain domain;
    double lambda;
    double sobolev_p; /* > 0: rows weighted by |k|^2p, kind = L2 */
    bool mean, prox;
} hs_penalty;

/* Numbers per layer; -1 = as the general key says. */
typedef struct hs_optim_layer {
    char layer[HS_NAME_MAX];
    double lr;  /* absolute rate at schedule value `base`; scaled like it */
    double l1_spectral, l1_spatial, l2, sobolev;
} hs_optim_layer;

typedef struct hs_optim_config {
    hs_optim_kind kind;
    hs_moment moment;
    double momentum, beta1, beta2, epsilon, decay, clip;
    hs_schedule schedule;
    double l1_spectral, l1_spatial, l2, sobolev, sobolev_p;
    hs_penalty_kind l1_kind;   /* split or modulus, for the spectral one */
    bool l1_prox, penalty_mean;
    const hs_optim_layer *layer;
    int layers;
} hs_optim_config;

typedef struct hs_optim hs_optim;

/* Moments, tables and scratch for NET on its device: everything allocated here. NET is borrowed. */
hs_status hs_optim_create(const hs_optim_config *config, hs_net *net, hs_device *device, hs_stream *stream, hs_optim **optim);
void hs_optim_destroy(hs_optim **optim);
size_t hs_optim_bytes(const hs_optim *optim);

/* What one step did, for the log. Values of penalties before the update. */
typedef struct hs_optim_report {
    double lr, penalty_l1, penalty_l2, grad_norm, update_norm, param_norm;
    bool finite;
} hs_optim_report;
/* Penalties, clipping and the update of the whole slab from gradients that are already the global mean. T is 1 for the first step. The
 * norms are computed only if REPORT is not NULL (update_norm costs a copy of the slab); finiteness is always checked through the
 * gradient norm: a non-finite gradient leaves parameters and moments untouched and sets report->finite (if any) to false and returns
 * HS_ENONFINITE without a record; the caller decides together with the other ranks. */
hs_status hs_optim_step(hs_optim *optim, hs_stream *s, int64_t t, double lr, hs_optim_report *report);
/* The same in parts, where the update FLOWS: the backend decides about clipping and finiteness on the device. prepare sends what changes per
 * step; queue does the rest without waiting for anything, so that it can be recorded and repeated. SQUARES: the sum of squares of the last
 * gradient, in device memory; where it is not finite nothing was changed. */
bool hs_optim_flows(const hs_optim *optim);
hs_status hs_optim_prepare(hs_optim *optim, hs_stream *s, int64_t t, double lr);
hs_status hs_optim_queue(hs_optim *optim, hs_stream *s, bool report);
const double *hs_optim_squares(const hs_optim *optim);
/* Penalty value alone (for evaluation and tests). */
hs_status hs_optim_penalty(hs_optim *optim, hs_stream *s, double *l1, double *l2);

/* Moments as named slabs with the network's offsets ("m", "v"); device memory. */
int hs_optim_slots(const hs_optim *optim);
const char *hs_optim_slot_name(const hs_optim *optim, int slot);
void *hs_optim_slot(hs_optim *optim, int slot);

const char *hs_optim_kind_name(hs_optim_kind kind);

#ifdef __cplusplus
}
#endif
#endif
