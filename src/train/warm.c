/* warm.c - initial parameters from another run's checkpoint. Filters cross over as kh x kw kernels in space, so the arms of the two networks
 * need not agree; with the other tensors and the statistics the loss after the switch is the loss before. Rank 0 reads, all receive. */
#include <string.h>

#include "hs_spectrum.h"
#include "train.h"

/* The other network, without a device: its tables tell what lies where. */
typedef struct donor {
    hs_checkpoint_head head;
    hs_config *config;
    hs_net *net;
    double *slab, *statistics;
} donor;

static void donor_free(donor *d)
{
    hs_free(d->statistics);
    hs_free(d->slab);
    hs_net_destroy(&d->net);
    hs_free(d->config);
    hs_checkpoint_head_free(&d->head);
}

static hs_status donor_open(const char *path, donor *d)
{
    hs_net_options options;
    hs_checkpoint ckpt = {.real = HS_F64};
    HS_TRY(hs_checkpoint_peek(path, &d->head));
    HS_TRY(hs_calloc(1, sizeof *d->config, "configuration of a checkpoint", &d->config));
    hs_config_init(d->config);
    HS_TRY(hs_config_parse(d->config, path, d->head.config_text));
    hs_config_net_options(d->config, &options);
    HS_TRY(hs_net_create(d->head.notation, &options, d->head.in, d->head.classes, &d->net));
    HS_TRY(hs_calloc(hs_net_params_count(d->net) + 1, sizeof(double), "parameters of a checkpoint", &d->slab));
    HS_TRY(hs_calloc(hs_net_statistics_count(d->net) + 1, sizeof(double), "statistics of a checkpoint", &d->statistics));
    ckpt.param = hs_net_params(d->net, &ckpt.params);
    ckpt.statistic = hs_net_statistics(d->net, &ckpt.statistics);
    ckpt.notation = hs_net_notation(d->net);
    ckpt.parameters = (hs_slab){"", d->slab, hs_net_params_count(d->net)};
    ckpt.statistics_slab = (hs_slab){"", d->statistics, hs_net_statistics_count(d->net)};
    return hs_checkpoint_read(path, &ckpt);
}

static void put(hs_mirror *m, hs_real real, size_t offset, const double *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (real == HS_F32)
            ((float *)m->host)[offset + i] = (float)from[i];
        else
            ((double *)m->host)[offset + i] = from[i];
}

/* Donor coordinates -> half spectrum [out][in][k] -> kernel [k][in][out] -> our coordinates. */
static hs_status convert(const hs_net *from, const hs_param *a, const double *coords, const hs_net *to, const hs_param *b, double *out)
{
    size_t area = (size_t)a->kh * (size_t)a->kw, q = (size_t)a->in * (size_t)a->out, half = 2 * (size_t)a->kh * (size_t)(a->kw / 2 + 1);
    double *spectrum = NULL, *kernel = NULL, *plane = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc(area * q, sizeof(double), "filters", &spectrum), done);
    HS_TRY_GOTO(st, hs_calloc(area * q, sizeof(double), "filters", &kernel), done);
    HS_TRY_GOTO(st, hs_calloc(area + half, sizeof(double), "filters", &plane), done);
    HS_TRY_GOTO(st, hs_net_filter_to_spectrum(from, a, coords, spectrum), done);
    for (int o = 0; o < a->out; o++)
        for (int i = 0; i < a->in; i++) {
            hs_coords_to_plane(a->kh, a->kw, spectrum + ((size_t)o * (size_t)a->in + (size_t)i) * area, plane, plane + area);
            for (size_t k = 0; k < area; k++)
                kernel[k * q + (size_t)i * (size_t)a->out + (size_t)o] = plane[k];
        }
    st = hs_filter_from_kernel(to, b, kernel, out);
done:
    hs_free(spectrum);
    hs_free(kernel);
    hs_free(plane);
    return st;
}

static bool same_shape(const hs_param *a, const hs_param *b)
{
    return strcmp(a->layer, b->layer) == 0 && strcmp(a->name, b->name) == 0 && a->role == b->role && a->out == b->out && a->in == b->in &&
           a->kh == b->kh && a->kw == b->kw && (a->role == HS_ROLE_FILTER || a->count == b->count);
}

static const hs_param *partner(const hs_param *list, int count, const hs_param *like)
{
    for (int i = 0; i < count; i++)
        if (same_shape(&list[i], like))
            return &list[i];
    return NULL;
}

static hs_status take_param(hs_trainer *t, const donor *d, const hs_param *a, const hs_param *b)
{
    hs_real real = t->world.device->backend->real;
    double *coords = NULL;
    if (b->role != HS_ROLE_FILTER) {
        put(&t->parameters, real, b->offset, d->slab + a->offset, b->count);
        return HS_OK;
    }
    HS_TRY(hs_calloc(b->count, sizeof *coords, "filters", &coords));
    hs_status st = convert(d->net, a, d->slab + a->offset, t->world.net, b, coords);
    if (st == HS_OK)
        put(&t->parameters, real, b->offset, coords, b->count);
    hs_free(coords);
    return st;
}

/* LAYER "": everything that both networks have under one name and shape; else the filters of that layer alone. */
static hs_status take_all(hs_trainer *t, const donor *d, const char *layer, int *taken)
{
    int ours = 0, theirs = 0;
    const hs_param *b = hs_net_params(t->world.net, &ours), *a = hs_net_params(d->net, &theirs);
    for (int i = 0; i < ours; i++) {
        const hs_param *from = partner(a, theirs, &b[i]);
        if (!from || (layer[0] && (strcmp(layer, b[i].layer) != 0 || b[i].role != HS_ROLE_FILTER)))
            continue;
        HS_TRY(take_param(t, d, from, &b[i]));
        (*taken)++;
    }
    b = hs_net_statistics(t->world.net, &ours);
    a = hs_net_statistics(d->net, &theirs);
    for (int i = 0; i < ours && !layer[0]; i++) {
        const hs_param *from = partner(a, theirs, &b[i]);
        if (from)
            put(&t->statistics, t->world.device->backend->real, b[i].offset, d->statistics + from->offset, b[i].count);
    }
    return HS_OK;
}

static hs_status read_donor(hs_trainer *t, const char *path, const char *layer)
{
    donor d = {0};
    int taken = 0, params = 0;
    hs_status st = donor_open(path, &d);
    if (st == HS_OK)
        st = hs_mirror_pull(&t->world, &t->parameters);
    if (st == HS_OK)
        st = hs_mirror_pull(&t->world, &t->statistics);
    if (st == HS_OK)
        st = take_all(t, &d, layer, &taken);
    hs_net_params(t->world.net, &params);
    if (st == HS_OK && taken == 0)
        st = hs_fail(HS_EUSAGE, "warm-start = %s: nothing there has the name and shape of %s%s; its network is %s", t->world.config->warm_start,
                     layer[0] ? "the filters of " : "a tensor of this network", layer, d.head.notation);
    if (st == HS_OK)
        hs_info(t->world.log, "warm start from %s: %d of %d tensors taken", path, taken, params);
    donor_free(&d);
    return st;
}

/* FILE[:layer]: the part behind the last colon is a layer unless a file has the whole name. */
static void split_name(const char *text, char *path, char *layer, size_t capacity)
{
    snprintf(path, capacity, "%s", text);
    layer[0] = '\0';
    char *colon = strrchr(path, ':');
    if (!colon || strchr(colon, '/') || hs_file_exists(text))
        return;
    *colon = '\0';
    snprintf(layer, HS_NAME_MAX, "%s", colon + 1);
}

hs_status hs_warm_start(hs_trainer *t)
{
    char path[HS_TEXT_MAX], layer[HS_NAME_MAX];
    hs_comm *comm = t->world.comm;
    if (!t->world.config->warm_start[0])
        return HS_OK;
    split_name(t->world.config->warm_start, path, layer, sizeof path);
    HS_TRY(hs_agree(comm, comm->rank == 0 ? read_donor(t, path, layer) : HS_OK));
    HS_TRY(hs_mirror_share(&t->world, &t->parameters));
    return hs_mirror_share(&t->world, &t->statistics);
}
