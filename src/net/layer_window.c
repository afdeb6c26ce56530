/* layer_window.c - M3s2, A2s2, GA: pooling over square windows and over the whole map, in space. */
#include "net.h"

typedef struct window_args {
    int k, stride;
} window_args;

typedef struct window_state {
    hs_window window;
    void *arg; /* [n][oh][ow][c] bytes: winners of max pooling */
} window_state;

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    window_args *a = node->args;
    (void)net;
    HS_TRY(hs_reader_int(r, "the window's side", node->kind->form, 1, 255, &a->k));
    a->stride = a->k;
    if (hs_reader_take(r, 's'))
        HS_TRY(hs_reader_int(r, "the stride", node->kind->form, 1, 255, &a->stride));
    return HS_OK;
}

static hs_status shape(const hs_reader *r, const hs_net *net, hs_node *node)
{
    const window_args *a = node->args;
    (void)net;
    if (a->k > node->in.h || a->k > node->in.w)
        return hs_reader_fail(r, node->at, node->length, "the %d x %d window is larger than its map, %d x %d", a->k, a->k, node->in.h, node->in.w);
    if (a->k > 15) /* winners are kept as bytes */
        return hs_reader_fail(r, node->at, node->length, "windows are at most 15 x 15; for a mean over the whole map use GA");
    node->out.h = (node->in.h + a->stride - 1) / a->stride;
    node->out.w = (node->in.w + a->stride - 1) / a->stride;
    return HS_OK;
}

void hs_window_sides(const hs_node *max, int *k, int *stride)
{
    const window_args *a = max->args;
    *k = a->k;
    *stride = a->stride;
}

static hs_status plan(hs_net *net, hs_node *node)
{
    const window_args *a = node->args;
    window_state *st = node->state;
    st->window = (hs_window){.h = node->in.h, .w = node->in.w, .c = node->in.c, .k = a->k, .stride = a->stride, .pad = (a->k - 1) / 2,
                             .oh = node->out.h, .ow = node->out.w, .sealed_in = node->sealed_in, .sealed_out = node->sealed_out};
    if (node->kind->symbol[0] != 'M')
        return HS_OK;
    return hs_want_saved(net, node, hs_shape_count(node->out) * (size_t)net->plan.capacity, &st->arg);
}

static hs_status max_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    window_state *st = node->state;
    return net->backend->pool->max_fwd(s, &st->window, pass->n, node->x[0], node->y, st->arg);
}

static hs_status max_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    window_state *st = node->state;
    return net->backend->pool->max_bwd(s, &st->window, pass->n, node->dy, st->arg, node->dx[0]);
}

static hs_status average_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    window_state *st = node->state;
    return net->backend->pool->average_fwd(s, &st->window, pass->n, node->x[0], node->y);
}

static hs_status average_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    window_state *st = node->state;
    return net->backend->pool->average_bwd(s, &st->window, pass->n, node->dy, node->dx[0]);
}

static hs_status global_shape(const hs_reader *r, const hs_net *net, hs_node *node)
{
    (void)r, (void)net;
    node->out.h = node->out.w = 1;
    return HS_OK;
}

static hs_status global_forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->pool->global_fwd(s, node->in, pass->n, node->x[0], node->y);
}

static hs_status global_backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    return net->backend->pool->global_bwd(s, node->in, pass->n, node->dy, node->dx[0]);
}

const hs_layer_kind hs_layer_max = {
    .symbol = "M", .stem = "pool", .form = "M3s2", .args_bytes = sizeof(window_args), .state_bytes = sizeof(window_state),
    .seals = true, .parse = parse, .shape = shape, .plan = plan, .forward = max_forward, .backward = max_backward,
};

const hs_layer_kind hs_layer_average = {
    .symbol = "A", .stem = "pool", .form = "A2s2", .args_bytes = sizeof(window_args), .state_bytes = sizeof(window_state),
    .seals = true, .parse = parse, .shape = shape, .plan = plan, .forward = average_forward, .backward = average_backward,
};

const hs_layer_kind hs_layer_global = {
    .symbol = "GA", .stem = "pool", .form = "GA", .shape = global_shape, .forward = global_forward, .backward = global_backward,
};
