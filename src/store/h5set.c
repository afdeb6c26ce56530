/* h5set.c - `data = hdf5:FILE`: images and labels from an HDF5 file that may be larger than memory.
 *
 * Names looked for, first found wins: training part  images + labels, train_images + train_labels, train/images + train/labels;
 *                                     test part      test_images + test_labels, test/images + test/labels.
 * Images are uint8 or floats [N,H,W,C] ([N,H,W]: one channel), labels integers [N]. The number of classes is the root's attribute
 * `classes`, else the largest label of both parts plus one. Labels are read and checked when the set is opened; images are read
 * by ranges, through HDF5's chunk cache. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "h5.h"
#include "hs_data.h"

enum { BLOCK = 256, CLASSES_MAX = 1 << 20 };
static const size_t cache_bytes = (size_t)64 << 20, staging_bytes = (size_t)1 << 20, whole_bytes = (size_t)1 << 30;

typedef struct h5set {
    hs_dataset base;
    hid_t file, images;
    int rank; /* of the images: 3 or 4 */
    int32_t *labels;
    float *staging; /* [rows][h][w][c] */
    size_t rows;
} h5set;

/* ---- finding the parts ----------------------------------------------------------------------------------------------------- */

typedef struct place {
    const char *group, *images, *labels;
} place;
static const place train_place[] = {
    {NULL, "images", "labels"}, {NULL, "train_images", "train_labels"}, {"train", "images", "labels"}};
static const place test_place[] = {{NULL, "test_images", "test_labels"}, {"test", "images", "labels"}};

/* Opens the group of the first place that holds images; *FOUND is NULL if there is none. */
static hs_status find_part(hid_t file, bool test, const place **found, hid_t *group)
{
    const place *list = test ? test_place : train_place;
    int count = test ? 2 : 3;
    *found = NULL;
    for (int i = 0; i < count; i++) {
        hid_t parent = -1;
        if (list[i].group && !hs_h5_is_hard(file, list[i].group))
            continue;
        if (list[i].group)
            HS_TRY(hs_h5_open_group(file, list[i].group, &parent));
        else
            H5_TRY(file, parent = H5Gopen2(file, "/", H5P_DEFAULT));
        if (H5Lexists(parent, list[i].images, H5P_DEFAULT) > 0) {
            *found = &list[i];
            *group = parent;
            return HS_OK;
        }
        hs_h5_drop(parent);
    }
    return HS_OK;
}

/* ---- labels ---------------------------------------------------------------------------------------------------------------- */

static hs_status read_labels(const char *path, hid_t group, const char *name, int32_t **labels, size_t *count, int32_t *largest)
{
    hid_t data = -1;
    hs_h5_shape shape;
    int64_t *wide = NULL;
    int32_t *narrow = NULL;
    hs_status st;
    HS_TRY(hs_h5_open_data(group, name, (size_t)1 << 36, &data, &shape));
    hs_h5_drop(data);
    if (shape.rank != 1 || !shape.integer)
        return hs_fail(HS_EINPUT, "%s: `%s` must be integers with one axis", path, name);
    HS_TRY_GOTO(st, hs_calloc(shape.count + 1, sizeof *wide, "labels", &wide), done);
    HS_TRY_GOTO(st, hs_calloc(shape.count + 1, sizeof *narrow, "labels", &narrow), done);
    if (shape.count)
        HS_TRY_GOTO(st, hs_h5_read_foreign(group, name, HS_H5_I64, 1, shape.dim, wide), done);
    for (size_t i = 0; i < shape.count; i++) {
        if (wide[i] < 0 || wide[i] >= CLASSES_MAX) {
            st = hs_fail(HS_EINPUT, "%s: `%s`[%zu] is %lld; labels must lie in 0 .. %d", path, name, i, (long long)wide[i],
                         CLASSES_MAX - 1);
            goto done;
        }
        narrow[i] = (int32_t)wide[i];
        *largest = narrow[i] > *largest ? narrow[i] : *largest;
    }
    *count = shape.count;
    *labels = narrow;
    narrow = NULL;
done:
    hs_free(wide);
    hs_free(narrow);
    return st;
}

/* Largest label of the other part, so that both parts agree on the number of classes. */
static hs_status see_other_labels(const char *path, hid_t file, bool test, int32_t *largest)
{
    const place *other;
    hid_t group = -1;
    int32_t *labels = NULL;
    size_t count;
    HS_TRY(find_part(file, !test, &other, &group));
    if (!other)
        return HS_OK;
    hs_status st = read_labels(path, group, other->labels, &labels, &count, largest);
    hs_free(labels);
    hs_h5_drop(group);
    return st;
}

static hs_status count_classes(const char *path, hid_t file, bool test, int32_t largest, int *classes)
{
    int64_t told = 0;
    HS_TRY(see_other_labels(path, file, test, &largest));
    if (hs_h5_has(file, "classes")) {
        HS_TRY(hs_h5_get(file, "classes", HS_H5_I64, 0, &told));
        if (told <= largest || told > CLASSES_MAX)
            return hs_fail(HS_EINPUT, "%s: attribute `classes` is %lld, but the largest label is %d", path, (long long)told,
                           (int)largest);
        *classes = (int)told;
    } else {
        *classes = largest + 1;
    }
    return HS_OK;
}

/* ---- images ---------------------------------------------------------------------------------------------------------------- */

static hs_status open_images(const char *path, hid_t group, const place *p, size_t labels, h5set *set)
{
    hs_h5_shape s;
    HS_TRY(hs_h5_open_data(group, p->images, (size_t)1 << 50, &set->images, &s));
    bool floats = !s.integer && s.type != HS_H5_C64 && s.type != HS_H5_C128;
    if ((s.rank != 4 && s.rank != 3) || !(s.type == HS_H5_U8 || floats))
        return hs_fail(HS_EINPUT, "%s: `%s` must be uint8 or floats [N,H,W,C]", path, p->images);
    hsize_t channels = s.rank == 4 ? s.dim[3] : 1;
    if (s.dim[0] != labels)
        return hs_fail(HS_EINPUT, "%s: %llu images, but %zu labels", path, (unsigned long long)s.dim[0], labels);
    if (s.dim[0] == 0 || s.dim[1] == 0 || s.dim[2] == 0 || channels == 0 || s.dim[1] > 65535 || s.dim[2] > 65535 ||
        channels > 65535)
        return hs_fail(HS_EINPUT, "%s: `%s` has an empty axis or one longer than 65535", path, p->images);
    set->rank = s.rank;
    set->base.count = (int64_t)s.dim[0];
    set->base.shape = (hs_shape){(int)s.dim[1], (int)s.dim[2], (int)channels};
    set->base.bytes = s.type == HS_H5_U8;
    size_t sample = hs_shape_count(set->base.shape) * sizeof(float);
    set->rows = sample >= staging_bytes ? 1 : staging_bytes / sample < BLOCK ? staging_bytes / sample : BLOCK;
    return hs_calloc(set->rows, sample, "image buffer", &set->staging);
}

/* ROWS consecutive samples from FIRST into the staging buffer, as floats. */
static hs_status read_run(h5set *set, int64_t first, size_t rows)
{
    hs_status st = HS_OK;
    hs_shape shape = set->base.shape;
    hsize_t start[4] = {(hsize_t)first}, count[4] = {rows, (hsize_t)shape.h, (hsize_t)shape.w, (hsize_t)shape.c};
    hid_t memory = -1, space = H5Dget_space(set->images);
    H5_TRY(set->file, space);
    H5_TRY_GOTO(st, set->file, H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL), done);
    H5_TRY_GOTO(st, set->file, memory = H5Screate_simple(set->rank, count, NULL), done);
    H5_TRY_GOTO(st, set->file, H5Dread(set->images, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, set->staging), done);
done:
    hs_h5_drop(memory);
    hs_h5_drop(space);
    return st;
}

static hs_status check_finite(const h5set *set, int64_t first, size_t rows)
{
    size_t sample = hs_shape_count(set->base.shape);
    for (size_t i = 0; !set->base.bytes && i < rows * sample; i++)
        if (!isfinite(set->staging[i]))
            return hs_fail(HS_EINPUT, "%s: image %lld holds a value that is not finite", set->base.source,
                           (long long)first + (long long)(i / sample));
    return HS_OK;
}

typedef struct slot {
    int64_t index;
    int place;
} slot;

static int by_index(const void *a, const void *b)
{
    int64_t x = ((const slot *)a)->index, y = ((const slot *)b)->index;
    return (x > y) - (x < y);
}

/* Up to BLOCK samples, in ascending order and neighbours together: fewer and longer reads. */
static hs_status read_block(h5set *set, const int64_t *indices, int count, float *pixels)
{
    slot order[BLOCK];
    size_t sample = hs_shape_count(set->base.shape);
    for (int i = 0; i < count; i++)
        order[i] = (slot){indices[i], i};
    qsort(order, (size_t)count, sizeof *order, by_index);
    for (int i = 0; i < count;) {
        int run = 1;
        while (i + run < count && (size_t)run < set->rows && order[i + run].index == order[i].index + run)
            run++;
        HS_TRY(read_run(set, order[i].index, (size_t)run));
        HS_TRY(check_finite(set, order[i].index, (size_t)run));
        for (int k = 0; k < run; k++)
            memcpy(pixels + (size_t)order[i + k].place * sample, set->staging + (size_t)k * sample, sample * sizeof *pixels);
        i += run;
    }
    return HS_OK;
}

static hs_status h5set_read(hs_dataset *base, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    h5set *set = (h5set *)base;
    size_t sample = hs_shape_count(base->shape);
    hs_status st = HS_OK;
    for (int i = 0; i < count; i++) {
        if (indices[i] < 0 || indices[i] >= base->count)
            return hs_fail(HS_EINTERNAL, "%s: sample %lld of %lld", base->source, (long long)indices[i], (long long)base->count);
        labels[i] = set->labels[indices[i]];
    }
    hs_h5_lock();
    for (int i = 0; i < count && st == HS_OK; i += BLOCK)
        st = read_block(set, indices + i, count - i < BLOCK ? count - i : BLOCK, pixels + (size_t)i * sample);
    hs_h5_unlock();
    return st;
}

static void h5set_close(hs_dataset *base)
{
    h5set *set = (h5set *)base;
    hs_h5_lock();
    hs_h5_drop(set->images);
    hs_h5_drop(set->file);
    hs_h5_unlock();
    hs_free(set->labels);
    hs_free(set->staging);
    hs_free(set);
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

/* SHA-256 of the file; of a file beyond 1 GiB: of its size and 4096 blocks of 64 KiB spread evenly over it, as hashing would hold
 * up every start. */
static hs_status digest_file(const char *path, char hex[65])
{
    static const size_t block = (size_t)64 << 10;
    char *buffer = NULL;
    struct stat info;
    hs_sha256 sha;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        if (file)
            fclose(file);
        return hs_fail(HS_EINPUT, "%s: cannot be read, or is no regular file", path);
    }
    hs_status st = hs_calloc(block, 1, "block", &buffer);
    uint64_t size = (uint64_t)info.st_size, stride = size > whole_bytes ? (size - block) / 4095 : block;
    hs_sha256_init(&sha);
    if (size > whole_bytes)
        hs_sha256_add(&sha, &size, sizeof size);
    for (uint64_t at = 0; st == HS_OK && at < size; at += stride) {
        size_t got = fseeko(file, (off_t)at, SEEK_SET) == 0 ? fread(buffer, 1, block, file) : 0;
        if (got == 0)
            st = hs_fail(HS_EIO, "%s: reading failed at byte %llu", path, (unsigned long long)at);
        hs_sha256_add(&sha, buffer, got);
    }
    hs_sha256_hex(&sha, hex);
    hs_free(buffer);
    fclose(file);
    return st;
}

static hs_status open_file(const char *path, hid_t *file)
{
    hs_status st = HS_OK;
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), id = -1;
    H5_TRY(-1, fapl);
    H5_TRY_GOTO(st, -1, H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG), done);
    H5_TRY_GOTO(st, -1, H5Pset_cache(fapl, 0, 12421, cache_bytes, 1.0), done);
#if H5_VERSION_GE(1, 10, 7)
    H5_TRY_GOTO(st, -1, H5Pset_file_locking(fapl, false, true), done); /* many ranks read, and file systems without locks exist */
#endif
    id = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    if (id < 0)
        st = hs_fail(HS_EINPUT, "%s: not a readable HDF5 file: missing, damaged, cut short, or of another kind", path);
    else
        *file = id;
done:
    hs_h5_drop(fapl);
    return st;
}

static hs_status fill(const char *path, bool test, h5set *set)
{
    const place *p;
    hid_t group = -1;
    size_t count = 0;
    int32_t largest = -1;
    HS_TRY(open_file(path, &set->file));
    HS_TRY(find_part(set->file, test, &p, &group));
    if (!p)
        return hs_fail(HS_EINPUT, "%s: no %s; see `halfspec help data`, and data.validation for sets without a test part", path,
                       test ? "test_images or test/images" : "images, train_images or train/images");
    hs_status st = read_labels(path, group, p->labels, &set->labels, &count, &largest);
    if (st == HS_OK)
        st = open_images(path, group, p, count, set);
    hs_h5_drop(group);
    HS_TRY(st);
    return count_classes(path, set->file, test, largest, &set->base.classes);
}

hs_status hs_dataset_hdf5(const char *path, hs_split part, hs_dataset **set)
{
    static const hs_dataset_ops ops = {"hdf5", h5set_read, h5set_close};
    h5set *s = NULL;
    HS_TRY(hs_calloc(1, sizeof *s, "data set", &s));
    s->file = s->images = -1;
    s->base.ops = &ops;
    snprintf(s->base.source, sizeof s->base.source, "%s", path);
    hs_h5_lock();
    hs_status st = fill(path, part == HS_SPLIT_TEST, s);
    hs_h5_unlock();
    if (st == HS_OK)
        st = digest_file(path, s->base.digest);
    if (st != HS_OK) {
        h5set_close(&s->base);
        return st;
    }
    *set = &s->base;
    return HS_OK;
}
