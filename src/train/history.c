/* history.c - snapshots of the filters for run.h5, taken on rank 0: coordinates are downloaded and shown as orthonormal half-spectrum
 * coordinates whatever the arm. Gradient and momentum live in the arm's coordinates too; they are shown as the change of the filter that a
 * step along them makes, i.e. through the same linear map (for orthonormal arms that IS the gradient of the filter). */
#include <string.h>

#include "hs_spectrum.h"
#include "train.h"

static bool row_of(const hs_net *net, const char *layer, hs_layer_row *row)
{
    for (int i = 0; i < hs_net_rows(net); i++) {
        hs_net_row(net, i, row);
        if (strcmp(row->name, layer) == 0)
            return true;
    }
    return false;
}

static bool begins_layer(const hs_param *param, int i)
{
    return i == 0 || strcmp(param[i].layer, param[i - 1].layer) != 0;
}

static void describe_layer(hs_history *h, int j, const hs_net *net, const hs_param *param, int params, int i)
{
    hs_layer_row row;
    hs_run_layer *layer = &h->layer[j];
    bool found = row_of(net, param[i].layer, &row);
    memcpy(h->name[j], param[i].layer, sizeof h->name[j]);
    snprintf(h->notation[j], sizeof h->notation[j], "%s", found ? row.notation : "");
    *layer = (hs_run_layer){.name = h->name[j],
                            .notation = h->notation[j],
                            .kernel_h = param[i].kh,
                            .kernel_w = param[i].kw,
                            .in_channels = param[i].in,
                            .out_channels = param[i].out,
                            .arm = param[i].arm};
    h->filter[j] = -1;
    for (int k = i; k < params && strcmp(param[k].layer, param[i].layer) == 0; k++) {
        layer->params += (int64_t)param[k].count;
        if (param[k].role == HS_ROLE_FILTER && h->filter[j] < 0)
            h->filter[j] = k;
    }
    layer->filters = h->filter[j] >= 0;
}

static hs_status list_layers(hs_history *h, const hs_net *net)
{
    int params = 0, j = 0;
    const hs_param *param = hs_net_params(net, &params);
    for (int i = 0; i < params; i++)
        h->layers += begins_layer(param, i);
    size_t count = (size_t)(h->layers > 0 ? h->layers : 1);
    HS_TRY(hs_calloc(count, sizeof *h->layer, "list of layers", &h->layer));
    HS_TRY(hs_calloc(count, sizeof *h->filter, "list of layers", &h->filter));
    HS_TRY(hs_calloc(count, sizeof *h->name, "list of layers", &h->name));
    HS_TRY(hs_calloc(count, sizeof *h->notation, "list of layers", &h->notation));
    for (int i = 0; i < params; i++)
        if (begins_layer(param, i))
            describe_layer(h, j++, net, param, params, i);
    return HS_OK;
}

static hs_status make_scratch(hs_trainer *t)
{
    hs_history *h = &t->history;
    int params = 0;
    const hs_param *param = hs_net_params(t->world.net, &params);
    size_t filters = 1, coords = 1, plane = 1;
    for (int i = 0; i < params; i++) {
        if (param[i].role != HS_ROLE_FILTER)
            continue;
        size_t area = (size_t)param[i].kh * (size_t)param[i].kw, numbers = area * (size_t)param[i].in * (size_t)param[i].out;
        size_t half = 2 * (size_t)param[i].kh * (size_t)(param[i].kw / 2 + 1);
        filters = numbers > filters ? numbers : filters;
        coords = param[i].count > coords ? param[i].count : coords;
        plane = half > plane ? half : plane;
    }
    double **same[] = {&h->spectrum, &h->taps, &h->gradient, &h->update, &h->momentum};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        HS_TRY(hs_calloc(filters, sizeof(double), "filter history", same[i]));
    HS_TRY(hs_calloc(coords, sizeof(double), "filter history", &h->coords));
    HS_TRY(hs_calloc(plane, sizeof(double), "filter history", &h->plane));
    return t->world.config->history_every != 0 ? hs_calloc(t->parameters.bytes + 1, 1, "parameters before a step", &h->before) : HS_OK;
}

hs_status hs_history_describe(hs_trainer *t)
{
    return t->world.comm->rank == 0 ? list_layers(&t->history, t->world.net) : HS_OK;
}

hs_status hs_history_open(hs_trainer *t)
{
    hs_history *h = &t->history;
    if (t->world.comm->rank != 0)
        return HS_OK;
    HS_TRY(make_scratch(t));
    hs_run_options options = {.dir = t->world.config->run,
                              .provenance = &t->origin.public,
                              .layer = h->layer,
                              .layers = h->layers,
                              .history_filters = t->world.config->history_filters,
                              .resume_step = t->resumed ? t->state.step : -1};
    return hs_run_open(&options, &h->run);
}

void hs_history_close(hs_trainer *t)
{
    hs_history *h = &t->history;
    if (h->run)
        (void)hs_run_close(&h->run); /* what counts was flushed by hs_save */
    void *all[] = {h->layer,    h->filter, h->name,     h->notation, h->before,   h->coords,
                   h->spectrum, h->taps,   h->gradient, h->update,   h->momentum, h->plane};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        hs_free(all[i]);
    *h = (hs_history){0};
}

hs_status hs_history_before(hs_trainer *t)
{
    if (t->world.comm->rank != 0)
        return HS_OK;
    HS_TRY(hs_mirror_pull(&t->world, &t->parameters));
    memcpy(t->history.before, t->parameters.host, t->parameters.bytes);
    return HS_OK;
}

static double at(const void *slab, hs_real real, size_t i)
{
    return real == HS_F32 ? (double)((const float *)slab)[i] : ((const double *)slab)[i];
}

/* OUT [out][in][kh*kw] of the range of PARAM in SLAB, minus that of LESS if it is not NULL. */
static hs_status show(hs_trainer *t, const hs_param *param, const void *slab, const void *less, double *out)
{
    hs_real real = t->world.device->backend->real;
    double *coords = t->history.coords;
    for (size_t i = 0; i < param->count; i++)
        coords[i] = at(slab, real, param->offset + i) - (less ? at(less, real, param->offset + i) : 0);
    return hs_net_filter_to_spectrum(t->world.net, param, coords, out);
}

static hs_status take_layer(hs_trainer *t, int j, bool with_step)
{
    hs_history *h = &t->history;
    int params = 0;
    const hs_param *param = &hs_net_params(t->world.net, &params)[h->filter[j]];
    size_t area = (size_t)param->kh * (size_t)param->kw, bank = (size_t)param->in * (size_t)param->out;
    hs_snapshot snap = {.step = t->state.step, .layer = j, .spectrum = h->spectrum, .taps = h->taps};
    HS_TRY(show(t, param, t->parameters.host, NULL, h->spectrum));
    for (size_t i = 0; i < bank; i++)
        hs_coords_to_plane(param->kh, param->kw, h->spectrum + i * area, h->taps + i * area, h->plane);
    if (with_step) {
        HS_TRY(show(t, param, t->gradients.host, NULL, h->gradient));
        HS_TRY(show(t, param, t->parameters.host, h->before, h->update));
        snap.gradient = h->gradient;
        snap.update = h->update;
    }
    if (with_step && t->moments > 0) {
        HS_TRY(show(t, param, t->moment[0].host, NULL, h->momentum));
        snap.momentum = h->momentum;
    }
    return hs_run_snapshot(h->run, &snap);
}

hs_status hs_history_take(hs_trainer *t, bool with_step)
{
    if (t->world.comm->rank != 0)
        return HS_OK;
    HS_TRY(hs_mirror_pull(&t->world, &t->parameters));
    if (with_step)
        HS_TRY(hs_mirror_pull(&t->world, &t->gradients));
    if (with_step && t->moments > 0)
        HS_TRY(hs_mirror_pull(&t->world, &t->moment[0]));
    for (int j = 0; j < t->history.layers; j++)
        if (t->history.filter[j] >= 0)
            HS_TRY(take_layer(t, j, with_step));
    return HS_OK;
}

/* Half spectra of the chosen filters (8 bytes a bin), and per layer the maps, rings, histograms and scalars of hs_store.h. */
double hs_history_bytes(const hs_trainer *t)
{
    const hs_config *c = t->world.config;
    int params = 0, first = 0;
    const hs_param *param = hs_net_params(t->world.net, &params);
    bool all = strcmp(c->history_filters, "all") == 0;
    if (sscanf(c->history_filters, "first:%d", &first) != 1)
        first = 0;
    int64_t every = c->history_every == HS_EPOCH ? t->epoch_steps : c->history_every;
    double snapshots = every > 0 ? 1 + (double)(t->total_steps / every) : 0, bytes = 0;
    for (int i = 0; i < params; i++) {
        if (param[i].role != HS_ROLE_FILTER)
            continue;
        double out = all || param[i].out < first ? param[i].out : first, in = param[i].in;
        double half = (double)param[i].kh * (param[i].kw / 2 + 1);
        bytes += 8 * out * in * half + 4 * half + 4 * 4.0 * hs_radii_count(param[i].kh, param[i].kw) + 3 * 64 * 4 + 10 * 4;
    }
    return snapshots * bytes;
}
