/* layer_clock.c - how long every step of the plan took in training: steps 2 to 5 of a start are timed layer by layer on rank 0 through the network's
 * `mark` hook, beside what the planner predicted. On a CPU that is two readings of the clock a layer; a device is waited for after each layer, which
 * is why it is done in few steps. */
#include <math.h>

#include "train.h"

/* Steps done before, of this start: the first one pays for cold memory. */
enum { FIRST = 1, LAST = HS_LAYER_PASSES };

hs_status hs_layer_clock_make(hs_trainer *t)
{
    hs_layer_clock *c = &t->layer_clock;
    c->runs = true;
    if (t->world.comm->rank != 0)
        return HS_OK;
    c->rows = hs_net_rows(t->world.net);
    return hs_calloc((size_t)c->rows, sizeof *c->seconds, "times of layers", &c->seconds);
}

void hs_layer_clock_free(hs_trainer *t)
{
    hs_free(t->layer_clock.seconds);
    t->layer_clock = (hs_layer_clock){0};
}

bool hs_layer_clock_due(const hs_trainer *t)
{
    int64_t done = t->state.step - t->start_step;
    return t->layer_clock.runs && done >= FIRST && done <= LAST;
}

bool hs_layer_clock_complete(const hs_trainer *t)
{
    return t->layer_clock.seconds && t->state.step - t->start_step == LAST + 1;
}

void hs_layer_clock_start(hs_trainer *t, bool backward)
{
    t->layer_clock.last = hs_now();
    t->layer_clock.passes += !backward && t->layer_clock.passes < HS_LAYER_PASSES;
}

hs_status hs_layer_clock_mark(void *context, int row, bool backward, void *data)
{
    hs_trainer *t = context;
    const hs_world *w = &t->world;
    hs_layer_clock *c = &t->layer_clock;
    (void)data;
    HS_TRY(w->device->backend->device->stream_sync(w->stream));
    double now = hs_now();
    c->seconds[row][backward][c->passes - 1] = now - c->last;
    c->last = now;
    return HS_OK;
}

/* Median: one pass that other work held up does not count. */
static double typical(const hs_trainer *t, int row, bool backward)
{
    const hs_layer_clock *c = &t->layer_clock;
    const double *time = c->seconds[row][backward];
    for (int i = 0; i < c->passes; i++) {
        int below = 0; /* of equal ones the first counts as the smallest */
        for (int k = 0; k < c->passes; k++)
            below += time[k] < time[i] || (time[k] == time[i] && k < i);
        if (below == c->passes / 2)
            return time[i];
    }
    return NAN;
}

static hs_run_step describe(const hs_trainer *t, int i)
{
    hs_layer_row row;
    hs_net_row(t->world.net, i, &row);
    return (hs_run_step){.name = row.name,
                         .notation = row.notation,
                         .domain = row.domain == HS_SPECTRUM ? "spectrum" : "space",
                         .engine = row.engine,
                         .height = row.out.h,
                         .width = row.out.w,
                         .channels = row.out.c,
                         .activation_bytes = (int64_t)row.activation_bytes,
                         .mflop = 1e3 * row.gflop,
                         .predicted = row.predicted,
                         .measured = row.measured > 0 ? row.measured : NAN,
                         .forward = typical(t, i, false),
                         .backward = typical(t, i, true)};
}

hs_status hs_plan_record(hs_trainer *t, bool ended)
{
    hs_run_step *step = NULL;
    const int rows = t->layer_clock.rows;
    if (t->world.comm->rank != 0 || (t->resumed && t->layer_clock.passes == 0))
        return HS_OK;
    HS_TRY(hs_calloc((size_t)rows, sizeof *step, "plan", &step));
    for (int i = 0; i < rows; i++)
        step[i] = describe(t, i);
    hs_footprint footprint;
    hs_footprint_make(t, &footprint);
    hs_run_plan_facts facts = {.capacity = t->world.capacity,
                               .threads = t->world.device->threads,
                               .planned_bytes = footprint.total,
                               .peak_bytes = ended ? hs_resident_peak() : 0};
    hs_status st = hs_run_plan(t->history.run, step, rows, &facts);
    hs_free(step);
    return st;
}
