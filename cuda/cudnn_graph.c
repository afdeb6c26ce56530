/* cudnn_graph.c - one convolution as a graph of cuDNN: descriptors are made, the library's heuristics list engines, the first that
 * keeps to our rules and can be planned is taken. Rules: equal bits every time, sums in single precision, no tensor cores where
 * they were not asked for. All descriptors live as long as the plan. */
#include "cudnn_api.h"

#include <string.h>

#include "hs_base.h"

enum { MADE = 64, CONFIGS = 16, X = 1, W = 2, Y = 3, BIAS = 4, BEFORE_BIAS = 5, BEFORE_RELU = 6, POINTERS = 4 };
static const size_t most_workspace = (size_t)256 << 20;

struct hs_cudnn_plan {
    hs_cudnn *api;
    void *made[MADE];
    int count, status; /* the first that was not 0 stays */
    void *plan, *pack;
    size_t workspace;
    bool bias;
    const void *last[POINTERS + 1]; /* what PACK was made for */
};

/* ---- descriptors ------------------------------------------------------------------------------------------------------------ */

static void *make(hs_cudnn_plan *p, int kind)
{
    void *made = NULL;
    if (p->status == 0 && p->count == MADE)
        p->status = -1;
    if (p->status == 0)
        p->status = p->api->BackendCreateDescriptor(kind, &made);
    if (p->status == 0)
        p->made[p->count++] = made;
    return made;
}

static void set(hs_cudnn_plan *p, void *descriptor, int name, int type, int64_t count, const void *values)
{
    if (p->status == 0)
        p->status = p->api->BackendSetAttribute(descriptor, name, type, count, values);
}

static void set_int(hs_cudnn_plan *p, void *descriptor, int name, int type, int value)
{
    set(p, descriptor, name, type, 1, &value);
}

static void set_made(hs_cudnn_plan *p, void *descriptor, int name, void *value)
{
    set(p, descriptor, name, HS_CUDNN_DESCRIPTOR_TYPE, 1, &value);
}

static void *done(hs_cudnn_plan *p, void *descriptor)
{
    if (p->status == 0)
        p->status = p->api->BackendFinalize(descriptor);
    return descriptor;
}

/* SIZE [4] counts n c h w, in memory channels are last. */
static void *tensor(hs_cudnn_plan *p, int64_t id, const int64_t *size, bool half, bool is_virtual)
{
    const int64_t alignment = 16;
    const int64_t stride[4] = {size[1] * size[2] * size[3], 1, size[1] * size[3], size[1]};
    void *t = make(p, HS_CUDNN_TENSOR);
    set_int(p, t, HS_CUDNN_TENSOR_DATA, HS_CUDNN_DATA_TYPE, half ? HS_CUDNN_BFLOAT16 : HS_CUDNN_FLOAT);
    set(p, t, HS_CUDNN_TENSOR_DIMENSIONS, HS_CUDNN_INT64_TYPE, 4, size);
    set(p, t, HS_CUDNN_TENSOR_STRIDES, HS_CUDNN_INT64_TYPE, 4, stride);
    set(p, t, HS_CUDNN_TENSOR_ID, HS_CUDNN_INT64_TYPE, 1, &id);
    set(p, t, HS_CUDNN_TENSOR_ALIGNMENT, HS_CUDNN_INT64_TYPE, 1, &alignment);
    set(p, t, HS_CUDNN_TENSOR_VIRTUAL, HS_CUDNN_BOOL_TYPE, 1, &is_virtual);
    return done(p, t);
}

static void *convolution(hs_cudnn_plan *p, const hs_cudnn_shape *s)
{
    const int64_t dims = 2, dilation[2] = {1, 1};
    void *c = make(p, HS_CUDNN_CONVOLUTION);
    set_int(p, c, HS_CUDNN_CONVOLUTION_PRECISION, HS_CUDNN_DATA_TYPE, HS_CUDNN_FLOAT);
    set_int(p, c, HS_CUDNN_CONVOLUTION_MODE, HS_CUDNN_CONVOLUTION_TYPE, HS_CUDNN_CORRELATION);
    set(p, c, HS_CUDNN_CONVOLUTION_DIMS, HS_CUDNN_INT64_TYPE, 1, &dims);
    set(p, c, HS_CUDNN_CONVOLUTION_DILATIONS, HS_CUDNN_INT64_TYPE, 2, dilation);
    set(p, c, HS_CUDNN_CONVOLUTION_STRIDES, HS_CUDNN_INT64_TYPE, 2, s->stride);
    set(p, c, HS_CUDNN_CONVOLUTION_PRE, HS_CUDNN_INT64_TYPE, 2, s->pre);
    set(p, c, HS_CUDNN_CONVOLUTION_POST, HS_CUDNN_INT64_TYPE, 2, s->post);
    return done(p, c);
}

static void *convolve(hs_cudnn_plan *p, const hs_cudnn_shape *s, void *x, void *w, void *y)
{
    const int first = s->kind == HS_CUDNN_FORWARD ? HS_CUDNN_FORWARD_FIRST
                      : s->kind == HS_CUDNN_DATA  ? HS_CUDNN_DATA_FIRST
                                                  : HS_CUDNN_FILTER_FIRST;
    const float alpha = 1, beta = 0;
    void *c = convolution(p, s), *operation = make(p, s->kind);
    set(p, operation, first, HS_CUDNN_FLOAT_TYPE, 1, &alpha);
    set(p, operation, first + 1, HS_CUDNN_FLOAT_TYPE, 1, &beta);
    set_made(p, operation, first + 2, c);
    set_made(p, operation, first + 3, w);
    set_made(p, operation, first + 4, x);
    set_made(p, operation, first + 5, y);
    return done(p, operation);
}

static void *apply(hs_cudnn_plan *p, int mode, void *x, void *b, void *y)
{
    void *pointwise = make(p, HS_CUDNN_POINTWISE);
    set_int(p, pointwise, HS_CUDNN_POINTWISE_MODE, HS_CUDNN_POINTWISE_TYPE, mode);
    set_int(p, pointwise, HS_CUDNN_POINTWISE_PRECISION, HS_CUDNN_DATA_TYPE, HS_CUDNN_FLOAT);
    if (mode == HS_CUDNN_RELU)
        set_int(p, pointwise, HS_CUDNN_POINTWISE_NAN, HS_CUDNN_NAN_TYPE, HS_CUDNN_PROPAGATE);
    done(p, pointwise);
    void *operation = make(p, HS_CUDNN_APPLY);
    set_made(p, operation, HS_CUDNN_APPLY_POINTWISE, pointwise);
    set_made(p, operation, HS_CUDNN_APPLY_X, x);
    if (b)
        set_made(p, operation, HS_CUDNN_APPLY_B, b);
    set_made(p, operation, HS_CUDNN_APPLY_Y, y);
    return done(p, operation);
}

/* x, w -> [bias] -> [rectifier] -> y, all aligned to 16 bytes. What lies between is fp32. In bf16 x, w, y and the bias are of one type, as
 * no engine that is compiled beforehand takes them otherwise (9.19, asked about a device of 9.0). */
static void *graph_of(hs_cudnn_plan *p, const hs_cudnn_shape *s)
{
    const int64_t per_channel[4] = {1, s->w[0], 1, 1};
    void *operation[3];
    int64_t operations = 0;
    void *x = tensor(p, X, s->x, s->half, false), *w = tensor(p, W, s->w, s->half, false), *y = tensor(p, Y, s->y, s->half, false);
    void *raw = s->bias ? tensor(p, BEFORE_BIAS, s->y, false, true) : NULL;
    void *sum = s->relu ? tensor(p, BEFORE_RELU, s->y, false, true) : y;
    operation[operations++] = convolve(p, s, x, w, s->bias ? raw : sum);
    if (s->bias)
        operation[operations++] = apply(p, HS_CUDNN_ADD, raw, tensor(p, BIAS, per_channel, s->half, false), sum);
    if (s->relu)
        operation[operations++] = apply(p, HS_CUDNN_RELU, sum, NULL, y);
    void *graph = make(p, HS_CUDNN_GRAPH);
    set(p, graph, HS_CUDNN_GRAPH_HANDLE, HS_CUDNN_HANDLE_TYPE, 1, &p->api->handle);
    set(p, graph, HS_CUDNN_GRAPH_OPERATIONS, HS_CUDNN_DESCRIPTOR_TYPE, operations, operation);
    return done(p, graph);
}

/* ---- engines ---------------------------------------------------------------------------------------------------------------- */

/* An engine that converts its inputs makes fp16 of fp32, where a gradient may be too large or nothing at all. */
static bool is_welcome(hs_cudnn_plan *p, const void *config, const hs_cudnn_shape *s)
{
    int notes[HS_CUDNN_NOTES];
    int64_t count = 0, got = 0;
    void *engine = make(p, HS_CUDNN_ENGINE);
    if (p->status || p->api->BackendGetAttribute(config, HS_CUDNN_CONFIG_ENGINE, HS_CUDNN_DESCRIPTOR_TYPE, 1, &got, &engine) ||
        p->api->BackendGetAttribute(engine, HS_CUDNN_ENGINE_NOTES, HS_CUDNN_NOTE_TYPE, HS_CUDNN_NOTES, &count, notes))
        return false;
    for (int64_t i = 0; i < count && i < HS_CUDNN_NOTES; i++)
        if (notes[i] == HS_CUDNN_NOT_DETERMINISTIC || notes[i] == HS_CUDNN_REDUCED_SUM || (!s->half && notes[i] == HS_CUDNN_DOWN_CONVERT) ||
            (s->only_fp32 && notes[i] == HS_CUDNN_TENSOR_CORE))
            return false;
    return true;
}

/* Most configurations that are listed can be planned; one that cannot is no error. */
static bool take(hs_cudnn_plan *p, void *config)
{
    int64_t bytes = 0, got = 0;
    void *plan = make(p, HS_CUDNN_PLAN);
    set(p, plan, HS_CUDNN_PLAN_HANDLE, HS_CUDNN_HANDLE_TYPE, 1, &p->api->handle);
    set_made(p, plan, HS_CUDNN_PLAN_CONFIG, config);
    if (p->status || p->api->BackendFinalize(plan) ||
        p->api->BackendGetAttribute(plan, HS_CUDNN_PLAN_WORKSPACE, HS_CUDNN_INT64_TYPE, 1, &got, &bytes) || bytes < 0 ||
        (size_t)bytes > most_workspace)
        return false;
    p->plan = plan;
    p->workspace = (size_t)bytes;
    return true;
}

static void discard(hs_cudnn_plan *p, int left)
{
    while (p->count > left)
        (void)p->api->BackendDestroyDescriptor(p->made[--p->count]);
}

/* What a configuration, or the whole list, is refused for is no error of the next. */
static void choose(hs_cudnn_plan *p, void *graph, int mode, const hs_cudnn_shape *s)
{
    void *config[CONFIGS];
    int64_t count = 0;
    void *heuristic = make(p, HS_CUDNN_HEURISTIC);
    set_made(p, heuristic, HS_CUDNN_HEURISTIC_GRAPH, graph);
    set_int(p, heuristic, HS_CUDNN_HEURISTIC_MODE, HS_CUDNN_HEURISTIC_TYPE, mode);
    done(p, heuristic);
    for (int i = 0; i < CONFIGS; i++)
        config[i] = make(p, HS_CUDNN_CONFIG);
    if (p->status || p->api->BackendGetAttribute(heuristic, HS_CUDNN_HEURISTIC_RESULTS, HS_CUDNN_DESCRIPTOR_TYPE, CONFIGS, &count, config))
        return;
    for (int64_t i = 0; i < count && i < CONFIGS && !p->plan; i++) {
        const int before = p->count;
        if (is_welcome(p, config[i], s) && take(p, config[i]))
            return;
        discard(p, before); /* the engine and the plan */
        p->status = 0;
    }
}

/* ---- the plan --------------------------------------------------------------------------------------------------------------- */

hs_cudnn_plan *hs_cudnn_plan_create(hs_cudnn *cudnn, const hs_cudnn_shape *shape)
{
    static const int modes[] = {HS_CUDNN_MODE_A, HS_CUDNN_MODE_FALLBACK};
    hs_cudnn_plan *p = NULL;
    if (hs_calloc(1, sizeof *p, "cuDNN plan", &p) != HS_OK)
        return NULL;
    p->api = cudnn;
    p->bias = shape->bias;
    void *graph = graph_of(p, shape);
    const int own = p->count;
    const bool legal = p->status == 0;
    for (size_t i = 0; legal && !p->plan && i < sizeof modes / sizeof *modes; i++) {
        discard(p, own); /* the list of one mode makes room for the other's */
        p->status = 0;
        choose(p, graph, modes[i], shape);
    }
    if (!p->plan)
        hs_cudnn_plan_destroy(&p);
    return p;
}

void hs_cudnn_plan_destroy(hs_cudnn_plan **plan)
{
    hs_cudnn_plan *p = *plan;
    if (!p)
        return;
    if (p->pack)
        (void)p->api->BackendDestroyDescriptor(p->pack);
    discard(p, 0);
    hs_free(p);
    *plan = NULL;
}

size_t hs_cudnn_plan_workspace(const hs_cudnn_plan *plan)
{
    return plan->workspace;
}

/* A pack cannot be changed once it is finished, so it is made again when a pointer is another: in training that is once. */
static int make_pack(hs_cudnn_plan *p, const void *const *pointers)
{
    static const int64_t id[POINTERS] = {X, W, Y, BIAS};
    const int64_t count = p->bias ? POINTERS : POINTERS - 1;
    if (p->pack)
        (void)p->api->BackendDestroyDescriptor(p->pack);
    p->pack = NULL;
    int status = p->api->BackendCreateDescriptor(HS_CUDNN_PACK, &p->pack);
    if (status == 0)
        status = p->api->BackendSetAttribute(p->pack, HS_CUDNN_PACK_IDS, HS_CUDNN_INT64_TYPE, count, id);
    if (status == 0)
        status = p->api->BackendSetAttribute(p->pack, HS_CUDNN_PACK_POINTERS, HS_CUDNN_POINTER_TYPE, count, pointers);
    if (status == 0)
        status = p->api->BackendSetAttribute(p->pack, HS_CUDNN_PACK_WORKSPACE, HS_CUDNN_POINTER_TYPE, 1, &pointers[POINTERS]);
    if (status == 0)
        status = p->api->BackendFinalize(p->pack);
    return status;
}

int hs_cudnn_plan_run(hs_cudnn_plan *p, void *stream, const void *x, const void *w, const void *y, const void *bias,
                      void *workspace)
{
    const void *pointers[POINTERS + 1] = {x, w, y, bias, workspace};
    int status = p->api->SetStream(p->api->handle, stream);
    if (status == 0 && (!p->pack || memcmp(pointers, p->last, sizeof pointers) != 0)) {
        status = make_pack(p, pointers);
        memcpy(p->last, pointers, sizeof pointers);
    }
    return status ? status : p->api->BackendExecute(p->api->handle, p->plan, p->pack);
}
