/* data_impl.h - private to src/data: reading files from outside, sets held in memory, and what the kinds offer to dataset.c. */
#ifndef HS_DATA_IMPL_H
#define HS_DATA_IMPL_H

#include <zlib.h>

#include "hs_base.h"
#include "hs_data.h"

enum { HS_PATH_MAX = 1024 };

/* ---- source.c: one file, gzip or plain, read once from start to end -------------------------------------------- */

typedef struct hs_source {
    gzFile gz;
    char path[HS_PATH_MAX];
    int64_t size;      /* of the file on disk */
    bool plain;        /* not compressed */
    uint64_t offset;   /* bytes of content delivered */
    hs_sha256 *digest; /* takes all content; may be NULL */
} hs_source;

/* The first of DIR/NAME and DIR/NAME.gz that exists, to PATH; false if neither does or the name is too long. */
bool hs_source_find(const char *dir, const char *name, char path[HS_PATH_MAX]);
hs_status hs_source_open(hs_source *s, const char *path, hs_sha256 *digest);
void hs_source_close(hs_source *s);
/* Exactly BYTES more; a file that ends before is HS_EINPUT. */
hs_status hs_source_read(hs_source *s, void *data, size_t bytes);
/* Nothing may follow. Also makes zlib compare its checksum. */
hs_status hs_source_end(hs_source *s);
/* Can the whole content be TOTAL bytes? Exact for a plain file, a bound for a compressed one; to be asked before memory is
 * reserved. */
hs_status hs_source_expect(const hs_source *s, uint64_t total);
/* Length of the content of PATH; reads a compressed file through. */
hs_status hs_source_length(const char *path, uint64_t limit, uint64_t *bytes);

/* ---- bytes.c: samples as bytes in memory ----------------------------------------------------------------------- */

typedef struct hs_bytes_set {
    hs_dataset base;
    unsigned char *pixels; /* [count][h][w][c] */
    unsigned char *labels; /* [count] */
} hs_bytes_set;
hs_status hs_bytes_set_create(const char *kind, int64_t count, hs_shape shape, int classes, hs_bytes_set **set);
/* For a failed open. */
void hs_bytes_set_destroy(hs_bytes_set *set);

/* ---- the kinds ------------------------------------------------------------------------------------------------- */

/* CLASSES = 0: count them in the training labels. */
hs_status hs_idx_open(const char *dir, hs_split part, int classes, hs_dataset **set);
bool hs_idx_here(const char *dir, hs_split part);
hs_status hs_cifar_open(const char *dir, hs_split part, int classes, hs_dataset **set); /* classes 10, 100, or 20 for :coarse */
hs_status hs_synthetic_open(const char *numbers, hs_split part, uint64_t seed, hs_dataset **set);

/* ---- augment.c ------------------------------------------------------------------------------------------------- */

/* Is AUGMENT possible for samples of SHAPE? HS_EUSAGE names the key. */
hs_status hs_augment_check(const hs_augment *augment, hs_shape shape);
/* Sample SAMPLE of epoch EPOCH, X [h][w][c] in place; SCRATCH [h][w][c]. TOP: the largest legal value (255 for bytes, infinity
 * for floats). */
void hs_augment_apply(const hs_augment *augment, hs_shape shape, uint64_t seed, int64_t epoch, int64_t sample, float top,
                      float *x, float *scratch);

#endif
