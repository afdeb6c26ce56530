/* hs_data.h - data sets, splits, batches. What sample stands where in which batch is a pure function of (seed, epoch, position), never of
 * the number of ranks. */
#ifndef HS_DATA_H
#define HS_DATA_H

#include "hs_status.h"
#include "hs_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data sets -------------------------------------------------------------------------------------------------------------------- */

typedef struct hs_dataset hs_dataset;
/* What a kind of data set must offer. READ copies COUNT samples with the given INDICES (ascending not required) as floats in file units
 * (0..255 for bytes) in NHWC order, and their labels. */
typedef struct hs_dataset_ops {
    const char *kind;
    hs_status (*read)(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels);
    void (*close)(hs_dataset *set);
} hs_dataset_ops;
struct hs_dataset { /* kinds extend it by embedding it first */
    const hs_dataset_ops *ops;
    int64_t count;
    int64_t typical; /* so many first samples stand for all where means are taken; 0: only all of them do */
    int classes;
    hs_shape shape;
    bool bytes;       /* pixels are uint8 in the file */
    char digest[65];  /* SHA-256 of the files (of the specification for synthetic) */
    char source[512]; /* for messages and provenance */
};

typedef enum hs_split { HS_SPLIT_TRAIN, HS_SPLIT_TEST, HS_SPLIT_VALIDATION } hs_split;

/* Open SPEC ("fashion-mnist", "idx:DIR", "cifar10:DIR", "cifar100:DIR[:coarse]", "hdf5:FILE", "synthetic:N,H,W,C,classes"). Train and test
 * parts are the files'; everything about the file is checked here (magic, sizes, labels in range) and errors name file and offset. SEED is for
 * synthetic only, whose test part has N/5 samples (at least 1, at most 65536) of the same classes. "fashion-mnist" is looked for in $HALFSPEC_DATA/fashion-mnist,
 * $HALFSPEC_DATA and /usr/share/datasets/fashion-mnist. */
hs_status hs_dataset_open(const char *spec, hs_split part, uint64_t seed, hs_dataset **set);
void hs_dataset_close(hs_dataset **set);
/* The HDF5 kind lives in src/store, the only room that includes hdf5.h. Its read may be called from the prefetch thread while rank 0 writes a
 * checkpoint: it takes the lock that the store's other calls take. */
hs_status hs_dataset_hdf5(const char *path, hs_split part, hs_dataset **set);
hs_status hs_dataset_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels);
/* A view of the samples of SET that fall to TRAIN or VALIDATION when a share of FRACTION (rounded to whole samples) is held out by SEED, in
 * ascending order. Owns SET afterwards (on failure too: then SET is closed). */
hs_status hs_dataset_split(hs_dataset *set, hs_split part, double fraction, uint64_t seed, hs_dataset **view);

/* ---- normalisation ------------------------------------------------------------------------------------------------------------------ */

typedef enum hs_normalise { HS_NORMALISE_NONE, HS_NORMALISE_CHANNEL, HS_NORMALISE_PIXEL } hs_normalise;
typedef struct hs_scaling {
    hs_normalise kind;
    size_t count;   /* c, or h*w*c */
    float *mean, *inverse; /* [count], x -> (x - mean) * inverse; owned */
} hs_scaling;
/* Mean and deviation over SET (the training part), or over its typical samples. A deviation of 0 counts as 1. */
hs_status hs_scaling_measure(hs_dataset *set, hs_normalise kind, hs_scaling *scaling);
void hs_scaling_free(hs_scaling *scaling);

/* ---- batches ------------------------------------------------------------------------------------------------------------------------- */

typedef struct hs_augment {
    int shift;                     /* pixels each way, zero (in file units) filled */
    bool flip;                     /* horizontally with probability 1/2 */
    int crop;                      /* pad by this and crop back, as many papers do; 0 = off */
    double hue, saturation, value; /* HSV jitter half-ranges, 3 channels only: hue + u turns, saturation and value * (1 + u) */
} hs_augment;

/* Where the step lies: its epoch and the position of its first sample in that epoch. The last batch of an epoch may be short. */
typedef struct hs_batch_place {
    int64_t epoch, position;
    int64_t global; /* samples in this global batch */
} hs_batch_place;
void hs_batch_at(int64_t step, int64_t count, int64_t batch, hs_batch_place *place); /* pure arithmetic */
int64_t hs_steps_per_epoch(int64_t count, int64_t batch);
/* The contiguous part of a global batch of GLOBAL samples that RANK of SIZE takes; *COUNT may be 0. */
void hs_batch_share(int64_t global, int rank, int size, int64_t *first, int64_t *count);

typedef struct hs_batcher hs_batcher;
/* Fills batches of at most CAPACITY samples from SET: permuted per epoch if SHUFFLE, augmented if AUGMENT is not NULL, then scaled. SET and
 * SCALING are borrowed. THREADS for the fill; PREFETCH: a thread of its own works one batch ahead (any result is the same without it). */
typedef struct hs_batcher_options {
    int capacity;
    bool shuffle, prefetch;
    uint64_t seed;
    const hs_augment *augment;
    const hs_scaling *scaling;
} hs_batcher_options;
hs_status hs_batcher_create(hs_dataset *set, const hs_batcher_options *options, hs_batcher **batcher);
void hs_batcher_destroy(hs_batcher **batcher);
/* Samples [first, first + count) of the epoch's order: X [count][h][w][c], LABELS [count]. The pointers are the batcher's, valid until the next
 * call. Allocates nothing. */
hs_status hs_batcher_get(hs_batcher *batcher, int64_t epoch, int64_t first, int count, const float **x, const int32_t **labels);
/* Tell the prefetcher what will be asked next. */
void hs_batcher_hint(hs_batcher *batcher, int64_t epoch, int64_t first, int count);
/* Element of the data set at a position of an epoch (what shuffle does). */
int64_t hs_batcher_index(const hs_batcher *batcher, int64_t epoch, int64_t position);

#ifdef __cplusplus
}
#endif
#endif
