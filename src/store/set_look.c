/* set_look.c - `info` and `check` of an HDF5 data set: it carries no signature of ours, so it is one if its training part opens
 * as one. */
#include <stdio.h>

#include "hs_data.h"
#include "parts.h"

hs_status hs_h5_signature_or(hid_t file, char kind[64], const char *reason)
{
    char path[512];
    if (hs_h5_has(file, "signature"))
        return hs_h5_signature(file, kind);
    return hs_fail(HS_EINPUT, "%s: no run, checkpoint or predictions file of halfspec's; and no data set: %s",
                   hs_h5_path(file, path, sizeof path), reason);
}

/* Opens PART of PATH; *SET is NULL if the file has none, or is no data set. The reason stays recorded. */
static void open_part(const char *path, hs_split part, hs_dataset **set)
{
    *set = NULL;
    if (hs_dataset_hdf5(path, part, set) != HS_OK)
        *set = NULL;
}

static void print_part(FILE *out, const char *label, const hs_dataset *set)
{
    fprintf(out, "%-12s %lld samples of %d x %d x %d, %s, %d classes\n", label, (long long)set->count, set->shape.h, set->shape.w,
            set->shape.c, set->bytes ? "bytes" : "floats", set->classes);
}

bool hs_set_info(const char *path, FILE *out)
{
    hs_dataset *train, *test;
    open_part(path, HS_SPLIT_TRAIN, &train);
    if (!train)
        return false;
    fprintf(out, "%-12s %s\n%-12s HDF5 data set\n%-12s %s\n", "file", path, "format", "digest", train->digest);
    print_part(out, "train", train);
    open_part(path, HS_SPLIT_TEST, &test);
    if (test)
        print_part(out, "test", test);
    hs_dataset_close(&train);
    hs_dataset_close(&test);
    hs_fail_clear();
    return true;
}

/* Every sample once: HDF5 compares its checksums, floats must be finite. */
static hs_status read_through(hs_dataset *set)
{
    enum { BLOCK = 64 };
    int64_t index[BLOCK];
    int32_t labels[BLOCK];
    float *pixels = NULL;
    hs_status st = hs_calloc(BLOCK * hs_shape_count(set->shape), sizeof *pixels, "samples", &pixels);
    for (int64_t at = 0; st == HS_OK && at < set->count; at += BLOCK) {
        int count = set->count - at < BLOCK ? (int)(set->count - at) : BLOCK;
        for (int i = 0; i < count; i++)
            index[i] = at + i;
        st = hs_dataset_read(set, index, count, pixels, labels);
    }
    hs_free(pixels);
    return st;
}

bool hs_set_check(const char *path, FILE *out, hs_status *status)
{
    hs_dataset *part[2];
    *status = HS_OK;
    open_part(path, HS_SPLIT_TRAIN, &part[0]);
    if (!part[0])
        return false;
    open_part(path, HS_SPLIT_TEST, &part[1]);
    for (int i = 0; i < 2; i++) {
        if (part[i] && *status == HS_OK)
            *status = read_through(part[i]);
        hs_dataset_close(&part[i]);
    }
    if (*status == HS_OK)
        fprintf(out, "%s: a sound HDF5 data set\n", path);
    return true;
}
