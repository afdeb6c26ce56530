/* checkpoint_write.c - a whole training state as one file.
 *
 *   /state                      attributes: hs_state by name; notation, optimizer, config, ... as fixed-length words for our own
 * reader /model/<layer>/weight       filters for people: half spectrum {r,i}[O,I,kh,kw/2+1] (unitary, as numpy.fft.rfft2 orders
 * it) or taps [O,I,kh,kw] /model/<layer>/coordinates  the same filters as the optimizer holds them [O,I,T]: what is read back,
 * bit for bit /model/<layer>/<name>       dense weight [O,I], bias, gamma, beta, mean, var /optimizer/<layer>/<name>_m moments,
 * in coordinates Numbers are float32, or float64 where the backend computes in double. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hs_spectrum.h"
#include "parts.h"

/* ---- axes ------------------------------------------------------------------------------------------------------------------ */

/* Make the scale NAME of COUNT entries in GROUP unless it is there; VALUES as hs_h5_make_axis. */
static hs_status need_axis(hid_t group, const char *name, hsize_t count, const int32_t *values)
{
    return H5Lexists(group, name, H5P_DEFAULT) > 0 ? HS_OK : hs_h5_make_axis(group, name, count, values);
}

/* Signed frequencies in FFT order: 0, 1, .., -1. */
static hs_status need_frequencies(hid_t group, int side)
{
    int32_t *ky = NULL;
    HS_TRY(hs_calloc((size_t)side, sizeof *ky, "ky", &ky));
    for (int k = 0; k < side; k++)
        ky[k] = hs_signed_frequency(k, side);
    hs_status st = need_axis(group, "ky", (hsize_t)side, ky);
    hs_free(ky);
    return st;
}

static hs_status need_axes(hid_t group, const hs_param *p)
{
    if (p->role != HS_ROLE_FILTER && p->role != HS_ROLE_DENSE)
        return H5Lexists(group, "out_channel", H5P_DEFAULT) > 0 ? HS_OK : need_axis(group, "channel", p->count, NULL);
    HS_TRY(need_axis(group, "out_channel", (hsize_t)p->out, NULL));
    HS_TRY(need_axis(group, "in_channel", (hsize_t)p->in, NULL));
    return p->role == HS_ROLE_FILTER ? need_axis(group, "coordinate", (hsize_t)p->coords, NULL) : HS_OK;
}

/* ---- one parameter as a slab holds it -------------------------------------------------------------------------------------- */

static hs_status write_range(hid_t group, const hs_param *p, hs_real real, const char *name, const void *slab)
{
    char *moved = NULL;
    hs_h5_spec spec = {.name = name, .type = hs_h5_real(real), .scale = {"channel"}};
    spec.rank = hs_layout_dims(p, spec.dim);
    if (spec.rank > 1) {
        const char *scale[] = {"out_channel", "in_channel", "coordinate"};
        memcpy(spec.scale, scale, (size_t)spec.rank * sizeof scale[0]);
    }
    HS_TRY(need_axes(group, p));
    if (spec.rank == 1 && H5Lexists(group, "out_channel", H5P_DEFAULT) > 0)
        spec.scale[0] = "out_channel"; /* a bias beside its weight */
    HS_TRY(hs_calloc(p->count, real, name, &moved));
    hs_layout_to_file(p, real, (const char *)slab + p->offset * real, moved);
    hs_status st = hs_h5_make(group, &spec, HS_H5_SAME, moved);
    if (st == HS_OK)
        st = hs_h5_seal(group, name, moved, p->count * real);
    hs_free(moved);
    return st;
}

/* ---- filters for people ---------------------------------------------------------------------------------------------------- */

/* COORDS [coord][in][out] in double of filter P from the slab, in the backend's numbers. */
static void widen(const hs_checkpoint *ck, const hs_param *p, double *coords)
{
    const float *f32 = (const float *)ck->parameters.data + p->offset;
    const double *f64 = (const double *)ck->parameters.data + p->offset;
    for (size_t i = 0; i < p->count; i++)
        coords[i] = ck->real == HS_F64 ? f64[i] : (double)f32[i];
}

/* SPECTRUM [q][kh*kw] to half spectra [q][kh][kw/2+1][2] or planes [q][kh*kw], as the arm's files show them. */
static hs_status shown_filters(const hs_param *p, const double *spectrum, double *shown)
{
    size_t pairs = (size_t)p->out * (size_t)p->in, taps = (size_t)p->kh * (size_t)p->kw,
           half = 2 * (size_t)p->kh * (size_t)(p->kw / 2 + 1);
    double *scratch = NULL;
    HS_TRY(hs_calloc(half, sizeof *scratch, "half spectrum", &scratch));
    for (size_t q = 0; q < pairs; q++)
        if (hs_layout_is_spectral(p->arm))
            hs_coords_to_half(p->kh, p->kw, spectrum + q * taps, shown + q * half);
        else
            hs_coords_to_plane(p->kh, p->kw, spectrum + q * taps, shown + q * taps, scratch);
    hs_free(scratch);
    return HS_OK;
}

/* SHOWN from COORDS. Where the coordinates are the numbers to show they are only moved, so that exact zeros stay exact. */
static hs_status show(const hs_checkpoint *ck, const hs_param *p, const double *coords, double *spectrum, double *shown)
{
    if (p->arm == HS_ARM_SPATIAL) {
        hs_layout_to_file(p, sizeof *coords, coords, shown);
        return HS_OK;
    }
    if (p->arm == HS_ARM_SPECTRAL)
        hs_layout_to_file(p, sizeof *coords, coords, spectrum);
    else
        HS_TRY(ck->spectrum(ck->context, p, coords, spectrum));
    return shown_filters(p, spectrum, shown);
}

static hs_status write_shown(hid_t group, const hs_param *p, hs_real real, const double *shown)
{
    bool spectral = hs_layout_is_spectral(p->arm);
    hs_h5_spec spec = {.name = "weight", .rank = 4, .dim = {(hsize_t)p->out, (hsize_t)p->in, (hsize_t)p->kh, (hsize_t)p->kw}};
    const char *scale[] = {"out_channel", "in_channel", spectral ? "ky" : "y", spectral ? "kx" : "x"};
    memcpy(spec.scale, scale, sizeof scale);
    spec.type = hs_h5_real(real);
    HS_TRY(need_axes(group, p));
    if (spectral) {
        spec.dim[3] = (hsize_t)(p->kw / 2 + 1);
        spec.type = real == HS_F64 ? HS_H5_C128 : HS_H5_C64;
        HS_TRY(need_frequencies(group, p->kh));
    } else {
        HS_TRY(need_axis(group, "y", (hsize_t)p->kh, NULL));
    }
    HS_TRY(need_axis(group, scale[3], spec.dim[3], NULL));
    return hs_h5_make(group, &spec, spectral ? HS_H5_C128 : HS_H5_F64, shown);
}

static hs_status describe_filter(hid_t group, const hs_param *p)
{
    int32_t kernel[2] = {p->kh, p->kw};
    HS_TRY(hs_h5_set(group, "kernel", HS_H5_I32, 2, kernel));
    HS_TRY(hs_h5_set_text(group, "param", hs_arm_name(p->arm)));
    HS_TRY(hs_h5_set_word(group, "arm", hs_arm_name(p->arm)));
    HS_TRY(hs_h5_set_word(group, "embed", p->embed == HS_EMBED_BAND ? "band" : "space"));
    return hs_h5_set_text(group, "fft_norm", "ortho");
}

static hs_status write_filter(hid_t group, const hs_checkpoint *ck, const hs_param *p)
{
    hs_status st;
    size_t pairs = (size_t)p->out * (size_t)p->in, taps = (size_t)p->kh * (size_t)p->kw;
    double *coords = NULL, *spectrum = NULL, *shown = NULL;
    HS_TRY(describe_filter(group, p));
    HS_TRY_GOTO(st, hs_calloc(p->count, sizeof *coords, "coordinates", &coords), done);
    HS_TRY_GOTO(st, hs_calloc(pairs * taps, sizeof *spectrum, "spectrum", &spectrum), done);
    HS_TRY_GOTO(st, hs_calloc(pairs * 2 * (size_t)p->kh * (size_t)(p->kw / 2 + 1), sizeof *shown, "filters", &shown), done);
    widen(ck, p, coords);
    HS_TRY_GOTO(st, show(ck, p, coords, spectrum, shown), done);
    HS_TRY_GOTO(st, write_shown(group, p, ck->real, shown), done);
    st = write_range(group, p, ck->real, "coordinates", ck->parameters.data);
done:
    hs_free(coords);
    hs_free(spectrum);
    hs_free(shown);
    return st;
}

/* ---- the file -------------------------------------------------------------------------------------------------------------- */

/* Group of a layer, made when its first parameter comes. */
static hs_status layer_group(hid_t parent, const char *layer, hid_t *group)
{
    if (H5Lexists(parent, layer, H5P_DEFAULT) <= 0)
        return hs_h5_make_group(parent, layer, group);
    H5_TRY(parent, *group = H5Gopen2(parent, layer, H5P_DEFAULT));
    return HS_OK;
}

static hs_status write_table(hid_t model, const hs_checkpoint *ck, const hs_param *param, int params, const void *slab)
{
    for (int i = 0; i < params; i++) {
        const hs_param *p = &param[i];
        hid_t group = -1;
        HS_TRY(layer_group(model, p->layer, &group));
        hs_status st = p->role == HS_ROLE_FILTER ? write_filter(group, ck, p) : write_range(group, p, ck->real, p->name, slab);
        hs_h5_drop(group);
        HS_TRY(st);
    }
    return HS_OK;
}

static hs_status write_moments(hid_t optimizer, const hs_checkpoint *ck)
{
    for (int i = 0; i < ck->params; i++) {
        hid_t group = -1;
        hs_status st = HS_OK;
        HS_TRY(layer_group(optimizer, ck->param[i].layer, &group));
        for (int m = 0; m < ck->moments && st == HS_OK; m++) {
            char name[48];
            snprintf(name, sizeof name, "%s_%s", ck->param[i].name, ck->moment[m].name);
            st = write_range(group, &ck->param[i], ck->real, name, ck->moment[m].data);
        }
        hs_h5_drop(group);
        HS_TRY(st);
    }
    return HS_OK;
}

static hs_status write_state(hid_t file, const hs_checkpoint *ck, const hs_provenance *provenance)
{
    hid_t group = -1;
    hs_status st;
    int32_t shape[3] = {ck->in.h, ck->in.w, ck->in.c}, classes = ck->classes, slots = ck->moments, real = ck->real;
    HS_TRY(hs_h5_make_group(file, "state", &group));
    HS_TRY_GOTO(st, hs_state_write(group, &ck->state), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "notation", ck->notation), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "optimizer", ck->optimizer), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "config", provenance->config_text), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "dataset", provenance->dataset), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "dataset_sha256", provenance->dataset_digest), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "heldout_sha256", provenance->held_digest), done);
    HS_TRY_GOTO(st, hs_h5_set_word(group, "precision", provenance->precision), done);
    HS_TRY_GOTO(st, hs_h5_set(group, "input_shape", HS_H5_I32, 3, shape), done);
    HS_TRY_GOTO(st, hs_h5_set(group, "classes", HS_H5_I32, 0, &classes), done);
    HS_TRY_GOTO(st, hs_h5_set(group, "moments", HS_H5_I32, 0, &slots), done);
    st = hs_h5_set(group, "real_bytes", HS_H5_I32, 0, &real);
done:
    hs_h5_drop(group);
    return st;
}

static hs_status write_groups(hid_t file, const hs_checkpoint *ck)
{
    hid_t model = -1, optimizer = -1;
    hs_status st;
    HS_TRY_GOTO(st, hs_h5_make_group(file, "model", &model), done);
    HS_TRY_GOTO(st, write_table(model, ck, ck->param, ck->params, ck->parameters.data), done);
    HS_TRY_GOTO(st, write_table(model, ck, ck->statistic, ck->statistics, ck->statistics_slab.data), done);
    HS_TRY_GOTO(st, hs_h5_make_group(file, "optimizer", &optimizer), done);
    HS_TRY_GOTO(st, hs_h5_set_text(optimizer, "name", ck->optimizer), done);
    HS_TRY_GOTO(st, hs_h5_set_i64(optimizer, "t", ck->state.adam_t), done);
    st = write_moments(optimizer, ck);
done:
    hs_h5_drop(optimizer);
    hs_h5_drop(model);
    return st;
}

static hs_status build_image(const char *path, const hs_checkpoint *ck, const hs_provenance *provenance, char **image,
                             size_t *bytes)
{
    hid_t file = -1;
    hs_status st;
    HS_TRY(hs_h5_create(path, HS_FORMAT_CHECKPOINT, &file));
    HS_TRY_GOTO(st, hs_write_provenance(file, provenance), done);
    HS_TRY_GOTO(st, write_state(file, ck, provenance), done);
    HS_TRY_GOTO(st, write_groups(file, ck), done);
    st = hs_h5_image(file, image, bytes);
done:
    hs_h5_drop(file);
    return st;
}

/* ---- onto the disk: new file, MANIFEST, and only then away with the old ---------------------------------------------------- */

/* Files that MANIFEST no longer lists. Failing to remove one harms nobody: the next save tries again. */
static void remove_unlisted(const char *folder, const hs_manifest *manifest)
{
    int64_t *steps = NULL;
    int count = 0;
    char path[4200];
    if (hs_manifest_files(folder, &steps, &count) != HS_OK) {
        hs_fail_clear();
        return;
    }
    for (int i = 0; i < count; i++)
        if (!hs_manifest_row_of(manifest, steps[i])) {
            hs_checkpoint_name(folder, steps[i], path, sizeof path);
            unlink(path);
        }
    hs_free(steps);
}

static hs_status place(const char *folder, const char *image, const hs_manifest_row *row, int keep)
{
    char path[4200];
    hs_manifest *manifest = NULL;
    HS_TRY(hs_manifest_read(folder, &manifest));
    hs_status st = HS_OK;
    if (!manifest->present)
        st = hs_manifest_rebuild(folder, manifest);
    hs_checkpoint_name(folder, row->step, path, sizeof path);
    if (st == HS_OK)
        st = hs_file_replace(path, image, row->bytes);
    if (st == HS_OK) {
        hs_manifest_add(manifest, row);
        hs_manifest_thin(manifest, keep);
        st = hs_manifest_save(folder, manifest);
    }
    if (st == HS_OK) {
        remove_unlisted(folder, manifest);
        hs_dir_sweep(folder);
    }
    hs_free(manifest);
    return st;
}

hs_status hs_checkpoint_write(const char *dir, const hs_checkpoint *checkpoint, const hs_provenance *provenance, int keep,
                              bool best, double error)
{
    char folder[4096], path[4200], *image = NULL;
    hs_manifest_row row = {.step = checkpoint->state.step, .error = error, .best = best};
    hs_sha256 sha;
    snprintf(folder, sizeof folder, "%s/ckpt", dir);
    hs_checkpoint_name(folder, row.step, path, sizeof path);
    HS_TRY(hs_dir_make(folder));
    hs_h5_lock();
    hs_status st = build_image(path, checkpoint, provenance, &image, &row.bytes);
    hs_h5_unlock();
    HS_TRY(st);
    hs_sha256_init(&sha);
    hs_sha256_add(&sha, image, row.bytes);
    hs_sha256_hex(&sha, row.sha256);
    st = place(folder, image, &row, keep);
    hs_free(image);
    return st;
}
