/* hs_base.h - small services that know nothing of networks, MPI or HDF5: memory plan, clock, files, digests. */
#ifndef HS_BASE_H
#define HS_BASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- host memory: counted, so that a test can ask for balance ------------------------------------------------------- */

/* COUNT zeroed elements of SIZE bytes at *OUT, overflow checked; aligned to 64 bytes. WHAT names them in the message. Free with
 * hs_free. *OUT is written only on success. */
hs_status hs_calloc(size_t count, size_t size, const char *what, void *out);
void hs_free(void *pointer); /* NULL is fine */
long hs_live_blocks(void);   /* blocks from hs_calloc not yet freed, over the whole process */

double hs_resident_bytes(void); /* of this process that lie in memory now; 0 where the system does not tell */
double hs_resident_peak(void);  /* the most that ever did */
double hs_available_bytes(void); /* that this process may still take: of the machine, and of a container's limit; 0 where the system does not tell */

/* ---- lifetime packing: where buffers lie in one arena ---------------------------------------------------------------- */

/* A buffer is in use from time FIRST to time LAST, both included. The planner fills offset. */
typedef struct hs_lease {
    size_t bytes;
    int first, last;
    size_t offset;
} hs_lease;

/* Give every lease an offset (a multiple of ALIGN) such that leases alive at the same time do not overlap; greedy by size, which
 * is near the lower bound for chains. Returns the arena's size in *TOTAL. Reference: Pisarchyk and Lee, Efficient memory
 * management for deep neural net inference, arXiv 2001.03288. */
hs_status hs_lease_pack(hs_lease *lease, int count, size_t align, size_t *total);

/* ---- clock ------------------------------------------------------------------------------------------------------------ */

double hs_now(void);                             /* monotonic seconds */
void hs_date_iso(char out[32]);                  /* ISO 8601 with zone, for provenance */

/* A wait with an end, by the monotonic clock: one that is set back must not make a watchdog sleep. WAKE is made by hs_wait_init; hs_wait is true if
 * nobody signalled within SECONDS. LOCK is held as for pthread_cond_wait. */
void hs_wait_init(pthread_cond_t *wake);
bool hs_wait(pthread_cond_t *wake, pthread_mutex_t *lock, double seconds);

/* ---- digests ---------------------------------------------------------------------------------------------------------- */

typedef struct hs_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
    bool plain; /* without the processor's own instructions: init finds out whether it must; tests may ask for it */
} hs_sha256;
void hs_sha256_init(hs_sha256 *h);
void hs_sha256_add(hs_sha256 *h, const void *data, size_t bytes);
void hs_sha256_hex(hs_sha256 *h, char out[65]); /* finishes H */
uint64_t hs_hash64(const void *data, size_t bytes, uint64_t seed); /* fast, for comparing ranks; not for security */

/* ---- files ------------------------------------------------------------------------------------------------------------- */

/* Read a whole regular file of at most LIMIT bytes; *DATA (hs_free) has one more zero byte behind it. */
hs_status hs_file_read(const char *path, size_t limit, char **data, size_t *bytes);

/* Make PATH hold DATA, whole or not at all, also across a crash: temporary file in the same directory (O_EXCL, 0666 less the
 * umask), write, fsync, rename, fsync of the directory. On failure the temporary is gone and an old PATH is as it was. */
hs_status hs_file_replace(const char *path, const void *data, size_t bytes);

hs_status hs_dir_make(const char *path); /* with parents; existing is fine */
bool hs_file_exists(const char *path);

/* Remove what hs_file_replace left in directory PATH when its process was killed on this host (or more than a day ago on another). Returns how
 * many; a directory that cannot be read counts as clean. */
int hs_dir_sweep(const char *path);

/* What a failed write ends with: HS_EIO "cannot VERB PATH: why; what to try". ERROR is an errno. */
hs_status hs_file_failed(const char *verb, const char *path, int error);

/* A claim: the file PATH says which process has something for itself, here and on other machines, for as long as it lives. A dead owner's claim on this
 * machine is taken over at once; one from another machine when it has given no sign of life for 45 s. */
typedef struct hs_claim hs_claim;
typedef struct hs_claim_look { /* begin with {0} and keep over tries */
    bool wait;       /* held, perhaps not for long: try again in a moment */
    bool elsewhere;  /* it was taken over from another machine */
    char owner[256]; /* who holds or held it, for messages */
    double since;    /* the first try, and the owner's last sign of life then */
    int64_t stamp;
} hs_claim_look;
/* *CLAIM, or LOOK->wait, or a failure (HS_EUSAGE: its owner is alive and stays). JOB is a batch system's number, may be "". */
hs_status hs_claim_try(const char *path, const char *job, hs_claim_look *look, hs_claim **claim);
/* Before something is written that only the owner may write: HS_EIO if somebody else has taken over in the meantime. */
hs_status hs_claim_check(hs_claim *claim);
void hs_claim_drop(hs_claim **claim); /* *claim NULL is fine */

/* ---- strings ----------------------------------------------------------------------------------------------------------- */

/* Edit distance with transpositions (Damerau), and the nearest of COUNT names to WORD or NULL if none is near. */
int hs_edit_distance(const char *a, const char *b);
const char *hs_nearest(const char *word, const char *const *names, int count);

/* Text that grows. Begin with {0}; add as with printf; a failure is remembered and comes out of take, which hands the text over
 * (hs_free) and leaves {0}. To drop a text: hs_free(text.data). */
typedef struct hs_text {
    char *data;
    size_t used, capacity;
    hs_status status;
} hs_text;
void hs_text_add(hs_text *text, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
hs_status hs_text_take(hs_text *text, char **out);

/* Numbers in the C locale whatever the process has set. Parse takes the whole of TEXT: decimal, finite, no white space, no hex. Print
 * writes the shortest of 15 to 17 digits that reads back to the same double. */
bool hs_number_parse(const char *text, double *value);
void hs_number_print(double value, char *text, size_t capacity);

/* JSON: append the string S with quotes and escapes to the NUL-terminated text in OUT (capacity bytes); false if it is full
 * (OUT is then as it was). What is not UTF-8 becomes U+FFFD. */
bool hs_json_quote(char *out, size_t capacity, const char *s);

#ifdef __cplusplus
}
#endif
#endif
