/* run_parts.h - private to src/store: the pieces of run.h5. */
#ifndef HS_STORE_RUN_PARTS_H
#define HS_STORE_RUN_PARTS_H

#include "parts.h"

enum { HS_RUN_TRAIN_ROWS = 256, HS_RUN_EVAL_ROWS = 16 };

#define HS_SMALL_SHARE 0.01 /* frac_small: moduli below this share of the largest */

/* Which half spectra a history keeps: none, the first N out-channels, all (INT_MAX). */
hs_status hs_history_first(const char *text, int *first);

/* Buffers of the largest layer, allocated when the run is opened: a snapshot allocates nothing. */
typedef struct hs_history_scratch {
    double *moduli, *sorted, *planes; /* [out*in*kh*kw] */
    double *half;                     /* [out*in][kh][kw/2+1][2] */
    double *mosaic, *rings, *energy, *plane;
} hs_history_scratch;

struct hs_run {
    char path[4200];
    hid_t file;
    hs_run_layer *layer; /* names and notations are copied into text */
    char *text;
    int layers;
    hs_train_row train[HS_RUN_TRAIN_ROWS];
    hs_eval_row eval[HS_RUN_EVAL_ROWS];
    int train_rows, eval_rows;
    hs_history_scratch scratch;
    bool dirty; /* something is not on disk yet */
};

/* /train and /eval */
hs_status hs_tables_make(hid_t file);
hs_status hs_train_append(hid_t file, const hs_train_row *row, int rows);
hs_status hs_eval_append(hid_t file, const hs_eval_row *row, int rows);
hs_status hs_tables_cut(hid_t file, int64_t step);
/* Rows of the growing data set `step` in GROUP that are not beyond STEP. */
hs_status hs_rows_until(hid_t group, int64_t step, hsize_t *rows);

/* /plan: made anew, or printed if FILE has one. */
hs_status hs_plan_make(hid_t file, const hs_run_step *step, int steps, const hs_run_plan_facts *facts);
hs_status hs_plan_print(FILE *out, hid_t file);

/* /layers, /history, /plots */
hs_status hs_layers_make(hid_t file, const hs_run_layer *layer, int layers);
hs_status hs_history_make(hid_t history, const hs_run_layer *layer, int first);
hs_status hs_history_cut(hid_t history, const hs_run_layer *layer, int64_t step);
hs_status hs_history_append(hid_t history, const hs_run_layer *layer, const hs_snapshot *snapshot, hs_history_scratch *scratch);
hs_status hs_plots_make(hid_t file, const hs_run_layer *layer, int layers);

/* Tiles of a film strip: rows x columns of filters with a border of one NaN pixel around each. */
typedef struct hs_mosaic {
    int rows, columns, height, width;
} hs_mosaic;
hs_mosaic hs_mosaic_of(const hs_run_layer *layer);

#endif
