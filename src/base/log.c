/* log.c - one line to the right stream at the right level. */
#include "hs_log.h"

#include <stdarg.h>

void hs_log_say(const hs_log *log, hs_log_level level, const char *format, ...)
{
    if (!log || level > log->level)
        return;
    FILE *to = level <= HS_LOG_WARN ? log->err : log->out;
    if (!to)
        return;
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (level <= HS_LOG_WARN)
        fprintf(to, "halfspec: %s%s%s: %s\n", log->who, log->who[0] ? ": " : "", level == HS_LOG_ERROR ? "error" : "warning", text);
    else
        fprintf(to, "%s\n", text);
    fflush(to);
}
