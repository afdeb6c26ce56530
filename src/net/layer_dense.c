/* layer_dense.c - F1024: fully connected. The input is flattened in H, W, C order, which is how it lies in memory. */
#include <stdio.h>

#include "net.h"

typedef struct dense_args {
    int out;
} dense_args;

typedef struct dense_state {
    const hs_conv_ops *ops;
    hs_conv *plan; /* NULL: products and biases */
    void *saved;
} dense_state;

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    dense_args *a = node->args;
    (void)net;
    return hs_reader_int(r, "the number of outputs", node->kind->form, 1, 1 << 20, &a->out);
}

static hs_status shape(const hs_reader *r, const hs_net *net, hs_node *node)
{
    const dense_args *a = node->args;
    (void)r, (void)net;
    node->out = (hs_shape){1, 1, a->out};
    return HS_OK;
}

static hs_status params(hs_net *net, hs_node *node)
{
    const dense_args *a = node->args;
    size_t in = hs_shape_count(node->in);
    hs_param weight = {.role = HS_ROLE_DENSE, .out = a->out, .in = (int)in, .kh = 1, .kw = 1, .coords = 1};
    hs_param bias = {.role = HS_ROLE_BIAS, .out = a->out, .in = 1, .kh = 1, .kw = 1, .coords = 1};
    HS_TRY(hs_net_declare(net, node, "weight", &weight, in * (size_t)a->out));
    return hs_net_declare(net, node, "bias", &bias, (size_t)a->out);
}

static double flop(const hs_node *node)
{
    return 2.0 * (double)hs_shape_count(node->in) * node->out.c * (node->input[0]->inputs == 0 ? 2 : 3);
}

/* The same products as a convolution of one pixel, which some backends want it to be: with a rectifier and sealed edges. */
static hs_conv_desc describe(const hs_net *net, const hs_node *node)
{
    return (hs_conv_desc){.capacity = net->plan.capacity, .h = 1, .w = 1, .oh = 1, .ow = 1, .ci = (int)hs_shape_count(node->in), .co = node->out.c,
                          .kh = 1, .kw = 1, .stride = 1, .bias = true, .need_dx = node->need_dx[0], .relu = node->relu_out,
                          .sealed_in = hs_plan_seals(net, node->sealed_in, HS_SPACE), .sealed_out = hs_plan_seals(net, node->sealed_out, HS_SPACE),
                          .engine = HS_ENGINE_DIRECT};
}

static double cost(const hs_net *net, const hs_node *node)
{
    const hs_conv_desc desc = describe(net, node);
    return net->backend->conv->cost(net->device, &desc);
}

static bool covers(const hs_net *net, const hs_node *node)
{
    const hs_conv_desc desc = describe(net, node);
    return net->backend->conv->dense ? net->backend->conv->supports(net->device, &desc) : !desc.relu;
}

static hs_status plan(hs_net *net, hs_node *node)
{
    dense_state *st = node->state;
    const hs_conv_desc desc = describe(net, node);
    st->ops = net->backend->conv;
    if (!st->ops->dense)
        return HS_OK;
    HS_TRY(st->ops->plan(net->device, &desc, &st->plan));
    if (st->ops->way_name)
        snprintf(node->engine_text, sizeof node->engine_text, "direct %s", st->ops->way_name(st->plan));
    node->reads_x = st->ops->backward_reads_x(st->plan);
    HS_TRY(hs_want_saved(net, node, st->ops->saved_bytes(st->plan), &st->saved));
    hs_want_scratch(net, st->ops->scratch_bytes(st->plan));
    return HS_OK;
}

static void release(hs_node *node)
{
    dense_state *st = node->state;
    if (st->plan)
        st->ops->destroy(&st->plan);
}

/* y [n][out] = x [n][in] W [in][out] + b. */
static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    const dense_state *st = node->state;
    const void *weight = hs_node_param(net, node, 0), *bias = hs_node_param(net, node, 1);
    int in = (int)hs_shape_count(node->in), out = node->out.c;
    if (st->plan)
        return st->ops->forward(s, st->plan, pass->n, node->x[0], weight, bias, node->y, st->saved, net->scratch);
    HS_TRY(net->backend->gemm->gemm(s, false, false, pass->n, out, in, 1.0, node->x[0], in, weight, out, 0.0, node->y, out));
    return net->backend->gemm->bias_add(s, pass->n, out, bias, node->y);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    const dense_state *st = node->state;
    const void *weight = hs_node_param(net, node, 0);
    void *dweight = hs_node_gradient(net, node, 0), *dbias = hs_node_gradient(net, node, 1);
    int in = (int)hs_shape_count(node->in), out = node->out.c;
    if (st->plan)
        return st->ops->backward(s, st->plan, pass->n, node->reads_x ? node->x[0] : NULL, weight, node->dy, node->dx[0], dweight, dbias, st->saved,
                                 net->scratch);
    HS_TRY(net->backend->gemm->gemm(s, true, false, in, out, pass->n, 1.0, node->x[0], in, node->dy, out, 0.0, dweight, out));
    HS_TRY(net->backend->gemm->bias_grad(s, pass->n, out, node->dy, dbias));
    if (!node->dx[0])
        return HS_OK;
    return net->backend->gemm->gemm(s, false, true, pass->n, in, out, 1.0, node->dy, out, weight, out, 0.0, node->dx[0], in);
}

const hs_layer_kind hs_layer_dense = {
    .symbol = "F", .stem = "fc", .form = "F128", .args_bytes = sizeof(dense_args), .state_bytes = sizeof(dense_state),
    .reads_x = true, .seals = true, .takes_relu_out = true,
    .covers = covers, .parse = parse, .shape = shape, .params = params, .flop = flop, .cost = cost, .plan = plan, .release = release,
    .forward = forward, .backward = backward,
};
