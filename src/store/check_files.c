/* check_files.c - what a run file and a checkpoint must hold, beyond what every file of ours must. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hs_spectrum.h"

static bool open_group(hs_check *check, hid_t parent, const char *name, hid_t *group)
{
    char where[300];
    if (hs_h5_open_group(parent, name, group) == HS_OK)
        return true;
    snprintf(where, sizeof where, "/%s", name);
    hs_finding_recorded(check, where);
    return false;
}

/* ---- run.h5 ---------------------------------------------------------------------------------------------------------------- */

/* `step` must grow, and every other data set whose first axis grows must have as many rows: HDF5's scales say which. */
static void check_steps(hs_check *check, hid_t group, const char *where)
{
    hid_t data = -1;
    hs_h5_shape s;
    int64_t *step = NULL;
    if (hs_h5_open_data(group, "step", (size_t)1 << 33, &data, &s) != HS_OK || s.rank != 1 ||
        hs_calloc(s.count + 1, sizeof *step, "steps", &step) != HS_OK ||
        (s.count && hs_h5_read(group, "step", HS_H5_I64, 1, s.dim, step) != HS_OK))
        hs_finding_recorded(check, where);
    else
        for (size_t i = 1; i < s.count; i++)
            if (step[i] <= step[i - 1]) {
                hs_finding(check, where, "steps do not grow at row %zu (%lld after %lld)", i, (long long)step[i],
                           (long long)step[i - 1]);
                break;
            }
    hs_free(step);
    hs_h5_drop(data);
}

static void check_histories(hs_check *check, hid_t history)
{
    H5G_info_t info;
    if (H5Gget_info(history, &info) < 0)
        return;
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[128], where[200];
        hid_t group = -1;
        if (H5Lget_name_by_idx(history, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0)
            continue;
        snprintf(where, sizeof where, "/history/%s", name);
        if (open_group(check, history, name, &group))
            check_steps(check, group, where);
        hs_h5_drop(group);
    }
}

void hs_check_run(hs_check *check)
{
    static const char *const need[] = {"provenance", "train", "eval", "layers", "history", "plots"};
    for (size_t i = 0; i < sizeof need / sizeof need[0]; i++) {
        hid_t group = -1;
        char where[64];
        if (!open_group(check, check->file, need[i], &group))
            continue;
        snprintf(where, sizeof where, "/%s", need[i]);
        if (strcmp(need[i], "train") == 0 || strcmp(need[i], "eval") == 0)
            check_steps(check, group, where);
        if (strcmp(need[i], "history") == 0)
            check_histories(check, group);
        hs_h5_drop(group);
    }
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------------------- */

/* Where coordinates are the half spectrum itself, both must say the same, to the last bit: COORDS [q][t], HALF
 * [q][kh][kw/2+1][2]. */
static bool same_filters(int kh, int kw, size_t pairs, hs_h5_type type, const double *coords, const double *half)
{
    size_t taps = (size_t)kh * (size_t)kw, size = 2 * (size_t)kh * (size_t)(kw / 2 + 1);
    double *again = NULL;
    bool same = hs_calloc(size, sizeof *again, "half spectrum", &again) == HS_OK;
    for (size_t q = 0; same && q < pairs; q++) {
        hs_coords_to_half(kh, kw, coords + q * taps, again);
        for (size_t i = 0; same && i < size; i++)
            same = (type == HS_H5_C64 ? (double)(float)again[i] : again[i]) == half[q * size + i];
    }
    hs_free(again);
    return same;
}

static void compare_filters(hs_check *check, hid_t group, const char *where)
{
    hs_h5_shape w, c;
    hid_t weight = -1, coordinates = -1;
    int32_t kernel[2];
    double *half = NULL, *coords = NULL;
    if (hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel) != HS_OK ||
        hs_h5_open_data(group, "weight", SIZE_MAX / 32, &weight, &w) != HS_OK ||
        hs_h5_open_data(group, "coordinates", SIZE_MAX / 32, &coordinates, &c) != HS_OK)
        hs_finding_recorded(check, where);
    else if (w.rank != 4 || c.rank != 3 || w.dim[0] != c.dim[0] || w.dim[1] != c.dim[1] || w.dim[2] != (hsize_t)kernel[0] ||
             w.dim[3] != (hsize_t)kernel[1] / 2 + 1 || c.dim[2] != w.dim[2] * (hsize_t)kernel[1])
        hs_finding(check, where, "weight and coordinates are not of the same filters");
    else if (hs_calloc(w.count + 1, 2 * sizeof *half, "weight", &half) != HS_OK ||
             hs_calloc(c.count + 1, sizeof *coords, "coordinates", &coords) != HS_OK ||
             hs_h5_read(group, "weight", HS_H5_C128, 4, w.dim, half) != HS_OK ||
             hs_h5_read(group, "coordinates", HS_H5_F64, 3, c.dim, coords) != HS_OK)
        hs_finding_recorded(check, where);
    else if (!same_filters(kernel[0], kernel[1], (size_t)(c.dim[0] * c.dim[1]), w.type, coords, half))
        hs_finding(check, where, "weight is not the half spectrum of its coordinates");
    hs_free(half);
    hs_free(coords);
    hs_h5_drop(weight);
    hs_h5_drop(coordinates);
}

static void check_layer(hs_check *check, hid_t group, const char *where)
{
    char *arm = NULL;
    if (!hs_h5_has(group, "arm"))
        return;
    if (hs_h5_get_word(group, "arm", 32, &arm) != HS_OK)
        hs_finding_recorded(check, where);
    else if (strcmp(arm, hs_arm_name(HS_ARM_SPECTRAL)) == 0)
        compare_filters(check, group, where);
    hs_free(arm);
}

static void check_model(hs_check *check)
{
    H5G_info_t info;
    hid_t model = -1;
    if (!open_group(check, check->file, "model", &model))
        return;
    if (H5Gget_info(model, &info) < 0)
        info.nlinks = 0;
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[128], where[200];
        hid_t group = -1;
        if (H5Lget_name_by_idx(model, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0)
            continue;
        snprintf(where, sizeof where, "/model/%s", name);
        if (open_group(check, model, name, &group))
            check_layer(check, group, where);
        hs_h5_drop(group);
    }
    hs_h5_drop(model);
}

void hs_check_checkpoint(hs_check *check)
{
    hid_t group = -1;
    hs_state state;
    if (open_group(check, check->file, "state", &group) && hs_state_read(group, &state) != HS_OK)
        hs_finding_recorded(check, "/state");
    hs_h5_drop(group);
    group = -1;
    open_group(check, check->file, "provenance", &group);
    hs_h5_drop(group);
    check_model(check);
}
