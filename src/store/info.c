/* info.c - `halfspec info FILE`: what a file of ours is, in a page of text. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_spectrum.h"
#include "run_parts.h"

enum { TEXT_LIMIT = 1 << 20 };

/* One line "name  value" of an attribute, if it is there and says something; control characters of a foreign text do not reach
 * the terminal. */
static void print_text(FILE *out, hid_t object, const char *attribute, const char *label)
{
    char *text = NULL;
    if (!hs_h5_has(object, attribute) || hs_h5_get_text(object, attribute, TEXT_LIMIT, &text) != HS_OK) {
        hs_fail_clear();
        return;
    }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = ' ';
    if (text[0])
        fprintf(out, "%-12s %.200s%s\n", label, text, strlen(text) > 200 ? " .." : "");
    hs_free(text);
}

static hs_status print_provenance(FILE *out, hid_t file)
{
    static const struct {
        const char *attribute, *label;
    } line[] = {{"softwareVersion", "halfspec"}, {"git_commit", "commit"}, {"date", "date"},
                {"notation", "network"},         {"dataset", "data"},      {"device", "device"},
                {"precision", "precision"},      {"argv", "command"},      {"slurm_job_id", "slurm job"}};
    hid_t group = -1;
    int32_t world = 0;
    uint64_t seed = 0;
    HS_TRY(hs_h5_open_group(file, "provenance", &group));
    for (size_t i = 0; i < sizeof line / sizeof line[0]; i++)
        print_text(out, group, line[i].attribute, line[i].label);
    hs_status st = hs_h5_get(group, "world_size", HS_H5_I32, 0, &world);
    if (st == HS_OK)
        st = hs_h5_get(group, "seed", HS_H5_U64, 0, &seed);
    if (st == HS_OK)
        fprintf(out, "%-12s %d\n%-12s %" PRIu64 "\n", "ranks", world, "seed", seed);
    hs_h5_drop(group);
    return st;
}

/* "float32 [16,1,25]" of every data set in GROUP that is no axis. */
static hs_status print_data(FILE *out, hid_t group, const char *where)
{
    static const char *const type_name[HS_H5_TYPES] = {"number",  "uint8",   "int32",     "int64",      "uint64",
                                                       "float32", "float64", "complex64", "complex128", "text"};
    H5G_info_t info;
    H5_TRY(group, H5Gget_info(group, &info));
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[128];
        hs_h5_shape shape;
        hid_t data = -1;
        H5_TRY(group, H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT));
        if (hs_h5_open_data(group, name, SIZE_MAX / 32, &data, &shape) != HS_OK) {
            hs_fail_clear(); /* a group, or texts */
            continue;
        }
        bool axis = hs_h5_has(data, "CLASS");
        hs_h5_drop(data);
        if (axis)
            continue;
        fprintf(out, "  %s/%s  %s [", where, name, type_name[shape.type]);
        for (int d = 0; d < shape.rank; d++)
            fprintf(out, "%s%llu", d ? "," : "", (unsigned long long)shape.dim[d]);
        fprintf(out, "]\n");
    }
    return HS_OK;
}

/* The data sets of every group in GROUP. */
static hs_status print_groups(FILE *out, hid_t file, const char *name)
{
    H5G_info_t info;
    hid_t parent = -1, group = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_open_group(file, name, &parent));
    H5_TRY_GOTO(st, file, H5Gget_info(parent, &info), done);
    for (hsize_t i = 0; i < info.nlinks && st == HS_OK; i++) {
        char child[128], where[300];
        H5_TRY_GOTO(st, file,
                    H5Lget_name_by_idx(parent, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, child, sizeof child, H5P_DEFAULT), done);
        HS_TRY_GOTO(st, hs_h5_open_group(parent, child, &group), done);
        snprintf(where, sizeof where, "%s/%s", name, child);
        st = print_data(out, group, where);
        hs_h5_drop(group);
    }
done:
    hs_h5_drop(parent);
    return st;
}

static hs_status print_checkpoint(FILE *out, hid_t file)
{
    hs_state state;
    hid_t group = -1;
    HS_TRY(hs_h5_open_group(file, "state", &group));
    hs_status st = hs_state_read(group, &state);
    if (st == HS_OK) {
        print_text(out, group, "optimizer", "optimizer");
        fprintf(out, "%-12s step %" PRId64 ", epoch %" PRId64 ", %.0f s of training\n", "state", state.step, state.epoch,
                state.elapsed);
    }
    hs_h5_drop(group);
    HS_TRY(st);
    HS_TRY(print_groups(out, file, "model"));
    return print_groups(out, file, "optimizer");
}

/* Rows of a table and the last value of one column. */
static hs_status print_table(FILE *out, hid_t file, const char *table, const char *column)
{
    hid_t group = -1, data = -1;
    hs_h5_shape shape;
    double *values = NULL;
    hs_status st;
    HS_TRY(hs_h5_open_group(file, table, &group));
    HS_TRY_GOTO(st, hs_h5_open_data(group, column, (size_t)1 << 33, &data, &shape), done);
    HS_TRY_GOTO(st, hs_calloc(shape.count + 1, sizeof *values, column, &values), done);
    if (shape.count) {
        HS_TRY_GOTO(st, hs_h5_read(group, column, HS_H5_F64, 1, shape.dim, values), done);
        fprintf(out, "%-12s %zu rows, last %s %.6g\n", table, shape.count, column, values[shape.count - 1]);
    } else {
        fprintf(out, "%-12s no rows\n", table);
    }
done:
    hs_free(values);
    hs_h5_drop(data);
    hs_h5_drop(group);
    return st;
}

/* "conv1  12 snapshots of 5x5 filters, half spectra of 16 out-channels" */
static hs_status print_history(FILE *out, hid_t history, const char *layer)
{
    hid_t group = -1, data = -1;
    hs_h5_shape steps, spectra = {0};
    int32_t kernel[2] = {0, 0};
    HS_TRY(hs_h5_open_group(history, layer, &group));
    hs_status st = hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel);
    if (st == HS_OK)
        st = hs_h5_open_data(group, "step", SIZE_MAX / 32, &data, &steps);
    hs_h5_drop(data);
    if (st == HS_OK && hs_h5_is_hard(group, "half_spectrum")) {
        st = hs_h5_open_data(group, "half_spectrum", SIZE_MAX / 32, &data, &spectra);
        hs_h5_drop(data);
    }
    if (st == HS_OK)
        fprintf(out, "%-12s %zu snapshots of %dx%d filters, half spectra of %llu out-channels\n", layer, steps.count, kernel[0],
                kernel[1], (unsigned long long)spectra.dim[1]);
    hs_h5_drop(group);
    return st;
}

static hs_status print_histories(FILE *out, hid_t file)
{
    H5G_info_t info;
    hid_t history = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_open_group(file, "history", &history));
    H5_TRY_GOTO(st, file, H5Gget_info(history, &info), done);
    for (hsize_t i = 0; i < info.nlinks && st == HS_OK; i++) {
        char layer[128];
        H5_TRY_GOTO(st, file,
                    H5Lget_name_by_idx(history, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, layer, sizeof layer, H5P_DEFAULT), done);
        st = print_history(out, history, layer);
    }
done:
    hs_h5_drop(history);
    return st;
}

static hs_status print_run(FILE *out, hid_t file)
{
    HS_TRY(print_table(out, file, "train", "loss"));
    HS_TRY(print_table(out, file, "eval", "error_top1"));
    HS_TRY(print_histories(out, file));
    return hs_plan_print(out, file);
}

/* NO_SET: why PATH is no data set. */
static hs_status print_file(const char *path, const char *no_set, FILE *out)
{
    char kind[64];
    hid_t file = -1;
    hs_status st;
    HS_TRY(hs_h5_open(path, false, &file));
    HS_TRY_GOTO(st, hs_h5_signature_or(file, kind, no_set), done);
    fprintf(out, "%-12s %s\n", "file", path);
    print_text(out, file, "signature", "format");
    if (hs_h5_is_hard(file, "provenance"))
        HS_TRY_GOTO(st, print_provenance(out, file), done);
    if (strcmp(kind, HS_FORMAT_CHECKPOINT) == 0)
        st = print_checkpoint(out, file);
    else if (strcmp(kind, HS_FORMAT_RUN) == 0)
        st = print_run(out, file);
    else
        st = print_data(out, file, "");
done:
    hs_h5_drop(file);
    return st;
}

hs_status hs_store_info(const char *path, FILE *out)
{
    hs_h5_lock();
    /* A data set may be larger than memory: ask that first, it reads by ranges. */
    char no_set[800];
    hs_status st = HS_OK;
    if (!hs_set_info(path, out)) {
        snprintf(no_set, sizeof no_set, "%s", hs_fail_text());
        st = print_file(path, no_set, out);
    }
    hs_h5_unlock();
    return st;
}
