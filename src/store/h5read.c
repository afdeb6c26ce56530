/* h5read.c - reading through the whitelist. A file from elsewhere may hold links into other files, storage outside itself,
 * filters that load code and extents that ask for all memory; nothing of that is followed: everything about an object is asked
 * before its data are touched. */
#include <stdio.h>
#include <string.h>

#include "h5.h"

static const size_t chunk_limit = (size_t)64 << 20;

bool hs_h5_is_hard(hid_t parent, const char *name)
{
    H5L_info_t info;
    if (strchr(name, '/') || !name[0] || strcmp(name, ".") == 0)
        return false;
    return H5Lexists(parent, name, H5P_DEFAULT) > 0 && H5Lget_info(parent, name, &info, H5P_DEFAULT) >= 0 &&
           info.type == H5L_TYPE_HARD;
}

static hs_status refuse(hid_t where, const char *name, const char *why)
{
    char path[512];
    return hs_fail(HS_EINPUT, "%s: `%s` %s", hs_h5_path(where, path, sizeof path), name, why);
}

/* Opens NAME if it is a hard link to an object of type KIND. */
static hs_status open_object(hid_t parent, const char *name, H5I_type_t kind, hid_t *object)
{
    if (!hs_h5_is_hard(parent, name))
        return refuse(parent, name,
                      H5Lexists(parent, name, H5P_DEFAULT) > 0 ? "is a link to somewhere else; only plain objects are read" :
                                                                 "is missing");
    hid_t id = H5Oopen(parent, name, H5P_DEFAULT);
    H5_TRY(parent, id);
    if (H5Iget_type(id) != kind) {
        H5Oclose(id);
        return refuse(parent, name, kind == H5I_GROUP ? "is no group" : "is no data set");
    }
    *object = id;
    return HS_OK;
}

hs_status hs_h5_open_group(hid_t parent, const char *name, hid_t *group)
{
    return open_object(parent, name, H5I_GROUP, group);
}

/* ---- storage --------------------------------------------------------------------------------------------------------------- */

static bool filters_known(hid_t plist)
{
    int count = H5Pget_nfilters(plist);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            return false;
    }
    return count >= 0 && count <= 3;
}

/* Bytes of a chunk of elements of SIZE bytes, or SIZE_MAX if that overflows or there is none. */
static size_t bytes_of_chunk(hid_t plist, int rank, size_t size)
{
    hsize_t chunk[HS_H5_RANK];
    if (H5Pget_chunk(plist, HS_H5_RANK, chunk) != rank)
        return SIZE_MAX;
    for (int i = 0; i < rank; i++) {
        if (chunk[i] == 0 || chunk[i] > chunk_limit || size > chunk_limit)
            return SIZE_MAX;
        size *= (size_t)chunk[i];
    }
    return size;
}

static hs_status check_storage(hid_t data, const char *name, const hs_h5_shape *shape)
{
    const char *why = NULL;
    hid_t plist = H5Dget_create_plist(data);
    H5_TRY(data, plist);
    H5D_layout_t layout = H5Pget_layout(plist);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        why = "is a virtual data set; only plain storage is read";
    else if (H5Pget_external_count(plist) != 0)
        why = "has its data in another file; only plain storage is read";
    else if (!filters_known(plist))
        why = "uses a filter other than deflate, shuffle and fletcher32";
    else if (layout == H5D_CHUNKED && bytes_of_chunk(plist, shape->rank, shape->bytes) > chunk_limit)
        why = "has chunks of more than 64 MiB";
    else if (shape->count > 0 && H5Dget_storage_size(data) < shape->count * shape->bytes / 1100)
        why = "promises more data than the file can hold"; /* deflate packs 1032 to 1 at best */
    H5Pclose(plist);
    return why ? refuse(data, name, why) : HS_OK;
}

/* ---- types and extents ----------------------------------------------------------------------------------------------------- */

static bool same_type(hid_t stored, hs_h5_type type)
{
    hid_t ours = -1;
    if (hs_h5_type_open(type, false, &ours) != HS_OK)
        return false;
    bool equal = H5Tequal(stored, ours) > 0;
    H5Tclose(ours);
    return equal;
}

static hs_status check_type(hid_t data, const char *name, hs_h5_shape *shape)
{
    hid_t stored = H5Dget_type(data);
    H5_TRY(data, stored);
    H5T_class_t kind = H5Tget_class(stored);
    bool committed = H5Tcommitted(stored) != 0;
    shape->bytes = H5Tget_size(stored);
    shape->integer = kind == H5T_INTEGER;
    shape->type = HS_H5_SAME;
    for (int t = HS_H5_U8; t < HS_H5_TEXT; t++)
        if (same_type(stored, (hs_h5_type)t))
            shape->type = (hs_h5_type)t;
    if (kind == H5T_INTEGER && shape->bytes == 1 && H5Tget_sign(stored) == H5T_SGN_NONE)
        shape->type = HS_H5_U8; /* of either byte order, which one byte has not */
    bool plain = (kind == H5T_INTEGER || kind == H5T_FLOAT) && shape->bytes >= 1 && shape->bytes <= 8;
    H5Tclose(stored);
    if (committed || (!plain && shape->type == HS_H5_SAME))
        return refuse(data, name,
                      "has a type that is not read: integers and floats of 1 to 8 bytes are, and {r, i} pairs of floats");
    return HS_OK;
}

static hs_status check_extent(hid_t data, const char *name, size_t limit, hs_h5_shape *shape)
{
    hid_t space = H5Dget_space(data);
    H5_TRY(data, space);
    bool simple = H5Sget_simple_extent_type(space) == H5S_SIMPLE;
    shape->rank = simple ? H5Sget_simple_extent_ndims(space) : 0;
    bool ranked =
        shape->rank >= 1 && shape->rank <= HS_H5_RANK && H5Sget_simple_extent_dims(space, shape->dim, NULL) == shape->rank;
    H5Sclose(space);
    if (!ranked)
        return refuse(data, name, "has no axis, or more than five");
    size_t most = limit / (shape->bytes > 8 ? shape->bytes : 8), count = 1;
    bool fits = true;
    for (int i = 0; i < shape->rank && fits; i++) {
        fits = shape->dim[i] == 0 || count <= most / (shape->dim[i] > most ? most + 1 : (size_t)shape->dim[i]);
        count *= fits ? (size_t)shape->dim[i] : 1;
    }
    if (!fits)
        return refuse(data, name, "is larger than can be read");
    shape->count = count;
    return HS_OK;
}

hs_status hs_h5_open_data(hid_t group, const char *name, size_t limit, hid_t *data, hs_h5_shape *shape)
{
    hid_t id = -1;
    hs_status st;
    HS_TRY(open_object(group, name, H5I_DATASET, &id));
    memset(shape, 0, sizeof *shape);
    HS_TRY_GOTO(st, check_type(id, name, shape), fail);
    HS_TRY_GOTO(st, check_extent(id, name, limit, shape), fail);
    HS_TRY_GOTO(st, check_storage(id, name, shape), fail);
    *data = id;
    return HS_OK;
fail:
    H5Dclose(id);
    return st;
}

/* "[2,3,5]" of RANK extents. */
static void extent_text(int rank, const hsize_t *dim, char *text, size_t capacity)
{
    size_t used = (size_t)snprintf(text, capacity, "[");
    for (int i = 0; i < rank && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%llu", i ? "," : "", (unsigned long long)dim[i]);
    if (used < capacity)
        snprintf(text + used, capacity - used, "]");
}

/* ---- completeness ---------------------------------------------------------------------------------------------------------- */

#if H5_VERSION_GE(1, 10, 5)
/* Asked chunk by chunk only of the first so many: HDF5 searches from the start each time. */
enum { CHUNKS_ASKED = 256 };

static bool chunk_is_sound(hid_t data, int rank, const hsize_t *dim, const hsize_t *chunk, hsize_t number)
{
    hsize_t offset[HS_H5_RANK], size = 0;
    haddr_t address = HADDR_UNDEF;
    unsigned mask = 1;
    for (int i = rank - 1; i >= 0; i--) {
        hsize_t across = (dim[i] + chunk[i] - 1) / chunk[i];
        offset[i] = number % across * chunk[i];
        number /= across;
    }
    return H5Dget_chunk_info_by_coord(data, offset, &mask, &address, &size) >= 0 && address != HADDR_UNDEF && size > 0 && mask == 0;
}

static bool chunks_are_sound(hid_t data, const hs_h5_shape *shape, const hsize_t *chunk)
{
    hsize_t expected = 1, stored = 0;
    hid_t space = H5Dget_space(data);
    for (int i = 0; i < shape->rank; i++)
        expected *= (shape->dim[i] + chunk[i] - 1) / chunk[i];
    bool sound = H5Dget_num_chunks(data, space, &stored) >= 0 && stored == expected;
    for (hsize_t c = 0; sound && c < expected && c < CHUNKS_ASKED; c++)
        sound = chunk_is_sound(data, shape->rank, shape->dim, chunk, c);
    H5Sclose(space);
    return sound;
}
#endif

bool hs_h5_is_complete(hid_t data, const hs_h5_shape *shape)
{
    bool complete = true;
#if H5_VERSION_GE(1, 10, 5)
    hsize_t chunk[HS_H5_RANK];
    hid_t plist = H5Dget_create_plist(data);
    if (shape->count > 0 && H5Pget_layout(plist) == H5D_CHUNKED)
        complete = H5Pget_chunk(plist, HS_H5_RANK, chunk) == shape->rank && chunks_are_sound(data, shape, chunk);
    H5Pclose(plist);
#else
    (void)data;
    (void)shape;
#endif
    return complete;
}

static hs_status open_sealed(hid_t group, const char *name, hid_t *data)
{
    H5_TRY(group, *data = H5Dopen2(group, name, H5P_DEFAULT));
    return HS_OK;
}

hs_status hs_h5_seal(hid_t group, const char *name, const void *data, size_t bytes)
{
    hid_t id = -1;
    uint64_t hash = hs_hash64(data, bytes, 0);
    HS_TRY(open_sealed(group, name, &id));
    hs_status st = hs_h5_set(id, "hash64", HS_H5_U64, 0, &hash);
    H5Dclose(id);
    return st;
}

hs_status hs_h5_check_seal(hid_t group, const char *name, const void *data, size_t bytes)
{
    hid_t id = -1;
    uint64_t hash = 0;
    HS_TRY(open_sealed(group, name, &id));
    hs_status st = hs_h5_get(id, "hash64", HS_H5_U64, 0, &hash);
    H5Dclose(id);
    if (st == HS_OK && hash != hs_hash64(data, bytes, 0))
        st = refuse(group, name, "is damaged: its content is not what its hash64 says");
    return st;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------- */

static hs_status read_all(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim, bool ours, void *out)
{
    hs_status st = HS_OK;
    hs_h5_shape shape;
    hid_t data, memory = -1;
    HS_TRY(hs_h5_open_data(group, name, SIZE_MAX / 32, &data, &shape));
    if (shape.rank != rank || memcmp(shape.dim, dim, (size_t)rank * sizeof *dim) != 0) {
        char found[128], wanted[128], path[512];
        extent_text(shape.rank, shape.dim, found, sizeof found);
        extent_text(rank, dim, wanted, sizeof wanted);
        st = hs_fail(HS_EINPUT, "%s: `%s` is %s in the file, %s is wanted", hs_h5_path(group, path, sizeof path), name, found,
                     wanted);
        goto done;
    }
    if (ours && !hs_h5_is_complete(data, &shape)) {
        st = refuse(group, name, "is damaged: parts of it cannot be found");
        goto done;
    }
    HS_TRY_GOTO(st, hs_h5_type_open(type, true, &memory), done);
    H5_TRY_GOTO(st, data, H5Dread(data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), done);
done:
    hs_h5_drop(memory);
    hs_h5_drop(data);
    return st;
}

hs_status hs_h5_read(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim, void *out)
{
    return read_all(group, name, type, rank, dim, true, out);
}

hs_status hs_h5_read_foreign(hid_t group, const char *name, hs_h5_type type, int rank, const hsize_t *dim, void *out)
{
    return read_all(group, name, type, rank, dim, false, out);
}
