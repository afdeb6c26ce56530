/* signals.c - asks from outside: USR1 saves and goes on; USR2, TERM and INT stop at the next step border, and so do the end of the terminal (HUP) and of
 * whoever read what we print (PIPE), unless they were to be ignored (nohup); a second INT stops at once.
 * The flags are the one global state of the library: a signal belongs to the process, and its handler has no other way to speak. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "train.h"

static volatile sig_atomic_t saw_save, saw_stop, saw_interrupt;

enum { ASKS = 4, SIGNALS = 6 };
static const int numbers[SIGNALS] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP, SIGPIPE}; /* ASKS are sent by somebody, the others happen */

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        saw_save = 1;
        return;
    }
    if (number == SIGINT && saw_interrupt) { /* impatience: the default action, now */
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    if (number == SIGINT)
        saw_interrupt = 1;
    saw_stop = 1;
}

/* What was done with signals before, and which were held back. */
struct hs_handlers {
    struct sigaction action[SIGNALS];
    sigset_t mask;
};

/* The program holds some back until they can be heard; they come now. */
static void let_in(sigset_t *before)
{
    sigset_t all;
    sigemptyset(&all);
    for (int i = 0; i < SIGNALS; i++)
        sigaddset(&all, numbers[i]);
    (void)pthread_sigmask(SIG_UNBLOCK, &all, before);
}

hs_status hs_signals_catch(hs_signals *s)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    saw_save = saw_stop = saw_interrupt = 0;
    HS_TRY(hs_calloc(1, sizeof *s->old, "signal handlers", &s->old));
    for (int i = 0; i < SIGNALS; i++) {
        if (sigaction(numbers[i], NULL, &s->old->action[i]) == 0 && i >= ASKS && s->old->action[i].sa_handler == SIG_IGN)
            continue;
        if (sigaction(numbers[i], &action, NULL) != 0)
            return hs_fail(HS_EINTERNAL, "cannot catch signal %d: %s", numbers[i], strerror(errno));
    }
    let_in(&s->old->mask);
    return HS_OK;
}

void hs_signals_restore(hs_signals *s)
{
    if (!s->old)
        return;
    (void)pthread_sigmask(SIG_SETMASK, &s->old->mask, NULL); /* first: what the program holds back must not come by an old handler */
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(numbers[i], &s->old->action[i], NULL);
    hs_free(s->old);
    s->old = NULL;
}

bool hs_signals_take_save(void)
{
    bool asked = saw_save;
    saw_save = 0;
    return asked;
}

bool hs_signals_stop(void)
{
    return saw_stop;
}
