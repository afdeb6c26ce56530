/* watchdog.c - a thread that ends the whole job with code 76 when this rank has not moved for longer than allowed. A rank that waits for a
 * stopped or dead peer does not move either, so the others speak for a rank that cannot. */
#include <signal.h>
#include <string.h>

#include "train.h"

static const double LOOK = 0.2; /* s */

static int64_t now_ms(void)
{
    return (int64_t)(hs_now() * 1000);
}

static void give_up(hs_watchdog *dog, double still)
{
    hs_log_say(dog->log, HS_LOG_ERROR,
               "rank %d of %d on %s: nothing moved for %.0f s in step %lld, phase '%s'; ending the job. A stopped or dead rank, a stuck file "
               "system or a limit that is too short (watchdog = %g) do this",
               dog->comm->rank, dog->comm->size, dog->comm->host, still, (long long)atomic_load(&dog->step), atomic_load(&dog->phase),
               dog->limit);
    dog->comm->ops->abort(dog->comm, hs_status_exit_code(HS_EHANG));
}

static void *watch(void *argument)
{
    hs_watchdog *dog = argument;
    pthread_mutex_lock(&dog->lock);
    while (!dog->leave) {
        (void)hs_wait(&dog->wake, &dog->lock, LOOK);
        double still = (double)(now_ms() - atomic_load(&dog->stamp_ms)) / 1000;
        if (!dog->leave && still > dog->limit * atomic_load(&dog->factor))
            give_up(dog, still);
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

hs_status hs_watchdog_start(hs_watchdog *dog, double limit, hs_comm *comm, const hs_log *log)
{
    dog->limit = limit;
    dog->comm = comm;
    dog->log = log;
    if (limit <= 0)
        return HS_OK;
    hs_watchdog_phase(dog, "start", 0, 1);
    pthread_mutex_init(&dog->lock, NULL);
    hs_wait_init(&dog->wake);
    /* Signals are for the thread that trains: it must leave its waits for them. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&dog->thread, NULL, watch, dog);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0)
        return hs_fail(HS_EINTERNAL, "cannot start the watchdog's thread: %s", strerror(error));
    dog->running = true;
    return HS_OK;
}

void hs_watchdog_stop(hs_watchdog *dog)
{
    if (!dog->running)
        return;
    pthread_mutex_lock(&dog->lock);
    dog->leave = true;
    pthread_cond_signal(&dog->wake);
    pthread_mutex_unlock(&dog->lock);
    pthread_join(dog->thread, NULL);
    pthread_cond_destroy(&dog->wake);
    pthread_mutex_destroy(&dog->lock);
    dog->running = false;
}

void hs_watchdog_beat(hs_watchdog *dog)
{
    if (dog && dog->limit > 0)
        atomic_store(&dog->stamp_ms, now_ms());
}

void hs_watchdog_phase(hs_watchdog *dog, const char *phase, int64_t step, double factor)
{
    if (!dog || dog->limit <= 0)
        return;
    atomic_store(&dog->phase, phase);
    atomic_store(&dog->step, step);
    atomic_store(&dog->factor, factor);
    hs_watchdog_beat(dog);
}
