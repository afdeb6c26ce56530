/* hs_store.h - checkpoints and the run file. The room behind it is the only one that includes hdf5.h; it knows nothing of ranks: rank 0 calls it.
 * Every file is built in memory and replaced whole (hs_file_replace). Files from elsewhere are read through a whitelist: fixed names, hard links
 * only, no external storage, no virtual data sets, no plug-ins, sizes checked before anything is allocated. */
#ifndef HS_STORE_H
#define HS_STORE_H

#include <stdio.h>

#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Turns HDF5's own error printing and plug-in loading off; once per process before any other call here. */
hs_status hs_store_start(void);
/* "1.10.8" of the HDF5 headers at build time and of the library that is running, for --version. */
void hs_store_version(char *built, size_t built_bytes, char *running, size_t running_bytes);

/* ---- provenance: written as attributes of /provenance in every file ---------------------------------------------------------------- */

typedef struct hs_provenance {
    const char *version, *commit, *argv, *config_text, *config_json, *build, *libraries, *dataset, *dataset_digest, *held_digest, *precision, *device, *notation,
        *slurm_job;
    const char *const *hosts; /* [world_size] */
    int world_size;
    uint64_t seed;
    char date[32];
} hs_provenance;

/* ---- checkpoints ----------------------------------------------------------------------------------------------------------------------- */

/* Everything needed to go on bit-exactly. Scalars by name, in one list, so that nothing is forgotten on one side only. */
typedef struct hs_state {
    int64_t step, epoch, position; /* position: samples of the epoch already used */
    uint64_t seed;
    double best_error;
    int64_t best_step;
    double elapsed;              /* seconds of training so far */
    double plateau_best, plateau_scale;
    int64_t plateau_bad, adam_t;
    double window[64];           /* last losses, for spike detection; never non-finite */
    int64_t window_count;
} hs_state;

/* One slab on the host, with the network's offsets. Numbers are float (HS_F32) or double (HS_F64), as the backend has them. */
typedef struct hs_slab {
    const char *name; /* "" for the parameters, "m", "v" for moments */
    void *data;
    size_t count;
} hs_slab;

typedef struct hs_checkpoint {
    hs_real real;
    const hs_param *param; /* layout of every slab below */
    int params;
    const hs_param *statistic;
    int statistics;
    hs_slab parameters, statistics_slab, moment[4];
    int moments;
    const char *optimizer, *notation;
    hs_shape in; /* of one sample, and the number of classes: what `eval` needs to build the network again (write only) */
    int classes;
    hs_state state;
    /* Filters as ordinary files show them: called for each filter parameter, fills SPECTRUM [out][in][kh*kw] orthonormal coordinates. */
    hs_status (*spectrum)(void *context, const hs_param *param, const double *coords, double *spectrum);
    void *context;
} hs_checkpoint;

/* Write DIR/ckpt/step-%08d.h5, then MANIFEST (step, bytes, SHA-256, error; newest last), then delete what is beyond KEEP newest + best. BEST marks
 * this one as the best so far. An existing older file is never touched before the new one and MANIFEST are on disk. */
hs_status hs_checkpoint_write(const char *dir, const hs_checkpoint *checkpoint, const hs_provenance *provenance, int keep, bool best, double error);
/* The newest checkpoint of DIR whose size and SHA-256 agree with MANIFEST (without one: the newest that opens); PATH [capacity], "" and HS_OK if
 * there is none. Damaged ones are passed over, each with a line in WARNINGS (hs_free; may be NULL result); one that cannot be read, for want of
 * permission or memory, is a failure. */
hs_status hs_checkpoint_find(const char *dir, char *path, size_t capacity, char **warnings);
/* Read PATH into the slabs of CHECKPOINT (data must have room). Names, shapes, arms and optimizer must match: else HS_EINPUT says what differs.
 * moments == 0 skips the optimizer (evaluation). */
hs_status hs_checkpoint_read(const char *path, hs_checkpoint *checkpoint);

/* What `info` and `eval` need before a network exists. Strings are freed with hs_free. */
typedef struct hs_checkpoint_head {
    char *notation, *config_text, *dataset, *precision;
    char *dataset_digest, *held_digest; /* SHA-256 of training and test data; "" where not recorded */
    hs_state state;
    hs_shape in;
    int classes;
} hs_checkpoint_head;
hs_status hs_checkpoint_peek(const char *path, hs_checkpoint_head *head);
void hs_checkpoint_head_free(hs_checkpoint_head *head);

/* One filter bank out of any checkpoint, as orthonormal coordinates SPECTRUM [out][in][kh*kw] (hs_free): for warm starts. */
hs_status hs_checkpoint_filters(const char *path, const char *layer, int *out, int *in, int *kh, int *kw, double **spectrum);

/* ---- run.h5 ---------------------------------------------------------------------------------------------------------------------------------- */

typedef struct hs_train_row {
    int64_t step;
    double epoch, loss, loss_data, penalty_l1, penalty_l2, accuracy, lr, grad_norm, update_norm, param_norm, samples_per_second, elapsed;
} hs_train_row;
typedef struct hs_eval_row {
    int64_t epoch, step;
    double loss, error_top1, error_top5, elapsed;
} hs_eval_row;

/* Static description of the layers, for /layers and /history. */
typedef struct hs_run_layer {
    const char *name, *notation;
    int kernel_h, kernel_w, in_channels, out_channels;
    int64_t params;
    hs_arm arm;
    bool filters; /* has a history */
} hs_run_layer;

/* One snapshot of one layer, all host memory of the caller: orthonormal coordinates [out][in][kh*kw], TAPS the same filters in space
 * [out][in][kh*kw]. TAPS may be NULL (then computed from SPECTRUM); UPDATE, GRADIENT, MOMENTUM may be NULL (NaN rows). */
typedef struct hs_snapshot {
    int64_t step;
    int layer; /* index in the list given at open */
    const double *spectrum, *taps, *gradient, *update, *momentum;
} hs_snapshot;

typedef struct hs_run_options {
    const char *dir;
    const hs_provenance *provenance;
    const hs_run_layer *layer;
    int layers;
    const char *history_filters; /* "none", "first:N", "all" */
    int64_t resume_step;         /* rows with a larger step are cut; -1: start a new file */
} hs_run_options;

/* One step of the plan, a layer or a transform. Seconds are of a full batch on rank 0, NaN where nobody knows: PREDICTED forward + backward by the
 * cost model, MEASURED the same by the planner's clock, FORWARD and BACKWARD in training. */
typedef struct hs_run_step {
    const char *name, *notation, *domain, *engine;
    int height, width, channels; /* of the output */
    int64_t activation_bytes;
    double mflop; /* forward + backward of one sample */
    double predicted, measured, forward, backward;
} hs_run_step;
typedef struct hs_run_plan_facts {
    int capacity, threads; /* of rank 0 */
    double planned_bytes, peak_bytes; /* of its host memory; 0: not known */
} hs_run_plan_facts;

typedef struct hs_run hs_run;
hs_status hs_run_open(const hs_run_options *options, hs_run **run);
hs_status hs_run_train(hs_run *run, const hs_train_row *row); /* buffered */
hs_status hs_run_eval(hs_run *run, const hs_eval_row *row);
hs_status hs_run_snapshot(hs_run *run, const hs_snapshot *snapshot);
hs_status hs_run_plan(hs_run *run, const hs_run_step *step, int steps, const hs_run_plan_facts *facts); /* replaces what /plan held */
hs_status hs_run_flush(hs_run *run); /* RUN/run.h5 becomes visible whole */
hs_status hs_run_close(hs_run **run);
void hs_run_drop(hs_run **run); /* without a last flush: RUN is not ours any more */

/* Host memory that the process takes beside the caller's: by an open run without history, at most while a checkpoint is written. */
double hs_run_memory(const hs_run_layer *layer, int layers);
double hs_checkpoint_memory(const hs_checkpoint *checkpoint);

/* ---- looking at files ----------------------------------------------------------------------------------------------------------------------------- */

/* Print what FILE is and holds (any of our formats) to OUT. */
hs_status hs_store_info(const char *path, FILE *out);
/* Validate structure, types, checksums, scales, NXdata and the Hermitian rule; prints one line per finding; HS_EINPUT if any is an error. */
hs_status hs_store_check(const char *path, FILE *out, int *findings);
/* Predictions of `eval`: index, label, logits f4 [N, classes], and input f4 [N,H,W,C] if INPUTS is not NULL. */
hs_status hs_store_predictions(const char *path, int64_t count, int classes, hs_shape shape, const int64_t *index, const int32_t *label, const float *logits,
                               const float *inputs);

#ifdef __cplusplus
}
#endif
#endif
