/* layer_relu_tanh.c - R and T: element-wise activations in space. Both run backward from their output alone. */
#include "net.h"

static hs_status relu_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->element->relu_fwd(s, (size_t)pass->n * node->count, node->x[0], node->y);
}

static hs_status relu_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->element->relu_bwd(s, (size_t)pass->n * node->count, node->y, node->dy, node->dx[0]);
}

static hs_status tanh_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->element->tanh_fwd(s, (size_t)pass->n * node->count, node->x[0], node->y);
}

static hs_status tanh_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->element->tanh_bwd(s, (size_t)pass->n * node->count, node->y, node->dy, node->dx[0]);
}

const hs_layer_kind hs_layer_relu = {
    .symbol = "R", .stem = "relu", .form = "R", .in_place = true, .reads_y = true,
    .forward = relu_forward, .backward = relu_backward,
};

const hs_layer_kind hs_layer_tanh = {
    .symbol = "T", .stem = "tanh", .form = "T", .reads_y = true,
    .forward = tanh_forward, .backward = tanh_backward,
};
