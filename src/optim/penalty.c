/* penalty.c - penalties: which terms a configuration asks for, and their values, gradients and proximal maps.
 *
 * In orthonormal coordinates a bin that stands for {k, -k} holds z = sqrt2 X, so over the implied full unitary spectrum
 *   sum |X|            = sqrt2 |z| per pair, |z| for a self-conjugate bin          (weight sqrt2 or 1, modulus or split)
 *   sum |k|^2p |X|^2   = |k|^2p |z|^2                                              (weight |k|^2p)
 *   sum |X|^2          = |z|^2 = the taps' sum of squares                          (weight 1, in any orthonormal arm as it stands). */
#include "optim_internal.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static const hs_optim_layer *layer_of(const hs_optim_config *config, const char *name)
{
    for (int i = 0; i < config->layers; i++)
        if (strcmp(config->layer[i].layer, name) == 0)
            return &config->layer[i];
    return NULL;
}

double hs_layer_rate(const hs_optim_config *config, const char *layer)
{
    const hs_optim_layer *own = layer_of(config, layer);
    return own && own->lr >= 0.0 ? own->lr / config->schedule.base : 1.0;
}

/* ---- making terms ------------------------------------------------------------------------------------------------------------------- */

enum { TERMS_PER_PARAM = 4 };

/* The penalties on one parameter, those with a weight of zero left out. Dense weights take L2, and L1 where their layer is named. */
static int penalties_of(const hs_optim_config *config, const hs_param *param, hs_penalty out[TERMS_PER_PARAM])
{
    if (param->role != HS_ROLE_FILTER && param->role != HS_ROLE_DENSE)
        return 0;
    bool filter = param->role == HS_ROLE_FILTER;
    const hs_optim_layer *own = layer_of(config, param->layer);
    double l2 = own && own->l2 >= 0.0 ? own->l2 : config->l2;
    double l1_spatial = own && own->l1_spatial >= 0.0 ? own->l1_spatial : filter ? config->l1_spatial : 0.0;
    double l1_spectral = !filter ? 0.0 : own && own->l1_spectral >= 0.0 ? own->l1_spectral : config->l1_spectral;
    double sobolev = !filter ? 0.0 : own && own->sobolev >= 0.0 ? own->sobolev : config->sobolev;
    const hs_penalty all[TERMS_PER_PARAM] = {
        {.kind = HS_PENALTY_L2, .domain = HS_PENALTY_IN_SPACE, .lambda = l2},
        {.kind = HS_PENALTY_L2, .domain = HS_PENALTY_IN_SPECTRUM, .lambda = sobolev, .sobolev_p = config->sobolev_p},
        {.kind = config->l1_kind, .domain = HS_PENALTY_IN_SPECTRUM, .lambda = l1_spectral, .prox = config->l1_prox},
        {.kind = HS_PENALTY_L1_SPLIT, .domain = HS_PENALTY_IN_SPACE, .lambda = l1_spatial, .prox = config->l1_prox},
    };
    int count = 0;
    for (int i = 0; i < TERMS_PER_PARAM; i++)
        if (all[i].lambda > 0.0) {
            out[count] = all[i];
            out[count++].mean = config->penalty_mean;
        }
    return count;
}

/* Weights and partners of orthonormal half-spectrum coordinates. */
static hs_status spectrum_groups(hs_optim *optim, hs_stream *s, const hs_param *param, const hs_penalty *penalty, hs_groups *groups)
{
    int taps = param->kh * param->kw, bins = hs_bins_count(param->kh, param->kw);
    int32_t *partner = NULL;
    double *weight = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc((size_t)taps, sizeof *partner, "a penalty's bins", &partner), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)taps, sizeof *weight, "a penalty's weights", &weight), done);
    for (int u = 0; u < bins; u++) {
        int ky, kx, first = hs_bin_coord(param->kh, param->kw, u);
        hs_bin_at(param->kh, param->kw, u, &ky, &kx);
        bool self = hs_bin_is_self(param->kh, param->kw, ky, kx);
        double y = hs_signed_frequency(ky, param->kh), x = hs_signed_frequency(kx, param->kw);
        double value = penalty->kind == HS_PENALTY_L2 ? pow(y * y + x * x, penalty->sobolev_p) : self ? 1.0 : sqrt(2.0);
        for (int i = 0; i < (self ? 1 : 2); i++) {
            weight[first + i] = value;
            partner[first + i] = self ? first : first + 1 - i;
        }
    }
    st = hs_groups_upload(optim, s, taps, partner, weight, groups);
done:
    hs_free(partner);
    hs_free(weight);
    return st;
}

static hs_status term_create(hs_optim *optim, hs_stream *s, const hs_param *param, const hs_penalty *penalty, hs_term *term)
{
    bool spectrum = penalty->domain == HS_PENALTY_IN_SPECTRUM;
    size_t numbers = (size_t)param->in * param->out * (param->role == HS_ROLE_FILTER ? (size_t)param->kh * param->kw : 1);
    *term = (hs_term){.offset = param->offset, .kind = penalty->kind, .prox = penalty->prox};
    term->sum = penalty->kind == HS_PENALTY_L2 ? SUM_L2 : SUM_L1;
    term->lambda = penalty->mean ? penalty->lambda / (double)numbers : penalty->lambda;
    bool own_norm = !spectrum && penalty->kind == HS_PENALTY_L2 && hs_arm_is_orthonormal(param->arm);
    if (!own_norm) /* L2 of taps is L2 of any orthonormal coordinates: no matrix */
        HS_TRY(hs_term_frame(optim, s, param, penalty->domain, term));
    if (spectrum) {
        HS_TRY(spectrum_groups(optim, s, param, penalty, &term->groups));
        term->q = numbers / (size_t)term->groups.coords;
        return HS_OK;
    }
    const int32_t alone = 0;
    const double one = 1.0;
    term->q = numbers;
    return hs_groups_upload(optim, s, 1, &alone, &one, &term->groups);
}

hs_status hs_terms_create(hs_optim *optim, hs_stream *s, const hs_optim_config *config)
{
    size_t largest = 0;
    HS_TRY(hs_calloc((size_t)TERMS_PER_PARAM * optim->target.params_count + 1, sizeof *optim->term, "the list of penalties", &optim->term));
    for (int i = 0; i < optim->target.params_count; i++) {
        const hs_param *param = &optim->target.params[i];
        hs_penalty list[TERMS_PER_PARAM];
        int count = penalties_of(config, param, list);
        for (int j = 0; j < count; j++) {
            hs_term *term = &optim->term[optim->terms];
            HS_TRY(term_create(optim, s, param, &list[j], term));
            term->rate = hs_layer_rate(config, param->layer);
            optim->terms++;
            if (term->to && (size_t)term->rows * term->n > largest)
                largest = (size_t)term->rows * term->n;
        }
    }
    return largest ? hs_optim_alloc(optim, largest * (size_t)optim->device->backend->real, &optim->frame) : HS_OK;
}

/* ---- applying them ------------------------------------------------------------------------------------------------------------------ */

static void *at(const hs_optim *optim, void *slab, size_t offset)
{
    return (char *)slab + offset * (size_t)optim->device->backend->real;
}

/* The parameter in the term's frame: itself, or optim->frame filled from it. */
static hs_status enter_frame(hs_optim *optim, hs_stream *s, const hs_term *term, void **in_frame)
{
    void *coords = at(optim, optim->target.slab, term->offset);
    *in_frame = coords;
    if (!term->to)
        return HS_OK;
    *in_frame = optim->frame;
    return optim->device->backend->gemm->gemm(s, false, false, term->rows, term->n, term->cols, 1.0, term->to, term->cols, coords, term->n,
                                              0.0, optim->frame, term->n);
}

static hs_status term_gradient(hs_optim *optim, hs_stream *s, const hs_term *term, bool value_only)
{
    const hs_backend *backend = optim->device->backend;
    void *p, *gradient = at(optim, optim->target.gradients, term->offset);
    /* optim->copy is free until the update: it takes gradients in the frame, and those that nobody wants */
    bool aside = value_only || term->to;
    void *g = aside ? optim->copy : gradient;
    HS_TRY(enter_frame(optim, s, term, &p));
    if (aside)
        HS_TRY(backend->memory->zero(s, g, term->q * (size_t)term->groups.coords * (size_t)backend->real));
    HS_TRY(backend->optim->penalty_gradient(s, term->kind, &term->groups, term->q, term->lambda, p, g, &optim->sums[term->sum]));
    if (value_only || !term->to)
        return HS_OK;
    return backend->gemm->gemm(s, true, false, term->cols, term->n, term->rows, 1.0, term->to, term->cols, g, term->n, 1.0, gradient,
                               term->n);
}

hs_status hs_terms_gradient(hs_optim *optim, hs_stream *s, bool values_only, bool want_values)
{
    for (int i = 0; i < optim->terms; i++) {
        const hs_term *term = &optim->term[i];
        const bool later = term->prox || term->rides;
        if (!later || want_values)
            HS_TRY(term_gradient(optim, s, term, values_only || later));
    }
    return HS_OK;
}

/* Exact for every orthonormal arm: a proximal map commutes with an orthogonal change of basis. For half-raw and full-complex the step is taken
 * in the frame's metric, and the pseudo-inverse brings it back. The value that the op adds belongs to the step, not to the report: it goes
 * where SUM_UPDATE will be cleared. */
static hs_status term_prox(hs_optim *optim, hs_stream *s, const hs_term *term, double lr)
{
    const hs_backend *backend = optim->device->backend;
    double step = term->lambda * lr * term->rate;
    if (step == 0.0) /* a frozen layer stays as it is, to the last bit: no way to the frame and back */
        return HS_OK;
    void *p, *coords = at(optim, optim->target.slab, term->offset);
    HS_TRY(enter_frame(optim, s, term, &p));
    HS_TRY(backend->optim->penalty_prox(s, term->kind, &term->groups, term->q, step, p, &optim->sums[SUM_UPDATE]));
    if (!term->to)
        return HS_OK;
    return backend->gemm->gemm(s, false, false, term->cols, term->n, term->rows, 1.0, term->from, term->rows, p, term->n, 0.0, coords,
                               term->n);
}

hs_status hs_terms_prox(hs_optim *optim, hs_stream *s, double lr)
{
    for (int i = 0; i < optim->terms; i++)
        if (optim->term[i].prox)
            HS_TRY(term_prox(optim, s, &optim->term[i], lr));
    return HS_OK;
}
