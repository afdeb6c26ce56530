/* train.c - the loop, from top to bottom.
 *
 * A step border is where everything but the step happens, in this order: row, evaluation, history, comparison of ranks, checkpoint, leave. The
 * checkpoint comes last so that what log and run file hold up to its step is complete. */
#include <math.h>
#include <string.h>

#include "train.h"

static bool epoch_ends(const hs_trainer *t, int64_t steps)
{
    return steps % t->epoch_steps == 0;
}

/* Does what happens every INTERVAL happen after STEPS steps? Some of it also happens after the last. */
static bool due(const hs_trainer *t, int64_t interval, int64_t steps, bool also_last)
{
    return hs_interval_due(interval, steps, epoch_ends(t, steps)) || (also_last && steps == t->total_steps);
}

static hs_status evaluate(hs_trainer *t)
{
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "evaluation", t->state.step, 4);
    HS_TRY(hs_world_evaluate(&t->world, NULL, NULL, &t->evaluated));
    t->times.evaluation += hs_now() - begin;
    double count = (double)t->evaluated.count;
    hs_eval_row row = {.epoch = t->state.step / t->epoch_steps,
                       .step = t->state.step,
                       .loss = t->evaluated.loss / count,
                       .error_top1 = 1 - t->evaluated.hits1 / count,
                       .error_top5 = 1 - t->evaluated.hits5 / count,
                       .elapsed = hs_trainer_elapsed(t)};
    t->error_now = row.error_top1;
    if (row.error_top1 < t->state.best_error) {
        t->state.best_error = row.error_top1;
        t->state.best_step = t->state.step;
    }
    hs_plateau_see(&t->optim_config.schedule, &t->plateau, row.loss);
    return hs_agree(t->world.comm, hs_output_eval(t, &row));
}

static hs_status log_row(hs_trainer *t, const hs_step *s)
{
    double begin = hs_now();
    hs_status st = hs_agree(t->world.comm, hs_output_train(t, s));
    t->times.output += hs_now() - begin;
    return st;
}

static hs_status snapshot(hs_trainer *t, bool with_step)
{
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "filter history", t->state.step, 4);
    hs_status st = hs_agree(t->world.comm, hs_history_take(t, with_step));
    t->times.output += hs_now() - begin;
    return st;
}

static hs_status at_border(hs_trainer *t, const hs_step *s)
{
    const hs_config *c = t->world.config;
    int64_t step = t->state.step;
    if (hs_layer_clock_complete(t))
        HS_TRY(hs_plan_record(t, false));
    if (s->wants_report)
        HS_TRY(log_row(t, s));
    if (due(t, c->eval_every, step, true))
        HS_TRY(evaluate(t));
    if (s->wants_update)
        HS_TRY(snapshot(t, true));
    if (due(t, c->sync_every, step, false))
        HS_TRY(hs_ranks_compare(t));
    if (s->save || s->stop || due(t, c->ckpt_every, step, true))
        HS_TRY(hs_save(t));
    return HS_OK;
}

/* Does nothing happen between step NUMBER and the next, and is that one but a step? Then it may be launched before this one is done. */
static bool flows_on(const hs_trainer *t, int64_t number)
{
    const hs_config *c = t->world.config;
    return t->replay.planned && !t->asked_stop && !t->asked_save && number < t->total_steps && !due(t, c->log_every, number, true) &&
           !due(t, c->eval_every, number, true) && !due(t, c->history_every, number, false) && !due(t, c->sync_every, number, false) &&
           !due(t, c->ckpt_every, number, true) && !due(t, c->log_every, number + 1, true) && !due(t, c->history_every, number + 1, false);
}

static hs_status loop(hs_trainer *t)
{
    const hs_config *c = t->world.config;
    while (t->state.step < t->total_steps) {
        int64_t next = t->state.step + 1;
        hs_step s = {.wants_report = due(t, c->log_every, next, true),
                     .wants_update = due(t, c->history_every, next, false),
                     .ahead = flows_on(t, next)};
        hs_status st = hs_step_run(t, &s);
        if (st == HS_ENONFINITE)
            st = hs_nonfinite_explain(t, &s);
        HS_TRY(st);
        if (t->options->on_step)
            t->options->on_step(t->options->context, t->state.step, s.loss);
        hs_progress_tick(t, &s);
        HS_TRY(at_border(t, &s));
        if (s.stop && t->state.step < t->total_steps)
            return hs_fail(HS_STOPPED, "stopped after step %lld of %lld; a checkpoint is in %s: start the same command again to go on",
                           (long long)t->state.step, (long long)t->total_steps, c->run);
    }
    return HS_OK;
}

/* What comes before the first step: filters as they were drawn, and a RUN that was complete already gets its numbers again. */
static hs_status begin(hs_trainer *t)
{
    if (!t->resumed && t->world.config->history_every != 0)
        HS_TRY(snapshot(t, false));
    if (t->state.step >= t->total_steps) {
        HS_TRY(hs_world_evaluate(&t->world, NULL, NULL, &t->evaluated));
        if (t->world.comm->rank == 0)
            hs_info(t->world.log, "%s is complete: %lld steps, test error %.4f; raise epochs or max-steps to go on", t->world.config->run,
                    (long long)t->state.step, 1 - t->evaluated.hits1 / (double)t->evaluated.count);
    }
    return HS_OK;
}

static void fill_result(const hs_trainer *t, hs_train_result *r)
{
    double count = (double)t->evaluated.count, seconds = hs_now() - t->started;
    *r = (hs_train_result){.steps = t->state.step,
                           .loss = count > 0 ? t->evaluated.loss / count : NAN,
                           .error_top1 = count > 0 ? 1 - t->evaluated.hits1 / count : NAN,
                           .error_top5 = count > 0 ? 1 - t->evaluated.hits5 / count : NAN,
                           .best_error = t->state.best_error,
                           .seconds = seconds,
                           .samples_per_second = t->times.steps > 0 ? (double)t->times.samples / t->times.steps : 0};
}

static hs_status open_files(hs_trainer *t)
{
    HS_TRY(hs_output_open(t));
    HS_TRY(hs_history_open(t));
    HS_TRY(hs_layer_clock_make(t));
    return hs_plan_record(t, false);
}

static hs_status run(hs_trainer *t, hs_train_result *result)
{
    hs_comm *comm = t->world.comm;
    HS_TRY(hs_trainer_plan(t));
    HS_TRY(hs_world_feeds(&t->world, true));
    HS_TRY(hs_agree(comm, hs_intake_make(t)));
    HS_TRY(hs_agree(comm, hs_look_settle(&t->world)));
    HS_TRY(hs_agree(comm, hs_replay_make(t)));
    HS_TRY(hs_origin_make(&t->origin, &t->world, t->options));
    HS_TRY(hs_resume(t));
    HS_TRY(hs_agree(comm, open_files(t)));
    hs_table_plan(t, false);
    hs_status st = begin(t);
    if (st == HS_OK)
        st = loop(t);
    hs_progress_clear(t);
    if (st == HS_OK || st == HS_STOPPED) {
        HS_TRY(hs_plan_record(t, true)); /* hs_history_close flushes it */
        fill_result(t, result);
        hs_table_times(t);
    }
    return st;
}

static hs_status plan_only(hs_trainer *t)
{
    HS_TRY(hs_trainer_plan(t));
    hs_table_plan(t, true);
    return HS_OK;
}

hs_status hs_train(const hs_config *config, hs_comm *comm, const hs_train_options *options, hs_train_result *result)
{
    hs_trainer *t = NULL;
    HS_TRY(hs_agree(comm, hs_store_start()));
    HS_TRY(hs_agree(comm, hs_calloc(1, sizeof *t, "trainer", &t)));
    hs_status st = hs_agree(comm, options->dry_run ? HS_OK : hs_signals_catch(&t->signals)); /* before anything that takes time: data, measured plans */
    if (st == HS_OK)
        st = hs_trainer_open(t, config, comm, options);
    if (st == HS_OK)
        st = options->dry_run ? plan_only(t) : run(t, result);
    hs_trainer_close(t);
    hs_signals_restore(&t->signals);
    hs_free(t);
    return st;
}
