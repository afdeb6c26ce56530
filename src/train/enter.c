/* enter.c - may this job work in RUN? Not with another configuration or other data than the run began with, nor while another job does. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "train.h"

/* ---- configuration ---------------------------------------------------------------------------------------------------------- */

enum { CONFIG_LIMIT = 1 << 20 };

static hs_status parse_recorded(const char *path, hs_config *old)
{
    char *text = NULL;
    size_t bytes = 0;
    HS_TRY(hs_file_read(path, CONFIG_LIMIT, &text, &bytes));
    hs_config_init(old);
    hs_status st = hs_config_parse(old, path, text);
    hs_free(text);
    return st;
}

static hs_status compare_config(const hs_config *now, const hs_config *old)
{
    char *difference = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_config_difference(old, now, &difference));
    if (difference[0])
        st = hs_fail(HS_EUSAGE, "%s was started with another configuration (recorded -> now):\n%s"
                     "Use another run = DIR, take the recorded values, or remove %s to start afresh", now->run, difference, now->run);
    hs_free(difference);
    return st;
}

/* RUN/config, where there is one, must ask for the same computation. */
static hs_status check_recorded(const hs_config *now)
{
    char path[HS_TEXT_MAX + 16];
    hs_config *old = NULL;
    hs_status st;
    snprintf(path, sizeof path, "%s/config", now->run);
    if (!hs_file_exists(path))
        return HS_OK;
    HS_TRY(hs_calloc(1, sizeof *old, "recorded configuration", &old));
    HS_TRY_GOTO(st, parse_recorded(path, old), done);
    st = compare_config(now, old);
done:
    hs_free(old);
    return st;
}

/* RUN/config may have been lost; the checkpoint has it too. */
static hs_status check_checkpoint(const hs_config *now, const char *path, const char *text)
{
    hs_config *old = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *old, "recorded configuration", &old));
    hs_config_init(old);
    HS_TRY_GOTO(st, hs_config_parse(old, path, text), done);
    st = compare_config(now, old);
done:
    hs_free(old);
    return st;
}

/* ---- data --------------------------------------------------------------------------------------------------------------------- */

hs_status hs_world_compare_data(hs_world *w)
{
    char digest[2][sizeof w->train->digest];
    if (w->comm->size == 1)
        return HS_OK;
    memcpy(digest[0], w->train->digest, sizeof digest[0]);
    memcpy(digest[1], w->held->digest, sizeof digest[1]);
    HS_TRY(hs_broadcast(w->comm, digest, sizeof digest, 0));
    const bool train = strcmp(digest[0], w->train->digest) != 0, held = strcmp(digest[1], w->held->digest) != 0;
    hs_status st = HS_OK;
    if (train || held)
        st = hs_fail(HS_EINPUT, "%s: the %s samples here (SHA-256 %.16s..) are not those of rank 0 (%.16s..); give all hosts the same files",
                     w->config->data, train ? "training" : "test", train ? w->train->digest : w->held->digest, digest[train ? 0 : 1]);
    return hs_agree(w->comm, st);
}

/* RECORDED is empty in files from before it was recorded. */
static bool other(const char *recorded, const hs_dataset *now)
{
    return recorded[0] && strcmp(recorded, now->digest) != 0;
}

static hs_status check_data(const hs_world *w, const char *path, const hs_checkpoint_head *head)
{
    const bool train = other(head->dataset_digest, w->train), held = other(head->held_digest, w->held);
    const char *part = train ? "training" : "test", *before = train ? head->dataset_digest : head->held_digest,
               *now = train ? w->train->digest : w->held->digest;
    if ((train || held) && w->config->verify)
        return hs_fail(HS_EINPUT, "%s: the run began with other %s data than %s holds now (SHA-256 %s, now %s). Bring the old files back, use another "
                       "run = DIR, or go on with what is there now by data.verify = no", path, part, w->config->data, before, now);
    if (train || held)
        hs_warn(w->log, "%s: the run began with other %s data (SHA-256 %s, now %s); going on, as data.verify = no says", path, part, before, now);
    return HS_OK;
}

hs_status hs_checkpoint_fits(const hs_world *w, const char *path)
{
    hs_checkpoint_head head = {0};
    HS_TRY(hs_checkpoint_peek(path, &head));
    hs_status st = check_checkpoint(w->config, path, head.config_text);
    if (st == HS_OK)
        st = check_data(w, path, &head);
    hs_checkpoint_head_free(&head);
    return st;
}

/* ---- one job at a time --------------------------------------------------------------------------------------------------------- */

static hs_status try_once(hs_trainer *t, hs_claim_look *look)
{
    const char *job = getenv("SLURM_JOB_ID");
    char path[HS_TEXT_MAX + 16];
    snprintf(path, sizeof path, "%s/lock", t->world.config->run);
    const bool first = look->since <= 0;
    hs_status st = hs_claim_try(path, job ? job : "", look, &t->claim);
    if (st == HS_OK && look->wait && first)
        hs_info(t->world.log, "%s is in use by %s: waiting whether it ends or has died", t->world.config->run, look->owner);
    if (st == HS_OK && t->claim && look->elsewhere)
        hs_warn(t->world.log, "%s taken over from %s, which has given no sign of life for long", t->world.config->run, look->owner);
    return st;
}

hs_status hs_enter(hs_trainer *t)
{
    hs_world *w = &t->world;
    const struct timespec pause = {.tv_nsec = 250000000};
    hs_claim_look look = {0};
    hs_watchdog_phase(&t->dog, "waiting for another job to leave RUN", 0, 4);
    HS_TRY(hs_agree(w->comm, w->comm->rank == 0 ? check_recorded(w->config) : HS_OK));
    t->made_run = w->comm->rank == 0 && !hs_file_exists(w->config->run);
    HS_TRY(hs_agree(w->comm, w->comm->rank == 0 ? hs_dir_make(w->config->run) : HS_OK));
    for (int64_t wait = 1; wait;) {
        HS_TRY(hs_agree(w->comm, w->comm->rank == 0 ? try_once(t, &look) : HS_OK));
        wait = look.wait ? 1 + hs_signals_stop() : 0;
        HS_TRY(hs_broadcast(w->comm, &wait, sizeof wait, 0));
        if (wait > 1)
            return hs_fail(HS_STOPPED, "stopped while another job was in %s", w->config->run);
        if (wait)
            nanosleep(&pause, NULL);
        hs_watchdog_beat(&t->dog);
    }
    return HS_OK;
}

void hs_leave(hs_trainer *t)
{
    hs_claim_drop(&t->claim);
    if (t->made_run)
        (void)rmdir(t->world.config->run); /* goes only if it is empty: nothing came of this start */
}
