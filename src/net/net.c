/* net.c - life of a network and what others may ask of it. */
#include "net.h"

#include <string.h>

void hs_net_options_default(hs_net_options *options)
{
    *options = (hs_net_options){
        .param = HS_ARM_SPECTRAL,
        .embed = HS_EMBED_SPACE,
        .boundary = HS_BOUNDARY_ZERO,
        .engine = HS_ENGINE_AUTO,
        .pool_norm = HS_POOL_UNITARY,
        .fd_alpha = 0.3,
        .fd_beta = 0.15,
        .fd_draw = HS_DRAW_BATCH,
        .bn_momentum = 0.1,
        .bn_epsilon = 1e-5,
        .init = HS_INIT_HE,
        .init_std = 0.01,
        .seed = 1,
    };
}

hs_status hs_net_create(const char *notation, const hs_net_options *options, hs_shape in, int classes, hs_net **net)
{
    if (in.h < 1 || in.w < 1 || in.c < 1 || classes < 1)
        return hs_fail(HS_EUSAGE, "network: samples of %d x %d x %d in %d classes cannot be learned", in.h, in.w, in.c, classes);
    hs_net *made = NULL;
    char *text = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_net_expand(notation, classes, &text));
    HS_TRY_GOTO(st, hs_calloc(1, sizeof *made, "network", &made), done);
    made->options = *options;
    made->in = in;
    made->classes = classes;
    HS_TRY_GOTO(st, hs_calloc(HS_LAYERS_MAX, sizeof *made->layer, "network layers", &made->layer), done);
    HS_TRY_GOTO(st, hs_graph_parse(made, text), done);
    *net = made;
    made = NULL;
done:
    hs_free(text);
    hs_net_destroy(&made);
    return st;
}

void hs_net_destroy(hs_net **net)
{
    hs_net *n = net ? *net : NULL;
    if (!n)
        return;
    for (int i = 0; i < n->steps; i++) /* what is not a layer was inserted by the planner */
        if (n->step[i]->kind == &hs_layer_transform)
            hs_node_destroy(&n->step[i]);
    for (int i = 0; i < n->layers; i++)
        hs_node_destroy(&n->layer[i]);
    for (int i = 0; i < n->fuseds; i++)
        hs_node_destroy(&n->fused[i]);
    if (n->memory)
        n->backend->memory->free(n->device, n->memory);
    hs_free(n->layer);
    hs_free(n->fused);
    hs_free(n->step);
    hs_free(n->param);
    hs_free(n->statistic);
    hs_free(n->notation);
    hs_free(n->decisions);
    hs_free(n->forced);
    hs_free(n->want);
    hs_free(n);
    *net = NULL;
}

const char *hs_net_notation(const hs_net *net)
{
    return net->notation;
}

hs_shape hs_net_input(const hs_net *net)
{
    return net->in;
}

int hs_net_classes(const hs_net *net)
{
    return net->classes;
}

bool hs_net_has_batch_statistics(const hs_net *net)
{
    return net->batch_statistics;
}

const hs_param *hs_net_params(const hs_net *net, int *count)
{
    *count = net->params;
    return net->param;
}

const hs_param *hs_net_statistics(const hs_net *net, int *count)
{
    *count = net->statistics;
    return net->statistic;
}

size_t hs_net_params_count(const hs_net *net)
{
    return net->params_count;
}

size_t hs_net_statistics_count(const hs_net *net)
{
    return net->statistics_count;
}

void *hs_net_slab(hs_net *net)
{
    return net->slab;
}

void *hs_net_gradients(hs_net *net)
{
    return net->gradients;
}

void *hs_net_statistics_slab(hs_net *net)
{
    return net->statistics_slab;
}

void hs_net_memory(const hs_net *net, hs_net_bytes *bytes)
{
    *bytes = net->bytes;
}

void hs_net_want_input_gradient(hs_net *net, bool want)
{
    net->want_dx = want;
}

int hs_net_rows(const hs_net *net)
{
    return (net->step ? net->steps : net->layers) - 1; /* the input is no layer */
}

void hs_net_row(const hs_net *net, int i, hs_layer_row *row)
{
    const hs_node *node = net->step ? net->step[i + 1] : net->layer[i + 1];
    size_t params = 0;
    for (int p = 0; p < node->params; p++)
        params += net->param[node->param + p].count;
    size_t bytes = net->planned && !node->shares ? node->count * (size_t)net->plan.capacity * net->backend->real : 0;
    *row = (hs_layer_row){
        .name = node->name,
        .notation = node->notation,
        .in = node->in,
        .out = node->out,
        .from = node->from,
        .domain = node->to,
        .sealed_from = node->sealed_in,
        .sealed = node->sealed_out,
        .engine = node->engine_text,
        .params = params,
        .activation_bytes = bytes,
        .gflop = node->kind->flop ? 1e-9 * node->kind->flop(node) : 0,
        .predicted = node->predicted,
        .measured = node->measured,
    };
}

/* ---- helpers for layers -------------------------------------------------------------------------------------------------- */

void *hs_node_param(const hs_net *net, const hs_node *node, int i)
{
    return net->slab + net->param[node->param + i].offset * net->backend->real;
}

void *hs_node_gradient(const hs_net *net, const hs_node *node, int i)
{
    return net->gradients + net->param[node->param + i].offset * net->backend->real;
}

void *hs_node_statistic(const hs_net *net, const hs_node *node, int i)
{
    return net->statistics_slab + net->statistic[node->statistic + i].offset * net->backend->real;
}

hs_status hs_upload_reals(const hs_net *net, hs_stream *s, const double *host, size_t count, void *device)
{
    const hs_memory_ops *memory = net->backend->memory;
    if (net->backend->real == HS_F64)
        return memory->upload(s, device, host, count * sizeof *host);
    float *narrow = NULL;
    HS_TRY(hs_calloc(count, sizeof *narrow, "numbers on their way to the device", &narrow));
    for (size_t i = 0; i < count; i++)
        narrow[i] = (float)host[i];
    hs_status st = memory->upload(s, device, narrow, count * sizeof *narrow);
    hs_free(narrow);
    return st;
}

hs_status hs_node_copy(const hs_net *net, hs_stream *s, size_t count, const void *from, void *to)
{
    return from == to ? HS_OK : net->backend->memory->copy(s, to, from, count * net->backend->real);
}
