/* optim_internal.h - the optimizer below hs_optim.h: it works on any parameter table and slab, so that tests drive it without a network. */
#ifndef OPTIM_INTERNAL_H
#define OPTIM_INTERNAL_H

#include "hs_backend.h"
#include "hs_optim.h"

/* What is optimised. PARAMS in slab order; SLAB and GRADIENTS [numbers] in device memory of the backend's real. All borrowed. */
typedef struct hs_optim_target {
    const hs_param *params;
    int params_count;
    size_t numbers;
    void *slab, *gradients;
    /* Matrix of a rotation arm, whose seed only its owner knows: SYNTHESIS [kh*kw taps][kh*kw coordinates], orthogonal. */
    hs_status (*rotation)(void *context, const hs_param *param, double *synthesis);
    void *context;
} hs_optim_target;

/* Sums of one step, device memory of doubles in this order. */
enum { SUM_L1, SUM_L2, SUM_GRADIENT, SUM_UPDATE, SUM_PARAM, SUM_COUNT };

/* One penalty on one parameter. The FRAME is the basis in which it acts row by row: taps or orthonormal half-spectrum coordinates. FRAME = TO
 * coords, coords = FROM frame; both NULL where the arm's own coordinates are the frame. */
typedef struct hs_term {
    size_t offset; /* of the parameter in the slab */
    hs_penalty_kind kind;
    bool prox;
    bool rides;          /* its gradient is added by penalised_squares: see flow.c */
    int sum;             /* SUM_L1 or SUM_L2 */
    double lambda;       /* with the mean's divisor in it */
    double rate;         /* of the layer over the general one */
    hs_groups groups;    /* frame [groups.coords][q] */
    size_t q;
    int rows, cols, n;   /* TO [rows][cols]; coordinates [cols][n], frame [rows][n] */
    void *to, *from;     /* device memory, backend's real */
} hs_term;

/* A range of the slab that one call updates. */
typedef struct hs_segment {
    size_t offset, count;
    double rate;      /* of the layer over the general one */
    bool modulus;     /* through adam_modulus with these bins */
    hs_groups groups;
    size_t q;
} hs_segment;

struct hs_optim {
    hs_optim_config config; /* .layer is NULL: what it said is in the terms and segments */
    hs_optim_target target;
    hs_device *device;
    hs_term *term;
    int terms;
    hs_segment *segment;
    int segments;
    void *moment[2];        /* [numbers] */
    void *copy;             /* [numbers]: the slab before the update; before that, scratch of penalties */
    void *frame;            /* [largest frame] or NULL */
    double *sums;           /* [SUM_COUNT], device memory */
    hs_piece *piece;        /* device memory; plain ones first, behind them those of adam_modulus */
    int pieces, plain_pieces;
    hs_update_now *now;     /* device memory; NULL: updates go through the host */
    void **block;           /* every device allocation, for the end */
    int blocks, block_capacity;
    size_t bytes;
};

/* As hs_optim_create, on TARGET. */
hs_status hs_optim_create_on(const hs_optim_config *config, const hs_optim_target *target, hs_device *device, hs_stream *stream,
                             hs_optim **optim);

/* Device memory that hs_optim_destroy gives back. */
hs_status hs_optim_alloc(hs_optim *optim, size_t bytes, void **memory);

hs_update hs_optim_coefficients(const hs_optim_config *config, int64_t t, double lr, double grad_norm);

/* ---- flow.c: updates that wait for nobody ------------------------------------------------------------------------------------- */

/* Behind the terms and segments; leaves optim->now NULL where the backend or a penalty does not allow it. */
hs_status hs_flow_create(hs_optim *optim, hs_stream *s, const hs_optim_config *config);
hs_status hs_flow_step(hs_optim *optim, hs_stream *s, int64_t t, double lr, hs_optim_report *report);

/* ---- tables.c: what terms and segments keep on the device ------------------------------------------------------------------- */

/* Matrices of TERM between the coordinates of PARAM and its taps (IN_SPACE) or half spectra (IN_SPECTRUM); none are made where they would be the
 * identity. Sets rows, cols, n, to, from. */
hs_status hs_term_frame(hs_optim *optim, hs_stream *s, const hs_param *param, hs_penalty_domain domain, hs_term *term);
/* Tables of COUNT rows on the device, from the host. */
hs_status hs_groups_upload(hs_optim *optim, hs_stream *s, int count, const int32_t *partner, const double *weight, hs_groups *groups);
/* Row of the other half of the same bin for coordinates of PARAM [ROWS], and whether they come in bins at all. */
bool hs_param_has_bins(const hs_param *param);
int hs_param_bin_rows(const hs_param *param);
void hs_param_partners(const hs_param *param, int32_t *partner);

/* ---- penalty.c --------------------------------------------------------------------------------------------------------------- */

/* All terms that CONFIG asks for; fills optim->term. */
hs_status hs_terms_create(hs_optim *optim, hs_stream *s, const hs_optim_config *config);
/* Rate of a layer over the general rate; 1 unless lr.<layer> is set. */
double hs_layer_rate(const hs_optim_config *config, const char *layer);
/* Adds values of penalties to optim->sums; of gradient-form terms also the gradient to the gradient slab. With VALUES_ONLY no gradient is
 * touched; without WANT_VALUES proximal terms are passed over. */
hs_status hs_terms_gradient(hs_optim *optim, hs_stream *s, bool values_only, bool want_values);
/* Proximal maps of all proximal terms at rate LR. */
hs_status hs_terms_prox(hs_optim *optim, hs_stream *s, double lr);

#endif
