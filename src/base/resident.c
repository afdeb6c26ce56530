/* resident.c - what of this process lies in memory, and how much more could, as the kernel counts it. Systems that do not tell give 0. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "hs_base.h"

/* The line "FIELD:   12345 kB" of the file PATH, in bytes. */
static double line_of(const char *path, const char *field)
{
    char line[256];
    double kib = 0;
    size_t length = strlen(field);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, length) == 0 && line[length] == ':' && sscanf(line + length + 1, "%lf", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return 1024 * kib;
}

double hs_resident_bytes(void)
{
    return line_of("/proc/self/status", "VmRSS");
}

double hs_resident_peak(void)
{
    return line_of("/proc/self/status", "VmHWM");
}

/* A limit on the control group that we see as the root, which is a container's own; "max" and absurdly large ones are none. */
static double limit_of(const char *path)
{
    double bytes = 0;
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%lf", &bytes) != 1)
        bytes = 0;
    if (f)
        fclose(f);
    return bytes;
}

double hs_available_bytes(void)
{
    static const char *const path[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    double left = line_of("/proc/meminfo", "MemAvailable") + line_of("/proc/meminfo", "SwapFree");
    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        const double limit = limit_of(path[i]), ours = limit - hs_resident_bytes();
        if (limit > 0 && ours < left)
            left = ours > 1 ? ours : 1;
    }
    return left;
}
