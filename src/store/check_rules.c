/* check_rules.c - the rules of `halfspec check`, one function each. */
#include "config.h"

#include <hdf5_hl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hs_spectrum.h"

static const size_t block_bytes = (size_t)64 << 20;

/* ---- data sets ------------------------------------------------------------------------------------------------------------- */

static bool is_text(hid_t data)
{
    hid_t type = H5Dget_type(data);
    bool text = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0;
    hs_h5_drop(type);
    return text;
}

static bool has_checksum(hid_t data)
{
    bool found = false;
    hid_t plist = H5Dget_create_plist(data);
    for (int i = 0; i < H5Pget_nfilters(plist) && !found; i++) {
        unsigned flags, config;
        size_t values = 0;
        found = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, 0, NULL, &config) == H5Z_FILTER_FLETCHER32;
    }
    hs_h5_drop(plist);
    return found;
}

/* Read everything once, in blocks of rows, so that HDF5 compares every checksum. */
static bool reads_whole(hid_t data, const hs_h5_shape *s)
{
    char *buffer = NULL;
    size_t row = s->dim[0] ? s->count / (size_t)s->dim[0] * s->bytes : 0, rows = row && row < block_bytes ? block_bytes / row : 1;
    hid_t type = H5Dget_type(data), space = H5Dget_space(data), memory = -1;
    bool good = s->count == 0 || hs_calloc(rows < s->dim[0] ? rows : (size_t)s->dim[0], row, "block", &buffer) == HS_OK;
    for (hsize_t at = 0; good && s->count && at < s->dim[0]; at += rows) {
        hsize_t start[HS_H5_RANK] = {at}, count[HS_H5_RANK];
        memcpy(count, s->dim, sizeof count);
        count[0] = s->dim[0] - at < rows ? s->dim[0] - at : rows;
        memory = H5Screate_simple(s->rank, count, NULL);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
               H5Dread(data, type, memory, space, H5P_DEFAULT, buffer) >= 0;
        hs_h5_drop(memory);
    }
    hs_h5_drop(space);
    hs_h5_drop(type);
    hs_free(buffer);
    return good;
}

/* H5DSiterate_scales callback: WANTED becomes 0 when the scale has as many entries as the axis it is attached to. */
static herr_t compare_extent(hid_t data, unsigned axis, hid_t scale, void *wanted)
{
    (void)data;
    (void)axis;
    hid_t space = H5Dget_space(scale);
    hssize_t points = H5Sget_simple_extent_npoints(space);
    hs_h5_drop(space);
    if (points >= 0 && (hsize_t)points == *(hsize_t *)wanted)
        *(hsize_t *)wanted = HSIZE_UNDEF;
    return 0;
}

static void check_scales(hs_check *check, hid_t data, int rank, const hsize_t *dim, const char *where)
{
    if (H5DSis_scale(data) > 0)
        return;
    for (int i = 0; i < rank; i++) {
        hsize_t wanted = dim[i];
        if (H5DSget_num_scales(data, (unsigned)i) < 1)
            hs_finding(check, where, "axis %d has no dimension scale", i);
        else if (H5DSiterate_scales(data, (unsigned)i, NULL, compare_extent, &wanted) < 0 || wanted != HSIZE_UNDEF)
            hs_finding(check, where, "the dimension scale of axis %d has another length than the axis", i);
    }
}

static void check_seal(hs_check *check, hid_t group, const char *name, const hs_h5_shape *s, const char *where)
{
    char *all = NULL;
    if (hs_calloc(s->count + 1, s->bytes, name, &all) != HS_OK ||
        (s->count && hs_h5_read(group, name, s->type, s->rank, s->dim, all) != HS_OK) ||
        hs_h5_check_seal(group, name, all, s->count * s->bytes) != HS_OK)
        hs_finding_recorded(check, where);
    hs_free(all);
}

static void check_texts(hs_check *check, hid_t data, const char *where)
{
    hsize_t dim[HS_H5_RANK] = {0};
    hid_t space = H5Dget_space(data);
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank == 1 && H5Sget_simple_extent_dims(space, dim, NULL) == 1)
        check_scales(check, data, rank, dim, where);
    else
        hs_finding(check, where, "texts with more than one axis");
    hs_h5_drop(space);
}

void hs_check_data(hs_check *check, hid_t group, const char *name, const char *where)
{
    hs_h5_shape shape;
    hid_t data = H5Dopen2(group, name, H5P_DEFAULT);
    bool text = data >= 0 && is_text(data);
    if (text)
        check_texts(check, data, where);
    hs_h5_drop(data);
    if (text)
        return;
    if (hs_h5_open_data(group, name, SIZE_MAX / 32, &data, &shape) != HS_OK) {
        hs_finding_recorded(check, where);
        return;
    }
    if (!has_checksum(data))
        hs_finding(check, where, "no Fletcher32 checksum");
    if (!hs_h5_is_complete(data, &shape))
        hs_finding(check, where, "damaged: some of its chunks cannot be found");
    if (!reads_whole(data, &shape))
        hs_finding(check, where, "cannot be read whole: a checksum does not match, or memory is short");
    else if (shape.type == HS_H5_C64 || shape.type == HS_H5_C128)
        hs_check_hermitian(check, group, name, where);
    if (hs_h5_has(data, "hash64") && (shape.type == HS_H5_F32 || shape.type == HS_H5_F64))
        check_seal(check, group, name, &shape, where);
    check_scales(check, data, shape.rank, shape.dim, where);
    hs_h5_drop(data);
}

/* ---- half spectra ---------------------------------------------------------------------------------------------------------- */

void hs_check_hermitian(hs_check *check, hid_t group, const char *name, const char *where)
{
    int32_t kernel[2];
    hs_h5_shape s;
    hid_t data = -1;
    double *half = NULL, worst = 0.0;
    if (hs_h5_open_data(group, name, SIZE_MAX / 32, &data, &s) != HS_OK ||
        hs_h5_get(group, "kernel", HS_H5_I32, 2, kernel) != HS_OK || hs_calloc(s.count, 2 * sizeof *half, name, &half) != HS_OK ||
        (s.count && hs_h5_read(group, name, HS_H5_C128, s.rank, s.dim, half) != HS_OK)) {
        hs_finding_recorded(check, where);
    } else if (s.rank < 2 || kernel[0] < 1 || kernel[1] < 1 || s.dim[s.rank - 2] != (hsize_t)kernel[0] ||
               s.dim[s.rank - 1] != (hsize_t)kernel[1] / 2 + 1) {
        hs_finding(check, where, "its last two axes are not ky, kx of a %dx%d half spectrum", kernel[0], kernel[1]);
    } else {
        size_t size = (size_t)kernel[0] * (size_t)(kernel[1] / 2 + 1);
        for (size_t at = 0; at < s.count; at += size) {
            double off = hs_half_asymmetry(kernel[0], kernel[1], half + 2 * at);
            worst = off <= worst ? worst : off; /* also takes NaN */
        }
        if (!(worst == 0.0))
            hs_finding(check, where, "not the half spectra of real filters: off the Hermitian rule by up to %g", worst);
    }
    hs_free(half);
    hs_h5_drop(data);
}

/* ---- NXdata ---------------------------------------------------------------------------------------------------------------- */

/* Extents of child NAME, links included; rank -1 if there is none. */
static int child_extent(hid_t group, const char *name, hsize_t dim[HS_H5_RANK])
{
    int rank = -1;
    if (strchr(name, '/') || H5Lexists(group, name, H5P_DEFAULT) <= 0 || H5Oexists_by_name(group, name, H5P_DEFAULT) <= 0)
        return -1;
    hid_t data = H5Oopen(group, name, H5P_DEFAULT);
    if (data >= 0 && H5Iget_type(data) == H5I_DATASET) {
        hid_t space = H5Dget_space(data);
        rank = H5Sget_simple_extent_ndims(space);
        if (rank < 1 || rank > HS_H5_RANK || H5Sget_simple_extent_dims(space, dim, NULL) != rank)
            rank = -1;
        hs_h5_drop(space);
    }
    if (data >= 0)
        H5Oclose(data);
    return rank;
}

/* Calls EACH for every text of an array attribute; false if there is no such attribute. */
static bool each_text(hid_t group, const char *attribute, void (*each)(void *context, int i, const char *text), void *context,
                      int *count)
{
    char *text[16] = {NULL};
    if (!hs_h5_has(group, attribute))
        return false;
    hid_t a = H5Aopen(group, attribute, H5P_DEFAULT), type = H5Aget_type(a), space = H5Aget_space(a);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    bool good = n >= 1 && n <= 16 && H5Tis_variable_str(type) > 0 && H5Aread(a, type, text) >= 0;
    for (int i = 0; good && i < n; i++) {
        each(context, i, text[i] ? text[i] : "");
        if (text[i])
            H5free_memory(text[i]);
    }
    *count = good ? (int)n : 0;
    hs_h5_drop(space);
    hs_h5_drop(type);
    hs_h5_drop(a);
    return good;
}

typedef struct nxdata {
    hs_check *check;
    hid_t group;
    const char *where;
    int rank;
    hsize_t dim[HS_H5_RANK];
} nxdata;

static void see_axis(void *context, int i, const char *name)
{
    nxdata *x = context;
    hsize_t dim[HS_H5_RANK];
    int rank = child_extent(x->group, name, dim);
    if (rank != 1)
        hs_finding(x->check, x->where, "NXdata: axis `%s` is not a child with one axis", name);
    else if (i >= x->rank || dim[0] != x->dim[i])
        hs_finding(x->check, x->where, "NXdata: axis `%s` has another length than the signal", name);
}

static void see_auxiliary(void *context, int i, const char *name)
{
    nxdata *x = context;
    hsize_t dim[HS_H5_RANK];
    (void)i;
    if (child_extent(x->group, name, dim) != x->rank || memcmp(dim, x->dim, (size_t)x->rank * sizeof *dim) != 0)
        hs_finding(x->check, x->where, "NXdata: auxiliary signal `%s` has another shape than the signal", name);
}

void hs_check_nxdata(hs_check *check, hid_t group, const char *where)
{
    char *signal = NULL;
    int axes = 0, others = 0;
    nxdata x = {.check = check, .group = group, .where = where};
    if (hs_h5_get_text(group, "signal", 256, &signal) != HS_OK) {
        hs_finding_recorded(check, where);
        return;
    }
    x.rank = child_extent(group, signal, x.dim);
    if (x.rank < 1)
        hs_finding(check, where, "NXdata: the signal `%s` is no child data set", signal);
    else if (!each_text(group, "axes", see_axis, &x, &axes) || axes != x.rank)
        hs_finding(check, where, "NXdata: `axes` must name %d axes", x.rank);
    else
        each_text(group, "auxiliary_signals", see_auxiliary, &x, &others);
    hs_free(signal);
}
