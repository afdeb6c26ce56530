/* conclude.c - the end of a command: who failed and why, printed once; one exit code for all ranks.
 *
 * Normally all ranks meet here: a failure was agreed on below, or is the same everywhere. Rank 0 collects the records and prints each different
 * text once. But a rank may have failed where the others wait for it in a collective call of their own; they will never come. So a rank that failed
 * sets a guard first: if nothing has come of the meeting after a few seconds, it prints its own record and ends the job. */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { TEXT = 4096, PATIENCE = 3 /* s; all ranks shall have ended within 5 */ };

/* What a rank has to say. */
typedef struct record {
    int64_t status, rank;
    char host[64], text[TEXT];
} record;

/* ---- one message ----------------------------------------------------------------------------------------------------------------- */

/* OTHERS ranks say the same. ALIKE: all of them do, so no rank needs naming. */
static void print_failure(const record *r, bool alike, int others)
{
    char more[32] = "";
    if (others > 0 && !alike)
        snprintf(more, sizeof more, " and %d other%s", others, others > 1 ? "s" : "");
    if (alike)
        fprintf(stderr, "halfspec: error: %s\n", r->text);
    else
        fprintf(stderr, "halfspec: rank %lld on %s%s: error: %s\n", (long long)r->rank, r->host, more, r->text);
    fflush(stderr);
}

/* Our own mistakes say where they were found; what users do wrong does not need our line numbers. */
static void make_record(const hs_comm *comm, hs_status mine, record *r)
{
    const char *text = *hs_fail_text() ? hs_fail_text() : hs_status_name(mine);
    *r = (record){.status = mine, .rank = comm ? comm->rank : 0};
    snprintf(r->host, sizeof r->host, "%s", comm ? comm->host : "");
    if (mine == HS_EINTERNAL)
        snprintf(r->text, sizeof r->text, "%.3900s [%s]", text, hs_fail_place());
    else
        snprintf(r->text, sizeof r->text, "%s", text);
}

/* A status that has something to print. */
static bool is_failure(int64_t status)
{
    return status != HS_OK && status != HS_STOPPED && status != HS_EREMOTE;
}

/* ---- the guard --------------------------------------------------------------------------------------------------------------------- */

typedef struct guard {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool met, running;
    hs_comm *comm;
    const record *own;
} guard;

static void *wait_for_meeting(void *argument)
{
    guard *g = argument;
    const int patience = PATIENCE + (g->own->status == HS_EREMOTE); /* one who knows only of others lets them speak first */
    pthread_mutex_lock(&g->lock);
    while (!g->met && !hs_wait(&g->wake, &g->lock, patience))
        continue;
    if (!g->met) {
        if (is_failure(g->own->status))
            print_failure(g->own, false, 0);
        g->comm->ops->abort(g->comm, hs_status_exit_code((hs_status)g->own->status));
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

static void guard_set(guard *g, hs_comm *comm, const record *own)
{
    *g = (guard){.comm = comm, .own = own};
    if (own->status == HS_OK || own->status == HS_STOPPED || comm->size == 1)
        return;
    pthread_mutex_init(&g->lock, NULL);
    hs_wait_init(&g->wake);
    g->running = pthread_create(&g->thread, NULL, wait_for_meeting, g) == 0; /* without it we only may wait longer */
}

static void guard_drop(guard *g)
{
    if (!g->running)
        return;
    pthread_mutex_lock(&g->lock);
    g->met = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
}

/* ---- the meeting ------------------------------------------------------------------------------------------------------------------- */

/* Print what ALL [count] say, equal texts once. Returns the status that decides the exit code: the first failure's. */
static hs_status print_all(const record *all, int count)
{
    hs_status verdict = HS_OK;
    for (int i = 0; i < count; i++) {
        int same = 0, before = 0;
        if (all[i].status == HS_STOPPED && verdict == HS_OK)
            verdict = HS_STOPPED;
        if (!is_failure(all[i].status))
            continue;
        for (int j = 0; j < count; j++)
            if (is_failure(all[j].status) && strcmp(all[i].text, all[j].text) == 0) {
                same++;
                before += j < i;
            }
        if (before == 0)
            print_failure(&all[i], same == count, same - 1);
        if (verdict == HS_OK || verdict == HS_STOPPED)
            verdict = (hs_status)all[i].status;
    }
    return verdict;
}

/* The records of all ranks to rank 0, its verdict back to all. */
static hs_status meet(hs_comm *comm, const record *own, int64_t *verdict)
{
    record *all = NULL;
    hs_status st = comm->rank == 0 ? hs_calloc((size_t)comm->size, sizeof *all, "messages of all ranks", &all) : HS_OK;
    HS_TRY(hs_agree(comm, st));
    st = comm->ops->gather(comm, own, sizeof *own, all, 0);
    if (st == HS_OK && comm->rank == 0)
        *verdict = print_all(all, comm->size);
    hs_free(all);
    HS_TRY(st);
    return hs_broadcast(comm, verdict, sizeof *verdict, 0);
}

static int conclude_together(hs_comm *comm, hs_status mine, const record *own)
{
    guard g;
    int64_t worst = mine, verdict = mine;
    guard_set(&g, comm, own);
    hs_status st = hs_allreduce(comm, &worst, 1, HS_COMM_I64, HS_MAX);
    if (st == HS_OK && worst != HS_OK)
        st = meet(comm, own, &verdict);
    guard_drop(&g);
    if (st != HS_OK) { /* the meeting itself failed: each for himself */
        if (is_failure(own->status))
            print_failure(own, false, 0);
        comm->ops->abort(comm, hs_status_exit_code(mine != HS_OK ? mine : st));
    }
    if (verdict == HS_OK && mine != HS_OK)
        verdict = mine;
    return hs_status_exit_code((hs_status)verdict);
}

int cli_conclude(hs_comm *meeting, hs_status mine)
{
    record own;
    make_record(meeting, mine, &own);
    if (meeting && meeting->size > 1)
        return conclude_together(meeting, mine, &own);
    if (is_failure(mine))
        print_failure(&own, true, 0);
    return hs_status_exit_code(mine);
}
