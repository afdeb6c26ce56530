/* clock.c - monotonic seconds for measuring and waiting, and a date for provenance. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hs_base.h"

double hs_now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock and a valid address */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void hs_date_iso(char out[32])
{
    time_t now = time(NULL);
    struct tm local;
    if (!localtime_r(&now, &local)) {
        snprintf(out, 32, "1970-01-01T00:00:00Z");
        return;
    }
    char day[24], zone[8];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &local);
    strftime(zone, sizeof zone, "%z", &local); /* "+0130"; ISO 8601's extended form wants a colon in it */
    if (strlen(zone) == 5)
        snprintf(out, 32, "%s%.3s:%.2s", day, zone, zone + 3);
    else
        snprintf(out, 32, "%s", day);
}

void hs_wait_init(pthread_cond_t *wake)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* none of the three can fail with these arguments on Linux */
    pthread_cond_init(wake, &attr);
    pthread_condattr_destroy(&attr);
}

bool hs_wait(pthread_cond_t *wake, pthread_mutex_t *lock, double seconds)
{
    const double end = hs_now() + seconds;
    const struct timespec until = {.tv_sec = (time_t)end, .tv_nsec = (long)(1e9 * (end - (double)(time_t)end))};
    return pthread_cond_timedwait(wake, lock, &until) == ETIMEDOUT;
}
