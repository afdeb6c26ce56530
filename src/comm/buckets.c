/* buckets.c - gradients leave while backward goes on: the slab is cut into buckets from its end downwards, and a bucket's sum
 * starts as soon as all of its numbers are reported and every bucket behind it has started. So all ranks start the same sums in
 * the same order. */
#include "comm_impl.h"
#include "hs_base.h"

struct hs_buckets {
    hs_comm *comm;
    char *slab;
    size_t count, width; /* numbers in the slab, and in every bucket but the last (lowest) one */
    size_t number_bytes;
    hs_comm_type type;
    int buckets, started;
    size_t left[HS_COMM_BUCKETS]; /* numbers not yet reported; bucket 0 is the slab's end */
    double exposed;
};

/* Bucket i is [low, high) of the slab. */
static size_t bucket_high(const hs_buckets *b, int i)
{
    return b->count - (size_t)i * b->width;
}

static size_t bucket_low(const hs_buckets *b, int i)
{
    size_t high = bucket_high(b, i);
    return high > b->width ? high - b->width : 0;
}

hs_status hs_buckets_create(hs_comm *c, void *slab, size_t count, hs_real real, size_t bucket_bytes, hs_buckets **buckets)
{
    hs_buckets *b = NULL;
    HS_TRY(hs_calloc(1, sizeof *b, "gradient buckets", &b));
    b->comm = c;
    b->slab = slab;
    b->count = count;
    b->number_bytes = (size_t)real;
    b->type = real == HS_F32 ? HS_COMM_F32 : HS_COMM_F64;
    size_t least = (count + HS_COMM_BUCKETS - 1) / HS_COMM_BUCKETS; /* there are only so many slots */
    b->width = bucket_bytes ? bucket_bytes / b->number_bytes : count;
    if (b->width < least)
        b->width = least;
    b->buckets = count ? (int)((count + b->width - 1) / b->width) : 0;
    b->started = b->buckets; /* begin comes first */
    hs_status st = c->ops->reserve ? c->ops->reserve(c, slab, count, b->type, b->width) : HS_OK;
    if (st != HS_OK)
        hs_free(b);
    else
        *buckets = b;
    return st;
}

void hs_buckets_destroy(hs_buckets **buckets)
{
    if (!buckets || !*buckets)
        return;
    hs_free(*buckets);
    *buckets = NULL;
}

hs_status hs_buckets_begin(hs_buckets *b)
{
    b->started = 0;
    for (int i = 0; i < b->buckets; i++)
        b->left[i] = bucket_high(b, i) - bucket_low(b, i);
    return HS_OK;
}

static hs_status start_next(hs_buckets *b)
{
    int i = b->started++;
    b->left[i] = 0; /* of a bucket that finish sends early, nothing more may be reported */
    size_t low = bucket_low(b, i);
    return b->comm->ops->start(b->comm, i, b->slab + low * b->number_bytes, bucket_high(b, i) - low, b->type);
}

hs_status hs_buckets_ready(hs_buckets *b, size_t offset, size_t count)
{
    if (offset > b->count || count > b->count - offset)
        return hs_fail(HS_EINTERNAL, "gradients [%zu, %zu + %zu) lie outside of a slab of %zu", offset, offset, count, b->count);
    /* The bucket of number x counts from the slab's end: (count - 1 - x) / width. */
    for (size_t high = offset + count; high > offset;) {
        int i = (int)((b->count - high) / b->width);
        size_t low = bucket_low(b, i) > offset ? bucket_low(b, i) : offset;
        if (high - low > b->left[i])
            return hs_fail(HS_EINTERNAL, "gradients [%zu, %zu) were reported twice", low, high);
        b->left[i] -= high - low;
        high = low;
    }
    while (b->started < b->buckets && b->left[b->started] == 0)
        HS_TRY(start_next(b));
    b->comm->ops->progress(b->comm);
    return HS_OK;
}

hs_status hs_buckets_finish(hs_buckets *b)
{
    hs_status st = HS_OK;
    double start = hs_now();
    while (st == HS_OK && b->started < b->buckets)
        st = start_next(b);
    for (int i = 0; i < b->started; i++) { /* all of them, so that none is left open when one fails */
        hs_status one = b->comm->ops->wait(b->comm, i);
        st = st != HS_OK ? st : one;
    }
    b->exposed = hs_now() - start;
    return st;
}

double hs_buckets_exposed(const hs_buckets *b)
{
    return b->exposed;
}
