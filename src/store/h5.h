/* h5.h - private to src/store: the few HDF5 idioms that every file of ours uses, each with its errors turned into hs_fail.
 *
 * Conventions: a function that opens something returns it through its last argument; every hid_t has one owner who closes it
 * (hs_h5_drop takes -1). Files are opened with close degree STRONG, so that a file that goes away takes forgotten objects with
 * it. Writers work on files in memory (core driver, backing store off); what reaches the disk goes through hs_file_replace. */
#ifndef HS_STORE_H5_H
#define HS_STORE_H5_H

#include <hdf5.h>

#include "hs_base.h"
#include "hs_status.h"
#include "hs_types.h"

/* ---- errors ---------------------------------------------------------------------------------------------------------------- */

/* Record that CALL failed on the file that holds object WHERE (-1: none), with HDF5's innermost reason. HS_EINPUT if the file was
 * opened for reading, else HS_EIO. */
hs_status hs_h5_fail_at(const char *file, int line, hid_t where, const char *call);
#define H5_TRY(where, call)                                                  \
    do {                                                                     \
        if ((call) < 0)                                                      \
            return hs_h5_fail_at(__FILE__, __LINE__, (where), #call);        \
    } while (0)
#define H5_TRY_GOTO(st, where, call, label)                                  \
    do {                                                                     \
        if ((call) < 0) {                                                    \
            (st) = hs_h5_fail_at(__FILE__, __LINE__, (where), #call);        \
            goto label;                                                      \
        }                                                                    \
    } while (0)

/* HDF5 may be built without thread safety, and the prefetch thread reads data sets while rank 0 writes: every public call of this
 * room that touches HDF5 holds this lock (recursive) while it does. Also silences HDF5 in the calling thread. */
void hs_h5_lock(void);
void hs_h5_unlock(void);
void hs_h5_quiet(void);   /* this thread: HDF5 prints no error stacks of its own */
void hs_h5_drop(hid_t id); /* close whatever ID is; negative is fine */
const char *hs_h5_path(hid_t object, char *path, size_t capacity); /* name of the file that holds OBJECT */

/* ---- files ----------------------------------------------------------------------------------------------------------------- */

/* What files, groups and data sets of ours have in common at creation: no times (equal contents give equal bytes), attributes in
 * order and, with the LINKS of a group, in the object's header: headers carry checksums, the heaps that HDF5 would move them to
 * do not. */
hs_status hs_h5_creation(hid_t plist, bool links);
/* A new file in memory, named PATH in messages, with the root attributes of FORMAT ("halfspec-run"). */
hs_status hs_h5_create(const char *path, const char *format, hid_t *file);
/* The bytes of FILE as they would lie on disk; *IMAGE is freed with hs_free. */
hs_status hs_h5_image(hid_t file, char **image, size_t *bytes);
/* A file from BYTES in memory (copied). WRITABLE changes stay in memory. */
hs_status hs_h5_open_image(const char *path, const void *image, size_t bytes, bool writable, hid_t *file);
/* Read PATH whole and open it so. What is parsed is exactly what was read. */
hs_status hs_h5_open(const char *path, bool writable, hid_t *file);
/* Check root's signature: KIND gets the format's name ("halfspec-run"); a newer major version than ours is refused. */
hs_status hs_h5_signature(hid_t file, char kind[64]);
hs_status hs_h5_expect(hid_t file, const char *kind);

enum { HS_H5_MAJOR = 1, HS_H5_MINOR = 0 };

/* ---- types: the ones that our files use, little-endian on disk ------------------------------------------------------------- */

typedef enum hs_h5_type {
    HS_H5_SAME,
    HS_H5_U8,
    HS_H5_I32,
    HS_H5_I64,
    HS_H5_U64,
    HS_H5_F32,
    HS_H5_F64,
    HS_H5_C64,
    HS_H5_C128, /* {r, i}: what h5py makes of complex64 and complex128 */
    HS_H5_TEXT, /* UTF-8 of variable length, char * in memory; written for people, never read back by us (netCDF-C crashes on
                   fixed length) */
    HS_H5_TYPES
} hs_h5_type;
size_t hs_h5_type_bytes(hs_h5_type type);
hs_status hs_h5_type_open(hs_h5_type type, bool memory, hid_t *id);
static inline hs_h5_type hs_h5_real(hs_real real)
{
    return real == HS_F64 ? HS_H5_F64 : HS_H5_F32;
}

/* ---- attributes ------------------------------------------------------------------------------------------------------------ */

hs_status hs_h5_set_text(hid_t object, const char *name,
                         const char *text); /* variable length, UTF-8: a str in h5py; NULL counts as "" */
hs_status hs_h5_set_texts(hid_t object, const char *name, const char *const *text, int count);
hs_status hs_h5_set_word(hid_t object, const char *name, const char *text);  /* fixed length: what our own readers read back */
hs_status hs_h5_set(hid_t object, const char *name, hs_h5_type type, int count, const void *value); /* count 0: a scalar */
hs_status hs_h5_set_i64(hid_t object, const char *name, int64_t value);
hs_status hs_h5_set_f64(hid_t object, const char *name, double value);
bool hs_h5_has(hid_t object, const char *name);
/* COUNT numbers (0: a scalar); class and extent must be right. */
hs_status hs_h5_get(hid_t object, const char *name, hs_h5_type type, int count, void *value);
/* A fixed-length text of at most LIMIT bytes, NUL-terminated; *TEXT is freed with hs_free. */
hs_status hs_h5_get_word(hid_t object, const char *name, size_t limit, char **text);
/* A text of either kind, for info and check only. */
hs_status hs_h5_get_text(hid_t object, const char *name, size_t limit, char **text);

/* ---- groups, scales, data sets --------------------------------------------------------------------------------------------- */

hs_status hs_h5_make_group(hid_t parent, const char *name, hid_t *group);

enum { HS_H5_RANK = 5 };
typedef struct hs_h5_spec {
    const char *name;
    hs_h5_type type;
    int rank;
    hsize_t dim[HS_H5_RANK];
    const char *scale[HS_H5_RANK]; /* names of scales in the same group; all NULL for a scale itself */
    bool is_scale;
    bool grows;                    /* first axis unlimited */
    hsize_t chunk_rows;            /* of a growing data set; arrays that do not grow are split near 4 MiB */
    bool packed;                   /* shuffle and deflate before the checksum */
    const char *units, *long_name; /* NULL: none */
} hs_h5_spec;
/* Create what SPEC says, chunked and checksummed, and fill it with DATA of type FROM (SAME: spec->type) unless DATA is NULL. */
hs_status hs_h5_make(hid_t group, const hs_h5_spec *spec, hs_h5_type from, const void *data);
/* A scale of COUNT int32 in GROUP; VALUES NULL: 0 .. count - 1. */
hs_status hs_h5_make_axis(hid_t group, const char *name, hsize_t count, const int32_t *values);
/* Append ROWS rows along the first axis. */
hs_status hs_h5_append(hid_t group, const char *name, hs_h5_type from, hsize_t rows, const void *data);
hs_status hs_h5_cut(hid_t group, const char *name, hsize_t rows); /* keep the first ROWS */

/* ---- reading through the whitelist ----------------------------------------------------------------------------------------- */

/* One path component at a time: NAME must be a hard link in PARENT to a group. */
hs_status hs_h5_open_group(hid_t parent, const char *name, hid_t *group);
bool hs_h5_is_hard(hid_t parent, const char *name); /* a hard link of this name is there */

/* What a data set is, after everything about it was found acceptable: hard link, plain storage, known filters, plain numbers,
 * sane sizes. */
typedef struct hs_h5_shape {
    int rank;
    hsize_t dim[HS_H5_RANK];
    size_t count;      /* elements */
    hs_h5_type type;   /* nearest of ours: SAME if it has none of our types (then it is an integer or a float all the same) */
    bool integer;
    size_t bytes;      /* of one element in the file */
} hs_h5_shape;
/* LIMIT: most bytes that all elements may take in memory at 8 bytes a number. */
hs_status hs_h5_open_data(hid_t group, const char *name, size_t limit, hid_t *data, hs_h5_shape *shape);
/* Read all of it as TYPE into OUT, which has room. Extents must be DIM [rank], and every chunk must be there with its checksum
 * on: the index of chunks has no checksum, and a chunk that a flipped bit hides may read as zeros. */
hs_status hs_h5_read(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim, void *out);
/* The same for files that others wrote: chunks never written are theirs to leave out. */
hs_status hs_h5_read_foreign(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim, void *out);
/* A data set's own hash (attribute hash64) over its elements as they lie in memory in the file's type; headers, where attributes
 * lie, have checksums. It closes what Fletcher32 leaves open: damage to the index of chunks. */
hs_status hs_h5_seal(hid_t group, const char *name, const void *data, size_t bytes);
hs_status hs_h5_check_seal(hid_t group, const char *name, const void *data, size_t bytes);
/* Is every chunk of DATA stored, filtered as the rest? */
bool hs_h5_is_complete(hid_t data, const hs_h5_shape *shape);

#endif
