/* clock.c - monotonic seconds for measuring, and a date for provenance. */
#include "config.h"

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
