/* replay.c - a whole step as one recording: forward, loss, backward, sums over GPUs and update, launched by one call instead of a hundred.
 *
 * What changes from step to step reaches the device before: the samples (intake.c), keys and cut-offs (hs_net_prepare), rate and bias corrections
 * (hs_optim_prepare). The rest is equal for equal sizes of the global batch, so there is a recording for full batches and one for the short batch
 * at the end of an epoch. A size is launched plainly the first time, when libraries set themselves up. Steps that report, keep a history or are
 * timed layer by layer are launched plainly too: the same work in the same order, so equal bits.
 *
 * The update comes before the ranks agree on the step. A gradient that is not finite is seen on the device and changes nothing; any other failure
 * ends the run, and no checkpoint is written behind it. */
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
    t->replay.on = wants(t, &why);
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
    for (int i = 0; i < HS_REPLAYS; i++)
        if (r->size[i].recording)
            t->world.device->backend->device->record_destroy(&r->size[i].recording);
    if (r->results)
        t->world.device->backend->memory->free(t->world.device, r->results);
    r->results = NULL;
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

/* What cannot be recorded is launched plainly from now on. */
static hs_status ready(hs_trainer *t, const hs_step *s, hs_replay_size *size, bool *done)
{
    *done = true;
    if (size->recording || record(t, s, size) == HS_OK)
        return HS_OK;
    hs_warn(t->world.log, "rank %d: steps are launched one by one, not as a CUDA graph: %s", t->world.comm->rank, hs_fail_text());
    t->replay.on = *done = false;
    return t->world.device->backend->device->stream_sync(t->world.stream);
}

hs_status hs_replay_run(hs_trainer *t, hs_step *s, hs_loss_sums *sums, bool *done)
{
    hs_world *w = &t->world;
    hs_replay_size *size = entry_of(&t->replay, s->place.global);
    double results[RESULTS], begin = hs_now();
    hs_watchdog_phase(&t->dog, "recorded step", t->state.step, 1);
    s->lr = hs_schedule_rate(&t->optim_config.schedule, &t->plateau, t->state.step);
    HS_TRY(hs_net_prepare(w->net, w->stream, &s->pass));
    s->pass.prepared = true;
    HS_TRY(hs_optim_prepare(t->optim, w->stream, t->state.adam_t + 1, s->lr));
    HS_TRY(ready(t, s, size, done));
    s->pass.prepared = false;
    if (!*done)
        return HS_OK;
    HS_TRY(w->device->backend->device->record_repeat(w->stream, size->recording));
    hs_intake_ahead(t, t->state.step + 1);
    HS_TRY(w->comm->ops->settle ? w->comm->ops->settle(w->comm) : HS_OK);
    HS_TRY(w->device->backend->memory->download(w->stream, results, t->replay.results, sizeof results));
    *sums = (hs_loss_sums){results[LOSS], results[HITS1], results[HITS5]};
    s->finite = isfinite(results[SQUARES]);
    t->times.recorded += hs_now() - begin;
    return HS_OK;
}
