/* layer_transform.c - the transforms that the planner inserts where neighbours disagree about the domain. Forward is orthonormal, so each
 * direction's backward is the other direction. */
#include "net.h"

typedef struct transform_state {
    const hs_transform_ops *ops;
    hs_transform *plan;
} transform_state;

static hs_status plan(hs_net *net, hs_node *node)
{
    transform_state *st = node->state;
    st->ops = net->backend->transform;
    HS_TRY(st->ops->plan(net->device, net->plan.capacity, node->in.h, node->in.w, node->in.c, &st->plan));
    hs_want_scratch(net, st->ops->scratch_bytes(st->plan));
    return HS_OK;
}

static void release(hs_node *node)
{
    transform_state *st = node->state;
    if (st->plan)
        st->ops->destroy(&st->plan);
}

static hs_status run(const hs_net *net, hs_node *node, hs_stream *s, int n, bool to_spectrum, const void *from, void *to)
{
    transform_state *st = node->state;
    return to_spectrum ? st->ops->forward(s, st->plan, n, from, to, net->scratch) : st->ops->inverse(s, st->plan, n, from, to, net->scratch);
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return run(net, node, s, pass->n, node->to == HS_SPECTRUM, node->x[0], node->y);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return run(net, node, s, pass->n, node->to == HS_SPACE, node->dy, node->dx[0]);
}

const hs_layer_kind hs_layer_transform = {
    .symbol = "", .stem = "fft", .form = "", .state_bytes = sizeof(transform_state),
    .plan = plan, .release = release, .forward = forward, .backward = backward,
};
