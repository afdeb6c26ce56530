/* resident.c - what of this process lies in memory, as the kernel counts it. Systems that do not tell give 0. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "hs_base.h"

/* The line "FIELD   12345 kB" of /proc/self/status, in bytes. */
static double status_line(const char *field)
{
    char line[256];
    double kib = 0;
    size_t length = strlen(field);
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, length) == 0 && line[length] == ':' && sscanf(line + length + 1, "%lf", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return 1024 * kib;
}

double hs_resident_bytes(void)
{
    return status_line("VmRSS");
}

double hs_resident_peak(void)
{
    return status_line("VmHWM");
}
