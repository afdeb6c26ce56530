/* step.c - the whole training step as training runs it, less the reading of samples, which is timed apart. */
#include <math.h>

#include "bench.h"

typedef struct step_times {
    hs_timing step, forward, backward, optimizer, exposed;
} step_times;

/* A step ends with scalars that depend on all of it. With AHEAD the next may have been launched by then, as in training: then steps follow each
 * other without a gap, and one ends when its scalars are there. */
static hs_status run_step(hs_bench *b, bool ahead, step_times *into)
{
    hs_trainer *t = &b->trainer;
    const hs_times before = t->times;
    hs_step s = {.ahead = ahead};
    double begin = hs_now();
    hs_status st = hs_step_run(t, &s);
    if (st == HS_ENONFINITE)
        return hs_nonfinite_explain(t, &s);
    HS_TRY(st);
    if (!t->replay.launched)
        HS_TRY(t->world.device->backend->device->stream_sync(t->world.stream));
    hs_timing_add(&into->step, hs_now() - begin - (t->times.data - before.data));
    if (t->world.device->backend->memory->host_visible) { /* else the host runs ahead, and its clock says nothing of parts */
        hs_timing_add(&into->forward, t->times.forward - before.forward);
        hs_timing_add(&into->backward, t->times.backward - before.backward);
        hs_timing_add(&into->optimizer, t->times.optimizer - before.optimizer);
        hs_timing_add(&into->exposed, hs_buckets_exposed(t->buckets));
    }
    return HS_OK;
}

/* Parts of the step by themselves, the device idle between them. What the whole takes longer than they do, it waits for sums. */
static hs_status run_alone(hs_bench *b, int repeats, step_times *into)
{
    hs_trainer *t = &b->trainer;
    for (int i = 0; i < repeats; i++) {
        hs_pass_times pass;
        HS_TRY(hs_bench_pass(b, &pass));
        hs_timing_add(&into->forward, pass.forward + pass.loss);
        hs_timing_add(&into->backward, pass.backward);
        double begin = hs_now();
        HS_TRY(hs_optim_step(t->optim, t->world.stream, t->state.adam_t + 1, b->config->lr, NULL));
        HS_TRY(t->world.device->backend->device->stream_sync(t->world.stream));
        hs_timing_add(&into->optimizer, hs_now() - begin);
    }
    double parts = hs_timing_median(&into->forward) + hs_timing_median(&into->backward) + hs_timing_median(&into->optimizer);
    hs_timing_add(&into->exposed, fmax(0, hs_timing_median(&into->step) - parts));
    return HS_OK;
}

/* COLLECTIVE. All ranks take equally many steps: as many as the slowest can. */
static hs_status run_steps(hs_bench *b, step_times *into)
{
    double seconds = 0;
    int warm = b->trainer.world.device->backend->memory->host_visible ? 1 : 3; /* memory is touched; a device may record the second, repeat the third */
    for (int i = 0; i < warm; i++) {
        double begin = hs_now();
        HS_TRY(run_step(b, true, into));
        seconds = hs_now() - begin;
    }
    *into = (step_times){.step = {.count = 0}};
    HS_TRY(hs_allreduce(b->comm, &seconds, 1, HS_COMM_F64, HS_MAX));
    int repeats = hs_timing_repeats(seconds, b->share);
    for (int i = 0; i < repeats; i++)
        HS_TRY(run_step(b, i + 1 < repeats, into));
    return into->forward.count ? HS_OK : run_alone(b, repeats, into);
}

static double limit_of_layers(const hs_bench *b, bool forward, bool backward)
{
    double sum = 0;
    const char *bound;
    for (int i = 0; i < b->rows; i++) {
        sum += forward ? hs_work_limit(&b->report.peaks, b->layer[i].work_forward, &bound) : 0;
        sum += backward ? hs_work_limit(&b->report.peaks, b->layer[i].work_backward, &bound) : 0;
    }
    return sum;
}

static void print_part(hs_bench *b, const char *name, const char *what, hs_timing *t, double limit)
{
    hs_bench_row row = {.part = "step", .name = name, .what = what, .timing = t, .limit = limit, .error = NAN};
    hs_report_row(&b->report, &row);
}

static void print_step(hs_bench *b, step_times *t, double optimizer_limit, hs_work optimizer_work)
{
    const char *bound;
    char what[64];
    double batch = (double)b->trainer.world.config->batch;
    snprintf(what, sizeof what, "forward + backward + %s", hs_optim_kind_name(b->trainer.optim_config.kind));
    print_part(b, "forward", "with loss", &t->forward, limit_of_layers(b, true, false));
    print_part(b, "backward", "", &t->backward, limit_of_layers(b, false, true));
    hs_bench_row optimizer = {.part = "step", .name = "optimizer", .what = hs_optim_kind_name(b->trainer.optim_config.kind), .timing = &t->optimizer,
                              .work = optimizer_work, .error = NAN};
    hs_report_row(&b->report, &optimizer);
    hs_work_limit(&b->report.peaks, optimizer_work, &bound);
    hs_bench_row whole = {.part = "step", .name = "step", .what = what, .timing = &t->step,
                          .limit = limit_of_layers(b, true, true) + optimizer_limit, .rate = batch / hs_timing_median(&t->step),
                          .error = b->error_gradient};
    hs_report_row(&b->report, &whole);
}

hs_status hs_bench_step(hs_bench *b)
{
    step_times t = {.step = {.count = 0}};
    const char *bound;
    HS_TRY(hs_agree(b->comm, run_steps(b, &t)));
    hs_work work = hs_work_optimizer(hs_net_params_count(b->trainer.world.net), hs_optim_slots(b->trainer.optim),
                                     b->trainer.world.device->backend->real);
    print_step(b, &t, hs_work_limit(&b->report.peaks, work, &bound), work);
    double all[3] = {hs_timing_median(&t.step), hs_timing_median(&t.backward), hs_timing_median(&t.exposed)};
    HS_TRY(hs_allreduce(b->comm, all, 3, HS_COMM_F64, HS_MAX));
    b->step = all[0];
    b->backward = all[1];
    b->exposed = all[2];
    return HS_OK;
}
