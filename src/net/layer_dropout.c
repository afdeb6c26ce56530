/* layer_dropout.c - D0.5: inverted dropout, keyed by the sample's place in the global batch, so the same on any number of ranks. Nothing is
 * saved: backward draws the same mask again. */
#include "net.h"

typedef struct dropout_args {
    double p;
} dropout_args;

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    dropout_args *a = node->args;
    (void)net;
    size_t start = r->at;
    HS_TRY(hs_reader_real(r, "the share to drop", node->kind->form, &a->p));
    if (a->p >= 1.0)
        return hs_reader_fail(r, start, r->at - start, "the share to drop must be below 1; write for example D0.5");
    return HS_OK;
}

static hs_status plan(hs_net *net, hs_node *node)
{
    (void)node;
    net->keyed = true;
    return HS_OK;
}

static hs_status run(const hs_net *net, const hs_node *node, hs_stream *s, const hs_pass *pass, const void *from, void *to)
{
    const dropout_args *a = node->args;
    if (!pass->training || a->p == 0.0)
        return hs_node_copy(net, s, (size_t)pass->n * node->count, from, to);
    return net->backend->element->dropout(s, pass->n, node->count, a->p, pass->seed, net->step_key, node->index, pass->first, from, to);
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return run(net, node, s, pass, node->x[0], node->y);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return run(net, node, s, pass, node->dy, node->dx[0]);
}

const hs_layer_kind hs_layer_dropout = {
    .symbol = "D", .stem = "drop", .form = "D0.5", .args_bytes = sizeof(dropout_args), .parse = parse, .plan = plan, .forward = forward, .backward = backward,
};
