/* layer_conv.c - C96k3: convolution (correlation) whose filters are kept as coordinates of an arm.
 *
 * The slab holds coordinates [coord][in][out]; the backend wants taps [tap][in][out]. Before forward taps = S coords is one GEMM with the
 * arm's synthesis matrix S [taps][coords], after backward dcoords = S^T dtaps, exactly its transpose; both are skipped where S is the
 * identity. spectral3d mixes in-channels too: the same GEMM with S [taps*in][taps*in] on rows of [out].
 *
 * embed = band: the filter is a plane as large as the map whose half spectrum is the filter's, zero-padded in frequency. Its anchor is cell
 * (0, 0), so the spectrum is used as it is, with no phase ramp: Y(k) = conj(W(k)) X(k) on the bins that the filter has. Backends know anchors
 * in the middle only, tap (side-1)/2; on a periodic map that is the same filter rolled by as much, which is done to the rows of S. */
#include <stdio.h>
#include <string.h>

#include "net.h"

typedef struct conv_args {
    int filters, kh, kw, stride;
    hs_arm arm;
    hs_embed embed;
    hs_boundary boundary;
    hs_engine engine;
    bool bias, flip;
} conv_args;

typedef struct conv_state {
    const hs_conv_ops *ops;
    hs_conv *plan;
    int rows, cols, width; /* taps = S [rows][cols] coords [cols][width]; rows = 0: the coordinates are the taps */
    void *synthesis;       /* device [rows][cols] */
    double *host;          /* the same until it is uploaded */
    void *taps, *dtaps, *saved;
} conv_state;

static const char *const form = "C96k3";

/* ---- notation --------------------------------------------------------------------------------------------------------------- */

static hs_status parse(hs_reader *r, const hs_net *net, hs_node *node)
{
    conv_args *a = node->args;
    const hs_net_options *o = &net->options;
    *a = (conv_args){.stride = 1, .arm = o->param, .embed = o->embed, .boundary = o->boundary, .engine = o->engine, .bias = true, .flip = o->flip};
    HS_TRY(hs_reader_int(r, "the number of filters", form, 1, 65536, &a->filters));
    if (!hs_reader_take(r, 'k'))
        return hs_reader_fail(r, r->token, r->at - r->token, "the kernel size is missing; write for example C%dk3 or C%dk3x5", a->filters, a->filters);
    HS_TRY(hs_reader_int(r, "the kernel size", form, 1, 255, &a->kh));
    a->kw = a->kh;
    if (hs_reader_take(r, 'x'))
        HS_TRY(hs_reader_int(r, "the kernel's width", "C96k3x5", 1, 255, &a->kw));
    return HS_OK;
}

static const char *const keys[] = {"param", "embed", "boundary", "stride", "bias", "engine", "flip"};
enum { PARAM, EMBED, BOUNDARY, STRIDE, BIAS, ENGINE, FLIP, KEYS };

static hs_status option(const hs_reader *r, hs_node *node, const hs_word *key, const hs_word *value)
{
    static const char *const embeds[] = {"space", "band"}, *const boundaries[] = {"zero", "periodic"}, *const engines[] = {"auto", "direct", "fft"};
    const char *arms[HS_ARM_COUNT];
    conv_args *a = node->args;
    int which = 0, choice = 0;
    while (which < KEYS && !hs_word_is(key, keys[which]))
        which++;
    switch (which) {
    case PARAM:
        for (int i = 0; i < HS_ARM_COUNT; i++)
            arms[i] = hs_arm_name((hs_arm)i);
        HS_TRY(hs_word_choice(r, value, arms, HS_ARM_COUNT, &choice));
        a->arm = (hs_arm)choice;
        return HS_OK;
    case EMBED:
        HS_TRY(hs_word_choice(r, value, embeds, 2, &choice));
        a->embed = (hs_embed)choice;
        return HS_OK;
    case BOUNDARY:
        HS_TRY(hs_word_choice(r, value, boundaries, 2, &choice));
        a->boundary = (hs_boundary)choice;
        return HS_OK;
    case ENGINE:
        HS_TRY(hs_word_choice(r, value, engines, 3, &choice));
        a->engine = (hs_engine)choice;
        return HS_OK;
    case STRIDE:
        return hs_word_int(r, "stride", value, 1, 255, &a->stride);
    case BIAS:
        return hs_word_bool(r, value, &a->bias);
    case FLIP:
        return hs_word_bool(r, value, &a->flip);
    default:
        return hs_word_unknown_key(r, key, keys, KEYS);
    }
}

/* What the convolution makes, before a max pool that joined. */
static hs_shape own_out(const hs_node *node)
{
    const conv_args *a = node->args;
    return (hs_shape){(node->in.h + a->stride - 1) / a->stride, (node->in.w + a->stride - 1) / a->stride, a->filters};
}

/* S has as many numbers as a filter has taps (spectral3d: times in-channels), squared; a rotation's rows are made orthogonal one by one, which takes
 * the third power: 3 s for 32 x 32. */
enum { SIDE_MOST = 16384, ROTATION_MOST = 1024 };

static hs_status check_matrix(const hs_reader *r, const hs_node *node)
{
    const conv_args *a = node->args;
    const double side = (double)a->kh * a->kw * (a->arm == HS_ARM_SPECTRAL3D ? node->in.c : 1);
    const int most = a->arm == HS_ARM_ROTATION ? ROTATION_MOST : SIDE_MOST;
    if (a->arm == HS_ARM_SPATIAL || side <= most)
        return HS_OK;
    return hs_reader_fail(r, node->at, node->length, "param = %s would need a matrix of %.0f x %.0f numbers, at most %d a side; a smaller filter or "
                          "param = spatial takes less", hs_arm_name(a->arm), side, side, most);
}

static hs_status shape(const hs_reader *r, const hs_net *net, hs_node *node)
{
    const conv_args *a = node->args;
    (void)net;
    HS_TRY(check_matrix(r, node));
    bool larger = a->kh > node->in.h || a->kw > node->in.w;
    if (a->embed == HS_EMBED_BAND && a->boundary != HS_BOUNDARY_PERIODIC)
        return hs_reader_fail(r, node->at, node->length, "embed = band makes filters as large as the map, which needs boundary = periodic");
    if (a->embed == HS_EMBED_BAND && a->arm == HS_ARM_SPECTRAL3D)
        return hs_reader_fail(r, node->at, node->length, "param = spectral3d works with embed = space only");
    if (a->boundary == HS_BOUNDARY_PERIODIC && larger)
        return hs_reader_fail(r, node->at, node->length, "a %d x %d filter is larger than its periodic %d x %d map", a->kh, a->kw, node->in.h, node->in.w);
    node->out = own_out(node);
    return HS_OK;
}

static hs_status params(hs_net *net, hs_node *node)
{
    const conv_args *a = node->args;
    hs_param filter = {.role = HS_ROLE_FILTER, .out = a->filters, .in = node->in.c, .kh = a->kh, .kw = a->kw, .arm = a->arm, .embed = a->embed};
    filter.coords = hs_arm_coords(a->arm, a->kh, a->kw);
    HS_TRY(hs_net_declare(net, node, "weight", &filter, (size_t)filter.coords * (size_t)filter.in * (size_t)filter.out));
    if (!a->bias)
        return HS_OK;
    hs_param bias = {.role = HS_ROLE_BIAS, .out = a->filters, .in = 1, .kh = 1, .kw = 1, .coords = 1};
    return hs_net_declare(net, node, "bias", &bias, (size_t)a->filters);
}

/* Multiply-adds x 2, of y, dw and, behind the first layer, dx. A band filter counts as the k x k numbers that it has. */
static double flop(const hs_node *node)
{
    const conv_args *a = node->args;
    double once = 2.0 * a->kh * a->kw * node->in.c * (double)hs_shape_count(own_out(node));
    return once * (node->input[0]->inputs == 0 ? 2 : 3);
}

/* ---- plan ------------------------------------------------------------------------------------------------------------------------ */

static hs_conv_desc describe(const hs_net *net, const hs_node *node, hs_domain in, hs_domain out, hs_engine engine, int way)
{
    const conv_args *a = node->args;
    bool band = a->embed == HS_EMBED_BAND;
    int kh = band ? node->in.h : a->kh, kw = band ? node->in.w : a->kw;
    const hs_shape own = own_out(node);
    return (hs_conv_desc){
        .capacity = net->plan.capacity,
        .h = node->in.h, .w = node->in.w, .ci = node->in.c, .co = a->filters,
        .kh = kh, .kw = kw, .stride = a->stride,
        .oh = own.h, .ow = own.w,
        .pool = node->pool, .pool_stride = node->pool_stride, .ph = node->pool ? node->out.h : 0, .pw = node->pool ? node->out.w : 0,
        .pad_h = (kh - 1) / 2, .pad_w = (kw - 1) / 2,
        .boundary = a->boundary, .flip = a->flip, .bias = a->bias, .need_dx = node->need_dx[0],
        .relu = node->relu_out, .sealed_in = hs_plan_seals(net, node->sealed_in, in), .sealed_out = hs_plan_seals(net, node->sealed_out, out),
        .in = in, .out = out, .engine = engine, .way = way,
    };
}

/* The backend's ways of one engine between two domains, or one entry if it tells of none. */
static int list_ways(const hs_net *net, hs_conv_desc desc, hs_choice *list, int room)
{
    const hs_conv_ops *ops = net->backend->conv;
    int count = 0;
    if (!ops->supports(net->device, &desc))
        return 0;
    unsigned ways = ops->ways ? ops->ways(net->device, &desc) : 0;
    for (desc.way = ways ? 1 : 0; count < room && (desc.way == 0 || ways >> (desc.way - 1)); desc.way++) {
        if (desc.way && !(ways >> (desc.way - 1) & 1))
            continue;
        list[count++] = (hs_choice){.in = desc.in, .out = desc.out, .engine = desc.engine, .way = desc.way, .cost = ops->cost(net->device, &desc)};
        if (!desc.way)
            break;
    }
    return count;
}

static int choices(const hs_net *net, const hs_node *node, hs_choice *list)
{
    const conv_args *a = node->args;
    int count = 0;
    for (int edges = 0; edges < 8; edges++) {
        hs_engine engine = edges & 4 ? HS_ENGINE_FFT : HS_ENGINE_DIRECT;
        hs_domain in = edges & 2 ? HS_SPECTRUM : HS_SPACE, out = edges & 1 ? HS_SPECTRUM : HS_SPACE;
        if (a->engine != HS_ENGINE_AUTO && a->engine != engine)
            continue;
        if ((in == HS_SPECTRUM || out == HS_SPECTRUM) && (a->boundary != HS_BOUNDARY_PERIODIC || a->stride != 1))
            continue;
        count += list_ways(net, describe(net, node, in, out, engine, 0), list + count, HS_CHOICES - count);
    }
    return count;
}

static void flags(const hs_node *node, char *text, size_t capacity)
{
    const conv_args *a = node->args;
    snprintf(text, capacity, " %s%s %s%s", hs_arm_name(a->arm), a->embed == HS_EMBED_BAND ? " band" : "",
             a->boundary == HS_BOUNDARY_PERIODIC ? "periodic" : "zero", a->flip ? " flip" : "");
}

static bool is_identity(const double *m, int rows, int cols)
{
    if (rows != cols)
        return false;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            if (m[(size_t)i * (size_t)cols + (size_t)j] != (i == j))
                return false;
    return true;
}

/* Rows of M [h*w][cols] rolled so that cell (0, 0) comes to the anchor ((h-1)/2, (w-1)/2). */
static hs_status roll_to_anchor(int h, int w, int cols, double *m)
{
    size_t row = (size_t)cols * sizeof *m;
    double *rolled = NULL;
    HS_TRY(hs_calloc((size_t)h * (size_t)w, row, "synthesis matrix", &rolled));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int to = (y + (h - 1) / 2) % h * w + (x + (w - 1) / 2) % w;
            memcpy((char *)rolled + (size_t)to * row, (char *)m + (size_t)(y * w + x) * row, row);
        }
    memcpy(m, rolled, (size_t)h * (size_t)w * row);
    hs_free(rolled);
    return HS_OK;
}

/* The synthesis matrix on the host, and room for it and the taps on the device, unless it is the identity. */
static hs_status plan_synthesis(hs_net *net, hs_node *node)
{
    conv_state *st = node->state;
    const hs_param *p = &net->param[node->param];
    hs_arm_shape arm;
    HS_TRY(hs_filter_shape(net, p, false, &arm));
    if (arm.arm == HS_ARM_SPATIAL && arm.embed == HS_EMBED_SPACE)
        return HS_OK;
    int rows = 0, cols = 0;
    hs_arm_size(&arm, &rows, &cols);
    HS_TRY(hs_calloc((size_t)rows * (size_t)cols, sizeof(double), "synthesis matrix", &st->host));
    HS_TRY(hs_arm_matrices(&arm, st->host, NULL));
    if (arm.embed == HS_EMBED_BAND)
        HS_TRY(roll_to_anchor(node->in.h, node->in.w, cols, st->host));
    if (is_identity(st->host, rows, cols)) {
        hs_free(st->host);
        st->host = NULL;
        return HS_OK;
    }
    st->rows = rows;
    st->cols = cols;
    st->width = (int)(p->count / (size_t)cols);
    size_t taps = (size_t)rows * (size_t)st->width * net->backend->real;
    HS_TRY(hs_want_table(net, (size_t)rows * (size_t)cols * net->backend->real, &st->synthesis));
    HS_TRY(hs_want_saved(net, node, taps, &st->taps));
    return hs_want_in_backward(net, node, taps, &st->dtaps);
}

static void engine_text(const conv_state *st, hs_node *node)
{
    int h = 0, w = 0;
    const bool fft = node->engine == HS_ENGINE_FFT;
    const char *way = st->ops->way_name ? st->ops->way_name(st->plan) : "";
    if (fft && st->ops->grid)
        st->ops->grid(st->plan, &h, &w);
    if (h)
        snprintf(node->engine_text, sizeof node->engine_text, "fft %dx%d", h, w);
    else
        snprintf(node->engine_text, sizeof node->engine_text, "%s%s%s", fft ? "fft" : "direct", *way ? " " : "", way);
}

static hs_status plan(hs_net *net, hs_node *node)
{
    conv_state *st = node->state;
    hs_conv_desc desc = describe(net, node, node->from, node->to, node->engine, node->way);
    st->ops = net->backend->conv;
    HS_TRY(st->ops->plan(net->device, &desc, &st->plan));
    engine_text(st, node);
    node->reads_x = st->ops->backward_reads_x(st->plan);
    HS_TRY(hs_want_saved(net, node, st->ops->saved_bytes(st->plan), &st->saved));
    hs_want_scratch(net, st->ops->scratch_bytes(st->plan));
    return plan_synthesis(net, node);
}

static hs_status fill(hs_net *net, hs_node *node, hs_stream *s)
{
    conv_state *st = node->state;
    if (!st->rows)
        return HS_OK;
    hs_status status = hs_upload_reals(net, s, st->host, (size_t)st->rows * (size_t)st->cols, st->synthesis);
    hs_free(st->host);
    st->host = NULL;
    return status;
}

static void release(hs_node *node)
{
    conv_state *st = node->state;
    if (st->plan)
        st->ops->destroy(&st->plan);
    hs_free(st->host);
}

/* ---- steps --------------------------------------------------------------------------------------------------------------------------- */

static hs_status forward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    const conv_args *a = node->args;
    conv_state *st = node->state;
    const void *taps = hs_node_param(net, node, 0);
    if (st->rows) {
        HS_TRY(net->backend->gemm->gemm(s, false, false, st->rows, st->width, st->cols, 1.0, st->synthesis, st->cols, taps, st->width, 0.0, st->taps,
                                        st->width));
        taps = st->taps;
    }
    return st->ops->forward(s, st->plan, pass->n, node->x[0], taps, a->bias ? hs_node_param(net, node, 1) : NULL, node->y, st->saved, net->scratch);
}

static hs_status backward(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass)
{
    const conv_args *a = node->args;
    conv_state *st = node->state;
    void *gradient = hs_node_gradient(net, node, 0), *dbias = a->bias ? hs_node_gradient(net, node, 1) : NULL;
    const void *taps = st->rows ? st->taps : hs_node_param(net, node, 0);
    HS_TRY(st->ops->backward(s, st->plan, pass->n, node->reads_x ? node->x[0] : NULL, taps, node->dy, node->dx[0], st->rows ? st->dtaps : gradient, dbias,
                             st->saved, net->scratch));
    if (!st->rows)
        return HS_OK;
    return net->backend->gemm->gemm(s, true, false, st->cols, st->width, st->rows, 1.0, st->synthesis, st->cols, st->dtaps, st->width, 0.0, gradient,
                                    st->width);
}

const hs_layer_kind hs_layer_conv = {
    .symbol = "C", .stem = "conv", .form = "C96k3",
    .args_bytes = sizeof(conv_args), .state_bytes = sizeof(conv_state),
    .reads_x = true, .seals = true, .takes_relu_out = true, .takes_max_out = true,
    .parse = parse, .option = option, .shape = shape, .params = params, .flop = flop,
    .choices = choices, .flags = flags, .plan = plan, .fill = fill, .release = release,
    .forward = forward, .backward = backward,
};
