/* journal.h - what the host asked of the device, in the order in which it asked, for tests of order. */
#ifndef HS_EMULATED_JOURNAL_H
#define HS_EMULATED_JOURNAL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum emulated_deed { EMULATED_LAUNCH, EMULATED_SUM, EMULATED_RECORD, EMULATED_WAIT } emulated_deed;
typedef struct emulated_entry {
    emulated_deed deed;
    const char *name; /* of a kernel */
    const void *stream, *event;
} emulated_entry;

void emulated_journal_begin(void);                        /* empty, and kept from now on */
size_t emulated_journal_end(const emulated_entry **list); /* what was asked since; valid until begin */
void emulated_note(emulated_deed deed, const char *name, const void *stream, const void *event);

#ifdef __cplusplus
}
#endif
#endif
