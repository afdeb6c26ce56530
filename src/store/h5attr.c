/* h5attr.c - attributes: texts for people (variable length), fixed-length words and numbers that our readers read back. */
#include "config.h"

#include <string.h>

#include "h5.h"

/* ---- writing --------------------------------------------------------------------------------------------------------------- */

/* Replaces an attribute of the same name: resumed runs say some things anew. COUNT 0: a scalar. */
static hs_status write_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type, int count, const void *value)
{
    hs_status st = HS_OK;
    hsize_t dim = (hsize_t)count;
    hid_t attribute = -1, space = count > 0 ? H5Screate_simple(1, &dim, NULL) : H5Screate(H5S_SCALAR);
    H5_TRY(object, space);
    if (hs_h5_has(object, name))
        H5_TRY_GOTO(st, object, H5Adelete(object, name), done);
    H5_TRY_GOTO(st, object, attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT), done);
    H5_TRY_GOTO(st, object, H5Awrite(attribute, memory_type, value), done);
done:
    hs_h5_drop(attribute);
    hs_h5_drop(space);
    return st;
}

static hs_status write_texts(hid_t object, const char *name, size_t size, int count, const void *value)
{
    hs_status st = HS_OK;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5_TRY(object, type);
    H5_TRY_GOTO(st, object, H5Tset_size(type, size), done);
    H5_TRY_GOTO(st, object, H5Tset_cset(type, H5T_CSET_UTF8), done);
    HS_TRY_GOTO(st, write_attribute(object, name, type, type, count, value), done);
done:
    H5Tclose(type);
    return st;
}

hs_status hs_h5_set_text(hid_t object, const char *name, const char *text)
{
    const char *value = text ? text : "";
    return write_texts(object, name, H5T_VARIABLE, 0, &value);
}

hs_status hs_h5_set_texts(hid_t object, const char *name, const char *const *text, int count)
{
    return write_texts(object, name, H5T_VARIABLE, count, text);
}

hs_status hs_h5_set_word(hid_t object, const char *name, const char *text)
{
    const char *value = text ? text : "";
    return write_texts(object, name, strlen(value) + 1, 0, value);
}

hs_status hs_h5_set(hid_t object, const char *name, hs_h5_type type, int count, const void *value)
{
    hid_t in_file = -1, in_memory = -1;
    hs_status st;
    HS_TRY_GOTO(st, hs_h5_type_open(type, false, &in_file), done);
    HS_TRY_GOTO(st, hs_h5_type_open(type, true, &in_memory), done);
    st = write_attribute(object, name, in_file, in_memory, count, value);
done:
    hs_h5_drop(in_file);
    hs_h5_drop(in_memory);
    return st;
}

hs_status hs_h5_set_i64(hid_t object, const char *name, int64_t value)
{
    return hs_h5_set(object, name, HS_H5_I64, 0, &value);
}

hs_status hs_h5_set_f64(hid_t object, const char *name, double value)
{
    return hs_h5_set(object, name, HS_H5_F64, 0, &value);
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

bool hs_h5_has(hid_t object, const char *name)
{
    return H5Aexists(object, name) > 0;
}

static hs_status refuse(hid_t object, const char *name, const char *why)
{
    char path[512];
    return hs_fail(HS_EINPUT, "%s: attribute `%s` %s", hs_h5_path(object, path, sizeof path), name, why);
}

/* Elements of the attribute's space; 0 is a scalar; -1 something else. */
static int64_t attribute_extent(hid_t attribute)
{
    hsize_t dim = 0;
    int64_t extent = -1;
    hid_t space = H5Aget_space(attribute);
    if (H5Sget_simple_extent_type(space) == H5S_SCALAR)
        extent = 0;
    else if (H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &dim, NULL) == 1 && dim > 0 &&
             dim < (1u << 30))
        extent = (int64_t)dim;
    hs_h5_drop(space);
    return extent;
}

/* A plain number of at most 8 bytes whose class suits what is asked for. */
static bool number_suits(hid_t type, hs_h5_type wanted)
{
    H5T_class_t kind = H5Tget_class(type);
    bool real = wanted == HS_H5_F32 || wanted == HS_H5_F64;
    return H5Tget_size(type) <= 8 && kind == (real ? H5T_FLOAT : H5T_INTEGER);
}

hs_status hs_h5_get(hid_t object, const char *name, hs_h5_type type, int count, void *value)
{
    hs_status st = HS_OK;
    hid_t memory = -1, stored = -1, attribute;
    if (!hs_h5_has(object, name))
        return refuse(object, name, "is missing");
    H5_TRY(object, attribute = H5Aopen(object, name, H5P_DEFAULT));
    H5_TRY_GOTO(st, object, stored = H5Aget_type(attribute), done);
    if (attribute_extent(attribute) != count || !number_suits(stored, type)) {
        st = refuse(object, name, "has another type or length than halfspec writes");
        goto done;
    }
    HS_TRY_GOTO(st, hs_h5_type_open(type, true, &memory), done);
    H5_TRY_GOTO(st, object, H5Aread(attribute, memory, value), done);
done:
    hs_h5_drop(memory);
    hs_h5_drop(stored);
    hs_h5_drop(attribute);
    return st;
}

static hs_status read_fixed(hid_t object, const char *name, hid_t attribute, hid_t stored, size_t limit, char **text)
{
    char *buffer = NULL;
    size_t size = H5Tget_size(stored);
    if (H5Tget_class(stored) != H5T_STRING || H5Tis_variable_str(stored) != 0 || attribute_extent(attribute) != 0)
        return refuse(object, name, "is no fixed-length text");
    if (size == 0 || size > limit)
        return refuse(object, name, "is longer than it can be");
    HS_TRY(hs_calloc(size + 1, 1, "attribute", &buffer)); /* one zero more than HDF5 may fill */
    if (H5Aread(attribute, stored, buffer) < 0) {
        hs_free(buffer);
        return hs_h5_fail_at(__FILE__, __LINE__, object, "H5Aread");
    }
    *text = buffer;
    return HS_OK;
}

static hs_status open_text(hid_t object, const char *name, hid_t *attribute, hid_t *stored)
{
    if (!hs_h5_has(object, name))
        return refuse(object, name, "is missing");
    H5_TRY(object, *attribute = H5Aopen(object, name, H5P_DEFAULT));
    *stored = H5Aget_type(*attribute);
    if (*stored < 0) {
        hs_h5_drop(*attribute);
        return hs_h5_fail_at(__FILE__, __LINE__, object, "H5Aget_type");
    }
    return HS_OK;
}

hs_status hs_h5_get_word(hid_t object, const char *name, size_t limit, char **text)
{
    hid_t attribute, stored;
    HS_TRY(open_text(object, name, &attribute, &stored));
    hs_status st = read_fixed(object, name, attribute, stored, limit, text);
    hs_h5_drop(stored);
    hs_h5_drop(attribute);
    return st;
}

static hs_status read_variable(hid_t object, const char *name, hid_t attribute, hid_t stored, size_t limit, char **text)
{
    char *owned = NULL;
    if (attribute_extent(attribute) != 0)
        return refuse(object, name, "is no single text");
    H5_TRY(object, H5Aread(attribute, stored, &owned));
    size_t length = owned ? strnlen(owned, limit + 1) : 0;
    hs_status st = length > limit ? refuse(object, name, "is longer than it can be") : hs_calloc(length + 1, 1, "attribute", text);
    if (st == HS_OK && owned)
        memcpy(*text, owned, length);
    if (owned)
        H5free_memory(owned);
    return st;
}

hs_status hs_h5_get_text(hid_t object, const char *name, size_t limit, char **text)
{
    hid_t attribute, stored;
    HS_TRY(open_text(object, name, &attribute, &stored));
    hs_status st = H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) > 0 ?
                       read_variable(object, name, attribute, stored, limit, text) :
                       read_fixed(object, name, attribute, stored, limit, text);
    hs_h5_drop(stored);
    hs_h5_drop(attribute);
    return st;
}
