/* versions.h - which libraries this program was built against and which are running. */
#ifndef HS_VERSIONS_H
#define HS_VERSIONS_H

#include <stddef.h>

/* One library. GET fills both texts; a library that is not part of this build has none, and WITHOUT says what that means. A room that brings a library
 * of its own (CUDA, NCCL) adds a row to the table in versions.c. */
typedef struct library_version {
    const char *name;
    void (*get)(char *built, size_t built_size, char *running, size_t running_size);
    const char *without;
} library_version;

const library_version *library_versions(int *count);

/* All that are part of this build in one line, for provenance: "HDF5 1.10.8 (running 1.10.8); ...". Cut off if it does not fit. */
void library_versions_text(char *text, size_t capacity);

#endif
