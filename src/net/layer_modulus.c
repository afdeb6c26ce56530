/* layer_modulus.c - MR and ST: activations on the spectrum that act on the modulus of each bin, with one offset per channel:
 * modReLU z -> max(1 + b/|z|, 0) z (Arjovsky, Shah, Bengio 2016) and soft threshold z -> max(1 - |b|/|z|, 0) z. */
#include "net.h"

typedef struct modulus_state {
    int bins;
    uint8_t *host; /* [bins]: 1 if self-conjugate */
    void *self;    /* the same in device memory */
    void *sink;    /* where dx goes if nobody wants it: the op always writes it */
} modulus_state;

static hs_status params(hs_net *net, hs_node *node)
{
    hs_param offset = {.role = HS_ROLE_THRESHOLD, .out = node->in.c, .in = 1, .kh = 1, .kw = 1, .coords = 1};
    return hs_net_declare(net, node, "offset", &offset, (size_t)node->in.c);
}

static int choices(const hs_net *net, const hs_node *node, hs_choice *list)
{
    (void)node;
    if (!net->backend->element->modulus_fwd)
        return 0;
    list[0] = (hs_choice){.in = HS_SPECTRUM, .out = HS_SPECTRUM};
    return 1;
}

static hs_status plan(hs_net *net, hs_node *node)
{
    modulus_state *st = node->state;
    int h = node->in.h, w = node->in.w;
    st->bins = hs_bins_count(h, w);
    HS_TRY(hs_calloc((size_t)st->bins, 1, "self-conjugate bins", &st->host));
    for (int u = 0; u < st->bins; u++) {
        int ky, kx;
        hs_bin_at(h, w, u, &ky, &kx);
        st->host[u] = hs_bin_is_self(h, w, ky, kx);
    }
    HS_TRY(hs_want_table(net, (size_t)st->bins, &st->self));
    return node->need_dx[0] ? HS_OK : hs_want_in_backward(net, node, node->count * (size_t)net->plan.capacity * net->backend->real, &st->sink);
}

static hs_status fill(hs_net *net, hs_node *node, hs_stream *s)
{
    modulus_state *st = node->state;
    return net->backend->memory->upload(s, st->self, st->host, (size_t)st->bins);
}

static void release(hs_node *node)
{
    modulus_state *st = node->state;
    hs_free(st->host);
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    modulus_state *st = node->state;
    bool soft = node->kind->symbol[0] == 'S';
    return net->backend->element->modulus_fwd(s, soft, st->bins, st->self, pass->n, node->in.c, node->x[0], hs_node_param(net, node, 0), node->y);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    modulus_state *st = node->state;
    bool soft = node->kind->symbol[0] == 'S';
    return net->backend->element->modulus_bwd(s, soft, st->bins, st->self, pass->n, node->in.c, node->x[0], hs_node_param(net, node, 0), node->dy,
                                              node->dx[0] ? node->dx[0] : st->sink, hs_node_gradient(net, node, 0));
}

const hs_layer_kind hs_layer_modrelu = {
    .symbol = "MR", .stem = "modrelu", .form = "MR", .state_bytes = sizeof(modulus_state), .reads_x = true,
    .params = params, .choices = choices, .plan = plan, .fill = fill, .release = release, .forward = forward, .backward = backward,
};

const hs_layer_kind hs_layer_soft = {
    .symbol = "ST", .stem = "soft", .form = "ST", .state_bytes = sizeof(modulus_state), .reads_x = true,
    .params = params, .choices = choices, .plan = plan, .fill = fill, .release = release, .forward = forward, .backward = backward,
};
