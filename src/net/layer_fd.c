/* layer_fd.c - FD: frequency dropout. Layer m of M draws a cut-off R ~ U{floor(c_m H) .. H}, c_m = alpha + (m/M)(beta - alpha), and loses the
 * coordinates from R on, along both axes; the map keeps its size; at test time nothing happens (Rippel, Snoek and Adams 2015, section 4.2). */
#include <math.h>

#include "hs_rng.h"
#include "net.h"

typedef struct fd_args {
    double alpha, beta;
    hs_draw_scope draw;
    int m; /* from 1, in the order of the notation */
} fd_args;

typedef struct fd_state {
    const hs_pool_ops *ops;
    hs_spool *plan;
    int32_t *host; /* [capacity][2] */
    void *keep;    /* the same in device memory */
} fd_state;

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    fd_args *a = node->args;
    (void)r;
    *a = (fd_args){net->options.fd_alpha, net->options.fd_beta, net->options.fd_draw, 0};
    return HS_OK;
}

static hs_status option(const hs_reader *r, hs_node *node, const hs_word *key, const hs_word *value)
{
    static const char *const names[] = {"alpha", "beta", "draw"}, *const draws[] = {"batch", "sample", "rank"};
    fd_args *a = node->args;
    int choice = 0;
    if (hs_word_is(key, "alpha"))
        return hs_word_real(r, "alpha", value, 0, 1, &a->alpha);
    if (hs_word_is(key, "beta"))
        return hs_word_real(r, "beta", value, 0, 1, &a->beta);
    if (!hs_word_is(key, "draw"))
        return hs_word_unknown_key(r, key, names, 3);
    HS_TRY(hs_word_choice(r, value, draws, 3, &choice));
    a->draw = (hs_draw_scope)choice;
    return HS_OK;
}

/* No numbers of its own, but the place to count: m of M. */
static hs_status params(hs_net *net, hs_node *node)
{
    fd_args *a = node->args;
    a->m = ++net->cutoff_layers;
    return HS_OK;
}

static hs_spool_desc describe(const hs_net *net, const hs_node *node, hs_domain domain)
{
    return (hs_spool_desc){.capacity = net->plan.capacity, .h = node->in.h, .w = node->in.w, .c = node->in.c, .oh = node->in.h, .ow = node->in.w,
                           .norm = HS_POOL_UNITARY, .in = domain, .out = domain};
}

static int choices(const hs_net *net, const hs_node *node, hs_choice *list)
{
    const hs_pool_ops *ops = net->backend->pool;
    int count = 0;
    for (int way = 0; way < 2; way++) {
        hs_domain domain = way ? HS_SPECTRUM : HS_SPACE;
        hs_spool_desc desc = describe(net, node, domain);
        if (ops->spectral_supports(net->device, &desc))
            list[count++] = (hs_choice){.in = domain, .out = domain, .cost = ops->spectral_cost(net->device, &desc)};
    }
    return count;
}

static void flags(const hs_node *node, char *text, size_t capacity)
{
    const fd_args *a = node->args;
    snprintf(text, capacity, " draw=%s", a->draw == HS_DRAW_SAMPLE ? "sample" : "batch"); /* one draw a rank is one a batch here */
}

static hs_status plan(hs_net *net, hs_node *node)
{
    fd_state *st = node->state;
    hs_spool_desc desc = describe(net, node, node->from);
    size_t keep = 2 * (size_t)net->plan.capacity;
    st->ops = net->backend->pool;
    HS_TRY(st->ops->spectral_plan(net->device, &desc, &st->plan));
    hs_want_scratch(net, st->ops->spectral_scratch_bytes(st->plan));
    HS_TRY(hs_calloc(keep, sizeof *st->host, "cut-offs", &st->host));
    return hs_want_table(net, keep * sizeof *st->host, &st->keep);
}

static void release(hs_node *node)
{
    fd_state *st = node->state;
    if (st->plan)
        st->ops->spectral_destroy(&st->plan);
    hs_free(st->host);
}

/* One uniform number serves both axes, so a square map keeps a square of frequencies. */
static int cutoff(double share, int side, double u)
{
    int low = (int)floor(share * side + 1e-9);
    low = low < 1 ? 1 : low > side ? side : low;
    int r = low + (int)(u * (side - low + 1));
    return r > side ? side : r;
}

static void draw(const hs_net *net, const hs_node *node, const hs_pass *pass)
{
    const fd_args *a = node->args;
    fd_state *st = node->state;
    double share = a->alpha + (double)a->m / net->cutoff_layers * (a->beta - a->alpha);
    for (int i = 0; i < (pass->n > 0 ? pass->n : 1); i++) {
        uint64_t index = a->draw == HS_DRAW_SAMPLE ? (uint64_t)(pass->first + i) : a->draw == HS_DRAW_RANK ? (uint64_t)pass->rank : 0;
        hs_words w = hs_random(pass->seed, HS_DRAW_CUTOFF, (uint32_t)pass->step, node->index, index);
        double u = hs_uniform(w.w[0], w.w[1]);
        st->host[2 * i] = cutoff(share, node->in.h, u);
        st->host[2 * i + 1] = cutoff(share, node->in.w, u);
    }
}

static hs_status prepare(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    fd_state *st = node->state;
    draw(net, node, pass);
    return net->backend->memory->upload(s, st->keep, st->host, 2 * (size_t)pass->n * sizeof *st->host);
}

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    fd_state *st = node->state;
    if (!pass->training)
        return hs_node_copy(net, s, (size_t)pass->n * node->count, node->x[0], node->y);
    return st->ops->lowpass(s, st->plan, pass->n, node->x[0], st->keep, node->y, net->scratch);
}

/* An orthogonal projection is its own transpose. */
static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    fd_state *st = node->state;
    return st->ops->lowpass(s, st->plan, pass->n, node->dy, st->keep, node->dx[0], net->scratch);
}

const hs_layer_kind hs_layer_fd = {
    .symbol = "FD", .stem = "fd", .form = "FD", .args_bytes = sizeof(fd_args), .state_bytes = sizeof(fd_state),
    .parse = parse, .option = option, .params = params, .choices = choices, .flags = flags,
    .plan = plan, .release = release, .prepare = prepare, .forward = forward, .backward = backward,
};

int hs_net_cutoffs(const hs_net *net, int *cutoffs, int capacity)
{
    int count = 0;
    for (int i = 1; i < net->layers && count < capacity; i++) {
        const fd_state *st = net->layer[i]->state;
        if (net->layer[i]->kind == &hs_layer_fd && st->host)
            cutoffs[count++] = st->host[0];
    }
    return count;
}
