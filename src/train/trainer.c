/* trainer.c - a trainer: a world plus optimizer, gradient buckets and host views of the slabs. */
#include <math.h>
#include <string.h>

#include "train.h"

static void count_steps(hs_trainer *t)
{
    const hs_config *c = t->world.config;
    t->epoch_steps = hs_steps_per_epoch(t->world.train->count, c->batch);
    t->total_steps = t->epoch_steps * c->epochs;
    if (c->max_steps > 0 && c->max_steps < t->total_steps)
        t->total_steps = c->max_steps;
}

hs_status hs_trainer_open(hs_trainer *t, const hs_config *config, hs_comm *comm, const hs_train_options *options)
{
    t->options = options;
    t->started = hs_now();
    t->resident_start = hs_resident_bytes();
    t->error_now = NAN;
    t->state.seed = (uint64_t)config->seed;
    t->state.best_error = INFINITY;
    t->state.best_step = -1;
    t->world.dog = &t->dog;
    hs_plateau_start(&t->plateau);
    HS_TRY(hs_agree(comm, hs_watchdog_start(&t->dog, config->watchdog, comm, options->log)));
    HS_TRY(hs_world_open(&t->world, config, comm, options->log));
    t->resident_data = hs_resident_bytes();
    count_steps(t);
    return hs_agree(comm, hs_config_optim(config, t->world.net, t->epoch_steps, t->total_steps, t->optim_layer, &t->optim_config));
}

/* Batch normalisation sums twice its channels: sum x and sum x^2, or their gradients' two sums. */
static hs_status make_sum_stage(hs_trainer *t)
{
    int count = 0;
    const hs_param *statistic = hs_net_statistics(t->world.net, &count);
    for (int i = 0; i < count; i++)
        if (2 * statistic[i].count > t->sum_stage_count)
            t->sum_stage_count = 2 * statistic[i].count;
    return t->sum_stage_count ? hs_calloc(t->sum_stage_count, sizeof(double), "sums of batch normalisation", &t->sum_stage) : HS_OK;
}

static hs_status make_mirrors(hs_trainer *t)
{
    hs_world *w = &t->world;
    HS_TRY(hs_mirror_make(w, hs_net_slab(w->net), hs_net_params_count(w->net), &t->parameters));
    HS_TRY(hs_mirror_make(w, hs_net_gradients(w->net), hs_net_params_count(w->net), &t->gradients));
    HS_TRY(hs_mirror_make(w, hs_net_statistics_slab(w->net), hs_net_statistics_count(w->net), &t->statistics));
    t->moments = hs_optim_slots(t->optim);
    if (t->moments > (int)(sizeof t->moment / sizeof t->moment[0]))
        return hs_fail(HS_EINTERNAL, "an optimizer with %d moment slabs", t->moments);
    for (int i = 0; i < t->moments; i++)
        HS_TRY(hs_mirror_make(w, hs_optim_slot(t->optim, i), hs_net_params_count(w->net), &t->moment[i]));
    return HS_OK;
}

static hs_status plan_alone(hs_trainer *t)
{
    hs_world *w = &t->world;
    HS_TRY(hs_optim_create(&t->optim_config, w->net, w->device, w->stream, &t->optim));
    HS_TRY(make_mirrors(t));
    HS_TRY(make_sum_stage(t));
    void *summed = hs_comm_sees_device(w->comm) ? t->gradients.device : t->gradients.host;
    HS_TRY(hs_buckets_create(w->comm, summed, t->gradients.count, w->device->backend->real, (size_t)w->config->bucket,
                             &t->buckets));
    return hs_net_init(w->net, w->stream);
}

hs_status hs_trainer_plan(hs_trainer *t)
{
    HS_TRY(hs_world_plan(&t->world, true));
    HS_TRY(hs_agree(t->world.comm, plan_alone(t)));
    HS_TRY(hs_agree(t->world.comm, hs_history_describe(t)));
    if (t->world.config->reproducible)
        HS_TRY(hs_agree(t->world.comm, hs_shards_make(t)));
    return HS_OK;
}

void hs_trainer_close(hs_trainer *t)
{
    hs_history_close(t);
    hs_layer_clock_free(t);
    hs_output_close(t);
    hs_leave(t);
    hs_origin_free(&t->origin);
    hs_shards_free(t);
    hs_replay_close(t);
    hs_intake_close(t);
    hs_buckets_destroy(&t->buckets);
    for (int i = 0; i < t->moments; i++)
        hs_mirror_free(&t->moment[i]);
    hs_mirror_free(&t->statistics);
    hs_mirror_free(&t->gradients);
    hs_mirror_free(&t->parameters);
    hs_free(t->sum_stage);
    hs_optim_destroy(&t->optim);
    hs_world_close(&t->world);
    hs_watchdog_stop(&t->dog);
}

double hs_trainer_elapsed(const hs_trainer *t)
{
    return t->elapsed_before + hs_now() - t->started;
}
