/* hs_log.h - what the program says while it runs. A log is made by the program and handed down; libraries below keep no
 * other way to print. Ranks other than 0 normally hold a log whose level is HS_LOG_WARN. */
#ifndef HS_LOG_H
#define HS_LOG_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hs_log_level { HS_LOG_NONE, HS_LOG_ERROR, HS_LOG_WARN, HS_LOG_INFO, HS_LOG_DEBUG } hs_log_level;

typedef struct hs_log {
    FILE *out;          /* information, borrowed */
    FILE *err;          /* warnings and errors, borrowed */
    hs_log_level level; /* what is below this is not printed */
    char who[64];       /* "" or "rank 1 on host": prefix of warnings and errors */
} hs_log;

/* Warnings and errors go to ERR as "halfspec: [who: ]warning: ...", information to OUT as it is. A newline is added. LOG may
 * be NULL: then nothing is printed. */
void hs_log_say(const hs_log *log, hs_log_level level, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
#define hs_warn(log, ...) hs_log_say((log), HS_LOG_WARN, __VA_ARGS__)
#define hs_info(log, ...) hs_log_say((log), HS_LOG_INFO, __VA_ARGS__)
#define hs_debug(log, ...) hs_log_say((log), HS_LOG_DEBUG, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
