/* layer_graph.c - nodes that nobody writes as a layer: the input, and the sum that closes a residual block. */
#include "net.h"

static hs_status add_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->element->add(s, (size_t)pass->n * node->count, node->x[0], node->x[1], node->y);
}

/* Both inputs receive dy. The second first: dx[0] may lie over dy, and then nothing is left to do for it. */
static hs_status add_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    size_t count = (size_t)pass->n * node->count;
    if (node->dx[1])
        HS_TRY(hs_node_copy(net, s, count, node->dy, node->dx[1]));
    return node->dx[0] ? hs_node_copy(net, s, count, node->dy, node->dx[0]) : HS_OK;
}

const hs_layer_kind hs_layer_input = {.symbol = "", .stem = "input", .form = ""};

const hs_layer_kind hs_layer_add = {
    .symbol = "]", .stem = "add", .form = "[C32k3 R]", .in_place = true, .forward = add_forward, .backward = add_backward,
};
