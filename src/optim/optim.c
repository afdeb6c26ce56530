/* optim.c - the optimizer: one flat slab, a few ranges with a rate of their own, and the steps SGD, momentum, Nesterov, Adam and AdamW. */
#include "optim_internal.h"

#include <math.h>
#include <string.h>

#include "hs_base.h"
#include "hs_spectrum.h"

static const char *const kind_names[] = {
    [HS_SGD] = "sgd", [HS_MOMENTUM] = "momentum", [HS_NESTEROV] = "nesterov", [HS_ADAM] = "adam", [HS_ADAMW] = "adamw"};

const char *hs_optim_kind_name(hs_optim_kind kind)
{
    return kind_names[kind];
}

static bool is_adam(hs_optim_kind kind)
{
    return kind == HS_ADAM || kind == HS_ADAMW;
}

/* ---- checking what was asked for ---------------------------------------------------------------------------------------------------- */

static const hs_param *weights_of(const hs_optim_target *target, const char *layer, bool *exists)
{
    *exists = false;
    for (int i = 0; i < target->params_count; i++) {
        const hs_param *p = &target->params[i];
        if (strcmp(p->layer, layer) != 0)
            continue;
        *exists = true;
        if (p->role == HS_ROLE_FILTER || p->role == HS_ROLE_DENSE)
            return p;
    }
    return NULL;
}

static hs_status unknown_layer(const hs_optim_target *target, const char *layer)
{
    const char **names = NULL;
    HS_TRY(hs_calloc((size_t)target->params_count + 1, sizeof *names, "names of layers", &names));
    for (int i = 0; i < target->params_count; i++)
        names[i] = target->params[i].layer;
    const char *near = hs_nearest(layer, names, target->params_count);
    hs_status st = hs_fail(HS_EUSAGE, "the network has no layer '%s' with parameters%s%s%s; `halfspec train --dry-run` lists them", layer,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
    hs_free(names);
    return st;
}

static hs_status check_layers(const hs_optim_config *config, const hs_optim_target *target)
{
    if (config->l1_kind != HS_PENALTY_L1_SPLIT && config->l1_kind != HS_PENALTY_L1_MODULUS)
        return hs_fail(HS_EINTERNAL, "the spectral L1 penalty is neither of the modulus nor split");
    for (int i = 0; i < config->layers; i++) {
        const hs_optim_layer *own = &config->layer[i];
        bool exists;
        const hs_param *weights = weights_of(target, own->layer, &exists);
        if (!exists)
            return unknown_layer(target, own->layer);
        if (own->lr >= 0.0 && !(config->schedule.base > 0.0))
            return hs_fail(HS_EUSAGE, "lr.%s follows the schedule of lr, which is 0; give lr a positive value", own->layer);
        if ((own->l2 > 0.0 || own->l1_spatial > 0.0) && !weights)
            return hs_fail(HS_EUSAGE, "layer '%s' has no weights to penalise", own->layer);
        if ((own->l1_spectral > 0.0 || own->sobolev > 0.0) && (!weights || weights->role != HS_ROLE_FILTER))
            return hs_fail(HS_EUSAGE, "layer '%s' has no filters: spectral penalties are for convolutions", own->layer);
    }
    return HS_OK;
}

/* ---- create and destroy ------------------------------------------------------------------------------------------------------------- */

static hs_status modulus_groups(hs_optim *optim, hs_stream *s, const hs_param *param, hs_segment *segment)
{
    int rows = hs_param_bin_rows(param);
    int32_t *partner = NULL;
    double *weight = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc((size_t)rows, sizeof *partner, "bins of the second moment", &partner), done);
    HS_TRY_GOTO(st, hs_calloc((size_t)rows, sizeof *weight, "weights of the second moment", &weight), done);
    hs_param_partners(param, partner);
    for (int i = 0; i < rows; i++)
        weight[i] = 1.0;
    segment->modulus = true;
    segment->q = param->count / (size_t)rows;
    st = hs_groups_upload(optim, s, rows, partner, weight, &segment->groups);
done:
    hs_free(partner);
    hs_free(weight);
    return st;
}

/* Neighbours that are updated alike become one range: with one rate and no bins the whole slab is a single call. */
static hs_status segments_create(hs_optim *optim, hs_stream *s, const hs_optim_config *config)
{
    HS_TRY(hs_calloc((size_t)optim->target.params_count + 1, sizeof *optim->segment, "the list of ranges", &optim->segment));
    for (int i = 0; i < optim->target.params_count; i++) {
        const hs_param *param = &optim->target.params[i];
        hs_segment *last = optim->segments ? &optim->segment[optim->segments - 1] : NULL;
        double rate = hs_layer_rate(config, param->layer);
        bool modulus = is_adam(config->kind) && config->moment == HS_MOMENT_MODULUS && hs_param_has_bins(param);
        if (last && !modulus && !last->modulus && last->rate == rate && last->offset + last->count == param->offset) {
            last->count += param->count;
            continue;
        }
        hs_segment *segment = &optim->segment[optim->segments++];
        *segment = (hs_segment){.offset = param->offset, .count = param->count, .rate = rate};
        if (modulus)
            HS_TRY(modulus_groups(optim, s, param, segment));
    }
    return HS_OK;
}

static hs_status slabs_create(hs_optim *optim)
{
    size_t bytes = optim->target.numbers * (size_t)optim->device->backend->real;
    int slots = hs_optim_slots(optim);
    for (int i = 0; i < slots; i++)
        HS_TRY(hs_optim_alloc(optim, bytes, &optim->moment[i]));
    HS_TRY(hs_optim_alloc(optim, bytes, &optim->copy));
    void *sums;
    HS_TRY(hs_optim_alloc(optim, SUM_COUNT * sizeof(double), &sums));
    optim->sums = sums;
    return HS_OK;
}

hs_status hs_optim_create_on(const hs_optim_config *config, const hs_optim_target *target, hs_device *device, hs_stream *stream,
                             hs_optim **optim)
{
    hs_optim *own = NULL;
    hs_status st;
    HS_TRY(check_layers(config, target));
    HS_TRY(hs_calloc(1, sizeof *own, "an optimizer", &own));
    own->config = *config;
    own->config.layer = NULL;
    own->config.layers = 0;
    own->target = *target;
    own->device = device;
    own->block_capacity = 10 + 18 * target->params_count; /* four penalties of four blocks and one table of bins a parameter */
    HS_TRY_GOTO(st, hs_calloc((size_t)own->block_capacity, sizeof *own->block, "the optimizer's list of memory", &own->block), failed);
    HS_TRY_GOTO(st, slabs_create(own), failed);
    HS_TRY_GOTO(st, segments_create(own, stream, config), failed);
    HS_TRY_GOTO(st, hs_terms_create(own, stream, config), failed);
    HS_TRY_GOTO(st, hs_flow_create(own, stream, config), failed);
    *optim = own;
    return HS_OK;
failed:
    hs_optim_destroy(&own);
    return st;
}

void hs_optim_destroy(hs_optim **optim)
{
    if (!optim || !*optim)
        return;
    hs_optim *own = *optim;
    for (int i = 0; i < own->blocks; i++)
        own->device->backend->memory->free(own->device, own->block[i]);
    hs_free(own->block);
    hs_free(own->term);
    hs_free(own->segment);
    hs_free(own);
    *optim = NULL;
}

size_t hs_optim_bytes(const hs_optim *optim)
{
    return optim->bytes;
}

int hs_optim_slots(const hs_optim *optim)
{
    return optim->config.kind == HS_SGD ? 0 : is_adam(optim->config.kind) ? 2 : 1;
}

const char *hs_optim_slot_name(const hs_optim *optim, int slot)
{
    (void)optim;
    return slot == 0 ? "m" : "v";
}

void *hs_optim_slot(hs_optim *optim, int slot)
{
    return optim->moment[slot];
}

/* ---- the step ----------------------------------------------------------------------------------------------------------------------- */

static void *shifted(const hs_optim *optim, void *slab, size_t offset)
{
    return slab ? (char *)slab + offset * (size_t)optim->device->backend->real : NULL;
}

static hs_status update_segment(hs_optim *optim, hs_stream *s, const hs_segment *segment, hs_update update)
{
    const hs_optim_ops *ops = optim->device->backend->optim;
    void *p = shifted(optim, optim->target.slab, segment->offset), *g = shifted(optim, optim->target.gradients, segment->offset);
    void *m = shifted(optim, optim->moment[0], segment->offset), *v = shifted(optim, optim->moment[1], segment->offset);
    update.lr *= segment->rate;
    if (!is_adam(optim->config.kind))
        return ops->sgd(s, &update, segment->count, p, g, m);
    if (segment->modulus)
        return ops->adam_modulus(s, &update, &segment->groups, segment->q, p, g, m, v);
    return ops->adam(s, &update, segment->count, p, g, m, v);
}

hs_update hs_optim_coefficients(const hs_optim_config *config, int64_t t, double lr, double grad_norm)
{
    bool momentum = config->kind == HS_MOMENTUM || config->kind == HS_NESTEROV;
    return (hs_update){
        .lr = lr,
        .momentum = momentum ? config->momentum : 0.0,
        .beta1 = config->beta1,
        .beta2 = config->beta2,
        .epsilon = config->epsilon,
        .decay = config->kind == HS_ADAMW ? config->decay : 0.0,
        .grad_scale = config->clip > 0.0 && grad_norm > config->clip ? config->clip / grad_norm : 1.0,
        .correction1 = 1.0 - pow(config->beta1, (double)t),
        .correction2 = 1.0 - pow(config->beta2, (double)t),
        .nesterov = config->kind == HS_NESTEROV,
    };
}

static hs_status read_sums(hs_optim *optim, hs_stream *s, double sums[SUM_COUNT])
{
    return optim->device->backend->memory->download(s, sums, optim->sums, SUM_COUNT * sizeof *sums);
}

static hs_status update_all(hs_optim *optim, hs_stream *s, const hs_update *update)
{
    for (int i = 0; i < optim->segments; i++)
        HS_TRY(update_segment(optim, s, &optim->segment[i], *update));
    return hs_terms_prox(optim, s, update->lr);
}

/* Norms of what the update has done, against optim->copy. */
static hs_status read_norms(hs_optim *optim, hs_stream *s, hs_optim_report *report)
{
    const hs_backend *backend = optim->device->backend;
    double sums[SUM_COUNT];
    HS_TRY(backend->memory->zero(s, &optim->sums[SUM_UPDATE], 2 * sizeof *optim->sums));
    HS_TRY(backend->optim->distance_squares(s, optim->target.numbers, optim->target.slab, optim->copy, &optim->sums[SUM_UPDATE]));
    HS_TRY(backend->optim->sum_squares(s, optim->target.numbers, optim->target.slab, &optim->sums[SUM_PARAM]));
    HS_TRY(read_sums(optim, s, sums));
    report->update_norm = sqrt(sums[SUM_UPDATE]);
    report->param_norm = sqrt(sums[SUM_PARAM]);
    return HS_OK;
}

hs_status hs_optim_step(hs_optim *optim, hs_stream *s, int64_t t, double lr, hs_optim_report *report)
{
    const hs_backend *backend = optim->device->backend;
    size_t numbers = optim->target.numbers;
    double sums[SUM_COUNT];
    if (hs_optim_flows(optim))
        return hs_flow_step(optim, s, t, lr, report);
    HS_TRY(backend->memory->zero(s, optim->sums, SUM_COUNT * sizeof *optim->sums));
    HS_TRY(hs_terms_gradient(optim, s, false, report != NULL));
    HS_TRY(backend->optim->sum_squares(s, numbers, optim->target.gradients, &optim->sums[SUM_GRADIENT]));
    HS_TRY(read_sums(optim, s, sums));
    double grad_norm = sqrt(sums[SUM_GRADIENT]);
    if (report)
        *report = (hs_optim_report){.lr = lr, .penalty_l1 = sums[SUM_L1], .penalty_l2 = sums[SUM_L2], .grad_norm = grad_norm,
                                    .finite = isfinite(grad_norm)};
    if (!isfinite(grad_norm))
        return HS_ENONFINITE;
    hs_update update = hs_optim_coefficients(&optim->config, t, lr, grad_norm);
    if (report)
        HS_TRY(backend->memory->copy(s, optim->copy, optim->target.slab, numbers * (size_t)backend->real));
    HS_TRY(update_all(optim, s, &update));
    return report ? read_norms(optim, s, report) : HS_OK;
}

hs_status hs_optim_penalty(hs_optim *optim, hs_stream *s, double *l1, double *l2)
{
    double sums[SUM_COUNT];
    HS_TRY(optim->device->backend->memory->zero(s, optim->sums, SUM_COUNT * sizeof *optim->sums));
    HS_TRY(hs_terms_gradient(optim, s, true, true));
    HS_TRY(read_sums(optim, s, sums));
    *l1 = sums[SUM_L1];
    *l2 = sums[SUM_L2];
    return HS_OK;
}
