/* checkpoint_peek.c - parts of a checkpoint that are wanted before a network exists, and single filter banks for warm starts. */
#include <stdio.h>
#include <string.h>

#include "hs_spectrum.h"
#include "parts.h"

enum { TEXT_LIMIT = 1 << 20, SIDE_LIMIT = 4096 };

void hs_checkpoint_head_free(hs_checkpoint_head *head)
{
    hs_free(head->notation);
    hs_free(head->config_text);
    hs_free(head->dataset);
    hs_free(head->precision);
    hs_free(head->dataset_digest);
    hs_free(head->held_digest);
    memset(head, 0, sizeof *head);
}

/* "" in files from before it was recorded. */
static hs_status read_digest(hid_t group, const char *name, char **digest)
{
    return hs_h5_has(group, name) ? hs_h5_get_word(group, name, 128, digest) : hs_calloc(1, 1, name, digest);
}

static hs_status read_head(hid_t group, hs_checkpoint_head *head)
{
    int32_t shape[3], classes;
    HS_TRY(hs_state_read(group, &head->state));
    HS_TRY(hs_h5_get_word(group, "notation", TEXT_LIMIT, &head->notation));
    HS_TRY(hs_h5_get_word(group, "config", TEXT_LIMIT, &head->config_text));
    HS_TRY(hs_h5_get_word(group, "dataset", TEXT_LIMIT, &head->dataset));
    HS_TRY(hs_h5_get_word(group, "precision", TEXT_LIMIT, &head->precision));
    HS_TRY(read_digest(group, "dataset_sha256", &head->dataset_digest));
    HS_TRY(read_digest(group, "heldout_sha256", &head->held_digest));
    HS_TRY(hs_h5_get(group, "input_shape", HS_H5_I32, 3, shape));
    HS_TRY(hs_h5_get(group, "classes", HS_H5_I32, 0, &classes));
    if (shape[0] < 1 || shape[1] < 1 || shape[2] < 1 || classes < 1)
        return hs_fail(HS_EINPUT, "the checkpoint's input shape %dx%dx%d with %d classes cannot be", shape[0], shape[1], shape[2],
                       classes);
    head->in = (hs_shape){shape[0], shape[1], shape[2]};
    head->classes = classes;
    return HS_OK;
}

static hs_status peek(const char *path, hs_checkpoint_head *head)
{
    hid_t file = -1, group = -1;
    hs_checkpoint_head found = {0};
    hs_status st;
    HS_TRY(hs_checkpoint_open(path, &file));
    HS_TRY_GOTO(st, hs_h5_open_group(file, "state", &group), done);
    st = read_head(group, &found);
    if (st == HS_OK)
        *head = found;
    else
        hs_checkpoint_head_free(&found);
done:
    hs_h5_drop(group);
    hs_h5_drop(file);
    return st;
}

hs_status hs_checkpoint_peek(const char *path, hs_checkpoint_head *head)
{
    hs_h5_lock();
    hs_status st = peek(path, head);
    hs_h5_unlock();
    return st;
}

/* ---- one filter bank ------------------------------------------------------------------------------------------------------- */

typedef struct bank {
    hs_arm arm;
    int out, in, kh, kw;
} bank;

static hs_status describe(hid_t group, const char *path, const char *layer, bank *b)
{
    int32_t kernel[2];
    hs_h5_shape shape;
    hid_t data = -1;
    char *arm = NULL;
    HS_TRY(hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel));
    HS_TRY(hs_h5_get_word(group, "arm", 32, &arm));
    bool known = hs_arm_from_name(arm, &b->arm);
    hs_free(arm);
    HS_TRY(hs_h5_open_data(group, "coordinates", (size_t)1 << 36, &data, &shape));
    hs_h5_drop(data);
    if (!known || shape.rank != 3 || kernel[0] < 1 || kernel[1] < 1 || kernel[0] > SIDE_LIMIT || kernel[1] > SIDE_LIMIT ||
        shape.dim[0] > INT32_MAX || shape.dim[1] > INT32_MAX ||
        shape.dim[2] != (hsize_t)hs_arm_coords(b->arm, kernel[0], kernel[1]))
        return hs_fail(HS_EINPUT, "%s: layer %s does not describe a filter bank that this program knows", path, layer);
    b->out = (int)shape.dim[0];
    b->in = (int)shape.dim[1];
    b->kh = kernel[0];
    b->kw = kernel[1];
    return HS_OK;
}

/* Spatial and spectral coordinates are exact and need no detour; other arms are read as the file shows them, in its precision. */
static hs_status read_shown(hid_t group, const bank *b, double *shown)
{
    hsize_t dim[4] = {(hsize_t)b->out, (hsize_t)b->in, (hsize_t)b->kh, (hsize_t)b->kw},
            exact[3] = {dim[0], dim[1], dim[2] * dim[3]};
    if (b->arm == HS_ARM_SPATIAL || b->arm == HS_ARM_SPECTRAL)
        return hs_h5_read(group, "coordinates", HS_H5_F64, 3, exact, shown);
    if (!hs_layout_is_spectral(b->arm))
        return hs_h5_read(group, "weight", HS_H5_F64, 4, dim, shown);
    dim[3] = (hsize_t)(b->kw / 2 + 1);
    return hs_h5_read(group, "weight", HS_H5_C128, 4, dim, shown);
}

static hs_status to_spectrum(const bank *b, const double *shown, double *spectrum)
{
    size_t pairs = (size_t)b->out * (size_t)b->in, taps = (size_t)b->kh * (size_t)b->kw,
           half = 2 * (size_t)b->kh * (size_t)(b->kw / 2 + 1);
    double *scratch = NULL;
    if (b->arm == HS_ARM_SPECTRAL) {
        memcpy(spectrum, shown, pairs * taps * sizeof *spectrum);
        return HS_OK;
    }
    HS_TRY(hs_calloc(half, sizeof *scratch, "half spectrum", &scratch));
    for (size_t q = 0; q < pairs; q++)
        if (hs_layout_is_spectral(b->arm))
            hs_half_to_coords(b->kh, b->kw, shown + q * half, spectrum + q * taps);
        else
            hs_plane_to_coords(b->kh, b->kw, shown + q * taps, spectrum + q * taps, scratch);
    hs_free(scratch);
    return HS_OK;
}

static hs_status read_bank(hid_t group, const bank *b, double **spectrum)
{
    size_t pairs = (size_t)b->out * (size_t)b->in, taps = (size_t)b->kh * (size_t)b->kw,
           half = 2 * (size_t)b->kh * (size_t)(b->kw / 2 + 1);
    double *shown = NULL, *found = NULL;
    hs_status st;
    HS_TRY_GOTO(st, hs_calloc(pairs * half, sizeof *shown, "filters", &shown), done);
    HS_TRY_GOTO(st, hs_calloc(pairs * taps, sizeof *found, "spectrum", &found), done);
    HS_TRY_GOTO(st, read_shown(group, b, shown), done);
    HS_TRY_GOTO(st, to_spectrum(b, shown, found), done);
    *spectrum = found;
    found = NULL;
done:
    hs_free(shown);
    hs_free(found);
    return st;
}

static hs_status read_layer(const char *path, const char *layer, bank *b, double **spectrum)
{
    hid_t file = -1, model = -1, group = -1;
    hs_status st;
    HS_TRY(hs_checkpoint_open(path, &file));
    HS_TRY_GOTO(st, hs_h5_open_group(file, "model", &model), done);
    if (!hs_h5_is_hard(model, layer)) {
        st = hs_fail(HS_EINPUT, "%s: it has no layer named %s", path, layer);
        goto done;
    }
    HS_TRY_GOTO(st, hs_h5_open_group(model, layer, &group), done);
    HS_TRY_GOTO(st, describe(group, path, layer, b), done);
    st = read_bank(group, b, spectrum);
done:
    hs_h5_drop(group);
    hs_h5_drop(model);
    hs_h5_drop(file);
    return st;
}

hs_status hs_checkpoint_filters(const char *path, const char *layer, int *out, int *in, int *kh, int *kw, double **spectrum)
{
    bank b = {0};
    hs_h5_lock();
    hs_status st = read_layer(path, layer, &b, spectrum);
    hs_h5_unlock();
    HS_TRY(st);
    *out = b.out;
    *in = b.in;
    *kh = b.kh;
    *kw = b.kw;
    return HS_OK;
}
