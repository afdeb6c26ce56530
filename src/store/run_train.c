/* run_train.c - the tables of run.h5: /train, /eval and /layers, one data set a column. */
#include <string.h>

#include "hs_spectrum.h"
#include "run_parts.h"

typedef struct column {
    const char *name;
    hs_h5_type from, type; /* in the row, in the file */
    size_t offset;
    const char *units, *long_name;
} column;

#define I64(row, field, units, text) {#field, HS_H5_I64, HS_H5_I64, offsetof(row, field), units, text}
#define F64(row, field, units, text) {#field, HS_H5_F64, HS_H5_F64, offsetof(row, field), units, text}
#define F32(row, field, units, text) {#field, HS_H5_F64, HS_H5_F32, offsetof(row, field), units, text}

/* `step` comes first: it is the scale of all others. Units are never spelled out ("seconds" would make time spans of numbers in
 * xarray). */
static const column train_column[] = {
    I64(hs_train_row, step, "1", "step"),
    F64(hs_train_row, epoch, "1", "epoch"),
    F64(hs_train_row, loss, "nat", "loss with penalties (nat)"),
    F64(hs_train_row, loss_data, "nat", "cross-entropy (nat)"),
    F64(hs_train_row, penalty_l1, "1", "L1 penalty"),
    F64(hs_train_row, penalty_l2, "1", "L2 penalty"),
    F32(hs_train_row, accuracy, "1", "training accuracy (fraction)"),
    F64(hs_train_row, lr, "1", "learning rate"),
    F64(hs_train_row, grad_norm, "1", "norm of the gradient"),
    F64(hs_train_row, update_norm, "1", "norm of the update"),
    F64(hs_train_row, param_norm, "1", "norm of the parameters"),
    F32(hs_train_row, samples_per_second, "1/s", "samples per second (1/s)"),
    F64(hs_train_row, elapsed, "s", "training time (s)"),
};
static const column eval_column[] = {
    I64(hs_eval_row, step, "1", "step"),
    I64(hs_eval_row, epoch, "1", "epoch"),
    F64(hs_eval_row, loss, "nat", "evaluation loss (nat)"),
    F64(hs_eval_row, error_top1, "1", "top-1 error (fraction)"),
    F64(hs_eval_row, error_top5, "1", "top-5 error (fraction)"),
    F64(hs_eval_row, elapsed, "s", "training time (s)"),
};
enum {
    TRAIN_COLUMNS = sizeof train_column / sizeof train_column[0],
    EVAL_COLUMNS = sizeof eval_column / sizeof eval_column[0]
};

/* ---- generic tables -------------------------------------------------------------------------------------------------------- */

static hs_status table_make(hid_t file, const char *name, const column *c, int columns)
{
    hid_t group = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_make_group(file, name, &group));
    for (int i = 0; i < columns && st == HS_OK; i++) {
        hs_h5_spec spec = {.name = c[i].name, .type = c[i].type, .rank = 1, .grows = true, .chunk_rows = 1024, .is_scale = i == 0,
                           .scale = {i == 0 ? NULL : c[0].name}, .units = c[i].units, .long_name = c[i].long_name};
        st = hs_h5_make(group, &spec, HS_H5_SAME, NULL);
    }
    hs_h5_drop(group);
    return st;
}

/* ROW: array of ROWS structs of STRIDE bytes. */
static hs_status table_append(hid_t file, const char *name, const column *c, int columns, const void *row, size_t stride, int rows)
{
    union {
        int64_t i[HS_RUN_TRAIN_ROWS];
        double f[HS_RUN_TRAIN_ROWS];
    } values;
    hid_t group = -1;
    hs_status st = HS_OK;
    H5_TRY(file, group = H5Gopen2(file, name, H5P_DEFAULT));
    for (int k = 0; k < columns && st == HS_OK; k++) {
        for (int r = 0; r < rows; r++)
            memcpy(&values.i[r], (const char *)row + (size_t)r * stride + c[k].offset, sizeof values.i[r]);
        st = hs_h5_append(group, c[k].name, c[k].from, (hsize_t)rows, &values);
    }
    hs_h5_drop(group);
    return st;
}

hs_status hs_rows_until(hid_t group, int64_t step, hsize_t *rows)
{
    hid_t data = -1;
    hs_h5_shape shape;
    int64_t *steps = NULL;
    hsize_t keep = 0;
    HS_TRY(hs_h5_open_data(group, "step", (size_t)1 << 33, &data, &shape));
    hs_h5_drop(data);
    HS_TRY(hs_calloc(shape.count + 1, sizeof *steps, "steps", &steps));
    hs_status st = shape.count ? hs_h5_read(group, "step", HS_H5_I64, 1, shape.dim, steps) : HS_OK;
    while (st == HS_OK && keep < shape.count && steps[keep] <= step)
        keep++;
    hs_free(steps);
    HS_TRY(st);
    *rows = keep;
    return HS_OK;
}

static hs_status table_cut(hid_t file, const char *name, const column *c, int columns, int64_t step)
{
    hid_t group = -1;
    hsize_t rows = 0;
    HS_TRY(hs_h5_open_group(file, name, &group));
    hs_status st = hs_rows_until(group, step, &rows);
    for (int i = 0; i < columns && st == HS_OK; i++)
        st = hs_h5_cut(group, c[i].name, rows);
    hs_h5_drop(group);
    return st;
}

/* ---- the two tables -------------------------------------------------------------------------------------------------------- */

hs_status hs_tables_make(hid_t file)
{
    HS_TRY(table_make(file, "train", train_column, TRAIN_COLUMNS));
    return table_make(file, "eval", eval_column, EVAL_COLUMNS);
}

hs_status hs_train_append(hid_t file, const hs_train_row *row, int rows)
{
    return rows ? table_append(file, "train", train_column, TRAIN_COLUMNS, row, sizeof *row, rows) : HS_OK;
}

hs_status hs_eval_append(hid_t file, const hs_eval_row *row, int rows)
{
    return rows ? table_append(file, "eval", eval_column, EVAL_COLUMNS, row, sizeof *row, rows) : HS_OK;
}

hs_status hs_tables_cut(hid_t file, int64_t step)
{
    HS_TRY(table_cut(file, "train", train_column, TRAIN_COLUMNS, step));
    return table_cut(file, "eval", eval_column, EVAL_COLUMNS, step);
}

/* ---- /layers --------------------------------------------------------------------------------------------------------------- */

static hs_status write_texts(hid_t group, const hs_run_layer *layer, int layers)
{
    static const char *const name[] = {"name", "notation", "param"};
    const char **text = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_calloc((size_t)layers, sizeof *text, "layer texts", &text));
    for (int f = 0; f < 3 && st == HS_OK; f++) {
        hs_h5_spec spec = {.name = name[f], .type = HS_H5_TEXT, .rank = 1, .dim = {(hsize_t)layers}, .scale = {"index"}};
        for (int i = 0; i < layers; i++) {
            const char *const of_layer[] = {layer[i].name, layer[i].notation, layer[i].filters ? hs_arm_name(layer[i].arm) : ""};
            text[i] = of_layer[f] ? of_layer[f] : "";
        }
        st = hs_h5_make(group, &spec, HS_H5_SAME, text);
    }
    hs_free(text);
    return st;
}

static hs_status write_numbers(hid_t group, const hs_run_layer *layer, int layers)
{
    const struct {
        const char *name;
        size_t offset;
    } field[] = {{"kernel", offsetof(hs_run_layer, kernel_h)},         {"kernel_w", offsetof(hs_run_layer, kernel_w)},
                 {"in_channels", offsetof(hs_run_layer, in_channels)}, {"out_channels", offsetof(hs_run_layer, out_channels)}};
    int64_t *values = NULL;
    HS_TRY(hs_calloc((size_t)layers, sizeof *values, "layer numbers", &values));
    hs_status st = HS_OK;
    for (size_t f = 0; f <= sizeof field / sizeof field[0] && st == HS_OK; f++) {
        bool last = f == sizeof field / sizeof field[0];
        hs_h5_spec spec = {.name = last ? "n_params" : field[f].name,
                           .type = last ? HS_H5_I64 : HS_H5_I32,
                           .rank = 1,
                           .dim = {(hsize_t)layers},
                           .scale = {"index"},
                           .units = "1"};
        for (int i = 0; i < layers; i++)
            values[i] = last ? layer[i].params : *(const int *)((const char *)&layer[i] + field[f].offset);
        st = hs_h5_make(group, &spec, HS_H5_I64, values);
    }
    hs_free(values);
    return st;
}

hs_status hs_layers_make(hid_t file, const hs_run_layer *layer, int layers)
{
    hid_t group = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_make_group(file, "layers", &group));
    if (layers > 0) {
        HS_TRY_GOTO(st, hs_h5_make_axis(group, "index", (hsize_t)layers, NULL), done);
        HS_TRY_GOTO(st, write_texts(group, layer, layers), done);
        st = write_numbers(group, layer, layers);
    }
done:
    hs_h5_drop(group);
    return st;
}
