/* idx.c - the IDX format of MNIST and its kin (LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist): big-endian
 *   0 0 type rank | rank sizes, 32 bits each | data, row-major
 * Images are [N][H][W] or [N][H][W][C], labels [N], type 8 (unsigned byte). Everything in a header is checked before it is
 * believed. */
#include <stdio.h>
#include <string.h>

#include "data_impl.h"

enum { TYPE_UBYTE = 8, SIDE_MAX = 32768 };

typedef struct idx_header {
    int rank;
    uint32_t size[4];
} idx_header;

static const char *part_name(hs_split part)
{
    return part == HS_SPLIT_TEST ? "t10k" : "train";
}

/* Files unpacked by other programs have a dot in the place of the second dash. */
static bool find_images(const char *dir, hs_split part, char path[HS_PATH_MAX])
{
    static const char *const form[] = {"%s-images-idx3-ubyte", "%s-images-idx4-ubyte", "%s-images.idx3-ubyte",
                                       "%s-images.idx4-ubyte"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, form[i], part_name(part));
        if (hs_source_find(dir, name, path))
            return true;
    }
    return false;
}

static bool find_labels(const char *dir, hs_split part, char path[HS_PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part_name(part));
    if (hs_source_find(dir, name, path))
        return true;
    snprintf(name, sizeof name, "%s-labels.idx1-ubyte", part_name(part));
    return hs_source_find(dir, name, path);
}

bool hs_idx_here(const char *dir, hs_split part)
{
    char path[HS_PATH_MAX];
    return find_images(dir, part, path);
}

static uint32_t big_endian(const unsigned char b[4])
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Reads and checks a header of rank LEAST to MOST, and that the file can have the length it asks for. */
static hs_status read_header(hs_source *s, int least, int most, idx_header *header)
{
    unsigned char word[4];
    uint64_t total = 1;
    HS_TRY(hs_source_read(s, word, 4));
    if (word[0] != 0 || word[1] != 0)
        return hs_fail(HS_EINPUT, "%s: not an IDX file: it starts with 0x%08x at byte 0", s->path, (unsigned)big_endian(word));
    if (word[2] != TYPE_UBYTE)
        return hs_fail(HS_EINPUT, "%s: element type 0x%02x at byte 2; only unsigned bytes (0x08) can be read", s->path, word[2]);
    if (word[3] < least || word[3] > most)
        return hs_fail(HS_EINPUT, "%s: %d dimensions at byte 3, expected %d%s; are images and labels exchanged?", s->path,
                       word[3], least, most > least ? " or 4" : "");
    header->rank = word[3];
    for (int i = 0; i < header->rank; i++) {
        HS_TRY(hs_source_read(s, word, 4));
        uint32_t size = header->size[i] = big_endian(word);
        if (size == 0 || (i > 0 && size > SIDE_MAX))
            return hs_fail(HS_EINPUT, "%s: size %u of dimension %d at byte %d; must be 1 to %u", s->path, size, i, 4 + 4 * i,
                           i ? (unsigned)SIDE_MAX : 4294967295u);
        if (total > UINT64_MAX / 2 / size)
            return hs_fail(HS_EINPUT, "%s: its header asks for more bytes than can be counted; the file is damaged", s->path);
        total *= size;
    }
    if (total / header->size[0] > INT32_MAX)
        return hs_fail(HS_EINPUT, "%s: one image would have %llu bytes; at most 2 GiB can be read", s->path,
                       (unsigned long long)(total / header->size[0]));
    return hs_source_expect(s, total + 4 + 4 * (uint64_t)header->rank);
}

static hs_status read_images(hs_source *s, hs_bytes_set **set)
{
    idx_header h = {0};
    HS_TRY(read_header(s, 3, 4, &h));
    hs_shape shape = {(int)h.size[1], (int)h.size[2], h.rank == 4 ? (int)h.size[3] : 1};
    HS_TRY(hs_bytes_set_create("IDX data set", h.size[0], shape, 0, set));
    HS_TRY(hs_source_read(s, (*set)->pixels, (size_t)h.size[0] * hs_shape_count(shape)));
    return hs_source_end(s);
}

static hs_status read_labels(hs_source *s, unsigned char *labels, int64_t count)
{
    idx_header h = {0};
    HS_TRY(read_header(s, 1, 1, &h));
    if (h.size[0] != count)
        return hs_fail(HS_EINPUT, "%s: %u labels for %lld images; the two files do not belong together", s->path, h.size[0],
                       (long long)count);
    HS_TRY(hs_source_read(s, labels, h.size[0]));
    return hs_source_end(s);
}

/* Classes are not written anywhere: labels count from 0, so there are max + 1. When fewer than half of them occur, a label is
 * damaged rather than a class empty. */
static hs_status count_classes(const char *path, const unsigned char *labels, int64_t count, int *classes)
{
    bool seen[256] = {false};
    int64_t at = 0;
    int kinds = 0;
    for (int64_t i = 0; i < count; i++) {
        kinds += !seen[labels[i]];
        seen[labels[i]] = true;
        if (labels[i] > labels[at])
            at = i;
    }
    if (2 * kinds < labels[at] + 1)
        return hs_fail(HS_EINPUT,
                       "%s: label %d at index %lld is out of range: only %d different labels occur, and they count from 0", path,
                       labels[at], (long long)at, kinds);
    *classes = labels[at] + 1;
    return HS_OK;
}

/* The classes of a test part are those of its training part, if that is there. */
static hs_status classes_of_training(const char *dir, int *classes)
{
    char path[HS_PATH_MAX];
    hs_source s;
    idx_header h = {0};
    unsigned char *labels = NULL;
    if (!find_labels(dir, HS_SPLIT_TRAIN, path))
        return HS_OK;
    HS_TRY(hs_source_open(&s, path, NULL));
    hs_status st;
    HS_TRY_GOTO(st, read_header(&s, 1, 1, &h), done);
    HS_TRY_GOTO(st, hs_calloc(h.size[0], 1, "labels", &labels), done);
    HS_TRY_GOTO(st, hs_source_read(&s, labels, h.size[0]), done);
    st = count_classes(path, labels, h.size[0], classes);
done:
    hs_free(labels);
    hs_source_close(&s);
    return st;
}

static hs_status check_labels(const char *path, const unsigned char *labels, int64_t count, int classes)
{
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= classes)
            return hs_fail(HS_EINPUT, "%s: label %d at index %lld is out of range: there are %d classes, 0 to %d", path,
                           labels[i], (long long)i, classes, classes - 1);
    return HS_OK;
}

/* Opens PATH, lets one of the two readers above take it, closes it. */
static hs_status load(const char *path, hs_sha256 *digest, hs_bytes_set **images, unsigned char *labels, int64_t count)
{
    hs_source s;
    HS_TRY(hs_source_open(&s, path, digest));
    hs_status st = images ? read_images(&s, images) : read_labels(&s, labels, count);
    hs_source_close(&s);
    return st;
}

hs_status hs_idx_open(const char *dir, hs_split part, int classes, hs_dataset **set)
{
    char images[HS_PATH_MAX], labels[HS_PATH_MAX];
    hs_bytes_set *b = NULL;
    hs_sha256 digest;
    hs_status st;
    if (!find_images(dir, part, images))
        return hs_fail(HS_EINPUT, "%s: no file %s-images-idx3-ubyte, plain or .gz; check the directory", dir, part_name(part));
    if (!find_labels(dir, part, labels))
        return hs_fail(HS_EINPUT, "%s: no file %s-labels-idx1-ubyte, plain or .gz, beside the images", dir, part_name(part));
    hs_sha256_init(&digest);
    HS_TRY_GOTO(st, load(images, &digest, &b, NULL, 0), undo);
    HS_TRY_GOTO(st, load(labels, &digest, NULL, b->labels, b->base.count), undo);
    if (classes == 0 && part == HS_SPLIT_TEST)
        HS_TRY_GOTO(st, classes_of_training(dir, &classes), undo);
    if (classes == 0)
        HS_TRY_GOTO(st, count_classes(labels, b->labels, b->base.count, &classes), undo);
    HS_TRY_GOTO(st, check_labels(labels, b->labels, b->base.count, classes), undo);
    b->base.classes = classes;
    hs_sha256_hex(&digest, b->base.digest);
    snprintf(b->base.source, sizeof b->base.source, "%.*s", (int)sizeof b->base.source - 1, images);
    *set = &b->base;
    return HS_OK;
undo:
    hs_bytes_set_destroy(b);
    return st;
}
