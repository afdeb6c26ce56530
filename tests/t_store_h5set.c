/* t_store_h5set.c - `data = hdf5:FILE`: any order of samples, any layout, the same numbers; also while another thread writes
 * checkpoints. */
#include "store_fixture.h"

#include <hdf5.h>
#include <pthread.h>

#include "hs_data.h"

enum { N = 1000, H = 5, W = 4, C = 3, SAMPLE = H * W * C };

static int pixel(int64_t i, int k)
{
    return (int)((i * 7 + k * 13 + i * k) % 256);
}

static void put(hid_t parent, const char *name, hid_t type, int rank, const hsize_t *dim, const hsize_t *chunk, const void *data)
{
    hid_t space = H5Screate_simple(rank, dim, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk) {
        H5Pset_chunk(plist, rank, chunk);
        H5Pset_shuffle(plist);
        H5Pset_deflate(plist, 1);
    }
    hid_t set = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
}

/* images and labels; FLOATS: float32 instead of bytes; CHUNK rows per chunk, 0: contiguous. */
static void make_set(const char *path, bool floats, hsize_t chunk_rows)
{
    static float f[N * SAMPLE];
    static unsigned char b[N * SAMPLE];
    int labels[N];
    hsize_t dim[4] = {N, H, W, C}, chunk[4] = {chunk_rows, H, W, C};
    for (int64_t i = 0; i < N; i++) {
        labels[i] = (int)(i % 11);
        for (int k = 0; k < SAMPLE; k++) {
            b[i * SAMPLE + k] = (unsigned char)pixel(i, k);
            f[i * SAMPLE + k] = (float)pixel(i, k) + 0.5f;
        }
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put(file, "images", floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_UCHAR, 4, dim, chunk_rows ? chunk : NULL,
        floats ? (void *)f : (void *)b);
    put(file, "labels", H5T_NATIVE_INT, 1, dim, NULL, labels);
    assert_true(H5Fclose(file) >= 0);
}

static void check_reads(hs_dataset *set, double offset, uint32_t stream, int rounds)
{
    enum { MOST = 600 }; /* more than one block of the reader */
    static int64_t index[MOST];
    static float pixels[MOST * SAMPLE];
    static int32_t labels[MOST];
    for (int round = 0; round < rounds; round++) {
        int count = 1 + (int)test_draw(stream, 5000u + (uint64_t)round, MOST);
        bool ascending = round % 2 == 0; /* neighbours in one read, or scattered with repetitions */
        int64_t first = (int64_t)test_draw(stream, 9000u + (uint64_t)round, N - MOST);
        for (int i = 0; i < count; i++)
            index[i] = ascending ? first + i : (int64_t)test_draw(stream + 1, (uint64_t)(round * MOST + i), N);
        memset(pixels, 0, sizeof pixels);
        OK(hs_dataset_read(set, index, count, pixels, labels));
        for (int i = 0; i < count; i++) {
            assert_int_equal(labels[i], index[i] % 11);
            for (int k = 0; k < SAMPLE; k++)
                assert_true((double)pixels[i * SAMPLE + k] == pixel(index[i], k) + offset);
        }
    }
}

static void every_layout(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[128];
    snprintf(path, sizeof path, "%s/set.h5", dir);
    for (int i = 0; i < 6; i++) {
        static const hsize_t rows[3] = {0, 1, 64};
        hs_dataset *set = NULL;
        make_set(path, i % 2, rows[i / 2]);
        OK(hs_dataset_hdf5(path, HS_SPLIT_TRAIN, &set));
        assert_true(set->count == N && set->classes == 11 && set->shape.h == H && set->shape.w == W && set->shape.c == C &&
                    set->bytes == (i % 2 == 0));
        assert_int_equal(strlen(set->digest), 64);
        check_reads(set, i % 2 ? 0.5 : 0.0, 10, 10);
        int64_t beyond = N;
        float x[SAMPLE];
        int32_t y;
        assert_int_equal(hs_dataset_read(set, &beyond, 1, x, &y), HS_EINTERNAL);
        hs_dataset_close(&set);
    }
    hs_dataset *set = NULL;
    assert_int_equal(hs_dataset_hdf5(path, HS_SPLIT_TEST, &set), HS_EINPUT);
    assert_non_null(strstr(hs_fail_text(), "test_images"));
    scratch_remove(dir);
}

static void *read_on(void *set)
{
    check_reads(set, 0.0, 30, 30);
    return NULL;
}

/* The prefetch thread reads while rank 0 saves: one lock around HDF5. */
static void beside_checkpoints(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[128], newest[256];
    hs_dataset *set = NULL;
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    pthread_t reader;
    snprintf(path, sizeof path, "%s/set.h5", dir);
    make_set(path, false, 16);
    OK(hs_dataset_hdf5(path, HS_SPLIT_TRAIN, &set));
    test_seed(); /* set before the second thread asks */
    assert_int_equal(pthread_create(&reader, NULL, read_on, set), 0);
    for (int i = 1; i <= 10; i++) {
        m->ck.state.step = i;
        OK(hs_checkpoint_write(dir, &m->ck, &p, 2, false, 0.5));
        OK(hs_checkpoint_find(dir, newest, sizeof newest, NULL));
        OK(hs_checkpoint_read(newest, &m->ck));
    }
    assert_int_equal(pthread_join(reader, NULL), 0);
    hs_dataset_close(&set);
    model_free(m);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layout), cmocka_unit_test(beside_checkpoints),
                                       cmocka_unit_test(no_leaks)};
    if (hs_store_start() != HS_OK)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
