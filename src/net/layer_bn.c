/* layer_bn.c - BN: batch normalisation over N, H, W of the GLOBAL batch (Ioffe and Szegedy 2015). Per channel sums of all ranks meet through
 * hooks->sum in device memory; what is made of them, a few numbers per channel, is computed on the host. A rank without samples takes part
 * with zero sums. Running variance is the unbiased one, as in PyTorch, so that networks can be carried over. */
#include <math.h>
#include <string.h>

#include "net.h"

typedef struct bn_state {
    double *host; /* [4][c] */
    void *sums;   /* device doubles [2][c] */
    void *mean;   /* device doubles [2][c]: mean, rstd; kept from forward to backward */
} bn_state;

static hs_status params(hs_net *net, hs_node *node)
{
    hs_param like = {.role = HS_ROLE_SCALE, .out = node->in.c, .in = 1, .kh = 1, .kw = 1, .coords = 1};
    size_t c = (size_t)node->in.c;
    net->batch_statistics = true;
    HS_TRY(hs_net_declare(net, node, "gamma", &like, c));
    like.role = HS_ROLE_SHIFT;
    HS_TRY(hs_net_declare(net, node, "beta", &like, c));
    like.role = HS_ROLE_STATISTIC;
    HS_TRY(hs_net_declare(net, node, "mean", &like, c));
    return hs_net_declare(net, node, "var", &like, c);
}

static hs_status plan(hs_net *net, hs_node *node)
{
    bn_state *st = node->state;
    size_t c = (size_t)node->in.c;
    HS_TRY(hs_calloc(4 * c, sizeof(double), "batch statistics", &st->host));
    HS_TRY(hs_want_table(net, 2 * c * sizeof(double), &st->sums));
    return hs_want_table(net, 2 * c * sizeof(double), &st->mean);
}

static void release(hs_node *node)
{
    bn_state *st = node->state;
    hs_free(st->host);
}

/* COUNT numbers of the backend's real type between device memory and host doubles, both ways in the same host memory (no allocation):
 * floats occupy the first half and are widened from the end, or narrowed from the start. */
static hs_status download_reals(const hs_net *net, hs_stream *s, const void *device, size_t count, double *host)
{
    HS_TRY(net->backend->memory->download(s, host, device, count * net->backend->real));
    if (net->backend->real == HS_F64)
        return HS_OK;
    for (size_t i = count; i-- > 0;) {
        float narrow;
        memcpy(&narrow, (char *)host + i * sizeof narrow, sizeof narrow);
        host[i] = (double)narrow;
    }
    return HS_OK;
}

static hs_status upload_reals(const hs_net *net, hs_stream *s, double *host, size_t count, void *device)
{
    if (net->backend->real == HS_F32) {
        for (size_t i = 0; i < count; i++) {
            float narrow = (float)host[i];
            memcpy((char *)host + i * sizeof narrow, &narrow, sizeof narrow);
        }
    }
    return net->backend->memory->upload(s, device, host, count * net->backend->real);
}

/* Running = (1 - momentum) running + momentum new, of mean and variance. NEW [2][c]; clobbers HOST [2][c]. */
static hs_status update_running(hs_net *net, hs_node *node, hs_stream *s, const double *fresh, double *host)
{
    size_t c = (size_t)node->in.c;
    double m = net->options.bn_momentum;
    for (int i = 0; i < 2; i++) {
        HS_TRY(download_reals(net, s, hs_node_statistic(net, node, i), c, host));
        for (size_t j = 0; j < c; j++)
            host[j] = (1 - m) * host[j] + m * fresh[(size_t)i * c + j];
        HS_TRY(upload_reals(net, s, host, c, hs_node_statistic(net, node, i)));
    }
    return HS_OK;
}

static hs_status sum_ranks(const hs_pass *pass, void *sums, size_t count)
{
    return pass->hooks && pass->hooks->sum ? pass->hooks->sum(pass->hooks->context, sums, count) : HS_OK;
}

static double total_rows(const hs_node *node, const hs_pass *pass)
{
    return (double)pass->global * node->in.h * node->in.w;
}

/* Mean and 1/sqrt(var + epsilon) of the global batch to st->mean, and the running statistics. */
static hs_status batch_statistics(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    bn_state *st = node->state;
    size_t c = (size_t)node->in.c, rows = (size_t)pass->n * (size_t)node->in.h * (size_t)node->in.w;
    double total = total_rows(node, pass), *rstd = st->host + c, *fresh = st->host + 2 * c;
    HS_TRY(net->backend->norm->moments(s, rows, node->in.c, node->x[0], st->sums));
    HS_TRY(sum_ranks(pass, st->sums, 2 * c));
    HS_TRY(net->backend->memory->download(s, st->host, st->sums, 2 * c * sizeof(double)));
    for (size_t j = 0; j < c; j++) {
        double mean = st->host[j] / total, var = fmax(st->host[c + j] / total - mean * mean, 0);
        st->host[j] = fresh[j] = mean;
        rstd[j] = 1 / sqrt(var + net->options.bn_epsilon);
        fresh[c + j] = var * total / fmax(total - 1, 1);
    }
    HS_TRY(net->backend->memory->upload(s, st->mean, st->host, 2 * c * sizeof(double)));
    return update_running(net, node, s, fresh, st->host);
}

static hs_status running_statistics(hs_net *net, hs_node *node, hs_stream *s)
{
    bn_state *st = node->state;
    size_t c = (size_t)node->in.c;
    HS_TRY(download_reals(net, s, hs_node_statistic(net, node, 0), c, st->host));
    HS_TRY(download_reals(net, s, hs_node_statistic(net, node, 1), c, st->host + c));
    for (size_t j = c; j < 2 * c; j++)
        st->host[j] = 1 / sqrt(st->host[j] + net->options.bn_epsilon);
    return net->backend->memory->upload(s, st->mean, st->host, 2 * c * sizeof(double));
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    bn_state *st = node->state;
    size_t rows = (size_t)pass->n * (size_t)node->in.h * (size_t)node->in.w;
    const double *mean = st->mean;
    HS_TRY(pass->training ? batch_statistics(net, node, s, pass) : running_statistics(net, node, s));
    return net->backend->norm->apply(s, rows, node->in.c, node->x[0], mean, mean + node->in.c, hs_node_param(net, node, 0), hs_node_param(net, node, 1),
                                     node->y);
}

/* Gradients of gamma and beta are this rank's own sums (the slab is summed over ranks later); dx needs those of all ranks. */
static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    bn_state *st = node->state;
    size_t c = (size_t)node->in.c, rows = (size_t)pass->n * (size_t)node->in.h * (size_t)node->in.w;
    const double *mean = st->mean;
    HS_TRY(net->backend->norm->moments_bwd(s, rows, node->in.c, node->x[0], mean, mean + c, node->dy, st->sums));
    HS_TRY(net->backend->memory->download(s, st->host, st->sums, 2 * c * sizeof(double)));
    HS_TRY(upload_reals(net, s, st->host + c, c, hs_node_gradient(net, node, 0)));
    HS_TRY(upload_reals(net, s, st->host, c, hs_node_gradient(net, node, 1)));
    HS_TRY(sum_ranks(pass, st->sums, 2 * c));
    if (!node->dx[0])
        return HS_OK;
    return net->backend->norm->apply_bwd(s, rows, node->in.c, node->x[0], mean, mean + c, hs_node_param(net, node, 0), node->dy, st->sums,
                                         total_rows(node, pass), node->dx[0]);
}

const hs_layer_kind hs_layer_bn = {
    .symbol = "BN", .stem = "bn", .form = "BN", .state_bytes = sizeof(bn_state), .reads_x = true,
    .params = params, .plan = plan, .release = release, .forward = forward, .backward = backward,
};
