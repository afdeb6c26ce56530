/* layer_bn.c - BN: batch normalisation over N, H, W of the GLOBAL batch (Ioffe and Szegedy 2015). Per channel sums of all ranks meet through
 * hooks->sum in device memory, and stay there. A rank without samples takes part
 * with zero sums. Running variance is the unbiased one, as in PyTorch, so that networks can be carried over. */
#include "net.h"

typedef struct bn_state {
    void *sums; /* device doubles [2][c] */
    void *mean; /* device doubles [2][c]: mean, rstd; kept from forward to backward */
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
    HS_TRY(hs_want_table(net, 2 * c * sizeof(double), &st->sums));
    return hs_want_table(net, 2 * c * sizeof(double), &st->mean);
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
    double *mean = st->mean;
    HS_TRY(net->backend->norm->moments(s, rows, node->in.c, node->x[0], st->sums));
    HS_TRY(sum_ranks(pass, st->sums, 2 * c));
    return net->backend->norm->statistics(s, node->in.c, st->sums, total_rows(node, pass), net->options.bn_epsilon, net->options.bn_momentum, mean,
                                          mean + c, hs_node_statistic(net, node, 0), hs_node_statistic(net, node, 1));
}

static hs_status running_statistics(hs_net *net, hs_node *node, hs_stream *s)
{
    bn_state *st = node->state;
    double *mean = st->mean;
    return net->backend->norm->running(s, node->in.c, hs_node_statistic(net, node, 0), hs_node_statistic(net, node, 1), net->options.bn_epsilon, mean,
                                       mean + node->in.c);
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
    HS_TRY(net->backend->norm->gradients(s, node->in.c, st->sums, hs_node_gradient(net, node, 0), hs_node_gradient(net, node, 1)));
    HS_TRY(sum_ranks(pass, st->sums, 2 * c));
    if (!node->dx[0])
        return HS_OK;
    return net->backend->norm->apply_bwd(s, rows, node->in.c, node->x[0], mean, mean + c, hs_node_param(net, node, 0), node->dy, st->sums,
                                         total_rows(node, pass), node->dx[0]);
}

const hs_layer_kind hs_layer_bn = {
    .symbol = "BN", .stem = "bn", .form = "BN", .state_bytes = sizeof(bn_state), .reads_x = true,
    .params = params, .plan = plan, .forward = forward, .backward = backward,
};
