/* flow.c - the update for backends that can do it without asking the host: what changes per step goes up in one small copy, the gradient's norm
 * decides on the device, and the whole of it can be recorded and repeated. Which penalties allow it: all but proximal steps through a frame, whose
 * way there and back would change a slab that must stay as it is. L2 of the taps joins the pass that measures the gradient. */
#include <math.h>
#include <stddef.h>

#include "optim_internal.h"

#include "hs_base.h"

/* ---- what is made before the first step --------------------------------------------------------------------------------------- */

static bool can_flow(const hs_optim *optim)
{
    if (!optim->device->backend->optim->judge)
        return false;
    for (int i = 0; i < optim->terms; i++)
        if (optim->term[i].prox && optim->term[i].to)
            return false;
    return true;
}

static bool plain_l2(const hs_term *term)
{
    return term->kind == HS_PENALTY_L2 && !term->to && term->groups.coords == 1;
}

static bool is_modulus(const hs_optim *optim, size_t offset)
{
    for (int i = 0; i < optim->segments; i++)
        if (optim->segment[i].modulus && optim->segment[i].offset == offset)
            return true;
    return false;
}

/* Lambda of PARAM's L2 penalty, which will ride along from now on. */
static double take_l2(hs_optim *optim, const hs_param *param)
{
    double l2 = 0;
    for (int i = 0; i < optim->terms; i++)
        if (optim->term[i].offset == param->offset && plain_l2(&optim->term[i])) {
            optim->term[i].rides = true;
            l2 += optim->term[i].lambda;
        }
    return l2;
}

static size_t pieces_of(size_t count)
{
    return (count + HS_PIECE_MOST - 1) / HS_PIECE_MOST;
}

/* Those that update_modulus moves come last: only their gradients are looked at by piece. */
static void fill_pieces(hs_optim *optim, const hs_optim_config *config, hs_piece *piece)
{
    for (int modulus = 0; modulus < 2; modulus++) {
        for (int i = 0; i < optim->target.params_count; i++) {
            const hs_param *param = &optim->target.params[i];
            if (is_modulus(optim, param->offset) != (modulus == 1))
                continue;
            const double rate = hs_layer_rate(config, param->layer), l2 = take_l2(optim, param);
            for (size_t at = 0; at < param->count; at += HS_PIECE_MOST) {
                const size_t left = param->count - at;
                piece[optim->pieces++] = (hs_piece){.offset = param->offset + at,
                                                    .count = left < HS_PIECE_MOST ? left : HS_PIECE_MOST,
                                                    .rate = rate,
                                                    .l2 = l2};
            }
        }
        if (modulus == 0)
            optim->plain_pieces = optim->pieces;
    }
}

hs_status hs_flow_create(hs_optim *optim, hs_stream *s, const hs_optim_config *config)
{
    size_t count = 0;
    hs_piece *piece = NULL;
    void *memory;
    if (!can_flow(optim))
        return HS_OK;
    for (int i = 0; i < optim->target.params_count; i++)
        count += pieces_of(optim->target.params[i].count);
    HS_TRY(hs_calloc(count + 1, sizeof *piece, "pieces of the parameters", &piece));
    fill_pieces(optim, config, piece);
    hs_status st = hs_optim_alloc(optim, (count + 1) * sizeof *piece, &memory);
    if (st == HS_OK) {
        optim->piece = memory;
        st = optim->device->backend->memory->upload(s, optim->piece, piece, count * sizeof *piece);
    }
    if (st == HS_OK)
        st = hs_optim_alloc(optim, sizeof *optim->now, &memory);
    if (st == HS_OK) {
        const hs_update_now first = {.go = 1};
        optim->now = memory;
        st = optim->device->backend->memory->upload(s, optim->now, &first, sizeof first);
    }
    hs_free(piece);
    return st;
}

/* ---- the step ------------------------------------------------------------------------------------------------------------------ */

bool hs_optim_flows(const hs_optim *optim)
{
    return optim->now != NULL;
}

const double *hs_optim_squares(const hs_optim *optim)
{
    return &optim->sums[SUM_GRADIENT];
}

hs_status hs_optim_prepare(hs_optim *optim, hs_stream *s, int64_t t, double lr)
{
    const hs_update u = hs_optim_coefficients(&optim->config, t, lr, 0);
    const hs_update_now now = {.lr = lr, .correction1 = u.correction1, .correction2 = u.correction2};
    return optim->device->backend->memory->upload(s, optim->now, &now, offsetof(hs_update_now, grad_scale)); /* the rest is judge's */
}

static char *at(const hs_optim *optim, void *slab, size_t offset)
{
    return slab ? (char *)slab + offset * (size_t)optim->device->backend->real : NULL;
}

static hs_status update_all(hs_optim *optim, hs_stream *s)
{
    const hs_optim_ops *ops = optim->device->backend->optim;
    const hs_optim_target *to = &optim->target;
    const hs_update u = hs_optim_coefficients(&optim->config, 1, 0, 0); /* what is per step is read from NOW */
    HS_TRY(ops->update_pieces(s, &u, optim->now, optim->piece, optim->plain_pieces, to->slab, to->gradients, optim->moment[0],
                              optim->moment[1]));
    for (int i = 0; i < optim->segments; i++) {
        const hs_segment *g = &optim->segment[i];
        if (g->modulus)
            HS_TRY(ops->update_modulus(s, &u, optim->now, g->rate, &g->groups, g->q, at(optim, to->slab, g->offset),
                                       at(optim, to->gradients, g->offset), at(optim, optim->moment[0], g->offset),
                                       at(optim, optim->moment[1], g->offset)));
    }
    for (int i = 0; i < optim->terms; i++) {
        const hs_term *term = &optim->term[i];
        if (term->prox && term->rate > 0)
            HS_TRY(ops->prox_now(s, optim->now, term->kind, &term->groups, term->q, term->lambda * term->rate,
                                 at(optim, to->slab, term->offset), &optim->sums[SUM_UPDATE]));
    }
    return HS_OK;
}

static hs_status measure(hs_optim *optim, hs_stream *s)
{
    const hs_backend *backend = optim->device->backend;
    HS_TRY(backend->memory->zero(s, &optim->sums[SUM_UPDATE], 2 * sizeof *optim->sums));
    HS_TRY(backend->optim->distance_squares(s, optim->target.numbers, optim->target.slab, optim->copy, &optim->sums[SUM_UPDATE]));
    return backend->optim->sum_squares(s, optim->target.numbers, optim->target.slab, &optim->sums[SUM_PARAM]);
}

hs_status hs_optim_queue(hs_optim *optim, hs_stream *s, bool report)
{
    const hs_backend *backend = optim->device->backend;
    const hs_optim_target *to = &optim->target;
    HS_TRY(backend->memory->zero(s, optim->sums, SUM_COUNT * sizeof *optim->sums));
    HS_TRY(hs_terms_gradient(optim, s, false, report));
    HS_TRY(backend->optim->penalised_squares(s, optim->piece, optim->pieces, to->slab, to->gradients, &optim->sums[SUM_GRADIENT]));
    HS_TRY(backend->optim->judge(s, optim->config.clip, &optim->sums[SUM_GRADIENT], optim->now));
    if (report)
        HS_TRY(backend->memory->copy(s, optim->copy, to->slab, to->numbers * (size_t)backend->real));
    HS_TRY(update_all(optim, s));
    return report ? measure(optim, s) : HS_OK;
}

hs_status hs_flow_step(hs_optim *optim, hs_stream *s, int64_t t, double lr, hs_optim_report *report)
{
    double sums[SUM_COUNT];
    HS_TRY(hs_optim_prepare(optim, s, t, lr));
    HS_TRY(hs_optim_queue(optim, s, report != NULL));
    HS_TRY(optim->device->backend->memory->download(s, sums, optim->sums, sizeof sums));
    const double grad_norm = sqrt(sums[SUM_GRADIENT]);
    if (report)
        *report = (hs_optim_report){.lr = lr,
                                    .penalty_l1 = sums[SUM_L1],
                                    .penalty_l2 = sums[SUM_L2],
                                    .grad_norm = grad_norm,
                                    .update_norm = sqrt(sums[SUM_UPDATE]),
                                    .param_norm = sqrt(sums[SUM_PARAM]),
                                    .finite = isfinite(grad_norm)};
    return isfinite(grad_norm) ? HS_OK : HS_ENONFINITE;
}
