/* h5.c - files in memory, errors, and the types of our files. */
#include "config.h"

#include "h5.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most that one file of ours may take on reading: a guard against nonsense, far above any real checkpoint. */
static const size_t file_limit = (size_t)1 << 36;

/* ---- errors ---------------------------------------------------------------------------------------------------------------- */

/* The one piece of process-wide state here: HDF5 itself is one per process. */
static pthread_mutex_t lock;
static pthread_once_t lock_once = PTHREAD_ONCE_INIT;

static void lock_create(void)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

void hs_h5_lock(void)
{
    pthread_once(&lock_once, lock_create);
    pthread_mutex_lock(&lock);
    hs_h5_quiet(); /* a thread-safe HDF5 keeps this setting per thread */
}

void hs_h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void hs_h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Called from the outermost frame of HDF5's stack to the innermost; the last text stays. */
static herr_t innermost(unsigned n, const H5E_error2_t *error, void *text)
{
    (void)n;
    if (error->desc && error->desc[0])
        snprintf(text, 200, "%s", error->desc);
    return 0;
}

/* The core driver wants that no file of the image's name exists; below an ordinary file none can. Taken off again for messages. */
static const char image_suffix[] = "/image";

const char *hs_h5_path(hid_t object, char *path, size_t capacity)
{
    if (object < 0 || H5Fget_name(object, path, capacity) < 0)
        snprintf(path, capacity, "HDF5 file");
    size_t length = strlen(path), tail = sizeof image_suffix - 1;
    if (length > tail && strcmp(path + length - tail, image_suffix) == 0)
        path[length - tail] = '\0';
    return path;
}

hs_status hs_h5_fail_at(const char *file, int line, hid_t where, const char *call)
{
    char reason[200] = "no reason given", path[512];
    unsigned intent = H5F_ACC_RDWR;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, reason);
    hs_h5_path(where, path, sizeof path);
    hid_t id = where < 0 ? -1 : H5Iget_file_id(where);
    if (id >= 0) {
        H5Fget_intent(id, &intent);
        H5Fclose(id);
    }
    int room = (int)strcspn(call, "\n");
    return hs_fail_at(file, line, intent & H5F_ACC_RDWR ? HS_EIO : HS_EINPUT, "%s: HDF5 call %.*s failed: %s", path,
                      room > 120 ? 120 : room, call, reason);
}

void hs_h5_drop(hid_t id)
{
    if (id < 0)
        return;
    switch (H5Iget_type(id)) {
    case H5I_FILE: H5Fclose(id); break;
    case H5I_GROUP: H5Gclose(id); break;
    case H5I_DATATYPE: H5Tclose(id); break;
    case H5I_DATASPACE: H5Sclose(id); break;
    case H5I_DATASET: H5Dclose(id); break;
    case H5I_ATTR: H5Aclose(id); break;
    case H5I_GENPROP_LST: H5Pclose(id); break;
    default: break;
    }
}

/* ---- files ----------------------------------------------------------------------------------------------------------------- */

/* Core driver without a backing file. Old formats are written (EARLIEST) so that old tools can read, nothing newer than 1.10
 * ever. */
static hs_status memory_access(hid_t *fapl)
{
    hid_t id = H5Pcreate(H5P_FILE_ACCESS);
    if (id < 0 || H5Pset_fapl_core(id, (size_t)1 << 20, false) < 0 || H5Pset_fclose_degree(id, H5F_CLOSE_STRONG) < 0 ||
        H5Pset_libver_bounds(id, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) < 0) {
        hs_h5_drop(id);
        return hs_h5_fail_at(__FILE__, __LINE__, -1, "H5Pset_fapl_core");
    }
    *fapl = id;
    return HS_OK;
}

static hs_status root_attributes(hid_t file, const char *format)
{
    char text[80];
    HS_TRY(hs_h5_set_text(file, "format", format));
    snprintf(text, sizeof text, "%d.%d", HS_H5_MAJOR, HS_H5_MINOR);
    HS_TRY(hs_h5_set_text(file, "format_version", text));
    snprintf(text, sizeof text, "%s %d.%d", format, HS_H5_MAJOR, HS_H5_MINOR);
    HS_TRY(hs_h5_set_word(file, "signature", text));
    HS_TRY(hs_h5_set_text(file, "creator", "halfspec"));
    return hs_h5_set_text(file, "NX_class", "NXroot");
}

hs_status hs_h5_creation(hid_t plist, bool links)
{
    const unsigned tracked = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED, most = 1024, most_links = 64;
    H5_TRY(-1, H5Pset_obj_track_times(plist, false));
    H5_TRY(-1, H5Pset_attr_creation_order(plist, tracked));
    H5_TRY(-1, H5Pset_attr_phase_change(plist, most, most - 2));
    if (links) {
        H5_TRY(-1, H5Pset_link_creation_order(plist, tracked));
        /* Moved out of a group's header when there are more, which takes the square of their number and more: minutes for 1024, in a network of
         * 200 layers. */
        H5_TRY(-1, H5Pset_link_phase_change(plist, most_links, most_links - 2));
    }
    return HS_OK;
}

hs_status hs_h5_create(const char *path, const char *format, hid_t *file)
{
    hs_status st;
    hid_t fapl = -1, id = -1, fcpl = H5Pcreate(H5P_FILE_CREATE);
    hs_h5_quiet();
    HS_TRY_GOTO(st, memory_access(&fapl), done);
    HS_TRY_GOTO(st, hs_h5_creation(fcpl, true), done);
    /* Small index nodes: most of our data sets have few chunks, and nodes for 64 would be most of the file. */
    H5_TRY_GOTO(st, -1, H5Pset_istore_k(fcpl, 4), done);
    H5_TRY_GOTO(st, -1, id = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl), done);
    HS_TRY_GOTO(st, root_attributes(id, format), done);
    *file = id;
    id = -1;
done:
    hs_h5_drop(id);
    hs_h5_drop(fcpl);
    hs_h5_drop(fapl);
    return st;
}

hs_status hs_h5_image(hid_t file, char **image, size_t *bytes)
{
    char *buffer = NULL;
    H5_TRY(file, H5Fflush(file, H5F_SCOPE_GLOBAL));
    ssize_t size = H5Fget_file_image(file, NULL, 0);
    H5_TRY(file, size);
    HS_TRY(hs_calloc((size_t)size, 1, "file image", &buffer));
    if (H5Fget_file_image(file, buffer, (size_t)size) != size) {
        hs_free(buffer);
        return hs_h5_fail_at(__FILE__, __LINE__, file, "H5Fget_file_image");
    }
    *image = buffer;
    *bytes = (size_t)size;
    return HS_OK;
}

hs_status hs_h5_open_image(const char *path, const void *image, size_t bytes, bool writable, hid_t *file)
{
    hid_t fapl = -1;
    hs_status st = HS_OK;
    char name[4200];
    snprintf(name, sizeof name, "%s%s", path, image_suffix);
    hs_h5_quiet();
    HS_TRY(memory_access(&fapl));
    /* The library copies the image and never writes through this pointer. */
    hid_t id = -1;
    if (bytes > 0) { /* of none the library makes an error of its own kind */
        H5_TRY_GOTO(st, -1, H5Pset_file_image(fapl, (void *)(uintptr_t)image, bytes), done);
        id = H5Fopen(name, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, fapl);
    }
    if (id < 0)
        st = hs_fail(HS_EINPUT,
                     "%s: not a readable HDF5 file (%zu bytes): damaged, cut short, or of another kind; restore it from a copy "
                     "or move it away",
                     path, bytes);
    else
        *file = id;
done:
    hs_h5_drop(fapl);
    return st;
}

hs_status hs_h5_open(const char *path, bool writable, hid_t *file)
{
    char *image = NULL;
    size_t bytes = 0;
    HS_TRY(hs_file_read(path, file_limit, &image, &bytes));
    hs_status st = hs_h5_open_image(path, image, bytes, writable, file);
    hs_free(image);
    return st;
}

hs_status hs_h5_signature(hid_t file, char kind[64])
{
    char *text = NULL, path[512];
    int major = 0, minor = 0;
    hs_h5_path(file, path, sizeof path);
    if (!hs_h5_has(file, "signature"))
        return hs_fail(HS_EINPUT, "%s: an HDF5 file, but none of halfspec's (root has no attribute `signature`)", path);
    HS_TRY(hs_h5_get_word(file, "signature", 128, &text));
    int found = sscanf(text, "%63s %d.%d", kind, &major, &minor);
    hs_free(text);
    if (found != 3)
        return hs_fail(HS_EINPUT, "%s: the root attribute `signature` cannot be read", path);
    if (major > HS_H5_MAJOR)
        return hs_fail(HS_EINPUT, "%s: format version %d.%d is newer than %d.%d, which this program knows: use a newer halfspec",
                       path, major, minor, HS_H5_MAJOR, HS_H5_MINOR);
    return HS_OK;
}

hs_status hs_h5_expect(hid_t file, const char *kind)
{
    char found[64], path[512];
    HS_TRY(hs_h5_signature(file, found));
    if (strcmp(found, kind) != 0)
        return hs_fail(HS_EINPUT, "%s: this is a %s file, a %s file is wanted here", hs_h5_path(file, path, sizeof path), found,
                       kind);
    return HS_OK;
}

/* ---- types ----------------------------------------------------------------------------------------------------------------- */

size_t hs_h5_type_bytes(hs_h5_type type)
{
    static const size_t bytes[HS_H5_TYPES] = {
        [HS_H5_U8] = 1,  [HS_H5_I32] = 4, [HS_H5_I64] = 8,   [HS_H5_U64] = 8,  [HS_H5_F32] = 4,
        [HS_H5_F64] = 8, [HS_H5_C64] = 8, [HS_H5_C128] = 16, [HS_H5_TEXT] = 16};
    return bytes[type];
}

static hs_status complex_type(hid_t part, hid_t *id)
{
    size_t size = H5Tget_size(part);
    hid_t pair = H5Tcreate(H5T_COMPOUND, 2 * size);
    H5_TRY(-1, pair);
    if (H5Tinsert(pair, "r", 0, part) < 0 || H5Tinsert(pair, "i", size, part) < 0) {
        H5Tclose(pair);
        return hs_h5_fail_at(__FILE__, __LINE__, -1, "H5Tinsert");
    }
    *id = pair;
    return HS_OK;
}

static hs_status text_type(hid_t *id)
{
    hid_t text = H5Tcopy(H5T_C_S1);
    H5_TRY(-1, text);
    if (H5Tset_size(text, H5T_VARIABLE) < 0 || H5Tset_cset(text, H5T_CSET_UTF8) < 0) {
        H5Tclose(text);
        return hs_h5_fail_at(__FILE__, __LINE__, -1, "H5Tset_size");
    }
    *id = text;
    return HS_OK;
}

hs_status hs_h5_type_open(hs_h5_type type, bool memory, hid_t *id)
{
    hid_t base = -1;
    switch (type) {
    case HS_H5_U8: base = H5T_STD_U8LE; break;
    case HS_H5_I32: base = memory ? H5T_NATIVE_INT32 : H5T_STD_I32LE; break;
    case HS_H5_I64: base = memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE; break;
    case HS_H5_U64: base = memory ? H5T_NATIVE_UINT64 : H5T_STD_U64LE; break;
    case HS_H5_F32: base = memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE; break;
    case HS_H5_F64: base = memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE; break;
    case HS_H5_C64: return complex_type(memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE, id);
    case HS_H5_C128: return complex_type(memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE, id);
    case HS_H5_TEXT: return text_type(id);
    default: return hs_fail(HS_EINTERNAL, "unknown HDF5 type %d", (int)type);
    }
    H5_TRY(-1, *id = H5Tcopy(base));
    return HS_OK;
}
