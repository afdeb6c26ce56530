/* data_files.h - for tests of src/data: a scratch directory, and files in the formats that the program reads. */
#ifndef DATA_FILES_H
#define DATA_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "hs_base.h"
#include "hs_data.h"

/* A fresh directory, its name in *STATE. */
static inline int scratch_make(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(256);
    snprintf(path, 256, "%s/t_data_XXXXXX", base && *base ? base : "/tmp");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
    char name[700];
    struct dirent *entry;
    DIR *dir = opendir(*state);
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", (char *)*state, entry->d_name);
            unlink(name);
        }
    if (dir)
        closedir(dir);
    rmdir(*state);
    free(*state);
    return 0;
}

/* Writes DATA to DIR/NAME, compressed if the name ends in .gz. */
static inline void put_file(const char *dir, const char *name, const void *data, size_t bytes)
{
    char path[700];
    size_t length = strlen(name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool gz = length > 3 && strcmp(name + length - 3, ".gz") == 0;
    gzFile f = gzopen(path, gz ? "wb" : "wbT"); /* T: no compression, no header */
    assert_non_null(f);
    if (bytes)
        assert_int_equal(gzwrite(f, data, (unsigned)bytes), (int)bytes);
    assert_int_equal(gzclose(f), Z_OK);
}

/* Cuts DIR/NAME to BYTES, or by -BYTES. */
static inline void cut_file(const char *dir, const char *name, long bytes)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    assert_int_equal(truncate(path, bytes >= 0 ? bytes : size + bytes), 0);
}

static inline void remove_file(const char *dir, const char *name)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

/* An IDX header of RANK sizes at BYTES; returns its length. */
static inline size_t idx_header(unsigned char *bytes, int rank, const uint32_t *size)
{
    const unsigned char magic[4] = {0, 0, 8, (unsigned char)rank};
    memcpy(bytes, magic, 4);
    for (int i = 0; i < rank; i++)
        for (int k = 0; k < 4; k++)
            bytes[4 + 4 * i + k] = (unsigned char)(size[i] >> (24 - 8 * k));
    return 4 + 4 * (size_t)rank;
}

static inline unsigned char idx_pixel(size_t i)
{
    return (unsigned char)(i * 31 + i / 256 + 5);
}

/* PART ("train", "t10k") of N images of H x W (x C if c > 0) with labels i % CLASSES; ENDING "" or ".gz". */
static inline void put_idx(const char *dir, const char *part, uint32_t n, uint32_t h, uint32_t w, uint32_t c, int classes,
                           const char *ending)
{
    char name[64];
    const uint32_t size[4] = {n, h, w, c};
    size_t body = (size_t)n * h * w * (c ? c : 1);
    unsigned char *bytes = malloc(20 + body + n);
    size_t head = idx_header(bytes, c ? 4 : 3, size);
    for (size_t i = 0; i < body; i++)
        bytes[head + i] = idx_pixel(i);
    snprintf(name, sizeof name, "%s-images-idx3-ubyte%s", part, ending);
    put_file(dir, name, bytes, head + body);
    head = idx_header(bytes, 1, size);
    for (uint32_t i = 0; i < n; i++)
        bytes[head + i] = (unsigned char)(i % (unsigned)classes);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte%s", part, ending);
    put_file(dir, name, bytes, head + n);
    free(bytes);
}

/* Opening KIND:DIR fails with STATUS, and the message holds every one of the WORDS (NULL at the end). */
static inline void fails_to_open(const char *spec, hs_split part, hs_status status, const char *const *words)
{
    hs_dataset *set = NULL;
    long blocks = hs_live_blocks();
    hs_fail_clear();
    assert_int_equal(hs_dataset_open(spec, part, 1, &set), status);
    assert_null(set);
    for (; *words; words++)
        if (!strstr(hs_fail_text(), *words))
            fail_msg("'%s' is not in the message: %s", *words, hs_fail_text());
    assert_int_equal(hs_live_blocks(), blocks);
}
#define FAILS(spec, part, status, ...) fails_to_open(spec, part, status, (const char *const[]){__VA_ARGS__, NULL})

#endif
