/* checkpoint_read.c - finding the newest sound checkpoint, and reading one back into slabs. */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_spectrum.h"
#include "parts.h"

static const size_t file_limit = (size_t)1 << 36;

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

static hs_status compare_digest(const char *path, const hs_manifest_row *row, const char *data, size_t bytes)
{
    hs_sha256 sha;
    char hex[65];
    if (row->bytes != bytes)
        return hs_fail(HS_EINPUT, "%s: %zu bytes, MANIFEST says %zu: the file is not as it was written", path, bytes, row->bytes);
    hs_sha256_init(&sha);
    hs_sha256_add(&sha, data, bytes);
    hs_sha256_hex(&sha, hex);
    if (strcmp(hex, row->sha256) != 0)
        return hs_fail(HS_EINPUT, "%s: its SHA-256 is not the one in MANIFEST: the file is not as it was written", path);
    return HS_OK;
}

/* The MANIFEST row for PATH, taken from the directory that PATH lies in; ROW->step = -1 if there is none. */
static hs_status row_beside(const char *path, hs_manifest_row *row)
{
    char folder[4096];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    hs_manifest *manifest = NULL;
    row->step = -1;
    if (hs_checkpoint_step_of(name) < 0)
        return HS_OK;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    HS_TRY(hs_manifest_read(folder, &manifest));
    const hs_manifest_row *found = hs_manifest_row_of(manifest, hs_checkpoint_step_of(name));
    if (found)
        *row = *found;
    hs_free(manifest);
    return HS_OK;
}

hs_status hs_checkpoint_open(const char *path, hid_t *file)
{
    char *data = NULL;
    size_t bytes = 0;
    hs_manifest_row row;
    hs_status st = HS_OK;
    hid_t id = -1;
    HS_TRY(row_beside(path, &row));
    HS_TRY(hs_file_read(path, file_limit, &data, &bytes));
    if (row.step >= 0)
        st = compare_digest(path, &row, data, bytes);
    if (st == HS_OK)
        st = hs_h5_open_image(path, data, bytes, false, &id);
    hs_free(data);
    HS_TRY(st);
    st = hs_h5_expect(id, HS_FORMAT_CHECKPOINT);
    if (st == HS_OK)
        *file = id;
    else
        hs_h5_drop(id);
    return st;
}

/* ---- finding --------------------------------------------------------------------------------------------------------------- */

/* Text that grows line by line; NULL until the first. */
static hs_status add_line(char **text, const char *format, ...)
{
    char line[1200];
    char *longer = NULL;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t old = *text ? strlen(*text) : 0;
    HS_TRY(hs_calloc(old + strlen(line) + 2, 1, "warnings", &longer));
    sprintf(longer, "%s%s\n", *text ? *text : "", line);
    hs_free(*text);
    *text = longer;
    return HS_OK;
}

/* Does the checkpoint open, and hold a state? Says why not in WARNINGS. A file that may be sound but cannot be read now (permissions, memory, a disk that
 * is away) is a failure: passed over, it would be cut off and lost. */
static hs_status look(const char *path, bool *sound, char **warnings)
{
    hid_t file = -1, group = -1;
    hs_state state;
    hs_h5_lock();
    hs_status st = hs_checkpoint_open(path, &file);
    if (st == HS_OK)
        st = hs_h5_open_group(file, "state", &group);
    if (st == HS_OK)
        st = hs_state_read(group, &state);
    hs_h5_drop(group);
    hs_h5_drop(file);
    hs_h5_unlock();
    *sound = st == HS_OK;
    if (st != HS_EINPUT)
        return st;
    char why[900];
    snprintf(why, sizeof why, "%s", hs_fail_text());
    hs_fail_clear();
    return add_line(warnings, "passed over a checkpoint: %s", why);
}

/* Steps to try, ascending: those of MANIFEST, or of the directory if there is no MANIFEST. */
static hs_status candidates(const char *folder, int64_t **steps, int *count, char **warnings)
{
    hs_manifest *manifest = NULL;
    int64_t *list = NULL;
    hs_status st = HS_OK;
    HS_TRY(hs_manifest_read(folder, &manifest));
    if (manifest->present && manifest->rows > 0) {
        st = hs_calloc((size_t)manifest->rows + 1, sizeof *list, "steps", &list);
        for (int i = 0; st == HS_OK && i < manifest->rows; i++)
            list[i] = manifest->row[i].step;
        *count = manifest->rows;
    } else {
        st = hs_manifest_files(folder, &list, count);
        if (st == HS_OK && *count > 0)
            st = add_line(warnings, "%s/MANIFEST is missing or damaged: taking the newest checkpoint that opens", folder);
    }
    hs_free(manifest);
    if (st == HS_OK)
        *steps = list;
    else
        hs_free(list);
    return st;
}

hs_status hs_checkpoint_find(const char *dir, char *path, size_t capacity, char **warnings)
{
    char folder[4096], candidate[4200], *said = NULL;
    int64_t *steps = NULL;
    int count = 0, i = -1;
    snprintf(folder, sizeof folder, "%s/ckpt", dir);
    hs_status st = candidates(folder, &steps, &count, &said);
    bool sound = false;
    for (i = count - 1; st == HS_OK && i >= 0; i--) {
        hs_checkpoint_name(folder, steps[i], candidate, sizeof candidate);
        st = look(candidate, &sound, &said);
        if (sound)
            break;
    }
    if (st == HS_OK && i >= 0 && strlen(candidate) >= capacity)
        st = hs_fail(HS_EUSAGE, "%s: the path is too long", candidate);
    if (st == HS_OK)
        snprintf(path, capacity, "%s", i >= 0 ? candidate : "");
    hs_free(steps);
    if (warnings)
        *warnings = said;
    else
        hs_free(said);
    return st;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

/* COUNT numbers at DATA from FROM bytes each to TO bytes each, in place; DATA has room for either. Through memcpy: the two types
 * may not alias. */
static void convert(char *data, size_t count, hs_real from, hs_real to)
{
    if (from == to)
        return;
    for (size_t k = 0; k < count; k++) {
        size_t i = to > from ? count - 1 - k : k; /* growing numbers move from the end */
        float f32;
        double f64;
        if (from == HS_F32) {
            memcpy(&f32, data + i * from, from);
            f64 = (double)f32;
            memcpy(data + i * to, &f64, to);
        } else {
            memcpy(&f64, data + i * from, from);
            f32 = (float)f64;
            memcpy(data + i * to, &f32, to);
        }
    }
}

/* Read in the file's own precision, as its seal is over those bytes. */
static hs_status read_numbers(hid_t group, const hs_param *p, hs_real real, const char *name, char *numbers)
{
    hsize_t dim[HS_H5_RANK];
    hs_h5_shape shape;
    hid_t data = -1;
    int rank = hs_layout_dims(p, dim);
    HS_TRY(hs_h5_open_data(group, name, file_limit, &data, &shape));
    hs_h5_drop(data);
    hs_real stored = shape.type == HS_H5_F64 ? HS_F64 : HS_F32;
    HS_TRY(hs_h5_read(group, name, hs_h5_real(stored), rank, dim, numbers));
    HS_TRY(hs_h5_check_seal(group, name, numbers, p->count * stored));
    convert(numbers, p->count, stored, real);
    return HS_OK;
}

static hs_status read_range(hid_t group, const hs_param *p, hs_real real, const char *name, void *slab)
{
    char *file_order = NULL;
    HS_TRY(hs_calloc(p->count, sizeof(double), name, &file_order));
    hs_status st = read_numbers(group, p, real, name, file_order);
    if (st == HS_OK)
        hs_layout_from_file(p, real, file_order, (char *)slab + p->offset * real);
    hs_free(file_order);
    return st;
}

/* A filter's coordinates mean something only in the arm they belong to. */
static hs_status check_filter(hid_t group, const hs_param *p)
{
    int32_t kernel[2];
    char *arm = NULL, *embed = NULL, path[512];
    const char *want = hs_arm_name(p->arm), *want_embed = p->embed == HS_EMBED_BAND ? "band" : "space";
    hs_status st = hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel);
    if (st == HS_OK)
        st = hs_h5_get_word(group, "arm", 32, &arm);
    if (st == HS_OK)
        st = hs_h5_get_word(group, "embed", 32, &embed);
    hs_h5_path(group, path, sizeof path);
    if (st == HS_OK && (kernel[0] != p->kh || kernel[1] != p->kw))
        st = hs_fail(HS_EINPUT, "%s: layer %s has %dx%d filters, this network has %dx%d", path, p->layer, kernel[0], kernel[1],
                     p->kh, p->kw);
    else if (st == HS_OK && strcmp(arm, want) != 0)
        st = hs_fail(HS_EINPUT, "%s: layer %s was trained with param = %s, this network has param = %s", path, p->layer, arm, want);
    else if (st == HS_OK && strcmp(embed, want_embed) != 0)
        st = hs_fail(HS_EINPUT, "%s: layer %s was trained with embed = %s, this network has embed = %s", path, p->layer, embed,
                     want_embed);
    hs_free(arm);
    hs_free(embed);
    return st;
}

static hs_status read_parameter(hid_t model, const hs_param *p, hs_real real, void *slab)
{
    hid_t group = -1;
    char path[512];
    if (!hs_h5_is_hard(model, p->layer))
        return hs_fail(HS_EINPUT, "%s: it has no layer %s, which this network has", hs_h5_path(model, path, sizeof path), p->layer);
    HS_TRY(hs_h5_open_group(model, p->layer, &group));
    bool filter = p->role == HS_ROLE_FILTER;
    hs_status st = filter ? check_filter(group, p) : HS_OK;
    if (st == HS_OK)
        st = read_range(group, p, real, filter ? "coordinates" : p->name, slab);
    hs_h5_drop(group);
    return st;
}

/* The layers of the file must be the network's, no more. */
static hs_status check_layers(hid_t model, const hs_checkpoint *ck)
{
    H5G_info_t info;
    char path[512], name[HS_NAME_MAX * 2];
    H5_TRY(model, H5Gget_info(model, &info));
    for (hsize_t i = 0; i < info.nlinks; i++) {
        bool known = false;
        H5_TRY(model, H5Lget_name_by_idx(model, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT));
        for (int p = 0; p < ck->params && !known; p++)
            known = strcmp(name, ck->param[p].layer) == 0;
        if (!known)
            return hs_fail(HS_EINPUT, "%s: it has a layer %s, which this network has not", hs_h5_path(model, path, sizeof path),
                           name);
    }
    return HS_OK;
}

static hs_status read_model(hid_t file, hs_checkpoint *ck)
{
    hid_t model = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_open_group(file, "model", &model));
    for (int i = 0; i < ck->params && st == HS_OK; i++)
        st = read_parameter(model, &ck->param[i], ck->real, ck->parameters.data);
    for (int i = 0; i < ck->statistics && st == HS_OK; i++)
        st = read_parameter(model, &ck->statistic[i], ck->real, ck->statistics_slab.data);
    if (st == HS_OK)
        st = check_layers(model, ck);
    hs_h5_drop(model);
    return st;
}

static hs_status read_layer_moments(hid_t optimizer, const hs_checkpoint *ck, const hs_param *p)
{
    hid_t group = -1;
    hs_status st = HS_OK;
    HS_TRY(hs_h5_open_group(optimizer, p->layer, &group));
    for (int m = 0; m < ck->moments && st == HS_OK; m++) {
        char name[48];
        snprintf(name, sizeof name, "%s_%s", p->name, ck->moment[m].name);
        st = read_range(group, p, ck->real, name, ck->moment[m].data);
    }
    hs_h5_drop(group);
    return st;
}

/* Going on bit for bit needs the same update rule and the same kind of numbers. */
static hs_status check_optimizer(hid_t state, const hs_checkpoint *ck)
{
    int32_t slots = 0, real = 0;
    char *name = NULL, path[512];
    HS_TRY(hs_h5_get(state, "moments", HS_H5_I32, 0, &slots));
    HS_TRY(hs_h5_get(state, "real_bytes", HS_H5_I32, 0, &real));
    HS_TRY(hs_h5_get_word(state, "optimizer", 64, &name));
    hs_status st = HS_OK;
    hs_h5_path(state, path, sizeof path);
    if (ck->optimizer && strcmp(name, ck->optimizer) != 0)
        st = hs_fail(HS_EINPUT, "%s: trained with optimizer = %s, this run has %s", path, name, ck->optimizer);
    else if (slots != ck->moments)
        st = hs_fail(HS_EINPUT, "%s: holds %d moments per parameter, this optimizer has %d", path, slots, ck->moments);
    else if (real != (int32_t)ck->real)
        st = hs_fail(HS_EINPUT, "%s: numbers of %d bytes, this backend computes with %d: choose the device it was trained on",
                     path, real, (int)ck->real);
    hs_free(name);
    return st;
}

static hs_status read_moments(hid_t file, hid_t state, hs_checkpoint *ck)
{
    hid_t optimizer = -1;
    hs_status st = HS_OK;
    HS_TRY(check_optimizer(state, ck));
    HS_TRY(hs_h5_open_group(file, "optimizer", &optimizer));
    for (int i = 0; i < ck->params && st == HS_OK; i++)
        st = read_layer_moments(optimizer, ck, &ck->param[i]);
    hs_h5_drop(optimizer);
    return st;
}

static hs_status read_all(const char *path, hs_checkpoint *checkpoint)
{
    hid_t file = -1, state = -1;
    hs_status st;
    hs_state found;
    HS_TRY(hs_checkpoint_open(path, &file));
    HS_TRY_GOTO(st, hs_h5_open_group(file, "state", &state), done);
    HS_TRY_GOTO(st, hs_state_read(state, &found), done);
    HS_TRY_GOTO(st, read_model(file, checkpoint), done);
    if (checkpoint->moments > 0)
        HS_TRY_GOTO(st, read_moments(file, state, checkpoint), done);
    checkpoint->state = found;
done:
    hs_h5_drop(state);
    hs_h5_drop(file);
    return st;
}

hs_status hs_checkpoint_read(const char *path, hs_checkpoint *checkpoint)
{
    hs_h5_lock();
    hs_status st = read_all(path, checkpoint);
    hs_h5_unlock();
    return st;
}
