/* cifar.c - the binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky: https://www.cs.toronto.edu/~kriz/cifar.html). A row is
 *   CIFAR-10   label | 3072 bytes      CIFAR-100   coarse label | fine label | 3072 bytes
 * with the image as three planes of 32 x 32: [c][y][x]. There is no header: only lengths and labels can be checked. */
#include <stdio.h>
#include <string.h>

#include "data_impl.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, IMAGE = 3 * PLANE, FILES = 5 };
#define CONTENT_MAX (4ull << 30)

typedef struct cifar_layout {
    int labels, which; /* label bytes of a row, and the one that counts */
    int classes;
    const char *folder; /* what the archive unpacks to */
    const char *train[FILES + 1], *test[2];
} cifar_layout;

static const cifar_layout ten = {
    1,
    0,
    10,
    "cifar-10-batches-bin",
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", NULL},
    {"test_batch.bin", NULL}};
static const cifar_layout hundred = {2, 1, 100, "cifar-100-binary", {"train.bin", NULL}, {"test.bin", NULL}};
static const cifar_layout coarse = {2, 0, 20, "cifar-100-binary", {"train.bin", NULL}, {"test.bin", NULL}};

static hs_status find(const char *dir, const cifar_layout *layout, const char *name, char path[HS_PATH_MAX])
{
    char inner[HS_PATH_MAX];
    if (hs_source_find(dir, name, path))
        return HS_OK;
    int n = snprintf(inner, sizeof inner, "%s/%s", dir, layout->folder);
    if (n > 0 && n < (int)sizeof inner && hs_source_find(inner, name, path))
        return HS_OK;
    return hs_fail(HS_EINPUT,
                   "%s: no file %s here or in %s/; the binary version of the data set is needed (not the one for Python)", dir,
                   name, layout->folder);
}

static hs_status count_rows(const char *path, int row, int64_t *rows)
{
    uint64_t bytes = 0;
    HS_TRY(hs_source_length(path, CONTENT_MAX, &bytes));
    if (bytes == 0 || bytes % (uint64_t)row != 0)
        return hs_fail(
            HS_EINPUT,
            "%s: %llu bytes are not a whole number of rows of %d; truncated, or not this kind of CIFAR: fetch it again", path,
            (unsigned long long)bytes, row);
    *rows = (int64_t)(bytes / (uint64_t)row);
    return HS_OK;
}

/* [c][y][x] -> [y][x][c] */
static void interleave(const unsigned char *planes, unsigned char *pixels)
{
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++)
            pixels[3 * i + c] = planes[c * PLANE + i];
}

static hs_status read_rows(hs_source *s, const cifar_layout *layout, int64_t rows, unsigned char *pixels, unsigned char *labels)
{
    unsigned char row[2 + IMAGE];
    size_t bytes = (size_t)layout->labels + IMAGE;
    for (int64_t i = 0; i < rows; i++) {
        HS_TRY(hs_source_read(s, row, bytes));
        int fine = layout->labels == 2 ? row[1] : 0, first = row[0], limit = layout->labels == 2 ? 20 : 10;
        if (first >= limit || fine >= 100)
            return hs_fail(
                HS_EINPUT,
                "%s: label %d of row %lld (byte %lld) is out of range 0 to %d; the file is damaged or not this kind of CIFAR",
                s->path, first >= limit ? first : fine, (long long)i, (long long)(i * (int64_t)bytes + (first < limit)),
                first >= limit ? limit - 1 : 99);
        labels[i] = row[layout->which];
        interleave(row + layout->labels, pixels + (size_t)i * IMAGE);
    }
    return hs_source_end(s);
}

static hs_status load(const char *path, const cifar_layout *layout, int64_t rows, hs_sha256 *digest, unsigned char *pixels,
                      unsigned char *labels)
{
    hs_source s;
    HS_TRY(hs_source_open(&s, path, digest));
    hs_status st = read_rows(&s, layout, rows, pixels, labels);
    hs_source_close(&s);
    return st;
}

hs_status hs_cifar_open(const char *dir, hs_split part, int classes, hs_dataset **set)
{
    const cifar_layout *layout = classes == 10 ? &ten : classes == 20 ? &coarse : &hundred;
    const char *const *name = part == HS_SPLIT_TEST ? layout->test : layout->train;
    char path[FILES][HS_PATH_MAX];
    int64_t rows[FILES], total = 0, done = 0;
    int files = 0;
    for (; name[files]; files++) {
        HS_TRY(find(dir, layout, name[files], path[files]));
        HS_TRY(count_rows(path[files], layout->labels + IMAGE, &rows[files]));
        total += rows[files];
    }
    hs_bytes_set *b = NULL;
    hs_sha256 digest;
    hs_status st;
    hs_sha256_init(&digest);
    HS_TRY(hs_bytes_set_create("CIFAR data set", total, (hs_shape){SIDE, SIDE, 3}, classes, &b));
    for (int i = 0; i < files; i++) {
        HS_TRY_GOTO(st, load(path[i], layout, rows[i], &digest, b->pixels + (size_t)done * IMAGE, b->labels + done), undo);
        done += rows[i];
    }
    hs_sha256_hex(&digest, b->base.digest);
    snprintf(b->base.source, sizeof b->base.source, "%.*s", (int)sizeof b->base.source - 1, path[0]);
    *set = &b->base;
    return HS_OK;
undo:
    hs_bytes_set_destroy(b);
    return st;
}
