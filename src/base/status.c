/* status.c - statuses, their exit codes, and the per-thread record of the last failure. */
#include "hs_status.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 4096, PLACE_MAX = 128 };
static _Thread_local char fail_text[TEXT_MAX];
static _Thread_local char fail_place[PLACE_MAX];

static const struct {
    const char *name;
    int exit_code;
} table[HS_STATUS_COUNT] = {
    [HS_OK] = {"ok", 0},
    [HS_EINTERNAL] = {"internal", 1},
    [HS_EUSAGE] = {"usage", 2},
    [HS_EUNSUPPORTED] = {"unsupported", 2},
    [HS_EINPUT] = {"bad input", 65},
    [HS_EIO] = {"input/output", 74},
    [HS_STOPPED] = {"stopped early", 75},
    [HS_EHANG] = {"hang", 76},
    [HS_EDESYNC] = {"ranks disagree", 77},
    [HS_ENONFINITE] = {"not finite", 78},
    [HS_EREMOTE] = {"another rank failed", 1},
};

int hs_status_exit_code(hs_status status)
{
    return status >= 0 && status < HS_STATUS_COUNT ? table[status].exit_code : 1;
}

const char *hs_status_name(hs_status status)
{
    return status >= 0 && status < HS_STATUS_COUNT ? table[status].name : "unknown";
}

hs_status hs_fail_at(const char *file, int line, hs_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fail_text, sizeof fail_text, format, args);
    va_end(args);
    snprintf(fail_place, sizeof fail_place, "%s:%d", file, line);
    return status;
}

const char *hs_fail_text(void)
{
    return fail_text;
}

const char *hs_fail_place(void)
{
    return fail_place;
}

void hs_fail_clear(void)
{
    fail_text[0] = fail_place[0] = '\0';
}
