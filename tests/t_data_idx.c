/* t_data_idx.c - IDX files, good and damaged. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "data_files.h"
#include "hs_rng.h"

static char spec[300];

static const char *spec_of(const char *dir)
{
    snprintf(spec, sizeof spec, "idx:%s", dir);
    return spec;
}

static void check_content(hs_dataset *set, uint32_t n, hs_shape shape, int classes)
{
    int64_t index[3] = {n - 1, 0, n / 2};
    size_t size = hs_shape_count(shape);
    float *x = malloc(3 * size * sizeof *x);
    int32_t label[3];
    assert_int_equal(set->count, n);
    assert_int_equal(set->classes, classes);
    assert_memory_equal(&set->shape, &shape, sizeof shape);
    assert_true(set->bytes);
    assert_int_equal(hs_dataset_read(set, index, 3, x, label), HS_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(label[i], (int)(index[i] % classes));
        for (size_t k = 0; k < size; k++)
            assert_true(x[(size_t)i * size + k] == (float)idx_pixel((size_t)index[i] * size + k));
    }
    free(x);
}

static void test_plain_and_gzip(void **state)
{
    static const char *const ending[] = {"", ".gz"};
    char digest[2][65];
    for (int i = 0; i < 2; i++) {
        hs_dataset *set = NULL;
        put_idx(*state, "train", 57, 5, 7, 0, 10, ending[i]);
        put_idx(*state, "t10k", 13, 5, 7, 0, 10, ending[i]);
        assert_int_equal(hs_dataset_open(spec_of(*state), HS_SPLIT_TRAIN, 1, &set), HS_OK);
        check_content(set, 57, (hs_shape){5, 7, 1}, 10);
        assert_non_null(strstr(set->source, *state));
        strcpy(digest[i], set->digest);
        assert_int_equal(strlen(digest[i]), 64);
        hs_dataset_close(&set);
        assert_null(set);
        assert_int_equal(hs_dataset_open(spec_of(*state), HS_SPLIT_TEST, 1, &set), HS_OK);
        check_content(set, 13, (hs_shape){5, 7, 1}, 10);
        assert_string_not_equal(digest[i], set->digest);
        hs_dataset_close(&set);
        remove_file(*state, "train-images-idx3-ubyte");
        remove_file(*state, "train-labels-idx1-ubyte");
        remove_file(*state, "t10k-images-idx3-ubyte");
        remove_file(*state, "t10k-labels-idx1-ubyte");
    }
    assert_string_equal(digest[0], digest[1]); /* of the content, not of its packing */
}

static void test_four_dimensions(void **state)
{
    hs_dataset *set = NULL;
    put_idx(*state, "train", 20, 4, 6, 3, 4, ".gz");
    assert_int_equal(hs_dataset_open(spec_of(*state), HS_SPLIT_TRAIN, 1, &set), HS_OK);
    check_content(set, 20, (hs_shape){4, 6, 3}, 4);
    hs_dataset_close(&set);
}

static void test_missing(void **state)
{
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, *state, "train-images-idx3-ubyte", "check");
    put_idx(*state, "train", 4, 2, 2, 0, 2, "");
    FAILS(spec_of(*state), HS_SPLIT_TEST, HS_EINPUT, "t10k-images-idx3-ubyte");
    remove_file(*state, "train-labels-idx1-ubyte");
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-labels-idx1-ubyte");
    FAILS("idx:/nonexistent/place", HS_SPLIT_TRAIN, HS_EINPUT, "/nonexistent/place");
}

/* Every length but the right one, plain and compressed. */
static void test_truncated(void **state)
{
    long cuts[] = {0, 1, 3, 4, 10, 15, 16, 17, 300, -1};
    for (int i = 0; i < 10; i++) {
        put_idx(*state, "train", 40, 4, 4, 0, 10, "");
        cut_file(*state, "train-images-idx3-ubyte", cuts[i]);
        FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-images-idx3-ubyte", "truncated");
        put_idx(*state, "train", 40, 4, 4, 0, 10, "");
        cut_file(*state, "train-labels-idx1-ubyte", cuts[i] > 40 ? 47 : cuts[i]);
        FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-labels-idx1-ubyte", "truncated");
        remove_file(*state, "train-images-idx3-ubyte");
        remove_file(*state, "train-labels-idx1-ubyte");
        put_idx(*state, "train", 40, 4, 4, 0, 10, ".gz");
        cut_file(*state, "train-images-idx3-ubyte.gz", cuts[i] < 300 ? cuts[i] : -9);
        FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-images-idx3-ubyte.gz");
    }
}

static void test_damaged_gzip(void **state)
{
    char path[400];
    put_idx(*state, "train", 40, 4, 4, 0, 10, ".gz");
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte.gz", (char *)*state);
    FILE *f = fopen(path, "r+b");
    fseek(f, -6, SEEK_END); /* in the checksum: the content itself is whole */
    int c = fgetc(f);
    fseek(f, -6, SEEK_END);
    fputc(c ^ 0x40, f);
    fclose(f);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-images-idx3-ubyte.gz", "gzip");
}

static void test_trailing(void **state)
{
    static const char *const ending[] = {"", ".gz"};
    unsigned char bytes[16 + 4 * 4 * 3 + 1];
    const uint32_t size[3] = {3, 4, 4};
    memset(bytes, 0, sizeof bytes);
    idx_header(bytes, 3, size);
    for (int i = 0; i < 2; i++) {
        char name[64];
        put_idx(*state, "train", 3, 4, 4, 0, 3, ending[i]);
        snprintf(name, sizeof name, "train-images-idx3-ubyte%s", ending[i]);
        put_file(*state, name, bytes, sizeof bytes);
        FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, name, "damaged");
        remove_file(*state, name);
        remove_file(*state, "train-labels-idx1-ubyte");
    }
}

/* Changes byte AT of the header of 3 images of 4 x 4. */
static void put_header_byte(const char *dir, int at, unsigned char value)
{
    unsigned char bytes[16 + 4 * 4 * 3];
    const uint32_t size[3] = {3, 4, 4};
    put_idx(dir, "train", 3, 4, 4, 0, 3, "");
    memset(bytes, 0, sizeof bytes);
    idx_header(bytes, 3, size);
    bytes[at] = value;
    put_file(dir, "train-images-idx3-ubyte", bytes, sizeof bytes);
}

static void test_bad_header(void **state)
{
    put_header_byte(*state, 0, 0x89);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "not an IDX file", "byte 0");
    put_header_byte(*state, 2, 0x0D);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "0x0d", "byte 2");
    put_header_byte(*state, 3, 1);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "1 dimensions", "exchanged");
    put_header_byte(*state, 3, 200);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "200 dimensions");
    put_header_byte(*state, 7, 0);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "size 0 of dimension 0 at byte 4");
    put_header_byte(*state, 7, 4);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "truncated");
    put_header_byte(*state, 7, 2);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "too many");
    for (int at = 4; at < 15; at++) { /* sizes that no memory would hold: refused before any is asked for */
        put_header_byte(*state, at, 0xFF);
        FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "train-images");
    }
}

/* Any byte of any file may be wrong: either the set opens, or the reason is the input; nothing crashes and nothing stays behind.
 */
static void test_random_damage(void **state)
{
    static const char *const name[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "train-images-idx3-ubyte.gz",
                                       "train-labels-idx1-ubyte.gz"};
    const char *given = getenv("HALFSPEC_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)getpid();
    int opened = 0, refused = 0;
    long blocks = hs_live_blocks();
    print_message("# seed %u (HALFSPEC_TEST_SEED repeats it)\n", seed);
    for (int round = 0; round < 400; round++) {
        hs_words r = hs_random(seed, HS_DRAW_TEST, 2, 0, (uint64_t)round);
        const char *which = name[r.w[0] % 4];
        char path[400];
        hs_dataset *set = NULL;
        put_idx(*state, "train", 30, 4, 4, 0, 10, r.w[0] % 4 < 2 ? "" : ".gz");
        snprintf(path, sizeof path, "%s/%s", (char *)*state, which);
        FILE *f = fopen(path, "r+b");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        long size = ftell(f);
        fseek(f, (long)(r.w[1] % (r.w[3] & 1 ? 20 : (unsigned long)size)), SEEK_SET); /* every other time in the header */
        fputc((int)(r.w[2] & 0xFF), f);
        fclose(f);
        hs_status st = hs_dataset_open(spec_of(*state), HS_SPLIT_TRAIN, 1, &set);
        assert_true(st == HS_OK || (st == HS_EINPUT && strstr(hs_fail_text(), *state)));
        opened += st == HS_OK;
        refused += st != HS_OK;
        hs_dataset_close(&set);
        assert_int_equal(hs_live_blocks(), blocks);
        for (int i = 0; i < 4; i++)
            remove_file(*state, name[i]);
    }
    assert_true(opened > 20 && refused > 20);
}

/* A compressed file of a few bytes cannot make us reserve terabytes. */
static void test_bomb(void **state)
{
    unsigned char bytes[64] = {0};
    const uint32_t size[3] = {0x7FFFFFFF, 1024, 1024};
    put_idx(*state, "train", 3, 4, 4, 0, 3, ".gz");
    idx_header(bytes, 3, size);
    put_file(*state, "train-images-idx3-ubyte.gz", bytes, sizeof bytes);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "cannot hold");
}

static void put_labels(const char *dir, const char *part, const unsigned char *label, uint32_t n)
{
    unsigned char bytes[256];
    char name[64];
    size_t head = idx_header(bytes, 1, &n);
    memcpy(bytes + head, label, n);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part);
    put_file(dir, name, bytes, head + n);
}

static void test_labels(void **state)
{
    unsigned char label[40];
    put_idx(*state, "train", 40, 4, 4, 0, 10, "");
    put_idx(*state, "t10k", 40, 4, 4, 0, 10, "");
    for (int i = 0; i < 40; i++)
        label[i] = (unsigned char)(i % 10);
    put_labels(*state, "train", label, 39);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "39 labels for 40 images");
    label[17] = 200;
    put_labels(*state, "train", label, 40);
    FAILS(spec_of(*state), HS_SPLIT_TRAIN, HS_EINPUT, "label 200 at index 17 is out of range");
    label[17] = 7;
    put_labels(*state, "train", label, 40);
    label[23] = 10; /* one class more than training has */
    put_labels(*state, "t10k", label, 40);
    FAILS(spec_of(*state), HS_SPLIT_TEST, HS_EINPUT, "label 10 at index 23 is out of range", "10 classes");
}

/* The set that is found by itself: HALFSPEC_DATA first, and 10 classes are demanded. */
static void test_fashion_place(void **state)
{
    hs_dataset *set = NULL;
    unsigned char label[20];
    put_idx(*state, "train", 20, 4, 4, 0, 10, ".gz");
    setenv("HALFSPEC_DATA", *state, 1);
    assert_int_equal(hs_dataset_open("fashion-mnist", HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(set->count, 20);
    hs_dataset_close(&set);
    for (int i = 0; i < 20; i++)
        label[i] = (unsigned char)(i % 11);
    put_labels(*state, "train", label, 20);
    FAILS("fashion-mnist", HS_SPLIT_TRAIN, HS_EINPUT, "label 10 at index 10");
    unsetenv("HALFSPEC_DATA");
}

static void test_fashion_itself(void **state)
{
    hs_dataset *set = NULL;
    (void)state;
    unsetenv("HALFSPEC_DATA");
    if (access("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", R_OK) != 0) {
        FAILS("fashion-mnist", HS_SPLIT_TRAIN, HS_EINPUT, "apt-get install dataset-fashion-mnist", "HALFSPEC_DATA");
        return;
    }
    assert_int_equal(hs_dataset_open("fashion-mnist", HS_SPLIT_TRAIN, 1, &set), HS_OK);
    assert_int_equal(set->count, 60000);
    assert_int_equal(set->classes, 10);
    assert_int_equal(set->shape.h, 28);
    hs_dataset_close(&set);
    assert_int_equal(hs_dataset_open("fashion-mnist", HS_SPLIT_TEST, 1, &set), HS_OK);
    assert_int_equal(set->count, 10000);
    int64_t index = 0;
    float x[784];
    int32_t first;
    assert_int_equal(hs_dataset_read(set, &index, 1, x, &first), HS_OK);
    assert_int_equal(first, 9); /* the first test image is an ankle boot */
    hs_dataset_close(&set);
}

static void test_specification(void **state)
{
    (void)state;
    FAILS("fashoin-mnist", HS_SPLIT_TRAIN, HS_EUSAGE, "did you mean 'fashion-mnist'");
    FAILS("cifar10", HS_SPLIT_TRAIN, HS_EUSAGE, "a colon and what to read");
    FAILS("fashion-mnist:here", HS_SPLIT_TRAIN, HS_EUSAGE, "nothing follows");
    FAILS("idx:", HS_SPLIT_TRAIN, HS_EUSAGE, "colon");
    FAILS("", HS_SPLIT_TRAIN, HS_EUSAGE, "known are");
    FAILS("nothing:at/all", HS_SPLIT_TRAIN, HS_EUSAGE, "nothing:at/all");
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_plain_and_gzip),
        IN_SCRATCH(test_four_dimensions),
        IN_SCRATCH(test_missing),
        IN_SCRATCH(test_truncated),
        IN_SCRATCH(test_damaged_gzip),
        IN_SCRATCH(test_trailing),
        IN_SCRATCH(test_bad_header),
        IN_SCRATCH(test_bomb),
        IN_SCRATCH(test_labels),
        IN_SCRATCH(test_random_damage),
        IN_SCRATCH(test_fashion_place),
        cmocka_unit_test(test_fashion_itself),
        cmocka_unit_test(test_specification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
