/* lease.c - where buffers with known lifetimes lie in one arena.
 *
 * Greedy by size (Pisarchyk and Lee, arXiv 2001.03288): the largest buffer is placed first; each next one goes into the smallest gap
 * that holds it between the buffers already placed that live at the same time, or behind the last of them. Quadratic in the count,
 * which is a few hundred, and done once before the first step. */
#include "config.h"

#include <stdlib.h>

#include "hs_base.h"

static int by_size(const void *a, const void *b)
{
    const hs_lease *x = *(hs_lease *const *)a, *y = *(hs_lease *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* equal sizes keep the caller's order: the same plan on every rank and every C library */
}

static bool meet(const hs_lease *a, const hs_lease *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static size_t round_up(size_t x, size_t align)
{
    return (x + align - 1) / align * align;
}

/* Place NEXT among PLACED [placed], which is ordered by offset. */
static void place(hs_lease *next, hs_lease *const *placed, int count, size_t align)
{
    size_t end = 0, best = 0, best_gap = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        const hs_lease *other = placed[i];
        if (!meet(next, other))
            continue;
        if (other->offset >= end && other->offset - end >= next->bytes && other->offset - end < best_gap) {
            best_gap = other->offset - end;
            best = end;
        }
        size_t behind = round_up(other->offset + other->bytes, align);
        if (behind > end)
            end = behind;
    }
    next->offset = best_gap < SIZE_MAX ? best : end;
}

static void insert(hs_lease **placed, int count, hs_lease *next)
{
    int i = count;
    for (; i > 0 && placed[i - 1]->offset > next->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = next;
}

hs_status hs_lease_pack(hs_lease *lease, int count, size_t align, size_t *total)
{
    hs_lease **order = NULL, **placed = NULL;
    size_t need = 0, sum = 0;
    if (count < 0 || align == 0)
        return hs_fail(HS_EINTERNAL, "memory plan: %d buffers aligned to %zu bytes make no sense", count, align);
    for (int i = 0; i < count; i++) {
        if (lease[i].bytes > SIZE_MAX - align || sum > SIZE_MAX - lease[i].bytes - align)
            return hs_fail(HS_EINTERNAL, "memory plan: the buffers are larger than this machine can address; try a smaller batch or network");
        sum += lease[i].bytes + align;
    }
    HS_TRY(hs_calloc((size_t)count, sizeof *order, "memory plan", &order));
    hs_status st = hs_calloc((size_t)count, sizeof *placed, "memory plan", &placed);
    if (st == HS_OK) {
        for (int i = 0; i < count; i++)
            order[i] = &lease[i];
        qsort(order, (size_t)count, sizeof *order, by_size);
        for (int i = 0; i < count; i++) {
            place(order[i], placed, i, align);
            insert(placed, i, order[i]);
            size_t end = round_up(order[i]->offset + order[i]->bytes, align);
            need = end > need ? end : need;
        }
        *total = need;
    }
    hs_free(placed);
    hs_free(order);
    return st;
}
