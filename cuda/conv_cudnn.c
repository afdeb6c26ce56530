/* conv_cudnn.c - convolution in space by cuDNN, where it can be loaded and has an engine for the shape.
 *
 * Maps are fp32 in memory whatever the precision; in bf16 the engines still read fp32 and multiply in tf32, which is more exact and,
 * as copies in bf16 would have to be written and read first, no slower. Bias and rectifier are in the same graph where an engine
 * does that; else, and for the mask, a pass of ours follows. A batch that is not full is left to our own kernels, since a plan
 * holds for one size. Filters are copied to and from cuDNN's order. */
#include "hs_cuda.h"

#include "cudnn_api.h"
#include "hs_base.h"

typedef struct hs_cuda_library_conv {
    hs_cudnn_plan *forward, *data, *filter;
    bool fused;
} library_conv;

/* ---- what it covers ----------------------------------------------------------------------------------------------------------- */

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
    *s = (hs_cudnn_shape){.kind = kind,
                          .x = {d->capacity, d->ci, d->h, d->w},
                          .w = {d->co, d->ci, d->kh, d->kw},
                          .y = {d->capacity, d->co, d->oh, d->ow},
                          .stride = {d->stride, d->stride},
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

/* At tf32's rate at most; a pass over the filter and one over y. */
static double seconds(const hs_cuda_device *d, const hs_conv_desc *c)
{
    const double rows = (double)c->capacity * c->oh * c->ow, depth = (double)c->kh * c->kw * c->ci, passes = c->need_dx ? 3 : 2;
    const double numbers = (double)c->capacity * c->h * c->w * c->ci + rows * c->co;
    const double rate = d->math == HS_CUDA_BF16 ? d->products / 2 : d->products;
    return passes * (hs_cuda_longest(d, numbers, 2 * rows * depth * c->co, rate) + hs_cuda_longest(d, 2 * depth * c->co, 0, d->plain));
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
static hs_status plan(hs_conv *conv)
{
    const hs_conv_desc *d = &conv->d;
    HS_TRY(hs_cuda_implicit_way.plan(conv));
    HS_TRY(hs_calloc(1, sizeof *conv->library, "convolution", &conv->library));
    library_conv *own = conv->library;
    own->forward = d->bias || d->relu ? planned(conv, HS_CUDNN_FORWARD, true) : NULL;
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

/* ---- memory: filter and bias, aligned, then the workspace of the greatest plan; or all of the other way's ------------------------ */

static size_t filter_bytes(const hs_conv *conv)
{
    return hs_cuda_line((size_t)conv->taps * conv->d.ci * conv->d.co * sizeof(float));
}

static size_t bias_bytes(const hs_conv *conv)
{
    return hs_cuda_line((size_t)conv->d.co * sizeof(float));
}

static size_t scratch_bytes(const hs_conv *conv)
{
    const hs_cudnn_plan *plans[] = {conv->library->forward, conv->library->filter, conv->library->data};
    const size_t other = hs_cuda_implicit_way.scratch_bytes(conv);
    size_t most = 0;
    for (int i = 0; i < 3; i++)
        most = plans[i] && hs_cudnn_plan_workspace(plans[i]) > most ? hs_cudnn_plan_workspace(plans[i]) : most;
    most += filter_bytes(conv) + bias_bytes(conv);
    return most > other ? most : other;
}

/* ---- the calls -------------------------------------------------------------------------------------------------------------------- */

static hs_status run(hs_stream *s, const hs_conv *conv, hs_cudnn_plan *plan, const void *x, const void *y, void *scratch)
{
    const hs_cudnn *api = hs_cuda_of(s)->cudnn;
    char *bias = (char *)scratch + filter_bytes(conv);
    const int status = hs_cudnn_plan_run(plan, hs_cuda_raw(s), x, scratch, y, bias, bias + bias_bytes(conv));
    return status == 0 ? HS_OK
                       : hs_fail(HS_EINTERNAL, "cuDNN: %s; HALFSPEC_CUDNN=none convolves without it", api->GetErrorString(status));
}

static hs_status put_filter(hs_stream *s, const hs_conv *conv, const float *taps, float *filter)
{
    const hs_conv_desc *d = &conv->d;
    return hs_cuda_check(hs_cuda_put_filter(hs_cuda_raw(s), conv->taps, d->ci, d->co, d->flip, taps, filter), "convolution");
}

static hs_status forward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const float *bias, void *y,
                         uint8_t *mask, void *scratch)
{
    library_conv *own = conv->library;
    const bool fused = own->fused && (bias || !conv->d.bias);
    if (n < conv->d.capacity || (own->fused && !fused))
        return hs_cuda_implicit_way.forward(s, conv, n, x, taps, bias, y, mask, scratch);
    HS_TRY(put_filter(s, conv, taps, scratch));
    if (fused && bias) /* in the slab it may lie anywhere */
        HS_TRY(hs_cuda_memory_ops.copy(s, (char *)scratch + filter_bytes(conv), bias, (size_t)conv->d.co * sizeof(float)));
    HS_TRY(run(s, conv, own->forward, x, y, scratch));
    return fused && !mask ? HS_OK : hs_cuda_conv_finish(s, conv, n, fused ? NULL : bias, y, mask);
}

static hs_status backward(hs_stream *s, const hs_conv *conv, int n, const void *x, const float *taps, const void *dy, void *dx,
                          float *dtaps, void *scratch)
{
    library_conv *own = conv->library;
    const hs_conv_desc *d = &conv->d;
    if (n < d->capacity)
        return hs_cuda_implicit_way.backward(s, conv, n, x, taps, dy, dx, dtaps, scratch);
    HS_TRY(run(s, conv, own->filter, x, dy, scratch));
    HS_TRY(hs_cuda_check(hs_cuda_get_filter(hs_cuda_raw(s), conv->taps, d->ci, d->co, d->flip, scratch, dtaps), "convolution"));
    if (!dx)
        return HS_OK;
    HS_TRY(put_filter(s, conv, taps, scratch));
    return run(s, conv, own->data, dx, dy, scratch);
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
