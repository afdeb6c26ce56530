/* parts.h - private to src/store: what several of its files share above plain HDF5. */
#ifndef HS_STORE_PARTS_H
#define HS_STORE_PARTS_H

#include "h5.h"
#include "hs_store.h"

#define HS_FORMAT_RUN "halfspec-run"
#define HS_FORMAT_CHECKPOINT "halfspec-checkpoint"
#define HS_FORMAT_PREDICTIONS "halfspec-predictions"

/* /provenance of any file. */
hs_status hs_write_provenance(hid_t file, const hs_provenance *provenance);

/* `info` and `check` of a data set for `data = hdf5:FILE`. False: PATH is none, nothing was printed, why is recorded. */
bool hs_set_info(const char *path, FILE *out);
bool hs_set_check(const char *path, FILE *out, hs_status *status);
/* hs_h5_signature for a file that was found to be no data set for REASON. */
hs_status hs_h5_signature_or(hid_t file, char kind[64], const char *reason);

/* ---- checkpoint parts ------------------------------------------------------------------------------------------------------ */

/* Attributes of /state: every field of hs_state by name. */
hs_status hs_state_write(hid_t group, const hs_state *state);
hs_status hs_state_read(hid_t group, hs_state *state);

/* How a parameter lies in a file: filters [out][in][coords], dense weights [out][in], vectors [count]. */
int hs_layout_dims(const hs_param *param, hsize_t dim[HS_H5_RANK]);
/* Slab order ([coord][in][out], [in][out], [count]) to file order and back; pure moves of SIZE-byte numbers. */
void hs_layout_to_file(const hs_param *param, size_t size, const void *slab, void *file);
void hs_layout_from_file(const hs_param *param, size_t size, const void *file, void *slab);
/* Does the file show this arm's filters as half spectra (else as taps)? */
bool hs_layout_is_spectral(hs_arm arm);

/* ---- MANIFEST -------------------------------------------------------------------------------------------------------------- */

typedef struct hs_manifest_row {
    int64_t step;
    size_t bytes;
    char sha256[65];
    double error; /* NaN: not evaluated */
    bool best;
} hs_manifest_row;
enum { HS_MANIFEST_ROWS = 4096 };
typedef struct hs_manifest {
    bool present; /* the file exists and every line of it was understood */
    int rows;
    hs_manifest_row row[HS_MANIFEST_ROWS]; /* ascending steps */
} hs_manifest;

/* FOLDER is RUN/ckpt. A missing or damaged MANIFEST gives present = false and no rows. *MANIFEST is freed with hs_free. */
hs_status hs_manifest_read(const char *folder, hs_manifest **manifest);
hs_status hs_manifest_save(const char *folder, const hs_manifest *manifest);
/* Add ROW as the newest; rows of its step and later ones belong to a future that this run has given up. */
void hs_manifest_add(hs_manifest *manifest, const hs_manifest_row *row);
/* Drop rows beyond the KEEP newest and the best. */
void hs_manifest_thin(hs_manifest *manifest, int keep);
const hs_manifest_row *hs_manifest_row_of(const hs_manifest *manifest, int64_t step);
/* Rows for the checkpoints that lie in FOLDER, digests taken from the files: a MANIFEST that was lost. */
hs_status hs_manifest_rebuild(const char *folder, hs_manifest *manifest);
/* Steps of files FOLDER/step-*.h5, ascending; *STEPS is freed with hs_free. A missing folder has none. */
hs_status hs_manifest_files(const char *folder, int64_t **steps, int *count);
void hs_checkpoint_name(const char *folder, int64_t step, char *path, size_t capacity);
int64_t hs_checkpoint_step_of(const char *name); /* -1: not a checkpoint's name */

/* Open a checkpoint after comparing it with MANIFEST beside it, if that lists it. */
hs_status hs_checkpoint_open(const char *path, hid_t *file);

#endif
