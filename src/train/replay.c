/* replay.c - a whole step as one recording: forward, loss, backward, sums over GPUs and update, launched by one call instead of a hundred.
 *
 * What changes from step to step reaches the device before: the samples (intake.c), keys and cut-offs (hs_net_prepare), rate and bias corrections
 * (hs_optim_prepare). The rest is equal for equal sizes of the global batch, so there is a recording for full batches and one for the short batch
 * at the end of an epoch. A size is launched plainly the first time, when libraries set themselves up. Steps that report, keep a history or are
 * timed layer by layer are launched plainly too: the same work in the same order, so equal bits.
 *
 * The update comes before the ranks agree on the step. A gradient that is not finite is seen on the device and changes nothing; any other failure
 * ends the run, and no checkpoint is written behind it.
 *
 * The device never waits for the host: where nothing happens between a step and the next (train.c says), the next is launched before the host waits
 * for the loss of the first. The host is one step ahead and no further, so that two slots of results are enough, and what it writes for a step
 * (rate, keys, samples) goes through pinned memory that is not written again before the device has read it (cuda/memory.c). */
#include <math.h>
#include <string.h>

#include "train.h"

enum { LOSS, HITS1, HITS5, SQUARES, RESULTS };

static bool wants(const hs_trainer *t, const char **why)
{
    const hs_world *w = &t->world;
    const char *comm = w->comm->ops->name;
    *why = NULL;
    if (!w->config->graph || !w->device->backend->device->record_begin)
        return false;
    if (t->shards)
        *why = "reproducible = yes sums on the host";
    else if (!t->intake.feed)
        *why = "samples come from the host";
    else if (strcmp(comm, "self") != 0 && strcmp(comm, "nccl") != 0)
        *why = "gradients are summed through host memory";
    else if (!hs_optim_flows(t->optim))
        *why = "a penalty's proximal step goes through another basis";
    return !*why;
}

hs_status hs_replay_make(hs_trainer *t)
{
    const hs_world *w = &t->world;
    const char *why;
    t->replay.planned = t->replay.on = wants(t, &why);
    if (why && w->comm->rank == 0)
        hs_info(w->log, "steps are not repeated as a CUDA graph: %s", why);
    if (!t->replay.on)
        return HS_OK;
    void *memory;
    HS_TRY(w->device->backend->memory->alloc(w->device, RESULTS * sizeof(double), &memory));
    t->replay.results = memory;
    return HS_OK;
}

void hs_replay_close(hs_trainer *t)
{
    hs_replay *r = &t->replay;
    if (r->results)
        t->world.device->backend->memory->free(t->world.device, r->results); /* waits for a step that is under way after a failure */
    r->results = NULL;
    for (int i = 0; i < HS_REPLAYS; i++)
        if (r->size[i].recording)
            t->world.device->backend->device->record_destroy(&r->size[i].recording);
}

/* The entry of this size of the global batch; NULL: more sizes than there are. */
static hs_replay_size *entry_of(hs_replay *r, int64_t global)
{
    for (int i = 0; i < HS_REPLAYS; i++) {
        if (r->size[i].global == 0)
            r->size[i].global = global;
        if (r->size[i].global == global)
            return &r->size[i];
    }
    return NULL;
}

bool hs_replay_due(hs_trainer *t, const hs_step *s)
{
    hs_replay_size *size = t->replay.on ? entry_of(&t->replay, s->place.global) : NULL;
    return size && size->seen++ > 0 && !s->wants_report && !s->wants_update && !hs_layer_clock_due(t);
}

/* All that is recorded. */
static hs_status queue(hs_trainer *t, const hs_step *s)
{
    hs_world *w = &t->world;
    const hs_memory_ops *memory = w->device->backend->memory;
    HS_TRY(hs_net_forward(w->net, w->stream, &s->pass, NULL));
    HS_TRY(hs_net_loss(w->net, w->stream, &s->pass, NULL, NULL));
    HS_TRY(hs_buckets_begin(t->buckets));
    HS_TRY(hs_net_backward(w->net, w->stream, &s->pass));
    HS_TRY(hs_buckets_finish(t->buckets));
    HS_TRY(hs_optim_queue(t->optim, w->stream, false));
    HS_TRY(memory->copy(w->stream, t->replay.results, hs_net_totals(w->net), 3 * sizeof(double)));
    return memory->copy(w->stream, t->replay.results + SQUARES, hs_optim_squares(t->optim), sizeof(double));
}

static hs_status record(hs_trainer *t, const hs_step *s, hs_replay_size *size)
{
    const hs_device_ops *device = t->world.device->backend->device;
    HS_TRY(device->record_begin(t->world.stream));
    const hs_status queued = queue(t, s), ended = device->record_end(t->world.stream, &size->recording);
    return queued != HS_OK ? queued : ended;
}

/* COLLECTIVE. What cannot be recorded is launched plainly from now on; on all ranks, since NCCL wants a sum to be recorded on all or none. */
static hs_status ready(hs_trainer *t, const hs_step *s, hs_replay_size *size, bool *done)
{
    *done = true;
    if (size->recording || hs_agree(t->world.comm, record(t, s, size)) == HS_OK)
        return HS_OK;
    if (size->recording)
        t->world.device->backend->device->record_destroy(&size->recording);
    hs_warn(t->world.log, "rank %d: steps are launched one by one, not as a CUDA graph: %s", t->world.comm->rank, hs_fail_text());
    t->replay.on = *done = false;
    return t->world.device->backend->device->stream_sync(t->world.stream);
}

/* What changes per step goes up; S is the coming step or the one behind it. */
static hs_status prepare(hs_trainer *t, hs_step *s)
{
    hs_world *w = &t->world;
    const int64_t number = s->pass.step;
    HS_TRY(hs_net_prepare(w->net, w->stream, &s->pass));
    return hs_optim_prepare(t->optim, w->stream, t->state.adam_t + 1 + number - t->state.step,
                            hs_schedule_rate(&t->optim_config.schedule, &t->plateau, number));
}

static hs_status launch(hs_trainer *t, const hs_step *s, const hs_replay_size *size)
{
    const hs_device_ops *device = t->world.device->backend->device;
    HS_TRY(device->record_repeat(t->world.stream, size->recording));
    return device->post(t->world.stream, (int)(s->pass.step % HS_POST_SLOTS), t->replay.results, RESULTS * sizeof(double));
}

/* The step behind this one, if its size has been recorded. Samples that cannot be had now are asked for, and missed, in its own turn. */
static hs_status launch_ahead(hs_trainer *t)
{
    hs_step next = {.n = 0};
    const float *x;
    const int32_t *labels;
    hs_step_place(t, t->state.step + 1, &next);
    const hs_replay_size *size = entry_of(&t->replay, next.place.global);
    if (!size || !size->recording)
        return HS_OK;
    if (next.n > 0 && hs_intake_get(t, next.place.epoch, next.place.position + next.first, next.n, &x, &labels) != HS_OK)
        return HS_OK;
    HS_TRY(prepare(t, &next));
    HS_TRY(launch(t, &next, size));
    t->replay.launched = true;
    return HS_OK;
}

/* Until the coming step is done. Where others take part in it, something may fail that the stream does not tell. */
static hs_status await(hs_trainer *t, double results[RESULTS])
{
    hs_world *w = &t->world;
    const hs_device_ops *device = w->device->backend->device;
    const int slot = (int)(t->state.step % HS_POST_SLOTS);
    const double began = hs_now();
    if (!w->comm->ops->look)
        return device->collect(w->stream, slot, results, RESULTS * sizeof(double), NULL);
    for (bool there = false; !there;) {
        HS_TRY(device->collect(w->stream, slot, results, RESULTS * sizeof(double), &there));
        HS_TRY(w->comm->ops->look(w->comm, began));
    }
    return HS_OK;
}

hs_status hs_replay_end(hs_trainer *t, hs_step *s, hs_loss_sums *sums)
{
    double results[RESULTS], begin = hs_now();
    hs_watchdog_phase(&t->dog, "recorded step", t->state.step, 1);
    t->replay.launched = false;
    s->lr = hs_schedule_rate(&t->optim_config.schedule, &t->plateau, t->state.step);
    if (s->ahead && t->replay.on)
        HS_TRY(launch_ahead(t));
    hs_intake_ahead(t, t->state.step + 1 + t->replay.launched);
    HS_TRY(await(t, results));
    *sums = (hs_loss_sums){results[LOSS], results[HITS1], results[HITS5]};
    s->finite = isfinite(results[SQUARES]);
    t->times.recorded += hs_now() - begin;
    return HS_OK;
}

hs_status hs_replay_run(hs_trainer *t, hs_step *s, hs_loss_sums *sums, bool *done)
{
    hs_replay_size *size = entry_of(&t->replay, s->place.global);
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "recorded step", t->state.step, 1);
    HS_TRY(prepare(t, s));
    s->pass.prepared = true;
    HS_TRY(ready(t, s, size, done));
    s->pass.prepared = false;
    if (!*done)
        return HS_OK;
    HS_TRY(launch(t, s, size));
    t->times.recorded += hs_now() - begin;
    return hs_replay_end(t, s, sums);
}
