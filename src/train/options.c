/* options.c - from configuration keys to the option structs of the rooms below. Pure: no files, no ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

void hs_config_choice(const hs_config *config, const char *key, char *text, size_t capacity)
{
    int count = 0;
    const hs_key *keys = hs_keys(&count);
    text[0] = '\0';
    for (int i = 0; i < count; i++)
        if (strcmp(keys[i].name, key) == 0)
            hs_config_value(config, i, text, capacity);
}

void hs_config_net_options(const hs_config *c, hs_net_options *o)
{
    hs_net_options_default(o);
    o->param = (hs_arm)c->param; /* the choices stand in the order of the enumerations */
    o->embed = (hs_embed)c->embed;
    o->boundary = (hs_boundary)c->boundary;
    o->engine = (hs_engine)c->conv_engine;
    o->pool_norm = (hs_pool_norm)c->pool_norm;
    o->fd_alpha = c->fd_alpha;
    o->fd_beta = c->fd_beta;
    o->fd_draw = (hs_draw_scope)c->fd_draw;
    o->flip = c->conv_flip;
    o->bn_momentum = c->bn_momentum;
    o->bn_epsilon = c->bn_epsilon;
    o->init = (hs_init)c->init;
    o->init_std = c->init_std;
    o->init_bias = c->init_bias;
    o->seed = (uint64_t)c->seed;
}

void hs_config_augment(const hs_config *c, hs_augment *a, bool *any)
{
    *a = (hs_augment){.shift = (int)c->aug_shift,
                      .flip = c->aug_flip,
                      .crop = (int)c->aug_crop,
                      .hue = c->aug_hue,
                      .saturation = c->aug_saturation,
                      .value = c->aug_value};
    *any = a->shift || a->flip || a->crop || a->hue > 0 || a->saturation > 0 || a->value > 0;
}

/* "100,140" */
static hs_status parse_milestones(const char *text, hs_schedule *schedule)
{
    enum { MOST = sizeof schedule->milestone / sizeof schedule->milestone[0] };
    schedule->milestones = 0;
    for (const char *p = text; *p;) {
        char *end = NULL;
        double epoch = strtod(p, &end);
        if (end == p || !isfinite(epoch) || epoch < 0)
            return hs_fail(HS_EUSAGE, "lr.milestones = %s: '%s' is not an epoch; write for example 100,140", text, p);
        if (schedule->milestones == MOST)
            return hs_fail(HS_EUSAGE, "lr.milestones = %s: more than %d epochs", text, (int)MOST);
        schedule->milestone[schedule->milestones++] = epoch;
        p = end + strspn(end, " ");
        if (*p == ',')
            p += 1 + strspn(p + 1, " ");
        else if (*p)
            return hs_fail(HS_EUSAGE, "lr.milestones = %s: expected a comma before '%s'", text, p);
    }
    return HS_OK;
}

static hs_optim_layer *layer_entry(const char *name, hs_optim_layer *layer, int *layers)
{
    for (int i = 0; i < *layers; i++)
        if (strcmp(layer[i].layer, name) == 0)
            return &layer[i];
    hs_optim_layer *entry = &layer[(*layers)++];
    *entry = (hs_optim_layer){.lr = -1, .l1_spectral = -1, .l1_spatial = -1, .l2 = -1, .sobolev = -1};
    memcpy(entry->layer, name, sizeof entry->layer);
    return entry;
}

static hs_status check_layer(const hs_net *net, const hs_config_layer *key)
{
    int params = 0;
    const char *names[256];
    int count = 0;
    const hs_param *param = hs_net_params(net, &params);
    for (int i = 0; i < params; i++) {
        if (strcmp(param[i].layer, key->layer) == 0)
            return HS_OK;
        if (count < 256 && (count == 0 || strcmp(names[count - 1], param[i].layer) != 0))
            names[count++] = param[i].layer;
    }
    const char *near = hs_nearest(key->layer, names, count);
    return hs_fail(HS_EUSAGE, "%s.%s: the network has no layer %s%s%s%s; `halfspec train --dry-run` lists its layers", key->key, key->layer,
                   key->layer, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static hs_status layer_values(const hs_config *c, const hs_net *net, hs_optim_layer *layer, int *layers)
{
    *layers = 0;
    for (int i = 0; i < c->layers; i++) {
        const hs_config_layer *key = &c->layer[i];
        HS_TRY(check_layer(net, key));
        hs_optim_layer *entry = layer_entry(key->layer, layer, layers);
        if (strcmp(key->key, "lr") == 0)
            entry->lr = key->value;
        else if (strcmp(key->key, "l2") == 0)
            entry->l2 = key->value;
        else if (strcmp(key->key, "l1.spectral") == 0)
            entry->l1_spectral = key->value;
        else if (strcmp(key->key, "l1.spatial") == 0)
            entry->l1_spatial = key->value;
        else if (strcmp(key->key, "sobolev") == 0)
            entry->sobolev = key->value;
        else
            return hs_fail(HS_EINTERNAL, "no optimizer setting for %s.%s", key->key, key->layer);
    }
    return HS_OK;
}

hs_status hs_config_optim(const hs_config *c, const hs_net *net, int64_t epoch_steps, int64_t total_steps, hs_optim_layer *layer,
                          hs_optim_config *o)
{
    *o = (hs_optim_config){
        .kind = (hs_optim_kind)c->optimizer,
        .moment = (hs_moment)c->moment,
        .momentum = c->momentum,
        .beta1 = c->beta1,
        .beta2 = c->beta2,
        .epsilon = c->epsilon,
        .decay = c->decay,
        .clip = c->clip,
        .schedule = {.kind = (hs_schedule_kind)c->lr_schedule,
                     .base = c->lr,
                     .minimum = c->lr_minimum,
                     .warmup = c->lr_warmup,
                     .total = total_steps,
                     .epoch_steps = epoch_steps,
                     .factor = c->lr_factor,
                     .patience = (int)c->lr_patience},
        .l1_spectral = c->l1_spectral,
        .l1_spatial = c->l1_spatial,
        .l2 = c->l2,
        .sobolev = c->sobolev,
        .sobolev_p = c->sobolev_p,
        .l1_kind = c->l1_kind == 0 ? HS_PENALTY_L1_MODULUS : HS_PENALTY_L1_SPLIT, /* modulus|split */
        .l1_prox = c->l1_step == 0,                                              /* prox|subgradient */
        .penalty_mean = c->penalty_reduction == 1,                               /* sum|mean */
        .layer = layer,
    };
    HS_TRY(parse_milestones(c->lr_milestones, &o->schedule));
    return layer_values(c, net, layer, &o->layers);
}

bool hs_interval_due(int64_t interval, int64_t step, bool epoch_end)
{
    return interval == HS_EPOCH ? epoch_end : interval > 0 && step % interval == 0;
}
