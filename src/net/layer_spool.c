/* layer_spool.c - SP14, SP27x20, SP*0.85: spectral pooling, from either domain into either. */
#include <math.h>

#include "net.h"

typedef struct spool_args {
    int h, w;
    double factor; /* > 0: floor(factor * side) */
    hs_pool_norm norm;
} spool_args;

typedef struct spool_state {
    const hs_pool_ops *ops;
    hs_spool *plan;
    void *saved;
} spool_state;

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    spool_args *a = node->args;
    a->norm = net->options.pool_norm;
    if (hs_reader_take(r, '*')) {
        size_t start = r->at;
        HS_TRY(hs_reader_real(r, "the factor", "SP*0.85", &a->factor));
        if (a->factor <= 0.0 || a->factor > 1.0)
            return hs_reader_fail(r, start, r->at - start, "the factor must be above 0 and at most 1; write for example SP*0.85");
        return HS_OK;
    }
    HS_TRY(hs_reader_int(r, "the size", "SP14, SP27x20 or SP*0.85", 1, 65536, &a->h));
    a->w = a->h;
    if (hs_reader_take(r, 'x'))
        HS_TRY(hs_reader_int(r, "the width", "SP27x20", 1, 65536, &a->w));
    return HS_OK;
}

static hs_status option(const hs_reader *r, hs_node *node, const hs_word *key, const hs_word *value)
{
    static const char *const names[] = {"norm"}, *const norms[] = {"unitary", "mean"};
    spool_args *a = node->args;
    int choice = 0;
    if (!hs_word_is(key, "norm"))
        return hs_word_unknown_key(r, key, names, 1);
    HS_TRY(hs_word_choice(r, value, norms, 2, &choice));
    a->norm = (hs_pool_norm)choice;
    return HS_OK;
}

/* floor(factor * side), where 0.85 * 20 is meant to be 17 whatever binary makes of 0.85. */
static int scaled(double factor, int side)
{
    return (int)floor(factor * side + 1e-9);
}

static hs_status shape(const hs_reader *r, const hs_net *net, hs_node *node)
{
    const spool_args *a = node->args;
    (void)net;
    node->out.h = a->factor > 0 ? scaled(a->factor, node->in.h) : a->h;
    node->out.w = a->factor > 0 ? scaled(a->factor, node->in.w) : a->w;
    if (node->out.h < 1 || node->out.w < 1)
        return hs_reader_fail(r, node->at, node->length, "nothing of the %d x %d map would be left", node->in.h, node->in.w);
    if (node->out.h > node->in.h || node->out.w > node->in.w)
        return hs_reader_fail(r, node->at, node->length, "the pooling size %d x %d is larger than its map, %d x %d", node->out.h, node->out.w, node->in.h,
                              node->in.w);
    return HS_OK;
}

static hs_spool_desc describe(const hs_net *net, const hs_node *node, hs_domain in, hs_domain out)
{
    const spool_args *a = node->args;
    return (hs_spool_desc){.capacity = net->plan.capacity, .h = node->in.h, .w = node->in.w, .c = node->in.c, .oh = node->out.h, .ow = node->out.w,
                           .norm = a->norm, .in = in, .out = out, .relu_in = node->relu_in, .relu_out = node->relu_out,
                           .sealed_in = hs_plan_seals(net, node->sealed_in, in), .sealed_out = hs_plan_seals(net, node->sealed_out, out)};
}

static int choices(const hs_net *net, const hs_node *node, hs_choice *list)
{
    const hs_pool_ops *ops = net->backend->pool;
    int count = 0;
    for (int way = 0; way < 4; way++) {
        hs_domain in = way & 2 ? HS_SPECTRUM : HS_SPACE, out = way & 1 ? HS_SPECTRUM : HS_SPACE;
        hs_spool_desc desc = describe(net, node, in, out);
        if (ops->spectral_supports(net->device, &desc))
            list[count++] = (hs_choice){.in = in, .out = out, .cost = ops->spectral_cost(net->device, &desc)};
    }
    return count;
}

static hs_status plan(hs_net *net, hs_node *node)
{
    spool_state *st = node->state;
    hs_spool_desc desc = describe(net, node, node->from, node->to);
    st->ops = net->backend->pool;
    HS_TRY(st->ops->spectral_plan(net->device, &desc, &st->plan));
    HS_TRY(hs_want_saved(net, node, st->ops->spectral_saved_bytes(st->plan), &st->saved));
    hs_want_scratch(net, st->ops->spectral_scratch_bytes(st->plan));
    return HS_OK;
}

static void release(hs_node *node)
{
    spool_state *st = node->state;
    if (st->plan)
        st->ops->spectral_destroy(&st->plan);
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    spool_state *st = node->state;
    return st->ops->spectral_fwd(s, st->plan, pass->n, node->x[0], node->y, st->saved, net->scratch);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    spool_state *st = node->state;
    return st->ops->spectral_bwd(s, st->plan, pass->n, node->dy, node->dx[0], st->saved, net->scratch);
}

const hs_layer_kind hs_layer_spool = {
    .symbol = "SP", .stem = "pool", .form = "SP14", .args_bytes = sizeof(spool_args), .state_bytes = sizeof(spool_state),
    .seals = true, .takes_relu_in = true, .takes_relu_out = true,
    .parse = parse, .option = option, .shape = shape, .choices = choices, .plan = plan, .release = release, .forward = forward, .backward = backward,
};
