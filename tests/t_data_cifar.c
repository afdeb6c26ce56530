/* t_data_cifar.c - small files in exactly the format of CIFAR-10's and CIFAR-100's binary versions. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "data_files.h"

enum { PLANE = 1024, IMAGE = 3 * PLANE };

static char spec[300];

static unsigned char pixel(int row, int c, int i)
{
    return (unsigned char)(row * 7 + c * 50 + i);
}

/* ROWS rows from number FIRST on, with LABELS label bytes: fine = row % 10 or % 100, coarse = fine / 5. */
static void put_rows(const char *dir, const char *name, int labels, int first, int rows)
{
    size_t row_bytes = (size_t)labels + IMAGE;
    unsigned char *bytes = malloc((size_t)rows * row_bytes + 1), *at = bytes;
    for (int r = first; r < first + rows; r++) {
        if (labels == 2)
            *at++ = (unsigned char)(r % 100 / 5);
        *at++ = (unsigned char)(r % (labels == 2 ? 100 : 10));
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < PLANE; i++)
                *at++ = pixel(r, c, i);
    }
    put_file(dir, name, bytes, (size_t)rows * row_bytes);
    free(bytes);
}

static void put_ten(const char *dir)
{
    char name[32];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
        put_rows(dir, name, 1, 4 * i, 4);
    }
    put_rows(dir, "test_batch.bin", 1, 100, 3);
}

static const char *spec_of(const char *kind, const char *dir, const char *end)
{
    snprintf(spec, sizeof spec, "%s:%s%s", kind, dir, end);
    return spec;
}

static void set_byte(const char *dir, const char *name, long at, int value)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    fputc(value, f);
    fclose(f);
}

static void check_row(hs_dataset *set, int64_t index, int row, int label)
{
    static float x[IMAGE];
    int32_t got;
    assert_int_equal(hs_dataset_read(set, &index, 1, x, &got), HS_OK);
    assert_int_equal(got, label);
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++)
            assert_true(x[3 * i + c] == (float)pixel(row, c, i));
}

static void test_ten(void **state)
{
    hs_dataset *set = NULL;
    put_ten(*state);
    assert_int_equal(hs_dataset_open(spec_of("cifar10", *state, ""), HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(set->count, 20);
    assert_int_equal(set->classes, 10);
    assert_true(set->shape.h == 32 && set->shape.w == 32 && set->shape.c == 3 && set->bytes);
    for (int i = 0; i < 20; i++)
        check_row(set, i, i, i % 10);
    hs_dataset_close(&set);
    assert_int_equal(hs_dataset_open(spec_of("cifar10", *state, ""), HS_SPLIT_TEST, 1, &set), HS_OK);
    assert_int_equal(set->count, 3);
    check_row(set, 2, 102, 2);
    hs_dataset_close(&set);
}

static void test_hundred(void **state)
{
    hs_dataset *set = NULL;
    put_rows(*state, "train.bin", 2, 90, 9);
    put_rows(*state, "test.bin.gz", 2, 7, 2);
    assert_int_equal(hs_dataset_open(spec_of("cifar100", *state, ""), HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(set->classes, 100);
    assert_int_equal(set->count, 9);
    check_row(set, 8, 98, 98);
    hs_dataset_close(&set);
    assert_int_equal(hs_dataset_open(spec_of("cifar100", *state, ":coarse"), HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(set->classes, 20);
    check_row(set, 8, 98, 19);
    hs_dataset_close(&set);
    assert_int_equal(hs_dataset_open(spec_of("cifar100", *state, ""), HS_SPLIT_TEST, 1, &set), HS_OK);
    check_row(set, 1, 8, 8);
    hs_dataset_close(&set);
}

static void test_damaged_ten(void **state)
{
    put_ten(*state);
    cut_file(*state, "data_batch_3.bin", -1);
    FAILS(spec_of("cifar10", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "data_batch_3.bin", "rows of 3073");
    put_ten(*state);
    cut_file(*state, "data_batch_3.bin", 0);
    FAILS(spec_of("cifar10", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "data_batch_3.bin", "0 bytes");
    put_ten(*state);
    set_byte(*state, "data_batch_5.bin", 2 * (1 + IMAGE), 10);
    FAILS(spec_of("cifar10", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "data_batch_5.bin", "label 10 of row 2 (byte 6146)",
          "0 to 9");
    remove_file(*state, "data_batch_4.bin");
    FAILS(spec_of("cifar10", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "data_batch_4.bin", "binary version");
}

static void test_damaged_hundred(void **state)
{
    put_rows(*state, "train.bin", 2, 0, 5);
    set_byte(*state, "train.bin", 3 * (2 + IMAGE), 20);
    FAILS(spec_of("cifar100", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "label 20 of row 3 (byte 9222)", "0 to 19");
    put_rows(*state, "train.bin", 2, 0, 5);
    set_byte(*state, "train.bin", 3 * (2 + IMAGE) + 1, 100);
    FAILS(spec_of("cifar100", *state, ":coarse"), HS_SPLIT_TRAIN, HS_EINPUT, "label 100 of row 3 (byte 9223)", "0 to 99");
    put_rows(*state, "train.bin", 1, 0, 5); /* rows of CIFAR-10 */
    FAILS(spec_of("cifar100", *state, ""), HS_SPLIT_TRAIN, HS_EINPUT, "rows of 3074");
    put_rows(*state, "test.bin.gz", 2, 0, 5);
    cut_file(*state, "test.bin.gz", -20);
    FAILS(spec_of("cifar100", *state, ""), HS_SPLIT_TEST, HS_EINPUT, "test.bin.gz", "truncated");
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_ten),
        IN_SCRATCH(test_hundred),
        IN_SCRATCH(test_damaged_ten),
        IN_SCRATCH(test_damaged_hundred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
