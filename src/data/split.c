/* split.c - holds a share of a data set out: the samples with the smallest random keys, keyed by (seed, sample). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_impl.h"
#include "hs_rng.h"

typedef struct split_set {
    hs_dataset base;
    hs_dataset *whole;
    int64_t *index; /* [base.count], ascending */
} split_set;

typedef struct keyed {
    uint64_t key;
    int64_t index;
} keyed;

enum { PIECE = 256 };

static hs_status split_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    const split_set *s = (const split_set *)set;
    int64_t inner[PIECE];
    size_t size = hs_shape_count(set->shape);
    for (int done = 0; done < count;) {
        int n = count - done < PIECE ? count - done : PIECE;
        for (int i = 0; i < n; i++)
            inner[i] = s->index[indices[done + i]];
        HS_TRY(hs_dataset_read(s->whole, inner, n, pixels + (size_t)done * size, labels + done));
        done += n;
    }
    return HS_OK;
}

static void split_close(hs_dataset *set)
{
    split_set *s = (split_set *)set;
    hs_dataset_close(&s->whole);
    hs_free(s->index);
    hs_free(s);
}

static const hs_dataset_ops split_ops = {.kind = "split", .read = split_read, .close = split_close};

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_index(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The samples [from, to) of the order of keys, ascending, to INDEX. */
static hs_status choose(int64_t count, uint64_t seed, int64_t from, int64_t to, int64_t *index)
{
    keyed *all = NULL;
    HS_TRY(hs_calloc((size_t)count, sizeof *all, "keys of the split", &all));
    for (int64_t i = 0; i < count; i++) {
        hs_words r = hs_random(seed, HS_DRAW_SPLIT, 0, 0, (uint64_t)i);
        all[i] = (keyed){(uint64_t)r.w[0] << 32 | r.w[1], i};
    }
    qsort(all, (size_t)count, sizeof *all, by_key);
    qsort(all + from, (size_t)(to - from), sizeof *all, by_index);
    for (int64_t i = from; i < to; i++)
        index[i - from] = all[i].index;
    hs_free(all);
    return HS_OK;
}

static hs_status make_view(hs_dataset *set, hs_split part, double fraction, uint64_t seed, split_set *s)
{
    if (part == HS_SPLIT_TEST || !(fraction >= 0 && fraction < 1))
        return hs_fail(HS_EUSAGE, "data.validation = %g: a share of at least 0 and under 1 of the training set can be held out",
                       fraction);
    int64_t held = (int64_t)(fraction * (double)set->count + 0.5);
    int64_t from = part == HS_SPLIT_TRAIN ? held : 0, to = part == HS_SPLIT_TRAIN ? set->count : held;
    if (from >= to)
        return hs_fail(HS_EUSAGE, "data.validation = %g leaves no sample for %s of %lld; choose another share", fraction,
                       part == HS_SPLIT_TRAIN ? "training" : "validation", (long long)set->count);
    HS_TRY(hs_calloc((size_t)(to - from), sizeof *s->index, "samples of a split", &s->index));
    HS_TRY(choose(set->count, seed, from, to, s->index));
    s->base = *set; /* shape, classes, bytes, digest */
    s->base.ops = &split_ops;
    s->base.count = to - from;
    snprintf(s->base.source, sizeof s->base.source, "%.400s (%s, %g held out by seed %llu)", set->source,
             part == HS_SPLIT_TRAIN ? "training" : "validation", fraction, (unsigned long long)seed);
    return HS_OK;
}

hs_status hs_dataset_split(hs_dataset *set, hs_split part, double fraction, uint64_t seed, hs_dataset **view)
{
    split_set *s = NULL;
    hs_status st = hs_calloc(1, sizeof *s, "split", &s);
    if (st == HS_OK)
        st = make_view(set, part, fraction, seed, s);
    if (st != HS_OK) {
        if (s)
            hs_free(s->index);
        hs_free(s);
        hs_dataset_close(&set);
        return st;
    }
    s->whole = set;
    *view = &s->base;
    return HS_OK;
}
