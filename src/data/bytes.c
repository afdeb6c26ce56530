/* bytes.c - a data set whose samples lie in memory as bytes; conversion to float happens at fetch. */
#include <stdio.h>
#include <string.h>

#include "data_impl.h"

static hs_status bytes_read(hs_dataset *set, const int64_t *indices, int count, float *pixels, int32_t *labels)
{
    const hs_bytes_set *b = (const hs_bytes_set *)set;
    size_t size = hs_shape_count(set->shape);
    for (int i = 0; i < count; i++) {
        const unsigned char *from = b->pixels + (size_t)indices[i] * size;
        float *to = pixels + (size_t)i * size;
        for (size_t k = 0; k < size; k++)
            to[k] = from[k];
        labels[i] = b->labels[indices[i]];
    }
    return HS_OK;
}

static void bytes_close(hs_dataset *set)
{
    hs_bytes_set_destroy((hs_bytes_set *)set);
}

static const hs_dataset_ops bytes_ops = {.kind = "bytes", .read = bytes_read, .close = bytes_close};

void hs_bytes_set_destroy(hs_bytes_set *set)
{
    if (!set)
        return;
    hs_free(set->pixels);
    hs_free(set->labels);
    hs_free(set);
}

hs_status hs_bytes_set_create(const char *kind, int64_t count, hs_shape shape, int classes, hs_bytes_set **set)
{
    hs_bytes_set *b = NULL;
    hs_status st;
    HS_TRY(hs_calloc(1, sizeof *b, kind, &b));
    HS_TRY_GOTO(st, hs_calloc((size_t)count, hs_shape_count(shape), "images", &b->pixels), undo);
    HS_TRY_GOTO(st, hs_calloc((size_t)count, 1, "labels", &b->labels), undo);
    b->base.ops = &bytes_ops;
    b->base.count = count;
    b->base.classes = classes;
    b->base.shape = shape;
    b->base.bytes = true;
    *set = b;
    return HS_OK;
undo:
    hs_bytes_set_destroy(b);
    return st;
}
