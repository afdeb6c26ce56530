/* save.c - a checkpoint: all ranks must agree on the parameters before rank 0 writes them. */
#include <math.h>
#include <string.h>

#include "train.h"

static hs_status to_spectrum(void *context, const hs_param *param, const double *coords, double *spectrum)
{
    return hs_net_filter_to_spectrum(context, param, coords, spectrum);
}

void hs_checkpoint_describe(const hs_world *w, hs_checkpoint *ckpt)
{
    *ckpt = (hs_checkpoint){.real = w->device->backend->real,
                            .notation = hs_net_notation(w->net),
                            .optimizer = hs_optim_kind_name((hs_optim_kind)w->config->optimizer),
                            .in = hs_net_input(w->net),
                            .classes = hs_net_classes(w->net),
                            .spectrum = to_spectrum,
                            .context = w->net};
    ckpt->param = hs_net_params(w->net, &ckpt->params);
    ckpt->statistic = hs_net_statistics(w->net, &ckpt->statistics);
}

static hs_status pull_all(hs_trainer *t)
{
    HS_TRY(hs_mirror_pull(&t->world, &t->parameters));
    HS_TRY(hs_mirror_pull(&t->world, &t->statistics));
    for (int i = 0; i < t->moments; i++)
        HS_TRY(hs_mirror_pull(&t->world, &t->moment[i]));
    return HS_OK;
}

static void collect_state(hs_trainer *t)
{
    t->state.elapsed = hs_trainer_elapsed(t);
    t->state.plateau_best = t->plateau.best;
    t->state.plateau_bad = t->plateau.bad;
    t->state.plateau_scale = t->plateau.scale;
}

/* A job that did not move for long may have been taken for dead. */
static hs_status still_ours(hs_trainer *t)
{
    hs_status st = hs_claim_check(t->claim);
    if (st != HS_OK)
        hs_run_drop(&t->history.run);
    return st;
}

static hs_status write_files(hs_trainer *t)
{
    hs_checkpoint ckpt;
    hs_checkpoint_describe(&t->world, &ckpt);
    HS_TRY(still_ours(t));
    HS_TRY(pull_all(t));
    ckpt.parameters = (hs_slab){"", t->parameters.host, t->parameters.count};
    ckpt.statistics_slab = (hs_slab){"", t->statistics.host, t->statistics.count};
    ckpt.moments = t->moments;
    for (int i = 0; i < t->moments; i++)
        ckpt.moment[i] = (hs_slab){hs_optim_slot_name(t->optim, i), t->moment[i].host, t->moment[i].count};
    ckpt.state = t->state;
    bool best = isfinite(t->error_now) && t->error_now <= t->state.best_error;
    HS_TRY(hs_run_flush(t->history.run)); /* first, so that a checkpoint never knows more steps than the run file */
    return hs_checkpoint_write(t->world.config->run, &ckpt, &t->origin.public, (int)t->world.config->ckpt_keep, best, t->error_now);
}

hs_status hs_save(hs_trainer *t)
{
    hs_comm *comm = t->world.comm;
    double begin = hs_now();
    hs_watchdog_phase(&t->dog, "checkpoint", t->state.step, 4);
    HS_TRY(hs_ranks_compare(t));
    collect_state(t);
    HS_TRY(hs_agree(comm, comm->rank == 0 ? write_files(t) : HS_OK));
    t->times.output += hs_now() - begin;
    return HS_OK;
}
