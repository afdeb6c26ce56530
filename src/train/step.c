/* step.c - one optimizer step on all ranks. Nothing here allocates or opens a file.
 *
 * share of the batch -> forward -> loss -> backward, buckets leaving as they fill -> one small sum of scalars (loss, hits, what anybody
 * saw) on which all ranks decide alike -> optimizer. The loss gradient is divided by the GLOBAL batch, so the sum over ranks is the mean;
 * penalties are added once, behind the all-reduce, in the optimizer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

enum { SUM_LOSS, SUM_HITS, SUM_FAILED, SUM_STOP, SUM_SAVE, SUMS };

/* ---- hooks of the network --------------------------------------------------------------------------------------------------- */

static hs_status on_ready(void *context, size_t offset, size_t count)
{
    hs_trainer *t = context;
    const hs_world *w = &t->world;
    hs_mirror *g = &t->gradients;
    size_t real = (size_t)w->device->backend->real;
    if (g->own && !hs_comm_sees_device(w->comm)) /* a sum on the device queues behind what the stream holds */
        HS_TRY(w->device->backend->memory->download(w->stream, (char *)g->host + offset * real, (char *)g->device + offset * real,
                                                    count * real));
    HS_TRY(hs_buckets_ready(t->buckets, offset, count));
    w->comm->ops->progress(w->comm);
    return HS_OK;
}

static hs_status on_sum(void *context, double *values, size_t count)
{
    hs_trainer *t = context;
    const hs_world *w = &t->world;
    const hs_memory_ops *memory = w->device->backend->memory;
    if (memory->host_visible)
        HS_TRY(w->device->backend->device->stream_sync(w->stream));
    if (memory->host_visible || hs_comm_sees_device(w->comm))
        return hs_allreduce(w->comm, values, count, HS_COMM_F64, HS_SUM);
    if (count > t->sum_stage_count)
        return hs_fail(HS_EINTERNAL, "batch normalisation sums %zu numbers, planned for %zu", count, t->sum_stage_count);
    HS_TRY(memory->download(w->stream, t->sum_stage, values, count * sizeof(double)));
    HS_TRY(hs_allreduce(w->comm, t->sum_stage, count, HS_COMM_F64, HS_SUM));
    return memory->upload(w->stream, values, t->sum_stage, count * sizeof(double));
}

/* ---- parts of a step ----------------------------------------------------------------------------------------------------------- */

void hs_step_place(const hs_trainer *t, int64_t number, hs_step *s)
{
    const hs_world *w = &t->world;
    int64_t count = 0;
    hs_batch_at(number, w->train->count, w->config->batch, &s->place);
    hs_batch_share(s->place.global, w->comm->rank, w->comm->size, &s->first, &count);
    s->n = (int)count;
    s->pass = (hs_pass){.n = s->n,
                        .first = s->first,
                        .global = s->place.global,
                        .seed = (uint64_t)w->config->seed,
                        .step = number,
                        .epoch = s->place.epoch,
                        .rank = w->comm->rank,
                        .training = true};
}

/* Data of this rank's share. A rank that cannot read goes on without samples, so that the others are not left in a sum; the scalars tell. */
static hs_status fetch(hs_trainer *t, hs_step *s, const float **x, const int32_t **labels)
{
    hs_status st = HS_OK;
    hs_watchdog_phase(&t->dog, "data", t->state.step, 1);
    double begin = hs_now();
    if (s->n > 0)
        st = hs_intake_get(t, s->place.epoch, s->place.position + s->first, s->n, x, labels);
    if (st != HS_OK)
        s->n = s->pass.n = 0;
    else if (!t->intake.feed)
        hs_intake_ahead(t, t->state.step + 1);
    t->times.data += hs_now() - begin;
    return st;
}

/* One rank that computes on its own device has nobody to sum with. */
static bool alone(const hs_world *w)
{
    return strcmp(w->comm->ops->name, "self") == 0;
}

/* What is queued on a device runs while the host fetches the next batch; the loss is asked for last. */
static hs_status compute(hs_trainer *t, hs_step *s, const hs_net_hooks *hooks, const float *x, const int32_t *labels, hs_loss_sums *sums)
{
    hs_world *w = &t->world;
    const bool own = t->gradients.own && !hs_comm_sees_device(w->comm) && !alone(w);
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "forward", t->state.step, 1);
    if (hooks->mark)
        hs_layer_clock_start(t, false);
    HS_TRY(hs_net_forward(w->net, w->stream, &s->pass, x));
    HS_TRY(hs_net_loss(w->net, w->stream, &s->pass, labels, NULL));
    double middle = hs_now();
    hs_watchdog_phase(&t->dog, "backward", t->state.step, 1);
    HS_TRY(hs_buckets_begin(t->buckets));
    if (hooks->mark)
        hs_layer_clock_start(t, true);
    HS_TRY(hs_net_backward(w->net, w->stream, &s->pass));
    if (t->intake.feed)
        hs_intake_ahead(t, t->state.step + 1);
    double end = hs_now();
    hs_watchdog_phase(&t->dog, "communication", t->state.step, 1);
    HS_TRY(hs_buckets_finish(t->buckets));
    if (own)
        HS_TRY(hs_mirror_push(w, &t->gradients));
    HS_TRY(w->comm->ops->settle ? w->comm->ops->settle(w->comm) : HS_OK);
    HS_TRY(hs_net_sums(w->net, w->stream, sums));
    t->times.forward += middle - begin;
    t->times.backward += end - middle;
    t->times.communication += hs_now() - end;
    return HS_OK;
}

/* A rank whose device fails in the middle of a step cannot tell the others, who wait in a sum: it speaks and ends the job. */
static hs_status leave_alone(const hs_trainer *t, hs_status st)
{
    const hs_world *w = &t->world;
    if (st == HS_OK || st == HS_EREMOTE || w->comm->size == 1)
        return st;
    hs_log_say(w->log, HS_LOG_ERROR, "rank %d on %s, step %lld: %s", w->comm->rank, w->comm->host, (long long)t->state.step, hs_fail_text());
    w->comm->ops->abort(w->comm, hs_status_exit_code(st));
    return st;
}

/* Who asks in the middle of a step whose successor is on its way gets the state after that one: nobody may launch ahead of it then. */
static void note_wishes(hs_trainer *t, hs_step *s, bool stop, bool save)
{
    t->asked_stop = t->asked_stop || stop;
    t->asked_save = t->asked_save || save;
    s->stop = t->asked_stop && !s->ahead;
    s->save = t->asked_save && !s->ahead;
    if (s->save)
        t->asked_save = false;
}

/* What anybody saw becomes what everybody knows. The time limit is rank 0's clock. */
static hs_status decide(hs_trainer *t, hs_step *s, hs_status mine, const hs_loss_sums *sums)
{
    const hs_world *w = &t->world;
    double limit = w->config->max_hours * 3600;
    bool late = w->comm->rank == 0 && limit > 0 && hs_now() - t->started >= limit;
    double all[SUMS] = {[SUM_LOSS] = sums->loss,
                        [SUM_HITS] = sums->hits1,
                        [SUM_FAILED] = mine != HS_OK,
                        [SUM_STOP] = hs_signals_stop() || late,
                        [SUM_SAVE] = hs_signals_take_save()};
    double begin = hs_now();
    HS_TRY(hs_allreduce(w->comm, all, SUMS, HS_COMM_F64, HS_SUM));
    t->times.communication += hs_now() - begin;
    if (all[SUM_FAILED] > 0)
        return mine != HS_OK ? mine : HS_EREMOTE;
    s->loss = all[SUM_LOSS] / (double)s->place.global;
    s->accuracy = all[SUM_HITS] / (double)s->place.global;
    note_wishes(t, s, all[SUM_STOP] > 0, all[SUM_SAVE] > 0);
    return isfinite(s->loss) ? HS_OK : HS_ENONFINITE;
}

static hs_status update(hs_trainer *t, hs_step *s)
{
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "optimizer", t->state.step, 1);
    if (s->wants_update)
        HS_TRY(leave_alone(t, hs_history_before(t)));
    s->lr = hs_schedule_rate(&t->optim_config.schedule, &t->plateau, t->state.step);
    hs_status st = hs_optim_step(t->optim, t->world.stream, t->state.adam_t + 1, s->lr, s->wants_report ? &s->report : NULL);
    t->times.optimizer += hs_now() - begin;
    /* Sums are bit-equal on all ranks, so all of them see a non-finite gradient here or none does. */
    return st == HS_ENONFINITE ? st : leave_alone(t, st);
}

static void remember_loss(hs_state *state, double loss)
{
    enum { WINDOW = sizeof state->window / sizeof state->window[0] };
    state->window[state->window_count % WINDOW] = loss;
    state->window_count++;
}

static void advance(hs_trainer *t, const hs_step *s)
{
    hs_batch_place next;
    t->state.step++;
    t->state.adam_t++;
    hs_batch_at(t->state.step, t->world.train->count, t->world.config->batch, &next);
    t->state.epoch = next.epoch;
    t->state.position = next.position;
    t->times.samples += s->place.global;
    t->error_now = NAN;
    remember_loss(&t->state, s->loss);
}

/* The gradients of this step, which shall be explained, lie under those of one that was launched ahead. That one has changed no parameters (see
 * hs_update_now.go), so they can be made again. */
static hs_status not_finite(hs_trainer *t, hs_step *s)
{
    hs_loss_sums sums;
    const float *x = NULL;
    const int32_t *labels = NULL;
    if (t->replay.launched) {
        HS_TRY(leave_alone(t, fetch(t, s, &x, &labels)));
        HS_TRY(leave_alone(t, compute(t, s, s->pass.hooks, x, labels, &sums)));
    }
    return HS_ENONFINITE;
}

/* By the recording, or launch by launch; samples that could not be read (MINE) are told to all in the end. */
static hs_status forward_and_backward(hs_trainer *t, hs_step *s, hs_status *mine, hs_loss_sums *sums, bool *replayed)
{
    const float *x = NULL;
    const int32_t *labels = NULL;
    *mine = HS_OK;
    *replayed = t->replay.launched;
    if (*replayed)
        return hs_replay_end(t, s, sums);
    *mine = fetch(t, s, &x, &labels);
    if (*mine == HS_OK && hs_replay_due(t, s))
        HS_TRY(hs_replay_run(t, s, sums, replayed));
    return *replayed ? HS_OK : compute(t, s, s->pass.hooks, x, labels, sums);
}

hs_status hs_step_run(hs_trainer *t, hs_step *s)
{
    double begin = hs_now();
    hs_loss_sums sums = {0};
    const bool solo = alone(&t->world);
    hs_net_hooks hooks = {.context = t, .ready = solo ? NULL : on_ready, .sum = solo ? NULL : on_sum,
                          .mark = t->layer_clock.seconds && hs_layer_clock_due(t) ? hs_layer_clock_mark : NULL};
    hs_status mine;
    bool replayed = false;
    hs_step_place(t, t->state.step, s);
    s->pass.hooks = &hooks;
    HS_TRY(leave_alone(t, t->shards ? hs_shards_step(t, s, &mine, &sums) : forward_and_backward(t, s, &mine, &sums, &replayed)));
    const hs_status st = decide(t, s, mine, &sums);
    if (st == HS_ENONFINITE || (st == HS_OK && replayed && !s->finite))
        return not_finite(t, s);
    HS_TRY(st);
    if (!replayed)
        HS_TRY(update(t, s));
    advance(t, s);
    t->times.steps += hs_now() - begin;
    return HS_OK;
}
