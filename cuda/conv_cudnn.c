/* conv_cudnn.c - convolution in space by cuDNN, where it can be loaded and has an engine for the shape.
 *
 * Maps that are fp32 on both sides are so for cuDNN; in precision bf16 its engines then read fp32 and multiply in tf32. Where a map of a
 * layer is stored as bf16, all that the engines see is: they take no mixture. A map on the other side that is fp32 (the images, or what
 * a pooling of the whole map reads) is converted in a pass, its channels filled up to eights, without which few engines use tensor cores.
 * Filters are copied to and from cuDNN's order; their gradient is bf16 before it is copied back, one rounding behind sums in fp32.
 *
 * Bias and rectifier are in the same graph where an engine does that, or, as a way of its own, in a pass of ours that writes the mask
 * too: engines that only convolve may be so much faster. A batch that is not full is left to our own kernels, since a plan holds for one
 * size. */
#include "hs_cuda.h"

#include "cudnn_api.h"
#include "hs_base.h"

typedef struct hs_cuda_library_conv {
    hs_cudnn_plan *forward, *data, *filter;
    bool fused;
} library_conv;

/* ---- what it covers ----------------------------------------------------------------------------------------------------------- */

/* What the engines see of a map [n][cells][c]: itself, or a copy in bf16 with WIDE channels. */
typedef struct edge {
    size_t cells; /* of a sample */
    int c, wide;
    bool copied, stored_half;
} edge;

typedef struct seen {
    bool half; /* all is bf16, else fp32 */
    edge in, out;
} seen;

static edge edge_of(size_t cells, int c, bool half, bool stored_half)
{
    const bool copied = half && !stored_half;
    return (edge){cells, c, copied ? (c + 7) / 8 * 8 : c, copied, stored_half};
}

static seen seen_of(const hs_cuda_device *device, const hs_conv_desc *d)
{
    const bool in = hs_cuda_half_edge(&device->base, d->sealed_in), out = hs_cuda_half_edge(&device->base, d->sealed_out);
    return (seen){in || out, edge_of((size_t)d->h * d->w, d->ci, in || out, in),
                  edge_of((size_t)d->oh * d->ow, d->co, in || out, out)};
}

static seen seen_by(const hs_conv *conv)
{
    return seen_of(hs_cuda_device_of(conv->device), &conv->d);
}

/* Cells to add before and behind one axis; a flipped filter is copied reversed, so its anchor is counted from the other end. */
static bool padding(int n, int k, int stride, int out, int pad, bool flip, int64_t *pre, int64_t *post)
{
    *pre = flip ? k - 1 - pad : pad;
    *post = (int64_t)(out - 1) * stride + k - *pre - n;
    *post = *post < 0 ? 0 : *post;
    return (n + *pre + *post - k) / stride + 1 == out;
}

static bool shape_of(const hs_cuda_device *device, const hs_conv_desc *d, int kind, bool fused, hs_cudnn_shape *s)
{
    const seen e = seen_of(device, d);
    *s = (hs_cudnn_shape){.kind = kind,
                          .x = {d->capacity, e.in.wide, d->h, d->w},
                          .w = {e.out.wide, e.in.wide, d->kh, d->kw},
                          .y = {d->capacity, e.out.wide, d->oh, d->ow},
                          .stride = {d->stride, d->stride},
                          .half = e.half,
                          .bias = fused && d->bias,
                          .relu = fused && d->relu,
                          .only_fp32 = device->math == HS_CUDA_PLAIN};
    return padding(d->h, d->kh, d->stride, d->oh, d->pad_h, d->flip, &s->pre[0], &s->post[0]) &&
           padding(d->w, d->kw, d->stride, d->ow, d->pad_w, d->flip, &s->pre[1], &s->post[1]);
}

const hs_cudnn *hs_cuda_cudnn_of(const hs_cuda_device *device)
{
    hs_cuda_device *d = hs_cuda_device_of(&device->base);
    if (!d->cudnn_asked) {
        d->cudnn_asked = true;
        d->cudnn = hs_cudnn_open(d->base.log);
    }
    return d->cudnn;
}

/* cuDNN knows zeros around a map, not its other side. A 1 x 1 filter has no boundary. */
static bool offers(const hs_cuda_device *device, const hs_conv_desc *d)
{
    hs_cudnn_shape s;
    const bool bounded = d->boundary == HS_BOUNDARY_ZERO || (d->kh == 1 && d->kw == 1);
    return bounded && hs_cuda_implicit_way.offers(device, d) && shape_of(device, d, HS_CUDNN_FORWARD, false, &s) &&
           hs_cuda_cudnn_of(device);
}

static bool offers_apart(const hs_cuda_device *device, const hs_conv_desc *d)
{
    return (d->bias || d->relu) && offers(device, d);
}

/* Numbers of four bytes in a map as it is stored, and what is moved to copy it: both. */
static double stored(const hs_conv_desc *c, const edge *e)
{
    return (double)c->capacity * (double)e->cells * e->c * (e->stored_half ? 0.5 : 1);
}

static double copying(const hs_cuda_device *d, const hs_conv_desc *c, const edge *e)
{
    return e->copied ? hs_cuda_longest(d, stored(c, e) + 0.5 * c->capacity * (double)e->cells * e->wide, 0, d->plain) : 0;
}

/* Three passes over maps and a filter, which is copied, and so may one of the maps be; tf32 is half as fast as bf16. */
static double seconds_apart(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const seen e = seen_of(d, c);
    const double size = e.half ? 0.5 : 1, n = c->capacity, taps = (double)c->kh * c->kw * e.in.wide * e.out.wide;
    const double maps = size * n * ((double)e.in.cells * e.in.wide + (double)e.out.cells * e.out.wide);
    const double rate = d->math == HS_CUDA_BF16 && !e.half ? d->products / 2 : d->products;
    const double pass = hs_cuda_longest(d, maps, 2 * n * (double)e.out.cells * taps, rate) +
                        hs_cuda_longest(d, (1 + size) * taps, 0, d->plain) + copying(d, c, &e.in) + copying(d, c, &e.out);
    return (c->need_dx ? 3 : 2) * pass;
}

/* The mask takes a look at y. */
static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const seen e = seen_of(d, c);
    return seconds_apart(d, c) + (c->relu ? hs_cuda_longest(d, stored(c, &e.out), 0, d->plain) : 0);
}

/* ---- plan ----------------------------------------------------------------------------------------------------------------------- */

static hs_cudnn_plan *planned(hs_conv *conv, int kind, bool fused)
{
    const hs_cuda_device *d = hs_cuda_device_of(conv->device);
    hs_cudnn_shape s;
    (void)shape_of(d, &conv->d, kind, fused, &s);
    return hs_cudnn_plan_create(d->cudnn, &s);
}

static void destroy(hs_conv *conv)
{
    hs_cuda_implicit_way.destroy(conv);
    if (!conv->library)
        return;
    hs_cudnn_plan_destroy(&conv->library->forward);
    hs_cudnn_plan_destroy(&conv->library->data);
    hs_cudnn_plan_destroy(&conv->library->filter);
    hs_free(conv->library);
    conv->library = NULL;
}

/* HS_EUNSUPPORTED without an engine: then another way is taken. */
static hs_status plan_as(hs_conv *conv, bool fuse)
{
    const hs_conv_desc *d = &conv->d;
    HS_TRY(hs_cuda_implicit_way.plan(conv));
    HS_TRY(hs_calloc(1, sizeof *conv->library, "convolution", &conv->library));
    library_conv *own = conv->library;
    own->forward = fuse && (d->bias || d->relu) ? planned(conv, HS_CUDNN_FORWARD, true) : NULL;
    own->fused = own->forward != NULL;
    if (!own->forward)
        own->forward = planned(conv, HS_CUDNN_FORWARD, false);
    own->filter = planned(conv, HS_CUDNN_FILTER, false);
    own->data = d->need_dx ? planned(conv, HS_CUDNN_DATA, false) : NULL;
    if (own->forward && own->filter && (own->data || !d->need_dx))
        return HS_OK;
    return hs_fail(HS_EUNSUPPORTED, "cuDNN has no engine for a %dx%d convolution of %d to %d channels at %dx%d", d->kh, d->kw, d->ci,
                   d->co, d->h, d->w);
}

static hs_status plan(hs_conv *conv)
{
    return plan_as(conv, true);
}

static hs_status plan_apart(hs_conv *conv)
{
    return plan_as(conv, false);
}

/* ---- memory: what the engines read or write instead of ours, and the workspace of the greatest plan; or all of the other way's --- */

typedef struct room {
    void *filter, *bias, *x, *y, *workspace; /* x and y: copies */
} room;

static void *take(char **at, size_t bytes)
{
    void *here = *at;
    *at += hs_cuda_line(bytes);
    return here;
}

static size_t lay_out(const hs_conv *conv, char *scratch, room *r)
{
    const seen e = seen_by(conv);
    const size_t number = e.half ? 2 : sizeof(float), n = (size_t)conv->d.capacity;
    const hs_cudnn_plan *plans[] = {conv->library->forward, conv->library->filter, conv->library->data};
    size_t most = 0;
    char *at = scratch;
    for (int i = 0; i < 3; i++)
        most = plans[i] && hs_cudnn_plan_workspace(plans[i]) > most ? hs_cudnn_plan_workspace(plans[i]) : most;
    r->filter = take(&at, (size_t)conv->taps * e.in.wide * e.out.wide * number);
    r->bias = take(&at, (size_t)e.out.wide * number);
    r->x = take(&at, e.in.copied ? n * e.in.cells * e.in.wide * number : 0);
    r->y = take(&at, e.out.copied ? n * e.out.cells * e.out.wide * number : 0);
    r->workspace = take(&at, most);
    return (size_t)(at - scratch);
}

static size_t scratch_bytes(const hs_conv *conv)
{
    room r;
    const size_t own = lay_out(conv, NULL, &r), other = hs_cuda_implicit_way.scratch_bytes(conv);
    return own > other ? own : other;
}

/* ---- the calls -------------------------------------------------------------------------------------------------------------------- */

static hs_status run(hs_stream *s, hs_cudnn_plan *plan, const void *x, const void *y, const room *r)
{
    const int status = hs_cudnn_plan_run(plan, hs_cuda_raw(s), x, r->filter, y, r->bias, r->workspace);
    char text[HS_CUDNN_TEXT];
    return status == 0 ? HS_OK
                       : hs_fail(HS_EINTERNAL, "cuDNN: %s; HALFSPEC_CUDNN=none convolves without it",
                                 hs_cudnn_says(hs_cuda_of(s)->cudnn, status, text));
}

static hs_status put_filter(hs_stream *s, const hs_cuda_filter *f, const float *taps, void *filter)
{
    return hs_cuda_check(hs_cuda_put_filter(hs_cuda_raw(s), *f, taps, filter), "convolution");
}

/* A map as engines read it: itself, or a copy at ROOM. */
static hs_status show(hs_stream *s, const edge *e, int n, const void *map, void *room, const void **seen)
{
    *seen = e->copied ? room : map;
    return e->copied ? hs_cuda_check(hs_cuda_narrow(hs_cuda_raw(s), n * e->cells, e->c, e->wide, map, room), "convolution") : HS_OK;
}

/* What an engine wrote at ROOM, unless it was MAP itself. */
static hs_status take_back(hs_stream *s, const edge *e, int n, const void *room, void *map)
{
    return e->copied ? hs_cuda_check(hs_cuda_widen(hs_cuda_raw(s), n * e->cells, e->c, e->wide, room, map), "convolution") : HS_OK;
}

static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    library_conv *own = conv->library;
    const seen e = seen_by(conv);
    const hs_cuda_filter filter = {conv->taps, d->ci, d->co, e.in.wide, e.out.wide, d->flip, e.half};
    const hs_cuda_filter row = {1, 1, d->co, 1, e.out.wide, false, e.half}; /* a bias, which may lie anywhere in the slab, is one like it */
    const bool fused = own->fused && (bias || !d->bias);
    const void *seen_x;
    room r;
    if (n < d->capacity || (own->fused && !fused))
        return hs_cuda_implicit_way.forward(s, conv, n, x, taps, bias, y, mask, scratch);
    (void)lay_out(conv, scratch, &r);
    HS_TRY(put_filter(s, &filter, taps, r.filter));
    if (fused && bias)
        HS_TRY(put_filter(s, &row, bias, r.bias));
    HS_TRY(show(s, &e.in, n, x, r.x, &seen_x));
    HS_TRY(run(s, own->forward, seen_x, e.out.copied ? r.y : y, &r));
    HS_TRY(take_back(s, &e.out, n, r.y, y));
    return fused && !mask ? HS_OK : hs_cuda_conv_finish(s, conv, n, fused ? NULL : bias, y, mask);
}

static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const void *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    const hs_conv_desc *d = &conv->d;
    library_conv *own = conv->library;
    const seen e = seen_by(conv);
    const hs_cuda_filter filter = {conv->taps, d->ci, d->co, e.in.wide, e.out.wide, d->flip, e.half};
    const void *seen_x, *seen_dy;
    room r;
    if (n < d->capacity)
        return hs_cuda_implicit_way.backward(s, conv, n, x, taps, dy, dx, dtaps, scratch);
    (void)lay_out(conv, scratch, &r);
    HS_TRY(show(s, &e.in, n, x, r.x, &seen_x));
    HS_TRY(show(s, &e.out, n, dy, r.y, &seen_dy));
    HS_TRY(run(s, own->filter, seen_x, seen_dy, &r));
    HS_TRY(hs_cuda_check(hs_cuda_get_filter(hs_cuda_raw(s), filter, r.filter, dtaps), "convolution"));
    if (!dx)
        return HS_OK;
    HS_TRY(put_filter(s, &filter, taps, r.filter));
    HS_TRY(run(s, own->data, e.in.copied ? r.x : dx, seen_dy, &r));
    return take_back(s, &e.in, n, r.x, dx);
}

const hs_cuda_way hs_cuda_cudnn_way = {
    .name = "cudnn",
    .finishes = true,
    .offers = offers,
    .seconds = seconds,
    .plan = plan,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
};

/* Its calls come with neither bias nor mask. */
const hs_cuda_way hs_cuda_cudnn_apart_way = {
    .name = "cudnn-apart",
    .finishes = false,
    .offers = offers_apart,
    .seconds = seconds_apart,
    .plan = plan_apart,
    .destroy = destroy,
    .scratch_bytes = scratch_bytes,
    .forward = forward,
    .backward = backward,
};
