/* dataset.c - opens a data set by its specification and reads samples of any kind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_impl.h"

#define DEBIAN_DIR "/usr/share/datasets/fashion-mnist"

/* $HALFSPEC_DATA comes first, so that a user's own copy wins over the packaged one. */
static hs_status open_fashion(hs_split part, hs_dataset **set)
{
    const char *own = getenv("HALFSPEC_DATA");
    char dir[HS_PATH_MAX];
    if (own && *own) {
        int n = snprintf(dir, sizeof dir, "%s/fashion-mnist", own);
        if (n > 0 && n < (int)sizeof dir && hs_idx_here(dir, part))
            return hs_idx_open(dir, part, 10, set);
        if (hs_idx_here(own, part))
            return hs_idx_open(own, part, 10, set);
    }
    if (hs_idx_here(DEBIAN_DIR, part))
        return hs_idx_open(DEBIAN_DIR, part, 10, set);
    return hs_fail(HS_EINPUT,
                   "data = fashion-mnist: its files are not in %s%s" DEBIAN_DIR
                   "; try `apt-get install dataset-fashion-mnist`, or put "
                   "train-images-idx3-ubyte.gz and its three companions into a directory and set HALFSPEC_DATA to it",
                   own && *own ? own : "", own && *own ? " or " : "");
}

static hs_status open_cifar100(const char *dir, hs_split part, hs_dataset **set)
{
    char stem[HS_PATH_MAX];
    size_t length = strlen(dir);
    if (length < 7 || strcmp(dir + length - 7, ":coarse") != 0)
        return hs_cifar_open(dir, part, 100, set);
    if (length - 7 >= sizeof stem)
        return hs_fail(HS_EINPUT, "data = cifar100: the directory's name is too long");
    memcpy(stem, dir, length - 7);
    stem[length - 7] = '\0';
    return hs_cifar_open(stem, part, 20, set);
}

static hs_status fail_kind(const char *spec)
{
    static const char *const known[] = {"fashion-mnist", "idx", "cifar10", "cifar100", "hdf5", "synthetic"};
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(spec, ":"), spec);
    const char *near = hs_nearest(word, known, 6);
    if (near && strcmp(near, word) == 0)
        return hs_fail(HS_EUSAGE, "data = %s: %s; see `halfspec help data`", spec,
                       strchr(spec, ':') ? "nothing follows the name of this one" : "a colon and what to read must follow");
    return hs_fail(
        HS_EUSAGE,
        "data = %s: no such kind of data set%s%s%s; known are fashion-mnist, idx:DIR, cifar10:DIR, cifar100:DIR[:coarse], "
        "hdf5:FILE, synthetic:N,H,W,C,classes",
        spec, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

hs_status hs_dataset_open(const char *spec, hs_split part, uint64_t seed, hs_dataset **set)
{
    const char *colon = strchr(spec, ':'), *rest = colon ? colon + 1 : "";
    size_t kind = colon ? (size_t)(colon - spec) : strlen(spec);
    if (part == HS_SPLIT_VALIDATION)
        return hs_fail(HS_EINTERNAL, "hs_dataset_open: files hold no validation part; use hs_dataset_split");
    if (strcmp(spec, "fashion-mnist") == 0)
        return open_fashion(part, set);
    if (colon && !*rest)
        return hs_fail(HS_EUSAGE, "data = %s: a path or numbers must follow the colon", spec);
#define IS(name) (colon && kind == sizeof(name) - 1 && memcmp(spec, name, kind) == 0)
    if (IS("idx"))
        return hs_idx_open(rest, part, 0, set);
    if (IS("cifar10"))
        return hs_cifar_open(rest, part, 10, set);
    if (IS("cifar100"))
        return open_cifar100(rest, part, set);
    if (IS("hdf5"))
        return hs_dataset_hdf5(rest, part, set);
    if (IS("synthetic"))
        return hs_synthetic_open(rest, part, seed, set);
#undef IS
    return fail_kind(spec);
}

void hs_dataset_close(hs_dataset **set)
{
    if (!set || !*set)
        return;
    (*set)->ops->close(*set);
    *set = NULL;
}

hs_status hs_dataset_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    for (int i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= set->count)
            return hs_fail(HS_EINTERNAL, "%s: sample %lld was asked for, there are %lld", set->source, (long long)indices[i],
                           (long long)set->count);
    return count > 0 ? set->ops->read(set, indices, count, pixels, labels) : HS_OK;
}
