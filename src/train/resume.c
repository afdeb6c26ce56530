/* resume.c - what RUN already holds: a checkpoint is loaded, newer rows are cut. Rank 0 touches files, the others are told. */
#include <string.h>

#include "train.h"

static hs_status find(hs_trainer *t, char *path, size_t capacity)
{
    char *warnings = NULL;
    path[0] = '\0';
    hs_status st = hs_checkpoint_find(t->world.config->run, path, capacity, &warnings);
    const bool lost = st == HS_OK && warnings && !path[0];
    if (warnings && warnings[0])
        hs_warn(t->world.log, "%s", warnings);
    hs_free(warnings);
    if (lost) /* beginning anew would empty log and history too */
        return hs_fail(HS_EINPUT, "%s/ckpt: none of its checkpoints is sound. Bring one back from a copy, or move %s away to start afresh",
                       t->world.config->run, t->world.config->run);
    return st;
}

static hs_status load(hs_trainer *t, const char *path)
{
    hs_checkpoint ckpt;
    hs_checkpoint_describe(&t->world, &ckpt);
    ckpt.parameters = (hs_slab){"", t->parameters.host, t->parameters.count};
    ckpt.statistics_slab = (hs_slab){"", t->statistics.host, t->statistics.count};
    ckpt.moments = t->moments;
    for (int i = 0; i < t->moments; i++)
        ckpt.moment[i] = (hs_slab){hs_optim_slot_name(t->optim, i), t->moment[i].host, t->moment[i].count};
    HS_TRY(hs_checkpoint_fits(&t->world, path));
    HS_TRY(hs_checkpoint_read(path, &ckpt));
    t->state = ckpt.state;
    return HS_OK;
}

static void take_state(hs_trainer *t)
{
    t->elapsed_before = t->state.elapsed;
    t->plateau = (hs_plateau){.best = t->state.plateau_best, .bad = t->state.plateau_bad, .scale = t->state.plateau_scale};
    t->start_step = t->state.step;
    t->resumed = true;
}

static hs_status share_all(hs_trainer *t)
{
    hs_world *w = &t->world;
    HS_TRY(hs_broadcast(w->comm, &t->state, sizeof t->state, 0));
    HS_TRY(hs_mirror_share(w, &t->parameters));
    HS_TRY(hs_mirror_share(w, &t->statistics));
    for (int i = 0; i < t->moments; i++)
        HS_TRY(hs_mirror_share(w, &t->moment[i]));
    return HS_OK;
}

/* RUN with its configuration, and a log that ends where training goes on. */
static hs_status prepare_files(hs_trainer *t)
{
    const hs_config *c = t->world.config;
    char path[HS_TEXT_MAX + 16], *text = NULL;
    snprintf(path, sizeof path, "%s/config", c->run);
    HS_TRY(hs_config_print(c, true, &text));
    hs_status st = hs_file_replace(path, text, strlen(text));
    hs_free(text);
    HS_TRY(st);
    snprintf(path, sizeof path, "%s/log.jsonl", c->run);
    return hs_output_cut(path, t->resumed ? t->state.step : -1);
}

hs_status hs_resume(hs_trainer *t)
{
    hs_world *w = &t->world;
    hs_comm *comm = w->comm;
    char path[HS_TEXT_MAX + 64] = "";
    HS_TRY(hs_enter(t));
    hs_watchdog_phase(&t->dog, "resuming", 0, 4);
    HS_TRY(hs_agree(comm, comm->rank == 0 ? find(t, path, sizeof path) : HS_OK));
    int64_t found = path[0] != '\0';
    HS_TRY(hs_broadcast(comm, &found, sizeof found, 0));
    if (found) {
        HS_TRY(hs_agree(comm, comm->rank == 0 ? load(t, path) : HS_OK));
        HS_TRY(share_all(t));
        take_state(t);
        if (comm->rank == 0)
            hs_info(w->log, "resuming %s at step %lld of %lld", path, (long long)t->state.step, (long long)t->total_steps);
    } else {
        HS_TRY(hs_warm_start(t));
    }
    return hs_agree(comm, comm->rank == 0 ? prepare_files(t) : HS_OK);
}
