/* layer_dense.c - F1024: fully connected. The input is flattened in H, W, C order, which is how it lies in memory. */
#include "net.h"

typedef struct dense_args {
    int out;
} dense_args;

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

/* A convolution of one pixel is the same products. */
static double cost(const hs_net *net, const hs_node *node)
{
    hs_conv_desc desc = {.capacity = net->plan.capacity, .h = 1, .w = 1, .oh = 1, .ow = 1, .ci = (int)hs_shape_count(node->in), .co = node->out.c,
                         .kh = 1, .kw = 1, .stride = 1, .bias = true, .need_dx = node->need_dx[0], .engine = HS_ENGINE_DIRECT};
    return net->backend->conv->cost(net->device, &desc);
}

/* y [n][out] = x [n][in] W [in][out] + b. */
static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    int in = (int)hs_shape_count(node->in), out = node->out.c;
    HS_TRY(net->backend->gemm->gemm(s, false, false, pass->n, out, in, 1.0, node->x[0], in, hs_node_param(net, node, 0), out, 0.0, node->y, out));
    return net->backend->gemm->bias_add(s, pass->n, out, hs_node_param(net, node, 1), node->y);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    int in = (int)hs_shape_count(node->in), out = node->out.c;
    HS_TRY(net->backend->gemm->gemm(s, true, false, in, out, pass->n, 1.0, node->x[0], in, node->dy, out, 0.0, hs_node_gradient(net, node, 0), out));
    HS_TRY(net->backend->gemm->bias_grad(s, pass->n, out, node->dy, hs_node_gradient(net, node, 1)));
    if (!node->dx[0])
        return HS_OK;
    return net->backend->gemm->gemm(s, false, true, pass->n, in, out, 1.0, node->dy, out, hs_node_param(net, node, 0), out, 0.0, node->dx[0], in);
}

const hs_layer_kind hs_layer_dense = {
    .symbol = "F", .stem = "fc", .form = "F128", .args_bytes = sizeof(dense_args), .reads_x = true,
    .parse = parse, .shape = shape, .params = params, .flop = flop, .cost = cost, .forward = forward, .backward = backward,
};
