/* layers.c - every row of the planned network, timed inside whole passes: each layer finds the caches as its neighbours leave them, which a layer run
 * on its own does not. */
#include <math.h>
#include <string.h>

#include "bench.h"

/* ---- passes ------------------------------------------------------------------------------------------------------------------------------ */

/* What a marked pass writes to. */
typedef struct watch {
    hs_bench *b;
    double since;
    bool keep; /* false: the first pass, which only shows what there is */
} watch;

static hs_status on_mark(void *context, int row, bool backward, void *data)
{
    watch *w = context;
    const hs_world *world = &w->b->trainer.world;
    hs_layer_result *layer = &w->b->layer[row];
    HS_TRY(world->device->backend->device->stream_sync(world->stream));
    if (w->keep)
        hs_timing_add(backward ? &layer->backward : &layer->forward, hs_now() - w->since);
    if (backward)
        layer->has_dx = data != NULL;
    w->since = hs_now();
    return HS_OK;
}

/* One pass of this rank's batch with a watch on its rows, or without; *T: what its three parts took. The samples are there before the clock starts: in
 * training they are made on the device, or sent ahead, and their way through the host would be the first layer's time. */
static hs_status run_pass(hs_bench *b, watch *w, hs_pass_times *t)
{
    hs_world *world = &b->trainer.world;
    hs_net_hooks hooks = {.context = w, .mark = w ? on_mark : NULL};
    hs_pass pass = {.n = world->capacity, .global = world->capacity, .seed = (uint64_t)b->config->seed, .training = true, .hooks = &hooks};
    watch none = {.keep = false}, *own = w ? w : &none;
    hs_loss_sums sums;
    HS_TRY(world->device->backend->memory->from_float(world->stream, (size_t)pass.n * hs_shape_count(hs_net_input(world->net)), b->x,
                                                      hs_net_input_memory(world->net)));
    HS_TRY(world->device->backend->device->stream_sync(world->stream));
    double begin = own->since = hs_now();
    HS_TRY(hs_net_forward(world->net, world->stream, &pass, NULL));
    HS_TRY(world->device->backend->device->stream_sync(world->stream));
    t->forward = hs_now() - begin;
    begin = hs_now();
    HS_TRY(hs_net_loss(world->net, world->stream, &pass, b->labels, &sums));
    t->loss = hs_now() - begin;
    begin = own->since = hs_now();
    HS_TRY(hs_net_backward(world->net, world->stream, &pass));
    HS_TRY(world->device->backend->device->stream_sync(world->stream));
    t->backward = hs_now() - begin;
    return HS_OK;
}

hs_status hs_bench_pass(hs_bench *b, hs_pass_times *t)
{
    return run_pass(b, NULL, t);
}

static hs_status make_batch(hs_bench *b)
{
    const hs_world *world = &b->trainer.world;
    size_t n = (size_t)world->capacity, count = n * hs_shape_count(hs_net_input(world->net));
    HS_TRY(hs_calloc(count, sizeof *b->x, "a batch", &b->x));
    HS_TRY(hs_calloc(n, sizeof *b->labels, "labels", &b->labels));
    hs_bench_random(3, b->x, count);
    for (size_t i = 0; i < n; i++)
        b->labels[i] = (int32_t)(i * 7 % (size_t)hs_net_classes(world->net));
    return HS_OK;
}

hs_status hs_bench_survey(hs_bench *b)
{
    const hs_world *w = &b->trainer.world;
    watch first = {.b = b};
    hs_pass_times t;
    b->rows = hs_net_rows(w->net);
    HS_TRY(hs_calloc((size_t)b->rows, sizeof *b->layer, "rows of the network", &b->layer));
    for (int i = 0; i < b->rows; i++) {
        hs_net_row(w->net, i, &b->layer[i].row);
        b->layer[i].error_forward = b->layer[i].error_backward = NAN;
    }
    HS_TRY(make_batch(b));
    HS_TRY(run_pass(b, &first, &t));
    for (int i = 0; i < b->rows; i++) {
        hs_layer_result *l = &b->layer[i];
        hs_work_layer(w->net, &l->row, l->has_dx, w->capacity, w->device->backend->real, &l->work_forward, &l->work_backward);
    }
    return HS_OK;
}

/* ---- the part ------------------------------------------------------------------------------------------------------------------------------ */

static hs_status run_passes(hs_bench *b, double budget, hs_timing *loss)
{
    watch w = {.b = b};
    hs_pass_times t;
    double begin = hs_now();
    HS_TRY(run_pass(b, &w, &t));
    int repeats = hs_timing_repeats(hs_now() - begin, budget);
    w.keep = true;
    for (int i = 0; i < repeats; i++) {
        HS_TRY(run_pass(b, &w, &t));
        hs_timing_add(loss, t.loss);
    }
    return HS_OK;
}

/* What a row takes on a device that has next to nothing to do in it: to be launched, and to be waited for. */
static hs_status time_nothing(hs_bench *b)
{
    hs_world *w = &b->trainer.world;
    hs_timing t = {.count = 0};
    for (int i = 0; i < 20; i++) {
        double begin = hs_now();
        HS_TRY(w->device->backend->memory->zero(w->stream, hs_net_input_memory(w->net), sizeof(float)));
        HS_TRY(w->device->backend->device->stream_sync(w->stream));
        hs_timing_add(&t, hs_now() - begin);
    }
    hs_bench_row row = {.part = "layers", .name = "nothing", .what = "a launch and a wait, in every row", .timing = &t, .error = NAN};
    hs_report_row(&b->report, &row);
    return HS_OK;
}

static void print_layer(hs_bench *b, hs_layer_result *l, bool backward)
{
    char what[64];
    hs_timing *t = backward ? &l->backward : &l->forward;
    if (t->count == 0)
        return;
    snprintf(what, sizeof what, "%s, %.24s%s%.24s", backward ? "backward" : "forward", l->row.notation, *l->row.engine ? ", " : "", l->row.engine);
    hs_bench_row row = {.part = "layers", .name = l->row.name, .what = what, .timing = t, .work = backward ? l->work_backward : l->work_forward,
                        .error = backward ? l->error_backward : l->error_forward};
    hs_report_row(&b->report, &row);
}

hs_status hs_bench_layers(hs_bench *b)
{
    hs_timing loss = {.count = 0};
    HS_TRY(hs_agree(b->comm, run_passes(b, b->share, &loss)));
    if (!b->trainer.world.device->backend->memory->host_visible)
        HS_TRY(hs_agree(b->comm, time_nothing(b)));
    for (int i = 0; i < b->rows; i++)
        print_layer(b, &b->layer[i], false);
    hs_bench_row row = {.part = "layers", .name = "loss", .what = "softmax, cross-entropy, gradient", .timing = &loss, .error = NAN};
    hs_report_row(&b->report, &row);
    for (int i = b->rows; i-- > 0;)
        print_layer(b, &b->layer[i], true);
    return HS_OK;
}
