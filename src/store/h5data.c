/* h5data.c - making groups, axes and data sets, growing and cutting them. */
#include <hdf5_hl.h>
#include <string.h>

#include "h5.h"

/* Arrays that do not grow are split along their first axis into chunks near this size: HDF5 computes one checksum per chunk. */
static const size_t chunk_bytes = (size_t)4 << 20;

hs_status hs_h5_make_group(hid_t parent, const char *name, hid_t *group)
{
    hs_status st = HS_OK;
    hid_t plist = H5Pcreate(H5P_GROUP_CREATE);
    H5_TRY(parent, plist);
    HS_TRY_GOTO(st, hs_h5_creation(plist, true), done);
    H5_TRY_GOTO(st, parent, *group = H5Gcreate2(parent, name, H5P_DEFAULT, plist, H5P_DEFAULT), done);
done:
    H5Pclose(plist);
    return st;
}

/* ---- creation -------------------------------------------------------------------------------------------------------------- */

/* Rows of axis AXIS in one chunk, so that the chunk, the later axes whole, has about chunk_bytes; parts of equal size. */
static hsize_t balanced_rows(const hs_h5_spec *spec, int axis)
{
    size_t row = hs_h5_type_bytes(spec->type);
    hsize_t rows = spec->dim[axis] ? spec->dim[axis] : 1;
    for (int i = axis + 1; i < spec->rank; i++)
        row *= spec->dim[i] ? (size_t)spec->dim[i] : 1;
    hsize_t fit = row >= chunk_bytes ? 1 : chunk_bytes / row;
    hsize_t parts = (rows + fit - 1) / fit;
    return (rows + parts - 1) / parts;
}

static void chunk_shape(const hs_h5_spec *spec, hsize_t chunk[HS_H5_RANK])
{
    for (int i = 0; i < spec->rank; i++)
        chunk[i] = spec->dim[i] ? spec->dim[i] : 1;
    int split = spec->grows && spec->rank > 1 ? 1 : 0;
    chunk[split] = balanced_rows(spec, split);
    if (spec->grows)
        chunk[0] = spec->chunk_rows ? spec->chunk_rows : 1;
}

static hs_status creation_list(hid_t group, const hs_h5_spec *spec, hid_t *plist)
{
    hs_status st = HS_OK;
    hsize_t chunk[HS_H5_RANK];
    hid_t id = H5Pcreate(H5P_DATASET_CREATE);
    H5_TRY(group, id);
    chunk_shape(spec, chunk);
    HS_TRY_GOTO(st, hs_h5_creation(id, false), fail);
    H5_TRY_GOTO(st, group, H5Pset_chunk(id, spec->rank, chunk), fail);
    if (spec->packed) {
        H5_TRY_GOTO(st, group, H5Pset_shuffle(id), fail);
        H5_TRY_GOTO(st, group, H5Pset_deflate(id, 1), fail);
    }
    if (spec->type != HS_H5_TEXT) /* texts lie in a heap, out of reach of filters */
        H5_TRY_GOTO(st, group, H5Pset_fletcher32(id), fail);
    *plist = id;
    return HS_OK;
fail:
    H5Pclose(id);
    return st;
}

static hs_status create_data(hid_t group, const hs_h5_spec *spec, hid_t *data)
{
    hs_status st = HS_OK;
    hsize_t most[HS_H5_RANK];
    hid_t type = -1, space = -1, plist = -1;
    memcpy(most, spec->dim, sizeof most);
    if (spec->grows)
        most[0] = H5S_UNLIMITED;
    HS_TRY_GOTO(st, hs_h5_type_open(spec->type, false, &type), done);
    HS_TRY_GOTO(st, creation_list(group, spec, &plist), done);
    H5_TRY_GOTO(st, group, space = H5Screate_simple(spec->rank, spec->dim, most), done);
    H5_TRY_GOTO(st, group, *data = H5Dcreate2(group, spec->name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT), done);
done:
    hs_h5_drop(plist);
    hs_h5_drop(space);
    hs_h5_drop(type);
    return st;
}

static hs_status attach_scales(hid_t group, hid_t data, const hs_h5_spec *spec)
{
    if (spec->is_scale)
        H5_TRY(group, H5DSset_scale(data, spec->name));
    for (int i = 0; i < spec->rank; i++) {
        if (!spec->scale[i])
            continue;
        hid_t scale = H5Dopen2(group, spec->scale[i], H5P_DEFAULT);
        H5_TRY(group, scale);
        herr_t rc = H5DSattach_scale(data, scale, (unsigned)i);
        H5Dclose(scale);
        if (rc < 0)
            return hs_h5_fail_at(__FILE__, __LINE__, group, "H5DSattach_scale");
    }
    return HS_OK;
}

hs_status hs_h5_make(hid_t group, const hs_h5_spec *spec, hs_h5_type from, const void *data)
{
    hs_status st = HS_OK;
    hid_t id = -1, memory = -1;
    HS_TRY(create_data(group, spec, &id));
    if (data) {
        HS_TRY_GOTO(st, hs_h5_type_open(from ? from : spec->type, true, &memory), done);
        H5_TRY_GOTO(st, group, H5Dwrite(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), done);
    }
    HS_TRY_GOTO(st, attach_scales(group, id, spec), done);
    if (spec->units)
        HS_TRY_GOTO(st, hs_h5_set_text(id, "units", spec->units), done);
    if (spec->long_name)
        HS_TRY_GOTO(st, hs_h5_set_text(id, "long_name", spec->long_name), done);
done:
    hs_h5_drop(memory);
    hs_h5_drop(id);
    return st;
}

hs_status hs_h5_make_axis(hid_t group, const char *name, hsize_t count, const int32_t *values)
{
    int32_t *own = NULL;
    hs_h5_spec spec = {.name = name, .type = HS_H5_I32, .rank = 1, .dim = {count}, .is_scale = true, .units = "1"};
    if (!values) {
        HS_TRY(hs_calloc((size_t)count, sizeof *own, name, &own));
        for (hsize_t i = 0; i < count; i++)
            own[i] = (int32_t)i;
        values = own;
    }
    hs_status st = hs_h5_make(group, &spec, HS_H5_SAME, values);
    hs_free(own);
    return st;
}

/* ---- growing and cutting --------------------------------------------------------------------------------------------------- */

static hs_status extent(hid_t group, hid_t data, int *rank, hsize_t dim[HS_H5_RANK])
{
    hid_t space = H5Dget_space(data);
    H5_TRY(group, space);
    *rank = H5Sget_simple_extent_ndims(space);
    if (*rank >= 1 && *rank <= HS_H5_RANK)
        H5Sget_simple_extent_dims(space, dim, NULL);
    H5Sclose(space);
    if (*rank < 1 || *rank > HS_H5_RANK)
        return hs_h5_fail_at(__FILE__, __LINE__, group, "H5Sget_simple_extent_ndims");
    return HS_OK;
}

static hs_status write_rows(hid_t group, hid_t data, hid_t memory, hsize_t rows, const void *values)
{
    hs_status st = HS_OK;
    int rank;
    hid_t in_file = -1, in_memory = -1;
    hsize_t dim[HS_H5_RANK], start[HS_H5_RANK] = {0};
    HS_TRY(extent(group, data, &rank, dim));
    start[0] = dim[0];
    dim[0] += rows;
    H5_TRY(group, H5Dset_extent(data, dim));
    dim[0] = rows;
    H5_TRY(group, in_file = H5Dget_space(data));
    H5_TRY_GOTO(st, group, H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, dim, NULL), done);
    H5_TRY_GOTO(st, group, in_memory = H5Screate_simple(rank, dim, NULL), done);
    H5_TRY_GOTO(st, group, H5Dwrite(data, memory, in_memory, in_file, H5P_DEFAULT, values), done);
done:
    hs_h5_drop(in_memory);
    hs_h5_drop(in_file);
    return st;
}

hs_status hs_h5_append(hid_t group, const char *name, hs_h5_type from, hsize_t rows, const void *values)
{
    hid_t memory = -1, data = H5Dopen2(group, name, H5P_DEFAULT);
    hs_status st;
    H5_TRY(group, data);
    HS_TRY_GOTO(st, hs_h5_type_open(from, true, &memory), done);
    st = write_rows(group, data, memory, rows, values);
done:
    hs_h5_drop(memory);
    hs_h5_drop(data);
    return st;
}

hs_status hs_h5_cut(hid_t group, const char *name, hsize_t rows)
{
    int rank;
    hsize_t dim[HS_H5_RANK];
    hid_t data = H5Dopen2(group, name, H5P_DEFAULT);
    H5_TRY(group, data);
    hs_status st = extent(group, data, &rank, dim);
    if (st == HS_OK && dim[0] > rows) {
        dim[0] = rows;
        if (H5Dset_extent(data, dim) < 0)
            st = hs_h5_fail_at(__FILE__, __LINE__, group, "H5Dset_extent");
    }
    hs_h5_drop(data);
    return st;
}
