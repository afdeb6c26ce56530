/* hs_status.h - what a call returns, and the one record of why it failed.
 *
 * Every function of the library that can fail returns an hs_status. The function that FINDS an error records it once with
 * hs_fail (what happened, where, what to try); everyone above only passes the status on (HS_TRY). The record belongs to
 * the calling thread; the program (src/cli) prints it, nobody else does. Nothing here knows about MPI. */
#ifndef HS_STATUS_H
#define HS_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hs_status {
    HS_OK = 0,
    HS_EINTERNAL,    /* our own mistake, or memory that the machine does not have */
    HS_EUSAGE,       /* command line, configuration, network notation */
    HS_EUNSUPPORTED, /* a legal request that this build or backend cannot serve */
    HS_EINPUT,       /* a file from outside is missing, damaged or of the wrong kind */
    HS_EIO,          /* reading or writing failed: disk full, permission, ... */
    HS_STOPPED,      /* stopped early in good order, a checkpoint is on disk: submit again */
    HS_EHANG,        /* no progress for longer than the watchdog allows */
    HS_EDESYNC,      /* ranks that must agree do not */
    HS_ENONFINITE,   /* loss or gradient is not finite */
    HS_EREMOTE,      /* another rank failed and has recorded why */
    HS_STATUS_COUNT
} hs_status;

/* Process exit code of a status: 0, 1, 2, 65, 74, 75, 76, 77, 78 as listed in README.md ("Exit codes"). */
int hs_status_exit_code(hs_status status);

/* Short name for messages and logs, never NULL ("ok", "usage", ...). */
const char *hs_status_name(hs_status status);

/* Record a failure and return STATUS. FORMAT as printf; one sentence of what is wrong, then what to try. An earlier record
 * of this thread is replaced. Use it through the macros below, which fill in the place in our source. */
hs_status hs_fail_at(const char *file, int line, hs_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;
#define hs_fail(status, ...) hs_fail_at(__FILE__, __LINE__, (status), __VA_ARGS__)

/* The record of the calling thread: the text ("" if none), and file:line in our source where it was found. The strings
 * live until the thread's next hs_fail. */
const char *hs_fail_text(void);
const char *hs_fail_place(void);
void hs_fail_clear(void);

/* Pass a failure on. The GOTO form leaves the status in ST and jumps to a label named for what it undoes. */
#define HS_TRY(call)                           \
    do {                                       \
        hs_status hs_try_st_ = (call);         \
        if (hs_try_st_ != HS_OK)               \
            return hs_try_st_;                 \
    } while (0)
#define HS_TRY_GOTO(st, call, label)           \
    do {                                       \
        (st) = (call);                         \
        if ((st) != HS_OK)                     \
            goto label;                        \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
