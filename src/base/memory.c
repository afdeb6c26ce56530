/* memory.c - host memory, zeroed, aligned and counted.
 *
 * The count of live blocks is the one piece of process-wide state of this room: it lets a test ask for balance, and for a step that
 * allocates nothing, and no result depends on it. */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hs_base.h"

enum {
    ALIGNMENT = 64,       /* a cache line, and the widest SIMD register */
    PAGE = 2 << 20,       /* a huge page */
    LARGE = 4 * PAGE,     /* what is worth them */
    WORTH_ASKING = 64 << 20,
};
static const double GIB = 1 << 30;

static atomic_long live;

/* Large blocks ask for huge pages: transforms write to hundreds of places 50 KB apart, and each would miss the tables of small pages (a convolution
 * 96 > 96 on 32 x 32 maps, batch 64: 5 % faster). */
static void *allocate(size_t bytes)
{
    if (bytes < LARGE)
        return aligned_alloc(ALIGNMENT, bytes);
    void *block = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
#ifdef MADV_HUGEPAGE
    if (block)
        (void)madvise(block, bytes, MADV_HUGEPAGE); /* a wish: small pages do too */
#endif
    return block;
}

/* Zeroing takes every page, and a kernel that gives out more than it has ends a process for that without a word: better ask before. */
static bool is_there(size_t bytes, double *free_bytes)
{
    *free_bytes = bytes < WORTH_ASKING ? 0 : hs_available_bytes();
    return *free_bytes <= 0 || (double)bytes <= *free_bytes;
}

hs_status hs_calloc(size_t count, size_t size, const char *what, void *out)
{
    if (size && count > (SIZE_MAX - ALIGNMENT) / size)
        return hs_fail(HS_EINTERNAL, "%s: %zu elements of %zu bytes are more than this machine can address", what, count, size);
    size_t bytes = count * size;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; /* aligned_alloc asks for a multiple */
    double left = 0;
    if (!is_there(bytes, &left))
        return hs_fail(HS_EINTERNAL, "%s: no memory for %.1f GiB, %.1f GiB are free here; try a smaller batch or network, or fewer ranks per machine", what,
                       (double)bytes / GIB, left / GIB);
    void *block = allocate(rounded ? rounded : ALIGNMENT);
    if (!block)
        return hs_fail(HS_EINTERNAL, "%s: no memory for %zu bytes; try a smaller batch or network, or fewer ranks per machine", what, bytes);
    memset(block, 0, rounded ? rounded : ALIGNMENT);
    memcpy(out, &block, sizeof block); /* OUT is the address of some object pointer */
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return HS_OK;
}

void hs_free(void *pointer)
{
    if (!pointer)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(pointer);
}

long hs_live_blocks(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}
