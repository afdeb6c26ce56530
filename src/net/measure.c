/* measure.c - plan = measure | wisdom: time each way of a layer instead of believing the backend's estimate. A way is timed in a network of its own
 * that holds the input and this one layer, with the way forced, so that it runs exactly as it will in earnest: same plans, same memory layout.
 *
 * One run to warm up (pages, caches, clocks); then, until BUDGET seconds are spent, 3 to 9 runs of which the median counts: other work on the
 * machine lengthens some of them, and a run that by luck was short says nothing about the rest. A device that is waited for gets several at a time. */
#include <stdio.h>
#include <string.h>

#include "net.h"

enum { RUNS_LEAST = 3, RUNS_MOST = 9, PATTERN = 4099 }; /* a prime: no period of a map falls in with it */

static const double budget = 0.05;

/* X to 16 bits, and these once more as the lower 16: what is stored on a sealed edge as bf16 is sound data then too. */
static float doubled(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & 0xFFFF0000u) | bits >> 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Numbers in [-1, 1], none of them zero: speed must not depend on lucky data. What is there is copied where the data lie, ever longer pieces: sent
 * through the host, a batch of 200 MB would take longer than all runs of its layer. */
static hs_status fill(const hs_net *net, hs_stream *s, void *memory, size_t count)
{
    float pattern[PATTERN];
    for (int i = 0; i < PATTERN; i++)
        pattern[i] = doubled((float)((i * 2654435761u >> 8) % 1000) / 499.5f - 1.0f);
    size_t done = count < PATTERN ? count : PATTERN, real = net->backend->real;
    HS_TRY(net->backend->memory->from_float(s, done, pattern, memory));
    for (size_t part; done < count; done += part) {
        part = count - done < done ? count - done : done;
        HS_TRY(net->backend->memory->copy(s, (char *)memory + done * real, memory, part * real));
    }
    return HS_OK;
}

/* ---- a network of one layer --------------------------------------------------------------------------------------------------- */

/* The layer as it stands in NET: arguments hold no pointers, parameters are counted from 0. */
static hs_status copy_layer(const hs_net *net, const hs_node *node, hs_net *probe)
{
    hs_node *input = NULL, *copy = NULL;
    HS_TRY(hs_calloc(2, sizeof *probe->layer, "probe", &probe->layer));
    HS_TRY(hs_node_create(&hs_layer_input, &input));
    probe->layer[probe->layers++] = input;
    input->in = input->out = node->in;
    HS_TRY(hs_node_create(node->kind, &copy));
    probe->layer[probe->layers++] = copy;
    memcpy(copy->name, node->name, sizeof copy->name);
    memcpy(copy->notation, node->notation, sizeof copy->notation);
    if (node->args)
        memcpy(copy->args, node->args, node->kind->args_bytes);
    copy->index = node->index;
    copy->inputs = 1;
    copy->input[0] = input;
    copy->relu_in = node->relu_in;
    copy->relu_out = node->relu_out;
    copy->sealed_in = node->sealed_in;
    copy->sealed_out = node->sealed_out;
    copy->pool = node->pool;
    copy->pool_stride = node->pool_stride;
    copy->in = node->in;
    copy->out = node->out;
    for (int i = 0; i < node->params; i++) {
        const hs_param *p = &net->param[node->param + i];
        HS_TRY(hs_net_declare(probe, copy, p->name, p, p->count));
    }
    for (int i = 0; i < node->statistics; i++) {
        const hs_param *p = &net->statistic[node->statistic + i];
        HS_TRY(hs_net_declare(probe, copy, p->name, p, p->count));
    }
    return HS_OK;
}

static hs_status create_probe(const hs_net *net, const hs_node *node, const hs_choice *choice, hs_net **out)
{
    hs_net *probe = NULL;
    hs_status st = HS_OK;
    char text[HS_DECISION_MAX];
    HS_TRY(hs_calloc(1, sizeof *probe, "probe", &probe));
    probe->options = net->options;
    probe->is_probe = true;
    probe->in = node->in;
    probe->classes = 1;
    probe->cutoff_layers = net->cutoff_layers;
    probe->want_dx = node->need_dx[0];
    hs_decision_text(node, choice, text, sizeof text);
    HS_TRY_GOTO(st, copy_layer(net, node, probe), undo);
    HS_TRY_GOTO(st, hs_net_force_decisions(probe, text), undo);
    *out = probe;
    return HS_OK;
undo:
    hs_net_destroy(&probe);
    return st;
}

static hs_status queue_once(hs_net *probe, hs_stream *s, const hs_pass *pass)
{
    hs_node *node = probe->layer[1];
    HS_TRY(node->kind->prepare ? node->kind->prepare(probe, node, s, pass) : HS_OK);
    HS_TRY(node->kind->forward(probe, node, s, pass));
    return node->wanted ? node->kind->backward(probe, node, s, pass) : HS_OK;
}

/* Seconds of one of REPEATS runs, one behind the other. */
static hs_status run(hs_net *probe, hs_stream *s, const hs_pass *pass, int repeats, double *seconds)
{
    double start = hs_now();
    for (int i = 0; i < repeats; i++)
        HS_TRY(queue_once(probe, s, pass));
    HS_TRY(probe->backend->device->stream_sync(s));
    *seconds = (hs_now() - start) / repeats;
    return HS_OK;
}

/* Runs to warm up: the first one on a device loads kernels, so that the second one says how many to take together. */
static int warm_runs(const hs_net *net)
{
    return net->backend->memory->host_visible ? 1 : 2;
}

/* How many runs to take together after one of SECONDS: beginning on a device and waiting for it takes microseconds that a layer within a step, queued
 * behind another or recorded, does not pay. In a millisecond they are few. */
static int together(const hs_net *net, double seconds)
{
    const double fit = 1e-3 / seconds;
    return net->backend->memory->host_visible || fit < 2 ? 1 : fit > 16 ? 16 : (int)fit;
}

/* Run times, kept in order. */
typedef struct runs {
    double time[RUNS_MOST], spent;
    int count;
} runs;

static void note(runs *r, double seconds)
{
    int at = r->count++;
    for (; at > 0 && r->time[at - 1] > seconds; at--)
        r->time[at] = r->time[at - 1];
    r->time[at] = seconds;
    r->spent += seconds;
}

static bool enough(const runs *r)
{
    return r->count == RUNS_MOST || (r->count >= RUNS_LEAST && r->spent >= budget);
}

static double median(const runs *r)
{
    return r->time[r->count / 2];
}

static hs_status time_probe(hs_net *probe, hs_stream *s, double *median_seconds)
{
    runs r = {0};
    double seconds = 0;
    hs_node *node = probe->layer[1];
    size_t n = (size_t)probe->plan.capacity;
    hs_pass pass = {.n = probe->plan.capacity, .global = probe->plan.capacity, .training = probe->plan.training};
    HS_TRY(fill(probe, s, probe->slab, probe->params_count));
    HS_TRY(fill(probe, s, node->x[0], n * node->input[0]->count));
    if (node->dy)
        HS_TRY(fill(probe, s, node->dy, n * node->count));
    for (int i = 0; i < warm_runs(probe); i++)
        HS_TRY(run(probe, s, &pass, 1, &seconds));
    for (const int repeats = together(probe, seconds); !enough(&r);) {
        HS_TRY(run(probe, s, &pass, repeats, &seconds));
        note(&r, seconds);
    }
    *median_seconds = median(&r);
    return HS_OK;
}

hs_status hs_measure_choice(const hs_net *net, const hs_node *node, hs_stream *s, hs_choice *choice)
{
    hs_net *probe = NULL;
    HS_TRY(create_probe(net, node, choice, &probe));
    hs_plan_options options = {.capacity = net->plan.capacity, .training = net->plan.training, .mode = "estimate"};
    hs_status st = hs_net_plan(probe, net->device, s, &options);
    if (st == HS_OK)
        st = time_probe(probe, s, &choice->cost);
    hs_net_destroy(&probe);
    return st;
}

/* ---- transforms ------------------------------------------------------------------------------------------------------------------ */

/* One way forward and the other way backward take the same time as there and back once. */
static hs_status time_transform(const hs_net *net, hs_stream *s, hs_shape shape, hs_transform *plan, char *memory, double *median_seconds)
{
    runs r = {0};
    const hs_transform_ops *ops = net->backend->transform;
    int n = net->plan.capacity;
    size_t space = hs_plan_count(shape, HS_SPACE) * (size_t)n, spectrum = hs_plan_count(shape, HS_SPECTRUM) * (size_t)n;
    char *second = memory + hs_align(space * net->backend->real), *scratch = second + hs_align(spectrum * net->backend->real);
    HS_TRY(fill(net, s, memory, space));
    for (int done = 0, repeats = 1; !enough(&r); done++) {
        double start = hs_now();
        for (int i = 0; i < repeats; i++) {
            HS_TRY(ops->forward(s, plan, n, memory, second, scratch));
            if (net->plan.training)
                HS_TRY(ops->inverse(s, plan, n, second, memory, scratch));
        }
        HS_TRY(net->backend->device->stream_sync(s));
        const double seconds = (hs_now() - start) / repeats;
        if (done >= warm_runs(net))
            note(&r, seconds);
        else
            repeats = together(net, seconds);
    }
    *median_seconds = median(&r);
    return HS_OK;
}

hs_status hs_measure_transform(const hs_net *net, hs_shape shape, hs_stream *s, double *seconds)
{
    const hs_backend *b = net->backend;
    hs_transform *plan = NULL;
    void *memory = NULL;
    hs_status st = HS_OK;
    HS_TRY(b->transform->plan(net->device, net->plan.capacity, shape.h, shape.w, shape.c, &plan));
    size_t real = b->real, n = (size_t)net->plan.capacity;
    size_t bytes = hs_align(hs_plan_count(shape, HS_SPACE) * n * real) + hs_align(hs_plan_count(shape, HS_SPECTRUM) * n * real) +
                   hs_align(b->transform->scratch_bytes(plan));
    HS_TRY_GOTO(st, b->memory->alloc(net->device, bytes, &memory), done);
    st = time_transform(net, s, shape, plan, memory, seconds);
    b->memory->free(net->device, memory);
done:
    b->transform->destroy(&plan);
    return st;
}
